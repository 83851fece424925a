"""Triangles and diagonals of matrices: the last two axes, any number of matrices at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.axes import normal_axis
from limpid.ops.layout import moveaxis
from limpid.ops.reduce import sum
from limpid.tensor import operand


def _triangle(name: str, forward: Any) -> Primitive:
    """A primitive that keeps one triangle: its own transpose."""
    primitive = linear(
        name,
        lambda x, *, k: forward(x, k),
        transpose=lambda g, x, *, k: primitive(g, k=k),
        shape=lambda x, *, k: x,
        relation=lambda x, *, k: Relation((tuple(range(x.ndim)),), (tuple(range(x.ndim)),)),
        numeric="any",
        math=rf"\mathrm{{{name}}}({{x}})",
    )
    return primitive


_tril = _triangle("tril", np.tril)
_triu = _triangle("triu", np.triu)


def _length(shape: tuple[int, ...], offset: int) -> int:
    """How many elements the offset-th diagonal has."""
    rows, columns = shape[-2:]
    return max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)


def _diagonal_relation(x: Spec, *, offset: int) -> Relation:
    """[n d d] → [n d]; moved along the diagonal when there is an offset."""
    batch = tuple(range(x.ndim - 2))
    moved = frozenset(("d",)) if offset else frozenset()
    return Relation(((*batch, "d", "d"),), ((*batch, "d"),), moved=moved)


_diagonal = linear(
    "diagonal",
    lambda x, *, offset: np.diagonal(x, offset, -2, -1),
    transpose=lambda g, x, *, offset: _from_diagonal(g, offset=offset, shape=x.shape[-2:]),
    shape=lambda x, *, offset: Spec((*x.shape[:-2], _length(x.shape, offset)), x.dtype),
    relation=_diagonal_relation,
    numeric="any",
    math=r"\mathrm{diag}({x})",
)


def _place(x: Array, *, offset: int, shape: tuple[int, int]) -> Array:
    out = np.zeros((*x.shape[:-1], *shape), x.dtype)
    i = np.arange(x.shape[-1])
    out[..., i - min(offset, 0), i + max(offset, 0)] = x
    return out


def _place_plainly(x: Array, *, offset: int, shape: tuple[int, int]) -> Array:
    rows, columns = shape
    y = np.zeros_like(x, shape=(*x.shape[:-1], rows * columns))
    start = -min(offset, 0) * columns + max(offset, 0)
    y[..., start : start + x.shape[-1] * (columns + 1) : columns + 1] = x
    return y.reshape(*x.shape[:-1], rows, columns)


def _place_relation(x: Spec, *, offset: int, shape: tuple[int, int]) -> Relation:
    batch = tuple(range(x.ndim - 1))
    moved = frozenset(("d",)) if offset else frozenset()
    return Relation(((*batch, "d"),), ((*batch, "d", "d"),), moved=moved)


_from_diagonal: Primitive = linear(
    "from_diagonal",
    _place,
    transpose=lambda g, x, *, offset, shape: _diagonal(g, offset=offset),
    shape=lambda x, *, offset, shape: Spec((*x.shape[:-1], *shape), x.dtype),
    relation=_place_relation,
    numeric="any",
    math=r"\mathrm{diag}({x})",
    native=_place_plainly,
)


def _matrices(x: Any, name: str) -> Any:
    x = operand(x)
    if len(x.shape) < 2:
        raise ShapeError(f"{name} needs at least 2 dimensions, not shape {x.shape}")
    return x


@operation
def tril(x: Any, k: int = 0) -> Any:
    """The lower triangle of matrices, up to the k-th diagonal; zeros above.

    >>> import limpid
    >>> limpid.tril(limpid.tensor([[1, 2], [3, 4]]))
    tensor([[1, 0],
            [3, 4]])
    """
    return _tril(_matrices(x, "tril"), k=int(k))


@operation
def triu(x: Any, k: int = 0) -> Any:
    """The upper triangle of matrices, from the k-th diagonal; zeros below.

    >>> import limpid
    >>> limpid.triu(limpid.tensor([[1, 2], [3, 4]]), 1)
    tensor([[0, 2],
            [0, 0]])
    """
    return _triu(_matrices(x, "triu"), k=int(k))


@operation
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The elements x[i, i + offset] of matrices; the diagonal becomes the last axis.

    Raises ShapeError below 2 dimensions, ArgumentError if the axes are the same.

    >>> import limpid
    >>> limpid.diagonal(limpid.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    x = _matrices(x, "diagonal")
    rank = len(x.shape)
    axes = normal_axis(axis1, rank), normal_axis(axis2, rank)
    if axes[0] == axes[1]:
        raise ArgumentError(f"diagonal: axis1 and axis2 are both {axes[0]}")
    if axes != (rank - 2, rank - 1):
        x = moveaxis(x, axes, (-2, -1))
    return _diagonal(x, offset=int(offset))


@operation
def diag(x: Any, k: int = 0) -> Any:
    """A matrix with this diagonal from a vector; the diagonal of a matrix.

    Raises ShapeError for other numbers of dimensions.

    >>> import limpid
    >>> limpid.diag(limpid.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    x = operand(x)
    if len(x.shape) == 2:
        return diagonal(x, k)
    if len(x.shape) != 1:
        raise ShapeError(f"diag takes a vector or a matrix, not shape {x.shape}")
    side = x.shape[0] + abs(int(k))
    return _from_diagonal(x, offset=int(k), shape=(side, side))


@operation
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of the diagonal of matrices.

    >>> import limpid
    >>> limpid.trace(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    return sum(diagonal(x, offset, axis1, axis2), axis=-1)
