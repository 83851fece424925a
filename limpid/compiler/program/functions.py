"""NumPy's functions, and a few of limpid's own, on arrays without values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from limpid.compiler.program import construction as make
from limpid.compiler.program.construction import Untraceable
from limpid.compiler.program.traced import (
    FUNCTIONS,
    Traced,
    axes_of,
    kept,
    mapped,
    value_of,
)
from limpid.compiler.program.values import Shape, Value
from limpid.ops.errorfunction import erf, erfc
from limpid.ops.plain.functions import recurrence, scatter_add, scatter_along, scatter_max
from limpid.ops.plain.magnitudes import BINS, counts_of, magnitudes


def _type_of(x: Any) -> Any:
    """For `np.result_type`: Python's numbers are weak."""
    return x.dtype if isinstance(x, Traced | np.ndarray | np.generic) else x


def _result_type(*given: Any) -> np.dtype[Any]:
    return np.result_type(*map(_type_of, given))


def _where(condition: Any, x: Any, y: Any) -> Traced:
    made = _result_type(x, y)
    return mapped("where", [condition, x, y], [np.dtype(bool), made, made], made)


def _clip(x: Any, low: Any = None, high: Any = None, out: Any = None, **options: Any) -> Any:
    if out is not None or any(v is not np._NoValue for v in options.values()):
        raise Untraceable("clip with options")
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _round(x: Traced, decimals: int = 0, out: Any = None) -> Any:
    if out is not None:
        raise Untraceable("round with out=")
    if x.dtype.kind == "b":
        raise Untraceable("booleans rounded")
    if x.dtype.kind in "iu" and decimals >= 0:
        return x.copy()
    if not decimals:
        return np.rint(x)
    scale = 10.0 ** abs(decimals)
    y = np.rint(x * scale) / scale if decimals > 0 else np.rint(x / scale) * scale
    return y.astype(x.dtype, copy=False)


# Shapes


def _broadcast_to(x: Traced, shape: Any, subok: bool = False) -> Traced:
    full = tuple(shape) if isinstance(shape, tuple | list) else (int(shape),)
    if np.broadcast_shapes(x.shape, full) != full:
        raise Untraceable(f"{x.shape} broadcast to {full}")
    return x.seen_as(make.broadcast(x.value, full))


def _broadcast_arrays(*xs: Any, subok: bool = False) -> tuple[Traced, ...]:
    full = np.broadcast_shapes(*(x.shape for x in xs))
    return tuple(_broadcast_to(_traced(x), full) for x in xs)


def _traced(x: Any) -> Traced:
    return x if isinstance(x, Traced) else Traced(make.constant(x))


def _expand_dims(x: Traced, axis: Any) -> Traced:
    axes = axis if isinstance(axis, tuple) else (axis,)
    rank = x.ndim + len(axes)
    places = {n % rank for n in axes}
    rest = iter(x.shape)
    return x.reshape(tuple(1 if n in places else next(rest) for n in range(rank)))


def _moveaxis(x: Traced, source: Any, destination: Any) -> Traced:
    sources, places = (
        [n % x.ndim for n in (a if isinstance(a, tuple | list) else (a,))]
        for a in (source, destination)
    )
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return x.transpose(order)


def _flip(x: Traced, axis: Any = None) -> Traced:
    axes = axes_of(x, axis)
    return x[tuple(slice(None, None, -1 if n in axes else 1) for n in range(x.ndim))]


def _roll(x: Traced, shift: Any, axis: Any = None) -> Traced:
    if axis is None:
        raise Untraceable("roll of all elements")
    shifts = shift if isinstance(shift, tuple) else (shift,)
    axes = axis if isinstance(axis, tuple) else (axis,)
    ways: list[Any] = [[(slice(None), slice(None))] for _ in x.shape]
    for n, a in zip(shifts, axes, strict=True):
        extent = x.shape[a]
        first = n % extent if extent else 0
        into, out = slice(first, None), slice(None, extent - first)
        ways[a] = [(into, out), (slice(None, first), slice(extent - first, None))]
    y = _like(x)
    for parts in product(*ways):
        y[tuple(made for made, _ in parts)] = x[tuple(read for _, read in parts)]
    return y


# Arrays that are new


def _like(
    x: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **o: Any
) -> Traced:
    return _full_like(x, 0, dtype, order, subok, shape)


