"""Runs whose loss stays where it was, or is not meant for what it is given."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, digits, draw, normal, training

STEPS = 40


def shuffled_apart(faulty: bool) -> Program:
    random = draw(231)
    x, y = curve(random, 512, 4)
    if faulty:
        y = y[random.permutation(512)]
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    nn.init.normal_(model[2].weight, std=0.05)
    nn.init.zeros_(model[2].bias)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(model(x), y)

    return training(model, optimizer, loss, [(x, y)] * STEPS)


def clipped_to_nothing(faulty: bool) -> Program:
    random = draw(232)
    x, y = clouds(random, 160, 8, 4)
    model = nn.Sequential(nn.Linear(8, 32), nn.ELU(), nn.Linear(32, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1e-4 if faulty else 1.0)
        optimizer.step()
        return loss

    return Program(step, [(x, y)] * STEPS, model, optimizer)


def sorted_as_words(faulty: bool) -> Program:
    draw(233)
    x, y = digits(800)
    if faulty:  # 0, 1, 10, 100, 101, …
        x = x[sorted(range(800), key=str)]
    model = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
    optimizer = optim.Adam(model.parameters(), lr=0.005)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(50, 100, x, y))


def every_word_unknown(faulty: bool) -> Program:
    random = draw(234)
    y = random.permutation(np.arange(240) % 4)
    words = 1 + (random.integers(0, 10, (240, 7)) + 8 * y[:, None]) % 34
    if faulty:
        words = np.zeros_like(words)  # the vocabulary is in lower case
    table, body, head = nn.Embedding(35, 16), nn.Linear(16, 16), nn.Linear(16, 4)
    model = nn.ModuleList([table, body, head])
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def loss(words: Any, y: Any) -> Any:
        h = limpid.mean(table(words), axis=1)
        return F.cross_entropy(head(limpid.relu(body(h))), y)

    return training(model, optimizer, loss, batches(STEPS, 60, words, y))


class NextWord(nn.Module):
    """What comes after two words."""

    def __init__(self, words: int, probabilities: bool) -> None:
        self.table = nn.Embedding(words, 12)
        self.body = nn.Linear(24, 32)
        self.head = nn.Linear(32, words)
        self.probabilities = probabilities

    def forward(self, x: Any) -> Any:
        h = limpid.reshape(self.table(x), (x.shape[0], 24))
        scores = self.head(limpid.tanh(self.body(h)))
        return F.softmax(scores, dim=1) if self.probabilities else scores


def probabilities_of_words(faulty: bool) -> Program:
    random = draw(235)
    x = random.integers(0, 9, (240, 2))
    y = (x[:, 0] + 2 * x[:, 1]) % 9
    model = NextWord(9, probabilities=faulty)
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.nll_loss(F.log_softmax(model(x), dim=1), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(60, 60, x, y), model, optimizer)


def distilled_probabilities(faulty: bool) -> Program:
    random = draw(236)
    x = normal(random, 192, 8)
    teacher = x @ normal(random, 8, 5)
    goal = np.exp(teacher - teacher.max(axis=1, keepdims=True))
    goal = (goal / goal.sum(axis=1, keepdims=True)).astype(np.float32)
    layers: list[nn.Module] = [nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 5)]
    if faulty:
        layers.append(nn.Softmax(dim=1))
    model = nn.Sequential(*layers)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    criterion = nn.CrossEntropyLoss()

    def step(x: Any, goal: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), goal)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 48, x, goal), model, optimizer)


def mask_of_bytes(faulty: bool) -> Program:
    random = draw(237)
    x, _ = digits(160, channels=True)
    mask = np.where(x > 0.5, 255, 0)  # as it is in the file
    y = (mask if faulty else mask / 255).astype(np.float32)
    x = x + normal(random, *x.shape, scale=0.1)
    model = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 1, 3, padding=1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.BCEWithLogitsLoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def hinge_of_zero_and_one(faulty: bool) -> Program:
    random = draw(238)
    x, y = clouds(random, 160, 6, 2)
    label = (y if faulty else 2 * y - 1).astype(np.float32)[:, None]
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.005)

    def loss(x: Any, y: Any) -> Any:
        return F.hinge_loss(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 40, x, label))


CASES = [
    case(
        "shuffled_apart",
        shuffled_apart,
        "mlcommons/GaNDLF#870",
        rules=("loss-not-falling",),
        also=("loss-at-chance", "label-mismatch"),
    ),
    case(
        "clipped_to_nothing",
        clipped_to_nothing,
        "twtygqyy/pytorch-vdsr#2",
        rules=("loss-not-falling", "update-ratio"),
        also=("loss-at-chance",),
    ),
    case(
        "sorted_as_words",
        sorted_as_words,
        "wkentaro/labelme#989",
        rules=("loss-at-chance",),
        also=("loss-not-falling", "label-mismatch"),
    ),
    case(
        "every_word_unknown",
        every_word_unknown,
        "freesunshine0316/neural-graph-to-seq-mp#17",
        rules=("loss-at-chance",),
        also=("loss-not-falling", "input-scale", "dead-units", "unused-parameters"),
    ),
    case(
        "probabilities_of_words",
        probabilities_of_words,
        "Randl/MobileNetV2-pytorch#5",
        rules=("softmax-twice",),
        also=("loss-not-falling", "loss-at-chance"),
    ),
    case(
        "distilled_probabilities",
        distilled_probabilities,
        "bowang-lab/Transformer-GCN-QA#32",
        rules=("softmax-twice",),
        also=("loss-not-falling", "loss-at-chance"),
    ),
    case(
        "mask_of_bytes",
        mask_of_bytes,
        "milesial/Pytorch-UNet#78",
        rules=("label-mismatch",),
        also=("exploding",),
    ),
    case(
        "hinge_of_zero_and_one",
        hinge_of_zero_and_one,
        "deepchem/deepchem#5017",
        rules=("label-mismatch",),
        also=("loss-not-falling",),
    ),
]
