"""Inverses and systems of equations: inv, solve, pinv, lstsq, matrix_power."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.declaration import general, transpose
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.arithmetic import where
from limpid.ops.contract import batch_labels, matmul
from limpid.ops.linalg.matrices import (
    SINGULAR,
    attempt,
    check_lapack,
    check_square,
    column,
    float_type,
    identity_mask,
    matrix_relation,
    outputs_relation,
    square_spec,
)
from limpid.ops.linalg.spectral import matrix_rank, svdvals
from limpid.ops.reduce import sum
from limpid.tensor import operand


def _inverse(x: Array) -> Any:
    check_square("inv", x)
    return attempt("inv", SINGULAR, lambda: np.linalg.inv(x), x, np.linalg.inv)


_inv: Primitive = general(
    "inv",
    _inverse,
    vjp=[lambda g, y, x: -(y.mT @ g @ y.mT)],
    jvp=[lambda dx, y, x: -(y @ dx @ y)],
    shape=square_spec("inv"),
    relation=matrix_relation,
    math="{x}^{-1}",
    numeric="float",
)


@operation
def inv(x: Any) -> Any:
    """Inverse of each matrix, (…, n, n) → (…, n, n).

    d(X⁻¹) = −X⁻¹ dX X⁻¹. Raises MatrixError if a matrix is singular, ShapeError if it is not
    square. To multiply by an inverse, `solve` is quicker and more accurate.

    >>> import limpid
    >>> limpid.linalg.inv(limpid.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return _inv(operand(x))


def system_shape(name: str, a: Any, b: Any) -> tuple[int, ...]:
    """The shape of the x with A x = b, for arrays or specs; ShapeError where they don't fit."""
    check_square(name, a)
    if getattr(b, "ndim", 0) < 1:
        raise ShapeError(f"{name}: the right-hand side must have at least 1 dimension")
    if b.dtype == np.float16:
        check_lapack(name, b)
    right = b.shape[-2:]
    if right[0] != a.shape[-1]:
        raise ShapeError(f"{name}: {a.shape[-1]} unknowns, but a right-hand side of {b.shape}")
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"{name}: the batch dimensions {a.shape[:-2]} and {b.shape[:-2]} do not broadcast"
        ) from None
    return (*batch, *right)


