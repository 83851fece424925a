"""Sampling an image at the places of a grid: one primitive and its adjoint, of any order.

The weights of a sample are products of one function for each axis. A derivative with respect to
the grid is the same sample with the derivative of one of these functions, so `orders`, how often
each is differentiated, closes the family.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, transpose
from limpid.differentiation.failure import name_errors
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import as_dtype, result_type
from limpid.graph.node import Array, Spec
from limpid.ops.cast import as_floats
from limpid.ops.layout import expand_dims
from limpid.ops.plain import grid as plain
from limpid.ops.windows.grid_taps import Taps
from limpid.tensor import operand

Orders = tuple[int, ...]
Shape = tuple[int, ...]
BLOCK = 1 << 16  # elements that are gathered at once
POINTS = 1 << 13  # places whose weights are computed at once
KINK = (
    "between two elements the slope is that to the right; it is 0 where a place is held at the "
    "border, and everywhere for nearest"
)


def _sampled(
    x: Array, grid: Array, *, mode: str, padding: str, align: bool, orders: Orders
) -> Array:
    _check(x, grid, orders)
    y = np.empty((*x.shape[:2], *grid.shape[1:-1]), np.result_type(x, grid))
    source, made, places = _flat(x, 2), _flat(y, 2), _flat(grid, 1, 1)
    masked = not np.isfinite(x).all()
    for i, j in _chunks(made.shape):
        axes = _axes(places[i, j], x.shape[2:], mode, padding, align, y.dtype)
        read = _channels(source[i], axes)  # (C, n·Q)
        total = np.zeros((len(read), axes[0].size), read.dtype)  # (C, n·p)
        part = np.empty_like(total)
        for index, weight in zip(_indices(axes), _weights(axes, orders)):
            read.take(index.reshape(-1), 1, part, "clip")
            total += _weighted(part, weight.reshape(-1), masked)
        made[i, :, j] = total.reshape(len(read), *places[i, j].shape[:2]).swapaxes(0, 1)
    return y


def _spread(
    g: Array, grid: Array, *, extents: Shape, mode: str, padding: str, align: bool, orders: Orders
) -> Array:
    _check_finite(grid)
    dtype = np.result_type(g, grid)
    x = np.zeros((*g.shape[:2], *extents), np.result_type(dtype, np.float32))
    given, into, places = _flat(g, 2), _flat(x, 2), _flat(grid, 1, 1)
    masked = not np.isfinite(g).all()
    for i, j in _chunks(given.shape):
        axes = _axes(places[i, j], extents, mode, padding, align, dtype)
        count, channels, size = into[i].shape
        image, channel = np.ogrid[:count, :channels]
        rows = ((channels - 1) * image + channel)[..., None] * size  # (n, C, 1)
        for index, weight in zip(_indices(axes), _weights(axes, orders)):  # (n, p)
            part = _weighted(given[i, :, j].astype(x.dtype), weight[:, None], masked)  # (n, C, p)
            at = (rows + index[:, None]).reshape(-1)
            np.add.at(into[i].reshape(-1), at, part.reshape(-1))
    return x.astype(dtype, copy=False)


def _slopes(
    g: Array, x: Array, grid: Array, *, mode: str, padding: str, align: bool, orders: Orders
) -> Array:
    _check(x, grid, orders)
    dtype = np.result_type(np.result_type(g, x), grid)
    y = np.zeros(grid.shape, np.result_type(dtype, np.float32))
    source, given, places, made = _flat(x, 2), _flat(g, 2), _flat(grid, 1, 1), _flat(y, 1, 1)
    masked = not (np.isfinite(x).all() and np.isfinite(g).all())
    for i, j in _chunks(given.shape):
        axes = _axes(places[i, j], x.shape[2:], mode, padding, align, dtype)
        read, upstream = _channels(source[i], axes), _channels(given[i, :, j], axes)
        weights = [list(_weights(axes, _raised(orders, k))) for k in range(len(orders))]
        for number, index in enumerate(_indices(axes) if any(weights) else ()):
            part = np.einsum("cp,cp->p", read.take(index.reshape(-1), 1, mode="clip"), upstream)
            for k, along in enumerate(weights):
                if along:
                    share = _weighted(part.copy(), along[number].reshape(-1), masked)
                    made[i, j, k] += share.reshape(index.shape)
    return y.astype(dtype, copy=False)


def _weighted(part: Array, weight: Array, masked: bool) -> Array:
    """part × weight; 0 where the weight is 0 even if the part is infinite or NaN."""
    part *= weight
    if masked:
        part[np.broadcast_to(weight == 0, part.shape)] = 0
    return part


def _flat(x: Array, first: int, last: int = 0) -> Array:
    """The axes between the first and the last ones as one."""
    middle = x.shape[first : x.ndim - last]
    return x.reshape(*x.shape[:first], prod(middle), *x.shape[x.ndim - last :])


def _channels(x: Array, axes: list[Taps]) -> Array:
    """(n, C, m) → (C, n·m), in the type of the weights."""
    flat = x.swapaxes(0, 1).reshape(x.shape[1], x.shape[0] * x.shape[2])
    return flat.astype(axes[0].part.dtype, copy=False)


def _axes(
    places: Array, extents: Shape, mode: str, padding: str, align: bool, dtype: Any
) -> list[Taps]:
    """What is read along each axis, for places (n, p, d), whose last coordinate comes first."""
    places = places.astype(np.result_type(dtype, np.float32), copy=False)
    return [
        Taps(places[..., -1 - axis], extent, mode, padding, align)
        for axis, extent in enumerate(extents)
    ]


def _indices(axes: list[Taps]) -> Iterator[Array]:
    """For each combination of taps, where its elements are in the memory of n images: (n, p)."""
    for combination in product(*[axis.indices for axis in axes]):
        index: Array = np.arange(len(combination[0]))[:, None]  # the image
        for axis, along in zip(axes, combination, strict=True):
            index = index * axis.extent + along
        yield index


def _weights(axes: list[Taps], orders: Orders) -> Iterator[Array]:
    """The weights of the same combinations, (n, p); none at all if they are 0."""
    along = [axis.weights(order) for axis, order in zip(axes, reversed(orders), strict=True)]
    for first, *others in product(*along):
        weight = first
        for factor in others:
            weight = weight * factor
        yield weight


def _chunks(shape: Shape) -> Iterator[tuple[slice, slice]]:
    """Images and points that are worked on together: several images, or a part of one."""
    images, channels, points = shape
    if not images * channels * points:
        return
    most = max(min(POINTS, BLOCK // channels), 1)
    count, width = max(most // points, 1), min(points, most)
    for i in range(0, images, count):
        for j in range(0, points, width):
            yield slice(i, min(i + count, images)), slice(j, j + width)


def _check(x: Any, grid: Any, orders: Orders) -> None:
    """Shapes of arrays or specs; and of an array, whether its numbers are finite."""
    rank = len(orders)
    if x.ndim != rank + 2 or grid.ndim != rank + 2 or grid.shape[-1] != rank:
        raise ShapeError(
            f"grid_sample: an input (N, C, …) with {rank} more axes needs a grid (N, …, {rank}) "
            f"with {rank + 2} axes, but the shapes are {x.shape} and {grid.shape}"
        )
    if x.shape[0] != grid.shape[0]:
        raise ShapeError(f"grid_sample: {x.shape[0]} images but {grid.shape[0]} grids")
    if 0 in x.shape[2:]:
        raise ShapeError(f"grid_sample: there is nothing to sample in images of {x.shape[2:]}")
    if isinstance(grid, np.ndarray):
        _check_finite(grid)


def _check_finite(grid: Array) -> None:
    finite = np.isfinite(grid)
    if not finite.all():
        where = tuple(np.argwhere(~finite)[0].tolist())
        raise ArgumentError(f"grid_sample: the grid is {grid[where]} at {where}")


def _sampled_spec(x: Spec, grid: Spec, *, orders: Orders, **params: Any) -> Spec:
    _check(x, grid, orders)
    return Spec((*x.shape[:2], *grid.shape[1:-1]), result_type([x.dtype, grid.dtype]))


def _spread_spec(g: Spec, grid: Spec, *, extents: Shape, **params: Any) -> Spec:
    return Spec((*g.shape[:2], *extents), result_type([g.dtype, grid.dtype]))


def _slopes_spec(g: Spec, x: Spec, grid: Spec, **params: Any) -> Spec:
    return Spec(grid.shape, result_type([g.dtype, x.dtype, grid.dtype]))


def _labels(rank: int) -> tuple[Any, Any, Any]:
    """Of images, of grids, and of what is at their places; n, c and the places are shared."""
    places, spatial = tuple(range(rank)), tuple(f"x{axis}" for axis in range(rank))
    return ("n", "c", *spatial), ("n", *places, "k"), ("n", "c", *places)


def _sampled_relation(x: Spec, grid: Spec, **params: Any) -> Relation:
    images, grids, samples = _labels(grid.ndim - 2)
    return Relation((images, grids), (samples,))


def _spread_relation(g: Spec, grid: Spec, **params: Any) -> Relation:
    images, grids, samples = _labels(grid.ndim - 2)
    return Relation((samples, grids), (images,))


def _slopes_relation(g: Spec, x: Spec, grid: Spec, **params: Any) -> Relation:
    images, grids, samples = _labels(grid.ndim - 2)
    made = (*grids[:-1], "direction")  # one coordinate moves the slopes by all of them
    return Relation((samples, images, grids), (made,))


def _raised(orders: Orders, k: int) -> Orders:
    """Differentiated once more by coordinate k."""
    return (*orders[:k], orders[k] + 1, *orders[k + 1 :])


def _moved(h: Any, x: Any, grid: Any, orders: Orders, params: Any) -> Any:
    """How the samples change when the grid moves by h: Σ_k h_k · ∂sample/∂grid_k."""
    total: Any = None
    for k in range(len(orders)):
        slope = _grid_sample(x, grid, orders=_raised(orders, k), **params)
        share = expand_dims(h[..., k], 1) * slope  # (N, 1, …) · (N, C, …)
        total = share if total is None else total + share
    return total


def _spread_moved(h: Any, g: Any, grid: Any, orders: Orders, params: Any) -> Any:
    """How what is spread changes when the grid moves by h."""
    total: Any = None
    for k in range(len(orders)):
        share = g * expand_dims(h[..., k], 1)  # (N, C, …) · (N, 1, …)
        spread = _grid_spread(share, grid, orders=_raised(orders, k), **params)
        total = spread if total is None else total + spread
    return total


def _slopes_moved(h: Any, g: Any, x: Any, grid: Any, orders: Orders, params: Any) -> Any:
    """How the slopes change when the grid moves by h; the matrix for that is symmetric."""
    total: Any = None
    for k in range(len(orders)):
        slope = _grid_slopes(g, x, grid, orders=_raised(orders, k), **params)
        share = h[..., k, None] * slope  # (N, …, 1) · (N, …, d)
        total = share if total is None else total + share
    return total


_grid_sample: Primitive = general(
    "grid_sample",
    _sampled,
    vjp=[
        transpose(
            lambda g, x, grid, **params: _grid_spread(g, grid, extents=x.shape[2:], **params)
        ),
        lambda g, y, x, grid, **params: _grid_slopes(g, x, grid, **params),
    ],
    jvp=[None, lambda h, y, x, grid, *, orders, **params: _moved(h, x, grid, orders, params)],
    shape=_sampled_spec,
    relation=_sampled_relation,
    numeric="float",
    kink=KINK,
    native=plain.sampled,
    valid=lambda x, grid, **params: np.isfinite(grid).all(),
    math=r"\mathrm{sample}({x}, {grid})",
)
_grid_spread: Primitive = general(
    "grid_spread",
    _spread,
    vjp=[
        transpose(lambda h, g, grid, *, extents, **params: _grid_sample(h, grid, **params)),
        lambda h, y, g, grid, *, extents, **params: _grid_slopes(g, h, grid, **params),
    ],
    jvp=[None, lambda h, y, g, grid, *, orders, **p: _spread_moved(h, g, grid, orders, p)],
    shape=_spread_spec,
    relation=_spread_relation,
    numeric="float",
    kink=KINK,
    native=plain.spread,
    valid=lambda g, grid, **params: np.isfinite(grid).all(),
    math=r"\mathrm{spread}({g}, {grid})",
)
_grid_slopes: Primitive = general(
    "grid_slopes",
    _slopes,
    vjp=[
        transpose(lambda h, g, x, grid, *, orders, **p: _moved(h, x, grid, orders, p)),
        transpose(
            lambda h, g, x, grid, *, orders, **p: _spread_moved(
                h, g, grid, orders, {"extents": x.shape[2:], **p}
            )
        ),
        lambda h, y, g, x, grid, *, orders, **p: _slopes_moved(h, g, x, grid, orders, p),
    ],
    jvp=[
        None,
        None,
        lambda h, y, g, x, grid, *, orders, **p: _slopes_moved(h, g, x, grid, orders, p),
    ],
    shape=_slopes_spec,
    relation=_slopes_relation,
    numeric="float",
    kink=KINK,
    native=plain.slopes,
    valid=lambda g, x, grid, **params: np.isfinite(grid).all(),
    math=r"\nabla_{{grid}}\, {g} \cdot \mathrm{sample}({x}, {grid})",
)


@name_errors
def grid_sample(
    x: Any, grid: Any, mode: str = "bilinear", padding: str = "zeros", align_corners: bool = False
) -> Any:
    """The images x (N, C, …) at the places of a grid (N, …, d): (N, C, …), with d = 2 or 3.

    A place is d coordinates from −1 to 1, that of the last axis first.

    mode     "bilinear" (of 8 neighbours where d = 3), "nearest", or "bicubic" (d = 2)
    padding  outside there is 0 ("zeros"), the next element ("border"), or the image mirrored
             ("reflection")
    align_corners  whether ±1 are the centres of the outer elements, or their outer edges

    Raises ArgumentError for NaN and infinite numbers in the grid, and ShapeError.

    Source: Jaderberg et al. 2015, Spatial Transformer Networks.

    >>> import limpid
    >>> from limpid.ops.windows.grid import grid_sample
    >>> x = limpid.reshape(limpid.arange(4.0), (1, 1, 2, 2))
    >>> grid_sample(x, limpid.zeros((1, 1, 1, 2)))
    tensor([[[[1.5]]]])
    """
    x = operand(x)
    grid = operand(grid)
    rank = len(x.shape) - 2
    if rank not in (2, 3):
        raise ShapeError(f"the input must have 4 or 5 axes, not shape {x.shape}")
    if mode not in ("bilinear", "nearest", "bicubic") or (mode == "bicubic" and rank == 3):
        raise ArgumentError(
            f'mode is "bilinear", "nearest" or, with two spatial axes, "bicubic", '
            f"not {mode!r} for an input of shape {x.shape}"
        )
    if padding not in ("zeros", "border", "reflection"):
        raise ArgumentError(f'padding is "zeros", "border" or "reflection", not {padding!r}')
    x, grid = as_floats(x, as_dtype(grid.dtype)), as_floats(grid, as_dtype(x.dtype))
    return _grid_sample(
        x, grid, mode=mode, padding=padding, align=bool(align_corners), orders=(0,) * rank
    )
