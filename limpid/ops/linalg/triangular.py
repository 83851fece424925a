"""Systems with a triangular matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, transpose
from limpid.differentiation.primitive import Primitive
from limpid.errors import MatrixError
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.linalg.matrices import float_type
from limpid.ops.linalg.systems import as_columns, system_relation, system_shape
from limpid.ops.triangle import tril, triu
from limpid.tensor import operand

BLOCK = 64  # rows solved at once; what is beside them is a matrix product


def _substitution(
    a: Array, b: Array, *, lower: bool, transpose: bool, unit_diagonal: bool
) -> Array:
    """Blocked substitution: O(n²k), nearly all of it in matrix products."""
    shape = system_shape("solve_triangular", a, b)
    n = a.shape[-1]
    if not unit_diagonal and (np.diagonal(a, axis1=-2, axis2=-1) == 0).any():
        raise MatrixError(
            "solve_triangular: a matrix with 0 on its diagonal is singular\n"
            "remedy: use limpid.linalg.lstsq, or unit_diagonal=True if the diagonal is not stored"
        )
    m = a.swapaxes(-1, -2) if transpose else a
    downwards = lower != transpose
    x = np.empty((*shape, 1) if b.ndim == 1 else shape, np.result_type(a, b, np.float32))
    x[...] = b[:, None] if b.ndim == 1 else b
    starts = range(0, n, BLOCK)
    for start in starts if downwards else reversed(starts):
        here = slice(start, min(start + BLOCK, n))
        done = slice(0, start) if downwards else slice(here.stop, n)
        x[..., here, :] -= m[..., here, done] @ x[..., done, :]
        x[..., here, :] = _block(m[..., here, here], x[..., here, :], downwards, unit_diagonal)
    return x.reshape(shape)


def _block(m: Array, b: Array, downwards: bool, unit_diagonal: bool) -> Array:
    """One diagonal block, as an upper triangle, which LU leaves as it is: without any pivoting."""
    if downwards:
        m, b = m[..., ::-1, ::-1], b[..., ::-1, :]
    m = np.triu(m)
    if unit_diagonal:
        np.einsum("...ii->...i", m)[...] = 1
    x = np.linalg.solve(m, b)
    return x[..., ::-1, :] if downwards else x


def _triangle(x: Any, lower: bool, unit_diagonal: bool) -> Any:
    """The part of the matrix that is read."""
    return tril(x, k=-unit_diagonal) if lower else triu(x, k=unit_diagonal)


def _for_matrix(
    g: Any, y: Any, a: Any, b: Any, *, lower: bool, transpose: bool, unit_diagonal: bool
) -> Any:
    how = {"lower": lower, "transpose": not transpose, "unit_diagonal": unit_diagonal}
    z, x = _solve_triangular(a, as_columns(g, b), **how), as_columns(y, b)
    return _triangle(-(x @ z.mT if transpose else z @ x.mT), lower, unit_diagonal)


def _tangent(
    da: Any, y: Any, a: Any, b: Any, *, lower: bool, transpose: bool, unit_diagonal: bool
) -> Any:
    how = {"lower": lower, "transpose": transpose, "unit_diagonal": unit_diagonal}
    change = _triangle(da, lower, unit_diagonal)
    moved = (change.mT if transpose else change) @ as_columns(y, b)
    return -_solve_triangular(a, moved, **how).reshape(y.shape)


def _for_right(g: Any, a: Any, b: Any, *, transpose: bool, **how: bool) -> Any:
    return _solve_triangular(a, as_columns(g, b), transpose=not transpose, **how).reshape(g.shape)


_solve_triangular: Primitive = general(
    "solve_triangular",
    _substitution,
    vjp=[_for_matrix, transpose(_for_right)],
    jvp=[_tangent, None],
    shape=lambda a, b, **how: Spec(system_shape("solve_triangular", a, b), float_type(a, b)),
    relation=system_relation,
    math="{a}^{-1} {b}",
    numeric="float",
)


@operation
def solve_triangular(
    a: Any, b: Any, *, lower: bool = False, transpose: bool = False, unit_diagonal: bool = False
) -> Any:
    """The x with T x = b, where T is a triangle of each matrix of `a`, (…, n, n).

    b              one vector (n) or matrices (…, n, k) of k columns
    lower          T is the lower triangle instead of the upper one; the other part is not read
    transpose      solve Tᵀ x = b
    unit_diagonal  T has ones on its diagonal, which is not read either

    Substitution in blocks of 64 rows, O(n²k): backward stable, as LAPACK's trtrs. The gradient of
    `a` is 0 in what is not read. Raises MatrixError for a 0 on the diagonal.

    >>> import limpid
    >>> a = limpid.tensor([[2.0, 1.0], [0.0, 4.0]])
    >>> limpid.linalg.solve_triangular(a, limpid.tensor([3.0, 4.0]))
    tensor([1., 1.])
    """
    return _solve_triangular(
        operand(a),
        operand(b),
        lower=bool(lower),
        transpose=bool(transpose),
        unit_diagonal=bool(unit_diagonal),
    )
