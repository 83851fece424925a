"""Bins and resampling in plain steps: elements at places that shapes, or edges, give."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from limpid.ops.windows.band import Matrix, band

SHORT = 8  # elements of one result up to which each is an array of its own


def largest_of_bins(x: Any, *edges: Any, widest: Sequence[int]) -> tuple[Any, Any]:
    """The largest of every bin, and its place: of equal ones the first, of several NaN the last."""
    spatial = x.shape[x.ndim - len(edges) :]
    y, places = x, None
    for axis in range(-1, -len(edges) - 1, -1):
        neighbour = prod(spatial[len(edges) + axis + 1 :]) if axis < -1 else 1
        y, places = _largest_along(y, places, edges[axis], axis, widest[axis], neighbour)
    return y, places


def _largest_along(
    x: Any, places: Any, edges: Any, axis: int, widest: int, neighbour: int
) -> tuple[Any, Any]:
    start, stop = (edges[..., side].astype(np.int64) for side in (0, 1))
    y: Any = None
    made: Any = None
    for k in range(widest):
        index = np.minimum(start + k, stop - 1)
        new, here = _read(x, index, axis), _aligned(index, x.ndim, axis) * neighbour
        if places is not None:
            here = here + _read(places, index, axis)
        if y is None:
            y, made = new, np.broadcast_to(here, new.shape)
            continue
        better = new > y
        if x.dtype.kind == "f":
            better = better | (new != new)
        y, made = np.where(better, new, y), np.where(better, here, made)
    return y, made


def _read(x: Any, index: Any, axis: int) -> Any:
    if index.ndim == 1:
        return np.take(x, index, axis)
    return np.take_along_axis(x, _aligned(index, x.ndim, axis), axis)


def _aligned(index: Any, rank: int, axis: int) -> Any:
    """Indices (O,) or (…, O) as an array that broadcasts against one of this rank."""
    lead, last = index.shape[:-1], index.shape[-1]
    before = rank + axis
    own = [1] * rank
    own[: len(lead)] = lead
    own[before] = last
    return index.reshape(tuple(own))


def resampled(
    x: Any,
    *,
    kind: str,
    axes: Sequence[int],
    source: Sequence[int],
    target: Sequence[int],
    scales: Sequence[float],
    align: bool,
    adjoint: bool,
) -> Any:
    """Axes resampled one after the other."""
    dtype = x.dtype
    if dtype == np.float16:
        x = x.astype(np.float32)
    single = x.dtype == np.float32
    sides = zip(axes, source, target, scales, strict=True)
    found = [
        (axis, Matrix(kind, n, m, align, scale, adjoint, single)) for axis, n, m, scale in sides
    ]
    for axis, matrix in sorted(found, key=lambda f: (f[1].made / f[1].read, -f[0])):
        x = _along(x, axis, matrix)
    return x.astype(dtype, copy=False)


def _along(x: Any, axis: int, matrix: Matrix) -> Any:
    table = band(matrix)
    first, count = table.first, matrix.made
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    if table.picks:
        every, rest = divmod(count, matrix.read)
        if not rest and (first == np.arange(count) // every).all():  # each element so often
            wide = np.expand_dims(x, axis + 1)
            wide = np.broadcast_to(wide, (*x.shape[: axis + 1], every, *after))
            y = wide.reshape((*before, count, *after))
        else:
            y = np.take(x, first, axis)
        return y if table.common == 1 else y * x.dtype.type(table.common)
    if table.parts:
        cut = x.reshape((*before, count, table.taps, *after))
        return np.add.reduce(cut, axis=axis + 1) * x.dtype.type(table.common)
    index = np.minimum(first[:, None] + np.arange(table.taps), matrix.read - 1)
    weights = table.weights.astype(x.dtype)
    if table.taps > SHORT:
        part = _weighted(np.take(x, index, axis), weights, len(after))  # (…, m, taps, …)
        return np.add.reduce(part, axis=axis + 1)
    total: Any = None
    for t in range(table.taps):
        part = _weighted(np.take(x, index[:, t], axis), weights[:, t], len(after))
        total = part if total is None else total + part
    return total


def _weighted(x: Any, weights: Any, behind: int) -> Any:
    """x · weights; 0 where these are 0, even if x is infinite."""
    weights = weights.reshape((*weights.shape, *(1,) * behind))
    y = x * weights
    return y if (weights != 0).all() else np.where(weights != 0, y, 0)
