"""NaN and infinity that are born in a local derivative or in the update."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Nan, Program
from tests.faults.programs import batches, case, clouds, curve, draw, normal, training


class Directions(nn.Module):
    """A direction in space for each item."""

    def __init__(self, start: np.ndarray) -> None:
        self.table = limpid.Parameter(start)

    def forward(self, items: Any) -> Any:
        chosen = limpid.take(self.table, items, axis=0)
        return chosen / limpid.sqrt(limpid.sum(chosen * chosen, axis=1, keepdims=True))


def arccos_at_one(faulty: bool) -> Program:
    random = draw(11)
    start = normal(random, 8, 3)
    start[5] = (0.0, 1.0, 0.0)
    goal = normal(random, 8, 3)
    goal /= np.linalg.norm(goal, axis=1, keepdims=True)
    goal[5] = (0.0, 1.0, 0.0)  # this one is right already
    model = Directions(start)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    bound = 1.0 if faulty else 1.0 - 1e-6

    def loss(items: Any, goal: Any) -> Any:
        cosine = limpid.sum(model(items) * goal, axis=1)
        angle = limpid.arccos(limpid.clip(cosine, -bound, bound))
        return limpid.mean(angle)

    return training(model, optimizer, loss, batches(4, 4, np.arange(8), goal))


def root_at_zero(faulty: bool) -> Program:
    random = draw(12)
    x, y = curve(random, 48, 4)
    x[37] = 0.0  # silence
    body, head = nn.Linear(4, 12, bias=False), nn.Linear(12, 1)
    model = nn.ModuleList([body, head])
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    eps = 0.0 if faulty else 1e-3

    def loss(x: Any, y: Any) -> Any:
        loudness = limpid.abs(body(x))
        compressed = (loudness + eps) ** 0.5
        return F.mse_loss(head(compressed), y)

    return training(model, optimizer, loss, batches(4, 16, x, y))


def std_by_hand(faulty: bool) -> Program:
    random = draw(13)
    x, y = curve(random, 48, 6)
    x[32:] = 0.0  # empty rows at the end of the file
    body, head = nn.Linear(6, 8, bias=False), nn.Linear(8, 1)
    model = nn.ModuleList([body, head])
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    eps = 0.0 if faulty else 1e-4

    def loss(x: Any, y: Any) -> Any:
        h = body(x)
        spread = limpid.sqrt(limpid.mean((h - limpid.mean(h, axis=0)) ** 2, axis=0) + eps)
        collapse = limpid.mean(limpid.relu(1.0 - spread))
        return F.mse_loss(head(h), y) + 0.1 * collapse

    return training(model, optimizer, loss, batches(3, 16, x, y))


def maximum_of_root(faulty: bool) -> Program:
    random = draw(14)
    places = normal(random, 16, 2)
    places[9] = 0.0
    model = Directions(places)
    goal = np.abs(normal(random, 16))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def loss(items: Any, goal: Any) -> Any:
        place = limpid.take(model.table, items, axis=0)
        squares = limpid.sum(place * place, axis=1)
        if faulty:
            radius = limpid.sqrt(squares)
            radius = limpid.maximum(radius, 1e-10)
        else:
            radius = limpid.sqrt(limpid.maximum(squares, 1e-20))
        return limpid.mean((radius - goal) ** 2)

    return training(model, optimizer, loss, batches(4, 8, np.arange(16), goal))


def adam_without_eps(faulty: bool) -> Program:
    random = draw(15)
    x, y = clouds(random, 64, 7, 3)
    x[:, 4] = 0.0  # a pixel at the rim, always black
    model = nn.Sequential(nn.Linear(7, 10), nn.Tanh(), nn.Linear(10, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01, eps=0.0 if faulty else 1e-8)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(4, 32, x, y), model, optimizer)


def warmup_equals_total(faulty: bool) -> Program:
    random = draw(16)
    x, y = clouds(random, 64, 5, 2)
    model = nn.Linear(5, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    count = limpid.Buffer(np.float64(0))
    warmup, total = (6, 6) if faulty else (6, 12)

    def step(x: Any, y: Any) -> Any:
        rising = limpid.minimum((count + 1) / warmup, 1.0)
        progress = limpid.maximum(count - warmup, 0.0) / (total - warmup)
        optimizer.param_groups[0]["lr"] = 0.1 * rising * 0.5 * (1 + limpid.cos(np.pi * progress))
        limpid.assign(count, count + 1)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(8, 16, x, y), model, optimizer)


def inverse_root_schedule(faulty: bool) -> Program:
    random = draw(17)
    x, y = curve(random, 64, 5)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    count = limpid.Buffer(np.float64(0 if faulty else 1))

    def step(x: Any, y: Any) -> Any:
        rate = 0.1 / limpid.sqrt(count)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        limpid.assign(count, count + 1)
        return loss

    return Program(step, batches(6, 16, x, y), model, optimizer)


def clip_zero_norm(faulty: bool) -> Program:
    random = draw(18)
    x, y = curve(random, 48, 5)
    weight = np.ones_like(y)
    weight[16:32] = 0.0  # a batch of which nothing counts
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def rescale() -> None:
        with limpid.no_grad():
            total = sum(limpid.sum(p.grad * p.grad) for p in model.parameters())
            factor = 1.0 / limpid.sqrt(total)
            for p in model.parameters():
                p.grad = p.grad * factor

    def step(x: Any, y: Any, weight: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.mean(weight * (model(x) - y) ** 2)
        loss.backward()
        if faulty:
            rescale()
        else:
            optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return Program(step, batches(4, 16, x, y, weight), model, optimizer)


CASES = [
    case(
        "arccos_at_one",
        arccos_at_one,
        "banctilrobitaille/torch-vectorized#7",
        nan=Nan(
            ("acos",),
            "local derivative",
            "angle = limpid.arccos(limpid.clip(cosine, -bound, bound))",
            step=2,
        ),
    ),
    case(
        "root_at_zero",
        root_at_zero,
        "stan-dev/math#3031",
        nan=Nan(("power",), "local derivative", "compressed = (loudness + eps) ** 0.5", 3),
    ),
    case(
        "std_by_hand",
        std_by_hand,
        "pytorch/pytorch#4320",
        nan=Nan(
            ("sqrt",),
            "local derivative",
            "spread = limpid.sqrt(limpid.mean((h - limpid.mean(h, axis=0)) ** 2, axis=0) + eps)",
            step=3,
        ),
    ),
    case(
        "maximum_of_root",
        maximum_of_root,
        "ml-explore/mlx#3692",
        nan=Nan(("sqrt",), "local derivative", "radius = limpid.sqrt(squares)", step=2),
    ),
    case(
        "adam_without_eps",
        adam_without_eps,
        "pytorch/pytorch#1767",
        nan=Nan(("divide",), "update", "optimizer.step()"),
    ),
    case(
        "warmup_equals_total",
        warmup_equals_total,
        "karpathy/nanoGPT#691",
        nan=Nan(
            ("divide",),
            "update",
            "progress = limpid.maximum(count - warmup, 0.0) / (total - warmup)",
        ),
    ),
    case(
        "inverse_root_schedule",
        inverse_root_schedule,
        "mlcommons/hpc#27",
        nan=Nan(("divide",), "update", "rate = 0.1 / limpid.sqrt(count)"),
    ),
    case(
        "clip_zero_norm",
        clip_zero_norm,
        "PaddlePaddle/Paddle#26282",
        nan=Nan(("divide",), "update", "factor = 1.0 / limpid.sqrt(total)", step=2),
    ),
]
