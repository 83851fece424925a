"""The smaller, the larger, limits, and questions about numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.elementwise import elementwise
from limpid.graph.dtype import as_dtype
from limpid.graph.registry import operation
from limpid.ops.arithmetic import where
from limpid.ops.constant import typed
from limpid.tensor import operand


def _share(a: Any, b: Any, wins: Any) -> Any:
    """1 for the operand that wins, 0 for the other, ½ for each where they are equal."""
    return where(a == b, typed(0.5, a, b), wins)


minimum = elementwise(
    "minimum",
    np.minimum,
    local=[lambda y, a, b: _share(a, b, a < b), lambda y, a, b: _share(a, b, b < a)],
    math=r"\min({a}, {b})",
    smooth=lambda a, b: a != b,
    kink="where a = b, each operand receives half of the gradient",
    gate="routes",
)
maximum = elementwise(
    "maximum",
    np.maximum,
    local=[lambda y, a, b: _share(a, b, a > b), lambda y, a, b: _share(a, b, b > a)],
    math=r"\max({a}, {b})",
    smooth=lambda a, b: a != b,
    kink="where a = b, each operand receives half of the gradient",
    gate="routes",
)


def held(x: Any, low: Any, high: Any) -> Any:
    """`np.clip` at a third of its cost on small arrays."""
    return np.minimum(np.maximum(x, low), high)


_clip = elementwise(
    "clip",
    held,
    local=[
        lambda y, x, low, high: (x >= low) & (x <= high),
        lambda y, x, low, high: (x < low) & (low < high),
        lambda y, x, low, high: (x > high) | (high < low),
    ],
    math=r"\min(\max({x}, {low}), {high})",
    smooth=lambda x, low, high: (x != low) & (x != high),
    kink="at a limit the gradient passes to x; where low ≥ high it passes to high",
)

isnan = elementwise("isnan", np.isnan, local=[0], math=r"{x} = \mathrm{NaN}", numeric="bool")
isinf = elementwise("isinf", np.isinf, local=[0], math=r"{x} = \pm\infty", numeric="bool")
isfinite = elementwise(
    "isfinite", np.isfinite, local=[0], math=r"\left|{x}\right| < \infty", numeric="bool"
)
signbit = elementwise("signbit", np.signbit, local=[0], math=r"{x} < 0", numeric="bool")


@operation
def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """Holds x between min and max; either may be left out, be a number or be an array.

    Where x lies within the limits, or on one, the gradient passes to x, elsewhere to the limit.

    >>> import limpid
    >>> limpid.clip(limpid.tensor([-2.0, 0.5, 7.0]), 0, 1)
    tensor([0. , 0.5, 1. ])
    """
    x = operand(x)
    low, high = _limits(x.dtype)
    return _clip(x, low if min is None else min, high if max is None else max)


def _limits(dtype: Any) -> tuple[Any, Any]:
    """Numbers of this type that no element is below or above."""
    dtype = as_dtype(dtype)
    if dtype.kind == "float":
        return -np.inf, np.inf
    if dtype.kind == "bool":
        return False, True
    info = np.iinfo(dtype.storage)
    return int(info.min), int(info.max)
