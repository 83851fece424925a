"""Making axes longer: padding, tiles, repetitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation, along_relation
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import result_type
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.axes import integer, normal_axis
from limpid.ops.gather import take
from limpid.ops.index import get_item, set_item
from limpid.ops.layout import broadcast_to, renamed, reshape
from limpid.ops.plain import padding as plain
from limpid.ops.reduce import sum
from limpid.tensor import Tensor, operand, to_array

Widths = tuple[tuple[int, int], ...]  # for every axis, how many before and after


def _inside(shape: tuple[int, ...], widths: Widths) -> tuple[slice, ...]:
    """The place of x in the padded array."""
    return tuple([slice(before, before + n) for n, (before, _) in zip(shape, widths, strict=True)])


def _outside(shape: tuple[int, ...], widths: Widths) -> tuple[int, ...]:
    """The shape of the padded array."""
    return tuple([before + n + after for n, (before, after) in zip(shape, widths, strict=True)])


def _longer(widths: Widths) -> list[int]:
    """The axes that are padded."""
    return [axis for axis, width in enumerate(widths) if width != (0, 0)]


def _padded(x: Array, value: Any, *, widths: Widths) -> Array:
    out = np.full(_outside(x.shape, widths), value, x.dtype)
    out[_inside(x.shape, widths)] = x
    return out


def _padded_spec(x: Spec, value: Any, *, widths: Widths) -> Spec:
    if isinstance(value, Spec) and value.shape:
        raise ShapeError(f"the value to pad with is one number, not an array of {value.shape}")
    kind = value.dtype if isinstance(value, Spec) else value
    return Spec(_outside(x.shape, widths), result_type([x.dtype, kind]))


def _pad_relation(x: Spec, value: Spec, *, widths: Widths) -> Relation:
    labels = tuple(range(x.ndim))
    return Relation((labels, ()), (labels,), moved=frozenset(_longer(widths)))


_pad = linear(
    "pad",
    _padded,
    transpose=[
        lambda g, x, value, *, widths: get_item(g, _inside(x.shape, widths)),
        lambda g, x, value, *, widths: sum(set_item(g, _inside(x.shape, widths), 0)),
    ],
    shape=_padded_spec,
    relation=_pad_relation,
    math=r"\mathrm{pad}({x})",
    native=plain.padded,
)

Run = tuple[slice, slice]  # where elements are repeated, and where they are; 1 may be for all


@lru_cache(1024)
def _runs(extent: int, width: tuple[int, int], mode: str) -> tuple[Run, ...]:
    """What is repeated at both ends of an axis, as slices of the longer axis."""
    if not extent:
        raise ShapeError(f"pad: an axis without elements can't be padded by {mode!r}")
    how: Any = mode
    before, after = width
    source = np.pad(np.arange(extent), width, mode=how) + before
    whole = before + extent + after
    return (*_cut(source, 0, before), *_cut(source, before + extent, whole))


def _cut(source: Array, start: int, stop: int) -> Iterator[Run]:
    """A part of an axis cut into runs whose sources go up, go down or stay."""
    while start < stop:
        first = int(source[start])
        step = int(source[start + 1]) - first if start + 1 < stop else 1
        end = start + 1
        while end < stop and source[end] - source[end - 1] == step and abs(step) < 2:
            end += 1
        last = first + (end - 1 - start) * step
        below = last - 1 if last else None
        yield slice(start, end), slice(first, below, -1) if step < 0 else slice(first, last + 1)
        start = end


def _sides(
    shape: tuple[int, ...], widths: Widths, mode: str
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Places of repeated elements, and of their sources: one axis after the other."""
    inside = _inside(shape, widths)
    for axis, width in enumerate(widths):
        for made, source in _runs(shape[axis], width, mode) if width != (0, 0) else ():
            before, after = (slice(None),) * axis, inside[axis + 1 :]
            yield (*before, made, *after), (*before, source, *after)


def _extended(x: Array, *, widths: Widths, mode: str) -> Array:
    out = np.empty(_outside(x.shape, widths), x.dtype)
    out[_inside(x.shape, widths)] = x
    for made, source in _sides(x.shape, widths, mode):
        out[made] = out[source]
    return out


def _added_back(g: Array, *, widths: Widths, mode: str) -> Array:
    shape = _core(g.shape, widths)
    total = g.copy()
    for made, source in reversed(list(_sides(shape, widths, mode))):
        part, into = total[made], total[source]
        if part.shape != into.shape:  # one element that was repeated
            axis = next(i for i, n in enumerate(into.shape) if n != part.shape[i])
            part = part.sum(axis, part.dtype, keepdims=True)
        into += part
    return np.ascontiguousarray(total[_inside(shape, widths)])


def _extended_spec(x: Spec, *, widths: Widths, mode: str) -> Spec:
    for extent, width in zip(x.shape, widths, strict=True):
        if width != (0, 0):
            _runs(extent, width, mode)  # raises
    return Spec(_outside(x.shape, widths), x.dtype)


def _core(shape: tuple[int, ...], widths: Widths) -> tuple[int, ...]:
    """The shape without the padding."""
    return tuple([n - before - after for n, (before, after) in zip(shape, widths, strict=True)])


