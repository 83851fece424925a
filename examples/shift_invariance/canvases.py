"""Digits at random places on a larger canvas.

The 8 × 8 digits that ship with limpid lie on 20 × 20 pixels. In training they lie on the left, in
one test set, too, and in another one on the right: at places where none was in training.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.data import load_digits

Array = np.ndarray[Any, np.dtype[Any]]

DIGIT, CANVAS = 8, 20  # pixels
PLACES = CANVAS - DIGIT + 1  # of a digit, across and down
LEFT = range(2, 7)  # columns at which digits begin in training
RIGHT = range(8, 13)
TESTS = {"seen places": LEFT, "unseen places": RIGHT}


def place(digits: Array, rows: Any, columns: Any) -> Array:
    """Digits (N, 8, 8) on canvases (N, 1, 20, 20), each with its corner at a row and a column.

    >>> place(np.ones((1, 8, 8)), [2], [12])[0, 0].sum(axis=0)[10:]
    array([0., 0., 8., 8., 8., 8., 8., 8., 8., 8.], dtype=float32)
    """
    canvases = np.zeros((len(digits), 1, CANVAS, CANVAS), np.float32)
    number, side = np.arange(len(digits))[:, None, None], np.arange(DIGIT)
    down = np.asarray(rows)[:, None, None] + side[:, None]  # (N, 8, 1)
    across = np.asarray(columns)[:, None, None] + side  # (N, 1, 8)
    canvases[number, 0, down, across] = digits
    return canvases


def digits_to_train(copies: int, seed: int) -> tuple[Array, Array]:
    """Each digit of the training part at so many places on the left, and the classes."""
    digits = load_digits().train
    x, y = np.tile(digits.x, (copies, 1, 1)), np.tile(digits.y, copies)
    return _scatter(x, LEFT, seed), y


def digits_to_test(columns: range, seed: int) -> tuple[Array, Array]:
    """Each digit of the test part at one place that begins in these columns, and the classes."""
    digits = load_digits().test
    return _scatter(digits.x, columns, seed), digits.y


def _scatter(digits: Array, columns: range, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    rows = rng.integers(PLACES, size=len(digits))
    return place(digits, rows, rng.integers(columns.start, columns.stop, size=len(digits)))
