"""AlexNet: the network that won ImageNet in 2012."""

from __future__ import annotations

from typing import Any

from limpid.errors import ShapeError
from limpid.nn import init
from limpid.nn.containers import Flatten, Sequential
from limpid.nn.layers.activations import ReLU
from limpid.nn.layers.convolution import Conv2d
from limpid.nn.layers.dropout import Dropout
from limpid.nn.layers.linear import Linear
from limpid.nn.layers.normalization import LocalResponseNorm
from limpid.nn.layers.pooling import MaxPool2d
from limpid.nn.module import Module
from limpid.ops.pad import pad

SIDES = (224, 227)  # pixels; an image of the first size gets a border that makes it the second


class AlexNet(Module):
    """AlexNet as published; see `alexnet`."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5, dtype: Any = None):
        self.features = Sequential(
            Conv2d(3, 96, 11, stride=4, dtype=dtype),
            ReLU(),
            _normalisation(),
            MaxPool2d(3, 2),
            Conv2d(96, 256, 5, padding=2, groups=2, dtype=dtype),
            ReLU(),
            _normalisation(),
            MaxPool2d(3, 2),
            Conv2d(256, 384, 3, padding=1, dtype=dtype),
            ReLU(),
            Conv2d(384, 384, 3, padding=1, groups=2, dtype=dtype),
            ReLU(),
            Conv2d(384, 256, 3, padding=1, groups=2, dtype=dtype),
            ReLU(),
            MaxPool2d(3, 2),
        )
        self.classifier = Sequential(
            Flatten(),
            Linear(256 * 6 * 6, 4096, dtype=dtype),
            ReLU(),
            Dropout(dropout),
            Linear(4096, 4096, dtype=dtype),
            ReLU(),
            Dropout(dropout),
            Linear(4096, num_classes, dtype=dtype),
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights normal with deviation 0.01; biases as in the paper, so that ReLUs begin open."""
        layers = [m for m in self.modules() if isinstance(m, Conv2d | Linear)]
        for layer in layers:
            init.normal_(layer.weight, 0.0, 0.01)
        for layer, bias in zip(layers, (0, 1, 0, 1, 1, 1, 1, 0), strict=True):
            if layer.bias is not None:
                init.constant_(layer.bias, bias)

    def forward(self, input: Any) -> Any:
        """(N, 3, 224, 224) or (N, 3, 227, 227) → scores (N, classes)."""
        small, large = SIDES
        if input.shape[2:] == (small, small):
            input = pad(input, ((0, 0), (0, 0), (2, 1), (2, 1)))
        elif input.shape[2:] != (large, large):
            raise ShapeError(f"images have {small} or {large} pixels a side, not {input.shape[2:]}")
        return self.classifier(self.features(input))


def _normalisation() -> LocalResponseNorm:
    """The paper's k = 2, n = 5, α = 1e-4, β = 0.75; PyTorch's alpha is n·α."""
    return LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def alexnet(num_classes: int = 1000, dropout: float = 0.5, dtype: Any = None) -> AlexNet:
    """AlexNet of 2012 for images of 224×224 or 227×227 pixels: 60,965,224 parameters.

    Five convolutions of 96, 256, 384, 384 and 256 filters, the second, fourth and fifth in two
    groups (once on two GPUs); ReLU; response normalisation after the first two; overlapping
    max-pooling; three linear layers with dropout. The paper's 224 pixels do not fit its first
    layer, (224 − 11)/4 + 1 = 54.25: an image of 224 gets a border of zeros, 2 before and 1 after,
    so that there are 55 windows as of 227 pixels.

    Source: Krizhevsky, Sutskever and Hinton 2012, ImageNet Classification with Deep Convolutional
    Neural Networks.
    """
    return AlexNet(num_classes, dropout, dtype)
