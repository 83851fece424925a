"""Normalising in plain steps."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from limpid.ops.plain.padding import padded
from limpid.ops.plain.windows import sums_of_neighbours


def standardized(
    x: Any, weight: Any, bias: Any, *, axis: tuple[int, ...], eps: float
) -> tuple[Any, Any, Any, Any]:
    """weight · z + bias, z = (x − mean) / √(variance + eps), the mean and the variance.

    The rounding error of the mean is taken off in any case: it comes with the sum of squares.
    """
    count = prod([x.shape[i] for i in axis]) or 1
    average = np.add.reduce(x, axis=axis, keepdims=True) / count
    deviation = x - average
    rest = np.add.reduce(deviation, axis=axis, keepdims=True) / count
    square = np.add.reduce(deviation * deviation, axis=axis, keepdims=True) / count
    var = np.maximum(square - rest * rest, 0)
    z = (deviation - rest) * (1 / np.sqrt(var + eps))
    y = z if type(weight) in (int, float) and weight == 1 else z * weight
    y = y if type(bias) in (int, float) and bias == 0 else y + bias
    return y, z, np.where(np.isnan(rest), average, average + rest), var  # it may be infinite


def sums_along(x: Any, *, axis: int, before: int, after: int) -> Any:
    """Sums of so many neighbours before and after, zeros beyond the ends."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = before, after
    wide = padded(x, 0, widths=tuple(widths))
    return sums_of_neighbours(wide, axis, before + 1 + after, x.shape[axis])


def local_response(
    x: Any, *, alpha: float, beta: float, k: float, **window: int
) -> tuple[Any, Any]:
    """x damped by its neighbours, and the number that it is damped by."""
    scale = sums_along(x * x, **window) * alpha + k
    return scale**-beta * x, scale
