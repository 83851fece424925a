"""Runs in which something isn't connected, or is measured against the wrong thing."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, digits, draw, training

STEPS = 40


class TwoHeads(nn.Module):
    """A trunk with a head for the task, and one that helps."""

    def __init__(self) -> None:
        self.trunk = nn.Linear(8, 32)
        self.main = nn.Linear(32, 4)
        self.helper = nn.Linear(32, 1)

    def forward(self, x: Any) -> Any:
        h = limpid.relu(self.trunk(x))
        return self.main(h), self.helper(h)


def unused_head(faulty: bool) -> Program:
    random = draw(211)
    x, y = clouds(random, 128, 8, 4)
    size = np.float32(np.linalg.norm(x, axis=1, keepdims=True) / 10)
    model = TwoHeads()
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any, size: Any) -> Any:
        optimizer.zero_grad()
        scores, guess = model(x)
        loss = F.cross_entropy(scores, y)
        if not faulty:
            loss = loss + 0.1 * F.mse_loss(guess, size)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y, size), model, optimizer)


class Net(nn.Module):
    """A body of two layers, and a head."""

    def __init__(self) -> None:
        self.body = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.head = nn.Linear(16, 4)

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


def only_head_optimised(faulty: bool) -> Program:
    random = draw(212)
    x, y = clouds(random, 128, 8, 4)
    model = Net()
    chosen = model.head.parameters() if faulty else model.parameters()
    optimizer = optim.SGD(chosen, lr=0.1, momentum=0.9)

    def step(x: Any, y: Any) -> Any:
        model.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def missing_zero_grad(faulty: bool) -> Program:
    random = draw(213)
    x, y = curve(random, 128, 6)
    model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.02 if faulty else 0.1)

    def step(x: Any, y: Any) -> Any:
        if not faulty:
            optimizer.zero_grad(set_to_none=False)
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def eval_while_training(faulty: bool) -> Program:
    draw(214)
    x, y = digits(640)
    model = nn.Sequential(
        nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(0.2), nn.Linear(48, 10)
    )
    model.eval()
    model(x[:32])  # does it run at all?
    if not faulty:
        model.train()
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 64, x, y))


def shuffled_labels(faulty: bool) -> Program:
    random = draw(215)
    x, y = clouds(random, 1280, 8, 4)
    if faulty:
        y = random.permutation(y)  # sorted apart from the images
    model = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.005)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def softmax_layer_conv(faulty: bool) -> Program:
    draw(216)
    x, y = digits(640, channels=True)
    layers = [
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    ]  # fmt: skip
    model = nn.Sequential(*layers, nn.Softmax(dim=1)) if faulty else nn.Sequential(*layers)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.005)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        output = model(x)
        loss = criterion(output, y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def sigmoid_before_logits(faulty: bool) -> Program:
    random = draw(217)
    x, y = clouds(random, 128, 6, 2)
    labels = np.float32(y)[:, None]
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.BCEWithLogitsLoss() if faulty else nn.BCELoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, labels), model, optimizer)


def too_many_outputs(faulty: bool) -> Program:
    random = draw(218)
    classes = 4 if faulty else 12  # of which a batch of eight shows some
    x, y = clouds(random, 240, 10, classes)
    order = random.permutation(240)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 200 if faulty else 12))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(60, 8, x[order], y[order]))


CASES = [
    case(
        "unused_head",
        unused_head,
        "pytorch/pytorch#57776",
        rules=("unused-parameters",),
        also=("unchanged-parameters",),
    ),
    case(
        "only_head_optimised",
        only_head_optimised,
        "zjunlp/HVPNeT#5",
        rules=("unchanged-parameters",),
        also=("unused-parameters",),
    ),
    case(
        "missing_zero_grad",
        missing_zero_grad,
        "pytorch/pytorch#47175",
        rules=("missing-zero-grad",),
        also=("loss-not-falling", "update-ratio", "exploding", "saturated-units"),
    ),
    case(
        "eval_while_training",
        eval_while_training,
        "ermongroup/ncsn#2",
        rules=("wrong-mode",),
    ),
    case(
        "shuffled_labels",
        shuffled_labels,
        "keras-team/keras#7520",
        rules=("loss-at-chance",),
        also=("loss-not-falling", "label-mismatch"),
    ),
    case(
        "softmax_layer_conv",
        softmax_layer_conv,
        "bowang-lab/Transformer-GCN-QA#32",
        rules=("softmax-twice",),
        also=("loss-not-falling",),
    ),
    case(
        "sigmoid_before_logits",
        sigmoid_before_logits,
        "lopuhin/kaggle-imet-2019#3",
        rules=("softmax-twice",),
        also=("loss-not-falling",),
    ),
    case(
        "too_many_outputs",
        too_many_outputs,
        "aladdinpersson/Machine-Learning-Collection#89",
        rules=("label-mismatch",),
    ),
]
