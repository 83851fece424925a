"""log and its kin: x = 2^k·(1 + f) with √½ ≤ 1 + f ≤ √2, and log(1 + f) near f.

Largest errors found, in ulp of float32 and of float64, over all arguments:
    log 0.9, 0.9    log2 1.9, 1.9    log10 2.0, 2.0    log1p 1.5, 1.5
and of logaddexp 2.5 ulp of the larger operand, or of 1. log2 of powers of two is exact, log10 of
powers of ten in float64.
"""

from __future__ import annotations

import math

import numpy as np

from limpid.compiler.emission.coefficients import ARTANH
from limpid.compiler.emission.exponentials import LN2_HIGH, LN2_LOW, exp
from limpid.compiler.emission.formulas import Format, Number, polynomial

LOG2_E, LOG10_E = math.log2(math.e), math.log10(math.e)
# log₁₀ 2 in two parts
LOG10_2_HIGH = {4: 0.3010300099849701, 8: 0.3010299956639812}
LOG10_2_LOW = {4: -1.432098884e-08, 8: -2.8037281277851704e-18}


def log(x: Number) -> Number:
    """The natural logarithm."""
    k, f = split(x)
    return _with_ends(x, _joined(k, f, _beyond(f)))


def log2(x: Number) -> Number:
    """The logarithm to base 2."""
    k, f = split(x)
    return _with_ends(x, (f + _beyond(f)).fma(LOG2_E, k))


def log10(x: Number) -> Number:
    """The logarithm to base 10."""
    k, f = split(x)
    y = (f + _beyond(f)) * LOG10_E
    return _with_ends(x, k.fma(LOG10_2_HIGH[x.size], k.fma(LOG10_2_LOW[x.size], y)))


def log1p(x: Number) -> Number:
    """log(1 + x): k is that of 1 + x, and f = x·2^−k + (2^−k − 1) is rounded once only."""
    form = x.format
    above = (x + 1.0).bits() + (form.ones - _root_half(form))
    biased = above >> form.fraction
    moved = (biased << form.fraction) - form.ones
    inverse = (form.ones - moved).at_least(0).floats()  # 2^−k; 0 for the last two k
    f = (x.bits() - moved).floats() + (inverse - 1.0)
    y = _joined(_exponent(biased), f, _beyond(f))
    return _with_ends(x, y, -1.0).with_sign_of(x)


def logaddexp(a: Number, b: Number) -> Number:
    """log(e^a + e^b): the greater, and log(1 + e^−d) of the distance d."""
    larger = a.above(b).choose(a, b)
    return a.equals(b).choose(a + math.log(2), larger + log1p(exp(-abs(a - b))))


def _root_half(form: Format) -> int:
    return int(form.dtype.type(math.sqrt(0.5)).view(form.integer))


def split(x: Number) -> tuple[Number, Number]:
    """k and f; subnormal numbers are made larger before."""
    form = x.format
    small = x.below(form.tiny)
    k, f = normal_split(small.choose(x * 2.0**form.fraction, x))
    return small.choose(k - form.fraction, k), f


def normal_split(x: Number) -> tuple[Number, Number]:
    """k and f of normal numbers."""
    form = x.format
    above = x.bits() + (form.ones - _root_half(form))
    mantissa = (above & (2**form.fraction - 1)) + _root_half(form)
    return _exponent(above >> form.fraction), mantissa.floats() - 1.0


def _exponent(biased: Number) -> Number:
    """The exponent of a float as a number: put among the last bits of 2^fraction, and taken off."""
    form = biased.format
    held = form.dtype.type(2.0**form.fraction)
    number = (biased | int(held.view(form.integer))).floats()
    return number - (float(held) + (form.ones >> form.fraction))


def _beyond(f: Number) -> Number:
    """log(1 + f) − f, from 2 artanh s = log(1 + f) for s = f/(2 + f)."""
    s, half = f / (f + 2.0), f * f * 0.5
    square = s * s
    return s.fma(square.fma(polynomial(square, ARTANH[f.size]), half), -half)


def _joined(k: Number, f: Number, beyond: Number) -> Number:
    """k·log 2 + log(1 + f)."""
    return k.fma(LN2_HIGH[k.size], f + k.fma(LN2_LOW[k.size], beyond))


def _with_ends(x: Number, y: Number, zero: float = 0.0) -> Number:
    """y, but what a logarithm is at infinity, at its pole, below that and for NaN."""
    y = x.below(np.inf).choose(y, x)
    y = x.equals(zero).choose(-np.inf, y)
    return x.below(zero).choose(np.nan, y)