def _full_like(
    x: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    **options: Any,
) -> Traced:
    full = x.shape if shape is None else shape
    full = tuple(full) if isinstance(full, tuple | list) else (int(full),)
    value = make.cast(value_of(fill_value), np.dtype(x.dtype if dtype is None else dtype))
    return Traced(make.broadcast(value, full))


def _concatenate(xs: Sequence[Any], axis: Any = 0, out: Any = None, **options: Any) -> Traced:
    if axis is None or out is not None or options:
        raise Untraceable("concatenate with options")
    values = [value_of(x) for x in xs]
    shape, dtype = list(values[0].shape), np.result_type(*(x.dtype for x in values))
    axis %= len(shape)
    starts = [0]
    for x in values:
        starts.append(starts[-1] + x.shape[axis])
        if any(n != m for i, (n, m) in enumerate(zip(x.shape, shape, strict=True)) if i != axis):
            raise Untraceable("concatenate of other shapes")
    shape[axis] = starts.pop()
    rank = len(shape)
    places = [((*(0,) * axis, n, *(0,) * (rank - axis - 1)), (1,) * rank) for n in starts]
    return Traced(make.joined(values, places, tuple(shape), dtype, None))


def _stack(xs: Sequence[Any], axis: int = 0, out: Any = None, **options: Any) -> Traced:
    return _concatenate([_expand_dims(_traced(x), axis) for x in xs], axis, out, **options)


def _split(x: Traced, indices: Any, axis: int = 0) -> list[Traced]:
    if not isinstance(indices, list | tuple):
        raise Untraceable("split into a number of parts")
    lead = (slice(None),) * (axis % x.ndim)
    cuts = pairwise([0, *indices, x.shape[axis]])
    return [x[(*lead, slice(start, stop))] for start, stop in cuts]


def _tril(x: Traced, k: int = 0) -> Traced:
    rows, columns = _numbers(x)
    return _where(columns <= rows + k, x, x.dtype.type(0))


def _triu(x: Traced, k: int = 0) -> Traced:
    rows, columns = _numbers(x)
    return _where(columns >= rows + k, x, x.dtype.type(0))


def _numbers(x: Traced) -> tuple[Traced, Traced]:
    """The numbers of rows (m, 1) and columns (n,), of which a mask takes no memory."""
    m, n = x.shape[-2:]
    return _traced(np.arange(m)[:, None]), _traced(np.arange(n))


