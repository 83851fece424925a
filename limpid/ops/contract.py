"""Contractions of two operands: matmul and einsum, each a family closed under differentiation.

`einsum` here is the primitive: two operands whose labels are all shared or free. Everything else
that multiplies and sums (tensordot, outer, kron, einsum of many) is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import bilinear
from limpid.differentiation.elementwise import Binary
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation, einsum_relation
from limpid.errors import ShapeError
from limpid.graph.dtype import WEAK, as_dtype, result_type
from limpid.graph.node import Spec
from limpid.ops.native import multiply
from limpid.ops.windows.contraction import lower_labelled
from limpid.tensor import Tensor, to_array

Shape = tuple[int, ...]
ndarray = np.ndarray


def operands(*given: Any) -> list[Any]:
    """Tensors and arrays as they are; numbers, which are weak, as arrays of the common type.

    NumPy's own numbers are weak beside a tensor only: without one this is plain NumPy.
    """
    if all(isinstance(x, Tensor | ndarray) for x in given):
        return list(given)
    beside_tensor = any(isinstance(x, Tensor) for x in given)
    xs = [_number_or_array(x, beside_tensor) for x in given]
    common = result_type([as_dtype(x.dtype) if hasattr(x, "dtype") else x for x in xs]).storage
    return [x if hasattr(x, "dtype") else np.asarray(x, common) for x in xs]


def _number_or_array(x: Any, beside_tensor: bool) -> Any:
    if isinstance(x, np.generic):
        return x.item() if beside_tensor else np.asarray(x)
    return x if isinstance(x, (Tensor, *WEAK)) else to_array(x)


def _matmul_shape(a: Any, b: Any) -> Spec:
    for x in (a, b):
        if not isinstance(x, Spec) or not x.ndim:
            raise ShapeError("operands must have at least 1 dimension; use * for numbers")
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
    rows, columns = ["i"] if a.ndim > 1 else [], ["j"] if b.ndim > 1 else []
    batch = out[: len(out) - len(rows) - len(columns)]
    left = (*batch_labels(a.shape[:-2], batch, "a"), *rows, "k")
    right = (*batch_labels(b.shape[:-2], batch, "b"), "k", *columns)
    return Relation((left, right), ((*batch_labels(batch, batch, ""), *rows, *columns),))


def batch_labels(shape: Shape, batch: Shape, side: str) -> list[str]:
    """Labels of batch axes; an axis of extent 1 that is broadcast has one of its own."""
    offset = len(batch) - len(shape)
    return [
        f"n{offset + i}" if extent == batch[offset + i] else f"{side}{i}"
        for i, extent in enumerate(shape)
    ]


def _product(a: Any, b: Any) -> Any:
    """np.matmul; one large product instead of many small ones where the right side has no batch."""
    if type(b) is ndarray and type(a) is ndarray and b.ndim == 2 < a.ndim:
        k, n = b.shape
        if a.shape[-1] == k and a.flags.c_contiguous:
            return multiply(_rows(a), b).reshape(*a.shape[:-1], n)
    return multiply(a, b)


def _for_left(g: Any, a: Any, b: Any) -> Any:
    """The product g · bᵀ, with vectors seen as one-row or one-column matrices."""
    if b.ndim == 1:
        return g.reshape(*g.shape, 1) * b  # (…, m, 1) · (k) → (…, m, k)
    if a.ndim == 1:
        return matmul(b, g.reshape(*g.shape, 1)).reshape(b.shape[:-1])  # → (…, k)
    return matmul(g, b.mT)


def _for_right(g: Any, a: Any, b: Any) -> Any:
    """The product aᵀ · g, with vectors seen as one-row or one-column matrices."""
    if a.ndim == 1:
        return a * g if b.ndim == 1 else a.reshape(-1, 1) * g.reshape(*g.shape[:-1], 1, b.shape[-1])
    if b.ndim == 1:
        return matmul(g.reshape(g.size), _rows(a))  # (M) · (M, k) → (k)
    if b.ndim == 2 < a.ndim:  # sums over the batch axes on the way
        return matmul(_rows(a).mT, _rows(g))
    return matmul(a.mT, g)


def _rows(x: Any) -> Any:
    """All axes but the last merged into one: (…, k) → (M, k)."""
    return x.reshape(prod(x.shape[:-1]), x.shape[-1])


matmul: Primitive = bilinear(
    "matmul",
    _product,
    transpose=[_for_left, _for_right],
    shape=_matmul_shape,
    relation=_matmul_relation,
    lower=lower_labelled(_matmul_relation),
    math=r"{a} {b}",
    label="_ @ _",
    form=Binary,
    doc="""Matrix product `a @ b`, with NumPy's rules for vectors and broadcast batch dimensions.

    (…, m, k) · (…, k, n) → (…, m, n). A vector on the left is a row, on the right a column, and
    its axis is gone from the result. Raises ShapeError where extents don't fit, or for 0-d.

    >>> import limpid
    >>> limpid.matmul(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]), limpid.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """,
)
matmul.rank_free = True  # each rule reads the other operand, whatever the ranks


@dataclass(frozen=True)
class Plan:
    """How NumPy runs one einsum of two operands: as a product, dot products or a matmul.

    Axis orders put the labels as (batch, rows, inner) on the left and (batch, inner, columns) on
    the right; the product has (batch, rows, columns), and `order` puts those as the output has
    them. `swapped` says that the second operand is the left one, so that the output's own order
    comes out of the matmul.
    """

    ranks: tuple[int, int]
    shared: tuple[tuple[int, int], ...]  # pairs of axes (of a, of b) with one label
    swapped: bool
    left: Shape
    right: Shape
    order: Shape
    batch: int
    rows: int
    inner: int
    columns: int

    def run(self, a: Any, b: Any) -> Any:
        """The contraction of two arrays."""
        if self.swapped:
            a, b = b, a
        a, b = a.transpose(self.left), b.transpose(self.right)
        batch, middle = a.shape[: self.batch], self.batch + self.rows
        rows, inner = a.shape[self.batch : middle], a.shape[middle:]
        columns = b.shape[self.batch + self.inner :]
        if not self.inner:
            a = a.reshape((*batch, *rows, *(1,) * self.columns))
            y = np.asarray(a * b.reshape((*batch, *(1,) * self.rows, *columns)))
        elif not self.rows and not self.columns:
            y = np.vecdot(a.reshape(*batch, prod(inner)), b.reshape(*batch, prod(inner)))
            y = np.asarray(y)  # a scalar where nothing is left
        else:
            a = a.reshape(*batch, prod(rows), prod(inner))
            y = multiply(a, b.reshape(*batch, prod(inner), prod(columns)))
            y = y.reshape(*batch, *rows, *columns)
        return y.transpose(self.order)


@lru_cache(maxsize=4096)
def plan(subscripts: str) -> Plan:
    """The plan of `ab,bc->ac`, where every label is shared by two of the three terms or all."""
    a, b, out = terms(subscripts)
    free = [label for label in out if (label in a) != (label in b)]
    swapped = bool(free) and free[0] in b
    left, right = (b, a) if swapped else (a, b)
    batch = [label for label in out if label in a and label in b]
    inner = [label for label in left if label in right and label not in out]
    rows = [label for label in out if label in left and label not in right]
    columns = [label for label in out if label in right and label not in left]
    made = [*batch, *rows, *columns]
    return Plan(
        (len(a), len(b)),
        tuple((i, b.index(label)) for i, label in enumerate(a) if label in b),
        swapped,
        tuple(map(left.index, [*batch, *rows, *inner])),
        tuple(map(right.index, [*batch, *inner, *columns])),
        tuple(map(made.index, out)),
        len(batch),
        len(rows),
        len(inner),
        len(columns),
    )


@lru_cache(maxsize=4096)
def terms(subscripts: str) -> tuple[str, str, str]:
    """The labels of the left operand, the right one and the output."""
    operands, out = subscripts.split("->")
    a, b = operands.split(",")
    return a, b, out


def _contracted(a: Any, b: Any, *, subscripts: str) -> Any:
    how = plan(subscripts)
    a, b = np.asarray(a), np.asarray(b)
    if (a.ndim, b.ndim) != how.ranks or any(a.shape[i] != b.shape[j] for i, j in how.shared):
        _extents(subscripts, a.shape, b.shape)  # says what does not fit
    return how.run(a, b)


def _plainly(a: Any, b: Any, *, subscripts: str) -> Any:
    """Products that nothing is summed of, and dot products; others are contractions."""
    left, right, out = terms(subscripts)
    summed = [label for label in left if label not in out]
    if summed and any((n in left) != (n in right) for n in out):
        return NotImplemented
    labels = [*out, *summed]
    product = _spread(a, left, labels) * _spread(b, right, labels)
    return product.sum(tuple(range(len(out), len(labels)))) if summed else product


def _spread(x: Any, own: str, labels: list[str]) -> Any:
    """The axes of an operand in the order of all labels, with extent 1 where it has none."""
    x = x.transpose([own.index(label) for label in labels if label in own])
    rest = iter(x.shape)
    return x.reshape([next(rest) if label in own else 1 for label in labels])


def _extents(subscripts: str, *shapes: Shape) -> dict[str, int]:
    """The extent of each label; ShapeError where it has two."""
    *operands, _ = terms(subscripts)
    if any(len(labels) != len(shape) for labels, shape in zip(operands, shapes, strict=True)):
        raise ShapeError(f"operands of shapes {shapes} do not have the axes of {subscripts!r}")
    pairs = [(n, e) for ns, shape in zip(operands, shapes) for n, e in zip(ns, shape)]
    extents = dict(pairs)
    if any(extents[label] != extent for label, extent in pairs):
        raise ShapeError(f"shapes {shapes} do not fit {subscripts!r}: a label has one extent")
    return extents


def _contracted_shape(a: Any, b: Any, *, subscripts: str) -> Spec:
    shapes = [x.shape if isinstance(x, Spec) else () for x in (a, b)]  # numbers are 0-d
    extents = _extents(subscripts, *shapes)
    types = [x.dtype if isinstance(x, Spec) else x for x in (a, b)]
    return Spec(tuple(extents[label] for label in terms(subscripts)[2]), result_type(types))


def _contracted_relation(a: Any, b: Any, *, subscripts: str) -> Relation:
    return einsum_relation(subscripts)


def _adjoint_left(g: Any, a: Any, b: Any, *, subscripts: str) -> Any:
    left, right, out = terms(subscripts)
    return contract(g, b, subscripts=f"{out},{right}->{left}")


def _adjoint_right(g: Any, a: Any, b: Any, *, subscripts: str) -> Any:
    left, right, out = terms(subscripts)
    return contract(a, g, subscripts=f"{left},{out}->{right}")


contract: Primitive = bilinear(
    "einsum",
    _contracted,
    transpose=[_adjoint_left, _adjoint_right],
    shape=_contracted_shape,
    relation=_contracted_relation,
    lower=lower_labelled(_contracted_relation),
    native=_plainly,
    math=r"\mathrm{einsum}({a}, {b})",
    doc="""Einsum of two operands: each label is in two or three of the terms, once in each.

    Where a label is in both operands and the output, the product is taken index by index; where
    it is missing in the output, it is summed over. The adjoints have the same form.
    """,
)
