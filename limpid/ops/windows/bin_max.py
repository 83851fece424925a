"""The largest element of bins of different widths: adaptive and fractional max pooling.

    max_of_bins  y, positions: the largest of every bin, and where it is   (…, *W) → (…, *O)

Bins are boxes. Along each axis they have edges: the first element of each bin and the one after its
last, as an array (O, 2), or (…, O, 2) with others for every leading index.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ShapeError
from limpid.graph.dtype import int64
from limpid.graph.node import Array, Spec
from limpid.ops.gather import scatter_along_axis, take_along_axis
from limpid.ops.layout import reshape
from limpid.ops.plain import bins as plain
from limpid.ops.windows.addresses import Part, by_parts, memory_order
from limpid.ops.windows.geometry import Extents


def _largest(x: Array, *edges: Array, widest: Extents) -> tuple[Array, Array]:
    shape = _shape(x, *edges)
    y, positions = np.empty(shape, x.dtype), np.empty(shape, np.int64)

    def work(part: Part) -> None:
        ends = tuple(e[part] if e.ndim > 2 else e for e in edges)
        found = _search(x[part], ends, widest, nan=False)
        if x.dtype.kind == "f" and np.isnan(np.maximum.reduce(found[0], None, initial=-np.inf)):
            found = _search(x[part], ends, widest, nan=True)
        y[part], positions[part] = found

    by_parts(x, len(edges), work)
    return y, positions


def _search(x: Array, edges: tuple[Array, ...], widest: Extents, nan: bool) -> tuple[Array, Array]:
    """The largest along the last axis, of these the largest along the one before, and so on."""
    order = memory_order(x)
    small = prod(x.shape[x.ndim - len(edges) :]) <= np.iinfo(np.int32).max
    y = np.ascontiguousarray(x.transpose(order))
    positions = np.zeros((1,) * x.ndim, np.int32 if small else np.int64)
    for axis in range(-1, -len(edges) - 1, -1):
        neighbour = prod(x.shape[x.ndim + axis + 1 :])  # how far positions are apart
        ends = [_aligned(edges[axis][..., side], x.ndim, axis).transpose(order) for side in (0, 1)]
        place = order.index(x.ndim + axis)
        y, positions = _along(y, positions, ends, place, widest[axis], neighbour, nan)
    back = np.argsort(order)
    return y.transpose(back), positions.transpose(back)


def _along(
    x: Array,
    positions: Array,
    ends: list[Array],
    axis: int,
    widest: int,
    neighbour: int,
    nan: bool,
) -> tuple[Array, Array]:
    """The largest along one axis; of several equal ones the first, of NaN the last."""
    start, stop = ends
    known = positions.shape == x.shape

    def read(k: int) -> tuple[Array, Array]:
        index = np.minimum(start + k, stop - 1)
        new, at = _picked(x, index, axis), (index * neighbour).astype(positions.dtype)
        return new, at + _picked(positions, index, axis) if known else at

    y, at = read(0)
    place = np.broadcast_to(at, y.shape).copy()
    for k in range(1, widest):
        new, at = read(k)
        better = new > y
        if nan:
            better |= new != new
        np.maximum(y, new, out=y)
        np.maximum(place, at * better, out=place)  # later positions are larger
    return y, place


def _aligned(values: Array, rank: int, axis: int) -> Array:
    """(…, O) with axes of extent 1, so that O is this axis of an array of this rank."""
    *lead, extent = values.shape
    return values.reshape(*lead, *(1,) * (rank + axis - len(lead)), extent, *(1,) * (-1 - axis))


def _picked(x: Array, index: Array, axis: int) -> Array:
    if index.size == index.shape[axis]:  # the same for all leading indices
        return x.take(index.reshape(-1), axis)
    return np.take_along_axis(x, index, axis)


def _shape(x: Any, *edges: Any) -> tuple[int, ...]:
    lead = x.shape[: x.ndim - len(edges)]
    for edge in edges:
        if edge.ndim < 2 or edge.shape[-1] != 2 or edge.shape[:-2] not in ((), lead):
            raise ShapeError(
                f"edges are (O, 2) or {lead} and (O, 2), not {edge.shape}, for {x.shape}"
            )
    return (*lead, *(edge.shape[-2] for edge in edges))


def _spec(x: Spec, *edges: Spec, widest: Extents) -> tuple[Spec, Spec]:
    shape = _shape(x, *edges)
    return Spec(shape, x.dtype), Spec(shape, int64)


def _relation(x: Spec, *edges: Spec, widest: Extents) -> Relation:
    lead = tuple(range(x.ndim - len(edges)))
    made = (*lead, *(f"o{axis}" for axis in range(len(edges))))
    read = [
        (*(lead if edge.ndim > 2 else ()), f"o{axis}", f"edge{axis}")
        for axis, edge in enumerate(edges)
    ]
    return Relation(((*lead, *(f"x{a}" for a in range(len(edges)))), *read), (made, made))


def _vjp(g: Any, y: Any, x: Any, *edges: Any, widest: Extents) -> Any:
    lead = x.shape[: x.ndim - len(edges)]
    size, spatial = prod(y[1].shape[len(lead) :]), prod(x.shape[len(lead) :])
    values, places = reshape(g[0], (*lead, size)), reshape(y[1], (*lead, size))
    return reshape(scatter_along_axis(values, places, len(lead), spatial), x.shape)


def _jvp(dx: Any, y: Any, x: Any, *edges: Any, widest: Extents) -> Any:
    lead = x.shape[: x.ndim - len(edges)]
    size, spatial = prod(y[1].shape[len(lead) :]), prod(x.shape[len(lead) :])
    places = reshape(y[1], (*lead, size))
    picked = take_along_axis(reshape(dx, (*lead, spatial)), places, len(lead))
    return reshape(picked, y[1].shape), None  # positions have no tangent


max_of_bins: Primitive = general(
    "max_of_bins",
    _largest,
    vjp=[_vjp, None],
    jvp=[_jvp, None],
    shape=_spec,
    relation=_relation,
    outputs=2,
    gate="routes",
    numeric="any",
    native=plain.largest_of_bins,
    math=r"\max_{i \in \mathrm{bin}} {x}_i",
    kink="of elements that tie, the first of the bin, row by row, receives the gradient",
)


@lru_cache(maxsize=256)
def adaptive_edges(extent: int, out: int) -> Array:
    """From ⌊o·W/O⌋ to ⌈(o + 1)·W/O⌉: (O, 2)."""
    o = np.arange(out)
    edges = np.stack([o * extent // out, -(-(o + 1) * extent // out)], 1)
    edges.flags.writeable = False
    return edges