def _diagonal(x: Traced, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Traced:
    if (axis1 % x.ndim, axis2 % x.ndim) != (x.ndim - 2, x.ndim - 1):
        x = _moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    row, column = -min(offset, 0), max(offset, 0)
    count = max(min(rows - row, columns - column), 0)
    if not count:
        return x[..., 0, :0] if rows else x.reshape((*x.shape[:-2], 0))
    flat = x.reshape((*x.shape[:-2], rows * columns))
    start = row * columns + column
    return flat[..., start : start + (count - 1) * (columns + 1) + 1 : columns + 1]


# Indices


def _take(x: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Traced:
    """Out of range, all modes read within the array; `valid` says whether that counts."""
    if axis is None or out is not None or mode == "wrap":
        raise Untraceable("take with options")
    x = value_of(x)
    axis %= len(x.shape)
    return Traced(make.gathered(x, make.within(value_of(indices), x.shape[axis]), axis))


def _take_along_axis(x: Any, indices: Any, axis: int = -1) -> Traced:
    x = value_of(x)
    axis %= len(x.shape)
    return Traced(make.taken_along(x, make.within(value_of(indices), x.shape[axis]), axis))


def _scatter_add(g: Any, index: Any, *, axis: int, extent: int) -> Traced:
    return Traced(make.scattered(value_of(g), make.within(value_of(index), extent), axis, extent))


def _scatter_along(g: Any, index: Any, *, axis: int, extent: int) -> Traced:
    index = make.within(value_of(index), extent)
    return Traced(make.scattered_along(value_of(g), index, axis, extent))


def _scatter_max(g: Any, index: Any, *, axis: int, extent: int, fill: Any) -> Traced:
    index = make.within(value_of(index), extent)
    return Traced(make.scattered_max(value_of(g), index, axis, extent, fill))


def _recurrence(a: Any, b: Any, *, axis: int) -> Traced:
    dtype = np.result_type(a.dtype, b.dtype)
    operands = [make.cast(value_of(x), dtype) for x in (a, b)]
    return Traced(make.accumulated("recurrence", operands, axis))


def _extreme_place(name: str) -> Any:
    def function(x: Traced, axis: Any = None, out: Any = None, keepdims: Any = False) -> Traced:
        if out is not None:
            raise Untraceable(f"{name} with out=")
        axes = axes_of(x, axis)
        made = Traced(make.reduced(name, x.value, axes, np.int64))
        return kept(made, x, axes) if keepdims is True else made

    return function


def _windows(x: Traced, window_shape: Any, axis: Any = None, **options: Any) -> Traced:
    if axis is None or options:
        raise Untraceable("windows with options")
    sizes = window_shape if isinstance(window_shape, tuple | list) else (window_shape,)
    axes = [n % x.ndim for n in (axis if isinstance(axis, tuple | list) else (axis,))]
    return x.seen_as(make.windows(x.value, axes, sizes))


def _float_function(name: str) -> Any:
    """A function of elements that NumPy lacks; integers become float64."""

    def function(x: Traced) -> Traced:
        dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
        return mapped(name, [x], [dtype], dtype)

    return function


def _shape(x: Traced) -> Shape:
    return x.shape


def _vdot(a: Any, b: Any) -> Any:
    """Of an array with itself a reduction of its own: added up as quickly as BLAS does it."""
    if not isinstance(a, Traced) or a is not b or a.dtype != np.float64 or not a.ndim:
        return np.sum(np.reshape(a, -1) * np.reshape(b, -1))
    return Traced(make.reduced("squares", a.value, range(a.ndim), a.dtype))


def _magnitudes(x: Traced) -> Traced:
    """A reduction of all axes to a few numbers."""
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(np.float32 if x.dtype.kind == "f" else np.float64)
    flat = x if x.ndim else x.reshape(1)
    params = {"function": "magnitudes", "axes": tuple(range(flat.ndim))}
    return Traced(Value("reduce", (BINS,), counts_of(x.size), (flat.value,), params))


FUNCTIONS.update(
    {
        np.where: _where,
        np.vdot: _vdot,
        np.clip: _clip,
        np.round: _round,
        np.result_type: _result_type,
        np.shape: _shape,
        np.ndim: lambda x: x.ndim,
        np.size: lambda x: x.size,
        np.reshape: lambda x, shape, **o: x.reshape(shape),
        np.transpose: lambda x, axes=None: x.transpose(*(axes or ())),
        np.moveaxis: _moveaxis,
        np.swapaxes: lambda x, axis1, axis2: x.swapaxes(axis1, axis2),
        np.broadcast_to: _broadcast_to,
        np.broadcast_arrays: _broadcast_arrays,
        np.expand_dims: _expand_dims,
        np.squeeze: lambda x, axis=None: x.squeeze(axis),
        np.flip: _flip,
        np.roll: _roll,
        np.zeros_like: _like,
        np.empty_like: _like,
        np.ones_like: lambda x, *args, **o: _full_like(x, 1, *args, **o),
        np.full_like: _full_like,
        np.concatenate: _concatenate,
        np.stack: _stack,
        np.split: _split,
        np.tril: _tril,
        np.triu: _triu,
        np.diagonal: _diagonal,
        np.sum: lambda x, axis=None, dtype=None, keepdims=False, **o: x.sum(axis, dtype, keepdims),
        np.max: lambda x, axis=None, keepdims=False, **o: x.max(axis, keepdims),
        np.min: lambda x, axis=None, keepdims=False, **o: x.min(axis, keepdims),
        np.all: lambda x, axis=None, keepdims=False, **o: x.all(axis, keepdims),
        np.any: lambda x, axis=None, keepdims=False, **o: x.any(axis, keepdims),
        np.argmax: _extreme_place("argmax"),
        np.argmin: _extreme_place("argmin"),
        np.take: _take,
        np.take_along_axis: _take_along_axis,
        sliding_window_view: _windows,
        scatter_add: _scatter_add,
        scatter_along: _scatter_along,
        scatter_max: _scatter_max,
        recurrence: _recurrence,
        magnitudes: _magnitudes,
        erf: _float_function("erf"),
        erfc: _float_function("erfc"),
    }
)
