"""Further runs in which nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, clouds, curve, digits, draw, normal, training

Make = Callable[..., Any]


def regression(
    seed: int, activation: Make, optimizer: Make, width: int = 24, deep: int = 1,
    loss: Make = F.mse_loss, features: int = 4,
) -> Program:  # fmt: skip
    """A curve, learned by layers of one kind."""
    x, y = curve(draw(seed), 256, features)
    layers: list[nn.Module] = []
    for k in range(deep):
        layers += [nn.Linear(width if k else features, width), activation()]
    model = nn.Sequential(*layers, nn.Linear(width, 1))
    return training(
        model, optimizer(model.parameters()), lambda x, y: loss(model(x), y),
        batches(50, 32, x, y),
    )  # fmt: skip


def classes(
    seed: int, activation: Make, optimizer: Make, width: int = 32, norm: Make | None = None,
    drop: float = 0.0, smoothing: float = 0.0,
) -> Program:  # fmt: skip
    """Clouds of points, told apart."""
    x, y = clouds(draw(seed), 320, 8, 4)
    layers: list[nn.Module] = [nn.Linear(8, width)]
    if norm is not None:
        layers.append(norm(width))
    layers.append(activation())
    if drop:
        layers.append(nn.Dropout(drop))
    model = nn.Sequential(*layers, nn.Linear(width, 4))
    goal = np.eye(4, dtype=np.float32)[y] * (1 - smoothing) + np.float32(smoothing / 4)

    def loss(x: Any, y: Any, goal: Any) -> Any:
        if smoothing:
            return -limpid.mean(limpid.sum(goal * limpid.log_softmax(model(x), axis=1), axis=1))
        return F.cross_entropy(model(x), y)

    data = batches(40, 32, x, y, goal.astype(np.float32))
    return training(model, optimizer(model.parameters()), loss, data)


def pictures(seed: int, *layers: Make, rate: float = 0.005) -> Program:
    """Digits, told apart by convolutions."""
    draw(seed)
    model = nn.Sequential(*(make() for make in layers))
    optimizer = optim.Adam(model.parameters(), lr=rate)
    data = batches(30, 32, *digits(960, channels=True))
    return training(model, optimizer, lambda x, y: F.cross_entropy(model(x), y), data)


def autoencoder() -> Program:
    draw(530)
    model = nn.Sequential(
        nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 12), nn.ReLU(), nn.Linear(12, 64)
    )
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    x, _ = digits(960)
    return training(model, optimizer, lambda x: F.mse_loss(model(x), x), batches(50, 32, x))


def recurrent(seed: int, kind: Make) -> Program:
    random = draw(seed)
    x = normal(random, 160, 8, 3)
    y = np.int64(x[:, :, 0].sum(axis=1) > 0)
    body, head = kind(3, 12, batch_first=True), nn.Linear(12, 2)
    model = nn.ModuleList([body, head])
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def loss(x: Any, y: Any) -> Any:
        out, _ = body(x)
        return F.cross_entropy(head(out[:, -1]), y)

    return training(model, optimizer, loss, batches(40, 32, x, y))


def clipped_steps() -> Program:
    x, y = clouds(draw(531), 256, 8, 4)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.2)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return Program(step, batches(40, 32, x, y), model, optimizer)


def cleared_at_the_end() -> Program:
    x, y = clouds(draw(532), 256, 8, 4)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return Program(step, batches(40, 32, x, y), model, optimizer)


def binary(seed: int, loss: Make, last: Make | None = None) -> Program:
    x, y = clouds(draw(seed), 256, 6, 2)
    layers: list[nn.Module] = [nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1)]
    if last is not None:
        layers.append(last())
    model = nn.Sequential(*layers)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(
        model, optimizer, lambda x, y: loss(model(x), y),
        batches(40, 32, x, np.float32(y)[:, None]),
    )  # fmt: skip


def adam(rate: float) -> Make:
    return partial(optim.Adam, lr=rate)


def sgd(rate: float, momentum: float = 0.0) -> Make:
    return partial(optim.SGD, lr=rate, momentum=momentum)


RUNS: dict[str, Callable[[], Program]] = {
    "l_gelu_adam": partial(regression, 501, nn.GELU, adam(0.01)),
    "l_mish_adamw": partial(regression, 502, nn.Mish, partial(optim.AdamW, lr=0.01)),
    "l_softsign_sgd": partial(regression, 503, nn.Softsign, sgd(0.1)),
    "l_two_tanh": partial(regression, 504, nn.Tanh, adam(0.01), 24, 2),
    "l_sigmoid_shallow": partial(regression, 505, nn.Sigmoid, adam(0.02)),
    "l_selu_three": partial(regression, 506, nn.SELU, adam(0.005), 24, 3),
    "l_huber": partial(regression, 507, nn.ReLU, adam(0.01), loss=F.huber_loss),
    "l_absolute": partial(regression, 508, nn.ReLU, adam(0.01), loss=F.l1_loss),
    "l_momentum": partial(regression, 509, nn.Tanh, sgd(0.03, 0.9), 32),
    "l_batch_norm": partial(classes, 510, nn.ReLU, sgd(0.1), norm=nn.BatchNorm1d),
    "l_layer_norm": partial(classes, 511, nn.GELU, adam(0.01), norm=nn.LayerNorm),
    "l_rms_norm": partial(classes, 512, nn.SiLU, adam(0.01), norm=nn.RMSNorm),
    "l_dropout": partial(classes, 513, nn.ReLU, adam(0.01), 48, drop=0.3),
    "l_smoothed": partial(classes, 514, nn.ReLU, adam(0.01), smoothing=0.1),
    "l_wide": partial(classes, 515, nn.ReLU, adam(0.003), 128),
    "l_narrow": partial(classes, 516, nn.Tanh, adam(0.02), 8),
    "l_strided": partial(
        pictures, 517, partial(nn.Conv2d, 1, 8, 3, stride=2, padding=1), nn.ReLU,
        partial(nn.Conv2d, 8, 16, 3, stride=2, padding=1), nn.ReLU, nn.Flatten,
        partial(nn.Linear, 64, 10), rate=0.01,
    ),
    "l_batch_norm_picture": partial(
        pictures, 518, partial(nn.Conv2d, 1, 8, 3), partial(nn.BatchNorm2d, 8), nn.ReLU,
        partial(nn.MaxPool2d, 2), nn.Flatten, partial(nn.Linear, 72, 10),
    ),
    "l_lstm": partial(recurrent, 519, nn.LSTM),
    "l_rnn": partial(recurrent, 520, nn.RNN),
    "l_logits": partial(binary, 521, nn.BCEWithLogitsLoss()),
    "l_probabilities": partial(binary, 522, nn.BCELoss(), nn.Sigmoid),
    "l_autoencoder": autoencoder,
    "l_clipped_steps": clipped_steps,
    "l_cleared_at_the_end": cleared_at_the_end,
}  # fmt: skip
