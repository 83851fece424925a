"""Runs whose model, start or data are wrong before the first step."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, digits, draw, normal, training

STEPS = 40


def deep_small_normal(faulty: bool) -> Program:
    x, y = clouds(draw(401), 256, 8, 4)
    layers: list[nn.Module] = []
    for k in range(8):
        layer = nn.Linear(8 if k == 0 else 32, 32)
        if faulty:
            nn.init.normal_(layer.weight, 0.0, 0.01)
        else:
            nn.init.xavier_normal_(layer.weight, gain=1.5)
        layers += [layer, nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(32, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(STEPS, 32, x, y)
    )


def sigmoid_convolutions(faulty: bool) -> Program:
    draw(402)
    layers: list[nn.Module] = []
    for k in range(8):
        conv = nn.Conv2d(1 if k == 0 else 6, 6, 3, padding=1)
        if not faulty:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        layers += [conv, nn.Sigmoid() if faulty else nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(384, 10))
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    data = batches(40, 16, *digits(480, channels=True))
    return training(model, optimizer, lambda x, y: F.cross_entropy(model(x), y), data)


class Recurrent(nn.Module):
    """h ← relu(W x + U h), and a number from the last h."""

    def __init__(self, width: int, gain: float) -> None:
        self.inner = nn.Linear(3, width)
        self.carry = limpid.Parameter(gain * np.eye(width, dtype=np.float32))
        self.head = nn.Linear(width, 1)
        self.width = width

    def forward(self, x: Any) -> Any:
        h = limpid.relu(self.inner(x[:, 0]))
        for t in range(1, 12):
            h = limpid.relu(self.inner(x[:, t]) + h @ self.carry)
        return self.head(h)


def growing_recurrence(faulty: bool) -> Program:
    random = draw(403)
    x = normal(random, 128, 12, 3)
    y = np.tanh(x[:, -3:].sum(axis=(1, 2)))[:, None]
    model = Recurrent(12, 2.5 if faulty else 0.6)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(
        model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(STEPS, 32, x, y)
    )


def standard_normal_weights(faulty: bool) -> Program:
    x, y = clouds(draw(404), 256, 8, 4)
    layers: list[nn.Module] = []
    for k in range(5):
        layer = nn.Linear(8 if k == 0 else 48, 48)
        if faulty:
            nn.init.normal_(layer.weight)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(48, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.002)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(STEPS, 32, x, y)
    )


def relu_on_the_output(faulty: bool) -> Program:
    x, y = curve(draw(405), 256, 4)
    layers: list[nn.Module] = [nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 1)]
    if faulty:
        layers.append(nn.ReLU())
    model = nn.Sequential(*layers)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    # temperatures below zero
    return training(
        model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(STEPS, 32, x, y - 2)
    )


def wide_tanh(faulty: bool) -> Program:
    draw(406)
    first = nn.Linear(64, 48)
    second = nn.Linear(48, 48)
    for layer in (first, second):
        if faulty:
            nn.init.normal_(layer.weight, 0.0, 3.0)
        else:
            nn.init.xavier_normal_(layer.weight)
    model = nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), nn.Linear(48, 10))
    optimizer = optim.Adam(model.parameters(), lr=0.003)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y),
        batches(STEPS, 32, *digits(960)),
    )  # fmt: skip


class Tied(nn.Module):
    """The next word, scored by the table that the words come from."""

    def __init__(self, scale: float) -> None:
        self.table = nn.Embedding(40, 64)
        nn.init.normal_(self.table.weight, 0.0, scale)
        self.mix = nn.Linear(64, 64)

    def forward(self, words: Any) -> Any:
        h = self.table(words)
        return (h + self.mix(h)) @ limpid.matrix_transpose(self.table.weight)


def tied_table(faulty: bool) -> Program:
    random = draw(407)
    words = random.integers(0, 40, 256)
    model = Tied(1.0 if faulty else 0.05)
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y),
        batches(STEPS, 64, words, (words * 7 + 3) % 40),
    )  # fmt: skip


def constant_weights(faulty: bool) -> Program:
    x, y = clouds(draw(408), 256, 8, 4)
    first, second, last = nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 4)
    for layer in (first, second, last):
        if faulty:
            nn.init.constant_(layer.weight, 0.05)
        else:
            nn.init.xavier_uniform_(layer.weight)
    model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(STEPS, 32, x, y)
    )


def norm_of_one_feature(faulty: bool) -> Program:
    x, y = clouds(draw(409), 256, 8, 4)
    body, head = nn.Linear(8, 24), nn.Linear(24, 4)
    norm = nn.LayerNorm(1 if faulty else 24)
    model = nn.ModuleList([body, norm, head])
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        h = body(x)
        h = norm(h[:, :, None])[:, :, 0] if faulty else norm(h)
        return F.cross_entropy(head(limpid.relu(h)), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def salary_and_age(faulty: bool) -> Program:
    random = draw(410)
    x = normal(random, 256, 4)
    y = (x[:, :1] - x[:, 1:2] * x[:, 2:3]) / 2
    if faulty:
        x = (x * [15000.0, 12.0, 3.0, 0.5] + [60000.0, 40.0, 5.0, 1.0]).astype(np.float32)
    model = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(
        model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(STEPS, 64, x, y)
    )


def product_of_probabilities_again(faulty: bool) -> Program:
    random = draw(411)
    x = normal(random, 96, 200, 3)
    y = np.float32(x @ np.array([1.0, -2.0, 0.5], np.float32) > 0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def loss(x: Any, y: Any) -> Any:
        p = limpid.sigmoid(model(x)[:, :, 0])
        right = y * p + (1 - y) * (1 - p)
        if faulty:
            likelihood = limpid.prod(right, axis=1)
            return -limpid.mean(limpid.log(likelihood + 1e-30)) / 200
        return -limpid.mean(limpid.log(right + 1e-7))

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def mask_of_bytes_again(faulty: bool) -> Program:
    random = draw(412)
    x, y = clouds(random, 256, 6, 2)
    mask = np.float32(y)[:, None] * (255.0 if faulty else 1.0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.BCEWithLogitsLoss()
    return training(
        model, optimizer, lambda x, y: criterion(model(x), y),
        batches(STEPS, 32, x, mask.astype(np.float32)),
    )  # fmt: skip


SMALL = ("loss-at-chance", "loss-not-falling", "update-ratio", "unchanged-parameters",
         "unused-parameters", "underflow", "dead-units")  # fmt: skip
LARGE = ("update-ratio", "saturated-units", "dead-units", "loss-not-falling", "loss-at-chance",
         "initial-scale", "exploding", "vanishing")  # fmt: skip
CASES = [
    case("deep_small_normal", deep_small_normal, "written for the corpus",
         rules=("vanishing", "initial-scale"), also=SMALL),
    case("sigmoid_convolutions", sigmoid_convolutions, "written for the corpus",
         rules=("vanishing",), also=(*SMALL, "initial-scale", "saturated-units")),
    case("growing_recurrence", growing_recurrence, "written for the corpus",
         rules=("exploding",), also=LARGE),
    case("standard_normal_weights", standard_normal_weights, "wkentaro/pytorch-fcn#167",
         rules=("exploding", "initial-scale"), also=LARGE),
    case("relu_on_the_output", relu_on_the_output, "written for the corpus",
         rules=("dead-units",), also=(*SMALL, "vanishing", "label-mismatch")),
    case("wide_tanh", wide_tanh, "written for the corpus",
         rules=("saturated-units", "initial-scale"), also=LARGE),
    case("tied_table", tied_table, "written for the corpus", rules=("initial-scale",), also=LARGE),
    case("constant_weights", constant_weights, "written for the corpus",
         rules=("initial-scale",), also=(*LARGE, *SMALL)),
    case("norm_of_one_feature", norm_of_one_feature, "written for the corpus",
         rules=("loss-at-chance", "loss-not-falling"), also=(*SMALL, "vanishing", "input-scale")),
    case("salary_and_age", salary_and_age, "jaredleekatzman/DeepSurv#14",
         rules=("input-scale",), also=(*LARGE, *SMALL)),
    case("product_of_probabilities_again", product_of_probabilities_again, "written for the corpus",
         rules=("underflow",), also=(*SMALL, "vanishing")),
    case("mask_of_bytes_again", mask_of_bytes_again, "milesial/Pytorch-UNet#78",
         rules=("label-mismatch",), also=("exploding", "update-ratio")),
]  # fmt: skip
