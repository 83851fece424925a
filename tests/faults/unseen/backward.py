"""NaN and infinity that are born in a local derivative or in the update."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Nan, Program
from tests.faults.programs import batches, case, clouds, draw, normal, training


def pairwise_diagonal(faulty: bool) -> Program:
    random = draw(71)
    x, y = clouds(random, 36, 6, 3)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        h = model(x)
        apart = h[:, None, :] - h[None, :, :]
        squares = limpid.sum(apart**2, axis=-1)
        if not faulty:
            squares = squares + 1e-8
        distances = limpid.sqrt(squares)
        same = y[:, None] == y[None, :]
        return limpid.mean(limpid.where(same, distances, limpid.relu(1.0 - distances)))

    return training(model, optimizer, loss, batches(3, 12, x, y))


def norm_at_zero(faulty: bool) -> Program:
    random = draw(72)
    anchor, positive, negative = (normal(random, 24, 5) for _ in range(3))
    positive[11] = anchor[11]  # the same picture twice
    model = nn.Linear(5, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def distance(a: Any, b: Any) -> Any:
        difference = model(a) - model(b)
        if faulty:
            return limpid.sqrt(limpid.sum(difference * difference, axis=1))
        return limpid.vector_norm(difference, axis=1)

    def step(anchor: Any, positive: Any, negative: Any) -> Any:
        optimizer.zero_grad()
        margin = distance(anchor, positive) - distance(anchor, negative) + 1.0
        loss = limpid.mean(limpid.log1p(limpid.exp(margin)))
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(3, 8, anchor, positive, negative), model, optimizer)


def atan2_at_origin(faulty: bool) -> Program:
    random = draw(73)
    x = normal(random, 32, 5)
    x[27] = 0.0
    y = random.uniform(-3, 3, 32).astype(np.float32)
    model = nn.Linear(5, 2, bias=not faulty)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        out = model(x)
        angle = limpid.arctan2(out[:, 1], out[:, 0])
        loss = limpid.mean(1 - limpid.cos(angle - y))
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(4, 8, x, y), model, optimizer)


def renormalised_zero(faulty: bool) -> Program:
    random = draw(74)
    x, y = clouds(random, 64, 6, 3)
    model = nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 3))
    for layer in (model[0], model[2]):
        nn.init.zeros_(layer.bias)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    count = limpid.Buffer(np.float64(0))

    def step(x: Any, y: Any) -> Any:
        optimizer.param_groups[0]["lr"] = 0.1 * limpid.minimum(count / 5, 1.0)
        limpid.assign(count, count + 1)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        with limpid.no_grad():
            for p in model.parameters():
                if faulty or p.ndim == 2:
                    direction = p / limpid.vector_norm(p)
                    limpid.assign(p, direction)
        return loss

    return Program(step, batches(4, 16, x, y), model, optimizer)


CASES = [
    case(
        "pairwise_diagonal",
        pairwise_diagonal,
        "pytorch/pytorch#37154",
        nan=Nan(("sqrt",), "local derivative", "distances = limpid.sqrt(squares)"),
    ),
    case(
        "norm_at_zero",
        norm_at_zero,
        "pytorch/pytorch#2421",
        nan=Nan(
            ("sqrt",),
            "local derivative",
            "return limpid.sqrt(limpid.sum(difference * difference, axis=1))",
            step=2,
        ),
    ),
    case(
        "atan2_at_origin",
        atan2_at_origin,
        "facebookresearch/fairchem#1574",
        nan=Nan(
            ("atan2",), "local derivative", "angle = limpid.arctan2(out[:, 1], out[:, 0])", step=4
        ),
    ),
    case(
        "renormalised_zero",
        renormalised_zero,
        "marin-community/marin#9054",
        nan=Nan(("divide",), "update", "direction = p / limpid.vector_norm(p)"),
    ),
]
