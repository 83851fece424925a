"""Runs in which a part is left out, never moves, keeps old gradients, or is in the wrong mode."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, digits, draw, normal, training

STEPS = 40


class Copied(nn.Module):
    """Convolutions; one line of `forward` may have been copied and not changed."""

    def __init__(self, copied: bool) -> None:
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(128, 10)
        self.copied = copied

    def forward(self, x: Any) -> Any:
        h = F.max_pool2d(limpid.relu(self.conv1(x)), 2)
        h = limpid.relu(self.conv2(h))
        third = self.conv2 if self.copied else self.conv3
        h = limpid.relu(third(h))
        return self.head(limpid.reshape(h, (h.shape[0], 128)))


def copied_line(faulty: bool) -> Program:
    draw(221)
    x, y = digits(320, channels=True)
    model = Copied(copied=faulty)
    optimizer = optim.Adam(model.parameters(), lr=0.004)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(40, 40, x, y))


class TwoTasks(nn.Module):
    """A body with two heads."""

    def __init__(self) -> None:
        self.body = nn.Linear(6, 24)
        self.value = nn.Linear(24, 1)
        self.kind = nn.Linear(24, 3)

    def forward(self, x: Any) -> tuple[Any, Any]:
        h = limpid.tanh(self.body(x))
        return self.value(h), self.kind(h)


def second_loss_not_added(faulty: bool) -> Program:
    random = draw(222)
    x, value = curve(random, 192, 6)
    kind = np.digitize(x[:, 0] + x[:, 1], [-0.4, 0.4])
    model = TwoTasks()
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, value: Any, kind: Any) -> Any:
        optimizer.zero_grad()
        guess, scores = model(x)
        loss = F.mse_loss(guess, value)
        auxiliary = 0.5 * F.cross_entropy(scores, kind)
        if not faulty:
            loss = loss + auxiliary
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 48, x, value, kind), model, optimizer)


class Tagger(nn.Module):
    """An encoder, and what is read off its last state."""

    def __init__(self) -> None:
        self.encoder = nn.GRU(4, 16, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Any) -> Any:
        states, _ = self.encoder(x)
        return self.head(states[:, -1])


def encoder_not_in_optimizer(faulty: bool) -> Program:
    random = draw(223)
    x = normal(random, 144, 6, 4)
    y = np.argmax(x[:, 3:, :3].sum(axis=1), axis=1)
    model = Tagger()
    chosen = model.head.parameters() if faulty else model.parameters()
    optimizer = optim.Adam(chosen, lr=0.02)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(50, 48, x, y))


def rebound_in_the_loop(faulty: bool) -> Program:
    random = draw(224)
    x = normal(random, 160, 6)
    y = x @ normal(random, 6, 1) + normal(random, 160, 1, scale=0.1)
    model = nn.Linear(6, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.02)

    def update() -> None:
        """Plain descent, written out to experiment with it."""
        with limpid.no_grad():
            for group in optimizer.param_groups:
                for p in group["params"]:
                    new = p - group["lr"] * p.grad
                    if faulty:
                        p = new  # the name, not the parameter
                    else:
                        limpid.assign(p, new)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        update()
        return loss

    return Program(step, batches(STEPS, 40, x, y), model, optimizer)


def zeroed_before_the_loop(faulty: bool) -> Program:
    random = draw(225)
    x, y = curve(random, 160, 5)
    model = nn.Sequential(nn.Linear(5, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    optimizer.zero_grad()

    def step(x: Any, y: Any) -> Any:
        if not faulty:
            optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def accumulated_for_ever(faulty: bool) -> Program:
    random = draw(226)
    x = normal(random, 192, 8)
    y = np.abs(x @ normal(random, 8, 2, scale=0.3))
    model = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        if not faulty:
            optimizer.zero_grad()
        total = 0.0
        for k in (0, 16, 32):
            loss = F.mse_loss(model(x[k : k + 16]), y[k : k + 16]) / 3
            loss.backward()
            total = total + loss
        optimizer.step()
        return total

    return Program(step, batches(STEPS, 48, x, y), model, optimizer)


def convolutions(drop: float) -> nn.Sequential:
    """A small network that behaves otherwise while it is evaluated."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
        nn.Dropout(drop), nn.Linear(128, 10),
    )  # fmt: skip


def loaded_for_inference(faulty: bool) -> Program:
    draw(227)
    x, y = digits(320, channels=True)
    model = convolutions(0.2).eval()  # as a loader of finished models hands it over
    if not faulty:
        model.train()
    optimizer = optim.Adam(model.parameters(), lr=0.005)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(25, 40, x, y))


def restless_teacher(faulty: bool) -> Program:
    random = draw(228)
    x, _ = clouds(random, 192, 8, 4)
    teacher = nn.Sequential(
        nn.Linear(8, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(0.5), nn.Linear(48, 4)
    )
    teacher.requires_grad_(False)
    if not faulty:
        teacher.eval()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        with limpid.no_grad():
            goal = teacher(x)
        loss = F.mse_loss(model(x), goal)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 48, x), model, optimizer)


CASES = [
    case(
        "copied_line",
        copied_line,
        "speechbrain/speechbrain#713",
        rules=("unused-parameters",),
        also=("unchanged-parameters",),
    ),
    case(
        "second_loss_not_added",
        second_loss_not_added,
        "OpenSparseLLMs/MoM#2",
        rules=("unused-parameters",),
        also=("unchanged-parameters",),
    ),
    case(
        "encoder_not_in_optimizer",
        encoder_not_in_optimizer,
        "zjunlp/HVPNeT#5",
        rules=("unchanged-parameters",),
        also=("unused-parameters", "missing-zero-grad"),
    ),
    case(
        "rebound_in_the_loop",
        rebound_in_the_loop,
        "EdwardDixon/snake#2",
        rules=("unchanged-parameters",),
        also=("loss-not-falling", "update-ratio", "loss-at-chance"),
    ),
    case(
        "zeroed_before_the_loop",
        zeroed_before_the_loop,
        "salesforce/corr_based_prediction#1",
        rules=("missing-zero-grad",),
        also=("update-ratio", "loss-not-falling"),
    ),
    case(
        "accumulated_for_ever",
        accumulated_for_ever,
        "facebookresearch/nwm#16",
        rules=("missing-zero-grad",),
        also=("update-ratio",),
    ),
    case(
        "loaded_for_inference",
        loaded_for_inference,
        "PaddlePaddle/ERNIE#481",
        rules=("wrong-mode",),
    ),
    case(
        "restless_teacher",
        restless_teacher,
        "vrvlive/knowlege-distillation#2",
        rules=("wrong-mode",),
    ),
]
