"""What is measured: the numbers that every contender starts from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]
Neuron = tuple[list[np.ndarray], np.ndarray]  # weights and a bias, all of them 0-d


@dataclass(frozen=True)
class Network:
    """A fully connected network with softmax cross-entropy, trained by plain SGD.

    activation  between layers: "relu" or "tanh"
    """

    kind: ClassVar[str] = "network"
    sizes: tuple[int, ...]
    batch: int
    rate: float = 0.1
    activation: str = "relu"

    def parameters(self) -> list[Pair]:
        """(weight (out, in), bias (out,)) of each layer."""
        rng = np.random.default_rng(0)
        gain = 2 if self.activation == "relu" else 1  # more makes a deep tanh network chaotic
        return [
            (
                (rng.normal(size=(out, into)) * np.sqrt(gain / into)).astype(np.float32),
                np.zeros(out, np.float32),
            )
            for into, out in pairwise(self.sizes)
        ]

    def data(self) -> Pair:
        """A batch of inputs and their labels."""
        rng = np.random.default_rng(1)
        x = rng.normal(size=(self.batch, self.sizes[0])).astype(np.float32)
        return x, rng.integers(0, self.sizes[-1], self.batch)


@dataclass(frozen=True)
class Chain:
    """y ← sin(tanh(y) · w + x), over and over: small elementwise operations, then backward."""

    kind: ClassVar[str] = "chain"
    operations: int = 1000
    width: int = 16

    def data(self) -> Pair:
        """x and w."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=self.width).astype(np.float32)
        return x, (0.9 + 0.05 * rng.normal(size=self.width)).astype(np.float32)


@dataclass(frozen=True)
class Convolutional:
    """A network of windows, given layer by layer, trained by plain SGD.

    Layers: ("conv", in, out, kernel, padding, dilation), ("relu",), ("pool", size), ("flatten",),
    ("linear", in, out), ("largest",) over time. Kernels are square.
    """

    kind: ClassVar[str] = "windows"
    shape: tuple[int, ...]  # of one sample
    layers: tuple[tuple[str | int, ...], ...]
    batch: int = 64
    rate: float = 0.01

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.shape) - 1

    def parameters(self) -> list[Pair]:
        """(weight, bias) of each layer that has them, with PyTorch's shapes."""
        rng = np.random.default_rng(0)
        found = []
        for kind, *sizes in self.layers:
            if kind in ("conv", "linear"):
                into, out, *rest = (int(n) for n in sizes)
                kernel = (rest[0],) * self.rank if kind == "conv" else ()
                scale = np.sqrt(2 / (into * np.prod(kernel)))
                weight = (rng.normal(size=(out, into, *kernel)) * scale).astype(np.float32)
                found.append((weight, np.zeros(out, np.float32)))
        return found

    def data(self) -> Pair:
        """A batch of inputs and their labels."""
        rng = np.random.default_rng(1)
        x = rng.normal(size=(self.batch, *self.shape)).astype(np.float32)
        return x, rng.integers(0, int(self.layers[-1][-1]), self.batch)


@dataclass(frozen=True)
class Logistic:
    """Logistic regression with sigmoid cross-entropy by steps over all of the data."""

    kind: ClassVar[str] = "logistic"
    rows: int
    features: int
    rate: float = 1.0

    def parameters(self) -> Pair:
        """Weight (features,) and bias ()."""
        rng = np.random.default_rng(0)
        return rng.normal(size=self.features).astype(np.float32), np.zeros((), np.float32)

    def data(self) -> Pair:
        """x (rows, features) and the classes, 0 or 1 (rows,)."""
        rng = np.random.default_rng(1)
        x = rng.normal(size=(self.rows, self.features)).astype(np.float32)
        along = x @ rng.normal(size=self.features).astype(np.float32)
        return x, (along + rng.normal(size=self.rows) > 0).astype(np.float32)


@dataclass(frozen=True)
class Scalars:
    """A tanh network of single numbers, as in teaching engines, that learns exclusive or.

    Every weight, bias and input is a number (0-d) of its own; one step goes through all four
    samples, one after the other. The loss is the mean squared error.
    """

    kind: ClassVar[str] = "scalars"
    sizes: tuple[int, ...] = (2, 16, 16, 1)
    rate: float = 0.1

    def parameters(self) -> list[list[Neuron]]:
        """Neurons, layer by layer."""
        rng = np.random.default_rng(0)
        return [[(self._weights(rng, n), np.zeros((), np.float32)) for _ in range(out)]
                for n, out in pairwise(self.sizes)]  # fmt: skip

    def samples(self) -> list[tuple[list[np.ndarray], np.ndarray]]:
        """(inputs, target) of each sample."""
        zero, one = np.zeros((), np.float32), np.ones((), np.float32)
        return [
            ([zero, zero], zero), ([zero, one], one), ([one, zero], one), ([one, one], zero),
        ]  # fmt: skip

    @staticmethod
    def _weights(rng: np.random.Generator, into: int) -> list[np.ndarray]:
        return [np.asarray(n / np.sqrt(into), np.float32) for n in rng.normal(size=into)]


