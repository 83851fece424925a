"""Rows of limpid/ops/comparison.py."""

import numpy as np

import limpid
from tests.table import Row, away, distinct, integers, normal


def strange(rng):
    return np.array([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan])


ROWS = [
    Row("minimum", limpid.minimum, (normal(3, 4), normal(4)), np.minimum,
        lambda t, a, b: t.minimum(a, b), order=1),
    Row("minimum", lambda x: limpid.minimum(x, 0.1), (away(),), lambda x: np.minimum(x, 0.1),
        lambda t, x: x.clamp(max=0.1), order=1, label="with a number"),
    Row("maximum", limpid.maximum, (normal(3, 1), normal(4)), np.maximum,
        lambda t, a, b: t.maximum(a, b), order=1),
    Row("maximum", limpid.maximum, (integers(-5, 5, 6), integers(-5, 5, 2, 6)), np.maximum,
        lambda t, a, b: t.maximum(a, b), order=0),
    Row("clip", lambda x: limpid.clip(x, -1, 2), (away(3, 4),), lambda x: np.clip(x, -1, 2),
        lambda t, x: x.clamp(-1, 2), order=1),
    Row("clip", lambda x: x.clip(min=-1.0), (away(5),), lambda x: np.clip(x, -1, None),
        lambda t, x: x.clamp(min=-1), order=1, label="from below"),
    Row("clip", lambda x: limpid.clip(x, max=1), (away(),), lambda x: np.minimum(x, 1),
        lambda t, x: x.clamp(max=1), order=1, label="from above"),
    Row("clip", limpid.clip, (distinct(3, 4), normal(4), normal(3, 1)), np.clip,
        lambda t, x, a, b: t.clamp(x, a, b), order=1),
    Row("clip", lambda x: limpid.clip(x, max=3), (integers(-5, 9, 4, 2),),
        lambda x: np.minimum(x, 3), lambda t, x: x.clamp(max=3), order=0),
    *[
        Row(name, getattr(limpid, name), (strange,), getattr(np, name),
            lambda t, x, name=name: getattr(t, name)(x), order=0)
        for name in ("isnan", "isinf", "isfinite", "signbit")
    ],
]  # fmt: skip
