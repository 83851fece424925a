"""LeNet: the convolutional network that read bank cheques, as published and in today's parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from limpid.errors import ArgumentError
from limpid.nn.containers import Flatten, Sequential
from limpid.nn.layers.activations import ReLU
from limpid.nn.layers.classic_pooling import SubSampling2d
from limpid.nn.layers.convolution import Conv2d
from limpid.nn.layers.dropout import Dropout
from limpid.nn.layers.linear import Linear
from limpid.nn.layers.pooling import MaxPool2d
from limpid.nn.layers.unshared import MapConv2d
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.ops.elementary import tanh

# For each map of C3 the maps of S2 that it reads: table I of the paper
READ_BY_C3 = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip
CONNECTIONS = tuple((read, made) for made, maps in enumerate(READ_BY_C3) for read in maps)


class ScaledTanh(Module):
    """1.7159 · tanh(2x/3), which takes ±1 to ±1 and is steepest between them."""

    def forward(self, input: Any) -> Any:
        """1.7159 · tanh(2x/3)."""
        return 1.7159 * tanh(input * (2 / 3))


class LeNet5(Module):
    """LeNet-5 with the names of the paper; see `lenet5`."""

    def __init__(self, num_classes: int = 10, dtype: Any = None):
        self.c1 = Conv2d(1, 6, 5, dtype=dtype)
        self.s2 = SubSampling2d(6, 2, 2, dtype=dtype)
        self.c3 = MapConv2d(6, 16, CONNECTIONS, 5, dtype=dtype)
        self.s4 = SubSampling2d(16, 2, 2, dtype=dtype)
        self.c5 = Conv2d(16, 120, 5, dtype=dtype)
        self.f6 = Linear(120, 84, dtype=dtype)
        self.output = Linear(84, num_classes, dtype=dtype)
        self.squash = ScaledTanh()

    def forward(self, input: Any) -> Any:
        """(N, 1, 32, 32) → scores (N, classes)."""
        x = input
        for layer in (self.c1, self.s2, self.c3, self.s4, self.c5):
            x = self.squash(layer(x))
        x = x.reshape(x.shape[0], -1)  # (N, 120)
        return self.output(self.squash(self.f6(x)))


def lenet5(num_classes: int = 10, dtype: Any = None) -> LeNet5:
    """LeNet-5 of 1998 for images (N, 1, 32, 32): 60,000 parameters, and those of the last layer.

    Convolutions and learnt sub-sampling, each followed by 1.7159 · tanh(2x/3); the maps of C3 read
    those of S2 by the connection table of the paper. One thing is other: the paper compares the 84
    outputs of F6 with drawn bitmaps of the characters; here a linear layer takes their place.

    Source: LeCun, Bottou, Bengio and Haffner 1998, Gradient-Based Learning Applied to Document
    Recognition.

    >>> import limpid
    >>> model = limpid.nn.models.lenet5()
    >>> model(limpid.zeros((2, 1, 32, 32))).shape, sum(p.size for p in model.parameters())
    ((2, 10), 60850)
    """
    return LeNet5(num_classes, dtype)


class LeNet(Module):
    """LeNet in today's parts; see `lenet`."""

    def __init__(
        self,
        image: Sequence[int] = (1, 28, 28),
        num_classes: int = 10,
        hidden: Sequence[int] = (128,),
        dropout: float = 0.5,
        activation: Callable[[], Module] = ReLU,
        dtype: Any = None,
    ):
        channels, height, width = _checked(image)
        self.features = Sequential(
            Conv2d(channels, 32, 5, padding=2, dtype=dtype),
            activation(),
            MaxPool2d(2),
            Conv2d(32, 64, 3, padding=1, dtype=dtype),
            activation(),
            MaxPool2d(2),
        )
        self.classifier = Sequential(Flatten())
        before = 64 * (height // 4) * (width // 4)
        for units in hidden:
            self.classifier.append(Linear(before, units, dtype=dtype))
            self.classifier.append(activation())
            self.classifier.append(Dropout(dropout))
            before = units
        self.classifier.append(Linear(before, num_classes, dtype=dtype))

    def forward(self, input: Any) -> Any:
        """(N, C, H, W) → scores (N, classes)."""
        return self.classifier(self.features(input))


def _checked(image: Sequence[int]) -> tuple[int, int, int]:
    """Channels, height and width of an image that can be halved twice."""
    given = tuple(integer(n, "lenet: an extent of the image") for n in image)
    if len(given) != 3 or min(given[1:]) < 4:
        raise ArgumentError(f"lenet: an image is (C, H, W) of at least 4×4 pixels, not {given}")
    return given


def lenet(
    image: Sequence[int] = (1, 28, 28),
    num_classes: int = 10,
    hidden: Sequence[int] = (128,),
    dropout: float = 0.5,
    activation: Callable[[], Module] = ReLU,
    dtype: Any = None,
) -> LeNet:
    """A small LeNet in today's parts for images of any size: ReLU, max-pooling, dropout.

    image    (C, H, W) of the input, without the batch
    hidden   the widths of the linear layers before the last one
    dropout  the probability with which a hidden unit is left out in training

    `limpid train digits --model lenet` trains it. Source: after LeCun et al. 1998, see `lenet5`.

    >>> import limpid
    >>> model = limpid.nn.models.lenet((1, 8, 8))
    >>> model(limpid.zeros((2, 1, 8, 8))).shape, sum(p.size for p in model.parameters())
    ((2, 10), 53514)
    """
    return LeNet(image, num_classes, hidden, dropout, activation, dtype)
