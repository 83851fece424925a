"""Runs that suffer from the size of a step, of initial weights, of inputs, or of small numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import data, nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, digits, draw, training

STEPS = 40


def decay_at_every_batch(faulty: bool) -> Program:
    random = draw(211)
    x, y = clouds(random, 192, 8, 5)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 5))
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    count = limpid.Buffer(np.float64(0))
    every = 1 if faulty else 30

    def step(x: Any, y: Any) -> Any:
        optimizer.param_groups[0]["lr"] = 0.05 * 0.1 ** limpid.floor(count / every)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        limpid.assign(count, count + 1)
        return loss

    return Program(step, batches(50, 48, x, y), model, optimizer)


def rate_of_another_optimiser(faulty: bool) -> Program:
    random = draw(212)
    x, y = curve(random, 192, 6)
    model = nn.Sequential(
        nn.Linear(6, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 1)
    )
    optimizer = optim.Adam(model.parameters(), lr=1.0 if faulty else 0.005)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 48, x, y), model, optimizer)


def uniform_from_zero(faulty: bool) -> Program:
    random = draw(213)
    x, y = clouds(random, 128, 24, 4)
    model = nn.Sequential(
        nn.Linear(24, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 4)
    )
    for p in model.parameters():
        if p.ndim > 1:
            if faulty:
                nn.init.uniform_(p)  # from 0 to 1
            else:
                nn.init.xavier_uniform_(p)
    optimizer = optim.Adam(model.parameters(), lr=0.003)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def thin_filters(faulty: bool) -> Program:
    draw(214)
    x, y = digits(240, channels=True)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(48, 10),
    )  # fmt: skip
    for p in model.parameters():
        if p.ndim == 1:
            nn.init.zeros_(p)
        elif faulty:
            nn.init.normal_(p, std=1e-3)
        else:
            nn.init.kaiming_normal_(p, nonlinearity="relu")
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(25, 40, x, y), model, optimizer)


def raw_bytes(faulty: bool) -> Program:
    draw(215)
    train = data.load_digits(scale="none").train
    images = np.asarray(train.x[:256], np.float32).reshape(256, -1)
    images = images * (255 / images.max())
    x = images if faulty else images / 127.5 - 1
    y = np.asarray(train.y[:256])
    model = nn.Sequential(
        nn.Linear(x.shape[1], 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10)
    )
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 64, x.astype(np.float32), y))


def one_column_in_seconds(faulty: bool) -> Program:
    random = draw(216)
    x, y = curve(random, 192, 5)
    y = y + 0.5 * x[:, 4:]
    seconds = 1.6e9 + 3e7 * x[:, 4]  # when it was measured
    table = x.copy()
    table[:, 4] = seconds if faulty else (seconds - seconds.mean()) / seconds.std()
    model = nn.Sequential(nn.Linear(5, 32), nn.SiLU(), nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 48, table, y.astype(np.float32)), model, optimizer)


class HalfFilter(nn.Module):
    """Two convolutions in float16; the parameters are float32."""

    def __init__(self) -> None:
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, x: Any) -> Any:
        w1, b1, w2, b2 = (limpid.astype(p, "float16") for p in self.parameters())
        return F.conv2d(limpid.tanh(F.conv2d(x, w1, b1, padding=1)), w2, b2, padding=1)


def mean_of_pixels_in_half(faulty: bool) -> Program:
    random = draw(217)
    x = np.float32(random.uniform(0, 1, (48, 1, 8, 8)))
    y = np.roll(x, 1, axis=3) * np.float32(0.5)
    model = HalfFilter()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    weight = 1.0 / (16 * 1920 * 1080 * 3)  # of one pixel, in a batch of full frames
    scale = 1.0 if faulty else 2.0**24

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        difference = limpid.astype(model(x), "float32") - y
        loss = weight * limpid.sum(difference * difference)
        (loss * scale).backward()
        for p in model.parameters():
            p.grad = p.grad / scale
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 16, x.astype(np.float16), y), model, optimizer)


def microns_in_metres(faulty: bool) -> Program:
    random = draw(218)
    x, y = curve(random, 128, 6)
    unit = 1e-6 if faulty else 1.0
    model = nn.Sequential(
        nn.Linear(6, 24, dtype="float16"), nn.Tanh(), nn.Linear(24, 1, dtype="float16")
    )
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        displacement = model(x) * unit
        loss = F.mse_loss(displacement, y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = x.astype(np.float16), (y * unit).astype(np.float16)
    return Program(step, batches(STEPS, 64, x, y), model, optimizer)


CASES = [
    case(
        "decay_at_every_batch",
        decay_at_every_batch,
        "rpryzant/causal-bert-pytorch#9",
        rules=("update-ratio",),
        also=("loss-not-falling", "loss-at-chance", "unchanged-parameters"),
    ),
    case(
        "rate_of_another_optimiser",
        rate_of_another_optimiser,
        "DeepLabCut/DeepLabCut#2393",
        rules=("update-ratio",),
        also=("loss-not-falling", "exploding", "dead-units"),
    ),
    case(
        "uniform_from_zero",
        uniform_from_zero,
        "numpy/numpy-tutorials#33",
        rules=("initial-scale",),
        also=("exploding", "update-ratio", "loss-not-falling"),
    ),
    case(
        "thin_filters",
        thin_filters,
        "ageron/handson-ml#176",
        rules=("initial-scale",),
        also=("vanishing", "loss-at-chance", "loss-not-falling", "update-ratio", "dead-units"),
    ),
    case(
        "raw_bytes",
        raw_bytes,
        "hill-a/stable-baselines#328",
        rules=("input-scale",),
        also=("dead-units", "exploding", "loss-not-falling", "loss-at-chance", "update-ratio",
              "unchanged-parameters", "unused-parameters", "vanishing", "initial-scale"),
    ),
    case(
        "one_column_in_seconds",
        one_column_in_seconds,
        "torch/demos#6",
        rules=("input-scale",),
        also=("exploding", "dead-units", "saturated-units", "loss-not-falling", "update-ratio",
              "vanishing", "initial-scale"),
    ),
    case(
        "mean_of_pixels_in_half",
        mean_of_pixels_in_half,
        "pytorch/pytorch#26512",
        rules=("underflow",),
        also=("vanishing", "unchanged-parameters", "update-ratio", "loss-not-falling",
              "unused-parameters"),
    ),
    case(
        "microns_in_metres",
        microns_in_metres,
        "tensorflow/tensorflow#27655",
        rules=("underflow",),
        also=("vanishing", "unchanged-parameters", "update-ratio", "loss-not-falling",
              "unused-parameters"),
    ),
]  # fmt: skip
