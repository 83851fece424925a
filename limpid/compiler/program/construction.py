"""Values from values: one function for each kind, which leaves out what changes nothing.

What is known already is computed here: maps and views of constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from limpid.compiler.program.algebra import neutral, reciprocal
from limpid.compiler.program.values import Shape, Value, evaluate

SMALL = 1 << 12  # elements up to which a map of constants is known, however small these are
INDEX = np.dtype(np.int64)

Range = tuple[int, int, int]  # start, how many, step along one axis


class Untraceable(Exception):  # noqa: N818  # no error: the primitive is called instead
    """A forward does what can't be traced."""


def constant(x: Any) -> Value:
    """An array or a number that is known."""
    array = np.asarray(x)
    return Value("constant", array.shape, array.dtype, params={"array": array})


def filled(shape: Shape, dtype: Any, number: Any) -> Value:
    """The same number everywhere."""
    return broadcast(constant(np.asarray(number).astype(dtype)), shape)


def number_in(x: Value) -> Any:
    """The number that is everywhere in x, 0-d; None if x is not known to be of that sort."""
    while x.kind in ("broadcast", "reshape"):
        (x,) = x.operands
    if x.kind != "constant" or x.size != 1:
        return None
    return x.params["array"].reshape(())


def mapped(function: str, operands: Sequence[Value], dtype: Any) -> Value:
    """A function of elements of operands that broadcast."""
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    numbers = [number_in(x) for x in operands]
    if all(n is not None for n in numbers):
        return broadcast(_computed(function, [constant(n) for n in numbers], dtype, ()), shape)
    same = neutral(function, operands, numbers)
    if same is not None and same.dtype == dtype:
        return broadcast(same, shape)
    factor = reciprocal(function, numbers[-1], np.dtype(dtype))
    if factor is not None:
        return mapped("multiply", [operands[0], constant(factor)], dtype)
    varied = [x.shape for x, n in zip(operands, numbers, strict=True) if n is None]
    if np.broadcast_shapes(*varied) == shape:
        pairs = zip(operands, numbers, strict=True)
        operands = [x if n is None else constant(n) for x, n in pairs]
    known = all(x.kind == "constant" for x in operands)
    if known and prod(shape) <= max(SMALL, *(x.size for x in operands)):
        return _computed(function, operands, dtype, shape)
    return Value("map", shape, np.dtype(dtype), tuple(operands), {"function": function})


def _computed(function: str, operands: Sequence[Value], dtype: Any, shape: Shape) -> Value:
    made = Value("map", shape, np.dtype(dtype), tuple(operands), {"function": function})
    with np.errstate(all="ignore"):
        return constant(evaluate([made], [])[0])


def cast(x: Value, dtype: Any) -> Value:
    """Elements of another type."""
    return x if x.dtype == dtype else mapped("cast", [x], dtype)


def reshaped(x: Value, shape: Shape) -> Value:
    """The same elements, in row-major order, in another shape."""
    if shape == x.shape:
        return x
    if x.kind == "constant":
        return constant(x.params["array"].reshape(shape))
    if x.kind == "reshape":
        return reshaped(x.operands[0], shape)
    return Value("reshape", shape, x.dtype, (x,))


def permuted(x: Value, axes: Sequence[int]) -> Value:
    """Axes in another order."""
    if tuple(axes) == tuple(range(len(x.shape))):
        return x
    if x.kind == "constant":
        return constant(x.params["array"].transpose(axes))
    shape = tuple(x.shape[axis] for axis in axes)
    return Value("permute", shape, x.dtype, (x,), {"axes": tuple(axes)})


def broadcast(x: Value, shape: Shape) -> Value:
    """Stretched to a shape."""
    return x if shape == x.shape else Value("broadcast", shape, x.dtype, (x,))


def sliced(x: Value, ranges: Sequence[Range]) -> Value:
    """For every axis its elements `start + step · i` for i below a count."""
    if all(r == (0, extent, 1) for r, extent in zip(ranges, x.shape, strict=True)):
        return x
    shape = tuple(count for _, count, _ in ranges)
    if number_in(x) is not None:
        return broadcast(constant(number_in(x)), shape)
    stops = tuple(start + step * count for start, count, step in ranges)
    if x.kind == "constant":
        return constant(x.params["array"][tuple(map(as_slice, ranges))])
    params = {
        "starts": tuple(start for start, _, _ in ranges),
        "stops": stops,
        "steps": tuple(step for _, _, step in ranges),
    }
    return Value("slice", shape, x.dtype, (x,), params)


