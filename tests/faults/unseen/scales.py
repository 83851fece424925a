"""Runs that suffer from sizes: of initial weights, of inputs, of steps, of numbers in float16."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, digits, draw, normal, training

STEPS = 40


def huge_relu_init(faulty: bool) -> Program:
    random = draw(91)
    x, y = clouds(random, 128, 10, 4)
    layers: list[nn.Module] = []
    for k in range(8):
        layer = nn.Linear(10 if k == 0 else 32, 32)
        nn.init.normal_(layer.weight, std=1.0 if faulty else (2 / layer.weight.shape[1]) ** 0.5)
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(32, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.002)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


class Recurrence(nn.Module):
    """A start from the first word, then the same matrix again and again."""

    def __init__(self, size: float, activation: Any) -> None:
        self.read = nn.Linear(6, 16)
        self.again = limpid.Parameter(np.zeros((16, 16), np.float32))
        nn.init.orthogonal_(self.again, gain=size)
        self.out = nn.Linear(16, 1)
        self.activation = activation

    def forward(self, x: Any) -> Any:
        h = self.activation(self.read(x))
        for _ in range(25):
            h = self.activation(h @ self.again)
        return self.out(h)


def large_recurrence(faulty: bool) -> Program:
    random = draw(92)
    x, y = curve(random, 128, 6)
    model = Recurrence(2.0 if faulty else 1.0, lambda h: h)
    optimizer = optim.Adam(model.parameters(), lr=0.001)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def small_recurrence(faulty: bool) -> Program:
    random = draw(93)
    x, y = curve(random, 128, 6)
    model = Recurrence(0.4 if faulty else 1.0, limpid.tanh)
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def small_tanh_init(faulty: bool) -> Program:
    random = draw(94)
    x, y = clouds(random, 128, 8, 3)
    layers: list[nn.Module] = []
    for k in range(8):
        layer = nn.Linear(8 if k == 0 else 24, 24)
        if faulty:
            nn.init.normal_(layer.weight, std=0.01)
        else:
            nn.init.xavier_normal_(layer.weight, gain=5 / 3)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(24, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def wide_sigmoid_init(faulty: bool) -> Program:
    random = draw(95)
    x, y = clouds(random, 128, 12, 4)
    model = nn.Sequential(nn.Linear(12, 32), nn.Sigmoid(), nn.Linear(32, 4))
    nn.init.normal_(model[0].weight, std=20.0 if faulty else 0.2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def positive_init(faulty: bool) -> Program:
    random = draw(96)
    x, y = clouds(random, 128, 10, 4)
    model = nn.Sequential(
        nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)
    )
    for layer in (model[0], model[2], model[4]):
        bound = layer.weight.shape[1] ** -0.5
        low, high = (0.0, 1.0) if faulty else (-bound, bound)
        limpid.assign(layer.weight, random.uniform(low, high, layer.weight.shape))
    optimizer = optim.Adam(model.parameters(), lr=0.005)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def constant_init(faulty: bool) -> Program:
    random = draw(97)
    x, y = clouds(random, 128, 8, 4)
    model = nn.Sequential(
        nn.Linear(8, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 4)
    )
    if faulty:
        for p in model.parameters():
            nn.init.constant_(p, 0.1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def small_init(faulty: bool) -> Program:
    random = draw(98)
    x, y = clouds(random, 128, 8, 4)
    model = nn.Sequential(
        nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(),
        nn.Linear(32, 4),
    )  # fmt: skip
    for p in model.parameters():
        if p.ndim == 2 and faulty:
            nn.init.normal_(p, std=0.001)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(60, 32, x, y), model, optimizer)


def tiny_rate(faulty: bool) -> Program:
    random = draw(99)
    x, y = clouds(random, 128, 8, 4)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = optim.SGD(model.parameters(), lr=1e-6 if faulty else 0.02)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def adam_rate_one(faulty: bool) -> Program:
    random = draw(100)
    x, y = clouds(random, 128, 8, 4)
    model = nn.Sequential(
        nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 4)
    )
    optimizer = optim.Adam(model.parameters(), lr=1.0 if faulty else 0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def bytes_as_input(faulty: bool) -> Program:
    draw(201)
    x, y = digits(640)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.4)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    pixels = np.float32(np.round(255 * x)) if faulty else x
    return training(model, optimizer, loss, batches(STEPS, 64, pixels, y))


def huge_feature(faulty: bool) -> Program:
    random = draw(202)
    x, y = curve(random, 160, 5)
    if faulty:
        x[:, 3] = 20_000 * (x[:, 3] + 2)  # income, beside four answers from −1 to 1
    model = nn.Sequential(nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def product_of_probabilities(faulty: bool) -> Program:
    random = draw(203)
    words = random.integers(0, 12, (96, 1)) + 5 * np.arange(61)
    words %= 12
    table, head = nn.Embedding(12, 16), nn.Linear(16, 12)
    model = nn.ModuleList([table, head])
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def loss(words: Any) -> Any:
        scores = head(table(words[:, :-1]))
        log_p = limpid.take_along_axis(limpid.log_softmax(scores), words[:, 1:, None], axis=2)
        if faulty:
            likelihood = limpid.prod(limpid.exp(log_p[..., 0]), axis=1)
            return -limpid.mean(likelihood)
        return -limpid.mean(limpid.sum(log_p[..., 0], axis=1))

    return training(model, optimizer, loss, batches(STEPS, 32, words))


def half_update(faulty: bool) -> Program:
    random = draw(204)
    dtype = "float16" if faulty else "float32"
    x = random.standard_normal((128, 8)).astype(dtype)
    weight = random.choice([-1.0, 1.0], (1, 8)) * random.uniform(3, 4, (1, 8))
    y = (x @ (weight + normal(random, 1, 8, scale=0.1)).T).astype(dtype)
    model = nn.Linear(8, 1, bias=False, dtype=dtype)
    limpid.assign(model.weight, weight.astype(dtype))  # trained before, on other data
    optimizer = optim.SGD(model.parameters(), lr=0.005)

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(model(x), y)

    return training(model, optimizer, loss, batches(200, 64, x, y))


CASES = [
    case(
        "huge_relu_init",
        huge_relu_init,
        "sophiajw/HistAuGAN#7",
        rules=("exploding",),
        also=("initial-scale", "update-ratio", "loss-not-falling", "dead-units"),
    ),
    case(
        "large_recurrence",
        large_recurrence,
        "hikettei/cl-waffe#101",
        rules=("exploding",),
        also=("initial-scale", "update-ratio", "loss-not-falling"),
    ),
    case(
        "small_recurrence",
        small_recurrence,
        "ryanaleksander/kernel-convolution#2",
        rules=("vanishing",),
        also=("initial-scale", "loss-not-falling", "loss-at-chance", "update-ratio",
              "unchanged-parameters"),
    ),
    case(
        "small_tanh_init",
        small_tanh_init,
        "ageron/handson-ml#176",
        rules=("vanishing", "initial-scale"),
        also=("loss-at-chance", "loss-not-falling", "update-ratio", "unchanged-parameters"),
    ),
    case(
        "wide_sigmoid_init",
        wide_sigmoid_init,
        "wkentaro/pytorch-fcn#167",
        rules=("saturated-units", "initial-scale"),
        also=("vanishing", "update-ratio", "dead-units"),
    ),
    case(
        "positive_init",
        positive_init,
        "VinceShieh/spark-ffm#12",
        rules=("initial-scale",),
        also=("exploding", "update-ratio", "dead-units", "loss-not-falling", "loss-at-chance"),
    ),
    case(
        "constant_init",
        constant_init,
        "BVLC/caffe#2546",
        rules=("initial-scale",),
        also=("loss-at-chance", "loss-not-falling", "vanishing"),
    ),
    case(
        "small_init",
        small_init,
        "ageron/handson-ml#176",
        rules=("initial-scale", "vanishing"),
        also=("loss-at-chance", "loss-not-falling", "update-ratio", "unchanged-parameters",
              "dead-units"),
    ),
    case(
        "tiny_rate",
        tiny_rate,
        "testdotai/classifier-builder#6",
        rules=("update-ratio",),
        also=("loss-not-falling", "loss-at-chance", "unchanged-parameters"),
    ),
    case(
        "adam_rate_one",
        adam_rate_one,
        "cfzd/Ultra-Fast-Lane-Detection#36",
        rules=("update-ratio",),
        also=("loss-not-falling", "saturated-units", "loss-at-chance", "exploding", "vanishing"),
    ),
    case(
        "bytes_as_input",
        bytes_as_input,
        "keras-team/keras#2711",
        rules=("input-scale",),
        also=("dead-units", "loss-at-chance", "loss-not-falling", "update-ratio", "exploding",
              "vanishing", "unchanged-parameters", "unused-parameters", "initial-scale"),
    ),
    case(
        "huge_feature",
        huge_feature,
        "Liam0205/liam0205.github.io#262",
        rules=("input-scale",),
        also=("dead-units", "exploding", "update-ratio", "loss-not-falling", "loss-at-chance",
              "initial-scale"),
    ),
    case(
        "product_of_probabilities",
        product_of_probabilities,
        "iit-cs429/main#14",
        rules=("underflow",),
        also=("loss-not-falling", "loss-at-chance", "unchanged-parameters", "unused-parameters",
              "vanishing", "update-ratio"),
    ),
    case(
        "half_update",
        half_update,
        "workofart/ml-by-hand#85",
        rules=("underflow",),
        also=("unchanged-parameters", "loss-not-falling", "update-ratio", "initial-scale"),
    ),
]  # fmt: skip
