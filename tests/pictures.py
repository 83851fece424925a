"""Graphs to draw: what the tests of drawings have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn
from limpid.nn import functional as F


def gate() -> Any:
    x, y, z = (limpid.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    f = (x + y) * z
    return f


def images(*shape: int) -> Any:
    return limpid.tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def labels(count: int, classes: int) -> Any:
    return limpid.tensor(np.random.default_rng(1).integers(0, classes, count))


class TwoLayers(nn.Module):
    def __init__(self, name: str = "fc1"):
        setattr(self, name, nn.Linear(20, 16))
        self.first = name
        self.fc2 = nn.Linear(16, 3)

    def forward(self, x: Any) -> Any:
        hidden = limpid.relu(getattr(self, self.first)(x))
        return self.fc2(hidden)


def two_layers(name: str = "fc1") -> Any:
    limpid.manual_seed(0)
    return F.cross_entropy(TwoLayers(name)(images(32, 20)), labels(32, 3))


def lenet() -> Any:
    limpid.manual_seed(0)
    return F.cross_entropy(nn.models.lenet((1, 28, 28))(images(4, 1, 28, 28)), labels(4, 10))


class Block(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int):
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = None
        if stride > 1 or channels != filters:
            convolution = nn.Conv2d(channels, filters, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(filters))

    def forward(self, x: Any) -> Any:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = limpid.relu(self.bn1(self.conv1(x)))
        return limpid.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18(nn.Module):
    """As in He et al. 2015, Deep Residual Learning for Image Recognition; `width` is 64 there."""

    def __init__(self, width: int = 64):
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        for k in range(4):
            filters = width * 2**k
            first = Block(width if k == 0 else filters // 2, filters, 1 if k == 0 else 2)
            setattr(self, f"layer{k + 1}", nn.Sequential(first, Block(filters, filters, 1)))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(width * 8, 10)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(limpid.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.avgpool(x)
        return self.fc(x.reshape(x.shape[0], -1))


def resnet18(width: int = 8) -> Any:
    limpid.manual_seed(0)
    return F.cross_entropy(ResNet18(width)(images(2, 3, 64, 64)), labels(2, 10))


class Tagger(nn.Module):
    def __init__(self) -> None:
        self.lstm = nn.LSTM(4, 6)
        self.out = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        return self.out(self.lstm(x)[0])


def lstm(length: int = 12) -> Any:
    limpid.manual_seed(0)
    scores = Tagger()(images(length, 2, 4)).reshape(-1, 3)
    return F.cross_entropy(scores, labels(2 * length, 3))


def recorded_lstm(length: int = 12) -> Any:
    limpid.manual_seed(0)
    tagger = Tagger()
    return limpid.record(lambda x: limpid.sum(tagger(x) ** 2), np.zeros((length, 2, 4), "f"))


def fan_out() -> Any:
    x = limpid.tensor(np.linspace(-1, 1, 3), requires_grad=True)
    a = limpid.exp(x)
    b = limpid.relu(x)
    c = x * x
    return limpid.sum(a + b + c * x)


class Transformerish(nn.Module):
    def __init__(self) -> None:
        self.blocks = [
            nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)) for _ in range(12)
        ]

    def forward(self, x: Any) -> Any:
        for block in self.blocks:
            x = x + block(x)
        return x


def twelve_blocks() -> Any:
    limpid.manual_seed(0)
    return limpid.sum(Transformerish()(images(4, 8)) ** 2)


def tangled(count: int, seed: int = 0) -> Any:
    """A graph of at least so many nodes and few more, in which nothing repeats."""
    rng = np.random.default_rng(seed)
    operations = (limpid.add, limpid.multiply, limpid.maximum, limpid.subtract)
    x = limpid.tensor(rng.normal(size=4), requires_grad=True)
    values, unused = [x, limpid.tanh(x)], [1]
    made = 2
    while made + len(unused) < count:
        i, j = (len(values) - 1 - rng.integers(0, min(30, len(values)), 2)).tolist()
        i = unused[0] if rng.random() < 0.6 else i
        unused = [k for k in unused if k not in (i, j)] + [len(values)]
        values.append(limpid.tanh(operations[rng.integers(0, 4)](values[i], values[j])))
        made += 2
    total = values[unused[0]]
    for k in unused[1:]:
        total = total + values[k]
    return limpid.sum(total)


PICTURES = {
    "gate": gate,
    "two_layers": two_layers,
    "lenet": lenet,
    "resnet18": resnet18,
    "lstm": lstm,
    "recorded_lstm": recorded_lstm,
    "fan_out": fan_out,
    "twelve_blocks": twelve_blocks,
    "script": lambda: two_layers("<script>alert(1)</script>"),
}
