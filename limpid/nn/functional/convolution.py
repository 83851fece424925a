"""Convolutions, with PyTorch's names, arguments and weight shapes.

With W extents, K the kernel, P the padding on both sides, S the stride and D the dilation, there
are ⌊(W + 2P − D(K − 1) − 1)/S⌋ + 1 windows along each spatial axis. Errors are ShapeError where
shapes do not fit and ArgumentError for impossible strides, paddings, dilations and groups.
"""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.ops import affine
from limpid.ops.axes import integer
from limpid.ops.layout import reshape
from limpid.ops.pad import pad
from limpid.ops.windows import conv
from limpid.ops.windows.geometry import Extents, Padding, check_axes, paddings, per_axis, span
from limpid.tensor import operand


@name_errors
def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Σ_{i,k} input[n, i, o·S + k·D − P] · weight[c, i, k] + bias[c].

    input (N, in, W) or (in, W), weight (out, in/groups, K), bias (out) → (N, out, O).

    padding  a number, "same" (as many places come out; stride 1) or "valid" (none)
    groups   the channels fall into groups that do not mix

    >>> import limpid
    >>> x, w = limpid.tensor([[[1.0, 2.0, 4.0, 8.0]]]), limpid.tensor([[[1.0, -1.0]]])
    >>> limpid.nn.functional.conv1d(x, w)
    tensor([[[-1., -2., -4.]]])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


@name_errors
def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """As `conv1d` for images: (N, in, H, W) or (in, H, W), weight (out, in/groups, K, K).

    >>> import limpid
    >>> images, filters = limpid.zeros((8, 3, 32, 32)), limpid.zeros((10, 3, 5, 5))
    >>> limpid.nn.functional.conv2d(images, filters, padding=2).shape
    (8, 10, 32, 32)
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


@name_errors
def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """As `conv1d` for volumes: (N, in, D, H, W) or (in, D, H, W), weight (out, in/groups, K, K, K).

    >>> import limpid
    >>> limpid.nn.functional.conv3d(limpid.zeros((1, 4, 4, 4)), limpid.zeros((2, 1, 3, 3, 3))).shape
    (2, 2, 2, 2)
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


