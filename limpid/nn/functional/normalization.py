"""Normalisation, with PyTorch's names, argument order and meaning."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.context import no_grad
from limpid.graph.dtype import as_dtype, float16
from limpid.ops.affine import check_type
from limpid.ops.axes import integer, normal_axis
from limpid.ops.cast import astype
from limpid.ops.comparison import clip
from limpid.ops.elementary import sqrt
from limpid.ops.layout import reshape
from limpid.ops.normalization import local_response, standardize, sum_products, upcast
from limpid.ops.state import assign
from limpid.ops.statistics import mean, vector_norm
from limpid.tensor import operand


@name_errors
def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Weight · (x − μ) / √(σ² + eps) + bias for each channel; (N, C, …) → (N, C, …).

    training      μ and σ² are the batch's, over all axes but 1; otherwise the running ones
    running_mean, running_var  (C,); in training the slots move towards the batch's statistics:
                  (1 − momentum) · running + momentum · batch, where σ² is divided by n − 1
    weight, bias  (C,)

    An empty batch leaves the running statistics as they are. Raises ShapeError where channels do
    not agree, and where a channel has only one value in training: it would always become 0.

    Source: Ioffe and Szegedy 2015, Batch Normalization: Accelerating Deep Network Training by
    Reducing Internal Covariate Shift.

    >>> import limpid
    >>> x = limpid.tensor([[1.0, 10.0], [3.0, 30.0]])
    >>> limpid.nn.functional.batch_norm(x, None, None, training=True, eps=0.0)
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """
    input = _with_channels(input, running_mean, running_var, weight, bias)
    _check_eps(eps)
    channels = (input.shape[1], *(1,) * (len(input.shape) - 2))  # broadcasts against (N, C, …)
    if not training:
        return _by_running(input, running_mean, running_var, weight, bias, eps, channels)
    axes = (0, *range(2, len(input.shape)))
    count = prod([input.shape[i] for i in axes])
    if count == 1:
        raise ShapeError(
            f"training needs more than 1 value per channel, but the input has shape {input.shape}"
        )
    y, average, var = standardize(
        input, axes, eps, _parameter(weight, channels, 1), _parameter(bias, channels, 0)
    )
    if count:
        _follow(running_mean, average, 1, momentum)
        _follow(running_var, var, count / (count - 1), momentum)
    return y


def _by_running(
    x: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, eps: float, shape: Any
) -> Any:
    """The same with statistics that are known: a scale and a shift for each channel."""
    if running_mean is None or running_var is None:
        raise ArgumentError("without training, running_mean and running_var are needed")
    x, half = upcast(x)
    scale = 1 / sqrt(upcast(running_var)[0] + eps)
    if weight is not None:
        scale = scale * weight
    y = (x - reshape(running_mean, shape)) * reshape(scale, shape)
    y = y if bias is None else y + reshape(bias, shape)
    return astype(y, float16) if half else y


def _parameter(given: Any, shape: tuple[int, ...], absent: int) -> Any:
    """A parameter of the channels, shaped to broadcast; a number where there is none."""
    if given is None or given.shape == shape:
        return absent if given is None else given
    return reshape(given, shape)


def _follow(running: Any, observed: Any, correction: float, momentum: Any) -> None:
    """Let a running statistic, if there is one, move towards what was observed."""
    if running is None:
        return
    with no_grad():
        moved = reshape(observed, running.shape) * (momentum * correction)
        assign(running, running * (1 - momentum) + moved)


