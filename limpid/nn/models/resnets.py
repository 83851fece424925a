"""Residual networks for small images."""

from __future__ import annotations

from typing import Any

from limpid.nn import init
from limpid.nn.containers import Sequential
from limpid.nn.layers.adaptive_pooling import AdaptiveAvgPool2d
from limpid.nn.layers.convolution import Conv2d
from limpid.nn.layers.linear import Linear
from limpid.nn.layers.normalization import BatchNorm2d
from limpid.nn.module import Module
from limpid.ops.pad import pad
from limpid.ops.rectifier import relu


class BasicBlock(Module):
    """Two 3×3 convolutions, to whose result the input is added.

    Where the stride or the filters change, the input is subsampled and gets channels of zeros:
    a shortcut without parameters (option A).
    """

    def __init__(self, channels: int, filters: int, stride: int = 1, dtype: Any = None):
        self.stride = stride
        self.missing = filters - channels
        self.conv1 = _convolution(channels, filters, stride, dtype)
        self.bn1 = BatchNorm2d(filters, dtype=dtype)
        self.conv2 = _convolution(filters, filters, 1, dtype)
        self.bn2 = BatchNorm2d(filters, dtype=dtype)

    def forward(self, input: Any) -> Any:
        """relu(input + convolved input)."""
        x = relu(self.bn1(self.conv1(input)))
        return relu(self.bn2(self.conv2(x)) + self._shortcut(input))

    def _shortcut(self, x: Any) -> Any:
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.missing:
            before = self.missing // 2
            x = pad(x, ((0, 0), (before, self.missing - before), (0, 0), (0, 0)))
        return x


def _convolution(channels: int, filters: int, stride: int, dtype: Any) -> Conv2d:
    """3×3 without a bias, which batch normalisation would take away."""
    return Conv2d(channels, filters, 3, stride, padding=1, bias=False, dtype=dtype)


class ResNet(Module):
    """Three stages of residual blocks with 16, 32 and 64 filters; 6 · blocks + 2 layers deep.

    blocks  in each stage
    """

    def __init__(self, blocks: int, num_classes: int = 10, dtype: Any = None):
        self.conv1 = _convolution(3, 16, 1, dtype)
        self.bn1 = BatchNorm2d(16, dtype=dtype)
        self.layer1 = _stage(blocks, 16, 16, 1, dtype)
        self.layer2 = _stage(blocks, 16, 32, 2, dtype)
        self.layer3 = _stage(blocks, 32, 64, 2, dtype)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(64, num_classes, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Convolutions after He et al. 2015, Delving Deep into Rectifiers."""
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, input: Any) -> Any:
        """(N, 3, H, W) → scores (N, classes); made for 32×32 pixels."""
        x = relu(self.bn1(self.conv1(input)))
        x = self.avgpool(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.reshape(x.shape[0], -1))


def _stage(blocks: int, channels: int, filters: int, stride: int, dtype: Any) -> Sequential:
    first = BasicBlock(channels, filters, stride, dtype)
    others = [BasicBlock(filters, filters, dtype=dtype) for _ in range(blocks - 1)]
    return Sequential(first, *others)


def resnet20(num_classes: int = 10, dtype: Any = None) -> ResNet:
    """The residual network with 20 layers for CIFAR, (N, 3, 32, 32): 269,722 parameters.

    Source: He, Zhang, Ren and Sun 2016, Deep Residual Learning for Image Recognition (4.2).

    >>> import limpid
    >>> model = limpid.nn.models.resnet20()
    >>> model(limpid.zeros((1, 3, 32, 32))).shape, sum(p.size for p in model.parameters())
    ((1, 10), 269722)
    """
    return ResNet(3, num_classes, dtype)
