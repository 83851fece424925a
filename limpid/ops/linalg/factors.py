"""Factorisations into triangles: cholesky and qr."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.declaration import general
from limpid.differentiation.primitive import Primitive
from limpid.errors import ArgumentError
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.join import concat
from limpid.ops.layout import matrix_transpose
from limpid.ops.linalg.matrices import (
    attempt,
    check_lapack,
    check_square,
    float_type,
    matrix_relation,
    outputs_relation,
    square_spec,
    symmetric,
    takes_gradient,
)
from limpid.ops.linalg.triangular import solve_triangular
from limpid.ops.triangle import tril
from limpid.tensor import operand

INDEFINITE = (
    "is not positive definite\nremedy: make sure that it is symmetric, "
    "and add a small multiple of the identity"
)


def _mirrored(x: Any) -> Any:
    """The symmetric matrix with the lower triangle of x."""
    return tril(x) + tril(x, k=-1).mT


def _factor(x: Array) -> Any:
    check_square("cholesky", x)
    return attempt("cholesky", INDEFINITE, lambda: np.linalg.cholesky(x), x, np.linalg.cholesky)


def _cholesky_vjp(g: Any, y: Any, x: Any) -> Any:
    """½ L⁻ᵀ S L⁻¹, where S mirrors the lower triangle of Lᵀ g (Murray 2016, arXiv 1602.07527)."""
    half = solve_triangular(y, _mirrored(y.mT @ g), lower=True, transpose=True)
    return 0.5 * solve_triangular(y, half.mT, lower=True, transpose=True)


def _cholesky_jvp(dx: Any, y: Any, x: Any) -> Any:
    """L Φ(L⁻¹ dX L⁻ᵀ), where Φ takes the lower triangle and half of the diagonal."""
    half = solve_triangular(y, symmetric(dx), lower=True)
    inside = solve_triangular(y, half.mT, lower=True)
    return y @ (0.5 * (tril(inside) + tril(inside, k=-1)))


_cholesky: Primitive = general(
    "cholesky",
    _factor,
    vjp=[_cholesky_vjp],
    jvp=[_cholesky_jvp],
    shape=square_spec("cholesky"),
    relation=matrix_relation,
    math=r"\mathrm{chol}({x})",
    numeric="float",
)


@operation
def cholesky(x: Any, *, upper: bool = False) -> Any:
    """The lower triangular L with X = L Lᵀ, for symmetric positive definite matrices.

    upper  the upper triangular U with X = Uᵀ U instead

    Only one triangle of X is read, the lower one unless `upper`. The gradient is that of
    X ↦ cholesky(½ (X + Xᵀ)), so it is symmetric, as in PyTorch; it says what happens when both of
    two mirrored elements change. Raises MatrixError where X is not positive definite.

    >>> import limpid
    >>> limpid.linalg.cholesky(limpid.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    x = operand(x)
    if not upper:
        return _cholesky(x)
    check_square("cholesky", x)
    return matrix_transpose(_cholesky(matrix_transpose(x)))


def _decompose(x: Array, *, mode: Any) -> Any:
    check_lapack("qr", x)
    return tuple(np.linalg.qr(x, mode=mode))


def _qr_shape(x: Spec, *, mode: str) -> tuple[Spec, Spec]:
    check_lapack("qr", x)
    m, n = x.shape[-2:]
    k = m if mode == "complete" else min(m, n)
    dtype = float_type(x)
    return Spec((*x.shape[:-2], m, k), dtype), Spec((*x.shape[:-2], k, n), dtype)


def _check_reduced(x: Any, mode: str) -> None:
    if mode == "complete" and x.shape[-2] > x.shape[-1]:
        raise ArgumentError(
            f"qr: the last columns of a complete Q of a matrix of shape {x.shape[-2:]} are "
            "arbitrary and have no derivative\nremedy: use mode='reduced'"
        )


def _qr_vjp(g: Any, y: Any, x: Any, *, mode: str) -> Any:
    """For the first m columns as for a square matrix; the others, A₂, are Q R₂."""
    _check_reduced(x, mode)
    (gq, gr), (q, r) = g, y
    m, n = x.shape[-2:]
    if m >= n:
        return _square_qr_vjp(gq, gr, q, r)
    gr_rest, rest = gr[..., :, m:], r[..., :, m:]
    first = _square_qr_vjp(gq + q @ (rest @ gr_rest.mT), gr[..., :, :m], q, r[..., :, :m])
    return concat([first, q @ gr_rest], axis=-1)


def _square_qr_vjp(gq: Any, gr: Any, q: Any, r: Any) -> Any:
    """(g_Q + Q S) R⁻ᵀ, where S mirrors the lower triangle of R g_Rᵀ − g_Qᵀ Q."""
    inside = gq + q @ _mirrored(r @ gr.mT - gq.mT @ q)
    return solve_triangular(r, inside.mT).mT


def _qr_jvp(dx: Any, y: Any, x: Any, *, mode: str) -> Any:
    _check_reduced(x, mode)
    q, r = y
    m, n = x.shape[-2:]
    if m >= n:
        return _square_qr_jvp(dx, q, r)
    dq, dr = _square_qr_jvp(dx[..., :, :m], q, r[..., :, :m])
    rest = dq.mT @ (q @ r[..., :, m:]) + q.mT @ dx[..., :, m:]
    return dq, concat([dr, rest], axis=-1)


def _square_qr_jvp(dx: Any, q: Any, r: Any) -> tuple[Any, Any]:
    """With dX R⁻¹ = X and Qᵀ X = S: dQ = X − Q (S − Ω), dR = (S − Ω) R; Ω is skew, like Qᵀ dQ."""
    change = solve_triangular(r, dx.mT, transpose=True).mT
    inside = q.mT @ change
    below = tril(inside, k=-1)
    upper = inside - below + below.mT
    return change - q @ upper, upper @ r


_qr: Primitive = general(
    "qr",
    _decompose,
    vjp=[_qr_vjp],
    jvp=[_qr_jvp],
    shape=_qr_shape,
    relation=outputs_relation(2, 2),
    math=r"\mathrm{qr}({x})",
    numeric="float",
    outputs=2,
)


class QRResult(NamedTuple):
    """Orthonormal columns, and an upper triangle."""

    Q: Any
    R: Any


@operation
def qr(x: Any, mode: str = "reduced") -> QRResult:
    """Orthonormal columns Q and upper triangular R of each matrix: X = Q R.

    mode  "reduced": Q is (m, k) and R (k, n), k = min(m, n); "complete": Q is (m, m), R (m, n)

    The signs are LAPACK's: R may have negative numbers on its diagonal. The gradient needs the
    first k columns to be independent (MatrixError otherwise). The columns that "complete" adds to Q
    where m > n are arbitrary: there, if x requires a gradient, this raises ArgumentError.

    >>> import limpid
    >>> limpid.abs(limpid.linalg.qr(limpid.tensor([[3.0, 1.0], [4.0, 2.0]])).R[0, 0]).item()
    5.0
    """
    if mode not in ("reduced", "complete"):
        raise ArgumentError(f"qr: mode must be 'reduced' or 'complete', not {mode!r}")
    x = operand(x)
    if takes_gradient(x) and len(x.shape) > 1:
        _check_reduced(x, mode)  # now, rather than when backward gets here
    return QRResult(*_qr(x, mode=mode))
