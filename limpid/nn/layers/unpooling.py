"""Max unpooling layers, with PyTorch's names and arguments."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.nn import functional as F
from limpid.nn.layers.windows import Windowed
from limpid.ops.windows.geometry import per_axis


class MaxUnpool(Windowed):
    """Base of `MaxUnpool1d`, `MaxUnpool2d` and `MaxUnpool3d`."""

    @name_errors
    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0):
        rank = self.rank
        self.kernel_size = per_axis(kernel_size, rank, "kernel_size")
        steps = kernel_size if stride is None else stride
        self.stride = per_axis(steps, rank, "stride")
        self.padding = per_axis(padding, rank, "padding", least=0)

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        """The values where the indices say, zeros elsewhere."""
        unpool = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[self.rank - 1]
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(MaxUnpool):
    """Values at the positions where `MaxPool1d` found them: (N, C, O) → (N, C, (O − 1)·S − 2P + K).

    >>> import limpid
    >>> pool, unpool = limpid.nn.MaxPool1d(2, return_indices=True), limpid.nn.MaxUnpool1d(2)
    >>> unpool(*pool(limpid.tensor([[1.0, 3.0, 2.0, 0.0]])))
    tensor([[0., 3., 2., 0.]])
    """

    rank = 1


class MaxUnpool2d(MaxUnpool):
    """As `MaxUnpool1d` for images.

    >>> import limpid
    >>> limpid.nn.MaxUnpool2d(2)
    MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))
    """

    rank = 2


class MaxUnpool3d(MaxUnpool):
    """As `MaxUnpool1d` for volumes.

    >>> import limpid
    >>> limpid.nn.MaxUnpool3d(2, stride=1).stride
    (1, 1, 1)
    """

    rank = 3
