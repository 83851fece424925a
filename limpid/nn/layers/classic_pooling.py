"""Pooling layers of older networks: learnt sub-sampling, and Lp pooling over channels."""

from __future__ import annotations

from math import prod
from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.nn import functional as F
from limpid.nn import init
from limpid.nn.layers.windows import Windowed
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.ops.create import zeros
from limpid.ops.windows.geometry import per_axis
from limpid.tensor import Parameter


class SubSampling(Module):
    """Base of `SubSampling1d` and `SubSampling2d`."""

    rank: int  # the number of spatial axes

    @name_errors
    def __init__(self, channels: int, kernel_size: Any, stride: Any = 1, dtype: Any = None):
        self.channels = integer(channels, "channels")
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size")
        self.stride = per_axis(stride, self.rank, "stride")
        self.weight = Parameter(zeros((channels,), dtype))
        self.bias = Parameter(zeros((channels,), dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform in ±1/√(kernel area)."""
        init.fan_in_uniform_(prod(self.kernel_size), self.weight, self.bias)

    def forward(self, input: Any) -> Any:
        """weight · Σ + bias, for each channel."""
        subsample = (F.subsampling1d, F.subsampling2d)[self.rank - 1]
        return subsample(input, self.weight, self.bias, self.kernel_size, self.stride)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.channels}, kernel_size={self.kernel_size}, stride={self.stride}"


class SubSampling1d(SubSampling):
    """weight[c] · Σ of a window + bias[c]: (N, C, W) → (N, C, ⌊(W − K)/S⌋ + 1).

    weight (C) and bias (C) start uniform in ±1/√K. Source: TemporalSubSampling in Torch 7, which
    has channels last.

    >>> import limpid
    >>> limpid.nn.SubSampling1d(3, 2, 2)(limpid.zeros((8, 3, 10))).shape
    (8, 3, 5)
    """

    rank = 1


class SubSampling2d(SubSampling):
    """As `SubSampling1d` for images: what LeNet-5 has between its convolutions.

    Source: LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition (S2, S4);
    SpatialSubSampling in Torch 7.

    >>> import limpid
    >>> limpid.nn.SubSampling2d(6, 2, 2)
    SubSampling2d(6, kernel_size=(2, 2), stride=(2, 2))
    """

    rank = 2


class FeatureLPPool(Windowed):
    """(Σ xᵖ)^(1/p) over neighbouring channels: (N, C, …) → (N, (C − width)/stride + 1, …).

    power  p; powers keep the sign, so odd p want positive x; where the sum is 0 the gradient is 0

    Source: FeatureLPPooling in Torch 7.

    >>> import limpid
    >>> limpid.nn.FeatureLPPool(2, 1, 2)(limpid.tensor([[3.0, 4.0, 0.0]]))
    tensor([[5., 4.]])
    """

    shown = ("width", "stride", "power")

    def __init__(self, width: int, stride: int, power: float):
        self.width = width
        self.stride = stride
        self.power = power

    def forward(self, input: Any) -> Any:
        """(Σ xᵖ)^(1/p) over channels."""
        return F.feature_lp_pool(input, self.power, self.width, self.stride)
