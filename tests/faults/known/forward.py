"""NaN and infinity that are born in the forward pass."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Nan, Program
from tests.faults.programs import batches, case, clouds, curve, draw, normal, training


def softmax_by_hand(faulty: bool) -> Program:
    random = draw(1)
    x, y = clouds(random, 64, 6, 3)
    model = nn.Linear(6, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def probabilities(scores: Any) -> Any:
        if not faulty:
            scores = scores - limpid.max(scores, axis=1, keepdims=True)
        weights = limpid.exp(scores)
        return weights / limpid.sum(weights, axis=1, keepdims=True)

    def loss(x: Any, y: Any) -> Any:
        p = probabilities(model(x))
        return -limpid.mean(limpid.log(limpid.take_along_axis(p, y[:, None], axis=1) + 1e-9))

    return training(model, optimizer, loss, batches(6, 16, 40 * x, y))


def learning_rate_overflow(faulty: bool) -> Program:
    random = draw(2)
    x, y = curve(random, 64, 8)
    model = nn.Linear(8, 1)
    optimizer = optim.SGD(model.parameters(), lr=1.0 if faulty else 0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        error = model(x) - y
        loss = limpid.mean(error**2)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(20, 32, 4 * x, y), model, optimizer)


def std_of_one_sample(faulty: bool) -> Program:
    random = draw(3)
    x, y = curve(random, 25, 5)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh())
    head = nn.Linear(8, 1)
    both = nn.ModuleList([model, head])
    optimizer = optim.Adam(both.parameters(), lr=0.01)
    correction = 1 if faulty else 0  # divided by n − 1, as usual for samples; or by n

    def loss(x: Any, y: Any) -> Any:
        h = model(x)
        spread = limpid.std(h, axis=0, correction=correction)
        h = (h - limpid.mean(h, axis=0)) / (spread + 1e-5)
        return F.mse_loss(head(h), y)

    data = [(x[i : i + 8], y[i : i + 8]) for i in (0, 8, 16, 24)]  # one is left over
    return training(both, optimizer, loss, data)


def half_sum(faulty: bool) -> Program:
    random = draw(4)
    x, y = curve(random, 512, 4)
    model = nn.Linear(4, 1, dtype="float16")
    optimizer = optim.SGD(model.parameters(), lr=0.02)

    def loss(x: Any, y: Any) -> Any:
        error = model(x) - y
        if not faulty:
            error = limpid.astype(error, "float32")
        return limpid.sum(error * error) / 512

    data = batches(4, 512, x.astype(np.float16), (20 * y).astype(np.float16))
    return training(model, optimizer, loss, data)


class Calibration(nn.Module):
    """Rotations, corrected by a matrix."""

    def __init__(self) -> None:
        self.matrix = limpid.Parameter(np.eye(3, dtype=np.float32))

    def forward(self, x: Any) -> Any:
        return x @ self.matrix


def arccos_outside(faulty: bool) -> Program:
    random = draw(5)
    rotations = np.eye(3, dtype=np.float32) + normal(random, 32, 3, 3, scale=2e-3)
    angles = np.abs(normal(random, 32, scale=0.01))
    model = Calibration()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def loss(x: Any, y: Any) -> Any:
        turned = model(x)
        cosine = (limpid.trace(turned, axis1=-2, axis2=-1) - 1) / 2
        if not faulty:
            cosine = limpid.clip(cosine, -0.9999, 0.9999)
        angle = limpid.arccos(cosine)
        return limpid.mean((angle - y) ** 2)

    return training(model, optimizer, loss, batches(4, 8, rotations, angles))


class Attention(nn.Module):
    """One head of attention that looks at what the mask shows."""

    def __init__(self, width: int) -> None:
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.head = nn.Linear(width, 1)

    def forward(self, x: Any, visible: Any) -> Any:
        scores = self.query(x) @ limpid.matrix_transpose(self.key(x)) / 2.0
        scores = limpid.where(visible, scores, -np.inf)
        weights = limpid.softmax(scores, axis=-1)
        return self.head(limpid.mean(weights @ self.value(x), axis=1))


def fully_masked_row(faulty: bool) -> Program:
    random = draw(6)
    x = normal(random, 24, 5, 4)
    y = x.mean(axis=(1, 2))[:, None]
    lengths = random.integers(1, 6, 24)
    lengths[9] = 0  # a sequence of padding only
    visible = np.broadcast_to((np.arange(5) < lengths[:, None])[:, None, :], (24, 5, 5))
    if not faulty:
        visible = visible | np.eye(5, dtype=bool)
    model = Attention(4)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, visible: Any, y: Any) -> Any:
        return F.mse_loss(model(x, visible), y)

    return training(model, optimizer, loss, batches(6, 8, x, visible, y))


CASES = [
    case(
        "softmax_by_hand",
        softmax_by_hand,
        "tensorflow/tensorflow#10142",
        nan=Nan(("exp",), "forward", "weights = limpid.exp(scores)", 2),
    ),
    case(
        "learning_rate_overflow",
        learning_rate_overflow,
        "facebookresearch/maskrcnn-benchmark#295",
        nan=Nan(("power",), "forward", "loss = limpid.mean(error**2)", 18),
    ),
    case(
        "std_of_one_sample",
        std_of_one_sample,
        "karpathy/makemore#22",
        nan=Nan(
            ("std",), "forward", "spread = limpid.std(h, axis=0, correction=correction)", step=4
        ),
    ),
    case(
        "half_sum",
        half_sum,
        "tracel-ai/burn#4109",
        nan=Nan(("sum",), "forward", "return limpid.sum(error * error) / 512"),
    ),
    case(
        "arccos_outside",
        arccos_outside,
        "pytorch/pytorch#8069",
        nan=Nan(("acos",), "forward", "angle = limpid.arccos(cosine)"),
    ),
    case(
        "fully_masked_row",
        fully_masked_row,
        "jadore801120/attention-is-all-you-need-pytorch#5",
        nan=Nan(("softmax",), "forward", "weights = limpid.softmax(scores, axis=-1)", step=2),
    ),
]
