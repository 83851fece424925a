"""Pooling layers whose output size is given, with PyTorch's names and arguments."""

from __future__ import annotations

from typing import Any

from limpid.nn import functional as F
from limpid.nn.layers.windows import Windowed


class AdaptiveAvgPool(Windowed):
    """Base of `AdaptiveAvgPool1d`, `AdaptiveAvgPool2d` and `AdaptiveAvgPool3d`."""

    shown = ("output_size",)

    def __init__(self, output_size: Any):
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        """The means of the bins."""
        pools = F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d
        return pools[self.rank - 1](input, self.output_size)


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """The means of as many bins as asked for: (N, C, W) → (N, C, O).

    Bin o reaches from ⌊o·W/O⌋ to ⌈(o + 1)·W/O⌉.

    >>> import limpid
    >>> limpid.nn.AdaptiveAvgPool1d(2)(limpid.tensor([[1.0, 2.0, 6.0]]))
    tensor([[1.5, 4. ]])
    """

    rank = 1


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """As `AdaptiveAvgPool1d` for images.

    output_size  a number or a pair, where None stands for the extent of the input

    >>> import limpid
    >>> limpid.nn.AdaptiveAvgPool2d((None, 2))(limpid.zeros((1, 3, 7, 7))).shape
    (1, 3, 7, 2)
    """

    rank = 2


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """As `AdaptiveAvgPool2d` for volumes.

    >>> import limpid
    >>> limpid.nn.AdaptiveAvgPool3d(1)(limpid.ones((2, 3, 4, 5))).shape
    (2, 1, 1, 1)
    """

    rank = 3


class AdaptiveMaxPool(Windowed):
    """Base of `AdaptiveMaxPool1d`, `AdaptiveMaxPool2d` and `AdaptiveMaxPool3d`."""

    shown = ("output_size",)

    def __init__(self, output_size: Any, return_indices: bool = False):
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Any) -> Any:
        """The largest elements of the bins, and their positions if asked for."""
        pools = F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d
        return pools[self.rank - 1](input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """The largest elements of as many bins as asked for, those of `AdaptiveAvgPool1d`.

    >>> import limpid
    >>> limpid.nn.AdaptiveMaxPool1d(2)(limpid.tensor([[1.0, 7.0, 6.0]]))
    tensor([[7., 7.]])
    """

    rank = 1


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """As `AdaptiveMaxPool1d` for images.

    >>> import limpid
    >>> limpid.nn.AdaptiveMaxPool2d((None, 2))(limpid.zeros((1, 3, 7, 7))).shape
    (1, 3, 7, 2)
    """

    rank = 2


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """As `AdaptiveMaxPool1d` for volumes.

    >>> import limpid
    >>> limpid.nn.AdaptiveMaxPool3d(1)(limpid.ones((2, 3, 4, 5))).shape
    (2, 1, 1, 1)
    """

    rank = 3
