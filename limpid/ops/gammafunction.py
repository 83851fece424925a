"""log Γ and its derivatives, on NumPy, in float64 arithmetic.

Near the positive zeros of log Γ (1 and 2) and ψ (1.4616…) a quotient of polynomials times the
zeros' factors keeps all digits. Beyond 2.5 the remainder of Stirling's series (NIST Digital
Library of Mathematical Functions, 5.11.1 and 5.11.2) is a polynomial in 1/x²; it and the quotients
interpolate at Chebyshev points in 60-digit arithmetic. Negative arguments are reflected (DLMF
5.5.3, 5.5.4, 5.15.6). ψ⁽ⁿ⁾ is Hurwitz's zeta function (5.15.1, 25.11.1) by Euler and Maclaurin's
formula (25.11.5).

Largest errors found against 40-digit values, for positive x: log Γ 5 ulp, ψ 4 ulp,
ψ⁽ⁿ⁾ 5 ulp (n ≤ 8). For negative x they are those of the terms of the reflection: a few
ulp, but of the larger term where two cancel, that is beside a zero.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from limpid.ops.blocks import blockwise, polynomial

SMALL, LARGE = 0.75, 2.5
# log Γ(1 + u) / (u·(u − 1)) = upper(u)/lower(u), −¼ ≤ u ≤ 1½
LOG_GAMMA_UPPER = (
    4.6468731244995545e-07,
    0.00024213096185182005,
    0.008977666777333086,
    0.10919363537903091,
    0.6006546339041103,
    1.6961410302993696,
    2.5452181549856188,
    1.9259889946304867,
    0.5772156649015329,
)
LOG_GAMMA_LOWER = (
    6.06911973861715e-05,
    0.003589783321352961,
    0.06357509252982645,
    0.4982668537311466,
    2.0247845854775504,
    4.563232429886454,
    5.738436524049182,
    3.7615756036757224,
    1.0,
)
# x·(log Γ(x) − (x − ½)·(log x − 1) + ½ − ½·log 2π) in 1/x², x ≥ 2½
LOG_GAMMA_FAR = (
    1.6579126428005446,
    -1.9839544447221413,
    1.1113197941746704,
    -0.39730201679484567,
    0.10689474701340294,
    -0.025211948545317147,
    0.00621416883593992,
    -0.0019112061273278312,
    0.0008416146468954755,
    -0.0005952362987525512,
    0.0007936507810740789,
    -0.0027777777777425704,
    0.08333333333333331,
)
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
E, E_REST = math.e, 1.4456468917292502e-16  # Euler's number in two parts

# ψ(1 + u) / (1 + u − ZERO) = upper(u)/lower(u), 0 ≤ u ≤ 1½; the zero of ψ in two parts
ZERO, ZERO_REST = 1.4616321449683622, 9.549995429965697e-17
DIGAMMA_UPPER = (
    8.733472502621917e-07,
    0.0005070298880934333,
    0.018342400959839154,
    0.20584084112744175,
    0.9463058025681106,
    1.8488025338240082,
    1.2503801375034054,
)
DIGAMMA_LOWER = (
    0.00010377232969374496,
    0.005535922301322456,
    0.08574448941694736,
    0.5511193748765835,
    1.6329462354635018,
    2.1621391873864675,
    1.0,
)
# x²·(log x − 1/(2x) − ψ(x)) in 1/x², x ≥ 2½
DIGAMMA_FAR = (
    27.91862210054268,
    -33.07638145033047,
    18.245936834680272,
    -6.363688758849593,
    1.642497049891965,
    -0.3611849182960402,
    0.07968271837492587,
    -0.020976323230812433,
    0.007573264769154464,
    -0.004166633929989365,
    0.003968253739706845,
    -0.008333333332694478,
    0.08333333333333304,
)
# B₂ₖ/(2k)!, k = 1, 2, …, for Euler and Maclaurin's formula
BERNOULLI = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
    43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)
TERMS = 12  # of the zeta series that are added before that formula takes over


def _lgamma_plainly(x: Any) -> Any:
    x = x.astype(np.float64)
    reflected = x < -0.25
    z = np.where(reflected, -x, x)
    shifted = z < SMALL
    y = _lgamma_near(z, shifted)
    y = np.where(shifted, y - np.log(np.abs(z)), y)
    y = np.where(z > LARGE, _lgamma_far(z), y) + 0.0
    return np.where(reflected, _lgamma_reflected(x, y), y)


@blockwise(_lgamma_plainly)
def lgamma(x: Any) -> Any:
    """The logarithm of |Γ(x)|; +∞ at 0, −1, −2, … and ±∞."""
    x = x.astype(np.float64)
    reflected = x < -0.25
    y = _lgamma_right(np.where(reflected, -x, x))
    if reflected.any():
        y[reflected] = _lgamma_reflected(x[reflected], y[reflected])
    return y


def _lgamma_reflected(x: Any, y: Any) -> Any:
    """At x < 0 from y at −x: Γ(x)·Γ(−x) = −π / (x·sin πx)."""
    sine = np.abs(np.sin(np.pi * _from_nearest(x)))  # the argument is reduced: all digits are right
    return np.where(sine == 0, np.inf, np.log(np.pi / (-x * sine)) - y)


def _lgamma_right(x: Any) -> Any:
    """The logarithm of |Γ| for x ≥ −¼."""
    shifted = x < SMALL  # log Γ(x) = log Γ(1 + x) − log x
    y = _lgamma_near(x, shifted)
    y[shifted] -= np.log(np.abs(x[shifted]))
    far = x > LARGE
    if far.any():
        y[far] = _lgamma_far(x[far])
    return y + 0.0  # no negative zero at 1


def _lgamma_near(x: Any, shifted: Any) -> Any:
    """For x ≤ 2½; of x + 1 where it is shifted."""
    u = np.minimum(np.where(shifted, x, x - 1), LARGE - 1)
    return u * (u - 1) * (polynomial(LOG_GAMMA_UPPER, u) / polynomial(LOG_GAMMA_LOWER, u))


def _lgamma_far(x: Any) -> Any:
    log_less_one = np.log1p(((x - E) - E_REST) / E)  # exact to the last digits beside e
    rest = polynomial(LOG_GAMMA_FAR, 1 / (x * x)) / x
    return (x - 0.5) * log_less_one + (HALF_LOG_2PI - 0.5 + rest)


def _from_nearest(x: Any) -> Any:
    """The distance to the nearest whole number, exact; 0 at infinity."""
    return np.where(np.isinf(x), 0.0, x - np.rint(x))


def _cotangent(x: Any) -> Any:
    """The cotangent of πx, with all digits beside its zeros, too; NaN at its poles."""
    r = _from_nearest(x)
    steep = np.abs(r) < 0.25
    t = np.tan(np.pi * np.where(steep, r, 0.5 - np.abs(r)))
    return np.where(r == 0, np.nan, np.where(steep, 1 / t, np.copysign(t, r)))


def _digamma_plainly(x: Any) -> Any:
    x = x.astype(np.float64)
    reflected = x < 0
    z = np.where(reflected, 1 - x, x)
    shifted = z < 1
    y = _digamma_near(z, shifted)
    y = np.where(shifted, y - 1 / z, y)
    y = np.where(z > LARGE, _digamma_far(z), y)
    return np.where(reflected, y - np.pi * _cotangent(x), y)


@blockwise(_digamma_plainly)
def digamma(x: Any) -> Any:
    """ψ(x), the derivative of log Γ; ∓∞ at ±0, NaN at −1, −2, …"""
    x = x.astype(np.float64)
    reflected = x < 0
    y = _digamma_right(np.where(reflected, 1 - x, x))
    if reflected.any():
        y[reflected] -= np.pi * _cotangent(x[reflected])
    return y


def _digamma_right(x: Any) -> Any:
    """ψ for x ≥ 0."""
    shifted = x < 1  # ψ(x) = ψ(1 + x) − 1/x
    y = _digamma_near(x, shifted)
    y[shifted] -= 1 / x[shifted]
    far = x > LARGE
    if far.any():
        y[far] = _digamma_far(x[far])
    return y


def _digamma_near(x: Any, shifted: Any) -> Any:
    """For x ≤ 2½; of x + 1 where it is shifted."""
    u = np.minimum(np.where(shifted, x, x - 1), LARGE - 1)
    ratio = polynomial(DIGAMMA_UPPER, u) / polynomial(DIGAMMA_LOWER, u)
    return (u - (ZERO - 1) - ZERO_REST) * ratio


def _digamma_far(x: Any) -> Any:
    w = 1 / (x * x)
    return np.log(x) - (0.5 / x + w * polynomial(DIGAMMA_FAR, w))


def _polygamma_plainly(x: Any, *, n: int) -> Any:
    x = x.astype(np.float64)
    reflected = x < 0
    y = _polygamma_right(np.where(reflected, 1 - x, x), n)
    return np.where(reflected, _polygamma_reflected(x, y, n), y)


@blockwise(_polygamma_plainly)
def polygamma(x: Any, *, n: int) -> Any:
    """ψ⁽ⁿ⁾(x) for n ≥ 1; (−1)ⁿ⁺¹·∞ at 0, −1, −2, …"""
    x = x.astype(np.float64)
    reflected = x < 0
    y = _polygamma_right(np.where(reflected, 1 - x, x), n)
    if reflected.any():
        y[reflected] = _polygamma_reflected(x[reflected], y[reflected], n)
    return y


def _polygamma_right(x: Any, n: int) -> Any:
    """For x ≥ 0."""
    return _sign(n) * math.gamma(n + 1) * _zeta(n + 1, x)


def _sign(n: int) -> float:
    return -1.0 if n % 2 == 0 else 1.0


def _polygamma_reflected(x: Any, y: Any, n: int) -> Any:
    """At x from y at 1 − x: (−1)ⁿ·ψ⁽ⁿ⁾(1 − x) − ψ⁽ⁿ⁾(x) = dⁿ/dxⁿ π·cot πx."""
    cotangent = _cotangent(x)
    derivative = math.pi ** (n + 1) * polynomial(_cotangent_derivative(n), cotangent)
    at_pole = np.isnan(cotangent) & ~np.isnan(x)
    return np.where(at_pole, _sign(n) * np.inf, -_sign(n) * y - derivative)


def _zeta(s: int, x: Any) -> Any:
    """Σ (x + k)^−s over k = 0, 1, … for s ≥ 2, x ≥ 0."""
    tail = x + TERMS
    power = tail ** (-s)
    y = tail ** (1 - s) / (s - 1) + 0.5 * power
    factor, square = s / tail, tail * tail
    for k, b in enumerate(BERNOULLI):
        y += power * factor * b
        factor *= (s + 2 * k + 1) * (s + 2 * k + 2) / square
    for k in range(TERMS - 1, -1, -1):  # the small ones first
        y += (x + k) ** (-s)
    return y


@cache
def _cotangent_derivative(n: int) -> tuple[float, ...]:
    """Coefficients in c = cot t, the highest first, of the n-th derivative of cot t."""
    c = [0, 1]  # the lowest first
    for _ in range(n):
        slope = [k * a for k, a in enumerate(c)][1:]
        c = [-(a + b) for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]  # −(1 + c²)·
    return tuple(map(float, reversed(c)))
