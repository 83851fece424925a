"""Sigmoids and what is made of them, by PyTorch's definitions and defaults, each one box.

Forwards and derivatives are written so that nothing overflows and nothing cancels for large |x|;
a derivative computes again what it needs rather than lose digits of y.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from limpid.differentiation.elementwise import elementwise
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.registry import operation
from limpid.ops import errorfunction
from limpid.ops.arithmetic import choose, square, where
from limpid.ops.axes import normal_axis
from limpid.ops.comparison import held
from limpid.ops.constant import typed
from limpid.ops.elementary import abs, exp, tanh
from limpid.ops.layout import reshape
from limpid.ops.plain.functions import array_of
from limpid.ops.reduce import max
from limpid.ops.special import erfc
from limpid.tensor import operand

SQRT_HALF, SQRT_2PI = math.sqrt(0.5), math.sqrt(2 * math.pi)
GELU_SLOPE, GELU_CUBE = 2 * math.sqrt(2 / math.pi), 0.044715
GONE = -1000.0  # x·σ(x) and its like are 0 below, in every float type; keeps −∞·0 away

_function = partial(elementwise, numeric="float")


def _logistic(x: Any) -> Any:
    """1/(1 + e^−x), or e^x/(1 + e^x) where x < 0: the exponent is never positive."""
    e = np.exp(np.copysign(x, -1.0))
    return np.maximum(e, np.greater_equal(x, 0)) / (1 + e)


def _log_one_plus_exp(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(np.copysign(x, -1.0)))


# Bounded on both sides

sigmoid = _function("sigmoid", _logistic, local=[lambda y, x: y * (1 - y)], math=r"\sigma({x})")
log_sigmoid = _function(
    "log_sigmoid",
    lambda x: np.minimum(x, 0) - np.log1p(np.exp(np.copysign(x, -1.0))),
    local=[lambda y, x: sigmoid(-x)],
    math=r"\log \sigma({x})",
)
hard_sigmoid = _function(
    "hard_sigmoid",
    lambda x: held(np.add(x, 3), 0, 6) / 6,
    local=[lambda y, x: where((x > -3) & (x < 3), typed(1 / 6, x), 0.0)],
    math=r"\min(\max(\tfrac{{x}}{6} + \tfrac12, 0), 1)",
    smooth=lambda x: (x != -3) & (x != 3),
    kink="the derivative at −3 and 3 is 0",
)
_hard_tanh = _function(
    "hard_tanh",
    lambda x, *, low, high: held(x, low, high),
    local=[lambda y, x, *, low, high: (x > low) & (x < high)],
    math=r"\min(\max({x}, \text{low}), \text{high})",
    smooth=lambda x, *, low, high: (x != low) & (x != high),
    kink="the derivative at both limits is 0",
)


def _soft_sign(x: Any) -> Any:
    x = array_of(x)
    if x.dtype.kind == "f":  # the largest number for ∞, lest ∞/∞
        x = held(x, np.finfo(x.dtype).min, np.finfo(x.dtype).max)
    return x / (1 + np.abs(x))


soft_sign = _function(
    "soft_sign",
    _soft_sign,
    local=[lambda y, x: square(1 / (1 + abs(x)))],
    math=r"\frac{{x}}{1 + \left|{x}\right|}",
)

# A smooth rectifier

_softplus = _function(
    "softplus",
    lambda x, *, beta, threshold: _bounded_softplus(x, beta, threshold),
    local=[lambda y, x, *, beta, threshold: where(beta * x > threshold, 1.0, sigmoid(beta * x))],
    math=r"\tfrac{1}{\beta} \log(1 + e^{\beta {x}})",
    kink="where βx > threshold it is x, with derivative 1; at the threshold the other side counts",
)


def _bounded_softplus(x: Any, beta: float, threshold: float) -> Any:
    z = np.multiply(beta, x)
    return choose(z > threshold, x, _log_one_plus_exp(z) / beta)


# x times a sigmoid of x

silu = _function(
    "silu",
    lambda x: np.maximum(x, GONE) * _logistic(x),
    local=[lambda y, x: _silu_slope(x, sigmoid(x))],
    math=r"{x}\, \sigma({x})",
)
mish = _function(
    "mish",
    lambda x: np.maximum(x, GONE) * np.tanh(_log_one_plus_exp(x)),
    local=[lambda y, x: _mish_slope(x, tanh(softplus(x)))],
    math=r"{x} \tanh(\log(1 + e^{{x}}))",
)
_gelu = _function(
    "gelu",
    lambda x: 0.5 * np.maximum(x, GONE) * errorfunction.erfc(np.multiply(x, -SQRT_HALF)),
    local=[lambda y, x: 0.5 * erfc(x * -SQRT_HALF) + x * exp(-0.5 * x * x) / SQRT_2PI],
    math=r"{x}\, \Phi({x})",
)
_gelu_tanh = _function(
    "gelu_tanh",
    lambda x: np.maximum(x, GONE) * _logistic(_gelu_argument(array_of(x))),
    local=[lambda y, x: _gelu_tanh_slope(x, sigmoid(_gelu_argument(x)))],
    math=r"\tfrac12 {x} (1 + \tanh(\sqrt{2/\pi} ({x} + 0.044715 {x}^3)))",
)
hard_swish = _function(
    "hard_swish",
    lambda x: np.maximum(x, -3) * (held(np.add(x, 3), 0, 6) / 6),
    local=[lambda y, x: where(x >= 3, 1.0, where(x > -3, x / 3 + 0.5, 0.0))],
    math=r"{x} \min(\max(\tfrac{{x}}{6} + \tfrac12, 0), 1)",
    smooth=lambda x: (x != -3) & (x != 3),
    kink="the derivative at −3 is 0, at 3 it is 1",
)
tanh_shrink = _function(
    "tanh_shrink",
    lambda x: np.subtract(x, np.tanh(x)),
    local=[lambda y, x: square(tanh(x))],
    math=r"{x} - \tanh {x}",
)


def _silu_slope(x: Any, s: Any) -> Any:
    return s * (1 + x * (1 - s))


def _mish_slope(x: Any, w: Any) -> Any:
    return w + x * sigmoid(x) * (1 - w * w)


def _gelu_argument(x: Any) -> Any:
    """2·√(2/π)·(x + 0.044715 x³): ½(1 + tanh u) is σ(2u)."""
    return GELU_SLOPE * (x + GELU_CUBE * (x * x * x))


def _gelu_tanh_slope(x: Any, s: Any) -> Any:
    return s * (1 + x * (1 - s) * (GELU_SLOPE + (3 * GELU_SLOPE * GELU_CUBE) * (x * x)))


@operation
def hard_tanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """No less than one limit, no more than the other.

    >>> import limpid
    >>> limpid.hard_tanh(limpid.tensor([-2.0, 0.5, 3.0]))
    tensor([-1. ,  0.5,  1. ])
    """
    if not min_val <= max_val:
        raise ArgumentError(f"hard_tanh: min_val {min_val} is larger than max_val {max_val}")
    return _hard_tanh(x, low=float(min_val), high=float(max_val))


@operation
def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + e^(βx))/β, a smooth ReLU; x itself where βx exceeds the threshold.

    >>> import limpid
    >>> limpid.softplus(limpid.tensor([0.0, 100.0]))
    tensor([  0.6931472, 100.       ])
    """
    if not beta:
        raise ArgumentError("softplus: beta must not be 0")
    return _softplus(x, beta=float(beta), threshold=float(threshold))


