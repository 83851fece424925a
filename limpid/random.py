"""Random numbers: `limpid.random.normal(shape=(2, 3))`, seeded by `limpid.random.seed`."""

from limpid.ops.generator import Generator, default_generator, seed
from limpid.ops.random import (
    bernoulli,
    choice,
    integers,
    normal,
    permutation,
    truncated_normal,
    uniform,
)

__all__ = [
    "Generator",
    "bernoulli",
    "choice",
    "default_generator",
    "integers",
    "normal",
    "permutation",
    "seed",
    "truncated_normal",
    "uniform",
]
