"""Making axes longer: padding, tiles, repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.relation import Relation
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import result_type
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.axes import normal_axis
from limpid.ops.gather import take
from limpid.ops.index import get_item, set_item
from limpid.ops.layout import broadcast_to, renamed, reshape
from limpid.ops.reduce import sum
from limpid.tensor import Tensor, to_array

Widths = tuple[tuple[int, int], ...]  # for every axis, how many before and after


def _inside(shape: tuple[int, ...], widths: Widths) -> tuple[slice, ...]:
    """The place of x in the padded array."""
    return tuple([slice(before, before + n) for n, (before, _) in zip(shape, widths, strict=True)])


def _padded(x: Array, value: Any, *, widths: Widths) -> Array:
    shape = [before + n + after for n, (before, after) in zip(x.shape, widths, strict=True)]
    out = np.full(shape, value, x.dtype)
    out[_inside(x.shape, widths)] = x
    return out


def _padded_spec(x: Spec, value: Any, *, widths: Widths) -> Spec:
    if isinstance(value, Spec) and value.shape:
        raise ShapeError(f"the value to pad with is one number, not an array of {value.shape}")
    shape = [before + n + after for n, (before, after) in zip(x.shape, widths, strict=True)]
    kind = value.dtype if isinstance(value, Spec) else value
    return Spec(tuple(shape), result_type([x.dtype, kind]))


def _pad_relation(x: Spec, value: Spec, *, widths: Widths) -> Relation:
    labels = tuple(range(x.ndim))
    moved = [axis for axis, width in enumerate(widths) if width != (0, 0)]
    return Relation((labels, ()), (labels,), moved=frozenset(moved))


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
    x = x if isinstance(x, Tensor) else to_array(x)
    widths = _widths(pad_width, len(x.shape))
    if mode == "constant":
        return _pad(x, _number(constant_values), widths=widths)
    if mode not in MODES:
        raise ArgumentError(f"pad: mode is one of constant, {', '.join(MODES)}, not {mode!r}")
    result = x
    for axis, width in enumerate(widths):
        if width != (0, 0):
            result = take(result, _source(x.shape[axis], width, mode), axis)
    return renamed(x) if result is x else result


def _number(value: Any) -> Any:
    """The value to pad with: a Python number, which is weak, a tensor or an array."""
    return value if isinstance(value, Tensor | int | float) else to_array(value)


def _source(extent: int, width: tuple[int, int], mode: str) -> Array:
    """For every place of the padded axis, the index in x that it repeats."""
    if not extent:
        raise ShapeError(f"pad: an axis without elements can't be padded by {mode!r}")
    mode_name: Any = MODES[mode]
    return np.pad(np.arange(extent), width, mode=mode_name)


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
    x = x if isinstance(x, Tensor) else to_array(x)
    given = repetitions if isinstance(repetitions, tuple | list) else (repetitions,)
    counts = [_count(n) for n in given]
    rank = max(len(counts), len(x.shape))
    counts = [1] * (rank - len(counts)) + counts
    shape = (1,) * (rank - len(x.shape)) + x.shape
    apart = [n for extent in shape for n in (1, extent)]  # (1, n₀, 1, n₁, …)
    wide = [n for pair in zip(counts, shape, strict=True) for n in pair]  # (r₀, n₀, r₁, n₁, …)
    final = tuple(r * n for r, n in zip(counts, shape, strict=True))
    return reshape(broadcast_to(reshape(x, tuple(apart)), tuple(wide)), final)


def _count(n: Any) -> int:
    if not hasattr(n, "__index__") or n.__index__() < 0:
        raise ArgumentError(f"a number of repetitions is an integer of 0 or more, not {n!r:.40}")
    return int(n.__index__())


@operation
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element repeated along an axis; of all elements in a row for axis None.

    repeats  one number, or one for every index of the axis

    >>> import limpid
    >>> limpid.repeat(limpid.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    x = x if isinstance(x, Tensor) else to_array(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normal_axis(axis, len(x.shape))
    shape, extent = x.shape, x.shape[axis]
    if _several(repeats):
        counts = np.asarray(repeats)
        if counts.shape not in ((1,), (extent,)):
            raise ShapeError(f"{counts.shape} repeats for {extent} indices of axis {axis}")
        for n in counts:
            _count(n)
        return take(x, np.repeat(np.arange(extent), counts), axis)
    count = _count(repeats)
    apart = reshape(x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))  # (…, n, 1, …)
    wide = broadcast_to(apart, (*shape[: axis + 1], count, *shape[axis + 1 :]))
    return reshape(wide, (*shape[:axis], extent * count, *shape[axis + 1 :]))


def _several(repeats: Any) -> bool:
    return isinstance(repeats, Sequence) or bool(getattr(repeats, "shape", ()))
