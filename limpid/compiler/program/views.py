"""Views: which element of a buffer an element of a value is, where strides can say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from limpid.compiler.program.values import Shape, Value, copied, mark, rebuilt

GIVEN = ("input", "constant")
VIEWS = ("reshape", "permute", "broadcast", "slice", "window", "affine")


class Located(NamedTuple):
    """Elements of a value in the buffer of another: offset and strides, counted in elements."""

    base: Value
    offset: int
    strides: tuple[int, ...]


def base(x: Value) -> Value:
    """The value that a view shows."""
    while x.kind in VIEWS:
        x = x.operands[0]
    return x


def packed(shape: Shape, order: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """The strides of elements without gaps, row-major or with axes in another order."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(order or range(len(shape))):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def locate(value: Value) -> Located:
    """Where a value's elements are, seen from the nearest value that is no view."""
    if value.kind not in VIEWS:
        return Located(value, 0, packed(value.shape, value.order))
    (operand,) = value.operands
    base, offset, strides = locate(operand)
    if value.kind == "permute":
        return Located(base, offset, tuple(strides[axis] for axis in value.params["axes"]))
    if value.kind == "broadcast":
        return Located(base, offset, _broadcast(operand.shape, strides, value.shape))
    if value.kind == "window":
        along = tuple(strides[axis] for axis in value.params["axes"])
        return Located(base, offset, strides + along)
    if value.kind == "affine":
        return _affine(value, base, offset, strides)
    if value.kind == "slice":
        starts, steps = value.params["starts"], value.params["steps"]
        offset += sum(n * stride for n, stride in zip(starts, strides, strict=True))
        return Located(base, offset, tuple(n * s for n, s in zip(steps, strides, strict=True)))
    found = reshaped(operand.shape, strides, value.shape)
    assert found is not None, "what strides can't say has been copied"
    return Located(base, offset, found)


def _affine(value: Value, base: Value, offset: int, given: tuple[int, ...]) -> Located:
    strides = [0] * len(value.shape)
    for (start, terms), stride in zip(value.params["places"], given, strict=True):
        offset += start * stride
        for axis, step in terms:
            strides[axis] += step * stride
    return Located(base, offset, tuple(strides))


def core(x: Value) -> Value:
    """What a view shows, if that has the same elements but for axes of extent 1."""
    while x.kind in VIEWS and _is_same(x, x.operands[0]):
        (x,) = x.operands
    return x


def _is_same(view: Value, x: Value) -> bool:
    if tuple(n for n in view.shape if n != 1) != tuple(n for n in x.shape if n != 1):
        return False
    if view.kind == "permute":
        long = [axis for axis in view.params["axes"] if x.shape[axis] != 1]
        return long == sorted(long)
    return view.kind in ("reshape", "broadcast")


def with_copies(ends: Sequence[Value]) -> list[Value]:
    """The ends, with copies of those that nothing makes, and before reshapes beyond strides."""
    made = rebuilt(ends, sayable)
    return [copied(end) if end.kind in (*VIEWS, *GIVEN) else end for end in made]


def sayable(value: Value) -> Value:
    """A value; a copy of what it shows where it is a reshape that strides can't say."""
    if value.kind != "reshape":
        return value
    (operand,) = value.operands
    if reshaped(operand.shape, locate(operand).strides, value.shape) is not None:
        return value
    copy = copied(operand)
    mark([copy], value.node, [None])
    return replace(value, operands=(copy,))


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
