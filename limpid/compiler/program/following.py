"""In which order values lie because of others: those they are computed from, or with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from limpid.compiler.contraction.lanes import Order
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import locate

LOOKED_AT = 4  # maps that follow on from a contraction

Readers = Mapping[Value, Sequence[Value]]


def readers(values: Sequence[Value]) -> Readers:
    """For each value those that have it as an operand."""
    found: dict[Value, list[Value]] = {}
    for value in values:
        for x in value.operands:
            found.setdefault(x, []).append(value)
    return found


def order_beside(value: Value, readers: Readers, made: Mapping[Value, Value]) -> Order | None:
    """The order of what a value is combined with, element by element, as far as that is laid out.

    A gradient should lie as what it is the gradient of, from which its factors are computed. None
    for row-major, or where there is nothing.
    """
    for _ in range(LOOKED_AT):
        maps = [r for r in readers.get(value, ()) if r.kind == "map" and r.shape == value.shape]
        for reader in maps:
            for x in reader.operands:
                if x is not value and x in made and x.shape == value.shape:
                    return order_of(reader, made[x])
        if len(maps) != 1:
            break
        (value,) = maps
    return None


def following(value: Value) -> Value:
    """A value in the order of the largest operand that has another than row-major order."""
    orders = [order_of(value, x) for x in value.operands]
    sizes = [x.size if order is not None else -1 for x, order in zip(value.operands, orders)]
    if not sizes or max(sizes) < max(x.size for x in value.operands):
        return value
    return replace(value, order=orders[int(np.argmax(sizes))])


def order_of(value: Value, x: Value) -> Order | None:
    """The order of a value's axes as an operand has them; None for row-major or other axes.

    Axes along which an operand is the same stay behind the one before.
    """
    kept = list(range(len(x.shape)))
    if value.kind == "reduce":
        kept = [n for n in kept if n not in value.params["axes"]]
    elif not _has_axes_of(x, value):
        return None
    steps = [abs(locate(x).strides[axis]) if x.shape[axis] != 1 else 0 for axis in kept]
    long = [n for n in range(len(kept)) if value.shape[n] != 1]
    slowest_first = sorted(long, key=lambda n: -_inherited(steps, n))
    if slowest_first == long:
        return None
    rest = [n for n in range(len(kept)) if n not in long]
    return (*rest, *slowest_first)


def _has_axes_of(x: Value, value: Value) -> bool:
    """Whether the axes of an operand are those of a value, or the same along some of them."""
    if len(x.shape) != len(value.shape):
        return False
    pairs = zip(x.shape, value.shape, strict=True)
    return value.kind == "join" or all(n in (1, m) for n, m in pairs)


def _inherited(steps: Sequence[int], axis: int) -> int:
    """The step along an axis, or the last one before it that leads anywhere."""
    return next((step for step in reversed(steps[: axis + 1]) if step), max(steps))
