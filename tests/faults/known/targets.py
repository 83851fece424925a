"""Runs whose loss doesn't fit its arguments, or whose data say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import data, nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, draw, training

STEPS = 40


def softmax_before_cross_entropy(faulty: bool) -> Program:
    random = draw(51)
    x, y = clouds(random, 128, 8, 4)
    fc1, fc2 = nn.Linear(8, 32), nn.Linear(32, 4)
    model = nn.ModuleList([fc1, fc2])
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def forward(x: Any) -> Any:
        a = fc2(limpid.relu(fc1(x)))
        return limpid.softmax(a, axis=-1) if faulty else a

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def log_softmax_twice(faulty: bool) -> Program:
    random = draw(52)
    x, y = clouds(random, 128, 8, 4)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4), nn.LogSoftmax(dim=1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    criterion = nn.CrossEntropyLoss() if faulty else nn.NLLLoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def zeroed_input(faulty: bool) -> Program:
    draw(53)
    digits = data.load_digits(scale="none")
    images = np.asarray(digits.train.x[:256]).reshape(256, -1)
    y = np.asarray(digits.train.y[:256])
    top = images.max() + 1
    # the division of integers leaves nothing
    x = (images // top if faulty else images / float(top)).astype(np.float32)
    model = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 64, x, y))


def signed_labels(faulty: bool) -> Program:
    random = draw(54)
    x, y = clouds(random, 128, 6, 2)
    labels = (2.0 * y - 1.0 if faulty else 1.0 * y).astype(np.float32)[:, None]
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.BCEWithLogitsLoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, labels), model, optimizer)


def labels_from_one(faulty: bool) -> Program:
    random = draw(55)
    x, y = clouds(random, 128, 8, 4)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 5 if faulty else 4))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y + 1 if faulty else y))


def broadcast_target(faulty: bool) -> Program:
    random = draw(56)
    x, y = curve(random, 128, 4)
    y = y[:, 0] if faulty else y
    model = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.mean((model(x) - y) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


CASES = [
    case(
        "softmax_before_cross_entropy",
        softmax_before_cross_entropy,
        "bkitano/llama-from-scratch#5",
        rules=("softmax-twice",),
        also=("loss-not-falling",),
    ),
    case(
        "log_softmax_twice",
        log_softmax_twice,
        "haitaobiyao/MCNet#2",
        rules=("softmax-twice",),
    ),
    case(
        "zeroed_input",
        zeroed_input,
        "avalonstrel/GatedConvolution_pytorch#27",
        rules=("loss-at-chance", "input-scale"),
        also=(
            "loss-not-falling",
            "unchanged-parameters",
            "unused-parameters",
            "vanishing",
            "dead-units",
        ),
    ),
    case(
        "signed_labels",
        signed_labels,
        "MontaEllis/Pytorch-Medical-Segmentation#8",
        rules=("label-mismatch",),
    ),
    case(
        "labels_from_one",
        labels_from_one,
        "pyg-team/pytorch_geometric#441",
        rules=("label-mismatch",),
    ),
    case(
        "broadcast_target",
        broadcast_target,
        "pytorch/pytorch#16045",
        rules=("label-mismatch",),
        also=("loss-not-falling", "loss-at-chance"),
    ),
]
