"""A `where` that guards an operation too late: the derivative of what it discards is 0 · ∞."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Nan, Program
from tests.faults.programs import batches, case, clouds, curve, draw, normal, training


def unit_vector(faulty: bool) -> Program:
    random = draw(81)
    x = normal(random, 32, 5)
    x[12] = 0.0
    y = normal(random, 32, 3)
    model = nn.Linear(5, 3, bias=False)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def normalised(v: Any) -> Any:
        length = limpid.vector_norm(v, axis=1, keepdims=True)
        if faulty:
            return limpid.where(length == 0, v, v / length)
        return v / limpid.where(length == 0, 1.0, length)

    def loss(x: Any, y: Any) -> Any:
        return -limpid.mean(limpid.sum(normalised(model(x)) * y, axis=1))

    return training(model, optimizer, loss, batches(4, 8, x, y))


class Compress(nn.Module):
    """x up to one, and √x beyond."""

    def __init__(self, late: bool) -> None:
        self.linear = nn.Linear(4, 8, bias=False)
        self.late = late

    def forward(self, x: Any) -> Any:
        size = limpid.abs(self.linear(x))
        if self.late:
            return limpid.where(size < 1.0, size, limpid.sqrt(size))
        return limpid.where(size < 1.0, size, limpid.sqrt(limpid.maximum(size, 1.0)))


def sqrt(faulty: bool) -> Program:
    random = draw(82)
    x, y = curve(random, 48, 4)
    x[40] = 0.0
    model = nn.Sequential(Compress(late=faulty), nn.Linear(8, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(3, 16, x, y), model, optimizer)


def softplus(faulty: bool) -> Program:
    random = draw(83)
    x, y = curve(random, 48, 4)
    body, head = nn.Linear(4, 10), nn.Linear(10, 1)
    model = nn.ModuleList([body, head])
    optimizer = optim.SGD(model.parameters(), lr=1e-6)

    def positive(x: Any) -> Any:
        if not faulty:
            return limpid.softplus(x)
        return limpid.where(x > 20, x, limpid.log(1 + limpid.exp(x)))

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(head(positive(body(x))), y)

    return training(model, optimizer, loss, batches(3, 16, 400 * x, y))


def log1p(faulty: bool) -> Program:
    random = draw(84)
    prices = np.exp(normal(random, 24, 5, scale=0.3))
    prices[18] = 0.0  # no trade
    y = normal(random, 24, 1)
    weights = nn.Linear(5, 1, bias=False)
    optimizer = optim.Adam(weights.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        change = weights(x) - 1.0
        if faulty:
            growth = limpid.where(change > -1.0, limpid.log1p(change), 0.0)
        else:
            growth = limpid.log1p(limpid.where(change > -1.0, change, 0.0))
        loss = limpid.mean((growth - y) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(3, 8, prices, y), weights, optimizer)


def nan_target(faulty: bool) -> Program:
    random = draw(85)
    x, y = curve(random, 48, 4)
    y[[5, 20, 33]] = np.nan  # not measured
    model = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        if faulty:
            each = limpid.where(limpid.isnan(y), 0.0, (model(x) - y) ** 2)
        else:
            prediction = model(x)
            each = (prediction - limpid.where(limpid.isnan(y), prediction, y)) ** 2
        return limpid.mean(each)

    return training(model, optimizer, loss, batches(3, 16, x, y))


def srgb(faulty: bool) -> Program:
    random = draw(86)
    x = np.abs(normal(random, 32, 3))
    x[3] = 0.0  # black
    y = np.clip(x, 0, 1) ** 0.45
    mixing = nn.Linear(3, 3, bias=False)
    optimizer = optim.SGD(mixing.parameters(), lr=0.05)
    nn.init.eye_(mixing.weight)

    def encoded(c: Any) -> Any:
        bent = c if faulty else limpid.where(c <= 0.0031308, 1.0, c)
        return limpid.where(c <= 0.0031308, 12.92 * c, 1.055 * bent ** (1 / 2.4) - 0.055)

    def loss(x: Any, y: Any) -> Any:
        return F.l1_loss(encoded(mixing(x)), y)

    return training(mixing, optimizer, loss, batches(3, 8, x, y))


def sinc(faulty: bool) -> Program:
    random = draw(87)
    x, y = clouds(random, 48, 4, 3)
    x[7] = 0.0
    body, head = nn.Linear(4, 10, bias=False), nn.Linear(10, 3)
    model = nn.ModuleList([body, head])
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def forward(x: Any) -> Any:
        a = body(x)
        if faulty:
            wave = limpid.where(a == 0, 1.0, limpid.sin(a) / a)
        else:
            safe = limpid.where(a == 0, 1.0, a)
            wave = limpid.where(a == 0, 1.0, limpid.sin(safe) / safe)
        return head(wave)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(3, 16, x, y), model, optimizer)


CASES = [
    case(
        "masked_unit_vector",
        unit_vector,
        "cleverhans-lab/cleverhans#324",
        nan=Nan(
            ("divide",),
            "local derivative",
            "return limpid.where(length == 0, v, v / length)",
            step=2,
        ),
        masked="return limpid.where(length == 0, v, v / length)",
    ),
    case(
        "masked_sqrt",
        sqrt,
        "jax-ml/jax#5798",
        nan=Nan(
            ("sqrt",),
            "local derivative",
            "return limpid.where(size < 1.0, size, limpid.sqrt(size))",
            step=3,
        ),
        masked="return limpid.where(size < 1.0, size, limpid.sqrt(size))",
    ),
    case(
        "masked_softplus",
        softplus,
        "pytorch/pytorch#17455",
        nan=Nan(
            ("exp",),
            "local derivative",
            "return limpid.where(x > 20, x, limpid.log(1 + limpid.exp(x)))",
        ),
        masked="return limpid.where(x > 20, x, limpid.log(1 + limpid.exp(x)))",
    ),
    case(
        "masked_log1p",
        log1p,
        "pytorch/pytorch#152088",
        nan=Nan(
            ("log1p",),
            "local derivative",
            "growth = limpid.where(change > -1.0, limpid.log1p(change), 0.0)",
            step=3,
        ),
        masked="growth = limpid.where(change > -1.0, limpid.log1p(change), 0.0)",
    ),
    case(
        "masked_nan_target",
        nan_target,
        "BLAST-AI-ML/synapse#237",
        nan=Nan(
            ("y",),
            "input",
            "each = limpid.where(limpid.isnan(y), 0.0, (model(x) - y) ** 2)",
        ),
        masked="each = limpid.where(limpid.isnan(y), 0.0, (model(x) - y) ** 2)",
    ),
    case(
        "masked_srgb",
        srgb,
        "tinygrad/tinygrad#9075",
        nan=Nan(
            ("power",),
            "local derivative",
            "return limpid.where(c <= 0.0031308, 12.92 * c, 1.055 * bent ** (1 / 2.4) - 0.055)",
        ),
        masked="return limpid.where(c <= 0.0031308, 12.92 * c, 1.055 * bent ** (1 / 2.4) - 0.055)",
    ),
    case(
        "masked_sinc",
        sinc,
        "jax-ml/jax#1722",
        nan=Nan(
            ("divide",),
            "local derivative",
            "wave = limpid.where(a == 0, 1.0, limpid.sin(a) / a)",
        ),
        masked="wave = limpid.where(a == 0, 1.0, limpid.sin(a) / a)",
    ),
]
