"""A `where` that guards an operation too late: the derivative of what it discards is 0 · ∞.

Where the NaN is born is where it starts to matter: not in a value that the `where` discards, but
in the derivative that it can't discard.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Nan, Program
from tests.faults.programs import batches, case, clouds, curve, draw, normal, training


def log(faulty: bool) -> Program:
    random = draw(21)
    x, y = curve(random, 48, 5)
    x[20] = 0.0  # a silent frame
    body, head = nn.Linear(5, 10, bias=False), nn.Linear(10, 1)
    model = nn.ModuleList([body, head])
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        energy = limpid.square(body(x))
        if faulty:
            level = limpid.where(energy > 0, limpid.log(energy), 0.0)
        else:
            heard = limpid.where(energy > 0, energy, 1.0)
            level = limpid.where(energy > 0, limpid.log(heard), 0.0)
        return F.mse_loss(head(level), y)

    return training(model, optimizer, loss, batches(3, 16, x, y))


def norm(faulty: bool) -> Program:
    random = draw(22)
    first, second = normal(random, 24, 4), normal(random, 24, 4)
    second[13] = first[13]
    y = np.abs(normal(random, 24))
    model = nn.Linear(4, 3)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(a: Any, b: Any, y: Any) -> Any:
        apart = model(a) - model(b)
        squares = limpid.sum(apart * apart, axis=1)
        if faulty:
            r = limpid.sqrt(squares)
            r = limpid.where(r > 0.1, r, 0.1)
        else:
            r = limpid.sqrt(limpid.where(squares > 0.01, squares, 0.01))
        return limpid.mean((r - y) ** 2)

    return training(model, optimizer, loss, batches(3, 8, first, second, y))


def exp(faulty: bool) -> Program:
    random = draw(23)
    x, y = clouds(random, 48, 6, 3)
    body, head = nn.Linear(6, 8), nn.Linear(8, 3)
    model = nn.ModuleList([body, head])
    optimizer = optim.SGD(model.parameters(), lr=1e-4)

    def activation(a: Any) -> Any:
        if faulty:
            return limpid.where(a <= 0, limpid.exp(a), 1 + a)
        return limpid.where(a <= 0, limpid.exp(limpid.minimum(a, 0.0)), 1 + a)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(head(activation(body(x))), y)

    return training(model, optimizer, loss, batches(3, 16, 60 * x, y))


def coulomb(faulty: bool) -> Program:
    random = draw(24)
    charges = np.abs(normal(random, 12, 5)) + 0.5
    energies = normal(random, 12)
    shift = normal(random, 12, 5, 3)
    model = nn.Linear(3, 3)
    optimizer = optim.SGD(model.parameters(), lr=1e-3)
    keep = ~np.eye(5, dtype=bool)

    def loss(place: Any, charges: Any, energies: Any) -> Any:
        place = model(place)
        apart = place[:, :, None] - place[:, None]  # (batch, atom, atom, 3)
        distance = limpid.vector_norm(apart, axis=-1)
        pairs = charges[:, :, None] * charges[:, None]
        if faulty:
            energy = limpid.where(keep, pairs / distance, 0.0)
        else:
            energy = limpid.where(keep, pairs / limpid.where(keep, distance, 1.0), 0.0)
        return limpid.mean((limpid.sum(energy, axis=(1, 2)) / 2 - energies) ** 2)

    return training(model, optimizer, loss, batches(3, 4, shift, charges, energies))


def arctan2(faulty: bool) -> Program:
    random = draw(25)
    x = normal(random, 32, 4)
    x[21] = 0.0
    y = normal(random, 32)
    model = nn.Linear(4, 2, bias=False)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        point = model(x)
        a, b = point[:, 0], point[:, 1]
        still = (a == 0) & (b == 0)
        if faulty:
            heading = limpid.where(still, 0.0, limpid.arctan2(a, b))
        else:
            heading = limpid.where(still, 0.0, limpid.arctan2(a, limpid.where(still, 1.0, b)))
        return limpid.mean((heading - y) ** 2)

    return training(model, optimizer, loss, batches(4, 8, x, y))


def segment_mean(faulty: bool) -> Program:
    random = draw(26)
    x = normal(random, 60, 4)
    owner = random.integers(0, 6, 60)
    owner[owner == 3] = 2  # nothing belongs to the fourth group
    members = np.float32(owner == np.arange(6)[:, None])  # (group, row)
    y = normal(random, 6, 1)
    body, head = nn.Linear(4, 8), nn.Linear(8, 1)
    model = nn.ModuleList([body, head])
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def loss(x: Any, members: Any, y: Any) -> Any:
        total = members @ limpid.tanh(body(x))
        count = limpid.sum(members, axis=1, keepdims=True)
        if faulty:
            mean = limpid.where(count > 0, total / count, 0.0)
        else:
            mean = limpid.where(count > 0, total / limpid.maximum(count, 1.0), 0.0)
        return F.mse_loss(head(mean), y)

    return training(model, optimizer, loss, [(x, members, y)] * 3)


def entropy(faulty: bool) -> Program:
    random = draw(27)
    x, y = clouds(random, 48, 6, 4)
    model = nn.Linear(6, 4)
    optimizer = optim.SGD(model.parameters(), lr=1e-3)

    def loss(x: Any, y: Any) -> Any:
        scores = model(x)
        p = limpid.softmax(scores)
        if faulty:
            surprise = limpid.where(p > 0, p * limpid.log(p), 0.0)
        else:
            surprise = p * limpid.log_softmax(scores)
        return F.cross_entropy(scores, y) + 0.01 * limpid.mean(limpid.sum(surprise, axis=1))

    return training(model, optimizer, loss, batches(3, 16, 80 * x, y))


def _masked(name: str, make: Any, source: str, producers: tuple[str, ...], line: str,
            step: int = 1, where: str = "") -> Any:  # fmt: skip
    nan = Nan(producers, "local derivative", line, step)
    return case(name, make, source, nan=nan, masked=where or line)


CASES = [
    _masked(
        "masked_log",
        log,
        "tensorflow/tensorflow#38349",
        ("log",),
        "level = limpid.where(energy > 0, limpid.log(energy), 0.0)",
        step=2,
    ),
    _masked(
        "masked_norm",
        norm,
        "jax-ml/jax#347",
        ("sqrt",),
        "r = limpid.sqrt(squares)",
        step=2,
        where="r = limpid.where(r > 0.1, r, 0.1)",
    ),
    _masked(
        "masked_exp",
        exp,
        "pytorch/pytorch#68425",
        ("exp",),
        "return limpid.where(a <= 0, limpid.exp(a), 1 + a)",
    ),
    _masked(
        "masked_coulomb",
        coulomb,
        "jax-ml/jax#654",
        ("divide",),
        "energy = limpid.where(keep, pairs / distance, 0.0)",
    ),
    _masked(
        "masked_arctan2",
        arctan2,
        "jax-ml/jax#1052",
        ("atan2",),
        "heading = limpid.where(still, 0.0, limpid.arctan2(a, b))",
        step=3,
    ),
    _masked(
        "masked_segment_mean",
        segment_mean,
        "pytorch/pytorch#4132",
        ("divide",),
        "mean = limpid.where(count > 0, total / count, 0.0)",
    ),
    _masked(
        "masked_entropy",
        entropy,
        "pyro-ppl/numpyro#1696",
        ("log", "multiply"),
        "surprise = limpid.where(p > 0, p * limpid.log(p), 0.0)",
    ),
]
