"""How little max-pooling notices of a small shift.

A digit moves to the right, one pixel after another, and each time its max-pooled image is compared
with the one before any move. A pooled value stays the same as long as the greatest value under its
window stays the greatest there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from examples.shift_invariance.canvases import PLACES, place
from examples.table import draw_table
from limpid import nn

Array = np.ndarray[Any, np.dtype[Any]]

SHIFTS = (1, 2, 3, 4)
POOLS = {"pixels": 1, "max over 2 × 2": 2, "max over 4 × 4": 4, "max over all": None}


def pooled(x: Array, size: int | None) -> Array:
    """The greatest value of each square of so many pixels, or of the canvas (N, 1, H, W)."""
    if size is None:
        return np.asarray(limpid.max(x, axis=(2, 3)))
    return np.asarray(nn.functional.max_pool2d(x, size))


def changes(digits: Array, size: int | None) -> list[float]:
    """‖pooled(shifted) − pooled(x)‖ / ‖pooled(x)‖ for each shift, as a mean over digits."""
    middle = PLACES // 2
    rows = np.full(len(digits), middle)
    before = pooled(place(digits, rows, rows - 2), size)
    return [_change(before, pooled(place(digits, rows, rows - 2 + s), size)) for s in SHIFTS]


def _change(before: Array, after: Array) -> float:
    axes = tuple(range(1, before.ndim))
    return float(np.mean(_norm(after - before, axes) / _norm(before, axes)))


def _norm(x: Array, axes: tuple[int, ...]) -> Array:
    return np.sqrt(np.sum(x * x, axis=axes))


def draw_changes(digits: Array) -> str:
    """The table of changes."""
    header = ["change when shifted by", *(f"{shift} px" for shift in SHIFTS)]
    rows = [
        [name, *(f"{change:.2f}" for change in changes(digits, size))]
        for name, size in POOLS.items()
    ]
    return draw_table(header, rows)
