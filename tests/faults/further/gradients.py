"""Runs whose gradients vanish or explode, and whose units are dead or saturated."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, digits, draw, normal, training

STEPS = 40


class Block(nn.Module):
    """Two layers, with or without the shortcut around them."""

    def __init__(self, width: int, shortcut: bool) -> None:
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        self.shortcut = shortcut

    def forward(self, x: Any) -> Any:
        out = self.fc2(limpid.relu(self.fc1(x)))
        return limpid.relu(out + x) if self.shortcut else limpid.relu(out)


def forgotten_shortcut(faulty: bool) -> Program:
    random = draw(201)
    x, y = clouds(random, 128, 10, 4)
    blocks = [Block(24, shortcut=not faulty) for _ in range(14)]
    model = nn.Sequential(nn.Linear(10, 24), *blocks, nn.Linear(24, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.005, momentum=0.9)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def sigmoid_autoencoder(faulty: bool) -> Program:
    draw(202)
    x, _ = digits(256)
    widths = [64, 48, 48, 40, 32, 24, 32, 40, 48, 48, 64]
    layers: list[nn.Module] = []
    for n, m in pairwise(widths):
        layer = nn.Linear(n, m)
        if not faulty:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        layers += [layer, nn.Sigmoid() if faulty else nn.LeakyReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = optim.Adam(model.parameters(), lr=0.005)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(limpid.sigmoid(model(x)), x)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(60, 64, x), model, optimizer)


def drawn_recurrence(faulty: bool) -> Program:
    random = draw(203)
    x = normal(random, 96, 20, 3)
    y = np.int64(x[:, -6:].sum(axis=(1, 2)) > 0)
    rnn = nn.RNN(3, 24, nonlinearity="relu", batch_first=True)
    for name, p in rnn.named_parameters():
        if name.startswith("weight_hh"):
            if faulty:
                nn.init.normal_(p, std=0.7)
            else:
                nn.init.orthogonal_(p)
    head = nn.Linear(24, 2)
    model = nn.ModuleList([rnn, head])
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        states, _ = rnn(x)
        return F.cross_entropy(head(states[:, -1]), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


class Branch(nn.Module):
    """x + f(x), where f may look at x through a normalisation."""

    def __init__(self, width: int, norm: bool) -> None:
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        for layer in (self.fc1, self.fc2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Any) -> Any:
        return x + self.fc2(limpid.relu(self.fc1(self.norm(x))))


def sum_of_branches(faulty: bool) -> Program:
    random = draw(204)
    x, y = curve(random, 128, 6)
    blocks = [Branch(32, norm=not faulty) for _ in range(16)]
    last = nn.Identity() if faulty else nn.LayerNorm(32)
    model = nn.Sequential(nn.Linear(6, 32), *blocks, last, nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.001)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def rectified_output(faulty: bool) -> Program:
    random = draw(205)
    x, y = curve(random, 128, 5)
    y = y - 3.0  # degrees below zero
    layers = [nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, 1)]
    if faulty:
        layers.append(nn.ReLU())  # like after every other layer
    model = nn.Sequential(*layers)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(model(x), y)

    return training(model, optimizer, loss, batches(60, 32, x, y))


class Dictionary(nn.Module):
    """A sparse autoencoder."""

    def __init__(self, width: int, features: int) -> None:
        self.encoder = nn.Linear(width, features)
        self.decoder = nn.Linear(features, width)

    def forward(self, x: Any) -> tuple[Any, Any]:
        features = limpid.relu(self.encoder(x))
        return self.decoder(features), features


def sparsity_at_any_price(faulty: bool) -> Program:
    random = draw(206)
    x, _ = clouds(random, 128, 12, 6)
    model = Dictionary(12, 40)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    price = 10.0 if faulty else 0.01

    def loss(x: Any) -> Any:
        again, features = model(x)
        return F.mse_loss(again, x) + price * limpid.mean(limpid.sum(features, axis=1))

    return training(model, optimizer, loss, batches(60, 32, x))


def unscaled_draw(faulty: bool) -> Program:
    random = draw(207)
    x = normal(random, 128, 64)
    y = np.argmax(x @ normal(random, 64, 3), axis=1)
    model = nn.Sequential(
        nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 96), nn.Tanh(),
        nn.Linear(96, 96), nn.Tanh(), nn.Linear(96, 3),
    )  # fmt: skip
    for k in (0, 2, 4):
        if faulty:
            nn.init.normal_(model[k].weight)
        else:
            nn.init.xavier_normal_(model[k].weight)
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 64, x, y))


def degrees_behind_tanh(faulty: bool) -> Program:
    random = draw(208)
    x, y = curve(random, 128, 5)
    degrees = 90.0 * y  # of steering
    model = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1), nn.Tanh())
    optimizer = optim.Adam(model.parameters(), lr=0.03)

    def step(x: Any, angle: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), angle)
        loss.backward()
        optimizer.step()
        return loss

    goal = degrees if faulty else (degrees / 120.0).astype(np.float32)
    return Program(step, batches(60, 32, x, goal), model, optimizer)


STALLED = ("loss-at-chance", "loss-not-falling", "update-ratio")
NO_GRADIENT = ("vanishing", "unchanged-parameters", "unused-parameters")
CASES = [
    case(
        "forgotten_shortcut",
        forgotten_shortcut,
        "delira-dev/delira#91",
        rules=("vanishing",),
        also=(*STALLED, "initial-scale", "dead-units", "unchanged-parameters"),
    ),
    case(
        "sigmoid_autoencoder",
        sigmoid_autoencoder,
        "deeplearning4j/deeplearning4j-examples#274",
        rules=("vanishing",),
        also=("loss-not-falling", "update-ratio", "initial-scale"),
    ),
    case(
        "drawn_recurrence",
        drawn_recurrence,
        "woowacampers/d2l-pytorch#4",
        rules=("exploding",),
        also=("initial-scale",),
    ),
    case(
        "sum_of_branches",
        sum_of_branches,
        "wvabrinskas/Neuron#124",
        rules=("exploding",),
        also=("initial-scale",),
    ),
    case(
        "rectified_output",
        rectified_output,
        "keras-team/keras#3687",
        rules=("dead-units",),
        also=("loss-not-falling", "update-ratio", "label-mismatch", *NO_GRADIENT),
    ),
    case(
        "sparsity_at_any_price",
        sparsity_at_any_price,
        "decoderesearch/SAELens#67",
        rules=("dead-units",),
        also=("loss-not-falling", "update-ratio", *NO_GRADIENT),
    ),
    case(
        "unscaled_draw",
        unscaled_draw,
        "VinceShieh/spark-ffm#12",
        rules=("saturated-units",),
        also=("initial-scale", "update-ratio"),
    ),
    case(
        "degrees_behind_tanh",
        degrees_behind_tanh,
        "floodsung/DDPG#6",
        rules=("saturated-units",),
        also=("label-mismatch", "loss-not-falling", "vanishing", "update-ratio"),
    ),
]  # fmt: skip
