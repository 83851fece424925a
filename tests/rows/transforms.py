"""Rows of the primitives that transforms make."""

from typing import Any

import numpy as np

import limpid
from tests.table import Row, normal


def _block(x: Any, w: Any) -> Any:
    return limpid.tanh(x @ w) * x, limpid.sum(x * x, axis=1)


def _recomputed(x: Any, w: Any) -> Any:
    """The node that a recording makes, applied to what is given."""
    specs = [np.zeros(a.shape, a.dtype) for a in (x, w)]
    return limpid.primitives["recompute"](x, w, body=limpid.record(_block, *specs).graph)


ROWS = [
    Row("recompute", _recomputed, (normal(3, 2), normal(2, 2)),
        lambda x, w: (np.tanh(x @ w) * x, (x * x).sum(1)),
        lambda t, x, w: (t.tanh(x @ w) * x, (x * x).sum(1))),
]  # fmt: skip
