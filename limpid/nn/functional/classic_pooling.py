"""Pooling of older networks: learnt sub-sampling, and Lp pooling over channels."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ShapeError
from limpid.nn.functional.pooling import check_norm, root, spatial, window_of
from limpid.ops import affine
from limpid.ops.cast import as_floats
from limpid.ops.layout import reshape
from limpid.ops.windows.average_pool import sum_pool
from limpid.ops.windows.geometry import Extents, output_extents, per_axis
from limpid.tensor import operand


@name_errors
def subsampling1d(input: Any, weight: Any, bias: Any, kernel_size: Any, stride: Any = 1) -> Any:
    """weight[c] · Σ of a window + bias[c]: (N, C, W) → (N, C, O), with one weight per channel.

    Source: LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition (S2, S4);
    TemporalSubSampling in Torch 7, which has channels last.

    >>> import limpid
    >>> x, one = limpid.tensor([[[1.0, 2.0, 3.0, 4.0]]]), limpid.ones(1)
    >>> limpid.nn.functional.subsampling1d(x, 0.5 * one, one, 2, 2)
    tensor([[[2.5, 4.5]]])
    """
    return _subsampling(1, input, weight, bias, kernel_size, stride)


@name_errors
def subsampling2d(input: Any, weight: Any, bias: Any, kernel_size: Any, stride: Any = 1) -> Any:
    """As `subsampling1d` for images: SpatialSubSampling in Torch 7.

    >>> import limpid
    >>> x, one = limpid.ones((1, 1, 4, 4)), limpid.ones(1)
    >>> limpid.nn.functional.subsampling2d(x, one, one, 4)
    tensor([[[[17.]]]])
    """
    return _subsampling(2, input, weight, bias, kernel_size, stride)


@name_errors
def feature_lp_pool(input: Any, norm_type: float, width: int, stride: int = 1) -> Any:
    """(Σ xᵖ)^(1/p) over `width` neighbouring channels: (N, C, …) → (N, (C − width)/stride + 1, …).

    norm_type  p; powers keep the sign, so odd p want positive x; where the sum is 0 the gradient
               is 0, unless p = 1

    The channels are axis 1, or axis 0 where that is the only one. Source: FeatureLPPooling in
    Torch 7.

    >>> import limpid
    >>> limpid.nn.functional.feature_lp_pool(limpid.tensor([[3.0, 4.0, 0.0]]), 2, 2)
    tensor([[5., 4.]])
    """
    x = as_floats(input)
    if not x.ndim:
        raise ShapeError("the input has axes (N, C, …) or (C), but is a single number")
    check_norm(norm_type)
    axis = min(1, x.ndim - 1)
    rank = x.ndim - axis
    rest = (1,) * (rank - 1)
    (span,), (step,) = per_axis(width, 1, "width"), per_axis(stride, 1, "stride")
    output_extents(x.shape[axis : axis + 1], (span,), (step,), ((0, 0),), (1,))
    y = sum_pool(
        x**norm_type, kernel=(span, *rest), stride=(step, *rest), padding=((0, 0),) * rank,
        dilation=(1,) * rank,
    )  # fmt: skip
    return root(y, norm_type)


def _subsampling(
    rank: int, input: Any, weight: Any, bias: Any, kernel_size: Any, stride: Any
) -> Any:
    x = spatial(input, rank)
    weight = operand(weight)
    bias = operand(bias)
    affine.check_type(x, weight)
    channels: Extents = x.shape[-rank - 1 : -rank]
    if not weight.shape == bias.shape == channels:
        raise ShapeError(
            f"weight and bias have one number for each of {channels[0]} channels, not shapes "
            f"{weight.shape} and {bias.shape}"
        )
    y = sum_pool(x, **window_of(x, rank, kernel_size, stride))
    beside = (*channels, *(1,) * rank)  # (C, 1, …)
    return y * reshape(weight, beside) + reshape(bias, beside)
