"""Activation functions under PyTorch's names and arguments: `dim` where limpid says `axis`.

Each is limpid's operation, which documents it; `limpid.relu` and `functional.relu` are one.
"""

from __future__ import annotations

import warnings
from typing import Any

from limpid.differentiation.elementwise import broadcast
from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import as_dtype
from limpid.ops import activation, rectifier
from limpid.ops import softmax as normalisation
from limpid.ops.activation import gelu, mish, sigmoid, silu, softplus
from limpid.ops.cast import astype
from limpid.ops.elementary import tanh
from limpid.ops.random import uniform
from limpid.ops.rectifier import celu, elu, leaky_relu, prelu, relu, relu6, selu, threshold
from limpid.tensor import operand

__all__ = [
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "leaky_relu", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu",
    "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh",
    "tanhshrink", "threshold",
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


@name_errors
def rrelu(
    input: Any,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
    noise: Any = None,
) -> Any:
    """input where it is positive, else slope · input, with random slopes for each element.

    In training slopes are uniform in [lower, upper), else all are (lower + upper)/2. `inplace` is
    accepted as in PyTorch and changes nothing.

    noise  the slopes, if they are given; they broadcast against the input

    Source: Xu et al. 2015, Empirical Evaluation of Rectified Activations in Convolution Network.

    >>> import limpid
    >>> limpid.nn.functional.rrelu(limpid.tensor([-1.0, 2.0]), 0.25, 0.75)
    tensor([-0.5,  2. ])
    """
    if not lower <= upper:
        raise ArgumentError(f"lower must not exceed upper, but {lower} > {upper}")
    input = operand(input)
    if noise is not None:
        noise = operand(noise)
        if broadcast(input.shape, noise.shape) != input.shape:
            raise ShapeError(f"noise of shape {noise.shape} does not fit an input of {input.shape}")
        return rectifier.sloped_relu(input, noise)
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    kind = input.dtype if as_dtype(input.dtype).kind == "float" else None
    return rectifier.sloped_relu(input, uniform(lower, upper, input.shape, dtype=kind))


def glu(input: Any, dim: int = -1) -> Any:
    """a · σ(b), where a and b are the halves of the input along an axis.

    >>> import limpid
    >>> limpid.nn.functional.glu(limpid.tensor([4.0, 0.0]))
    tensor([2.])
    """
    return activation.glu(input, axis=dim)


def softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """exp(input) / Σ exp(input) along an axis.

    dim  without it the axis of classes: the last of one or two axes. With more axes PyTorch's
         choice, 0 of three axes and else 1, is a surprise to most, so that a warning is given

    >>> import limpid
    >>> limpid.nn.functional.softmax(limpid.tensor([[0.0, 0.0]]), dim=1)
    tensor([[0.5, 0.5]])
    """
    input = _typed(input, dtype)
    return normalisation.softmax(input, axis=_class_axis("softmax", input, dim))


def softmin(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """softmax(−input)."""
    input = _typed(input, dtype)
    return normalisation.softmax(-input, axis=_class_axis("softmin", input, dim))


def log_softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """log softmax(input), in a form that does not underflow; `dim` as there."""
    input = _typed(input, dtype)
    return normalisation.log_softmax(input, axis=_class_axis("log_softmax", input, dim))


def _class_axis(name: str, input: Any, dim: int | None) -> int:
    """The axis that is named, or PyTorch's choice where none is."""
    if dim is not None:
        return dim
    rank = len(input.shape)
    axis = 0 if rank in (0, 1, 3) else 1
    if rank > 2:
        warnings.warn(f"{name} of {rank} axes without dim takes dim={axis}; say so", stacklevel=3)
    return axis


def _typed(input: Any, dtype: Any) -> Any:
    input = operand(input)
    return input if dtype is None else astype(input, dtype)
