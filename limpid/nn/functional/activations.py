"""Activation functions under PyTorch's names and arguments: `dim` where limpid says `axis`.

Each is limpid's operation, which documents it; `limpid.relu` and `functional.relu` are one.
"""

from __future__ import annotations

from typing import Any

from limpid.ops import activation, rectifier
from limpid.ops import softmax as normalisation
from limpid.ops.activation import gelu, mish, sigmoid, silu, softplus
from limpid.ops.cast import astype
from limpid.ops.elementary import tanh
from limpid.ops.rectifier import celu, elu, leaky_relu, prelu, relu, relu6, selu, threshold

__all__ = [
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "leaky_relu", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "selu", "sigmoid",
    "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink",
    "threshold",
]  # fmt: skip

hardsigmoid = activation.hard_sigmoid
hardswish = activation.hard_swish
logsigmoid = activation.log_sigmoid
softsign = activation.soft_sign
tanhshrink = activation.tanh_shrink


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """min(max(input, min_val), max_val)."""
    return activation.hard_tanh(input, min_val, max_val)


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """input where |input| > lambd, else 0."""
    return rectifier.hard_shrink(input, lambd)


def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """input drawn towards 0 by lambd, and 0 within it."""
    return rectifier.soft_shrink(input, lambd)


def glu(input: Any, dim: int = -1) -> Any:
    """a · σ(b), where a and b are the halves of the input along an axis.

    >>> import limpid
    >>> limpid.nn.functional.glu(limpid.tensor([4.0, 0.0]))
    tensor([2.])
    """
    return activation.glu(input, axis=dim)


def softmax(input: Any, dim: int = -1, dtype: Any = None) -> Any:
    """exp(input) / Σ exp(input) along an axis; PyTorch asks for the axis, here it is the last.

    >>> import limpid
    >>> limpid.nn.functional.softmax(limpid.tensor([[0.0, 0.0]]), dim=1)
    tensor([[0.5, 0.5]])
    """
    return normalisation.softmax(_typed(input, dtype), axis=dim)


def softmin(input: Any, dim: int = -1, dtype: Any = None) -> Any:
    """softmax(−input)."""
    return normalisation.softmax(-_typed(input, dtype), axis=dim)


def log_softmax(input: Any, dim: int = -1, dtype: Any = None) -> Any:
    """log softmax(input), in a form that does not underflow."""
    return normalisation.log_softmax(_typed(input, dtype), axis=dim)


def _typed(input: Any, dtype: Any) -> Any:
    return input if dtype is None else astype(input, dtype)
