"""Windows as columns and back, as layers with PyTorch's names and arguments."""

from __future__ import annotations

from typing import Any

from limpid.nn import functional as F
from limpid.nn.layers.windows import Windowed


class Unfold(Windowed):
    """Every window as a column (im2col): (N, C, H, W) → (N, C·∏K, L), for L windows.

    >>> import limpid
    >>> limpid.nn.Unfold(3, padding=1)(limpid.zeros((8, 3, 5, 5))).shape
    (8, 27, 25)
    """

    shown = ("kernel_size", "dilation", "padding", "stride")

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Any) -> Any:
        """The windows as columns."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Windowed):
    """Columns added up where their windows lie (col2im): (N, C·∏K, L) → (N, C, H, W).

    >>> import limpid
    >>> limpid.nn.Fold((5, 5), 3, padding=1)(limpid.zeros((8, 27, 25))).shape
    (8, 3, 5, 5)
    """

    shown = ("output_size", "kernel_size", "dilation", "padding", "stride")

    def __init__(
        self,
        output_size: Any,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
    ):
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Any) -> Any:
        """The columns added up."""
        return F.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )
