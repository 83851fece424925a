"""What linear algebra asks of its operands, and calls of NumPy that say what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from limpid.differentiation.relation import Relation, along_relation
from limpid.errors import DTypeError, MatrixError, ShapeError
from limpid.graph.context import is_grad_enabled
from limpid.graph.dtype import DType, as_dtype, result_type
from limpid.graph.node import Array, Spec
from limpid.ops.reduce import sum
from limpid.tensor import Tensor


def check_matrix(name: str, x: Any) -> None:
    """Raise unless x, an array or a spec, has at least two axes."""
    if getattr(x, "ndim", 0) < 2:
        raise ShapeError(
            f"{name}: needs matrices, an operand of shape (…, m, n), not {getattr(x, 'shape', ())}"
        )


def check_lapack(name: str, x: Any) -> None:
    """Raise unless x holds matrices of a type that LAPACK takes."""
    check_matrix(name, x)
    if x.dtype == np.float16:
        raise DTypeError(f"{name}: float16 is not supported; use limpid.astype(x, limpid.float32)")


def check_square(name: str, x: Any) -> None:
    """Raise unless x holds square matrices of a type that LAPACK takes."""
    check_lapack(name, x)
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            f"{name}: needs square matrices, of shape (…, n, n), not {x.shape}; "
            "limpid.linalg.pinv and lstsq take others"
        )


def takes_gradient(x: Any) -> bool:
    """Whether an operation on x will be differentiated."""
    return isinstance(x, Tensor) and x.requires_grad and is_grad_enabled()


def float_type(*operands: Spec) -> DType:
    """The float type of the result; integers become the default one."""
    return result_type([x.dtype for x in operands], float_only=True)


def square_spec(name: str) -> Callable[..., Spec]:
    """A shape rule: square matrices to matrices of the same shape."""

    def shape(x: Spec, **params: Any) -> Spec:
        check_square(name, x)
        return Spec(x.shape, float_type(x))

    return shape


def matrix_relation(x: Spec, **params: Any) -> Relation:
    """Batch axes mapped, the two matrix axes mixed."""
    return along_relation(x.ndim, (x.ndim - 2, x.ndim - 1), "mixed")


def outputs_relation(*ranks: int) -> Callable[..., Relation]:
    """Batch axes mapped; of each output so many axes that read the whole matrix."""

    def relation(x: Spec, **params: Any) -> Relation:
        batch = tuple(range(x.ndim - 2))
        outputs = tuple(
            (*batch, *(f"{'yzw'[k]}{axis}" for axis in range(rank))) for k, rank in enumerate(ranks)
        )
        return Relation(((*batch, "i", "j"),), outputs)

    return relation


def attempt(
    name: str, what: str, function: Callable[[], Any], x: Array, trial: Callable[[Array], Any]
) -> Any:
    """The function's result; MatrixError, naming the first matrix of x for which a trial fails.

    what  says of such a matrix what it is, and what may be done
    """
    try:
        return function()
    except np.linalg.LinAlgError:
        at = next((i for i in np.ndindex(x.shape[:-2]) if _fails(trial, x[i])), ())
        which = f"matrix {list(map(int, at))} of the operand" if at else "the matrix"
        if not np.isfinite(x[at]).all():
            what = "holds NaN or infinite elements"
        raise MatrixError(f"{name}: {which}, of shape {x.shape[-2:]}, {what}") from None


def _fails(trial: Callable[[Array], Any], x: Array) -> bool:
    try:
        trial(x)
    except np.linalg.LinAlgError:
        return True
    return False


SINGULAR = (
    "is singular: it has no inverse\nremedy: add a small multiple of the identity, "
    "or use limpid.linalg.pinv or lstsq"
)


@lru_cache(maxsize=256)
def identity_mask(n: int) -> Array:
    """True on the diagonal of an n by n matrix, for `where`."""
    mask = np.eye(n, dtype=bool)
    mask.flags.writeable = False
    return mask


def smallest(x: Any) -> float:
    """The smallest normal number of x's type: what stands for 0 as a divisor.

    0 divided by it is 0; anything else becomes so large that it can't be overlooked.
    """
    return float(np.finfo(as_dtype(x.dtype).storage).tiny)


def per_matrix(g: Any) -> Any:
    """One number for each matrix, as a 1 by 1 matrix that broadcasts."""
    return g.reshape(*g.shape, 1, 1)


def columns(x: Any) -> Any:
    """A number for each column: (…, n) → (…, 1, n)."""
    return x.reshape(*x.shape[:-1], 1, x.shape[-1])


def column(x: Any) -> Any:
    """A number for each row: (…, n) → (…, n, 1)."""
    return x.reshape(*x.shape, 1)


def product_sum(a: Any, b: Any) -> Any:
    """Σ a·b over each pair of matrices: their inner product."""
    return sum(a * b, axis=(-2, -1))


def symmetric(x: Any) -> Any:
    """The symmetric part, ½ (x + xᵀ)."""
    return 0.5 * (x + x.mT)