_extend: Primitive = linear(
    "extend",
    _extended,
    transpose=lambda g, x, **params: _add_back(g, **params),
    shape=_extended_spec,
    relation=lambda x, *, widths, mode: along_relation(x.ndim, _longer(widths), "moved"),
    numeric="any",
    math=r"\mathrm{pad}({x})",
    native=lambda x, *, widths, mode: plain.extended(x, widths, partial(_runs, mode=mode)),
)
_add_back: Primitive = linear(
    "add_back",
    _added_back,
    transpose=lambda x, g, **params: _extend(x, **params),
    shape=lambda g, *, widths, mode: Spec(_core(g.shape, widths), g.dtype),
    relation=lambda g, *, widths, mode: along_relation(g.ndim, _longer(widths), "mixed"),
    math=r"\mathrm{pad}^T({g})",
    native=lambda g, *, widths, mode: plain.added_back(g, widths, partial(_runs, mode=mode)),
)

# Modes that repeat elements, under NumPy's names and PyTorch's.
MODES = {
    "reflect": "reflect",
    "symmetric": "symmetric",
    "edge": "edge",
    "replicate": "edge",
    "wrap": "wrap",
    "circular": "wrap",
}


@operation
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    """The array with elements added at the ends of its axes.

    pad_width  ((before, after), …) for each axis, one such pair for all, or one number
    mode       "constant"; "reflect" (abc → cb|abc|ba), "symmetric" (ba|abc|cb), "edge" or
               "replicate" (aa|abc|cc), "wrap" or "circular" (bc|abc|ab)
    constant_values  one number; a gradient flows back to it if it is a tensor

    Raises ArgumentError for negative widths (slice instead) and unknown modes.

    >>> import limpid
    >>> limpid.pad(limpid.tensor([1.0, 2.0, 3.0]), (2, 1), "reflect")
    tensor([3., 2., 1., 2., 3., 2.])
    """
    x = operand(x)
    widths = _widths(pad_width, len(x.shape))
    if mode == "constant":
        return _pad(x, _number(constant_values), widths=widths)
    if mode not in MODES:
        raise ArgumentError(f"pad: mode is one of constant, {', '.join(MODES)}, not {mode!r}")
    return _extend(x, widths=widths, mode=MODES[mode]) if _longer(widths) else renamed(x)


def _number(value: Any) -> Any:
    """The value to pad with: a Python number, which is weak, a tensor or an array."""
    return value if isinstance(value, Tensor | int | float) else to_array(value)


def _widths(given: Any, rank: int) -> Widths:
    try:
        pairs = np.broadcast_to(np.asarray(given), (rank, 2)).tolist()
        widths = tuple((before.__index__(), after.__index__()) for before, after in pairs)
    except (ValueError, AttributeError):
        raise ArgumentError(
            f"pad_width is an integer, a pair, or a pair for each of {rank} axes, not {given!r:.60}"
        ) from None
    if min((n for width in widths for n in width), default=0) < 0:
        raise ArgumentError(f"pad widths must be 0 or more, not {given}; slice to make it shorter")
    return widths


@operation
def tile(x: Any, repetitions: Any) -> Any:
    """Copies side by side along each axis; new axes come first if there are more numbers.

    >>> import limpid
    >>> limpid.tile(limpid.tensor([1, 2]), 2)
    tensor([1, 2, 1, 2])
    """
    x = operand(x)
    given = repetitions if isinstance(repetitions, tuple | list) else (repetitions,)
    counts = [integer(n, "a number of repetitions") for n in given]
    rank = max(len(counts), len(x.shape))
    counts = [1] * (rank - len(counts)) + counts
    shape = (1,) * (rank - len(x.shape)) + x.shape
    apart = [n for extent in shape for n in (1, extent)]  # (1, n₀, 1, n₁, …)
    wide = [n for pair in zip(counts, shape, strict=True) for n in pair]  # (r₀, n₀, r₁, n₁, …)
    final = tuple(r * n for r, n in zip(counts, shape, strict=True))
    return reshape(broadcast_to(reshape(x, tuple(apart)), tuple(wide)), final)


@operation
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element repeated along an axis; of all elements in a row for axis None.

    repeats  one number, or one for every index of the axis

    >>> import limpid
    >>> limpid.repeat(limpid.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    x = operand(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normal_axis(axis, len(x.shape))
    shape, extent = x.shape, x.shape[axis]
    if _several(repeats):
        counts = np.asarray(repeats)
        if counts.shape not in ((1,), (extent,)):
            raise ShapeError(f"{counts.shape} repeats for {extent} indices of axis {axis}")
        for n in counts:
            integer(n, "a number of repetitions")
        return take(x, np.repeat(np.arange(extent), counts), axis)
    count = integer(repeats, "a number of repetitions")
    apart = reshape(x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))  # (…, n, 1, …)
    wide = broadcast_to(apart, (*shape[: axis + 1], count, *shape[axis + 1 :]))
    return reshape(wide, (*shape[:axis], extent * count, *shape[axis + 1 :]))


def _several(repeats: Any) -> bool:
    return isinstance(repeats, Sequence) or bool(getattr(repeats, "shape", ()))
