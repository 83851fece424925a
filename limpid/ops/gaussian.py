"""The normal distribution's quantile from correctly rounded arithmetic only.

Additions, multiplications, divisions and square roots in a fixed order, no function of the C
library: the same bits on every machine and in compiled code. The rational functions are those of
Wichura, Algorithm AS 241 (Applied Statistics 37, 1988). Relative error against 50 digits: below
1e-15 in float64, 1e-6 in float32.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np

from limpid.errors import ArgumentError
from limpid.graph.node import Array

CHUNK = 16384  # elements at a time, so that what is in between stays in the cache
CENTRE = 0.425  # |probability − ½| up to which one rational function in its square serves
FAR = 5.0  # from here on √(−log p) has a rational function of its own

# Numerator and denominator of each rational function, constant term first.
Rational = tuple[tuple[float, ...], tuple[float, ...]]
DOUBLE: tuple[Rational, Rational, Rational] = (
    (
        (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
         1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
         3.3430575583588128105e4, 2.5090809287301226727e3),
        (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
         2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
         5.2264952788528545610e3),
    ),
    (
        (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
         3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
         2.27238449892691845833e-2, 7.74545014278341407640e-4),
        (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
         1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
         1.05075007164441684324e-9),
    ),
    (
        (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
         2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
         2.71155556874348757815e-5, 2.01033439929228813265e-7),
        (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
         7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
         2.04426310338993978564e-15),
    ),
)  # fmt: skip
SINGLE: tuple[Rational, Rational, Rational] = (
    (
        (3.3871327179e0, 5.0434271938e1, 1.5929113202e2, 5.9109374720e1),
        (1.0, 1.7895169469e1, 7.8757757664e1, 6.7187563600e1),
    ),
    (
        (1.4234372777e0, 2.7568153900e0, 1.3067284816e0, 1.7023821103e-1),
        (1.0, 7.3700164250e-1, 1.2021132975e-1),
    ),
    (
        (6.6579051150e0, 3.0812263860e0, 4.2868294337e-1, 1.7337203997e-2),
        (1.0, 2.4197894225e-1, 1.2258202635e-2),
    ),
)
# For each type: its bits as integers, fraction bits, the bits of √½, terms of the logarithm.
LAYOUT: dict[Any, tuple[Any, int, int, int]] = {
    np.dtype(np.float32): (np.int32, 23, 0x3F3504F3, 5),
    np.dtype(np.float64): (np.int64, 52, 0x3FE6A09E667F3BCD, 11),
}
LOG2 = 0.6931471805599453


def lower_quantile(p: Array) -> Array:
    """The z ≥ 0 such that a standard normal number is below −z with probability p, 0 < p ≤ ½."""
    flat = np.ascontiguousarray(p).reshape(-1)
    out = np.empty_like(flat)
    for start in range(0, flat.size, CHUNK):
        out[start : start + CHUNK] = _chunk(flat[start : start + CHUNK])
    return out.reshape(p.shape)


def _chunk(p: Array) -> Array:
    centre, tail, far = SINGLE if p.dtype == np.float32 else DOUBLE
    q = 0.5 - p
    z = q * rational(centre, CENTRE**2 - q * q)
    outside = np.flatnonzero(q > CENTRE)
    if outside.size:
        r = np.sqrt(-log(p[outside]))
        z[outside] = rational(tail, r - 1.6)
        beyond = r > FAR
        if beyond.any():
            z[outside[beyond]] = rational(far, r[beyond] - FAR)
    return z


def rational(coefficients: Rational, x: Array) -> Array:
    """The quotient of two polynomials."""
    above, below = coefficients
    return _polynomial(above, x) / _polynomial(below, x)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's scheme, one rounding for each operation."""
    y = x * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        y += c
        y *= x
    y += coefficients[0]
    return y


def log(x: Array) -> Array:
    """The logarithm of normal positive numbers: exponent · log 2 + 2 artanh((m − 1)/(m + 1))."""
    integer, fraction, root_half, terms = LAYOUT[x.dtype]
    bits = x.view(integer)
    exponent = (bits - integer(root_half)) >> integer(fraction)
    m = (bits - (exponent << integer(fraction))).view(x.dtype)  # √½ ≤ m < √2
    s = (m - 1.0) / (m + 1.0)
    series = _polynomial(tuple(1.0 / (2 * n + 1) for n in range(terms)), s * s)
    return exponent.astype(x.dtype) * LOG2 + 2.0 * s * series


@lru_cache(maxsize=256)
def cumulative(z: float) -> float:
    """P(a standard normal number < z), correctly rounded, by the series in 400 digits.

    Raises ArgumentError where it is too small for a float.
    """
    if z == float("inf"):
        return 1.0
    if z == float("-inf"):
        return 0.0
    if z < -37:
        raise ArgumentError(f"a normal number is below {z} with probability 0")
    if z > 37:
        return 1.0
    with localcontext() as digits:
        digits.prec = 400
        x = Decimal(z)
        term = total = x
        n = 1
        while abs(term) > Decimal(10) ** -390:
            n += 2
            term = term * x * x / n
            total += term
        density = (-x * x / 2).exp() / (2 * _pi(digits.prec)).sqrt()
        return float(Decimal("0.5") + density * total)


@lru_cache(maxsize=4)
def _pi(digits: int) -> Decimal:
    """π by Machin's formula, 16 arctan(1/5) − 4 arctan(1/239)."""
    with localcontext() as more:
        more.prec = digits + 10

        def arctan_of_inverse(n: int) -> Decimal:
            power, total, k, sign = Decimal(1) / n, Decimal(0), 1, 1
            while power > Decimal(10) ** -(digits + 8):
                total += sign * power / k
                power, k, sign = power / (n * n), k + 2, -sign
            return total

        return 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)
