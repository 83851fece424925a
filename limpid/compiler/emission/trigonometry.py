"""sin, cos and tan: x = n·π/2 + r with |r| ≤ π/4, by three parts of π/2 (Cody and Waite).

The first difference is exact, and no float below the limits is so near to a multiple of π/2 that
the third part cancels. Beyond the limits the C library computes the lane.

Largest errors found below them, in ulp of float32 and of float64:
    sin 1.6, 1.6    cos 1.6, 1.6    tan 3.8, 3.8
"""

from __future__ import annotations

import math

from limpid.compiler.emission.coefficients import COS, SIN
from limpid.compiler.emission.formulas import Number, by_lane, polynomial

LIMIT = {4: 2.0**17, 8: 2.0**30}
HALF_PI = {
    4: (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    8: (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}


def sin(x: Number) -> Number:
    """The sine."""
    quarter, sine, cosine = _turned(x)
    y = _is_odd(quarter).choose(cosine, sine)
    y = x.equals(0.0).choose(x, _negated(y, quarter))
    return _near("sin", x, y)


def cos(x: Number) -> Number:
    """The cosine."""
    quarter, sine, cosine = _turned(x)
    return _near("cos", x, _negated(_is_odd(quarter).choose(sine, cosine), quarter + 1))


def tan(x: Number) -> Number:
    """The tangent: the sine over the cosine, and minus the inverse in odd quarters."""
    quarter, sine, cosine = _turned(x)
    odd = _is_odd(quarter)
    y = odd.choose(cosine, sine) / odd.choose(-sine, cosine)
    return _near("tan", x, x.equals(0.0).choose(x, y))


def _turned(x: Number) -> tuple[Number, Number, Number]:
    """n among the last bits of an integer, and the sine and the cosine of r."""
    held = x.fma(2 / math.pi, x.format.shift)
    n = held - x.format.shift
    r = x
    for part in HALF_PI[x.size]:
        r = n.fma(-part, r)
    z = r * r
    sine = (r * z).fma(polynomial(z, SIN[x.size]), r)
    cosine = (z * z).fma(polynomial(z, COS[x.size]), z.fma(-0.5, 1.0))
    return held.bits(), sine, cosine


def _is_odd(quarter: Number) -> Number:
    return (quarter & 1).equals(1)


def _negated(y: Number, quarter: Number) -> Number:
    """−y in the second half of a turn."""
    form = y.format
    return (y.bits() ^ ((quarter & 2) << (form.bits - 2))).floats()


def _near(symbol: str, x: Number, y: Number) -> Number:
    return by_lane(x, symbol, abs(x).above(LIMIT[x.size]), y)
