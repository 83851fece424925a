"""Rows of limpid/ops/elementary.py."""

import numpy as np

import limpid
from tests.table import Row, normal, positive

ROWS = [
    Row("exp", limpid.exp, (normal(3, 4),), np.exp, lambda t, x: t.exp(x)),
    Row("log", limpid.log, (positive(3, 4),), np.log, lambda t, x: t.log(x)),
    Row("sin", limpid.sin, (normal(3, 4),), np.sin, lambda t, x: t.sin(x)),
    Row("cos", limpid.cos, (normal(3, 4),), np.cos, lambda t, x: t.cos(x)),
    Row("tanh", limpid.tanh, (normal(3, 4),), np.tanh, lambda t, x: t.tanh(x)),
]
