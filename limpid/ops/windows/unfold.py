"""Windows laid out beside each other, and added up again.

    unfold  y[k, o] = x[o·S + k·D − P]    (…, *W) → (…, *K, *O)
    fold    its transpose                 (…, *K, *O) → (…, *W)

In other words im2col and col2im: what convolution does not do here, but people want to see.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ShapeError
from limpid.graph.node import Array, Spec
from limpid.ops.plain import windows as plain
from limpid.ops.precision import widened
from limpid.ops.windows import lowering
from limpid.ops.windows.contraction import Contraction
from limpid.ops.windows.geometry import Extents, output_extents
from limpid.ops.windows.stages import output_shape, window_taps


def _unfolded_shape(x: Any, *, kernel: Extents, **window: Any) -> tuple[int, ...]:
    shape = output_shape(x, kernel=kernel, **window)
    lead = x.ndim - len(kernel)
    return (*shape[:lead], *kernel, *shape[lead:])


def _folded_shape(g: Any, *, kernel: Extents, extents: Extents, **window: Any) -> tuple[int, ...]:
    places = (*kernel, *output_extents(extents, kernel, **window))
    lead = g.ndim - len(places)
    if lead < 0 or g.shape[lead:] != places:
        raise ShapeError(
            f"extents {extents} have windows of {kernel} at {places[len(kernel) :]} places, but "
            f"the values are {g.shape}"
        )
    return (*g.shape[:lead], *extents)


def _unfold(x: Array, *, kernel: Extents, padding: Any, **window: Any) -> Array:
    shape = _unfolded_shape(x, kernel=kernel, padding=padding, **window)
    lead = x.ndim - len(kernel)
    y = np.zeros(shape, x.dtype) if any(map(any, padding)) else np.empty(shape, x.dtype)
    for point, there, here in window_taps(x.shape[lead:], kernel, padding=padding, **window):
        y[_column(point, there)] = x[here]
    return y


def _fold(g: Array, *, kernel: Extents, extents: Extents, **window: Any) -> Array:
    x = np.zeros(_folded_shape(g, kernel=kernel, extents=extents, **window), g.dtype)
    for point, there, here in window_taps(extents, kernel, **window):
        x[here] += g[_column(point, there)]
    return x


def _column(point: tuple[int, ...], there: tuple[Any, ...]) -> tuple[Any, ...]:
    """The place in (…, *K, *O) of one place of the windows."""
    return (..., *point, *there[1:])


def _relation(reads: str) -> Any:
    """Leading axes are mapped; every place of a window reads one of the input."""

    def relation(x: Spec, *, kernel: Extents, **params: Any) -> Relation:
        rank = len(kernel)
        lead = tuple(range(x.ndim - (rank if reads == "x" else 2 * rank)))
        places = tuple(f"x{axis}" for axis in range(rank))
        apart = (*lead, *(f"{letter}{axis}" for letter in "ko" for axis in range(rank)))
        if reads == "x":
            return Relation(((*lead, *places),), (apart,), moved=frozenset(places))
        return Relation((apart,), ((*lead, *places),))

    return relation


def _lower_unfold(x: Spec, *, kernel: Extents, **window: Any) -> tuple[Contraction, ...]:
    out = output_extents(x.shape[x.ndim - len(kernel) :], kernel, **window)
    return (lowering.unfolded(x.shape, out, kernel, **window),)


def _lower_fold(
    g: Spec, *, kernel: Extents, extents: Extents, **window: Any
) -> tuple[Contraction, ...]:
    shape = _folded_shape(g, kernel=kernel, extents=extents, **window)
    out = g.shape[g.ndim - len(kernel) :]
    return lowering.windows_input(shape, out, kernel, **window, folded=True)


unfold: Primitive = linear(
    "unfold",
    _unfold,
    transpose=lambda g, x, *, kernel, **window: fold(
        g, kernel=kernel, extents=x.shape[x.ndim - len(kernel) :], **window
    ),
    shape=lambda x, **window: Spec(_unfolded_shape(x, **window), x.dtype),
    relation=_relation("x"),
    lower=_lower_unfold,
    native=plain.unfolded,
    numeric="any",
    math=r"\mathrm{unfold}({x})",
)
fold: Primitive = linear(
    "fold",
    widened(_fold),
    transpose=lambda u, g, *, extents, **window: unfold(u, **window),
    shape=lambda g, **window: Spec(_folded_shape(g, **window), g.dtype),
    relation=_relation("y"),
    lower=_lower_fold,
    native=widened(plain.folded),
    numeric="any",
    math=r"\mathrm{fold}({g})",
)
