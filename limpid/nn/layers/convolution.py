"""Convolutional layers, with PyTorch's names, arguments and weight shapes."""

from __future__ import annotations

from math import prod
from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.nn import functional as F
from limpid.nn import init
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.ops.create import zeros
from limpid.ops.windows.geometry import (
    Extents,
    Padding,
    check_axes,
    check_divides,
    paddings,
    per_axis,
    span,
)
from limpid.tensor import Parameter, operand

MODES = ("zeros", "reflect", "replicate", "circular")


class Convolution(Module):
    """Base of convolutional layers: sizes, parameters and how they are shown."""

    rank: int  # the number of spatial axes
    transposed = False

    @name_errors
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: Any = None,
    ):
        self.in_channels = integer(in_channels, "in_channels")
        self.out_channels = integer(out_channels, "out_channels")
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size")
        self.stride = per_axis(stride, self.rank, "stride")
        self.dilation = per_axis(dilation, self.rank, "dilation")
        named = isinstance(padding, str)
        self.padding: Any = padding if named else per_axis(padding, self.rank, "padding", least=0)
        paddings(self.padding, self.rank, self.kernel_size, self.stride, self.dilation)  # raises
        if padding_mode not in MODES:
            raise ArgumentError(f"padding_mode is one of {MODES}, not {padding_mode!r}")
        self.groups = integer(groups, "groups", 1)
        check_divides(groups, in_channels=in_channels, out_channels=out_channels)
        self.padding_mode = padding_mode
        ends = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(zeros((ends[0], ends[1] // groups, *self.kernel_size), dtype))
        self.bias = Parameter(zeros((out_channels,), dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform in ±1/√(in/groups · kernel area)."""
        init.fan_in_uniform_(prod(self.weight.shape[1:]), self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes, and what differs from the defaults."""
        ones, nothing = (1,) * self.rank, (0,) * self.rank
        output_padding = getattr(self, "output_padding", nothing)
        shown = {
            "padding": self.padding if self.padding != nothing else None,
            "dilation": self.dilation if self.dilation != ones else None,
            "output_padding": output_padding if output_padding != nothing else None,
            "groups": self.groups if self.groups != 1 else None,
            "bias": False if self.bias is None else None,
            "padding_mode": self.padding_mode if self.padding_mode != "zeros" else None,
        }
        start = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        return start + "".join(f", {n}={v}" for n, v in shown.items() if v is not None)


class Conv(Convolution):
    """Base of `Conv1d`, `Conv2d` and `Conv3d`."""

    def forward(self, input: Any) -> Any:
        """The input convolved with the weight, plus the bias."""
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.rank - 1]
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = self._padded(input), 0
        return convolve(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _padded(self, input: Any) -> Any:
        """The input with borders that repeat it."""
        sides: Padding = paddings(
            self.padding, self.rank, self.kernel_size, self.stride, self.dilation
        )
        x = operand(input)
        check_axes(x.shape, self.rank)
        return F.pad(x, [n for side in reversed(sides) for n in side], self.padding_mode)


class Conv1d(Conv):
    """y[n, c, o] = Σ_{i,k} x[n, i, o·S + k·D − P] · weight[c, i, k] + bias[c].

    (N, in, W) or (in, W) → (N, out, O) with O = ⌊(W + 2P − D(K − 1) − 1)/S⌋ + 1; weight (out,
    in/groups, K) and bias (out) start uniform in ±1/√(in/groups · K).

    padding       a number, "same" or "valid"
    padding_mode  "zeros", "reflect", "replicate" or "circular"

    >>> import limpid
    >>> layer = limpid.nn.Conv1d(16, 33, 3, stride=2)
    >>> layer(limpid.zeros((20, 16, 50))).shape, layer
    ((20, 33, 24), Conv1d(16, 33, kernel_size=(3,), stride=(2,)))
    """

    rank = 1


class Conv2d(Conv):
    """As `Conv1d` for images: (N, in, H, W) or (in, H, W), weight (out, in/groups, K, K).

    Source: LeCun et al. 1989, Backpropagation Applied to Handwritten Zip Code Recognition.

    >>> import limpid
    >>> layer = limpid.nn.Conv2d(3, 10, 5, padding=2)
    >>> layer(limpid.zeros((1, 3, 32, 32))).shape, sum(p.size for p in layer.parameters())
    ((1, 10, 32, 32), 760)
    """

    rank = 2


class Conv3d(Conv):
    """As `Conv1d` for volumes: (N, in, D, H, W) or (in, D, H, W), weight (out, in/groups, K, K, K).

    >>> import limpid
    >>> limpid.nn.Conv3d(1, 2, (1, 3, 3))(limpid.zeros((1, 4, 8, 8))).shape
    (2, 4, 6, 6)
    """

    rank = 3


class ConvTranspose(Convolution):
    """Base of `ConvTranspose1d`, `ConvTranspose2d` and `ConvTranspose3d`."""

    transposed = True

    @name_errors
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        dtype: Any = None,
    ):
        if padding_mode != "zeros":
            raise ArgumentError(f"padding_mode can only be 'zeros', not {padding_mode!r}")
        if isinstance(padding, str):
            raise ArgumentError(f"padding is a number, not {padding!r}")
        self.output_padding = per_axis(output_padding, self.rank, "output_padding", least=0)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, dtype,
        )  # fmt: skip

    def forward(self, input: Any, output_size: Any = None) -> Any:
        """The adjoint of a convolution, plus the bias.

        output_size  the spatial extents of the result, where a stride leaves several
        """
        convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.rank - 1]
        extra = self.output_padding
        if output_size is not None:
            extra = self._missing(input.shape[-self.rank :], tuple(output_size)[-self.rank :])
        return convolve(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups,
            self.dilation,
        )  # fmt: skip

    def _missing(self, places: Extents, wanted: Extents) -> Extents:
        """The output padding that leads to the wanted extents."""
        sides = zip(places, self.kernel_size, self.stride, self.padding, self.dilation)
        least = tuple((o - 1) * s - 2 * p + span(k, d) for o, k, s, p, d in sides)
        extra = tuple(w - n for w, n in zip(wanted, least))
        if len(wanted) != self.rank or any(
            not 0 <= e < max(s, d) for e, s, d in zip(extra, self.stride, self.dilation)
        ):
            most = tuple(n + max(s, d) - 1 for n, s, d in zip(least, self.stride, self.dilation))
            raise ShapeError(
                f"output_size {wanted} is not from {least} to {most}, to "
                f"which an input of {places} leads"
            )
        return extra


class ConvTranspose1d(ConvTranspose):
    """The adjoint of `Conv1d` as a layer: (N, in, W) or (in, W) → (N, out, O).

    O = (W − 1)·S − 2P + D(K − 1) + output_padding + 1; weight (in, out/groups, K).

    >>> import limpid
    >>> limpid.nn.ConvTranspose1d(4, 2, 3, stride=2)(limpid.zeros((1, 4, 5))).shape
    (1, 2, 11)
    """

    rank = 1


class ConvTranspose2d(ConvTranspose):
    """As `ConvTranspose1d` for images: (N, in, H, W) or (in, H, W).

    >>> import limpid
    >>> layer = limpid.nn.ConvTranspose2d(4, 2, 2, stride=2)
    >>> layer(limpid.zeros((1, 4, 5, 5))).shape
    (1, 2, 10, 10)
    """

    rank = 2


class ConvTranspose3d(ConvTranspose):
    """As `ConvTranspose1d` for volumes: (N, in, D, H, W) or (in, D, H, W).

    >>> import limpid
    >>> limpid.nn.ConvTranspose3d(1, 1, 2)(limpid.zeros((1, 1, 2, 2, 2))).shape
    (1, 1, 3, 3, 3)
    """

    rank = 3


class RowConv1d(Conv1d):
    """Each channel convolved with a kernel of its own: (N, C, W) or (C, W) → (N, C, O).

    Source: Amodei et al. 2015, Deep Speech 2, where it looks a few steps into the future.

    >>> import limpid
    >>> limpid.nn.RowConv1d(4, 3)(limpid.zeros((1, 4, 9))).shape
    (1, 4, 7)
    """

    def __init__(
        self,
        channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        bias: bool = True,
        dtype: Any = None,
    ):
        super().__init__(
            channels, channels, kernel_size, stride, padding, 1, channels, bias, dtype=dtype
        )
