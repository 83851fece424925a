"""Sampling at the places of a grid in plain steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from limpid.ops.plain.functions import scatter_along
from limpid.ops.windows.grid_taps import Taps

Orders = tuple[int, ...]


def sampled(x: Any, grid: Any, *, mode: str, padding: str, align: bool, orders: Orders) -> Any:
    """The images at the places: (N, C, *W), (N, *O, d) → (N, C, *O)."""
    dtype = np.result_type(x, grid)
    axes = _axes(grid, x.shape[2:], mode, padding, align, dtype)
    count = prod(grid.shape[1:-1])
    total: Any = np.zeros_like(grid, _wide(dtype), shape=(*x.shape[:2], count))
    for read, weight in zip(_reads(x, axes), _weights(axes, orders)):
        total = total + _weighted(read, weight)
    return total.reshape((*x.shape[:2], *grid.shape[1:-1])).astype(dtype, copy=False)


def spread(
    g: Any,
    grid: Any,
    *,
    extents: tuple[int, ...],
    mode: str,
    padding: str,
    align: bool,
    orders: Orders,
) -> Any:
    """The transpose of `sampled`: (N, C, *O), (N, *O, d) → (N, C, *W)."""
    dtype = np.result_type(g, grid)
    axes = _axes(grid, extents, mode, padding, align, dtype)
    given = _flat(g, axes)
    terms = list(zip(_indices(axes), _weights(axes, orders)))
    if not terms:
        return np.zeros_like(g, dtype, shape=(*g.shape[:2], *extents))
    index = np.concatenate([index for index, _ in terms], axis=1)[:, None]  # (N, 1, taps · p)
    values = np.concatenate([_weighted(given, weight) for _, weight in terms], axis=2)
    index = np.broadcast_to(index, values.shape)
    y = scatter_along(values, index, axis=2, extent=prod(extents))
    return y.reshape((*g.shape[:2], *extents)).astype(dtype, copy=False)


def slopes(
    g: Any, x: Any, grid: Any, *, mode: str, padding: str, align: bool, orders: Orders
) -> Any:
    """How Σ g · sample changes with each coordinate: (N, *O, d)."""
    dtype = np.result_type(np.result_type(g, x), grid)
    axes = _axes(grid, x.shape[2:], mode, padding, align, dtype)
    given = _flat(g, axes)
    raised = [(*orders[:k], orders[k] + 1, *orders[k + 1 :]) for k in range(len(orders))]
    weights = [list(_weights(axes, more)) for more in raised]
    totals: list[Any] = [np.zeros_like(axes[0].part) for _ in orders]
    for number, read in enumerate(_reads(x, axes) if any(weights) else ()):
        part = np.add.reduce(read * given, axis=1)  # (N, p)
        for k, along in enumerate(weights):
            if along:
                share = np.where(along[number] == 0, 0, part * along[number])
                totals[k] = totals[k] + share
    return np.stack(totals, axis=-1).reshape(grid.shape).astype(dtype, copy=False)


def _wide(dtype: Any) -> Any:
    return np.result_type(dtype, np.float32)


def _axes(
    grid: Any, extents: Sequence[int], mode: str, padding: str, align: bool, dtype: Any
) -> list[Taps]:
    """What is read along each axis, for places (N, p), whose last coordinate comes first."""
    rank = grid.shape[-1]
    places = grid.reshape((grid.shape[0], prod(grid.shape[1:-1]), rank)).astype(_wide(dtype))
    return [
        Taps(places[..., -1 - axis], extent, mode, padding, align)
        for axis, extent in enumerate(extents)
    ]


def _flat(x: Any, axes: Sequence[Taps]) -> Any:
    """(N, C, …) → (N, C, m), in the type of the weights."""
    shape = (*x.shape[:2], prod(x.shape[2:]))
    return x.reshape(shape).astype(axes[0].part.dtype, copy=False)


def _indices(axes: Sequence[Taps]) -> Iterator[Any]:
    """For each combination of taps, where its elements are within an image: (N, p)."""
    for first, *others in product(*[axis.indices for axis in axes]):
        index = first
        for axis, along in zip(axes[1:], others, strict=True):
            index = index * axis.extent + along
        yield index


def _weights(axes: Sequence[Taps], orders: Orders) -> Iterator[Any]:
    """The weights of the same combinations, (N, p); none at all if they are 0."""
    along = [axis.weights(order) for axis, order in zip(axes, reversed(orders), strict=True)]
    for first, *others in product(*along):
        weight = first
        for factor in others:
            weight = weight * factor
        yield weight


def _reads(x: Any, axes: Sequence[Taps]) -> Iterator[Any]:
    """The elements of each combination: (N, C, p)."""
    flat = _flat(x, axes)
    for index in _indices(axes):
        wide = np.broadcast_to(index[:, None], (*x.shape[:2], index.shape[1]))
        yield np.take_along_axis(flat, wide, axis=2)


def _weighted(part: Any, weight: Any) -> Any:
    """part (N, C, p) × weight (N, p); 0 where the weight is 0 even if the part is infinite."""
    weight = weight[:, None]
    return np.where(weight == 0, 0, part * weight)
