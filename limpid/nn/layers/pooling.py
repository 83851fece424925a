"""Pooling layers, with PyTorch's names and arguments."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.nn import functional as F
from limpid.nn.layers.windows import Windowed
from limpid.ops.windows.geometry import per_axis


class MaxPool(Windowed):
    """Base of `MaxPool1d`, `MaxPool2d` and `MaxPool3d`."""

    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """The largest elements, and their positions if asked for."""
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[self.rank - 1]
        return pool(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip


class MaxPool1d(MaxPool):
    """The largest element of every window: (N, C, W) → (N, C, ⌊(W + 2P − D(K − 1) − 1)/S⌋ + 1).

    stride          by default the kernel size
    return_indices  also return where in the input they are, for `MaxUnpool1d`
    ceil_mode       ⌈…⌉ instead of ⌊…⌋, but no window that begins after the input

    >>> import limpid
    >>> limpid.nn.MaxPool1d(2)(limpid.tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[3., 2.]])
    """

    rank = 1


class MaxPool2d(MaxPool):
    """As `MaxPool1d` for images: (N, C, H, W) → (N, C, O, O).

    >>> import limpid
    >>> limpid.nn.MaxPool2d(3, stride=2, padding=1)(limpid.zeros((8, 3, 32, 32))).shape
    (8, 3, 16, 16)
    """

    rank = 2


class MaxPool3d(MaxPool):
    """As `MaxPool1d` for volumes: (N, C, D, H, W) → (N, C, O, O, O).

    >>> import limpid
    >>> limpid.nn.MaxPool3d(2)(limpid.zeros((3, 8, 8, 8))).shape
    (3, 4, 4, 4)
    """

    rank = 3


class AvgPool1d(Windowed):
    """The mean of every window: (N, C, W) → (N, C, ⌊(W + 2P − K)/S⌋ + 1).

    stride             by default the kernel size
    ceil_mode          ⌈…⌉ instead of ⌊…⌋, but no window that begins after the input
    count_include_pad  padding counts as elements that are 0

    >>> import limpid
    >>> limpid.nn.AvgPool1d(2)(limpid.tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[2., 1.]])
    """

    @name_errors
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        self.kernel_size = per_axis(kernel_size, 1, "kernel_size")
        steps = kernel_size if stride is None else stride
        self.stride = per_axis(steps, 1, "stride")
        self.padding = per_axis(padding, 1, "padding", least=0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Any:
        """The means."""
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad,
        )  # fmt: skip


class AvgPool(Windowed):
    """Base of `AvgPool2d` and `AvgPool3d`."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        """The means."""
        pool = (F.avg_pool2d, F.avg_pool3d)[self.rank - 2]
        return pool(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override,
        )  # fmt: skip


class AvgPool2d(AvgPool):
    """As `AvgPool1d` for images.

    divisor_override  divide the sums by this number

    >>> import limpid
    >>> limpid.nn.AvgPool2d(2)(limpid.zeros((8, 3, 32, 32))).shape
    (8, 3, 16, 16)
    """

    rank = 2


class AvgPool3d(AvgPool):
    """As `AvgPool2d` for volumes.

    >>> import limpid
    >>> limpid.nn.AvgPool3d((1, 2, 2))(limpid.zeros((3, 8, 8, 8))).shape
    (3, 8, 4, 4)
    """

    rank = 3


class LPPool(Windowed):
    """Base of `LPPool1d`, `LPPool2d` and `LPPool3d`."""

    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ):
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """(Σ xᵖ)^(1/p)."""
        pool = (F.lp_pool1d, F.lp_pool2d, F.lp_pool3d)[self.rank - 1]
        return pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool1d(LPPool):
    """(Σ xᵖ)^(1/p) over every window: (N, C, W) → (N, C, ⌊(W − K)/S⌋ + 1).

    norm_type  p; max |x| for ∞

    Powers keep the sign, so odd p want positive x. Where the sum is 0 the gradient is 0.

    >>> import limpid
    >>> limpid.nn.LPPool1d(2, 2)(limpid.tensor([[3.0, 4.0, 0.0, 0.0]]))
    tensor([[5., 0.]])
    """

    rank = 1


class LPPool2d(LPPool):
    """As `LPPool1d` for images.

    >>> import limpid
    >>> limpid.nn.LPPool2d(2, 4)(limpid.ones((1, 4, 4)))
    tensor([[[4.]]])
    """

    rank = 2


class LPPool3d(LPPool):
    """As `LPPool1d` for volumes.

    >>> import limpid
    >>> limpid.nn.LPPool3d(2, 2)
    LPPool3d(norm_type=2, kernel_size=2, stride=None, ceil_mode=False)
    """

    rank = 3
