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


WORKLOADS = {
    "mlp32": Network((784, 32, 32, 10), 32),
    "mlp512": Network((784, 512, 512, 10), 128),
    "chain1000": Chain(),
}