@operation
def gelu(x: Any, approximate: str = "none") -> Any:
    """x·Φ(x), Φ the normal distribution's function (Hendrycks and Gimpel 2016).

    approximate  "none", or "tanh" for the paper's cheaper formula

    >>> import limpid
    >>> limpid.gelu(limpid.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.15865526,  0.        ,  0.8413447 ])
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f'gelu: approximate must be "none" or "tanh", not {approximate!r:.60}')
    return _gelu(x) if approximate == "none" else _gelu_tanh(x)


@operation
def glu(x: Any, axis: int = -1) -> Any:
    """a·σ(b), a and b being the halves of x along an axis (Dauphin et al. 2017).

    >>> import limpid
    >>> limpid.glu(limpid.tensor([4.0, 2.0, 0.0, 0.0]))
    tensor([2., 1.])
    """
    x = operand(x)
    axis = normal_axis(axis, len(x.shape))
    if not x.shape or x.shape[axis] % 2:
        raise ShapeError(f"glu: axis {axis} of {x.shape} can't be halved")
    half, before = x.shape[axis] // 2, (slice(None),) * axis
    return x[(*before, slice(None, half))] * sigmoid(x[(*before, slice(half, None))])


@operation
def maxout(x: Any, pieces: int, axis: int = -1) -> Any:
    """The largest of each run of so many neighbours along an axis (Goodfellow et al. 2013).

    >>> import limpid
    >>> limpid.maxout(limpid.tensor([1.0, 5.0, 2.0, -3.0]), 2)
    tensor([5., 2.])
    """
    x = operand(x)
    axis = normal_axis(axis, len(x.shape))
    if not x.shape or pieces < 1 or x.shape[axis] % pieces:
        raise ShapeError(f"maxout: axis {axis} of {x.shape} can't be cut into runs of {pieces}")
    runs = (*x.shape[:axis], x.shape[axis] // pieces, pieces, *x.shape[axis + 1 :])
    return max(reshape(x, runs), axis=axis + 1)
