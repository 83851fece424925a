"""Convolutions whose weights belong to places, or to pairs of channels.

Arguments and errors are those of convolutions. The classic library has them; PyTorch has not.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.node import Array
from limpid.nn.functional.convolution import (
    CONVOLUTIONS,
    TRANSPOSED,
    batched,
    finished,
    window_params,
)
from limpid.ops import affine
from limpid.ops.create import zeros
from limpid.ops.gather import scatter_add
from limpid.ops.layout import reshape, swapaxes
from limpid.ops.windows import conv
from limpid.ops.windows.geometry import check_axes
from limpid.tensor import operand, to_array


@name_errors
def locally_connected(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Any:
    """A convolution with other weights at each place, so nothing is shared.

    input (N, in, *W) or (in, *W), weight (*O, out, in, *K), bias (out, *O) → (N, out, *O), for one
    to three spatial axes.

    >>> import limpid
    >>> x, w = limpid.tensor([[[1.0, 2.0, 3.0]]]), limpid.tensor([1.0, 0.0, 2.0])
    >>> limpid.nn.functional.locally_connected(x, w.reshape(3, 1, 1, 1))
    tensor([[[1., 0., 6.]]])
    """
    weight = operand(weight)
    if weight.ndim not in (4, 6, 8):
        raise ShapeError(
            f"the weight is (*places, out, in, *kernel) for 1, 2 or 3 spatial axes, so it has 4, 6 "
            f"or 8 axes, not {weight.ndim}"
        )
    rank = weight.ndim // 2 - 1
    x, single = batched(input, rank)
    affine.check_type(x, weight)
    window = window_params(rank, weight.shape[-rank:], stride, padding, dilation)
    y = conv.local_conv(x, weight, **window)
    return finished(_with_bias(y, bias), single)


def _with_bias(y: Any, bias: Any) -> Any:
    if bias is None:
        return y
    bias = operand(bias)
    if bias.shape != y.shape[1:]:
        raise ShapeError(f"the bias must have shape {y.shape[1:]}, not {bias.shape}")
    return y + bias


@name_errors
def map_conv(
    input: Any,
    weight: Any,
    table: Any,
    out_channels: int,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Any:
    """A convolution in which only the channels of a connection table are connected.

    input (N, in, *W) or (in, *W); table (T, 2) of pairs (channel of the input, channel of the
    output); weight (T, *K), a kernel for each pair; bias (out). Kernels of a pair that is listed
    twice add up.

    Source: LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition (C3).

    >>> import limpid
    >>> x, w = limpid.tensor([[[1.0, 2.0], [3.0, 4.0]]]), limpid.tensor([[10.0], [100.0]])
    >>> limpid.nn.functional.map_conv(x, w, [(0, 0), (1, 0)], 1)
    tensor([[[310., 420.]]])
    """
    x, full, rank = _spread(input, weight, table, out_channels)
    return CONVOLUTIONS[rank](x, full, bias, stride, padding, dilation)


@name_errors
def map_conv_transpose(
    input: Any,
    weight: Any,
    table: Any,
    out_channels: int,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
) -> Any:
    """A transposed convolution of a connection table, with the arguments of `map_conv`.

    >>> import limpid
    >>> x, w = limpid.tensor([[[1.0, 2.0]]]), limpid.tensor([[1.0, 10.0]])
    >>> limpid.nn.functional.map_conv_transpose(x, w, [(0, 0)], 1)
    tensor([[[ 1., 12., 20.]]])
    """
    x, full, rank = _spread(input, weight, table, out_channels)
    full = swapaxes(full, 0, 1)
    return TRANSPOSED[rank](x, full, bias, stride, padding, output_padding, 1, dilation)


def connections(table: Any, in_channels: int, out_channels: int) -> Array:
    """The pairs of a connection table as integers (T, 2); ArgumentError for other channels."""
    pairs = to_array(table)
    if not pairs.size:
        return np.empty((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ShapeError(
            f"a connection table is integers (T, 2), but is {pairs.dtype} of shape {pairs.shape}"
        )
    for name, column, count in (("input", 0, in_channels), ("output", 1, out_channels)):
        channels = pairs[:, column]
        if not 0 <= channels.min() <= channels.max() < count:
            raise ArgumentError(
                f"a connection table names {name} channel {channels.min()} to {channels.max()}, "
                f"but there are {count}"
            )
    return pairs


def _spread(input: Any, weight: Any, table: Any, out_channels: int) -> tuple[Any, Any, int]:
    """The input, the kernels as a whole weight (out, in, *K), and the number of spatial axes."""
    x, weight = operand(input), operand(weight)  # weight (T, *K)
    rank = weight.ndim - 1
    if rank not in CONVOLUTIONS:
        raise ShapeError(f"the weight is (T, *kernel), 2 to 4 axes, not {weight.ndim}")
    check_axes(x.shape, rank)
    in_channels = x.shape[-rank - 1]
    pairs = connections(table, in_channels, out_channels)
    if len(pairs) != weight.shape[0]:
        raise ShapeError(f"{len(pairs)} connections need as many kernels, not {weight.shape[0]}")
    place = pairs[:, 1] * in_channels + pairs[:, 0]  # (T,)
    size = prod(weight.shape[1:])
    indices = np.broadcast_to(place[:, None], (len(place), size))
    flat = zeros((out_channels * in_channels, size), weight.dtype)
    full = scatter_add(flat, indices, reshape(weight, (len(place), size)), axis=0)
    return x, reshape(full, (out_channels, in_channels, *weight.shape[1:])), rank
