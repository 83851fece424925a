"""Fractional max pooling layers, with PyTorch's names and arguments."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError
from limpid.nn import functional as F
from limpid.nn.functional.fractional_pooling import ratios
from limpid.nn.module import Module
from limpid.ops.windows.geometry import per_axis


class FractionalMaxPool(Module):
    """Base of `FractionalMaxPool2d` and `FractionalMaxPool3d`."""

    rank: int

    @name_errors
    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
    ):
        rank = self.rank
        if (output_size is None) == (output_ratio is None):
            raise ArgumentError("give either output_size or output_ratio")
        self.kernel_size = per_axis(kernel_size, rank, "kernel_size")
        self.output_size = (
            None if output_size is None else per_axis(output_size, rank, "output_size")
        )
        self.output_ratio = None if output_ratio is None else ratios(output_ratio, rank)
        self.return_indices = return_indices
        self._random_samples = _random_samples

    def forward(self, input: Any) -> Any:
        """The largest elements of windows at random places, and their positions if asked for."""
        pool = (F.fractional_max_pool2d, F.fractional_max_pool3d)[self.rank - 2]
        return pool(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            self._random_samples,
        )  # fmt: skip


class FractionalMaxPool2d(FractionalMaxPool):
    """The largest elements of windows at random places: (N, C, H, W) → (N, C, O, O).

    output_size, output_ratio  one of them: sizes, or their ratios to those of the input

    Source: Graham 2014, Fractional Max-Pooling.

    >>> import limpid
    >>> limpid.nn.FractionalMaxPool2d(2, output_ratio=0.7)(limpid.zeros((1, 3, 9, 9))).shape
    (1, 3, 6, 6)
    """

    rank = 2


class FractionalMaxPool3d(FractionalMaxPool):
    """As `FractionalMaxPool2d` for volumes.

    >>> import limpid
    >>> limpid.nn.FractionalMaxPool3d(2, output_size=5)(limpid.zeros((3, 9, 9, 9))).shape
    (3, 5, 5, 5)
    """

    rank = 3