def as_slice(r: Range) -> slice:
    """NumPy's slice for a range."""
    start, count, step = r
    stop = start + step * count
    return slice(start, stop if stop >= 0 else None, step)


def windows(x: Value, axes: Sequence[int], sizes: Sequence[int]) -> Value:
    """Windows that slide along some axes, seen along new axes at the end."""
    shape = list(x.shape)
    for axis, size in zip(axes, sizes, strict=True):
        shape[axis] -= size - 1
    params = {"axes": tuple(axes), "sizes": tuple(sizes)}
    return Value("window", (*shape, *sizes), x.dtype, (x,), params)


def reduced(function: str, x: Value, axes: Sequence[int], dtype: Any) -> Value:
    """Some axes reduced, and gone."""
    axes = tuple(sorted(axes))
    shape = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
    params = {"function": function, "axes": axes}
    return Value("reduce", shape, np.dtype(dtype), (x,), params)


def accumulated(function: str, operands: Sequence[Value], axis: int) -> Value:
    """A function of each element and the result before it along an axis."""
    x = operands[-1]
    params = {"function": function, "axis": axis}
    return Value("accumulate", x.shape, x.dtype, tuple(operands), params)


def joined(
    pieces: Sequence[Value],
    places: Sequence[tuple[Shape, Shape]],
    shape: Shape,
    dtype: Any,
    fill: Any,
) -> Value:
    """Pieces put at (starts, steps); a number is in all other places."""
    chosen = [n for n, piece in enumerate(pieces) if piece.size]
    whole = sum(pieces[n].size for n in chosen) == prod(shape)
    if not chosen:
        return filled(shape, dtype, 0 if fill is None else fill)
    if len(chosen) == 1 and whole:
        return cast(pieces[chosen[0]], dtype)
    params = {
        "places": tuple((tuple(places[n][0]), tuple(places[n][1])) for n in chosen),
        "fill": None if whole else fill,
    }
    operands = tuple(cast(pieces[n], dtype) for n in chosen)
    return Value("join", shape, np.dtype(dtype), operands, params)


def within(index: Value, extent: int) -> Value:
    """Indices as int64 from 0 to extent − 1: negative ones from the end, others held there.

    Whether they were in range is for `valid` to say; nothing outside an array is ever read.
    """
    index = cast(index, INDEX)
    zero, last = constant(np.int64(0)), constant(np.int64(max(extent - 1, 0)))
    negative = mapped("less", [index, zero], bool)
    from_end = mapped("add", [index, constant(np.int64(extent))], INDEX)
    index = mapped("where", [negative, from_end, index], INDEX)
    return mapped("minimum", [mapped("maximum", [index, zero], INDEX), last], INDEX)


def gathered(x: Value, index: Value, axis: int) -> Value:
    """The slices of x at indices that are `within` the axis."""
    shape = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    if not x.size:
        return filled(shape, x.dtype, 0)
    return Value("gather", shape, x.dtype, (x, index), {"axis": axis})


def taken_along(x: Value, index: Value, axis: int) -> Value:
    """For each place of the index, the element of x there but for one axis."""
    if not x.size:
        return filled(index.shape, x.dtype, 0)
    index = broadcast(index, _resized(x.shape, axis, index.shape[axis]))
    return Value("take_along", index.shape, x.dtype, (x, index), {"axis": axis})


def scattered(g: Value, index: Value, axis: int, extent: int) -> Value:
    """The transpose of `gathered`: zeros, to which slices of g are added at indices."""
    shape = (*g.shape[:axis], extent, *g.shape[axis + len(index.shape) :])
    if not g.size or not extent:
        return filled(shape, g.dtype, 0)
    return Value("scatter_add", shape, g.dtype, (g, index), {"axis": axis})


def scattered_along(g: Value, index: Value, axis: int, extent: int) -> Value:
    """The transpose of `taken_along`."""
    shape = _resized(g.shape, axis, extent)
    if not g.size or not extent:
        return filled(shape, g.dtype, 0)
    operands = (g, broadcast(index, g.shape))
    return Value("scatter_along", shape, g.dtype, operands, {"axis": axis})


def scattered_max(g: Value, index: Value, axis: int, extent: int, fill: Any) -> Value:
    """The largest of g at each place, and a number where nothing came."""
    shape = _resized(g.shape, axis, extent)
    if not g.size or not extent:
        return filled(shape, g.dtype, fill)
    operands = (g, broadcast(index, g.shape))
    return Value("scatter_max", shape, g.dtype, operands, {"axis": axis, "fill": fill})


def _resized(shape: Shape, axis: int, extent: int) -> Shape:
    return (*shape[:axis], extent, *shape[axis + 1 :])
