"""Scaling of inputs: (x − shift) / spread, with numbers that the training part decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.errors import ArgumentError

Array = np.ndarray[Any, np.dtype[Any]]

AUTO = "auto"
SCALES = (AUTO, "unit", "standard", "none")


@dataclass(frozen=True)
class Scaling:
    """The numbers of a scaling; each is one number or one for each feature."""

    shift: Array
    spread: Array

    def apply(self, x: Array) -> Array:
        """Inputs in any numeric type, as scaled float32."""
        if self.is_unit:
            return (x.astype(np.float32) / self.spread).astype(np.float32)
        return ((x - self.shift) / self.spread).astype(np.float32)

    @property
    def is_unit(self) -> bool:
        """Whether nothing is subtracted, so that zeros stay zeros."""
        return self.shift.ndim == 0 and not self.shift


def fit_scaling(kind: str, x: Array) -> Scaling:
    """The scaling of a kind that fits these inputs.

    unit      divide by the greatest magnitude: images
    standard  each feature gets mean 0 and standard deviation 1: measurements
    none      as they are
    auto      unit for bytes, standard for anything else
    """
    if kind not in SCALES:
        raise ArgumentError(f"no scaling named {kind!r}; there are {', '.join(SCALES)}")
    if kind == AUTO:
        kind = "unit" if x.dtype == np.uint8 else "standard"
    if kind == "standard":
        spread = x.std(axis=0, dtype=np.float64)
        return Scaling(x.mean(axis=0, dtype=np.float64), np.where(spread > 0, spread, 1.0))
    greatest = max(float(x.max()), -float(x.min())) if kind == "unit" else 1.0
    return Scaling(np.zeros((), np.float32), np.array(greatest or 1.0, np.float32))
