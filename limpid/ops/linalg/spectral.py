"""Eigenvalues of symmetric matrices and singular values, with their vectors.

Where two values coincide, the vectors have no derivative: there is no telling which way they would
turn. A difference of 0 between values is therefore replaced by the smallest normal number, so that
the gradient becomes huge, infinite or NaN if it depends on those vectors, and stays right if it
does not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.declaration import general
from limpid.differentiation.primitive import Primitive
from limpid.errors import ArgumentError
from limpid.graph.dtype import int64
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.arithmetic import where
from limpid.ops.linalg.matrices import (
    attempt,
    check_lapack,
    check_square,
    column,
    columns,
    float_type,
    identity_mask,
    outputs_relation,
    smallest,
    symmetric,
    takes_gradient,
)
from limpid.ops.triangle import diagonal
from limpid.tensor import operand

UNFOUND = "has eigenvalues or singular values that LAPACK could not find"


def _nonzero(x: Any) -> Any:
    return where(x == 0, smallest(x), x)


def _gaps(values: Any) -> Any:
    """The differences w_j − w_i, with ones on the diagonal and no zeros: (…, n) → (…, n, n)."""
    gaps = _nonzero(columns(values) - column(values))
    return where(identity_mask(values.shape[-1]), 1, gaps)


def _diagonal(x: Any) -> Any:
    return diagonal(x, 0, -2, -1)


def _decompose(x: Array) -> Any:
    check_square("eigh", x)
    return tuple(attempt("eigh", UNFOUND, lambda: np.linalg.eigh(x), x, np.linalg.eigh))


def _eigh_shape(x: Spec) -> tuple[Spec, Spec]:
    check_square("eigh", x)
    dtype = float_type(x)
    return Spec(x.shape[:-1], dtype), Spec(x.shape, dtype)


def _eigh_vjp(g: Any, y: Any, x: Any) -> Any:
    """V (diag(g_w) + (Vᵀ g_V) / gaps) Vᵀ, its symmetric part."""
    (for_values, for_vectors), (w, v) = g, y
    turned = v.mT @ for_vectors / _gaps(w)
    inside = where(identity_mask(w.shape[-1]), columns(for_values), turned)
    return symmetric(v @ inside @ v.mT)


def _eigh_jvp(dx: Any, y: Any, x: Any) -> Any:
    w, v = y
    change = v.mT @ symmetric(dx) @ v
    turned = where(identity_mask(w.shape[-1]), 0, change / _gaps(w))
    return _diagonal(change), v @ turned


_eigh: Primitive = general(
    "eigh",
    _decompose,
    vjp=[_eigh_vjp],
    jvp=[_eigh_jvp],
    shape=_eigh_shape,
    relation=outputs_relation(1, 2),
    math=r"\mathrm{eigh}({x})",
    numeric="float",
    outputs=2,
)


class EighResult(NamedTuple):
    """Eigenvalues in ascending order, and the eigenvectors in columns."""

    eigenvalues: Any
    eigenvectors: Any


@operation
def eigh(x: Any) -> EighResult:
    """Eigenvalues w, ascending, and eigenvectors V of symmetric matrices: X = V diag(w) Vᵀ.

    Only the lower triangle is read. The gradient is that of X ↦ eigh(½ (X + Xᵀ)), so it is
    symmetric, as in PyTorch. The sign of an eigenvector is arbitrary (LAPACK's choice); what is
    computed from it should not depend on it. Where eigenvalues coincide, the gradient of the
    eigenvalues is a subgradient (exact for symmetric functions of them), that of the eigenvectors
    does not exist and comes out huge, infinite or NaN.

    >>> import limpid
    >>> limpid.linalg.eigh(limpid.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return EighResult(*_eigh(operand(x)))


def _values(x: Array) -> Any:
    check_square("eigvalsh", x)
    return attempt("eigvalsh", UNFOUND, lambda: np.linalg.eigvalsh(x), x, np.linalg.eigvalsh)


def _eigvalsh_shape(x: Spec) -> Spec:
    check_square("eigvalsh", x)
    return Spec(x.shape[:-1], float_type(x))


def _eigvalsh_vjp(g: Any, y: Any, x: Any) -> Any:
    _, v = _eigh(x)
    return v * columns(g) @ v.mT


def _eigvalsh_jvp(dx: Any, y: Any, x: Any) -> Any:
    _, v = _eigh(x)
    return _diagonal(v.mT @ symmetric(dx) @ v)


_eigvalsh: Primitive = general(
    "eigvalsh",
    _values,
    vjp=[_eigvalsh_vjp],
    jvp=[_eigvalsh_jvp],
    shape=_eigvalsh_shape,
    relation=outputs_relation(1),
    math=r"\lambda({x})",
    numeric="float",
)


@operation
def eigvalsh(x: Any) -> Any:
    """Eigenvalues of symmetric matrices, ascending, (…, n, n) → (…, n); conventions as `eigh`.

    >>> import limpid
    >>> limpid.linalg.eigvalsh(limpid.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    return _eigvalsh(operand(x))


def _svd_arrays(x: Array, *, full_matrices: bool) -> Any:
    check_lapack("svd", x)
    return tuple(
        attempt(
            "svd",
            UNFOUND,
            lambda: np.linalg.svd(x, full_matrices=full_matrices),
            x,
            np.linalg.svdvals,
        )
    )


def _svd_shape(x: Spec, *, full_matrices: bool) -> tuple[Spec, Spec, Spec]:
    check_lapack("svd", x)
    (m, n), dtype = x.shape[-2:], float_type(x)
    k = min(m, n)
    rows, right = (m, n) if full_matrices else (k, k)
    extents = ((m, rows), (k,), (right, n))
    u, s, vh = (Spec((*x.shape[:-2], *extent), dtype) for extent in extents)
    return u, s, vh


def _check_reduced(x: Any, full_matrices: bool) -> None:
    if full_matrices and x.shape[-1] != x.shape[-2]:
        raise ArgumentError(
            f"svd: with full_matrices=True matrices of shape {x.shape[-2:]} have singular vectors "
            "that belong to no singular value and have no derivative\n"
            "remedy: pass full_matrices=False"
        )


def _skew(x: Any) -> Any:
    return x - x.mT


def _squared_gaps(s: Any) -> Any:
    """The differences s_j² − s_i², with ones on the diagonal and no zeros."""
    gaps = (columns(s) - column(s)) * (columns(s) + column(s))
    return where(identity_mask(s.shape[-1]), 1, _nonzero(gaps))


def _svd_vjp(g: Any, y: Any, x: Any, *, full_matrices: bool) -> Any:
    """Townsend 2016, "Differentiating the singular value decomposition"."""
    _check_reduced(x, full_matrices)
    (gu, gs, gvh), (u, s, vh) = g, y
    m, n = x.shape[-2:]
    left, right = u.mT @ gu, vh @ gvh.mT  # (k, k)
    gaps = _squared_gaps(s)
    turned = _skew(left) / gaps * columns(s) + column(s) * (_skew(right) / gaps)
    inside = u @ where(identity_mask(s.shape[-1]), columns(gs), turned) @ vh
    if m > n:  # what turns out of the space of U
        return inside + ((gu - u @ left) / columns(_nonzero(s))) @ vh
    if n > m:
        return inside + u @ ((gvh - right.mT @ vh) / column(_nonzero(s)))
    return inside


def _svd_jvp(dx: Any, y: Any, x: Any, *, full_matrices: bool) -> Any:
    _check_reduced(x, full_matrices)
    u, s, vh = y
    m, n = x.shape[-2:]
    towards, back = dx @ vh.mT, dx.mT @ u  # (m, k), (n, k)
    change = u.mT @ towards  # (k, k)
    by_columns, by_rows = change * columns(s), column(s) * change
    gaps, mask = _squared_gaps(s), identity_mask(s.shape[-1])
    du = u @ where(mask, 0, (by_columns + by_columns.mT) / gaps)
    dv = vh.mT @ where(mask, 0, (by_rows + by_rows.mT) / gaps)
    if m > n:
        du = du + (towards - u @ change) / columns(_nonzero(s))
    if n > m:
        dv = dv + (back - vh.mT @ change.mT) / columns(_nonzero(s))
    return du, _diagonal(change), dv.mT


_svd: Primitive = general(
    "svd",
    _svd_arrays,
    vjp=[_svd_vjp],
    jvp=[_svd_jvp],
    shape=_svd_shape,
    relation=outputs_relation(2, 1, 2),
    math=r"\mathrm{svd}({x})",
    numeric="float",
    outputs=3,
)


class SVDResult(NamedTuple):
    """Left singular vectors in columns, singular values descending, right vectors in rows."""

    U: Any
    S: Any
    Vh: Any


@operation
def svd(x: Any, full_matrices: bool = True) -> SVDResult:
    """Singular values S, descending, and vectors of each matrix: X = U diag(S) Vh.

    full_matrices  complete U and Vh to square matrices; otherwise they have k = min(m, n) columns
                   and rows. What is added has no derivative, so if x requires a gradient and is
                   not square, this raises ArgumentError: pass False

    The sign of a pair of vectors is arbitrary (LAPACK's choice); what is computed from it should
    not depend on it. Where singular values coincide or are 0, the gradient of the values is a
    subgradient, that of the vectors does not exist and comes out huge, infinite or NaN.

    >>> import limpid
    >>> limpid.linalg.svd(limpid.tensor([[2.0, 0.0], [0.0, 3.0]])).S
    tensor([3., 2.])
    """
    x = operand(x)
    if takes_gradient(x) and len(x.shape) > 1:
        _check_reduced(x, full_matrices)  # now, rather than when backward gets here
    return SVDResult(*_svd(x, full_matrices=bool(full_matrices)))


def _singular_values(x: Array) -> Any:
    check_lapack("svdvals", x)
    return attempt("svdvals", UNFOUND, lambda: np.linalg.svdvals(x), x, np.linalg.svdvals)


def _svdvals_shape(x: Spec) -> Spec:
    check_lapack("svdvals", x)
    return Spec((*x.shape[:-2], min(x.shape[-2:])), float_type(x))


def _svdvals_vjp(g: Any, y: Any, x: Any) -> Any:
    u, _, vh = _svd(x, full_matrices=False)
    return u * columns(g) @ vh


def _svdvals_jvp(dx: Any, y: Any, x: Any) -> Any:
    u, _, vh = _svd(x, full_matrices=False)
    return _diagonal(u.mT @ dx @ vh.mT)


_svdvals: Primitive = general(
    "svdvals",
    _singular_values,
    vjp=[_svdvals_vjp],
    jvp=[_svdvals_jvp],
    shape=_svdvals_shape,
    relation=outputs_relation(1),
    math=r"\sigma({x})",
    numeric="float",
)


@operation
def svdvals(x: Any) -> Any:
    """Singular values of each matrix, descending, (…, m, n) → (…, min(m, n)).

    >>> import limpid
    >>> limpid.linalg.svdvals(limpid.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor([3., 2.])
    """
    return _svdvals(operand(x))


def _rank(x: Array, *, rtol: float | None) -> Any:
    check_lapack("matrix_rank", x)
    return np.asarray(np.linalg.matrix_rank(x, rtol=rtol), np.int64)


def _rank_shape(x: Spec, *, rtol: float | None) -> Spec:
    check_lapack("matrix_rank", x)
    return Spec(x.shape[:-2], int64)


_matrix_rank: Primitive = general(
    "matrix_rank",
    _rank,
    vjp=[None],
    shape=_rank_shape,
    relation=outputs_relation(0),
    math=r"\mathrm{rank}\, {x}",
    numeric="any",
)


@operation
def matrix_rank(x: Any, *, rtol: float | None = None) -> Any:
    """The number of singular values above rtol times the largest; by default max(m, n) · ε.

    It has no gradient.

    >>> import limpid
    >>> limpid.linalg.matrix_rank(limpid.tensor([[1.0, 1.0], [1.0, 1.0]]))
    tensor(1)
    """
    return _matrix_rank(operand(x), rtol=None if rtol is None else float(rtol))
