"""The special functions against 40-digit values: accuracy, poles, infinities."""

from __future__ import annotations

import warnings
from typing import Any

import mpmath
import numpy as np
import pytest

import limpid
from limpid.ops import errorfunction, gammafunction

NAN, INF = float("nan"), float("inf")


def ulps(found: Any, exact: list[Any], dtype: str = "float64") -> float:
    """The largest error in units of the last place."""
    spacing = np.spacing(np.abs(np.array([float(e) for e in exact])).astype(dtype))
    errors = [abs(mpmath.mpf(float(f)) - e) for f, e in zip(found, exact, strict=True)]
    return max(float(e / float(s)) for e, s in zip(errors, spacing, strict=True))


def log_gamma(x: Any) -> Any:
    return mpmath.re(mpmath.loggamma(x))


rng = np.random.default_rng(5)
NEAR = rng.uniform(-1.3, 1.3, 200)
POSITIVE = np.concatenate(
    [rng.uniform(0, 4, 300), np.exp(rng.uniform(-30, 30, 100)), rng.uniform(3, 60, 100),
     1 + 1e-6 * rng.normal(size=30), 2 + 1e-6 * rng.normal(size=30),
     1.4616321449 + 1e-8 * rng.normal(size=30)]
)  # fmt: skip
ACCURACY = [
    ("erf", errorfunction.erf, mpmath.erf, np.r_[rng.uniform(-6, 6, 400), NEAR, NEAR * 1e-9], 2.5),
    ("erfc", errorfunction.erfc, mpmath.erfc, np.r_[rng.uniform(-6, 26.5, 500), NEAR], 6),
    ("lgamma", gammafunction.lgamma, log_gamma, POSITIVE, 6),
    ("digamma", gammafunction.digamma, mpmath.digamma, POSITIVE, 5),
    *[
        (
            f"polygamma {n}",
            lambda x, n=n: gammafunction.polygamma(x, n=n),
            lambda x, n=n: mpmath.polygamma(n, x),
            POSITIVE[(POSITIVE > 1e-2) & (POSITIVE < 1e4)][::3],
            limit,
        )
        for n, limit in ((1, 5), (2, 5), (3, 6), (8, 8), (20, 16))
    ],
]


@pytest.mark.parametrize(("function", "exact", "points", "limit"), [a[1:] for a in ACCURACY],
                         ids=[a[0] for a in ACCURACY])  # fmt: skip
def test_accuracy(function: Any, exact: Any, points: Any, limit: float) -> None:
    with mpmath.workdps(40):
        assert ulps(function(points), [exact(mpmath.mpf(x)) for x in points]) < limit
        single = points[np.abs(points) < 9].astype(np.float32)
        right = [exact(mpmath.mpf(float(x))) for x in single]
        kept = [i for i, r in enumerate(right) if 1e-37 < abs(r) < 1e38]
        found = function(single)
        assert found.dtype == np.float32
        assert ulps(found[kept], [right[i] for i in kept], "float32") < 0.9


@pytest.mark.parametrize(
    ("function", "exact"),
    [(gammafunction.lgamma, log_gamma), (gammafunction.digamma, mpmath.digamma)]
    + [
        (lambda x, n=n: gammafunction.polygamma(x, n=n), lambda x, n=n: mpmath.polygamma(n, x))
        for n in (1, 2, 3, 4, 7)
    ],
)  # fmt: skip
def test_accuracy_for_negative_arguments(function: Any, exact: Any) -> None:
    """Relative to 1 or to the value, whichever is larger: the zeros are not approached."""
    points = np.random.default_rng(6).uniform(-12, 0, 400)
    with mpmath.workdps(40):
        right = [exact(mpmath.mpf(x)) for x in points]
        for found, expected in zip(function(points), right, strict=True):
            assert abs(mpmath.mpf(float(found)) - expected) < 3e-15 * max(1, abs(expected))


def test_poles_and_infinities_of_the_gamma_functions() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = np.array([0.0, -0.0, -1, -30, INF, NAN, -1e300])
        np.testing.assert_array_equal(
            limpid.lgamma(np.r_[x, -INF]), [INF, INF, INF, INF, INF, NAN, INF, INF]
        )
        np.testing.assert_array_equal(limpid.digamma(x), [-INF, INF, NAN, NAN, INF, NAN, NAN])
        np.testing.assert_array_equal(limpid.polygamma(1, x), [INF, INF, INF, INF, 0, NAN, INF])
        np.testing.assert_array_equal(
            limpid.polygamma(2, x), [-INF, -INF, -INF, -INF, 0, NAN, -INF]
        )
    assert limpid.lgamma(np.array(1.0)) == limpid.lgamma(np.array(2.0)) == 0
    assert limpid.polygamma(0, np.array(1.0)) == limpid.digamma(np.array(1.0))


def test_polygamma_differentiates_to_the_next() -> None:
    x = np.array([0.5, 2.0, -1.5])
    f = limpid.lgamma
    for n in range(4):
        f = (lambda inner: lambda t: limpid.grad(lambda u: limpid.sum(inner(u)))(t))(f)
        expected = limpid.digamma(x) if n == 0 else limpid.polygamma(n, x)
        np.testing.assert_allclose(f(x), expected, rtol=1e-13)
