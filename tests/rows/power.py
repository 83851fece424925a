"""Rows of limpid/ops/power.py."""

import numpy as np

import limpid
from limpid.ops.power import root
from tests.table import Row, away, integers, normal, positive


def by_number(exponent, sample, **more):
    return Row("power", lambda x: x**exponent, (sample,), lambda x: np.power(x, exponent),
               lambda t, x: x**exponent, label=f"exponent {exponent}", **more)  # fmt: skip


ROWS = [
    Row("power", limpid.power, (positive(3, 4), normal(4)), np.power, lambda t, a, b: a**b),
    Row("power", lambda a, b: a**b, (positive(2, 1, 3), normal(4, 1)), np.power,
        lambda t, a, b: a**b),
    Row("power", lambda a, b: a**b, (positive(), normal()), np.power, lambda t, a, b: a**b),
    Row("power", lambda a, b: a**b, (away(3, 4), integers(-3, 4, 4)), np.float_power,
        lambda t, a, b: a**b, label="whole exponents"),
    Row("power", lambda b: 2.5**b, (normal(3, 4),), lambda b: np.power(2.5, b),
        lambda t, b: 2.5**b, label="base 2.5"),
    Row("power", lambda b: 1**b, (normal(3),), lambda b: np.ones(3), label="base 1", order=1),
    Row("power", lambda a, b: a**b, (integers(-4, 4, 3, 4), integers(0, 4, 4)), np.power,
        lambda t, a, b: a**b, order=0),
    by_number(2, away(3, 4)),
    by_number(2.0, away(3, 4)),
    by_number(3, away(5)),
    by_number(-1, away()),
    by_number(-2.0, away(3, 4)),
    by_number(0.5, positive(3, 4)),
    by_number(1.7, positive(2, 0)),
    by_number(1, away(3), order=1),
    by_number(0, away(3), order=1),
    *[Row("root", lambda x, p=p: root(x, power=p), (positive(3, 4),),
          lambda x, p=p: np.power(x, 1 / p), lambda t, x, p=p: x ** (1 / p), label=f"of power {p}")
      for p in (2.0, 3.0, 0.5, -1.5)],
]  # fmt: skip
