"""Runs that suffer from sizes: of initial weights, of inputs, of steps, of numbers in float16."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.programs import batches, case, clouds, curve, draw, training

STEPS = 40


class Half(nn.Module):
    """Computes in float16; its parameters are float32."""

    def __init__(self) -> None:
        self.fc1 = nn.Linear(8, 32)
        self.fc2 = nn.Linear(32, 8)

    def forward(self, x: Any) -> Any:
        w1, b1, w2, b2 = (limpid.astype(p, "float16") for p in self.parameters())
        return F.linear(limpid.tanh(F.linear(x, w1, b1)), w2, b2)


def half_gradients(faulty: bool) -> Program:
    random = draw(31)
    x, _ = curve(random, 256, 8)
    target = np.tanh(x @ random.standard_normal((8, 8))).astype(np.float32)
    model = Half()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    share = 1e-5  # of this task among several
    scale = 1.0 if faulty else 2.0**17

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = share * F.mse_loss(limpid.astype(model(x), "float32"), y)
        (loss * scale).backward()
        for p in model.parameters():
            p.grad = p.grad / scale
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 128, x.astype(np.float16), target), model, optimizer)


def zero_init(faulty: bool) -> Program:
    random = draw(32)
    x, y = clouds(random, 128, 8, 4)
    model = nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)
    )
    for p in model.parameters():
        if faulty or p.ndim == 1:  # biases may well be zero
            nn.init.zeros_(p)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


def large_rate(faulty: bool) -> Program:
    random = draw(33)
    x, y = clouds(random, 128, 8, 4)
    model = nn.Sequential(nn.Linear(8, 24), nn.Tanh(), nn.Linear(24, 4))
    optimizer = optim.SGD(model.parameters(), lr=20.0 if faulty else 0.2)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def deep_sigmoid(faulty: bool) -> Program:
    random = draw(34)
    x, y = clouds(random, 128, 8, 4)
    layers: list[nn.Module] = []
    for k in range(12):
        layer = nn.Linear(8 if k == 0 else 24, 24)
        if not faulty:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        layers += [layer, nn.Sigmoid() if faulty else nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(24, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.002)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def unscaled_tanh(faulty: bool) -> Program:
    random = draw(35)
    x, y = curve(random, 128, 6)
    metres = 500 * (x + 1)
    model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, metres if faulty else x, y), model, optimizer)


def huge_head(faulty: bool) -> Program:
    random = draw(36)
    x, y = clouds(random, 128, 10, 5)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 5))
    nn.init.normal_(model[2].weight, std=10.0 if faulty else 0.1)
    optimizer = optim.Adam(model.parameters(), lr=0.005)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


def negative_bias(faulty: bool) -> Program:
    random = draw(37)
    x, y = clouds(random, 128, 8, 4)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    nn.init.constant_(model[0].bias, -10.0 if faulty else -0.2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(STEPS, 32, x, y))


class Net(nn.Module):
    """Two hidden layers."""

    def __init__(self) -> None:
        self.fc1 = nn.Linear(6, 32)
        self.fc2 = nn.Linear(32, 32)
        self.fc3 = nn.Linear(32, 1)

    def forward(self, x: Any) -> Any:
        h = limpid.relu(self.fc1(x))
        h = limpid.relu(self.fc2(h))
        return self.fc3(h)


def killing_rate(faulty: bool) -> Program:
    random = draw(38)
    x, y = curve(random, 128, 6)
    y = y + 5.0
    model = Net()
    rate, momentum = (0.2, 0.9) if faulty else (0.02, 0.0)
    optimizer = optim.SGD(model.parameters(), lr=rate, momentum=momentum)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(STEPS, 32, x, y), model, optimizer)


CASES = [
    case(
        "half_gradients",
        half_gradients,
        "engichang1467/Open-Rig3R#35",
        rules=("underflow",),
        also=("vanishing", "unchanged-parameters", "update-ratio", "loss-not-falling",
              "input-scale", "unused-parameters"),
    ),
    case(
        "zero_init",
        zero_init,
        "wagonhelm/NaNmnist#2",
        rules=("initial-scale",),
        also=("loss-at-chance", "loss-not-falling", "dead-units", "vanishing", "update-ratio",
              "unchanged-parameters", "unused-parameters"),
    ),
    case(
        "large_rate",
        large_rate,
        "NLeSC/mcfly#43",
        rules=("update-ratio", "loss-not-falling"),
        also=("saturated-units", "exploding", "loss-at-chance"),
    ),
    case(
        "deep_sigmoid",
        deep_sigmoid,
        "rogertrullo/Receptive-Field-in-Pytorch#3",
        rules=("vanishing",),
        also=("loss-at-chance", "loss-not-falling", "update-ratio", "initial-scale"),
    ),
    case(
        "unscaled_tanh",
        unscaled_tanh,
        "HuwCampbell/grenade#51",
        rules=("saturated-units", "input-scale"),
        also=("vanishing", "loss-not-falling", "loss-at-chance", "update-ratio", "initial-scale"),
    ),
    case(
        "huge_head",
        huge_head,
        "experiencor/image-to-3d-bbox#13",
        rules=("initial-scale",),
        also=("exploding", "update-ratio"),
    ),
    case(
        "negative_bias",
        negative_bias,
        "keras-team/keras#7057",
        rules=("dead-units",),
        also=("loss-at-chance", "loss-not-falling", "vanishing", "unchanged-parameters",
              "unused-parameters", "update-ratio", "initial-scale"),
    ),
    case(
        "killing_rate",
        killing_rate,
        "dangitstam/topic-rnn#9",
        rules=("dead-units",),
        also=("update-ratio", "loss-at-chance", "loss-not-falling", "vanishing",
              "unchanged-parameters", "unused-parameters"),
    ),
]  # fmt: skip