@name_errors
def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Any:
    """`batch_norm` with statistics of each channel of each example; (N, C, …) → (N, C, …).

    use_input_stats  if False, the running statistics are used as in `batch_norm`

    Running statistics move towards the mean of the examples' statistics. Raises ShapeError where
    channels do not agree, and for only one value per channel.

    Source: Ulyanov et al. 2016, Instance Normalization: The Missing Ingredient for Fast
    Stylization.

    >>> import limpid
    >>> limpid.nn.functional.instance_norm(limpid.tensor([[[1.0, 3.0]]]), eps=0.0)
    tensor([[[-1.,  1.]]])
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    input = _with_channels(input, running_mean, running_var, weight, bias)
    _check_eps(eps)
    axes = tuple(range(2, len(input.shape)))
    count = prod([input.shape[i] for i in axes])
    if count == 1:
        raise ShapeError(
            f"more than 1 value per channel is needed, but the input has shape {input.shape}"
        )
    channels = (input.shape[1], *(1,) * len(axes))
    y, average, var = standardize(
        input, axes, eps, _parameter(weight, channels, 1), _parameter(bias, channels, 0)
    )
    if count and input.shape[0]:
        _follow(running_mean, mean(average, axis=0), 1, momentum)
        _follow(running_var, mean(var, axis=0), count / (count - 1), momentum)
    return y


@name_errors
def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Weight · (x − μ) / √(σ² + eps) + bias over the last axes.

    normalized_shape  the extents of these axes; weight and bias have this shape

    Raises ShapeError for an input whose shape does not end so.

    Source: Ba, Kiros and Hinton 2016, Layer Normalization.

    >>> import limpid
    >>> limpid.nn.functional.layer_norm(limpid.tensor([[1.0, 3.0], [5.0, 9.0]]), 2, eps=0.0)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    input, axes = _with_last_axes(input, normalized_shape, weight, bias)
    _check_eps(eps)
    weight, bias = (1 if weight is None else weight), (0 if bias is None else bias)
    return standardize(input, axes, eps, weight, bias)[0]


@name_errors
def rms_norm(
    input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> Any:
    """Weight · x / √(mean of x² + eps) over the last axes.

    normalized_shape  the extents of these axes; the weight has this shape
    eps               by default the distance from 1 to the next larger number of the element type

    Raises ShapeError for an input whose shape does not end so.

    Source: Zhang and Sennrich 2019, Root Mean Square Layer Normalization.

    >>> import limpid
    >>> limpid.nn.functional.rms_norm(limpid.tensor([2.0, -2.0]), 2, eps=0.0)
    tensor([ 1., -1.])
    """
    input, axes = _with_last_axes(input, normalized_shape, weight, None)
    if eps is None:
        dtype = as_dtype(input.dtype).storage
        eps = float(np.finfo(dtype if dtype.kind == "f" else np.float32).eps)
    _check_eps(eps)
    x, half = upcast(input)
    square = sum_products(x, x, axes) / max(prod([x.shape[i] for i in axes]), 1)
    y = x * (1 / sqrt(square + eps))
    y = astype(y, float16) if half else y
    return y if weight is None else y * weight


@name_errors
def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Standardise each group of channels of each example; (N, C, …) → (N, C, …).

    num_groups    a divisor of C
    weight, bias  (C,)

    Raises ShapeError where the groups do not divide the channels, and where a group has one value.

    Source: Wu and He 2018, Group Normalization.

    >>> import limpid
    >>> x = limpid.tensor([[[1.0], [3.0], [10.0], [30.0]]])
    >>> limpid.nn.functional.group_norm(x, 2, eps=0.0).tolist()
    [[[-1.0], [1.0], [-1.0], [1.0]]]
    """
    input = _with_channels(input, None, None, weight, bias)
    _check_eps(eps)
    batch, count, *rest = input.shape
    if count % integer(num_groups, "num_groups", 1):
        raise ArgumentError(f"{num_groups!r} groups do not divide {count} channels")
    if prod(input.shape) == num_groups:
        raise ShapeError(
            "more than 1 value per group is needed, but the input has shape "
            f"{input.shape} and there are {num_groups} groups"
        )
    each = count // num_groups
    grouped = reshape(input, (batch, num_groups, each, *rest))
    channels = (num_groups, each, *(1,) * len(rest))
    y, _, _ = standardize(
        grouped,
        tuple(range(2, len(rest) + 3)),
        eps,
        _parameter(weight, channels, 1),
        _parameter(bias, channels, 0),
    )
    return reshape(y, input.shape)


@name_errors
def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """X / (k + alpha/size · Σ x²)^beta, the sum over `size` neighbouring channels; (N, C, L, …).

    The window reaches size // 2 channels back and (size − 1) // 2 ahead; beyond the first and the
    last channel there are zeros. Raises ShapeError for fewer than 3 axes, ArgumentError for a size
    below 1.

    Source: Krizhevsky, Sutskever and Hinton 2012, ImageNet Classification with Deep Convolutional
    Neural Networks.

    >>> import limpid
    >>> x = limpid.tensor([[[1.0], [2.0], [0.0]]])
    >>> limpid.nn.functional.local_response_norm(x, 3, alpha=3.0, beta=1.0, k=0.0).tolist()
    [[[0.20000000298023224], [0.4000000059604645], [0.0]]]
    """
    input = operand(input)
    size = integer(size, "size", 1)
    if len(input.shape) < 3:
        raise ShapeError(f"the input must have shape (N, C, L, …), not {input.shape}")
    return local_response(input, 1, size // 2, (size - 1) // 2, alpha / size, beta, k)


@name_errors
def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Any:
    """X / max(‖x‖, eps) along an axis; ‖x‖ is the p-norm.

    >>> import limpid
    >>> limpid.nn.functional.normalize(limpid.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6, 0.8],
            [0. , 0. ]])
    """
    input = operand(input)
    rank = len(input.shape)
    axes = [normal_axis(a, rank, "dim") for a in (dim if isinstance(dim, Sequence) else (dim,))]
    return input / clip(vector_norm(input, tuple(axes), keepdims=True, ord=p), eps, None)


def _check_eps(eps: Any) -> None:
    if not eps >= 0:
        raise ArgumentError(f"eps must be 0 or more, not {eps}")


def _with_channels(input: Any, *parameters: Any) -> Any:
    """The input as an operand, after a look at whether the channels of all agree."""
    input = operand(input)
    if len(input.shape) < 2:
        raise ShapeError(f"the input must have shape (N, C, …), not {input.shape}")
    for p in parameters:
        if p is not None:
            _check_parameter(input, p, (input.shape[1],))
    return input


def _with_last_axes(
    input: Any, normalized_shape: Any, weight: Any, bias: Any
) -> tuple[Any, tuple[int, ...]]:
    """The input as an operand, and the axes that the shape names."""
    input = operand(input)
    shape = last_extents(normalized_shape)
    first = len(input.shape) - len(shape)
    if first < 0 or input.shape[first:] != shape:
        raise ShapeError(f"the input's shape must end in {shape}, but it is {input.shape}")
    for p in (weight, bias):
        if p is not None:
            _check_parameter(input, p, shape)
    return input, tuple(range(first, len(input.shape)))


def last_extents(given: Any) -> tuple[int, ...]:
    """A normalized_shape as a tuple, from a number or several; ArgumentError for anything else."""
    extents = tuple(given) if isinstance(given, Sequence) else (given,)
    if not extents:
        raise ArgumentError("normalized_shape must name one axis at least")
    return tuple(integer(n, "an extent of normalized_shape") for n in extents)


def _check_parameter(input: Any, parameter: Any, shape: tuple[int, ...]) -> None:
    if parameter.shape != shape:
        raise ShapeError(
            f"an input of shape {input.shape} needs parameters of shape {shape}, not "
            f"{parameter.shape}"
        )
    check_type(input, parameter)
