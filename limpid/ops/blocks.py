"""Evaluating a formula of many steps on arrays: block by block, so that its steps stay in cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import numpy as np

BLOCK = 8192  # elements


def blockwise(plain: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A decorator: a function of arrays of any shape from a kernel of flat blocks of floats.

    plain  the kernel in plain steps, without masks, for arrays that are traced, if it can be

    The result has the float type of x; integers become float64. NumPy's warnings are off: what
    a function is at its poles and beyond its range is its value, not a mistake.
    """
    return partial(_blockwise, plain)


def _blockwise(plain: Callable[..., Any] | None, kernel: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(kernel)
    def on_array(x: Any, **params: Any) -> Any:
        if plain and hasattr(x, "__array_function__") and not isinstance(x, np.ndarray):
            return plain(x, **params).astype(x.dtype)
        x = np.asarray(x)
        if x.dtype.kind != "f":
            x = x.astype(np.float64)
        flat = x.reshape(-1)
        y = np.empty_like(flat)
        with np.errstate(all="ignore"):
            for start in range(0, flat.size, BLOCK):
                block = slice(start, start + BLOCK)
                y[block] = kernel(flat[block], **params)
        return y.reshape(x.shape)

    return on_array


def polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Σ cₖ·xᵏ by Horner's rule, the highest coefficient first."""
    first, *others = coefficients
    y = np.full_like(x, first)
    for c in others:
        y *= x
        y += c
    return y
