"""Networks for the experiments, with first weights that a seed decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from math import isfinite
from typing import Any

from limpid.errors import ArgumentError
from limpid.nn import init
from limpid.nn.containers import Sequential
from limpid.nn.layers.linear import Linear
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.ops.generator import default_generator
from limpid.training.construction import ACTIVATIONS, INITIALISATIONS


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, this thread's default generator begins at a seed; after it, it is as it was."""
    generator = default_generator()
    before = generator.state_dict()
    generator.seed(integer(seed, "seed"))
    try:
        yield
    finally:
        generator.load_state_dict(before)


def build(
    widths: Sequence[int], activation: str, start: str, seed: int, dtype: Any = None
) -> Sequential:
    """Linear layers of these widths, features first, with the activation between them.

    start  how the weights begin, by a name of `limpid train --init`; "default" as nn.Linear
    """
    layers: list[Module] = []
    with seeded(seed):
        for before, after in pairwise(widths):
            layers += [ACTIVATIONS[activation]()] if layers else []
            layers.append(Linear(before, after, dtype=dtype))
        draw = INITIALISATIONS[start]
        for layer in layers:
            if isinstance(layer, Linear) and draw is not None:
                draw(layer.weight)
                if layer.bias is not None:
                    init.zeros_(layer.bias)
    return Sequential(*layers)


def check_names(names: Sequence[str], known: Any, what: str) -> tuple[str, ...]:
    """The names, each of which is known; ArgumentError for others, and for none at all."""
    if isinstance(names, str) or not names:
        raise ArgumentError(f"{what}s are given as a list of names, such as {next(iter(known))!r}")
    for name in names:
        if name not in known:
            raise ArgumentError(f"{what} {name!r} is unknown; choose from {', '.join(known)}")
    return tuple(names)


def check_numbers(numbers: Sequence[Any], what: str, least: int = 1) -> tuple[int, ...]:
    """Different whole numbers in rising order; ArgumentError for anything else."""
    if isinstance(numbers, str) or not isinstance(numbers, Sequence) or not numbers:
        raise ArgumentError(f"{what} is a list of whole numbers, not {numbers!r}")
    return tuple(sorted({integer(number, f"a number of {what}", least) for number in numbers}))


def check_rate(rate: Any, what: str = "lr") -> float:
    """A learning rate; ArgumentError for what is none."""
    good = isinstance(rate, int | float) and not isinstance(rate, bool) and isfinite(rate)
    if not good or rate <= 0:
        raise ArgumentError(f"{what} must be a number above 0, not {rate!r}")
    return float(rate)
