"""Rectifiers: functions in two pieces, by PyTorch's definitions and defaults, each one box."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from limpid.differentiation.elementwise import elementwise
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.registry import operation
from limpid.ops.arithmetic import choose, where
from limpid.ops.comparison import held
from limpid.ops.constant import typed
from limpid.ops.elementary import abs, exp
from limpid.ops.layout import reshape
from limpid.tensor import Tensor, operand, to_array

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

_function = partial(elementwise, numeric="float")

relu = elementwise(
    "relu",
    lambda x: np.maximum(x, 0),
    local=[lambda y, x: y > 0],
    math=r"\max({x}, 0)",
    smooth=lambda x: x != 0,
    kink="the derivative at 0 is 0",
)
relu6 = elementwise(
    "relu6",
    lambda x: held(x, 0, 6),
    local=[lambda y, x: (y > 0) & (y < 6)],
    math=r"\min(\max({x}, 0), 6)",
    smooth=lambda x: (x != 0) & (x != 6),
    kink="the derivative at 0 and 6 is 0",
)
_leaky_relu = _function(
    "leaky_relu",
    lambda x, *, slope: np.maximum(x, 0) + slope * np.minimum(x, 0),
    local=[lambda y, x, *, slope: where(x > 0, 1.0, typed(slope, x))],
    math=r"\max({x}, 0) + \text{slope} \cdot \min({x}, 0)",
    smooth=lambda x, *, slope: x != 0,
    kink="the derivative at 0 is the slope of the negative side",
)
_prelu = _function(
    "prelu",
    lambda x, weight: np.maximum(x, 0) + weight * np.minimum(x, 0),
    local=[lambda y, x, weight: where(x > 0, 1.0, weight), lambda y, x, w: where(x > 0, 0.0, x)],
    math=r"\max({x}, 0) + {weight} \min({x}, 0)",
    smooth=lambda x, weight: x != 0,
    kink="the derivative by x at 0 is the weight",
)
_elu = _function(
    "elu",
    lambda x, *, alpha: np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0)),
    local=[lambda y, x, *, alpha: where(x > 0, 1.0, alpha * exp(where(x > 0, 0.0, x)))],
    math=r"\max({x}, 0) + \alpha (e^{\min({x}, 0)} - 1)",
    smooth=lambda x, *, alpha: (x != 0) | (alpha == 1),
    kink="the derivative at 0 is α",
)
selu = _function(
    "selu",
    lambda x: SELU_SCALE * (np.maximum(x, 0) + SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    local=[
        lambda y, x: where(x > 0, SELU_SCALE, (SELU_SCALE * SELU_ALPHA) * exp(where(x > 0, 0.0, x)))
    ],
    math=r"\lambda (\max({x}, 0) + \alpha (e^{\min({x}, 0)} - 1))",
    smooth=lambda x: x != 0,
    kink="the derivative at 0 is that of the negative side, λα",
)
_celu = _function(
    "celu",
    lambda x, *, alpha: np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha),
    local=[lambda y, x, *, alpha: where(x > 0, 1.0, exp(where(x > 0, 0.0, x) / alpha))],
    math=r"\max({x}, 0) + \alpha (e^{\min({x}, 0) / \alpha} - 1)",
)

# Small x become 0

_soft_shrink = _function(
    "soft_shrink",
    lambda x, *, lambd: x - held(x, -lambd, lambd),
    local=[lambda y, x, *, lambd: abs(x) > lambd],
    math=r"{x} - \min(\max({x}, -\lambda), \lambda)",
    smooth=lambda x, *, lambd: abs(x) != lambd,
    kink="the derivative at −λ and λ is 0",
)
_hard_shrink = _function(
    "hard_shrink",
    lambda x, *, lambd: choose(np.abs(x) <= lambd, 0, x),
    local=[lambda y, x, *, lambd: abs(x) > lambd],
    math=r"\begin{cases} {x} & \left|{x}\right| > \lambda \\ 0 & \text{else} \end{cases}",
    smooth=lambda x, *, lambd: abs(x) != lambd,
    kink="the derivative at the steps is 0",
)
_threshold = _function(
    "threshold",
    lambda x, *, threshold, value: choose(np.less_equal(x, threshold), value, x),
    local=[lambda y, x, *, threshold, value: x > threshold],
    math=r"\begin{cases} {x} & {x} > \text{threshold} \\ \text{value} & \text{else} \end{cases}",
    smooth=lambda x, *, threshold, value: x != threshold,
    kink="the derivative at the threshold is 0",
)


@operation
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """Keeps positive x; elsewhere a small multiple of it (Maas et al. 2013).

    >>> import limpid
    >>> limpid.leaky_relu(limpid.tensor([-2.0, 3.0]), 0.1)
    tensor([-0.2,  3. ])
    """
    return _leaky_relu(x, slope=float(negative_slope))


@operation
def prelu(x: Any, weight: Any) -> Any:
    """Leaky ReLU whose slope is learnt: one number, or one for each channel (He et al. 2015).

    x of shape (N, C, …) or (C,), weight of shape (C,) or (1,): axis 1 of x is that of channels.

    >>> import numpy as np, limpid
    >>> limpid.prelu(limpid.tensor([[-2.0, -2.0]]), np.float32([0.1, 0.5]))
    tensor([[-0.2, -1. ]])
    """
    x = operand(x)
    weight = operand(weight)
    rank, count = len(x.shape), math.prod(weight.shape)
    channels = x.shape[1] if rank > 1 else 1
    if len(weight.shape) > 1 or count not in (1, channels):
        raise ShapeError(
            f"prelu: the weight must have one element or as many as x has channels ({channels} "
            f"along axis 1 of {x.shape}), not shape {weight.shape}"
        )
    aligned = (count, *[1] * (rank - 2))[:rank]  # (C, 1, …, 1) beside (N, C, …)
    if len(weight.shape) > rank or (count > 1 and weight.shape != aligned):
        weight = reshape(weight, aligned)
    return _prelu(x, weight)


def sloped_relu(x: Any, slope: Any) -> Any:
    """Leaky ReLU with a slope for each element; both broadcast."""
    return _prelu(x, slope if isinstance(slope, Tensor | float | int) else to_array(slope))


@operation
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Keeps positive x; elsewhere α(eˣ − 1) (Clevert, Unterthiner, Hochreiter 2016).

    >>> import limpid
    >>> limpid.elu(limpid.tensor([-100.0, 2.0]))
    tensor([-1.,  2.])
    """
    return _elu(x, alpha=float(alpha))


