"""Mean-field theory of signals in wide random networks: how variances go forward and backward.

In a wide layer z = W h with independent weights of variance σ_w²/n, every z is normal. If its
variance is q, the next one has q' = σ_w² E[f(√q x)²], and the squared norm of a gradient is
multiplied by χ₁ = σ_w² E[f′(√q x)²] on its way back, with x normal of variance 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from limpid.graph.node import Array
from limpid.nn import functional as F
from limpid.ops.reduce import sum as total
from limpid.transforms.gradient import grad

POINTS = 4001  # of the integral; odd, so that a kink at 0 is one of them
WIDEST = 10.0  # standard deviations; beyond them lies less than rounding

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "relu": F.relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
}


class Expected(NamedTuple):
    """What theory says of layers, in forward order.

    signals  E[h²] of each layer's output
    chi      χ₁ of each layer
    """

    signals: tuple[float, ...]
    chi: tuple[float, ...]


def expect(activation: str, weights: list[float], signal: float) -> Expected:
    """Variances through layers with these σ_w², from inputs with E[x²] = signal.

    >>> he = expect("relu", [2.0] * 3, 1.0)
    >>> [round(value, 6) for value in he.signals + he.chi]
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    signals, chi = [], []
    for weight in weights:
        q = weight * signal
        signal, slope = moments(activation, q)
        signals.append(signal)
        chi.append(weight * slope)
    return Expected(tuple(signals), tuple(chi))


def moments(activation: str, q: float) -> tuple[float, float]:
    """E[f(√q x)²] and E[f′(√q x)²]."""
    x, density = _normal()
    z = np.sqrt(q) * x
    f = ACTIVATIONS[activation]
    with np.errstate(all="ignore"):
        value = np.asarray(f(z))
        slope = np.asarray(grad(lambda z: total(f(z)))(z))
    squared = slope**2
    middle = POINTS // 2
    if q > 0:  # where there may be a kink, the mean of both sides
        squared[middle] = (squared[middle - 1] + squared[middle + 1]) / 2
    return float(density @ value**2), float(density @ squared)


@cache
def _normal() -> tuple[Array, Array]:
    """Points and the weights of the trapezoidal rule, for a normal density."""
    x = np.linspace(-WIDEST, WIDEST, POINTS)
    density = np.exp(-x * x / 2)
    return x, density / density.sum()
