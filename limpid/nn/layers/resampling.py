"""Upsampling, and shuffling of pixels and channels, as layers with PyTorch's names."""

from __future__ import annotations

from typing import Any

from limpid.nn import functional as F
from limpid.nn.module import Module


class Upsample(Module):
    """Images (N, C, …) of other spatial extents, given as a size or as a ratio.

    mode  "nearest", "linear", "bilinear", "bicubic", "trilinear", and what else
          `functional.interpolate` takes

    >>> import limpid
    >>> limpid.nn.Upsample(scale_factor=2)(limpid.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ):
        self.size = size
        if isinstance(scale_factor, tuple | list):
            self.scale_factor: Any = tuple(_number(factor) for factor in scale_factor)
        else:
            self.scale_factor = _number(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Any) -> Any:
        """The input with other spatial extents."""
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        """Size or ratio, and mode."""
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor!r}, mode={self.mode!r}"
        return f"size={self.size!r}, mode={self.mode!r}"


def _number(factor: Any) -> Any:
    """Integers as floats, as PyTorch shows them; what is no number is refused when it is used."""
    return float(factor) if isinstance(factor, int) else factor


class UpsamplingNearest2d(Upsample):
    """Images (N, C, H, W) of another size, each pixel that of the nearest one.

    >>> import limpid
    >>> limpid.nn.UpsamplingNearest2d(size=(4, 6))(limpid.zeros((1, 1, 2, 3))).shape
    (1, 1, 4, 6)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Images (N, C, H, W) of another size, linear between pixels; the corners stay where they are.

    >>> import limpid
    >>> limpid.nn.UpsamplingBilinear2d(size=(1, 3))(limpid.tensor([[[[1.0, 3.0]]]]))
    tensor([[[[1., 2., 3.]]]])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """Channels become pixels: (…, C·r², H, W) → (…, C, H·r, W·r).

    >>> import limpid
    >>> limpid.nn.PixelShuffle(2)(limpid.zeros((1, 8, 2, 3))).shape
    (1, 2, 4, 6)
    """

    def __init__(self, upscale_factor: int):
        self.upscale_factor = upscale_factor

    def forward(self, input: Any) -> Any:
        """The larger images."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels become channels: (…, C, H·r, W·r) → (…, C·r², H, W).

    >>> import limpid
    >>> limpid.nn.PixelUnshuffle(2)(limpid.zeros((1, 2, 4, 6))).shape
    (1, 8, 2, 3)
    """

    def __init__(self, downscale_factor: int):
        self.downscale_factor = downscale_factor

    def forward(self, input: Any) -> Any:
        """The smaller images."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels of groups interleaved: (N, C, …), channel k·(C/g) + i goes to i·g + k.

    >>> import limpid
    >>> limpid.nn.ChannelShuffle(2)(limpid.zeros((1, 8, 2, 3))).shape
    (1, 8, 2, 3)
    """

    def __init__(self, groups: int):
        self.groups = groups

    def forward(self, input: Any) -> Any:
        """The channels in another order."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """How many groups."""
        return f"groups={self.groups}"