LENET = Convolutional(
    (1, 28, 28),
    (
        ("conv", 1, 6, 5, 2, 1), ("relu",), ("pool", 2),
        ("conv", 6, 16, 5, 0, 1), ("relu",), ("pool", 2),
        ("flatten",), ("linear", 400, 120), ("relu",), ("linear", 120, 84), ("relu",),
        ("linear", 84, 10),
    ),
)  # fmt: skip
FOUR = Convolutional(
    (3, 32, 32),
    (
        ("conv", 3, 32, 3, 1, 1), ("relu",), ("conv", 32, 32, 3, 1, 1), ("relu",), ("pool", 2),
        ("conv", 32, 64, 3, 1, 1), ("relu",), ("conv", 64, 64, 3, 1, 1), ("relu",), ("pool", 2),
        ("flatten",), ("linear", 4096, 128), ("relu",), ("linear", 128, 10),
    ),
)  # fmt: skip
DELAYS = Convolutional(
    (40, 300),
    (
        ("conv", 40, 64, 5, 0, 1), ("relu",), ("conv", 64, 64, 3, 0, 2), ("relu",),
        ("conv", 64, 64, 3, 0, 4), ("relu",), ("conv", 64, 64, 1, 0, 1), ("relu",),
        ("largest",), ("linear", 64, 10),
    ),
    batch=16,
)  # fmt: skip

Workload = Network | Chain | Convolutional | Logistic | Scalars
WORKLOADS: dict[str, Workload] = {
    "mlp32": Network((784, 32, 32, 10), 32),
    "mlp512": Network((784, 512, 512, 10), 128),
    "lenet5": LENET,
    "conv4": FOUR,
    "time-delay": DELAYS,
    "deep300": Network((16,) * 301, 16, activation="tanh"),
    "logistic": Logistic(1_000_000, 30),
    "scalars": Scalars(),
    "chain1000": Chain(),
}
DESCRIPTIONS = {
    "mlp32": "fully connected 784-32-32-10, ReLU, batch 32",
    "mlp512": "fully connected 784-512-512-10, ReLU, batch 128",
    "lenet5": "LeNet-5 on 1×28×28, batch 64",
    "conv4": "3×3 convolutions 32-32-pool-64-64-pool, linear 128 and 10, on 3×32×32, batch 64",
    "time-delay": "convolutions over time, 64 channels (widths 5, 3, 3, 1; dilations 1, 2, 4, 1), "
    "the largest over time, linear 10, on 40×300, batch 16",
    "deep300": "300 fully connected layers, 16 wide, tanh, batch 16",
    "logistic": "logistic regression over 1,000,000 × 30 numbers, full batch",
    "scalars": "2-16-16-1 tanh network of 337 single numbers, the four samples of exclusive or",
    "chain1000": "1,000 elementwise operations on 16 numbers, forward and backward",
}


def multiply_adds(work: Workload) -> int | None:
    """Of one step's contractions, forward and backward; None where they are not the work.

    Each layer has three: forward, gradient of the weight, and, but for the first, of the input.
    Windows count whole, also where they reach into the padding.
    """
    if isinstance(work, Network | Convolutional):
        first, *others = _layers(work)
        return work.batch * (2 * first + 3 * sum(others))
    return None


def _layers(work: Network | Convolutional) -> Iterator[int]:
    """Multiply-adds of each layer's forward for one sample."""
    if isinstance(work, Network):
        yield from (into * out for into, out in pairwise(work.sizes))
        return
    size = list(work.shape[1:])
    for kind, *numbers in work.layers:
        into, out, *rest = (*map(int, numbers), 0, 0)
        if kind == "conv":
            kernel, padding, dilation = rest[:3]
            size = [n + 2 * padding - dilation * (kernel - 1) for n in size]
            yield into * out * kernel**work.rank * int(np.prod(size))
        elif kind == "pool":
            size = [n // into for n in size]
        elif kind == "linear":
            yield into * out
