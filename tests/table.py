"""The table that drives the checks of every primitive: one row or more for each.

A row says how the primitive is called and on what; the checks in test_table.py and, against
PyTorch, in peers/test_table.py, do the rest.
"""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Sample = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Row:
    """One way of calling a primitive.

    primitive  its registered name
    call       a public call on the operands; gets arrays or tensors; returns one result, or a
               tuple of which only float results are differentiated
    operands   samplers (below), or plain values that stay as they are
    reference  the same on arrays, by somebody else: NumPy, SciPy, mpmath, or a loop
    torch      `lambda torch, *tensors: …`, the same in PyTorch, where it has it (`make test-peers`)
    wrt        the numbers of the operands to differentiate; by default all float arrays
    order      the highest derivative checked: 2, or 1 where the second is zero or not continuous,
               or 0 for what has no derivative
    """

    primitive: str
    call: Callable[..., Any]
    operands: tuple[Any, ...]
    reference: Callable[..., Any] | None = None
    torch: Callable[..., Any] | None = None
    wrt: tuple[int, ...] | None = None
    order: int = 2
    label: str = ""
    tolerance: float = 1e-6  # of finite differences; exact identities have their own, tighter ones
    recordable: bool = True  # False where the shape of the result depends on values
    value_tolerance: float = 1e-12
    dtypes: tuple[str, ...] = ("float64", "float32")
    id: str = field(init=False)

    def __post_init__(self) -> None:
        shapes = "-".join(map(_sample_name, self.operands))
        object.__setattr__(self, "id", f"{self.primitive}:{self.label or shapes}")

    def sample(self, dtype: str = "float64") -> list[Any]:
        """Operands, the same ones in every run."""
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        values = [x(rng) if callable(x) else x for x in self.operands]
        return [
            v.astype(dtype) if isinstance(v, np.ndarray) and v.dtype == np.float64 else v
            for v in values
        ]

    def differentiated(self) -> tuple[int, ...]:
        """The numbers of the operands to differentiate."""
        if self.order == 0:
            return ()
        if self.wrt is not None:
            return self.wrt
        return tuple(
            i
            for i, x in enumerate(self.sample())
            if isinstance(x, np.ndarray) and x.dtype.kind == "f"
        )


def _sample_name(x: Any) -> str:
    return str(getattr(x, "label", "")) or type(x).__name__


def named(sample: Sample, label: str) -> Sample:
    """A sampler with the name that its row's id shows."""
    vars(sample)["label"] = label
    return sample


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "0d"


def normal(*shape: int) -> Sample:
    """Standard normal numbers."""
    return named(lambda rng: np.asarray(rng.normal(size=shape)), _text(shape))


def uniform(low: float, high: float, *shape: int) -> Sample:
    """Numbers from an interval: for domains such as (−1, 1) or (0, ∞)."""
    return named(lambda rng: np.asarray(rng.uniform(low, high, size=shape)), _text(shape))


def positive(*shape: int) -> Sample:
    """Numbers from (0.5, 3)."""
    return uniform(0.5, 3.0, *shape)


def away(*shape: int) -> Sample:
    """Numbers at least 0.2 from every integer from −3 to 3, so from the usual kinks."""

    def sample(rng: np.random.Generator) -> np.ndarray:
        whole = rng.integers(-3, 3, size=shape)
        return np.asarray(whole + rng.uniform(0.2, 0.8, size=shape))

    return named(sample, _text(shape))


def distinct(*shape: int) -> Sample:
    """Numbers with gaps of at least 0.1 and no order: for max, sort, median."""

    def sample(rng: np.random.Generator) -> np.ndarray:
        size = int(np.prod(shape))
        return (rng.permutation(size) * 0.37 - 0.171 * size).reshape(shape)

    return named(sample, _text(shape))


def integers(low: int, high: int, *shape: int) -> Sample:
    """Integers from [low, high)."""
    return named(lambda rng: rng.integers(low, high, size=shape), "i" + _text(shape))


def booleans(*shape: int) -> Sample:
    """Coin flips."""
    return named(lambda rng: rng.integers(0, 2, size=shape).astype(bool), "b" + _text(shape))


def invertible(*shape: int) -> Sample:
    """Square matrices far from singular: normal numbers plus 3 on the diagonal."""
    return named(lambda rng: rng.normal(size=shape) + 3 * np.eye(shape[-1]), _text(shape))


def symmetric_positive(*shape: int) -> Sample:
    """Symmetric positive definite matrices."""

    def sample(rng: np.random.Generator) -> np.ndarray:
        a = rng.normal(size=shape)
        return a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1])

    return named(sample, _text(shape))


def all_rows() -> list[Row]:
    """The rows of every module of tests/rows."""
    import tests.rows

    rows: list[Row] = []
    for module in pkgutil.iter_modules(tests.rows.__path__):
        rows.extend(importlib.import_module(f"tests.rows.{module.name}").ROWS)
    return rows


ROWS = all_rows()
