"""Runs in which something isn't connected, or not in the mode it should be in."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, draw, training

STEPS = 40


class Net(nn.Module):
    """A body, a layer that was planned for later, and a head."""

    def __init__(self, use_all: bool) -> None:
        self.fc1 = nn.Linear(8, 24)
        self.fc2 = nn.Linear(24, 24)
        self.out = nn.Linear(24, 4)
        self.use_all = use_all

    def forward(self, x: Any) -> Any:
        h = limpid.relu(self.fc1(x))
        if self.use_all:
            h = limpid.relu(self.fc2(h))
        return self.out(h)


def unused_layer(faulty: bool) -> Program:
    random = draw(41)
    x, y = clouds(random, 128, 8, 4)
    model = Net(use_all=not faulty)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


class Classifier(nn.Module):
    """Features, and what is read off them."""

    def __init__(self, detached: bool = False) -> None:
        self.features = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU())
        self.head = nn.Linear(16, 4)
        self.detached = detached

    def forward(self, x: Any) -> Any:
        features = self.features(x)
        if self.detached:
            features = features.detach()
        return self.head(features)


def detached_features(faulty: bool) -> Program:
    random = draw(42)
    x, y = clouds(random, 128, 8, 4)
    model = Classifier(detached=faulty)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def frozen_by_mistake(faulty: bool) -> Program:
    random = draw(43)
    x, y = clouds(random, 128, 8, 4)
    model = Classifier()
    model.features.requires_grad_(False)  # while the head warms up
    if not faulty:
        model.features.requires_grad_(True)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def never_stepped(faulty: bool) -> Program:
    random = draw(44)
    x, y = curve(random, 128, 6)
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        if not faulty:
            optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def wrong_sign(faulty: bool) -> Program:
    random = draw(45)
    x, y = curve(random, 128, 6)
    model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.02, maximize=faulty)  # it was for a reward

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def zero_grad_of_other(faulty: bool) -> Program:
    random = draw(46)
    x, y = clouds(random, 128, 8, 4)
    model = Classifier()
    slow = optim.SGD(model.features.parameters(), lr=0.02)
    fast = optim.SGD(model.head.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        fast.zero_grad()
        if not faulty:
            slow.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        slow.step()
        fast.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, slow)


class Regularised(nn.Module):
    """A classifier with normalisation and dropout."""

    def __init__(self) -> None:
        self.fc1 = nn.Linear(8, 32)
        self.norm = nn.BatchNorm1d(32)
        self.dropout = nn.Dropout(0.3)
        self.fc2 = nn.Linear(32, 4)

    def forward(self, x: Any) -> Any:
        h = limpid.relu(self.norm(self.fc1(x)))
        return self.fc2(self.dropout(h))


def eval_never_undone(faulty: bool) -> Program:
    random = draw(47)
    x, y = clouds(random, 160, 8, 4)
    held_x, held_y = x[128:], y[128:]
    model = Regularised()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    best = limpid.Buffer(np.float32(np.inf))

    def validate() -> None:
        model.eval()
        with limpid.no_grad():
            limpid.assign(best, limpid.minimum(best, F.cross_entropy(model(held_x), held_y)))

    def step(x: Any, y: Any) -> Any:
        validate()
        if not faulty:
            model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x[:128], y[:128]), model, optimizer)


def dropout_while_evaluating(faulty: bool) -> Program:
    random = draw(48)
    x, y = clouds(random, 160, 8, 4)
    held_x, held_y = x[128:], y[128:]
    model = Regularised()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    best = limpid.Buffer(np.float32(np.inf))

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if not faulty:
            model.eval()
        with limpid.no_grad():
            limpid.assign(best, limpid.minimum(best, F.cross_entropy(model(held_x), held_y)))
        model.train()
        return loss

    return Program(step, batches(STEPS, 32, x[:128], y[:128]), model, optimizer)


CASES = [
    case(
        "unused_layer",
        unused_layer,
        "pytorch/pytorch#57776",
        rules=("unused-parameters",),
        also=("unchanged-parameters",),
    ),
    case(
        "detached_features",
        detached_features,
        "speechbrain/speechbrain#1396",
        rules=("unused-parameters", "unchanged-parameters"),
    ),
    case(
        "frozen_by_mistake",
        frozen_by_mistake,
        "pytorch/pytorch#8582",
        rules=("unchanged-parameters",),
        also=("unused-parameters",),
    ),
    case(
        "never_stepped",
        never_stepped,
        "pytorch/pytorch#3358",
        rules=("unchanged-parameters", "loss-not-falling"),
        also=("update-ratio", "loss-at-chance"),
    ),
    case(
        "wrong_sign",
        wrong_sign,
        "jvmncs/safe-grid-agents#28",
        rules=("loss-not-falling",),
        also=("saturated-units", "exploding", "update-ratio"),
    ),
    case(
        "zero_grad_of_other",
        zero_grad_of_other,
        "IDEA-Research/DN-DETR#19",
        rules=("missing-zero-grad",),
        also=("update-ratio", "exploding", "dead-units", "loss-not-falling", "loss-at-chance"),
    ),
    case(
        "eval_never_undone",
        eval_never_undone,
        "wkentaro/pytorch-fcn#57",
        rules=("wrong-mode",),
    ),
    case(
        "dropout_while_evaluating",
        dropout_while_evaluating,
        "udacity/deep-learning-v2-pytorch#3",
        rules=("wrong-mode",),
    ),
]
