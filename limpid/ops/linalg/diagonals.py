"""Diagonals and traces of the matrices in the last two axes, as the Array API has them."""

from __future__ import annotations

from typing import Any

from limpid.ops import triangle
from limpid.ops.linalg.matrices import check_matrix
from limpid.tensor import operand


def diagonal(x: Any, *, offset: int = 0) -> Any:
    """The elements x[…, i, i + offset] of each matrix; `limpid.diagonal` takes any two axes.

    >>> import limpid
    >>> limpid.linalg.diagonal(limpid.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    x = operand(x)
    check_matrix("diagonal", x)
    return triangle.diagonal(x, offset, -2, -1)


def trace(x: Any, *, offset: int = 0) -> Any:
    """The sum of the diagonal of each matrix; `limpid.trace` takes any two axes.

    >>> import limpid
    >>> limpid.linalg.trace(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    x = operand(x)
    check_matrix("trace", x)
    return triangle.trace(x, offset, -2, -1)
