"""Powers with any exponent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from limpid.differentiation.elementwise import elementwise
from limpid.graph.node import Array
from limpid.graph.registry import operations
from limpid.ops.arithmetic import where
from limpid.ops.elementary import log
from limpid.ops.plain.functions import array_of
from limpid.ops.rounding import floor


def _raise(a: Any, b: Any) -> Any:
    """The power; the operator computes b = 2, −1 and ½ without a logarithm."""
    return np.power(a, b) if isinstance(a, int | float) else a**b


def _raise_plainly(a: Any, b: Any) -> Any:
    return _raise(a, np.maximum(b, 0) if _are_integers(a, b) else b)


def _exists(a: Any, b: Any) -> Any:
    """False for integers to negative powers, which NumPy refuses."""
    return np.all(np.greater_equal(b, 0)) if _are_integers(a, b) else np.True_


def _are_integers(*xs: Any) -> bool:
    return all(array_of(x).dtype.kind in "iub" for x in xs)


def _by_base(y: Any, a: Any, b: Any) -> Any:
    """b·a^(b−1); 0 where the exponent is 0, also at a = 0."""
    if isinstance(b, int | float):  # the usual case, where the rule is short
        if b == 0 or b == 1:
            return float(b)
        return b * a ** (b - 1) if b != 2 else 2 * a
    return b * a ** (where((a == 0) & (b == 0), 1, b) - 1)


def _by_exponent(y: Any, a: Any, b: Any) -> Any:
    """a^b·log a; 0 at a = 0 unless b is negative; NaN for negative a."""
    if isinstance(a, int | float) and a > 0:
        return y * math.log(a)
    return y * log(where((a == 0) & (b >= 0), 1, a))


power = elementwise(
    "power",
    _raise,
    local=[_by_base, _by_exponent],
    math="{a}^{{b}}",
    label="_ ** _",
    operands=("a", "b"),
    native=_raise_plainly,
    valid=_exists,
    domain=lambda a, b: (a > 0) | ((a == 0) & (b >= 0)) | ((a < 0) & (b == floor(b))),
    smooth=lambda a, b: (a != 0) | (b >= 1) | (b == 0),
    kink="0⁰ = 1; the derivative by the base is 0 where b = 0, that by the exponent is 0 at "
    "a = 0 unless b < 0, and NaN for a < 0",
    doc="""a to the power b, elementwise. The base may be negative where the exponent is whole.

    Integers to negative powers raise, as in NumPy; make one of them float.

    >>> import limpid
    >>> limpid.power(limpid.tensor([-3.0, 0.0, 2.0]), 2)
    tensor([9., 0., 4.])
    """,
)
pow = power
operations.update(pow=power)


def _rooted(x: Array, *, power: float) -> Array:
    y: Array = np.sqrt(x) if power == 2 else np.power(x, 1 / power, where=x != 0, out=x * 0)
    return y


def _by_radicand(y: Any, x: Any, *, power: float) -> Any:
    """x^(1/p − 1)/p; 0 at x = 0, where y is 0."""
    return y / (power * where(x == 0, 1, x))


def _plainly_rooted(x: Array, *, power: float) -> Array:
    return np.sqrt(x) if power == 2 else np.where(x == 0, x, np.power(x, 1 / power))


# What sums of powers become in a norm.
root = elementwise(
    "root",
    _rooted,
    local=[_by_radicand],
    math=r"{x}^{1 / p}",
    numeric="float",
    domain=lambda x, *, power: x >= 0,
    smooth=lambda x, *, power: x > 0,
    kink="value and derivative are 0 at 0",
    native=_plainly_rooted,
)
