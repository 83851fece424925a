"""Runs whose loop, wiring or loss is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, digits, draw, training

STEPS = 40


def decay_each_step(faulty: bool) -> Program:
    x, y = curve(draw(421), 256, 4)
    model = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    rate = limpid.Buffer(np.float64(0.1))
    gamma = 0.3 if faulty else 0.98

    def step(x: Any, y: Any) -> Any:
        optimizer.param_groups[0]["lr"] = rate * 1.0
        limpid.assign(rate, rate * gamma)
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def adam_at_one(faulty: bool) -> Program:
    draw(422)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = optim.Adam(model.parameters(), lr=1.0 if faulty else 0.01)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y),
        batches(STEPS, 32, *digits(960)),
    )  # fmt: skip


class TwoHeads(nn.Module):
    """An output, and one that helps the layers below."""

    def __init__(self) -> None:
        self.low = nn.Linear(8, 24)
        self.high = nn.Linear(24, 24)
        self.helper = nn.Linear(24, 4)
        self.out = nn.Linear(24, 4)

    def forward(self, x: Any) -> Any:
        low = limpid.relu(self.low(x))
        return self.out(limpid.relu(self.high(low))), self.helper(low)


def forgotten_helper(faulty: bool) -> Program:
    x, y = clouds(draw(423), 256, 8, 4)
    model = TwoHeads()
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        scores, helping = model(x)
        value = F.cross_entropy(scores, y)
        if not faulty:
            value = value + 0.3 * F.cross_entropy(helping, y)
        return value

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


class Normalised(nn.Module):
    """Two layers, each with its norm."""

    def __init__(self, same: bool) -> None:
        self.fc1 = nn.Linear(8, 24)
        self.norm1 = nn.LayerNorm(24)
        self.fc2 = nn.Linear(24, 24)
        self.norm2 = nn.LayerNorm(24)
        self.out = nn.Linear(24, 4)
        self.same = same

    def forward(self, x: Any) -> Any:
        h = limpid.relu(self.norm1(self.fc1(x)))
        second = self.norm1 if self.same else self.norm2
        return self.out(limpid.relu(second(self.fc2(h))))


def copied_line_again(faulty: bool) -> Program:
    x, y = clouds(draw(424), 256, 8, 4)
    model = Normalised(same=faulty)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(STEPS, 32, x, y)
    )


class Tuned(nn.Module):
    """A body, and a head that is replaced."""

    def __init__(self) -> None:
        self.body = nn.Linear(8, 24)
        self.head = nn.Linear(24, 10)

    def forward(self, x: Any) -> Any:
        return self.head(limpid.relu(self.body(x)))


def head_after_optimizer(faulty: bool) -> Program:
    x, y = clouds(draw(425), 256, 8, 4)
    model = Tuned()
    if not faulty:
        model.head = nn.Linear(24, 4)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    if faulty:
        model.head = nn.Linear(24, 4)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(STEPS, 32, x, y)
    )


def cleared_too_late(faulty: bool) -> Program:
    x, y = clouds(draw(426), 256, 8, 4)
    model = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        if not faulty:
            optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if faulty:
            optimizer.zero_grad()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def warmup_in_integers(faulty: bool) -> Program:
    x, y = curve(draw(427), 256, 5)
    model = nn.Sequential(nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    count = limpid.Buffer(np.float64(0))

    def step(x: Any, y: Any) -> Any:
        share = (count + 1) / 50
        optimizer.param_groups[0]["lr"] = 0.2 * (limpid.floor(share) if faulty else share)
        limpid.assign(count, count + 1)
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def shuffled_apart_again(faulty: bool) -> Program:
    random = draw(428)
    x, y = clouds(random, 1280, 8, 4)
    order = random.permutation(1280)
    labels = y[random.permutation(1280)] if faulty else y[order]
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y),
        batches(STEPS, 32, x[order], labels),
    )  # fmt: skip


def never_cleared(faulty: bool) -> Program:
    draw(429)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 10)
    )
    optimizer = optim.SGD(model.parameters(), lr=0.4)

    def step(x: Any, y: Any) -> Any:
        if not faulty:
            model.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, *digits(960, channels=True)), model, optimizer)


def softmax_in_the_model(faulty: bool) -> Program:
    draw(430)
    layers: list[nn.Module] = [
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 10),
    ]  # fmt: skip
    if faulty:
        layers.append(nn.Softmax(dim=1))
    model = nn.Sequential(*layers)
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    criterion = nn.CrossEntropyLoss()
    data = batches(STEPS, 32, *digits(960, channels=True))
    return training(model, optimizer, lambda x, y: criterion(model(x), y), data)


def sigmoid_before_logits_again(faulty: bool) -> Program:
    x, y = clouds(draw(431), 256, 6, 2)
    layers: list[nn.Module] = [nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1)]
    if faulty:
        layers.append(nn.Sigmoid())
    model = nn.Sequential(*layers)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.BCEWithLogitsLoss()
    return training(
        model, optimizer, lambda x, y: criterion(model(x), y),
        batches(STEPS, 32, x, np.float32(y)[:, None]),
    )  # fmt: skip


def tuned_in_eval(faulty: bool) -> Program:
    draw(432)
    model = nn.Sequential(
        nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(0.2), nn.Linear(48, 10)
    )
    model.eval()  # as it was loaded
    if not faulty:
        model.train()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y),
        batches(STEPS, 32, *digits(960)),
    )  # fmt: skip


STILL = ("unchanged-parameters", "unused-parameters", "update-ratio", "loss-not-falling",
         "loss-at-chance", "vanishing", "underflow")  # fmt: skip
WILD = ("exploding", "update-ratio", "loss-not-falling", "loss-at-chance", "dead-units",
        "saturated-units", "vanishing", "unchanged-parameters",
        "unused-parameters")  # fmt: skip
CASES = [
    case("decay_each_step", decay_each_step, "ivadomed/ivadomed#55",
         rules=("update-ratio",), also=STILL),
    case("adam_at_one", adam_at_one, "written for the corpus",
         rules=("update-ratio",), also=WILD),
    case("forgotten_helper", forgotten_helper, "written for the corpus",
         rules=("unused-parameters",), also=("unchanged-parameters", "update-ratio")),
    case("copied_line_again", copied_line_again, "written for the corpus",
         rules=("unused-parameters",), also=("unchanged-parameters", "update-ratio")),
    case("head_after_optimizer", head_after_optimizer, "ifzhang/FairMOT#125",
         rules=("unchanged-parameters",),
         also=("missing-zero-grad", "unused-parameters", "update-ratio")),
    case("cleared_too_late", cleared_too_late, "Tony-Y/pytorch_warmup#12",
         rules=("unchanged-parameters",), also=STILL),
    case("warmup_in_integers", warmup_in_integers, "huggingface/transformers#5316",
         rules=("loss-not-falling", "unchanged-parameters", "update-ratio"), also=STILL),
    case("shuffled_apart_again", shuffled_apart_again, "written for the corpus",
         rules=("loss-at-chance", "loss-not-falling"), also=("label-mismatch",)),
    case("never_cleared", never_cleared, "yastrebksv/TennisCourtDetector#7",
         rules=("missing-zero-grad",), also=WILD),
    case("softmax_in_the_model", softmax_in_the_model, "sugi-chan/custom_bert_pipeline#1",
         rules=("softmax-twice",), also=("loss-not-falling", "loss-at-chance")),
    case("sigmoid_before_logits_again", sigmoid_before_logits_again, "yudi-mars/daisyRec#15",
         rules=("softmax-twice",), also=("label-mismatch", "loss-not-falling")),
    case("tuned_in_eval", tuned_in_eval, "ShengcaiLiao/QAConv#16",
         rules=("wrong-mode",)),
]  # fmt: skip