def system_relation(a: Spec, b: Spec, **params: Any) -> Relation:
    """Batch axes and the columns of b mapped, all else read as a whole."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    free = ["j"] if b.ndim > 1 else []
    left = (*batch_labels(a.shape[:-2], batch, "a"), "p", "q")
    right = (*batch_labels(b.shape[:-2], batch, "b"), "k", *free)
    return Relation((left, right), ((*batch_labels(batch, batch, ""), "i", *free),))


def as_columns(x: Any, b: Any) -> Any:
    """A solution, or its gradient, as matrices: one column where b is a vector."""
    return column(x) if b.ndim == 1 else x


def _solution(a: Array, b: Array) -> Any:
    system_shape("solve", a, b)
    return attempt("solve", SINGULAR, lambda: np.linalg.solve(a, b), a, np.linalg.inv)


def _for_matrix(g: Any, y: Any, a: Any, b: Any) -> Any:
    """The gradient −z yᵀ, where Aᵀ z = g."""
    z = _solve(a.mT, as_columns(g, b))
    return -(z @ as_columns(y, b).mT)


_solve: Primitive = general(
    "solve",
    _solution,
    vjp=[
        _for_matrix,
        transpose(lambda g, a, b: _solve(a.mT, as_columns(g, b)).reshape(g.shape)),
    ],
    jvp=[
        lambda da, y, a, b: -_solve(a, da @ as_columns(y, b)).reshape(y.shape),
        None,
    ],
    shape=lambda a, b: Spec(system_shape("solve", a, b), float_type(a, b)),
    relation=system_relation,
    math="{a}^{-1} {b}",
    numeric="float",
)


@operation
def solve(a: Any, b: Any) -> Any:
    """The x with A x = b, for each matrix A of (…, n, n).

    b is one vector (n) or matrices (…, n, k) of k columns; batch dimensions broadcast. Linear in
    b; in A dx = −A⁻¹ dA x. Raises MatrixError if a matrix is singular, ShapeError where shapes
    don't fit.

    >>> import limpid
    >>> limpid.linalg.solve(limpid.tensor([[2.0, 0.0], [0.0, 4.0]]), limpid.tensor([2.0, 2.0]))
    tensor([1. , 0.5])
    """
    return _solve(operand(a), operand(b))


def _pseudoinverse(x: Array, *, rtol: Any) -> Any:
    check_lapack("pinv", x)
    diverged = "has singular values that LAPACK could not find"
    found = attempt("pinv", diverged, lambda: np.linalg.pinv(x, rtol=rtol), x, np.linalg.svdvals)
    return found.astype(x.dtype, copy=False) if x.dtype.kind == "f" else found


def _pinv_shape(x: Spec, *, rtol: float | None) -> Spec:
    check_lapack("pinv", x)
    return Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), float_type(x))


def _pinv_vjp(g: Any, p: Any, x: Any, *, rtol: float | None) -> Any:
    left, right = g.mT @ p, p @ g.mT  # x is (m, n), p and g are (n, m): (m, m) and (n, n)
    beside = (left - x @ (p @ left)) @ p.mT + p.mT @ (right - (right @ p) @ x)
    return beside - p.mT @ g @ p.mT


def _pinv_jvp(dx: Any, p: Any, x: Any, *, rtol: float | None) -> Any:
    left, right = p @ (p.mT @ dx.mT), (dx.mT @ p.mT) @ p  # (n, m)
    return left - (left @ x) @ p + right - p @ (x @ right) - p @ dx @ p


_pinv: Primitive = general(
    "pinv",
    _pseudoinverse,
    vjp=[_pinv_vjp],
    jvp=[_pinv_jvp],
    shape=_pinv_shape,
    relation=outputs_relation(2),
    math="{x}^+",
    numeric="float",
)


@operation
def pinv(x: Any, *, rtol: float | None = None) -> Any:
    """Moore and Penrose's pseudo-inverse of each matrix, (…, m, n) → (…, n, m).

    rtol  singular values up to rtol times the largest count as 0; by default max(m, n) · ε

    The derivative is that at constant rank (Golub and Pereyra 1973). Where a change of x changes
    the rank, the pseudo-inverse jumps and has no derivative.

    >>> import limpid
    >>> limpid.linalg.pinv(limpid.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5, 0. ],
            [0. , 0. ]])
    """
    if rtol is not None and not isinstance(rtol, int | float | np.number):
        raise ArgumentError(f"pinv: rtol must be a number or None, not {rtol!r:.40}")
    return _pinv(operand(x), rtol=None if rtol is None else float(rtol))


class LstsqResult(NamedTuple):
    """What `lstsq` returns; only x and residuals carry a gradient."""

    x: Any
    residuals: Any
    rank: Any
    s: Any


@operation
def lstsq(a: Any, b: Any, rtol: float | None = None) -> LstsqResult:
    """The x of least ‖A x − b‖ for each matrix A of (…, m, n), and the least such x if m < n.

    b     one vector (m) or matrices (…, m, k) of k columns
    rtol  as in `pinv`, of which x is the product with b

    Returns (x, residuals, rank, s): residuals are the squared norms ‖A x − b‖² of the columns (no
    elements if m ≤ n), s the singular values of A. The gradient is for matrices of full rank; with
    less it is that at constant rank.

    >>> import limpid
    >>> a = limpid.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> limpid.linalg.lstsq(a, limpid.tensor([1.0, 2.0, 3.0])).residuals
    tensor([9.])
    """
    a, b = operand(a), operand(b)
    check_lapack("lstsq", a)
    rows, count = a.shape[-2:]
    if not b.shape or b.shape[-2:][0] != rows:
        raise ShapeError(f"lstsq: {rows} equations, but a right-hand side of {b.shape}")
    right = as_columns(b, b)
    x = matmul(pinv(a, rtol=rtol), right)
    missed = right - matmul(a, x)
    residuals = sum(missed * missed, axis=-2)
    if rows <= count:
        residuals = residuals[..., :0]
    shape = (*x.shape[:-2], count) if len(b.shape) == 1 else x.shape
    return LstsqResult(x.reshape(shape), residuals, matrix_rank(a, rtol=rtol), svdvals(a))


@operation
def matrix_power(x: Any, n: int) -> Any:
    """The n-th power of each square matrix by repeated squaring; of its inverse if n < 0.

    >>> import limpid
    >>> limpid.linalg.matrix_power(limpid.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    x = operand(x)
    check_square("matrix_power", x)
    if not hasattr(n, "__index__"):
        raise ArgumentError(f"matrix_power: the exponent must be an integer, not {n!r:.40}")
    exponent = n.__index__()
    if exponent == 0:
        return where(np.False_, x, identity_mask(x.shape[-1]))  # no gradient, but x's type
    if exponent < 0:
        x, exponent = inv(x), -exponent
    power = None
    while exponent:
        if exponent & 1:
            power = x if power is None else matmul(power, x)
        exponent >>= 1
        if exponent:
            x = matmul(x, x)
    return power
