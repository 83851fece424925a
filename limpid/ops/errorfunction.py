"""The error function and its complement, on NumPy.

The polynomials and the quotient interpolate at Chebyshev points in 60-digit arithmetic, which is
within a small factor of the best of their degree (Trefethen, Approximation Theory and
Approximation Practice, 2013, chapters 15 and 16). That erfc(x)·exp(x²) is a smooth function of
1/(x + k), so that one polynomial serves all x up to infinity, is due to Schonfelder, "Chebyshev
expansions for the error and related functions", Math. Comp. 32 (1978).

Largest errors found against 40-digit values: erf 1.7 ulp, erfc 5.5 ulp; 0.8 ulp for float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.ops.blocks import blockwise, polynomial
from limpid.ops.plain.functions import traceable

# erf(x)/x in x², |x| ≤ 1
NEAR = (
    -7.795898827002142e-10,
    1.3720064546777686e-08,
    -1.6208483801871705e-07,
    1.6447424703317362e-06,
    -1.492473690741966e-05,
    0.00012055294904839707,
    -0.0008548325975389692,
    0.0052239776071164225,
    -0.02686617064323777,
    0.11283791670945006,
    -0.37612638903183543,
    1.1283791670955126,
)
# erfc(x)·exp(x²)·(x + 3) in s = 120/13/(x + 3) − 17/13, which is 1 at x = 1 and −1 at x = 27
FAR = (
    4.235172864100914e-11,
    -3.806559890032872e-11,
    -6.654705983523339e-10,
    7.402818498569998e-10,
    8.341710723339257e-09,
    -8.907918336806452e-09,
    -1.1377221386464558e-07,
    4.778411248952097e-08,
    1.7336581697338327e-06,
    1.906342896976637e-06,
    -2.551911122791793e-05,
    -0.00010782034659419193,
    0.00011778567380086674,
    0.0030868264436225965,
    0.01773187129158813,
    0.0672329742408702,
    0.19677699161113751,
    0.47172910619609393,
    0.9537885150980818,
)
# The same for float32, in s = 84/11/(x + 3) − 17/11, which is 1 at x = 0 and −1 at x = 11
FAR_SINGLE = (
    3.787393642e-5,
    2.126359197e-5,
    -0.0006248039235,
    -0.001459116356,
    0.006622899746,
    0.05576829049,
    0.2060357795,
    0.509506832,
    0.9303640927,
    1.293726893,
)
# erf(x)/x for float32: a quotient in x², |x| ≤ 3.925, beyond which erf rounds to 1
UPPER_SINGLE = (
    -1.49434782e-8,
    5.042975246e-6,
    0.0003917222589,
    0.003828464197,
    0.05442586643,
    0.1837176542,
    1.128379188,
)
LOWER_SINGLE = (
    6.650128307e-5,
    0.001319517311,
    0.01546246976,
    0.1136151043,
    0.4961492408,
    1.0,
)


@traceable
@blockwise()
def erf(x: Any) -> Any:
    """2/√π ∫₀ˣ exp(−t²) dt."""
    if x.dtype != np.float64:
        return _erf_single(x.astype(np.float64))
    size = np.abs(x)
    near = size <= 1
    if near.all():
        return _erf_near(x)
    y = np.copysign(1 - _erfc_far(np.minimum(size, 6.0)), x)
    y[near] = _erf_near(x[near])
    return y


@traceable
@blockwise()
def erfc(x: Any) -> Any:
    """1 − erf(x), with all its digits where erf(x) is near 1."""
    if x.dtype != np.float64:
        return _erfc_single(x.astype(np.float64))
    size = np.abs(x)
    near = size <= 1
    if near.all():
        return 1 - _erf_near(x)
    y = _mirrored(x, _erfc_far(np.minimum(size, 28.0)))
    y[near] = 1 - _erf_near(x[near])
    return y


def _erf_near(x: Any) -> Any:
    return x * polynomial(NEAR, x * x)


def _erfc_far(x: Any) -> Any:
    """The complement for x ≥ 1; x² would be rounded, but x² = c² + (x − c)·(x + c), c² exact."""
    c = np.rint(x * 256) / 256
    t = 1 / (x + 3)
    y = t * polynomial(FAR, t * (120 / 13) - 17 / 13)
    return np.exp(-c * c) * (np.exp((c - x) * (c + x)) * y)


def _mirrored(x: Any, y: Any) -> Any:
    """erfc(x) from y = erfc(|x|): y, and 2 − y where x < 0."""
    return np.abs(2.0 * (x < 0) - y)


def _erf_single(x: Any) -> Any:
    """In float64 arithmetic to the precision of float32, in half the time."""
    x = np.minimum(np.maximum(x, -3.925), 3.925)
    z = x * x
    return x * (polynomial(UPPER_SINGLE, z) / polynomial(LOWER_SINGLE, z))


def _erfc_single(x: Any) -> Any:
    size = np.minimum(np.abs(x), 11.0)
    t = 1 / (size + 3)
    far = t * polynomial(FAR_SINGLE, t * (84 / 11) - 17 / 11)
    return _mirrored(x, np.exp(-size * size) * far)