@operation
def celu(x: Any, alpha: float = 1.0) -> Any:
    """ELU with a continuous derivative for any α: max(x, 0) + α(e^(min(x, 0)/α) − 1).

    Barron, "Continuously differentiable exponential linear units", 2017.

    >>> import limpid
    >>> limpid.celu(limpid.tensor([-100.0, 2.0]), 0.5)
    tensor([-0.5,  2. ])
    """
    if not alpha:
        raise ArgumentError("celu: alpha must not be 0")
    return _celu(x, alpha=float(alpha))


@operation
def soft_shrink(x: Any, lambd: float = 0.5) -> Any:
    """Moves x by λ towards 0; within λ of it the result is 0.

    >>> import limpid
    >>> limpid.soft_shrink(limpid.tensor([-2.0, 0.25, 2.0]))
    tensor([-1.5,  0. ,  1.5])
    """
    if not lambd >= 0:
        raise ArgumentError(f"soft_shrink: lambd must not be negative, got {lambd}")
    return _soft_shrink(x, lambd=float(lambd))


@operation
def hard_shrink(x: Any, lambd: float = 0.5) -> Any:
    """Keeps x where |x| > λ; elsewhere the result is 0.

    >>> import limpid
    >>> limpid.hard_shrink(limpid.tensor([-2.0, 0.25, 2.0]))
    tensor([-2.,  0.,  2.])
    """
    return _hard_shrink(x, lambd=float(lambd))


@operation
def threshold(x: Any, threshold: float, value: float) -> Any:
    """Keeps x where it is above the threshold; elsewhere the result is the value.

    >>> import limpid
    >>> limpid.threshold(limpid.tensor([-2.0, 0.25, 2.0]), 0.5, -1.0)
    tensor([-1., -1.,  2.])
    """
    return _threshold(x, threshold=float(threshold), value=float(value))
