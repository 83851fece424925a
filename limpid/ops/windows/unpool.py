"""Max unpooling: values put at given positions, zeros elsewhere; and its transpose.

    unpool          y[indices] = x             (…, *O) → (…, *W)
    unpool_adjoint  x̄ = ȳ[indices]             (…, *W) → (…, *O)

Of values put at one position the last stays, so the others receive no gradient. PyTorch gives the
gradient of the position to each of them.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.failure import in_scope
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import IndexingError, ShapeError
from limpid.graph.node import Array, Spec
from limpid.graph.source import here
from limpid.ops.plain import max_pool as plain
from limpid.ops.plain.functions import between
from limpid.ops.windows.geometry import Extents


def _rows(x: Array, rank: int) -> Array:
    """Leading axes as one, spatial axes as one."""
    lead = x.ndim - rank
    return x.reshape(prod(x.shape[:lead]), prod(x.shape[lead:]))


def _addresses(indices: Array, extents: Extents) -> Array:
    """Addresses in flat memory, in the rows of (leading, places)."""
    size = prod(extents)
    wrong = (indices < 0) | (indices >= size)
    if wrong.any():
        raise IndexingError(
            f"{in_scope('unpool')}: index {indices[wrong].flat[0]} is out of range: an output of "
            f"{extents} has positions from 0 to {size - 1}{here()}"
        )
    rows = _rows(indices, len(extents)).astype(np.intp, copy=False)
    return rows + size * np.arange(len(rows))[:, None]  # (leading, places)


def _put(x: Array, indices: Array, *, extents: Extents) -> Array:
    y = np.zeros(_put_shape(x, indices, extents), x.dtype)
    y.reshape(-1)[_addresses(indices, extents)] = _rows(x, len(extents))
    return y


def _taken(g: Array, indices: Array, *, extents: Extents) -> Array:
    shape = _taken_shape(g, indices, extents)
    places = _addresses(indices, extents)
    last = np.empty(g.size, np.intp)
    numbers = np.arange(places.size).reshape(places.shape)
    last[places] = numbers
    found = g.reshape(-1)[places]
    found[last[places] != numbers] = 0  # another value came later
    return found.reshape(shape)


def _put_shape(x: Any, indices: Any, extents: Extents) -> tuple[int, ...]:
    if x.shape != indices.shape:
        raise ShapeError(f"there are values of shape {x.shape}, but indices of {indices.shape}")
    return (*x.shape[: x.ndim - len(extents)], *extents)


def _taken_shape(g: Any, indices: Any, extents: Extents) -> tuple[int, ...]:
    shape: tuple[int, ...] = indices.shape
    if g.shape != (*shape[: len(shape) - len(extents)], *extents):
        raise ShapeError(f"indices of shape {shape} into {extents} do not fit values of {g.shape}")
    return shape


def _relation(reads: str, makes: str) -> Any:
    def relation(x: Spec, indices: Spec, *, extents: Extents) -> Relation:
        lead = tuple(range(x.ndim - len(extents)))
        x_side, o_side = (
            (*lead, *(f"{side}{axis}" for axis in range(len(extents)))) for side in "xo"
        )
        sides = {"x": x_side, "o": o_side}
        return Relation(
            (sides[reads], o_side), (sides[makes],), moved=frozenset(sides[reads][len(lead) :])
        )

    return relation


unpool: Primitive = linear(
    "unpool",
    _put,
    transpose=[
        lambda g, x, indices, *, extents: unpool_adjoint(g, indices, extents=extents),
        None,
    ],
    shape=lambda x, indices, *, extents: Spec(_put_shape(x, indices, extents), x.dtype),
    relation=_relation("o", "x"),
    numeric="any",
    native=plain.unpooled,
    valid=lambda x, indices, *, extents: between(indices, 0, prod(extents)),
    math=r"\mathrm{unpool}({x}, {indices})",
    kink="of values put at one position the last stays; the others receive no gradient",
)
unpool_adjoint: Primitive = linear(
    "unpool_adjoint",
    _taken,
    transpose=[lambda u, g, indices, *, extents: unpool(u, indices, extents=extents), None],
    shape=lambda g, indices, *, extents: Spec(_taken_shape(g, indices, extents), g.dtype),
    relation=_relation("x", "o"),
    numeric="any",
    native=plain.unpooled_back,
    valid=lambda g, indices, *, extents: between(indices, 0, prod(extents)),
    math="{g}[{indices}]",
)
