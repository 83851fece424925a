"""Further runs in which nothing is wrong; many of them look a little like a fault."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.further.parts import Attention, Experts, Half, Variational
from tests.faults.programs import batches, clouds, curve, digits, draw, normal, training


def lstm_sum() -> Program:
    random = draw(301)
    x = normal(random, 160, 10, 2)
    y = np.float32(x[:, -4:].mean(axis=1))
    lstm, head = nn.LSTM(2, 16, batch_first=True), nn.Linear(16, 2)
    optimizer = optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.03)

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(head(lstm(x)[0][:, -1]), y)

    model = nn.ModuleList([lstm, head])
    return training(model, optimizer, loss, batches(40, 40, x, y))


def clipped_rnn() -> Program:
    random = draw(302)
    x = random.integers(0, 2, (160, 12))
    y = (x[:, :-1] ^ x[:, 1:])[:, :, None].astype(np.float32)
    rnn, head = nn.RNN(1, 20, batch_first=True), nn.Linear(20, 1)
    model = nn.ModuleList([rnn, head])
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        states, _ = rnn(x)
        loss = F.binary_cross_entropy_with_logits(head(states[:, 1:]), y)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    data = batches(50, 40, x[:, :, None].astype(np.float32), y)
    return Program(step, data, model, optimizer)


def transformer_classifier() -> Program:
    random = draw(303)
    y = np.arange(160) % 4
    words = (random.integers(0, 9, (160, 8)) + 6 * y[:, None]) % 27
    table, block, head = nn.Embedding(27, 16), Attention(16, 4), nn.Linear(16, 4)
    places = limpid.Parameter(normal(random, 8, 16, scale=0.1))
    model = nn.ModuleList([table, block, nn.LayerNorm(16), head])
    optimizer = optim.AdamW([*model.parameters(), places], lr=0.01)

    def loss(words: Any, y: Any) -> Any:
        h = model[2](block(table(words) + places))
        return F.cross_entropy(head(limpid.mean(h, axis=1)), y)

    return training(model, optimizer, loss, batches(30, 40, words, y))


def language_model() -> Program:
    random = draw(304)
    steps = random.integers(1, 3, (120, 1)) * np.arange(10)
    text = (random.integers(0, 11, (120, 1)) + steps) % 11
    table, block, norm = nn.Embedding(11, 24), Attention(24, 3, causal=True), nn.LayerNorm(24)
    nn.init.normal_(table.weight, std=0.2)
    model = nn.ModuleList([table, block, norm])
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def loss(x: Any, y: Any) -> Any:  # the table is the last layer, too
        scores = norm(block(table(x))) @ limpid.matrix_transpose(table.weight)
        return F.cross_entropy(limpid.reshape(scores, (-1, 11)), limpid.reshape(y, (-1,)))

    return training(model, optimizer, loss, batches(40, 40, text[:, :-1], text[:, 1:]))


def tanh_autoencoder() -> Program:
    draw(305)
    x, _ = digits(256)
    model = nn.Sequential(
        nn.Linear(64, 40), nn.Tanh(), nn.Linear(40, 12), nn.Tanh(),
        nn.Linear(12, 40), nn.Tanh(), nn.Linear(40, 64), nn.Sigmoid(),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(model, optimizer, lambda x: F.mse_loss(model(x), x), batches(50, 64, x))


def variational_autoencoder() -> Program:
    random = draw(306)
    x, _ = digits(256)
    model = Variational(64, 48, 6)
    optimizer = optim.Adam(model.parameters(), lr=0.004)

    def loss(x: Any, noise: Any) -> Any:
        again, m, v = model(x, noise)
        reconstruction = F.binary_cross_entropy_with_logits(again, x, reduction="sum")
        divergence = 0.5 * limpid.sum(m * m + limpid.exp(v) - 1 - v)
        return (reconstruction + divergence) / x.shape[0]

    data = [(b, normal(random, 64, 6)) for (b,) in batches(50, 64, x)]
    return training(model, optimizer, loss, data)


def batch_norm_mlp() -> Program:
    x, y = clouds(draw(307), 256, 10, 5)
    model = nn.Sequential(
        nn.Linear(10, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(),
        nn.Linear(32, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 5),
    )  # fmt: skip
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 64, x, y)
    )


def validated_dropout() -> Program:
    x, y = clouds(draw(308), 320, 8, 4)
    held_x, held_y = x[256:], y[256:]
    model = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Dropout(0.4), nn.Linear(48, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    best = limpid.Buffer(np.float32(np.inf))

    def step(x: Any, y: Any) -> Any:
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        model.eval()
        with limpid.no_grad():
            limpid.assign(best, limpid.minimum(best, F.cross_entropy(model(held_x), held_y)))
        return loss

    return Program(step, batches(40, 64, x[:256], y[:256]), model, optimizer)


def logistic_regression() -> Program:
    x, y = clouds(draw(309), 240, 12, 2)
    model = nn.Sequential(nn.Linear(12, 1), nn.Sigmoid())
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def loss(x: Any, y: Any) -> Any:
        return F.binary_cross_entropy(model(x), y)

    return training(model, optimizer, loss, batches(40, 48, x, y.astype(np.float32)[:, None]))


def poisson_counts() -> Program:
    random = draw(310)
    x = np.float32(random.uniform(-1, 1, (256, 4)))
    y = random.poisson(np.exp(x @ np.array([[1.0], [-0.8], [0.5], [0.9]]) + 1.0))
    model = nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def loss(x: Any, y: Any) -> Any:
        return F.poisson_nll_loss(model(x), y, full=True)

    return training(model, optimizer, loss, batches(50, 64, x, y.astype(np.float32)))


def mean_and_variance() -> Program:
    random = draw(311)
    x, y = curve(random, 256, 3)
    y = y + normal(random, 256, 1) * (0.1 + 0.2 * np.abs(x[:, :1]))
    model = nn.Sequential(nn.Linear(3, 32), nn.ELU(), nn.Linear(32, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        out = model(x)
        return F.gaussian_nll_loss(out[:, :1], y, F.softplus(out[:, 1:]) + 1e-3)

    return training(model, optimizer, loss, batches(60, 64, x, y.astype(np.float32)))


def outliers_with_huber() -> Program:
    random = draw(312)
    x, y = curve(random, 256, 5)
    y[::37] += 4.0
    model = nn.Sequential(nn.Linear(5, 24), nn.Mish(), nn.Linear(24, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return training(
        model, optimizer, lambda x, y: F.huber_loss(model(x), y, delta=0.5), batches(40, 64, x, y)
    )


def triplets() -> Program:
    random = draw(313)
    x, y = clouds(random, 240, 10, 6)
    order = random.permutation(240)
    x, y = x[order], y[order]
    same = np.array([random.choice(np.flatnonzero(y == label)) for label in y])
    other = np.array([random.choice(np.flatnonzero(y != label)) for label in y])
    model = nn.Sequential(nn.Linear(10, 32), nn.PReLU(), nn.Linear(32, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(anchor: Any, positive: Any, negative: Any) -> Any:
        return F.triplet_margin_loss(model(anchor), model(positive), model(negative), margin=5.0)

    return training(model, optimizer, loss, batches(40, 48, x, x[same], x[other]))


def two_towers() -> Program:
    random = draw(314)
    x = normal(random, 192, 8)
    y = x @ normal(random, 8, 6) + normal(random, 192, 6, scale=0.3)
    left, right = nn.Linear(8, 12), nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 12))
    model = nn.ModuleList([left, right])
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        a, b = F.normalize(left(x), dim=1), F.normalize(right(y), dim=1)
        return F.cross_entropy(a @ limpid.matrix_transpose(b) / 0.1, np.arange(48))

    return training(model, optimizer, loss, batches(40, 48, x, y.astype(np.float32)))


def smoothed_labels() -> Program:
    x, y = clouds(draw(315), 256, 8, 6)
    model = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 6))
    optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.05)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    return training(model, optimizer, lambda x, y: loss(model(x), y), batches(40, 64, x, y))


def signals_in_one_dimension() -> Program:
    random = draw(316)
    y = np.arange(160) % 3
    time = np.linspace(0, 1, 32)
    wave = np.sin(2 * np.pi * (2 + 2 * y)[:, None] * time + random.uniform(0, 6, (160, 1)))
    x = np.float32(wave + 0.6 * random.standard_normal(wave.shape))[:, None]
    model = nn.Sequential(
        nn.Conv1d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(8, 12, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool1d(1),
        nn.Flatten(), nn.Linear(12, 3),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(50, 40, x, y)
    )


def head_on_frozen_features() -> Program:
    draw(317)
    x, y = digits(320, channels=True)
    features = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    features.requires_grad_(False)
    head = nn.Linear(144, 10)
    optimizer = optim.Adam(head.parameters(), lr=0.007)
    return training(
        nn.ModuleList([features, head]),
        optimizer,
        lambda x, y: F.cross_entropy(head(features(x)), y),
        batches(40, 64, x, y),
    )


def distillation() -> Program:
    random = draw(318)
    x, y = clouds(random, 192, 8, 4)
    teacher = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Dropout(0.5), nn.Linear(64, 4))
    teacher.requires_grad_(False).eval()
    model = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        scores = model(x)
        with limpid.no_grad():
            goal = F.softmax(teacher(x) / 2.0, dim=1)
        soft = F.kl_div(F.log_softmax(scores / 2.0, dim=1), goal, reduction="sum") / x.shape[0]
        return soft + 0.5 * F.cross_entropy(scores, y)

    return training(model, optimizer, loss, batches(40, 48, x, y))


def following_copy() -> Program:
    x, y = clouds(draw(319), 192, 8, 4)
    model, follower = (nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 4)) for _ in "ab")
    follower.requires_grad_(False)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        scores = model(x)
        loss = F.cross_entropy(scores, y)
        loss = loss + 0.05 * F.mse_loss(scores, follower(x).detach())
        loss.backward()
        optimizer.step()
        with limpid.no_grad():
            for slow, fast in zip(follower.parameters(), model.parameters(), strict=True):
                limpid.assign(slow, 0.9 * slow + 0.1 * fast)
        return loss

    return Program(step, batches(40, 48, x, y), model, optimizer)


def two_heads() -> Program:
    random = draw(320)
    x, value = curve(random, 192, 6)
    kind = np.int64(x[:, 0] > x[:, 1])
    body, first, second = nn.Linear(6, 32), nn.Linear(32, 1), nn.Linear(32, 2)
    model = nn.ModuleList([body, first, second])
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, value: Any, kind: Any) -> Any:
        h = F.silu(body(x))
        return F.mse_loss(first(h), value) + 0.3 * F.cross_entropy(second(h), kind)

    return training(model, optimizer, loss, batches(50, 48, x, value, kind))


def scaled_loss_in_half() -> Program:
    x, y = clouds(draw(321), 256, 8, 4)
    model = Half(8, 32, 4)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        (loss * 1024.0).backward()
        for p in model.parameters():
            p.grad = p.grad / 1024.0
        optimizer.step()
        return loss

    return Program(step, batches(40, 64, x, y), model, optimizer)


def self_normalising() -> Program:
    x, y = clouds(draw(322), 256, 10, 4)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    layers: list[nn.Module] = []
    for k in range(6):
        layer = nn.Linear(10 if k == 0 else 40, 40)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        layers += [layer, nn.SELU()]
    model = nn.Sequential(*layers, nn.Linear(40, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.03)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 64, x, y)
    )


def mixture_of_experts() -> Program:
    random = draw(323)
    x = np.float32(random.uniform(-1, 1, (256, 2)))
    y = np.where(x[:, :1] > 0, np.sin(3 * x[:, 1:]), -x[:, 1:])
    model = Experts(2, 12, 3)
    optimizer = optim.Adam(model.parameters(), lr=0.03)
    return training(
        model,
        optimizer,
        lambda x, y: F.mse_loss(model(x), y),
        batches(60, 64, x, y.astype(np.float32)),
    )


def noise_that_stays() -> Program:
    random = draw(324)
    x, y = curve(random, 256, 4)
    y = y + normal(random, 256, 1, scale=0.4)  # no model gets below its variance
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.03)
    return training(model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(60, 64, x, y))


def sigmoid_of_the_eighties() -> Program:
    random = draw(325)
    x = np.float32(random.integers(0, 2, (128, 4)))
    y = np.float32(x.sum(axis=1, keepdims=True) % 4 >= 2)
    model = nn.Sequential(nn.Linear(4, 16), nn.Sigmoid(), nn.Linear(16, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    loss = nn.BCEWithLogitsLoss()
    return training(model, optimizer, lambda x, y: loss(model(x), y), batches(60, 64, x, y))


RUNS = {
    make.__name__: make
    for make in (
        lstm_sum, clipped_rnn, transformer_classifier, language_model, tanh_autoencoder,
        variational_autoencoder, batch_norm_mlp, validated_dropout, logistic_regression,
        poisson_counts, mean_and_variance, outliers_with_huber, triplets, two_towers,
        smoothed_labels, signals_in_one_dimension, head_on_frozen_features, distillation,
        following_copy, two_heads, scaled_loss_in_half, self_normalising, mixture_of_experts,
        noise_that_stays, sigmoid_of_the_eighties,
    )
}  # fmt: skip
