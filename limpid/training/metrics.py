"""Numbers that describe a training run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Mean:
    """A mean over examples, one batch at a time."""

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def add(self, value: float, count: int) -> None:
        """A batch of this many examples had this mean."""
        self.total += value * count
        self.count += count

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else math.nan

    def state_dict(self) -> dict[str, Any]:
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.total, self.count = state["total"], state["count"]


def confusion_table(truth: Array, predicted: Array, classes: int) -> Array:
    """How often each class (row) was taken for each class (column).

    >>> import numpy as np
    >>> confusion_table(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    array([[1, 0],
           [1, 1]])
    """
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)  # (true, predicted)


def norms(named: Iterable[tuple[str, Array | None]]) -> dict[str, float]:
    """The Euclidean norm of each array; those that are None are left out."""
    return {name: float(np.linalg.norm(a)) for name, a in named if a is not None}
