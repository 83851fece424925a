"""Determinants, and the cofactors that are their derivative."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.declaration import general
from limpid.differentiation.primitive import Primitive
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.linalg.matrices import (
    attempt,
    check_square,
    float_type,
    matrix_relation,
    outputs_relation,
    per_matrix,
    product_sum,
    square_spec,
)
from limpid.ops.linalg.systems import inv
from limpid.tensor import operand


def _determinant(x: Array) -> Any:
    check_square("det", x)
    return np.asarray(np.linalg.det(x))


def _per_matrix_spec(name: str, x: Spec) -> Spec:
    check_square(name, x)
    return Spec(x.shape[:-2], float_type(x))


_det: Primitive = general(
    "det",
    _determinant,
    vjp=[lambda g, y, x: per_matrix(g) * _cofactor(x)],
    jvp=[lambda dx, y, x: product_sum(_cofactor(x), dx)],
    shape=lambda x: _per_matrix_spec("det", x),
    relation=outputs_relation(0),
    math=r"\det {x}",
    numeric="float",
)


def _cofactors(x: Array) -> Any:
    """From X = U S Vᵀ: det(U) det(V) · U Γ Vᵀ, where Γ_i is the product of the other s_j."""
    check_square("cofactor", x)
    diverged = "has singular values that LAPACK could not find"
    u, s, vh = attempt("cofactor", diverged, lambda: np.linalg.svd(x), x, np.linalg.svd)
    before, after = np.ones_like(s), np.ones_like(s)
    before[..., 1:] = np.cumprod(s[..., :-1], axis=-1)
    after[..., -2::-1] = np.cumprod(s[..., :0:-1], axis=-1)
    sign = np.rint(np.linalg.det(u) * np.linalg.det(vh))
    others = before * after * np.asarray(sign)[..., None]
    return (u * others[..., None, :]) @ vh


def _cofactor_vjp(g: Any, y: Any, x: Any) -> Any:
    z = inv(x).mT
    return per_matrix(product_sum(g, y)) * z - z @ (g.mT @ y)


def _cofactor_jvp(dx: Any, y: Any, x: Any) -> Any:
    z = inv(x).mT
    return per_matrix(product_sum(z, dx)) * y - y @ (dx.mT @ z)


_cofactor: Primitive = general(
    "cofactor",
    _cofactors,
    vjp=[_cofactor_vjp],
    jvp=[_cofactor_jvp],
    shape=square_spec("cofactor"),
    relation=matrix_relation,
    math=r"\mathrm{cof}\, {x}",
    numeric="float",
)


@operation
def det(x: Any) -> Any:
    """Determinant of each square matrix, (…, n, n) → (…).

    d det = Σ cof(X) · dX. The cofactors come from a singular value decomposition, so the gradient
    is right for singular matrices, too; second derivatives need a regular one. For large matrices
    `slogdet` does not overflow.

    >>> import limpid
    >>> limpid.linalg.det(limpid.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(8.)
    """
    return _det(operand(x))


def _sign_and_log(x: Array) -> Any:
    check_square("slogdet", x)
    sign, logarithm = np.linalg.slogdet(x)
    return np.asarray(sign), np.asarray(logarithm)


_slogdet: Primitive = general(
    "slogdet",
    _sign_and_log,
    vjp=[lambda g, y, x: per_matrix(g[1]) * inv(x).mT],
    jvp=[lambda dx, y, x: (None, product_sum(inv(x).mT, dx))],
    shape=lambda x: (_per_matrix_spec("slogdet", x),) * 2,
    relation=outputs_relation(0, 0),
    math=r"\log |\det {x}|",
    numeric="float",
    outputs=2,
)


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of determinants."""

    sign: Any
    logabsdet: Any


@operation
def slogdet(x: Any) -> SlogdetResult:
    """Sign of the determinant of each square matrix, and the logarithm of its absolute value.

    d log|det X| = Σ X⁻ᵀ · dX; the sign has no gradient. A singular matrix gives (0, −∞), and a
    gradient of that raises MatrixError.

    >>> import limpid
    >>> limpid.linalg.slogdet(limpid.tensor([[-1.0, 0.0], [0.0, 1.0]])).sign
    tensor(-1.)
    """
    return SlogdetResult(*_slogdet(operand(x)))
