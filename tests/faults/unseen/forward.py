"""NaN and infinity that are born in the forward pass, or come with the data."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Nan, Program
from tests.faults.programs import batches, case, clouds, curve, draw, normal, training


def sigmoid_by_hand(faulty: bool) -> Program:
    random = draw(61)
    x, y = clouds(random, 64, 6, 2)
    model = nn.Linear(6, 1)
    optimizer = optim.SGD(model.parameters(), lr=1e-4)

    def squash(z: Any) -> Any:
        if faulty:
            return 1.0 / (1.0 + limpid.exp(-z))
        return limpid.sigmoid(z)

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(squash(model(x)), y)

    return training(model, optimizer, loss, batches(4, 16, 200 * x, np.float32(y)[:, None]))


def negative_base(faulty: bool) -> Program:
    random = draw(62)
    x, y = curve(random, 64, 5)
    body, head = nn.Linear(5, 12), nn.Linear(12, 1)
    model = nn.ModuleList([body, head])
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    gamma = 2.2

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        bright = body(x)
        if not faulty:
            bright = limpid.abs(bright) + 1e-4
        bright = bright**gamma
        loss = F.mse_loss(head(bright), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(3, 16, x, y), model, optimizer)


class PoissonRegression(nn.Module):
    """The rate of a count, on a logarithmic scale."""

    def __init__(self, features: int) -> None:
        self.linear = nn.Linear(features, 1)

    def forward(self, x: Any) -> Any:
        log_rate = self.linear(x)
        return limpid.exp(log_rate)


def poisson_exp(faulty: bool) -> Program:
    random = draw(63)
    x = np.abs(normal(random, 96, 3)) * 4
    y = random.poisson(np.exp(0.3 * x.sum(axis=1, keepdims=True))).astype(np.float32)
    model = PoissonRegression(3)
    optimizer = optim.SGD(model.parameters(), lr=0.2 if faulty else 1e-5)

    def loss(x: Any, y: Any) -> Any:
        rate = model(x)
        return limpid.mean(rate - y * limpid.log(rate + 1e-8))

    return training(model, optimizer, loss, batches(8, 32, x, y))


def mask_times_log(faulty: bool) -> Program:
    random = draw(64)
    x, y = clouds(random, 64, 6, 3)
    target = np.eye(3, dtype=np.float32)[y]
    model = nn.Linear(6, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    eps = 0.0 if faulty else 1e-6

    def step(x: Any, target: Any) -> Any:
        optimizer.zero_grad()
        scores = limpid.relu(model(x))
        p = scores / (limpid.sum(scores, axis=1, keepdims=True) + 1e-6)
        surprise = limpid.log(p + eps)
        loss = -limpid.mean(limpid.sum(target * surprise, axis=1))
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(3, 16, x, target), model, optimizer)


def bce_by_hand(faulty: bool) -> Program:
    random = draw(65)
    x, y = clouds(random, 64, 6, 2)
    labels = np.float32(y)[:, None]
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = optim.SGD(model.parameters(), lr=1e-3)

    def loss(x: Any, y: Any) -> Any:
        z = model(x)
        if not faulty:
            return F.binary_cross_entropy_with_logits(z, y)
        p = limpid.sigmoid(z)
        hit = y * limpid.log(p)
        miss = (1 - y) * limpid.log(1 - p)
        return -limpid.mean(hit + miss)

    return training(model, optimizer, loss, batches(4, 16, 60 * x, labels))


def cosine_of_zero(faulty: bool) -> Program:
    random = draw(66)
    left, right = random.integers(1, 20, 32), random.integers(1, 20, 32)
    left[20] = 0  # padding
    y = normal(random, 32)
    table = nn.Embedding(20, 6, padding_idx=0)
    optimizer = optim.Adam(table.parameters(), lr=0.01)

    def similarity(a: Any, b: Any) -> Any:
        lengths = limpid.vector_norm(a, axis=1) * limpid.vector_norm(b, axis=1)
        if not faulty:
            lengths = limpid.maximum(lengths, 1e-8)
        return limpid.sum(a * b, axis=1) / lengths

    def loss(left: Any, right: Any, y: Any) -> Any:
        return F.mse_loss(similarity(table(left), table(right)), y)

    return training(table, optimizer, loss, batches(4, 8, left, right, y))


def log_of_softmax(faulty: bool) -> Program:
    random = draw(67)
    x, y = clouds(random, 64, 8, 5)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 5))
    optimizer = optim.SGD(model.parameters(), lr=1e-4)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        scores = model(x)
        if faulty:
            p = limpid.softmax(scores, axis=1)
            log_p = limpid.log(p)
        else:
            log_p = limpid.log_softmax(scores, axis=1)
        loss = F.nll_loss(log_p, y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(4, 16, 300 * x, y), model, optimizer)


def masked_mean_of_nothing(faulty: bool) -> Program:
    random = draw(68)
    words = random.integers(0, 15, (32, 6))
    targets = (words + 1) % 15
    shown = np.float32(random.random((32, 6)) < 0.5)
    shown[16:24] = 0.0  # answers that were cut off
    table, head = nn.Embedding(15, 8), nn.Linear(8, 15)
    model = nn.ModuleList([table, head])
    optimizer = optim.AdamW(model.parameters(), lr=0.01)

    def loss(words: Any, targets: Any, shown: Any) -> Any:
        scores = head(table(words)).reshape(-1, 15)
        each = F.cross_entropy(scores, targets.reshape(-1), reduction="none")
        total = limpid.sum(each * shown.reshape(-1))
        count = limpid.sum(shown) if faulty else limpid.maximum(limpid.sum(shown), 1.0)
        return total / count

    return training(model, optimizer, loss, batches(4, 8, words, targets, shown))


class Net(nn.Module):
    """One hidden layer."""

    def __init__(self) -> None:
        self.fc1 = nn.Linear(6, 12)
        self.fc2 = nn.Linear(12, 1)

    def forward(self, x: Any) -> Any:
        h = limpid.tanh(self.fc1(x))
        return self.fc2(h)


def nan_in_data(faulty: bool) -> Program:
    random = draw(69)
    x, y = curve(random, 64, 6)
    if faulty:
        x[37, 2] = np.nan  # an empty cell of the table
    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(4, 16, x, y), model, optimizer)


def infinite_target(faulty: bool) -> Program:
    random = draw(70)
    x = normal(random, 48, 6)
    counts = random.poisson(3.0, (48, 1)) + 1
    counts[21] = 0
    with np.errstate(divide="ignore"):
        y = np.log(counts) if faulty else np.log1p(counts)
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        prediction = model(x)
        loss = F.mse_loss(prediction, y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(3, 16, x, np.float32(y)), model, optimizer)


CASES = [
    case(
        "sigmoid_by_hand",
        sigmoid_by_hand,
        "jeshraghian/snntorch#433",
        # 1/∞ is 0: the forward pass throws the infinity away, and the derivative meets it
        nan=Nan(("exp",), "local derivative", "return 1.0 / (1.0 + limpid.exp(-z))"),
        also=("unchanged-parameters",),  # true of both: sigmoids that flat move nothing at 1e-4
    ),
    case(
        "negative_base",
        negative_base,
        "tensorflow/tfjs#346",
        nan=Nan(("power",), "forward", "bright = bright**gamma"),
    ),
    case(
        "poisson_exp",
        poisson_exp,
        "statsmodels/statsmodels#3533",
        nan=Nan(("exp",), "forward", "return limpid.exp(log_rate)", step=2),
    ),
    case(
        "mask_times_log",
        mask_times_log,
        "keras-team/keras#590",
        nan=Nan(("log",), "forward", "surprise = limpid.log(p + eps)"),
    ),
    case(
        "bce_by_hand",
        bce_by_hand,
        "emited/VariationalRecurrentNeuralNetwork#2",
        nan=Nan(("log",), "forward", "miss = (1 - y) * limpid.log(1 - p)"),
    ),
    case(
        "cosine_of_zero",
        cosine_of_zero,
        "google-deepmind/optax#946",
        nan=Nan(("divide",), "forward", "return limpid.sum(a * b, axis=1) / lengths", step=3),
    ),
    case(
        "log_of_softmax",
        log_of_softmax,
        "deeplearning4j/deeplearning4j#785",
        nan=Nan(("log",), "forward", "log_p = limpid.log(p)"),
    ),
    case(
        "masked_mean_of_nothing",
        masked_mean_of_nothing,
        "X-PLUG/mPLUG-Owl#92",
        nan=Nan(("divide",), "forward", "return total / count", step=3),
    ),
    case(
        "nan_in_data",
        nan_in_data,
        "ratschlab/DeepSpot#9",
        nan=Nan(("x",), "input", "h = limpid.tanh(self.fc1(x))", step=3),
    ),
    case(
        "infinite_target",
        infinite_target,
        "prs-eth/Marigold#111",
        nan=Nan(("y",), "input", "loss = F.mse_loss(prediction, y)", step=2),
    ),
]
