"""Twelve small models, each a loss with its parameters, for the tests of explanations.

`MODELS` is a list of (name, build); `build(dtype)` makes the same model each time, with the same
numbers in either type. Attention and recurrence are written with primitives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import limpid
from limpid import nn
from limpid.nn import functional as F

DTYPE = "float64"


class Model(NamedTuple):
    """`loss(*arguments)` is a scalar tensor; `parameters` are what it depends on."""

    loss: Callable[..., Any]
    arguments: tuple[Any, ...]
    parameters: dict[str, limpid.Tensor]

    def run(self) -> limpid.Tensor:
        """The loss at the model's arguments."""
        return self.loss(*self.arguments)


class Draw:
    """Numbers of one seed, such as float32 has, in some type."""

    def __init__(self, seed: int, dtype: str) -> None:
        self.random = np.random.default_rng(seed)
        self.dtype = dtype
        limpid.manual_seed(seed)

    def array(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        numbers = scale * self.random.standard_normal(shape)
        return numbers.astype(np.float32).astype(self.dtype)

    def parameters(self, **shapes: tuple[int, ...]) -> dict[str, limpid.Tensor]:
        """A parameter for each name, of a size that keeps signals of about one."""
        return {
            name: limpid.Parameter(self.array(*shape, scale=max(shape[-1], 1) ** -0.5))
            for name, shape in shapes.items()
        }


def of_module(draw: Draw, module: Any, loss: Callable[..., Any], *arguments: Any) -> Model:
    """A model whose parameters are those of a module."""
    for p in module.parameters():
        limpid.assign(p, draw.array(*p.shape, scale=max(p.shape[-1], 1) ** -0.5))
    return Model(loss, arguments, dict(module.named_parameters()))


def mlp(dtype: str = DTYPE) -> Model:
    draw = Draw(1, dtype)
    net = nn.Sequential(
        nn.Linear(6, 8, dtype=dtype), nn.ReLU(), nn.Linear(8, 5, dtype=dtype), nn.Tanh(),
        nn.Linear(5, 3, dtype=dtype),
    )  # fmt: skip

    def loss(x: Any, labels: Any) -> Any:
        scores = net(limpid.asarray(x))
        return F.cross_entropy(scores, labels)

    return of_module(draw, net, loss, draw.array(4, 6), np.array([0, 2, 1, 2]))


def cnn(dtype: str = DTYPE) -> Model:
    draw = Draw(2, dtype)

    class Net(nn.Module):
        def __init__(self) -> None:
            self.conv1 = nn.Conv2d(1, 3, 3, padding=1, dtype=dtype)
            self.pool = nn.MaxPool2d(2)
            self.conv2 = nn.Conv2d(3, 2, 3, dtype=dtype)
            self.fc1 = nn.Linear(8, 3, dtype=dtype)

        def forward(self, x: Any) -> Any:
            hidden = self.pool(limpid.relu(self.conv1(x)))
            hidden = limpid.relu(self.conv2(hidden))
            return self.fc1(limpid.reshape(hidden, (x.shape[0], -1)))

    net = Net()

    def loss(x: Any, labels: Any) -> Any:
        return F.cross_entropy(net(limpid.asarray(x)), labels)

    return of_module(draw, net, loss, draw.array(2, 1, 8, 8), np.array([1, 2]))


def residual(dtype: str = DTYPE) -> Model:
    draw = Draw(3, dtype)

    class Block(nn.Module):
        def __init__(self) -> None:
            self.fc1 = nn.Linear(4, 6, dtype=dtype)
            self.fc2 = nn.Linear(6, 4, dtype=dtype)

        def forward(self, x: Any) -> Any:
            return x + self.fc2(limpid.relu(self.fc1(x)))

    blocks = nn.Sequential(Block(), Block(), Block())

    def loss(x: Any, target: Any) -> Any:
        error = blocks(limpid.asarray(x)) - target
        return limpid.mean(error * error)

    return of_module(draw, blocks, loss, draw.array(3, 4), draw.array(3, 4))


def rnn(dtype: str = DTYPE) -> Model:
    draw = Draw(4, dtype)
    p = draw.parameters(U=(3, 5), W=(5, 5), b=(5,), V=(5, 2))

    def loss(x: Any, target: Any) -> Any:
        h = limpid.zeros((x.shape[1], 5), dtype=dtype)
        total = 0.0
        for t in range(x.shape[0]):
            h = limpid.tanh(x[t] @ p["U"] + h @ p["W"] + p["b"])  # (batch, 5)
            error = h @ p["V"] - target[t]
            total = total + limpid.sum(error * error)
        return total

    return Model(loss, (draw.array(4, 2, 3), draw.array(4, 2, 2)), p)


def lstm(dtype: str = DTYPE) -> Model:
    draw = Draw(5, dtype)
    p = draw.parameters(Wx=(3, 16), Wh=(4, 16), b=(16,), V=(4, 1))

    def cell(x: Any, h: Any, c: Any) -> Any:
        gates = x @ p["Wx"] + h @ p["Wh"] + p["b"]  # (batch, 16)
        i, f, g, o = (gates[:, 4 * k : 4 * k + 4] for k in range(4))
        c = limpid.sigmoid(f) * c + limpid.sigmoid(i) * limpid.tanh(g)
        return limpid.sigmoid(o) * limpid.tanh(c), c

    def loss(x: Any, target: Any) -> Any:
        h = c = limpid.zeros((x.shape[1], 4), dtype=dtype)
        for t in range(x.shape[0]):
            h, c = cell(x[t], h, c)
        return limpid.mean((h @ p["V"] - target) ** 2)

    return Model(loss, (draw.array(3, 2, 3), draw.array(2, 1)), p)


def attention(dtype: str = DTYPE) -> Model:
    draw = Draw(6, dtype)
    p = draw.parameters(Wq=(4, 4), Wk=(4, 4), Wv=(4, 4), Wo=(4, 4))

    def loss(x: Any) -> Any:
        q, k, v = x @ p["Wq"], x @ p["Wk"], x @ p["Wv"]  # (batch, time, 4)
        scores = q @ limpid.matrix_transpose(k) / 2.0
        scores = limpid.where(np.tril(np.ones((5, 5), bool)), scores, -1e9)
        mixed = limpid.softmax(scores, axis=-1) @ v
        return limpid.mean((mixed @ p["Wo"] + x) ** 2)

    return Model(loss, (draw.array(2, 5, 4),), p)


def shared_weights(dtype: str = DTYPE) -> Model:
    draw = Draw(7, dtype)
    p = draw.parameters(W=(4, 4), b=(4,))

    def loss(x: Any) -> Any:
        h = limpid.asarray(x)
        for _ in range(3):
            h = limpid.tanh(h @ p["W"] + p["b"])
        return limpid.sum((h @ limpid.matrix_transpose(p["W"])) ** 2)

    return Model(loss, (draw.array(3, 4),), p)


def embedding(dtype: str = DTYPE) -> Model:
    draw = Draw(8, dtype)
    table = nn.Embedding(7, 4, dtype=dtype)
    head = nn.Linear(4, 7, dtype=dtype)
    net = nn.ModuleDict({"table": table, "head": head})

    def loss(words: Any, labels: Any) -> Any:
        return F.cross_entropy(head(limpid.mean(table(words), axis=1)), labels)

    return of_module(
        draw, net, loss, np.array([[0, 3, 3], [6, 1, 0]]), draw.random.integers(0, 7, 2)
    )


def batch_norm(dtype: str = DTYPE) -> Model:
    draw = Draw(9, dtype)
    net = nn.Sequential(
        nn.Linear(5, 6, dtype=dtype), nn.BatchNorm1d(6, dtype=dtype), nn.ReLU(),
        nn.Linear(6, 1, dtype=dtype),
    )  # fmt: skip

    def loss(x: Any, target: Any) -> Any:
        return F.mse_loss(net(limpid.asarray(x)), limpid.asarray(target))

    return of_module(draw, net, loss, draw.array(7, 5), draw.array(7, 1))


def autoencoder(dtype: str = DTYPE) -> Model:
    draw = Draw(10, dtype)
    p = draw.parameters(encoder=(8, 3), decoder=(3, 8), code_bias=(3,))

    def loss(x: Any) -> Any:
        code = limpid.sigmoid(x @ p["encoder"] + p["code_bias"])
        error = code @ p["decoder"] - x
        sparsity = limpid.mean(abs(code))
        return limpid.mean(error * error) + 0.1 * sparsity

    return Model(loss, (draw.array(5, 8),), p)


def scan(dtype: str = DTYPE) -> Model:
    draw = Draw(11, dtype)
    p = draw.parameters(A=(3, 3), B=(2, 3))

    def loss(xs: Any) -> Any:
        def body(state: Any, x: Any) -> Any:
            state = limpid.tanh(state @ p["A"] + x @ p["B"])
            return state, limpid.sum(state * state)

        last, energies = limpid.scan(body, np.zeros(3, dtype), xs)
        return limpid.sum(last) + limpid.mean(energies)

    return Model(loss, (draw.array(5, 2),), p)


def cond(dtype: str = DTYPE) -> Model:
    draw = Draw(12, dtype)
    p = draw.parameters(w=(4,), v=(4,))

    def loss(x: Any) -> Any:
        score = limpid.sum(p["w"] * x)
        return limpid.cond(
            score > 0,
            lambda s: s * limpid.sum(p["v"] ** 2),
            lambda s: limpid.exp(-s) + limpid.sum(limpid.sin(p["v"])),
            score,
        )

    return Model(loss, (draw.array(4),), p)


MODELS: list[tuple[str, Callable[..., Model]]] = [
    (build.__name__, build)
    for build in (
        mlp, cnn, residual, rnn, lstm, attention, shared_weights, embedding, batch_norm,
        autoencoder, scan, cond,
    )
]  # fmt: skip
