"""Changing the element type, and cutting the graph."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.declaration import linear
from limpid.differentiation.elementwise import elementwise
from limpid.differentiation.relation import elementwise_relation
from limpid.graph.dtype import DType, as_dtype, default_float
from limpid.graph.node import Spec
from limpid.graph.registry import operation
from limpid.tensor import operand

_cast = linear(
    "cast",
    lambda x, *, dtype: x.astype(as_dtype(dtype).storage),
    transpose=lambda g, x, *, dtype: astype(g, x.dtype),
    shape=lambda x, *, dtype: Spec(x.shape, as_dtype(dtype)),
    relation=lambda x, *, dtype: elementwise_relation([x.shape], x.shape),
    math=r"\mathrm{cast}({x})",
)
_truncate = elementwise(
    "truncate",
    lambda x, *, dtype: x.astype(as_dtype(dtype).storage),
    local=[0],
    numeric="any",
    shape=lambda x, *, dtype: Spec(x.shape, as_dtype(dtype)),
    math=r"\mathrm{cast}({x})",
)
stop_gradient = elementwise("stop_gradient", lambda x: x, local=[0], math=r"\overline{{x}}")


@operation
def astype(x: Any, dtype: Any) -> Any:
    """`x` with another element type; linear between float types, a cut to integers.

    >>> import limpid
    >>> limpid.astype(limpid.tensor([1.5, 2.5]), limpid.int64)
    tensor([1, 2])
    """
    dtype = as_dtype(dtype)
    x = operand(x)
    if x.dtype == dtype:
        return x
    return (_cast if dtype.kind == "float" else _truncate)(x, dtype=dtype.name)


def as_floats(x: Any, other: DType | None = None) -> Any:
    """Floats as they are; anything else in the float type `other`, or the default float type."""
    x = operand(x)
    if as_dtype(x.dtype).kind == "float":
        return x
    return astype(x, other if other is not None and other.kind == "float" else default_float())
