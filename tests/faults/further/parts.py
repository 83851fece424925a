"""Modules that several further healthy runs train."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn
from limpid.nn import functional as F


class Attention(nn.Module):
    """Self-attention with several heads, and a layer after it, each around a shortcut."""

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.heads, self.causal = heads, causal

    def forward(self, x: Any) -> Any:
        x = x + self.attend(self.norm1(x))
        return x + self.down(limpid.gelu(self.up(self.norm2(x))))

    def attend(self, x: Any) -> Any:
        n, t, width = x.shape
        parts = limpid.reshape(self.qkv(x), (n, t, 3, self.heads, width // self.heads))
        q, k, v = (limpid.permute_dims(parts[:, :, i], (0, 2, 1, 3)) for i in range(3))
        scores = q @ limpid.matrix_transpose(k) / (width // self.heads) ** 0.5
        if self.causal:
            scores = limpid.where(np.tri(t, dtype=bool), scores, -1e9)
        mixed = limpid.softmax(scores, axis=-1) @ v
        return self.out(limpid.reshape(limpid.permute_dims(mixed, (0, 2, 1, 3)), (n, t, width)))


class Variational(nn.Module):
    """An autoencoder whose code is drawn."""

    def __init__(self, width: int, hidden: int, code: int) -> None:
        self.encoder = nn.Linear(width, hidden)
        self.mean, self.log_variance = nn.Linear(hidden, code), nn.Linear(hidden, code)
        self.decoder = nn.Sequential(nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, x: Any, noise: Any) -> tuple[Any, Any, Any]:
        h = limpid.silu(self.encoder(x))
        mean, log_variance = self.mean(h), self.log_variance(h)
        return self.decoder(mean + limpid.exp(log_variance / 2) * noise), mean, log_variance


class Experts(nn.Module):
    """A softmax chooses between small networks."""

    def __init__(self, features: int, width: int, count: int) -> None:
        self.gate = nn.Linear(features, count)
        self.experts = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(features, width), nn.Tanh(), nn.Linear(width, 1))
                for _ in range(count)
            ]
        )

    def forward(self, x: Any) -> Any:
        each = limpid.concat([expert(x) for expert in self.experts], axis=1)
        return limpid.sum(limpid.softmax(self.gate(x), axis=1) * each, axis=1, keepdims=True)


class Half(nn.Module):
    """Computes in float16; its parameters are float32."""

    def __init__(self, features: int, width: int, outputs: int) -> None:
        self.fc1 = nn.Linear(features, width)
        self.fc2 = nn.Linear(width, outputs)

    def forward(self, x: Any) -> Any:
        w1, b1, w2, b2 = (limpid.astype(p, "float16") for p in self.parameters())
        h = limpid.relu(F.linear(limpid.astype(x, "float16"), w1, b1))
        return limpid.astype(F.linear(h, w2, b2), "float32")
