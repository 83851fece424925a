"""Rows of limpid/ops/arithmetic.py."""

import numpy as np

import limpid
from limpid.ops.arithmetic import silenced
from tests.table import Row, away, booleans, normal, positive

ROWS = [
    Row("add", lambda a, b: a + b, (normal(3, 4), normal(3, 4)), np.add, lambda t, a, b: a + b),
    Row("add", lambda a, b: a + b, (normal(3, 1), normal(4)), np.add, lambda t, a, b: a + b),
    Row("add", lambda a: a + 2, (normal(3),), lambda a: a + 2, lambda t, a: a + 2),
    Row("subtract", lambda a, b: a - b, (normal(2, 3), normal(3)), np.subtract,
        lambda t, a, b: a - b),
    Row("multiply", lambda a, b: a * b, (normal(2, 1, 3), normal(4, 1)), np.multiply,
        lambda t, a, b: a * b),
    Row("multiply", lambda a: a * a, (normal(3),), np.square, lambda t, a: a * a, label="square"),
    Row("multiply", lambda a: 3 * a, (normal(),), lambda a: 3 * a, label="by a number"),
    Row("divide", lambda a, b: a / b, (normal(3, 4), away(4)), np.divide, lambda t, a, b: a / b),
    Row("negative", lambda a: -a, (normal(3, 4),), np.negative, lambda t, a: -a),
    Row("positive", limpid.positive, (normal(3),), np.positive, lambda t, a: +a),
    Row("square", limpid.square, (normal(3, 4),), np.square, lambda t, x: t.square(x)),
    Row("square", limpid.square, (normal(),), np.square, lambda t, x: t.square(x)),
    Row("reciprocal", limpid.reciprocal, (away(3, 4),), np.reciprocal,
        lambda t, x: t.reciprocal(x)),
    Row("reciprocal", limpid.reciprocal, (away(2, 0),), np.reciprocal),
    Row("where", limpid.where, (booleans(3, 4), normal(3, 4), normal(4)), np.where,
        lambda t, c, a, b: t.where(c, a, b)),
    Row("where", lambda c, a: limpid.where(c, a, 2), (booleans(), normal(2)),
        lambda c, a: np.where(c, a, 2), lambda t, c, a: t.where(c, a, 2), order=1),
    Row("where", limpid.where, (booleans(160, 1), normal(160, 150), normal(150)), np.where,
        lambda t, c, a, b: t.where(c, a, b), order=1, label="large"),
    Row("safe_where", lambda c, a, b: limpid.where(c, a, b, safe=True),
        (booleans(3, 4), normal(3, 4), normal(4)), np.where, lambda t, c, a, b: t.where(c, a, b)),
    Row("silenced", silenced, (booleans(3, 1), normal(3, 4)), lambda c, g: np.where(c, 0, g),
        order=1),
    *[
        Row(name, getattr(limpid, name), (positive(3, 4), positive(4)), getattr(np, name), order=0)
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    ],
    *[
        Row(name, getattr(limpid, name), (booleans(3, 4), booleans(4)), oracle, order=0)
        for name, oracle in [
            ("logical_and", np.logical_and), ("logical_or", np.logical_or),
            ("logical_xor", np.logical_xor), ("bitwise_and", np.bitwise_and),
            ("bitwise_or", np.bitwise_or), ("bitwise_xor", np.bitwise_xor),
        ]
    ],
    Row("logical_not", limpid.logical_not, (booleans(3),), np.logical_not, order=0),
    Row("bitwise_invert", limpid.bitwise_invert, (booleans(3),), np.invert, order=0),
]  # fmt: skip
