"""What is measured: the numbers that every contender starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Network:
    """A fully connected ReLU network with softmax cross-entropy, trained by plain SGD."""

    sizes: tuple[int, ...]
    batch: int
    rate: float = 0.1

    def parameters(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(weight (out, in), bias (out,)) of each layer."""
        rng = np.random.default_rng(0)
        pairs = zip(self.sizes, self.sizes[1:], strict=False)
        return [
            (
                (rng.normal(size=(out, into)) * np.sqrt(2 / into)).astype(np.float32),
                np.zeros(out, np.float32),
            )
            for into, out in pairs
        ]

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """A batch of inputs and their labels."""
        rng = np.random.default_rng(1)
        x = rng.normal(size=(self.batch, self.sizes[0])).astype(np.float32)
        return x, rng.integers(0, self.sizes[-1], self.batch)


@dataclass(frozen=True)
class Chain:
    """y ← sin(tanh(y) · w + x), over and over: small elementwise operations, then backward."""

    operations: int = 1000
    width: int = 16

    def data(self) -> tuple[np.ndarray, np.ndarray]:
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

    shape: tuple[int, ...]  # of one sample
    layers: tuple[tuple[str | int, ...], ...]
    batch: int = 64
    rate: float = 0.01

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.shape) - 1

    def parameters(self) -> list[tuple[np.ndarray, np.ndarray]]:
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

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """A batch of inputs and their labels."""
        rng = np.random.default_rng(1)
        x = rng.normal(size=(self.batch, *self.shape)).astype(np.float32)
        return x, rng.integers(0, int(self.layers[-1][-1]), self.batch)


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
    (40, 200),
    (
        ("conv", 40, 64, 5, 0, 1), ("relu",), ("conv", 64, 64, 3, 0, 2), ("relu",),
        ("conv", 64, 64, 3, 0, 4), ("relu",), ("conv", 64, 64, 1, 0, 1), ("relu",),
        ("largest",), ("linear", 64, 10),
    ),
)  # fmt: skip

WORKLOADS = {
    "mlp32": Network((784, 32, 32, 10), 32),
    "mlp512": Network((784, 512, 512, 10), 128),
    "chain1000": Chain(),
    "lenet5": LENET,
    "conv4": FOUR,
    "time-delay": DELAYS,
}
