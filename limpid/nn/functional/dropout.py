"""Dropout, of elements or of whole channels. Nothing happens unless in training.

Random numbers come from this thread's default generator. `inplace` is accepted as in PyTorch and
changes nothing: tensors never alias for writing.
"""

from __future__ import annotations

from math import sqrt
from numbers import Real
from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.ops.arithmetic import where
from limpid.ops.cast import astype
from limpid.ops.random import bernoulli
from limpid.ops.rectifier import SELU_ALPHA, SELU_SCALE
from limpid.ops.windows.geometry import check_axes
from limpid.tensor import operand

Shape = tuple[int, ...]


def check_probability(p: float) -> None:
    """Raise ArgumentError unless p is a probability."""
    if not isinstance(p, Real) or not 0 <= p <= 1:
        raise ArgumentError(f"a probability is from 0 to 1, not {p!r:.40}")


@name_errors
def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Each element is 0 with probability p, else divided by 1 − p; nothing unless training.

    Random numbers come from this thread's default generator.

    Source: Srivastava et al. 2014, Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting.

    >>> import limpid
    >>> generator = limpid.random.seed(0)
    >>> limpid.nn.functional.dropout(limpid.tensor([1.0, 1.0, 1.0, 1.0]))
    tensor([2., 0., 0., 0.])
    """
    input = operand(input)
    return _drop(input, p, training, input.shape)


@name_errors
def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (N, C, L) or (C, L) are 0 with probability p, the others divided by 1 − p.

    Source: Tompson et al. 2015, Efficient Object Localization Using Convolutional Networks.

    >>> import limpid
    >>> generator = limpid.random.seed(0)
    >>> limpid.nn.functional.dropout1d(limpid.ones((2, 3)))
    tensor([[2., 2., 2.],
            [0., 0., 0.]])
    """
    return _drop_channels(1, input, p, training)


@name_errors
def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (N, C, H, W) or (C, H, W) are 0 with probability p; see `dropout1d`.

    PyTorch still reads three axes as (N, C, L), and announces that it will not; for these there is
    `dropout1d`.
    """
    return _drop_channels(2, input, p, training)


@name_errors
def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Whole channels of (N, C, D, H, W) or (C, D, H, W) are 0 with probability p."""
    return _drop_channels(3, input, p, training)


@name_errors
def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Elements become the lower limit −λα of SELU with probability p; then a·y + b.

    a = ((1 − p)(1 + p(λα)²))^−½ and b = a·p·λα keep mean 0 and variance 1. For p = 1 all is 0.

    Source: Klambauer et al. 2017, Self-Normalizing Neural Networks.

    >>> import limpid
    >>> limpid.nn.functional.alpha_dropout(limpid.tensor([1.0, 2.0]), training=False)
    tensor([1., 2.])
    """
    input = operand(input)
    return _drop_to_limit(input, p, training, input.shape)


@name_errors
def feature_alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Any:
    """`alpha_dropout` of whole channels: of all that shares its place on the first two axes (N, C).

    Raises ShapeError for fewer than two axes.
    """
    input = operand(input)
    if len(input.shape) < 2:
        raise ShapeError(f"the input must have shape (N, C, …), not {input.shape}")
    return _drop_to_limit(input, p, training, _channels(input.shape, 2))


def _channels(shape: Shape, count: int) -> Shape:
    """The shape of one number for each channel, where `count` axes lead to a channel."""
    return (*shape[:count], *(1,) * (len(shape) - count))


def _drop_channels(rank: int, input: Any, p: float, training: bool) -> Any:
    input = operand(input)
    check_axes(input.shape, rank)
    return _drop(input, p, training, _channels(input.shape, input.ndim - rank))


def _drop(input: Any, p: float, training: bool, shape: Shape) -> Any:
    """0 with probability p, else divided by 1 − p; one draw for each place of `shape`."""
    check_probability(p)
    if not training or p == 0:
        return input
    kept = bernoulli(1 - p, shape)
    return input * (astype(kept, input.dtype) * (0 if p == 1 else 1 / (1 - p)))


def _drop_to_limit(input: Any, p: float, training: bool, shape: Shape) -> Any:
    check_probability(p)
    if not training or p == 0:
        return input
    if p == 1:
        return input * 0
    limit = SELU_SCALE * SELU_ALPHA
    scale = 1 / sqrt((1 - p) * (1 + p * limit * limit))
    shift = scale * p * limit
    return where(bernoulli(1 - p, shape), input * scale + shift, shift - scale * limit)
