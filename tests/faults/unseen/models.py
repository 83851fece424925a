"""Small models of the other healthy runs."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn


class ScanRNN(nn.Module):
    """A recurrence, and an output of its last state."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        self.cell = nn.Linear(inputs + width, width)
        self.out = nn.Linear(width, outputs)
        self.width = width

    def forward(self, x: Any) -> Any:
        """X is (time, batch, inputs)."""

        def body(h: Any, now: Any) -> Any:
            h = limpid.tanh(self.cell(limpid.concat([now, h], axis=1)))
            return h, None

        start = np.zeros((x.shape[1], self.width), np.float32)
        last, _ = limpid.scan(body, start, x)
        return self.out(last)


class CausalAttention(nn.Module):
    """One head that looks back only."""

    def __init__(self, width: int) -> None:
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.scale = width**-0.5

    def forward(self, x: Any) -> Any:
        time = x.shape[1]
        scores = self.query(x) @ limpid.matrix_transpose(self.key(x)) * self.scale
        scores = limpid.where(np.tril(np.ones((time, time), bool)), scores, -np.inf)
        return limpid.softmax(scores, axis=-1) @ self.value(x)


class Block(nn.Module):
    """A block of a transformer."""

    def __init__(self, width: int) -> None:
        self.attention = CausalAttention(width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Any) -> Any:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Maxout(nn.Module):
    """The largest of three linear functions, for each unit."""

    def __init__(self, inputs: int, width: int) -> None:
        self.pieces = nn.Linear(inputs, 3 * width)
        self.width = width

    def forward(self, x: Any) -> Any:
        return limpid.max(self.pieces(x).reshape(x.shape[0], self.width, 3), axis=2)
