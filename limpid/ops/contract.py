"""Matrix products: a family closed under differentiation."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import bilinear
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ShapeError
from limpid.graph.dtype import result_type
from limpid.graph.node import Spec
from limpid.ops.layout import matrix_transpose, reshape


def _matmul_shape(a: Spec, b: Spec) -> Spec:
    if not a.ndim or not b.ndim:
        raise ShapeError("operands must have at least 1 dimension")
    rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError(f"the inner extents differ: {a.shape} @ {b.shape}")
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"the batch dimensions {a.shape[:-2]} and {b.shape[:-2]} do not broadcast"
        ) from None
    return Spec((*batch, *rows, *columns), result_type([a.dtype, b.dtype]))


def _matmul_relation(a: Spec, b: Spec) -> Relation:
    out = _matmul_shape(a, b).shape
    batch = len(out) - (a.ndim > 1) - (b.ndim > 1)

    def batch_labels(shape: tuple[int, ...]) -> tuple[str, ...]:
        offset = batch - len(shape)
        return tuple(
            f"n{offset + i}" if extent == out[offset + i] else f"{side}{i}"
            for i, extent in enumerate(shape)
        )

    side = "a"
    left = (*batch_labels(a.shape[:-2]), *(["i"] if a.ndim > 1 else []), "k")
    side = "b"
    right = (*batch_labels(b.shape[:-2]), "k", *(["j"] if b.ndim > 1 else []))
    rows, columns = ["i"] if a.ndim > 1 else [], ["j"] if b.ndim > 1 else []
    return Relation((left, right), ((*(f"n{i}" for i in range(batch)), *rows, *columns),))


def _for_left(g: Any, a: Any, b: Any) -> Any:
    """g · bᵀ, with vectors seen as one-row or one-column matrices."""
    if b.ndim == 1:
        return reshape(g, (*g.shape, 1)) * b
    if a.ndim == 1:
        return matmul(b, reshape(g, (*g.shape, 1)))[..., 0]
    return matmul(g, matrix_transpose(b))


def _for_right(g: Any, a: Any, b: Any) -> Any:
    """aᵀ · g, with vectors seen as one-row or one-column matrices."""
    if a.ndim == 1:
        return reshape(a, (-1, 1)) * reshape(g, (*g.shape[:-1], 1, *g.shape[-1:]))  \
            if b.ndim > 1 else a * g
    if b.ndim == 1:
        return matmul(matrix_transpose(a), reshape(g, (*g.shape, 1)))[..., 0]
    return matmul(matrix_transpose(a), g)


matmul: Primitive = bilinear(
    "matmul",
    np.matmul,
    transpose=[_for_left, _for_right],
    shape=_matmul_shape,
    relation=_matmul_relation,
    math=r"{a} {b}",
    label="_ @ _",
)
