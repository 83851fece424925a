"""Elementary functions: magnitudes, roots, exponentials, logarithms, circles and hyperbolas.

The names are the Array API's; NumPy's (`arcsin`) name the same objects.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from limpid.differentiation.elementwise import elementwise
from limpid.differentiation.primitive import Primitive
from limpid.graph.registry import operations
from limpid.ops.arithmetic import where
from limpid.ops.comparison import isinf

LN2, LN10 = math.log(2), math.log(10)
_function = partial(elementwise, numeric="float")

# Magnitudes

abs = elementwise(
    "abs",
    np.abs,
    local=[lambda y, x: sign(x)],
    math=r"\left|{x}\right|",
    smooth=lambda x: x != 0,
    kink="the derivative at 0 is 0",
)
sign: Primitive = elementwise(
    "sign",
    np.sign,
    local=[0],
    math=r"\operatorname{sign}({x})",
    smooth=lambda x: x != 0,
    kink="the gradient is 0 everywhere, also at the step",
)
copysign: Primitive = _function(
    "copysign",
    np.copysign,
    local=[lambda y, a, b: sign(a) * copysign(1.0, b), 0],
    math=r"\left|{a}\right| \operatorname{sign}({b})",
    smooth=lambda a, b: (a != 0) & (b != 0),
    kink="the derivative at a = 0 is 0",
)
hypot = _function(
    "hypot",
    np.hypot,
    local=[lambda y, a, b: a / where(y == 0, 1.0, y), lambda y, a, b: b / where(y == 0, 1.0, y)],
    math=r"\sqrt{{a}^2 + {b}^2}",
    smooth=lambda a, b: (a != 0) | (b != 0),
    kink="the gradient at the origin is 0",
)

# Roots

sqrt = _function(
    "sqrt",
    np.sqrt,
    local=[lambda y, x: 0.5 / y],
    math=r"\sqrt{{x}}",
    domain=lambda x: x >= 0,
    smooth=lambda x: x > 0,
)
rsqrt = _function(
    "rsqrt",
    lambda x: np.divide(1.0, np.sqrt(x)),
    local=[lambda y, x: -0.5 * (y * y * y)],
    math=r"\frac{1}{\sqrt{{x}}}",
    domain=lambda x: x > 0,
)
cbrt = _function(
    "cbrt",
    np.cbrt,
    local=[lambda y, x: 1 / (3 * (y * y))],
    math=r"\sqrt[3]{{x}}",
    smooth=lambda x: x != 0,
)

# Exponentials and logarithms

exp = _function("exp", np.exp, local=[lambda y, x: y], math="e^{{x}}")
exp2 = _function("exp2", np.exp2, local=[lambda y, x: LN2 * y], math="2^{{x}}")
expm1 = _function("expm1", np.expm1, local=[lambda y, x: exp(x)], math="e^{{x}} - 1")
log = _function("log", np.log, local=[lambda y, x: 1 / x], math=r"\log {x}", domain=lambda x: x > 0)
log2 = _function(
    "log2",
    np.log2,
    local=[lambda y, x: (1 / LN2) / x],
    math=r"\log_2 {x}",
    domain=lambda x: x > 0,
)
log10 = _function(
    "log10",
    np.log10,
    local=[lambda y, x: (1 / LN10) / x],
    math=r"\log_{10} {x}",
    domain=lambda x: x > 0,
)
log1p = _function(
    "log1p",
    np.log1p,
    local=[lambda y, x: 1 / (1 + x)],
    math=r"\log(1 + {x})",
    domain=lambda x: x > -1,
)
logaddexp: Primitive = _function(
    "logaddexp",
    np.logaddexp,
    local=[lambda y, a, b: _weight(a, b), lambda y, a, b: _weight(b, a)],
    math=r"\log(e^{{a}} + e^{{b}})",
    kink="where both are the same infinity, each operand receives half of the gradient",
)

# Circles

sin = _function("sin", np.sin, local=[lambda y, x: cos(x)], math=r"\sin {x}")
cos: Primitive = _function("cos", np.cos, local=[lambda y, x: -sin(x)], math=r"\cos {x}")
tan = _function("tan", np.tan, local=[lambda y, x: 1 + y * y], math=r"\tan {x}")
asin = _function(
    "asin",
    np.arcsin,
    local=[lambda y, x: rsqrt((1 - x) * (1 + x))],
    math=r"\arcsin {x}",
    domain=lambda x: (x >= -1) & (x <= 1),
    smooth=lambda x: (x > -1) & (x < 1),
)
acos = _function(
    "acos",
    np.arccos,
    local=[lambda y, x: -rsqrt((1 - x) * (1 + x))],
    math=r"\arccos {x}",
    domain=lambda x: (x >= -1) & (x <= 1),
    smooth=lambda x: (x > -1) & (x < 1),
)
atan = _function("atan", np.arctan, local=[lambda y, x: 1 / (1 + x * x)], math=r"\arctan {x}")
atan2 = _function(
    "atan2",
    np.arctan2,
    local=[
        lambda y, a, b: b / hypot(a, b) / hypot(a, b),
        lambda y, a, b: -a / hypot(a, b) / hypot(a, b),
    ],
    math=r"\operatorname{atan2}({a}, {b})",
    smooth=lambda a, b: (a != 0) | (b != 0),
)

# Hyperbolas

sinh = _function("sinh", np.sinh, local=[lambda y, x: cosh(x)], math=r"\sinh {x}")
cosh: Primitive = _function("cosh", np.cosh, local=[lambda y, x: sinh(x)], math=r"\cosh {x}")
tanh = _function("tanh", np.tanh, local=[lambda y, x: 1 - y * y], math=r"\tanh {x}")
asinh = _function(
    "asinh",
    np.arcsinh,
    local=[lambda y, x: 1 / hypot(x, 1.0)],
    math=r"\operatorname{arsinh} {x}",
)
acosh = _function(
    "acosh",
    np.arccosh,
    local=[lambda y, x: rsqrt(x - 1) * rsqrt(x + 1)],
    math=r"\operatorname{arcosh} {x}",
    domain=lambda x: x >= 1,
    smooth=lambda x: x > 1,
)
atanh = _function(
    "atanh",
    np.arctanh,
    local=[lambda y, x: 1 / ((1 - x) * (1 + x))],
    math=r"\operatorname{artanh} {x}",
    domain=lambda x: (x > -1) & (x < 1),
)


def _weight(a: Any, b: Any) -> Any:
    """The share e^a/(e^a + e^b); e^(a − y) would lose digits where y is large."""
    return exp(-logaddexp(0.0, where((a == b) & isinf(a), 0.0, b - a)))


absolute = abs
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh
operations.update(
    absolute=abs,
    arcsin=asin,
    arccos=acos,
    arctan=atan,
    arctan2=atan2,
    arcsinh=asinh,
    arccosh=acosh,
    arctanh=atanh,
)
