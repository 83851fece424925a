"""Rows of limpid/ops/special.py."""

import numpy as np
from scipy import special

import limpid
from tests.table import Row, away, normal, positive


def times(factor, sample):
    return lambda rng: np.asarray(factor * sample(rng))


ROWS = [
    Row("erf", limpid.erf, (normal(3, 4),), special.erf, lambda t, x: t.erf(x)),
    Row("erf", limpid.erf, (times(3, normal()),), special.erf, lambda t, x: t.erf(x), label="0d"),
    Row("erf", limpid.erf, (normal(2, 0),), special.erf, lambda t, x: t.erf(x)),
    Row("erfc", limpid.erfc, (times(2, normal(5, 7)),), special.erfc, lambda t, x: t.erfc(x),
        label="5x7"),
    Row("erfc", limpid.erfc, (normal(),), special.erfc, lambda t, x: t.erfc(x)),
    Row("lgamma", limpid.lgamma, (positive(3, 4),), special.gammaln, lambda t, x: t.lgamma(x)),
    Row("lgamma", limpid.lgamma, (away(3, 4),), special.gammaln, lambda t, x: t.lgamma(x),
        label="negative"),
    Row("lgamma", limpid.lgamma, (times(7, positive()),), special.gammaln,
        lambda t, x: t.lgamma(x), label="0d"),
    Row("digamma", limpid.digamma, (positive(3, 4),), special.digamma, lambda t, x: t.digamma(x)),
    Row("digamma", limpid.digamma, (away(2, 5),), special.digamma, lambda t, x: t.digamma(x),
        label="negative"),
    Row("digamma", limpid.digamma, (times(9, positive()),), special.digamma,
        lambda t, x: t.digamma(x), label="0d"),
    *[
        Row("polygamma", lambda x, n=n: limpid.polygamma(n, x), (sample,),
            lambda x, n=n: special.polygamma(n, x), lambda t, x, n=n: t.polygamma(n, x),
            label=f"order {n}, {text}")
        for n, sample, text in [
            (1, positive(3, 4), "positive"), (1, away(4), "negative"), (2, positive(2, 1, 3), "3d"),
            (2, away(5), "negative"), (3, positive(), "0d"), (5, times(4, positive(6)), "large"),
        ]
    ],
]  # fmt: skip
