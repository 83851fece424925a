"""exp and its kin: x = n·log 2 + r with |r| ≤ ½ log 2, a polynomial in r, and 2^n.

Largest errors found, in ulp of float32 and of float64, over all arguments:
    exp 1.1, 1.1     exp2 0.9, 0.9    expm1 1.6, 2.2
    sinh 1.6, 1.8    cosh 2.1, 1.6    tanh 2.6, 2.7
"""

from __future__ import annotations

import math

from limpid.compiler.emission.coefficients import COSH, EXP, EXP2, SINH
from limpid.compiler.emission.formulas import Number, polynomial

LOG2_E = math.log2(math.e)
# log 2 in two parts
LN2_HIGH = {4: 0.6931471824645996, 8: 0.6931471805599453}
LN2_LOW = {4: -1.904654212125934e-09, 8: 2.3190468138462996e-17}


def exp(x: Number) -> Number:
    """e^x."""
    low, high = (-104.0, 89.0) if x.size == 4 else (-746.0, 710.0)
    held, n, r = reduced(x.at_least(low).at_most(high))
    return scaled(less_one(r) + 1.0, held, n)


def exp2(x: Number) -> Number:
    """2^x."""
    low, high = (-151.0, 129.0) if x.size == 4 else (-1080.0, 1030.0)
    x = x.at_least(low).at_most(high)
    held = x + x.format.shift
    n = held - x.format.shift
    r = x - n
    return scaled(r.fma(polynomial(r, EXP2[x.size]), 1.0), held, n)


def expm1(x: Number) -> Number:
    """e^x − 1 = 2^n·(e^r − 1) + (2^n − 1), halved for the last n, of which 2^n is infinite."""
    low, high, last = (-25.0, 89.0, 88.0) if x.size == 4 else (-45.0, 710.0, 709.4)
    held, _, r = reduced(x.at_least(low).at_most(high))
    large = x.above(last)
    bits = held.bits()
    scale = power_of_two(bits + large.widened(bits))
    y = less_one(r).fma(scale, scale - 1.0) * large.choose(x.constant(2.0), 1.0)
    return y.with_sign_of(x)


def tanh(x: Number) -> Number:
    """y/(y + 2) for y = e^2x − 1 = 2^n·(e^r − 1) + (2^n − 1)."""
    held, _, r = reduced((abs(x) * 2.0).at_most(20.0 if x.size == 4 else 40.0))
    scale = power_of_two(held.bits())
    y = less_one(r).fma(scale, scale - 1.0)
    return (y / (y + 2.0)).with_sign_of(x)


def sinh(x: Number) -> Number:
    """sinh(n·log 2)·cosh r + cosh(n·log 2)·sinh r; x itself where it is small."""
    up, down, even, odd = _parts(x)
    sine, cosine = up - down, up + down
    y = cosine.fma(odd, sine * even) + sine
    small = abs(x).below(2.0**-13 if x.size == 4 else 2.0**-28)
    return small.choose(x, (y * 2.0).with_sign_of(x))


def cosh(x: Number) -> Number:
    """cosh(n·log 2)·cosh r + sinh(n·log 2)·sinh r."""
    up, down, even, odd = _parts(x)
    sine, cosine = up - down, up + down
    return (sine.fma(odd, cosine * even) + cosine) * 2.0


def _parts(x: Number) -> tuple[Number, Number, Number, Number]:
    """¼·2^n, ¼·2^−n, cosh r − 1 and sinh r for |x|."""
    held, n, r = reduced(abs(x).at_most(89.7 if x.size == 4 else 710.7))
    inverse = x.constant(x.format.shift) - n.at_most(100.0)
    square = r * r
    even = square * polynomial(square, COSH[x.size])
    odd = (square * r).fma(polynomial(square, SINH[x.size]), r)
    return power_of_two(held.bits() - 2), power_of_two(inverse.bits() - 2), even, odd


def reduced(x: Number, rest: Number | None = None) -> tuple[Number, Number, Number]:
    """n, as the last bits of a float and as a number, and r of x + rest = n·log 2 + r."""
    held = x.fma(LOG2_E, x.format.shift)
    n = held - x.format.shift
    high, low = LN2_HIGH[x.size], LN2_LOW[x.size]
    r = n.fma(-high, x)
    return held, n, n.fma(-low, r) if rest is None else r + n.fma(-low, rest)


def power_of_two(bits: Number) -> Number:
    """2^n of the integers that are the last bits."""
    form = bits.format
    return ((bits << form.fraction) + form.ones).floats()


def scaled(y: Number, held: Number, n: Number) -> Number:
    """y·2^n in two products, since 2^n alone may be out of range."""
    half = n.fma(0.5, y.format.shift)
    first = half.bits()
    return y * power_of_two(first) * power_of_two(held.bits() - first)


def less_one(r: Number) -> Number:
    """e^r − 1 for small r."""
    return (r * r).fma(polynomial(r, EXP[r.size]), r)
