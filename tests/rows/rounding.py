"""Rows of limpid/ops/rounding.py."""

import numpy as np

import limpid
from tests.table import Row, away, integers

ROWS = [
    Row("floor", limpid.floor, (away(3, 4),), np.floor, lambda t, x: t.floor(x), order=1),
    Row("floor", limpid.floor, (integers(-5, 5, 3),), np.floor, order=0),
    Row("ceil", limpid.ceil, (away(3, 4),), np.ceil, lambda t, x: t.ceil(x), order=1),
    Row("ceil", limpid.ceil, (away(),), np.ceil, lambda t, x: t.ceil(x), order=1),
    Row("trunc", limpid.trunc, (away(3, 4),), np.trunc, lambda t, x: t.trunc(x), order=1),
    Row("trunc", limpid.trunc, (away(0, 2),), np.trunc, lambda t, x: t.trunc(x), order=1),
    Row("round", limpid.round, (away(3, 4),), np.round, lambda t, x: t.round(x), order=1),
    Row("round", lambda x: limpid.round(x, -1), (integers(-99, 99, 4, 2),),
        lambda x: np.round(x, -1), order=0),
    Row("round", lambda x: limpid.round(x, 2), (away(3),), lambda x: np.round(x, 2), order=0,
        label="two decimals"),
    Row("floor_divide", lambda a, b: a // b, (away(3, 4), away(4)), np.floor_divide,
        lambda t, a, b: t.floor(a / b), order=1),
    Row("floor_divide", lambda a, b: a // b, (integers(-9, 9, 3, 4), integers(1, 5, 4)),
        np.floor_divide, lambda t, a, b: a // b, order=0),
    Row("remainder", lambda a, b: a % b, (away(3, 4), away(4)), np.remainder,
        lambda t, a, b: a % b, order=1),
    Row("remainder", lambda a: a % 2.5, (away(),), lambda a: np.remainder(a, 2.5),
        lambda t, a: a % 2.5, order=1, label="by a number"),
    Row("remainder", lambda a, b: a % b, (integers(-9, 9, 5), integers(-4, -1, 5)), np.remainder,
        lambda t, a, b: a % b, order=0),
    Row("fmod", limpid.fmod, (away(3, 4), away(4)), np.fmod, lambda t, a, b: t.fmod(a, b), order=1),
]  # fmt: skip
