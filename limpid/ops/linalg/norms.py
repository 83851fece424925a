"""Norms of matrices, and norms by NumPy's one name for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.errors import ArgumentError
from limpid.graph.registry import operation
from limpid.ops.axes import normal_axis
from limpid.ops.elementary import abs
from limpid.ops.layout import moveaxis
from limpid.ops.linalg.matrices import check_matrix
from limpid.ops.linalg.spectral import svdvals
from limpid.ops.reduce import max, min, sum
from limpid.ops.statistics import norm as vector_norms
from limpid.ops.statistics import vector_norm
from limpid.tensor import operand

ORDERS = "'fro', 'nuc', 1, -1, 2, -2, inf, -inf"


@operation
def matrix_norm(x: Any, *, ord: Any = "fro", keepdims: bool = False) -> Any:
    """The norm of each matrix, (…, m, n) → (…).

    ord  "fro" the root of the sum of squares; "nuc" the sum of the singular values; 2, −2 the
         largest, the smallest of them; 1, −1 the largest, smallest sum of |x| down a column;
         ∞, −∞ the same along a row

    Columns or rows that tie share the gradient equally; of singular values that tie, one has it.

    >>> import limpid
    >>> limpid.linalg.matrix_norm(limpid.tensor([[3.0, 0.0], [0.0, 4.0]])).item()
    5.0
    """
    x = operand(x)
    check_matrix("matrix_norm", x)
    y = _norm_of_each(x, ord)
    return y.reshape(*y.shape, 1, 1) if keepdims else y


def _norm_of_each(x: Any, ord: Any) -> Any:
    if ord == "fro":
        return vector_norm(x, (-2, -1))
    if ord == "nuc":
        return sum(svdvals(x), axis=-1)
    if ord in (2, -2):
        return svdvals(x)[..., 0 if ord == 2 else -1]
    if ord in (1, -1, np.inf, -np.inf):
        sums = sum(abs(x), axis=-2 if ord in (1, -1) else -1)
        return max(sums, axis=-1) if ord > 0 else min(sums, axis=-1)
    raise ArgumentError(f"the order of a matrix norm is one of {ORDERS}, not {ord!r}")


@operation
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of vectors or matrices, as `numpy.linalg.norm`.

    axis  one axis: of vectors; two, rows and columns: of matrices; None: all of x

    With no `ord` the root of the sum of squares. For one axis see `vector_norm`, for two
    `matrix_norm`. Raises ArgumentError where ord and axes do not fit.

    >>> import limpid
    >>> limpid.linalg.norm(limpid.tensor([[3.0, 0.0], [0.0, 4.0]]), ord=2).item()
    4.0
    """
    x = operand(x)
    rank = len(x.shape)
    pair = tuple(range(rank)) if axis is None else axis
    if ord is None or not isinstance(pair, tuple | list) or len(pair) != 2:
        return vector_norms(x, ord, axis, keepdims)
    rows, columns = (normal_axis(a, rank) for a in pair)
    if rows == columns:
        raise ArgumentError(f"norm: axes {axis} name an axis twice")
    y = matrix_norm(moveaxis(x, (rows, columns), (-2, -1)), ord=ord, keepdims=keepdims)
    return moveaxis(y, (-2, -1), (rows, columns)) if keepdims else y