@name_errors
def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The adjoint of `conv1d` as a map from its output to its input, plus a bias.

    input (N, in, W) or (in, W), weight (in, out/groups, K), bias (out) → (N, out, O) with
    O = (W − 1)·S − 2P + D(K − 1) + output_padding + 1. With a stride several extents lead to one;
    `output_padding`, less than stride or dilation, says which is meant.

    >>> import limpid
    >>> x, w = limpid.tensor([[[1.0, 2.0]]]), limpid.tensor([[[1.0, 10.0, 100.0]]])
    >>> limpid.nn.functional.conv_transpose1d(x, w, stride=2)
    tensor([[[  1.,  10., 102.,  20., 200.]]])
    """
    return _conv_transpose(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@name_errors
def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """As `conv_transpose1d` for images: (N, in, H, W) or (in, H, W), weight (in, out/groups, K, K).

    >>> import limpid
    >>> x, w = limpid.zeros((1, 8, 4, 4)), limpid.zeros((8, 3, 2, 2))
    >>> limpid.nn.functional.conv_transpose2d(x, w, stride=2).shape
    (1, 3, 8, 8)
    """
    return _conv_transpose(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@name_errors
def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """As `conv_transpose1d` for volumes, weight (in, out/groups, K, K, K).

    >>> import limpid
    >>> x, w = limpid.zeros((1, 2, 2, 2, 2)), limpid.zeros((2, 1, 2, 2, 2))
    >>> limpid.nn.functional.conv_transpose3d(x, w).shape
    (1, 1, 3, 3, 3)
    """
    return _conv_transpose(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def _conv(
    rank: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Any:
    weight = _checked_weight(rank, weight)
    x, single = batched(input, rank)
    affine.check_type(x, weight)
    window = window_params(rank, weight.shape[2:], stride, padding, dilation)
    y = conv.conv(x, weight, **window, groups=integer(groups, "groups", 1))
    return finished(_with_bias(y, bias, rank), single)


def _conv_transpose(
    rank: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    weight = _checked_weight(rank, weight)
    x, single = batched(input, rank)
    affine.check_type(x, weight)
    if x.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"the input has {x.shape[1]} channels, but the weight {weight.shape}, which is (in, "
            f"out/groups, *kernel), takes {weight.shape[0]}"
        )
    if isinstance(padding, str):
        raise ArgumentError(f"the padding of a transposed convolution is a number, not {padding!r}")
    window = window_params(rank, weight.shape[2:], stride, padding, dilation)
    extra = per_axis(output_padding, rank, "output_padding", least=0)
    covered, ends, beyond = _transposed_extents(x.shape[2:], weight.shape[2:], window, extra)
    window["padding"] = tuple((b, a) for (b, _), a in zip(window["padding"], ends))
    y = conv.conv_input(x, weight, **window, groups=integer(groups, "groups", 1), extents=covered)
    if any(beyond):
        y = pad(y, ((0, 0), (0, 0), *((0, n) for n in beyond)))
    return finished(_with_bias(y, bias, rank), single)


def _transposed_extents(
    places: Extents, kernel: Extents, window: dict[str, Any], extra: Extents
) -> tuple[Extents, Extents, Extents]:
    """The extents of the result, the padding after them, and how many zeros follow.

    Output padding first takes in what the padding would cut off, then what no window reaches.
    """
    covered, ends, beyond = [], [], []
    sides = zip(
        places, kernel, window["stride"], window["padding"], window["dilation"], extra, strict=True
    )
    for axis, (o, k, s, (before, after), d, more) in enumerate(sides):
        if more >= max(s, d):
            raise ArgumentError(
                f"output_padding must be less than stride {s} or dilation {d}, not {more}"
            )
        extent = (o - 1) * s - before - after + span(k, d)
        if not o or extent + more < 1:
            raise ShapeError(
                f"{o} windows of {span(k, d)} with stride {s} and padding {before} lead to "
                f"{extent + more} places along spatial axis {axis}"
            )
        within = min(more, s - 1)
        back = min(more - within, after)
        covered.append(extent + within + back)
        ends.append(after - back)
        beyond.append(more - within - back)
    return tuple(covered), tuple(ends), tuple(beyond)


def window_params(
    rank: int, kernel: Extents, stride: Any, padding: Any, dilation: Any
) -> dict[str, Any]:
    """The params of the primitives."""
    stride = per_axis(stride, rank, "stride")
    dilation = per_axis(dilation, rank, "dilation")
    sides: Padding = paddings(padding, rank, kernel, stride, dilation)
    return {"stride": stride, "padding": sides, "dilation": dilation}


def batched(input: Any, rank: int) -> tuple[Any, bool]:
    """The input with a batch axis, and whether it had none."""
    x = operand(input)
    check_axes(x.shape, rank)
    single = x.ndim == rank + 1
    return (reshape(x, (1, *x.shape)) if single else x), single


def finished(y: Any, single: bool) -> Any:
    """The result without the batch axis that the input did not have."""
    return reshape(y, y.shape[1:]) if single else y


def _checked_weight(rank: int, weight: Any) -> Any:
    weight = operand(weight)
    if weight.ndim != rank + 2:
        raise ShapeError(
            f"the weight has {rank + 2} axes, channels and kernel, but its shape is {weight.shape}"
        )
    return weight


def _with_bias(y: Any, bias: Any, rank: int) -> Any:
    if bias is None:
        return y
    bias = operand(bias)
    if bias.shape != y.shape[1:2]:
        raise ShapeError(f"the bias must have shape {y.shape[1:2]}, not {bias.shape}")
    return y + reshape(bias, (1, -1, *(1,) * rank))


CONVOLUTIONS = {1: conv1d, 2: conv2d, 3: conv3d}
TRANSPOSED = {1: conv_transpose1d, 2: conv_transpose2d, 3: conv_transpose3d}
