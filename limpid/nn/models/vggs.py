"""VGG: deep networks of 3×3 convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from limpid.nn import init
from limpid.nn.containers import Sequential
from limpid.nn.layers.activations import ReLU
from limpid.nn.layers.adaptive_pooling import AdaptiveAvgPool2d
from limpid.nn.layers.convolution import Conv2d
from limpid.nn.layers.dropout import Dropout
from limpid.nn.layers.linear import Linear
from limpid.nn.layers.pooling import MaxPool2d
from limpid.nn.module import Module

# Filters of the convolutions, stage by stage: columns A and D of table 1
VGG11 = ((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG(Module):
    """Stages of 3×3 convolutions, each ended by max-pooling, and three linear layers.

    stages  the numbers of filters of the convolutions of each stage

    Names and shapes of the state dict are those of torchvision.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[int]],
        num_classes: int = 1000,
        dropout: float = 0.5,
        dtype: Any = None,
    ):
        layers: list[Module] = []
        channels = 3
        for stage in stages:
            for filters in stage:
                layers += [Conv2d(channels, filters, 3, padding=1, dtype=dtype), ReLU()]
                channels = filters
            layers.append(MaxPool2d(2))
        self.features = Sequential(*layers)
        self.avgpool = AdaptiveAvgPool2d((7, 7))
        self.classifier = Sequential(
            Linear(channels * 7 * 7, 4096, dtype=dtype),
            ReLU(),
            Dropout(dropout),
            Linear(4096, 4096, dtype=dtype),
            ReLU(),
            Dropout(dropout),
            Linear(4096, num_classes, dtype=dtype),
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Convolutions after He et al. 2015, linear layers normal with deviation 0.01; biases 0."""
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Linear):
                init.normal_(module.weight, 0.0, 0.01)
            if isinstance(module, Conv2d | Linear) and module.bias is not None:
                init.zeros_(module.bias)

    def forward(self, input: Any) -> Any:
        """(N, 3, H, W) of 32 pixels or more → scores (N, classes); made for 224."""
        x = self.avgpool(self.features(input))
        return self.classifier(x.reshape(x.shape[0], -1))


def vgg11(num_classes: int = 1000, dropout: float = 0.5, dtype: Any = None) -> VGG:
    """VGG with 11 layers (A): 132,863,336 parameters. State dicts of torchvision fit.

    Source: Simonyan and Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image
    Recognition.
    """
    return VGG(VGG11, num_classes, dropout, dtype)


def vgg16(num_classes: int = 1000, dropout: float = 0.5, dtype: Any = None) -> VGG:
    """VGG with 16 layers (D): 138,357,544 parameters; source as `vgg11`."""
    return VGG(VGG16, num_classes, dropout, dtype)
