"""Views: which element of a buffer an element of a value is, where strides can say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from limpid.compiler.program.values import Shape, Value, copied, rebuilt

VIEWS = ("reshape", "permute", "broadcast", "slice")


class Located(NamedTuple):
    """Elements of a value in the buffer of another: offset and strides, counted in elements."""

    base: Value
    offset: int
    strides: tuple[int, ...]


def packed(shape: Shape) -> tuple[int, ...]:
    """The strides of row-major order."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def locate(value: Value) -> Located:
    """Where a value's elements are, seen from the nearest value that is no view."""
    if value.kind not in VIEWS:
        return Located(value, 0, packed(value.shape))
    (operand,) = value.operands
    base, offset, strides = locate(operand)
    if value.kind == "permute":
        return Located(base, offset, tuple(strides[axis] for axis in value.params["axes"]))
    if value.kind == "broadcast":
        return Located(base, offset, _broadcast(operand.shape, strides, value.shape))
    if value.kind == "slice":
        starts, steps = value.params["starts"], value.params["steps"]
        offset += sum(n * stride for n, stride in zip(starts, strides, strict=True))
        return Located(base, offset, tuple(n * s for n, s in zip(steps, strides, strict=True)))
    found = reshaped(operand.shape, strides, value.shape)
    assert found is not None, "what strides can't say has been copied"
    return Located(base, offset, found)


def with_copies(ends: Sequence[Value]) -> list[Value]:
    """The ends, with copies of views that are ends, and before reshapes that strides can't say."""
    made = rebuilt(ends, _sayable)
    return [copied(end) if end.kind in VIEWS else end for end in made]


def _sayable(value: Value) -> Value:
    if value.kind != "reshape":
        return value
    (operand,) = value.operands
    if reshaped(operand.shape, locate(operand).strides, value.shape) is not None:
        return value
    return replace(value, operands=(copied(operand),))


def _broadcast(shape: Shape, strides: tuple[int, ...], wanted: Shape) -> tuple[int, ...]:
    missing = len(wanted) - len(shape)
    own = (0 if n == 1 and m != 1 else s for n, s, m in zip(shape, strides, wanted[missing:]))
    return (0,) * missing + tuple(own)


def reshaped(shape: Shape, strides: tuple[int, ...], wanted: Shape) -> tuple[int, ...] | None:
    """The strides of another shape over the same elements; None if no strides lead through them."""
    if 0 in shape:
        return packed(wanted)
    left = merged(shape, strides)
    made: list[int] = []
    for extent in wanted:
        if extent == 1:
            made.append(0)
            continue
        extents, step = left[0]
        if extents % extent:
            return None
        rest = extents // extent
        made.append(step * rest)
        left = [(rest, step), *left[1:]] if rest > 1 else left[1:]
    return tuple(made)


def merged(shape: Shape, strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """Axes as (extent, stride), those that follow on from one another as one, without extents 1."""
    found: list[tuple[int, int]] = []
    for extent, stride in zip(shape, strides, strict=True):
        if extent == 1:
            continue
        if found and found[-1][1] == extent * stride:
            extent *= found.pop()[0]
        found.append((extent, stride))
    return found
