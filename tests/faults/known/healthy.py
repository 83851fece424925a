"""Runs in which nothing is wrong, of many kinds: a finding in one of them is a false alarm."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.models import Residual, ResidualConv
from tests.faults.programs import RMSprop, batches, clouds, curve, digits, draw, normal, training


def mlp_tanh_sgd() -> Program:
    x, y = curve(draw(102), 256, 4)
    model = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return training(model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(40, 32, x, y))


def mlp_elu_rmsprop() -> Program:
    x, y = curve(draw(105), 256, 5)
    model = nn.Sequential(nn.Linear(5, 32), nn.ELU(), nn.Linear(32, 1))
    optimizer = RMSprop(model.parameters(), lr=0.003)
    return training(model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(40, 32, x, y))


def mlp_leaky_relu_nesterov() -> Program:
    x, y = clouds(draw(106), 256, 8, 4)
    model = nn.Sequential(nn.Linear(8, 32), nn.LeakyReLU(), nn.Linear(32, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, x, y)
    )


def mlp_silu() -> Program:
    x, y = curve(draw(108), 256, 3)
    model = nn.Sequential(
        nn.Linear(3, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1)
    )
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(40, 32, x, y))


def softplus_in_float64() -> Program:
    x, y = (a.astype(np.float64) for a in curve(draw(109), 256, 4))
    model = nn.Sequential(
        nn.Linear(4, 24, dtype="float64"), nn.Softplus(), nn.Linear(24, 1, dtype="float64")
    )
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(60, 32, x, y))


def full_batch_in_float64() -> Program:
    random = draw(111)
    x = random.standard_normal((500, 10))
    y = x @ random.standard_normal((10, 1)) + 0.1 * random.standard_normal((500, 1))
    model = nn.Linear(10, 1, dtype="float64")
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return training(model, optimizer, lambda x, y: F.mse_loss(model(x), y), [(x, y)] * 30)


def lasso() -> Program:
    random = draw(113)
    x = normal(random, 128, 15)
    y = 2 * x[:, :1] - 1.5 * x[:, 4:5] + normal(random, 128, 1, scale=0.1)
    model = nn.Linear(15, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(model(x), y) + F.l1_penalty(model.weight, 0.02)

    return training(model, optimizer, loss, batches(50, 32, x, y))


def softmax_regression() -> Program:
    draw(115)
    model = nn.Linear(64, 10)
    optimizer = optim.SGD(model.parameters(), lr=0.3)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 50, *digits(1000))
    )


def mlp_digits() -> Program:
    draw(116)
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, *digits(1000))
    )


def cnn_digits() -> Program:
    draw(118)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(), nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    data = batches(30, 32, *digits(960, channels=True))
    return training(model, optimizer, lambda x, y: F.cross_entropy(model(x), y), data)


def lenet_digits() -> Program:
    draw(120)
    model = nn.models.lenet((1, 8, 8), 10)
    optimizer = optim.Adam(model.parameters(), lr=0.002)
    data = batches(40, 32, *digits(960, channels=True))
    return training(model, optimizer, lambda x, y: F.cross_entropy(model(x), y), data)


def zero_init_residual() -> Program:
    x, y = clouds(draw(124), 256, 8, 4)
    blocks = [Residual(32, zero=True) for _ in range(4)]
    model = nn.Sequential(nn.Linear(8, 32), *blocks, nn.Linear(32, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, x, y)
    )


def deep_relu_he() -> Program:
    x, y = clouds(draw(125), 256, 8, 4)
    layers: list[nn.Module] = []
    for k in range(8):
        layer = nn.Linear(8 if k == 0 else 48, 48)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(48, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.002)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, x, y)
    )


def deep_tanh_xavier() -> Program:
    x, y = clouds(draw(126), 256, 8, 4)
    layers: list[nn.Module] = []
    for k in range(8):
        layer = nn.Linear(8 if k == 0 else 32, 32)
        nn.init.xavier_normal_(layer.weight, gain=5 / 3)
        layers += [layer, nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(32, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, x, y)
    )


def residual_cnn() -> Program:
    draw(127)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), ResidualConv(12), nn.MaxPool2d(2), ResidualConv(12),
        nn.Flatten(), nn.Linear(192, 10),
    )  # fmt: skip
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    data = batches(30, 32, *digits(960, channels=True))
    return training(model, optimizer, lambda x, y: F.cross_entropy(model(x), y), data)


def group_norm_cnn() -> Program:
    draw(130)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU(), nn.AvgPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Flatten(),
        nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    data = batches(30, 32, *digits(960, channels=True))
    return training(model, optimizer, lambda x, y: F.cross_entropy(model(x), y), data)


def gru_sign() -> Program:
    random = draw(135)
    x = normal(random, 160, 8, 3)
    y = np.int64(x.sum(axis=(1, 2)) > 0)
    gru, head = nn.GRU(3, 12, batch_first=True), nn.Linear(12, 2)
    model = nn.ModuleList([gru, head])
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def loss(x: Any, y: Any) -> Any:
        out, _ = gru(x)
        return F.cross_entropy(head(out[:, -1]), y)

    return training(model, optimizer, loss, batches(40, 32, x, y))


def bag_of_words() -> Program:
    random = draw(141)
    y = np.arange(192) % 3
    words = (random.integers(0, 14, (192, 6)) + 8 * y[:, None]) % 30
    table, head = nn.Embedding(30, 12), nn.Linear(12, 3)
    model = nn.ModuleList([table, head])
    optimizer = optim.Adam(model.parameters(), lr=0.03)

    def loss(words: Any, y: Any) -> Any:
        return F.cross_entropy(head(limpid.mean(table(words), axis=1)), y)

    return training(model, optimizer, loss, batches(40, 48, words, y))


def matrix_factorisation() -> Program:
    random = draw(142)
    users, items = random.integers(0, 20, 400), random.integers(0, 15, 400)
    truth = (random.standard_normal((20, 2)) @ random.standard_normal((2, 15)))[users, items]
    left, right = nn.Embedding(20, 4), nn.Embedding(15, 4)
    model = nn.ModuleList([left, right])
    optimizer = optim.Adam(model.parameters(), lr=0.05)

    def loss(users: Any, items: Any, score: Any) -> Any:
        return F.mse_loss(limpid.sum(left(users) * right(items), axis=1), score)

    data = batches(50, 80, users, items, np.float32(truth))
    return training(model, optimizer, loss, data)


def support_vectors() -> Program:
    x, y = clouds(draw(144), 200, 6, 2)
    model = nn.Linear(6, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.05, weight_decay=1e-3)

    def loss(x: Any, y: Any) -> Any:
        return F.hinge_loss(model(x), y)

    return training(model, optimizer, loss, batches(40, 40, x, np.float32(2 * y - 1)[:, None]))


def sparse_labels() -> Program:
    random = draw(146)
    x = normal(random, 256, 12)
    y = np.float32(x @ normal(random, 12, 20) > 6.0)  # few are one
    model = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 20))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    loss = nn.BCEWithLogitsLoss()
    return training(model, optimizer, lambda x, y: loss(model(x), y), batches(40, 32, x, y))


def warmup_and_cosine() -> Program:
    x, y = clouds(draw(147), 256, 8, 4)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    count = limpid.Buffer(np.float64(0))

    def step(x: Any, y: Any) -> Any:
        rising = limpid.minimum((count + 1) / 8, 1.0)
        falling = 0.5 * (1 + limpid.cos(np.pi * limpid.maximum(count - 8, 0.0) / 40))
        optimizer.param_groups[0]["lr"] = 0.1 * rising * falling
        limpid.assign(count, count + 1)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Program(step, batches(40, 32, x, y), model, optimizer)


def gradient_accumulation() -> Program:
    x, y = clouds(draw(148), 256, 8, 4)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        total = 0.0
        for k in range(4):  # four small batches make one
            loss = F.cross_entropy(model(x[8 * k : 8 * k + 8]), y[8 * k : 8 * k + 8]) / 4
            loss.backward()
            total = total + loss
        optimizer.step()
        return total

    return Program(step, batches(40, 32, x, y), model, optimizer)


def slow_but_falling() -> Program:
    x, y = curve(draw(151), 256, 4)
    model = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.015)
    return training(model, optimizer, lambda x, y: F.mse_loss(model(x), y), [(x, y)] * 60)


def rare_class() -> Program:
    random = draw(152)
    x, y = clouds(random, 256, 6, 2)
    chosen = np.sort(np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:16]])
    x, y = x[chosen], y[chosen]
    weight = np.array([1.0, 8.0], np.float32)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.cross_entropy(model(x), y, weight=weight)

    return training(model, optimizer, loss, batches(40, 48, x, y))


RUNS = {
    make.__name__: make
    for make in (
        mlp_tanh_sgd, mlp_elu_rmsprop, mlp_leaky_relu_nesterov, mlp_silu,
        softplus_in_float64, full_batch_in_float64, lasso, softmax_regression,
        mlp_digits, cnn_digits, lenet_digits, zero_init_residual, deep_relu_he,
        deep_tanh_xavier, residual_cnn, group_norm_cnn, gru_sign, bag_of_words,
        matrix_factorisation, support_vectors, sparse_labels, warmup_and_cosine,
        gradient_accumulation, slow_but_falling, rare_class,
    )
}  # fmt: skip
