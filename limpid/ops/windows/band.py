"""The matrices of resampling along one axis: few nonzero numbers in every row, side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from limpid.graph.node import Array

WIDE = 64  # elements that a block of the matrix reads, or makes, at most
TABLES = 128  # matrices that are kept
CUBIC, SHARPER_CUBIC = -0.75, -0.5  # the slope at distance 1; the second for the larger filters


class Matrix(NamedTuple):
    """Which matrix: how `source` elements of an axis become `target`, or the transpose of that."""

    kind: str
    source: int
    target: int
    align: bool  # whether the centres of the outer elements stay where they are
    scale: float  # the ratio of the extents; 0 if it is that of source and target
    adjoint: bool
    single: bool  # whether places are those that float32 gives, as PyTorch has them for such arrays

    @property
    def read(self) -> int:
        """How many columns it has."""
        return self.target if self.adjoint else self.source

    @property
    def made(self) -> int:
        """How many rows it has."""
        return self.source if self.adjoint else self.target

    @property
    def step(self) -> float:
        """The distance between two results, in elements of the source."""
        if self.align:
            return (self.source - 1) / (self.target - 1) if self.target > 1 else 0.0
        return 1 / self.scale if self.scale else self.source / self.target


class Band(NamedTuple):
    """y[o] = Σ_t weights[o, t] · x[first[o] + t]."""

    first: Array  # (m,)
    weights: Array  # (m, taps) in float64
    common: float  # the weight of all taps, where it is the same, else 0
    picks: bool  # whether there is one tap alone, of the common weight
    parts: bool  # whether x is cut into parts of as many elements, all of the common weight

    @property
    def taps(self) -> int:
        """How many there are for each result."""
        return self.weights.shape[1]


@lru_cache(TABLES)
def band(matrix: Matrix) -> Band:
    """The numbers of a matrix."""
    columns, weights = KINDS[matrix.kind](matrix)  # both (target, taps)
    rows = np.broadcast_to(np.arange(matrix.target)[:, None], columns.shape)
    if matrix.adjoint:
        rows, columns = columns, rows
    return _compact(rows, columns, weights, matrix.made, matrix.read)


def _compact(rows: Array, columns: Array, weights: Array, count: int, read: int) -> Band:
    """The matrix (count, read) from its elements; those at the same place add up."""
    used = weights != 0
    rows, columns, weights = rows[used], columns[used], weights[used]
    first = np.full(count, np.iinfo(np.intp).max)
    np.minimum.at(first, rows, columns)
    taps = int((columns - first[rows]).max(initial=0)) + 1
    made = np.zeros((count, taps))
    np.add.at(made, (rows, columns - first[rows]), weights)
    first[~made.any(1)] = 0  # rows of zeros
    common = float(made[0, 0]) if (made == made[0, 0]).all() else 0.0
    cut = count * taps == read and np.array_equal(first, np.arange(count) * taps)
    return Band(first, made, common, taps == 1 and common != 0, cut and taps > 1 and common != 0)


@lru_cache(TABLES)
def blocks(matrix: Matrix, dtype: str) -> tuple[tuple[slice, slice, Array], ...]:
    """(rows, columns, dense matrix) for each of the blocks that the band is cut into."""
    table, made, read = band(matrix), matrix.made, matrix.read
    step = min(max(WIDE * made // read, 4), WIDE)
    return tuple(_block(table, o, min(o + step, made), dtype) for o in range(0, made, step))


def _block(table: Band, start: int, stop: int, dtype: str) -> Any:
    first, weights = table.first[start:stop], table.weights[start:stop]
    rows, taps = np.nonzero(weights)
    columns = first[rows] + taps
    low, high = (int(columns.min()), int(columns.max()) + 1) if columns.size else (0, 1)
    dense = np.zeros((stop - start, high - low), dtype)
    dense[rows, columns - low] = weights[rows, taps]
    return slice(start, stop), slice(low, high), dense


@lru_cache(TABLES)
def joint(matrices: tuple[Matrix, ...], dtype: str) -> Array:
    """The matrix for several axes in a row, transposed: (∏ read, ∏ made)."""
    whole: Array = np.ones((1, 1))
    for matrix in matrices:
        _, columns, some = _block(band(matrix), 0, matrix.made, "float64")
        dense = np.zeros((matrix.made, matrix.read))
        dense[:, columns] = some
        whole = np.kron(whole, dense)
    return np.ascontiguousarray(whole.T, dtype)


Taps = tuple[Array, Array]  # for every result the elements that are read, and their weights


def _places(matrix: Matrix) -> Array:
    """The place of every result, in elements of the source."""
    results = np.arange(matrix.target)
    return matrix.step * results if matrix.align else matrix.step * (results + 0.5) - 0.5


def _picked(places: Array, matrix: Matrix) -> Taps:
    """One tap each; PyTorch rounds the places to float32 before it cuts them off."""
    index = np.floor(places.astype(np.float32)).astype(np.intp)
    return np.minimum(index, matrix.source - 1)[:, None], np.ones((len(index), 1))


def _nearest(matrix: Matrix) -> Taps:
    dtype: Any = np.float32 if matrix.single else np.float64
    return _picked(np.arange(matrix.target).astype(dtype) * dtype(matrix.step), matrix)


def _nearest_exact(matrix: Matrix) -> Taps:
    dtype: Any = np.float32 if matrix.single else np.float64
    step = np.float64(dtype(matrix.step))  # the product below is rounded once
    places = np.maximum((step * (np.arange(matrix.target) + 0.5) - 0.5).astype(dtype), 0)
    return _picked(places + dtype(0.5), matrix)


def _copied(matrix: Matrix) -> Taps:
    """An axis of the same extent, which PyTorch copies whatever the scale."""
    return np.arange(matrix.source)[:, None], np.ones((matrix.source, 1))


def _linear(matrix: Matrix) -> Taps:
    if matrix.target == matrix.source:
        return _copied(matrix)
    last = matrix.source - 1
    places = np.maximum(_places(matrix), 0)  # (m)
    left = np.minimum(np.floor(places).astype(np.intp), last)
    part = np.clip(places - left, 0, 1)
    return np.stack([left, np.minimum(left + 1, last)], 1), np.stack([1 - part, part], 1)


def _cubic_weight(distance: Array, slope: float) -> Array:
    """Keys 1981, Cubic convolution interpolation; its a is the slope at distance 1."""
    d = np.abs(distance)
    near = ((slope + 2) * d - (slope + 3)) * d * d + 1
    far = slope * (((d - 5) * d + 8) * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _cubic(matrix: Matrix) -> Taps:
    places = _places(matrix)[:, None]
    index = np.floor(places) + np.arange(-1, 3)  # (m, 4)
    weights = _cubic_weight(places - index, CUBIC)
    return np.clip(index, 0, matrix.source - 1).astype(np.intp), weights


def _area(matrix: Matrix) -> Taps:
    n, m, results = matrix.source, matrix.target, np.arange(matrix.target)
    start, stop = results * n // m, -(-(results + 1) * n // m)  # (m)
    index = start[:, None] + np.arange((stop - start).max())  # (m, taps)
    inside = index < stop[:, None]
    return np.minimum(index, n - 1), inside / (stop - start)[:, None]


def _antialias(weight: Callable[[Array], Array], radius: int) -> Callable[[Matrix], Taps]:
    """Filters as wide as the distance of two results, where that is more than one element."""

    def taps(matrix: Matrix) -> Taps:
        if matrix.target == matrix.source:
            return _copied(matrix)
        wider = max(matrix.step, 1.0)
        reach = radius * wider
        centre = matrix.step * (np.arange(matrix.target) + 0.5)  # (m), from the edge
        start = np.maximum((centre - reach + 0.5).astype(np.intp), 0)
        stop = np.minimum((centre + reach + 0.5).astype(np.intp), matrix.source)
        count = np.clip(stop - start, 0, ceil(reach) * 2 + 1)
        index = start[:, None] + np.arange(count.max())  # (m, taps)
        weights = weight((index - centre[:, None] + 0.5) / wider)
        weights = weights * (index < (start + count)[:, None])
        return np.minimum(index, matrix.source - 1), weights / weights.sum(1, keepdims=True)

    return taps


def _tent(distance: Array) -> Array:
    return np.maximum(1 - np.abs(distance), 0)


def _lanczos(distance: Array) -> Array:
    inside = np.abs(distance) < 3
    return np.where(inside, np.sinc(distance) * np.sinc(distance / 3), 0.0)


KINDS: dict[str, Callable[[Matrix], Taps]] = {
    "nearest": _nearest,
    "nearest-exact": _nearest_exact,
    "linear": _linear,
    "cubic": _cubic,
    "area": _area,
    "linear-antialias": _antialias(_tent, 1),
    "cubic-antialias": _antialias(lambda d: _cubic_weight(d, SHARPER_CUBIC), 2),
    "lanczos-antialias": _antialias(_lanczos, 3),
}
