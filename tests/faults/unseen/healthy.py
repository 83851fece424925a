"""Runs in which nothing is wrong, of many kinds: a finding in one of them is a false alarm."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.models import Residual
from tests.faults.programs import batches, clouds, curve, digits, draw, normal, training
from tests.faults.unseen.models import Block, CausalAttention, Maxout, ScanRNN


def xor_sigmoid() -> Program:
    random = draw(103)
    x = random.choice([-1.0, 1.0], (256, 2)) + 0.2 * random.standard_normal((256, 2))
    y = np.float32((x[:, :1] > 0) != (x[:, 1:] > 0))
    model = nn.Sequential(nn.Linear(2, 16), nn.Sigmoid(), nn.Linear(16, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    loss = nn.BCEWithLogitsLoss()
    return training(
        model, optimizer, lambda x, y: loss(model(x), y), batches(60, 64, np.float32(x), y)
    )


def mlp_gelu_adamw() -> Program:
    x, y = clouds(draw(104), 256, 12, 3)
    model = nn.Sequential(
        nn.Linear(12, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 3)
    )
    optimizer = optim.AdamW(model.parameters(), lr=0.005)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, x, y)
    )


def linear_regression() -> Program:
    random = draw(110)
    x = normal(random, 200, 6)
    y = x @ normal(random, 6, 1) + 0.5 + normal(random, 200, 1, scale=0.1)
    model = nn.Linear(6, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    return training(model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(40, 20, x, y))


def logistic_regression() -> Program:
    x, y = clouds(draw(114), 200, 5, 2)
    model = nn.Linear(5, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.2)

    def loss(x: Any, y: Any) -> Any:
        return F.binary_cross_entropy_with_logits(model(x), y)

    return training(model, optimizer, loss, batches(40, 25, x, np.float32(y)[:, None]))


def dropout_digits() -> Program:
    draw(117)
    model = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 32), nn.ReLU(),
        nn.Dropout(0.2), nn.Linear(32, 10),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(50, 64, *digits(1000))
    )


def cnn_batch_norm() -> Program:
    draw(119)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(),
        nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    data = batches(30, 32, *digits(960, channels=True))
    return training(model, optimizer, lambda x, y: F.cross_entropy(model(x), y), data)


def global_average_pooling() -> Program:
    draw(121)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    data = batches(40, 32, *digits(960, channels=True))
    return training(model, optimizer, lambda x, y: F.cross_entropy(model(x), y), data)


def signals_conv1d() -> Program:
    random = draw(122)
    y = np.arange(192) % 3
    time = np.linspace(0, 2 * np.pi, 32)
    waves = np.sin((y + 1)[:, None] * time + random.uniform(0, 6, (192, 1)))
    x = np.float32(waves + 0.2 * random.standard_normal((192, 32)))[:, None]
    model = nn.Sequential(
        nn.Conv1d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool1d(4), nn.Conv1d(8, 8, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(48, 3),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, x, y)
    )


def residual_mlp() -> Program:
    x, y = clouds(draw(123), 256, 8, 4)
    model = nn.Sequential(
        nn.Linear(8, 32), Residual(32), Residual(32), Residual(32), nn.Linear(32, 4)
    )
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, x, y)
    )


def batch_norm_mlp() -> Program:
    x, y = clouds(draw(128), 256, 8, 4)
    model = nn.Sequential(
        nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.BatchNorm1d(32),
        nn.ReLU(), nn.Linear(32, 4),
    )  # fmt: skip
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, x, y)
    )


def layer_norm_mlp() -> Program:
    x, y = curve(draw(129), 256, 6)
    model = nn.Sequential(nn.Linear(6, 32), nn.LayerNorm(32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(40, 32, x, y))


def rms_norm_mlp() -> Program:
    x, y = clouds(draw(131), 256, 10, 5)
    model = nn.Sequential(nn.Linear(10, 32), nn.RMSNorm(32), nn.GELU(), nn.Linear(32, 5))
    optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, x, y)
    )


def rnn_scan() -> Program:
    random = draw(132)
    steps = normal(random, 192, 8, 1)
    y = steps.mean(axis=1)
    model = ScanRNN(1, 16, 1)
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(x: Any, y: Any) -> Any:
        return F.mse_loss(model(limpid.swapaxes(x, 0, 1)), y)

    return training(model, optimizer, loss, batches(40, 32, steps, y))


def clipped_rnn() -> Program:
    random = draw(133)
    x = normal(random, 128, 20, 2)
    y = np.int64(x[:, -3:, 0].sum(axis=1) > 0)
    model = ScanRNN(2, 16, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.3)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(limpid.swapaxes(x, 0, 1)), y)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return Program(step, batches(40, 32, x, y), model, optimizer)


def lstm_counts() -> Program:
    random = draw(134)
    x = np.float32(random.integers(0, 2, (160, 10, 1)))
    y = x.sum(axis=1) / 10
    lstm, head = nn.LSTM(1, 12, batch_first=True), nn.Linear(12, 1)
    model = nn.ModuleList([lstm, head])
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def loss(x: Any, y: Any) -> Any:
        out, _ = lstm(x)
        return F.mse_loss(head(out[:, -1]), y)

    return training(model, optimizer, loss, batches(40, 32, x, y))


def causal_attention() -> Program:
    random = draw(136)
    x = normal(random, 128, 6, 8)
    y = np.cumsum(x, axis=1) / np.arange(1, 7)[:, None]
    model = nn.Sequential(nn.Linear(8, 8), CausalAttention(8), nn.Linear(8, 8))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(
        model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(50, 32, x, np.float32(y))
    )


def language_model() -> Program:
    random = draw(137)
    first = random.integers(0, 12, (160, 1))
    words = (first + 5 * np.arange(9)) % 12  # each word follows from the one before
    model = nn.Sequential(nn.Embedding(12, 16), Block(16), nn.LayerNorm(16), nn.Linear(16, 12))
    optimizer = optim.AdamW(model.parameters(), lr=0.005)

    def loss(words: Any) -> Any:
        scores = model(words[:, :-1])
        return F.cross_entropy(scores.reshape(-1, 12), words[:, 1:].reshape(-1))

    return training(model, optimizer, loss, batches(40, 32, words))


def autoencoder() -> Program:
    draw(138)
    x, _ = digits(800)
    model = nn.Sequential(
        nn.Linear(64, 32), nn.ELU(), nn.Linear(32, 12), nn.Linear(12, 32), nn.ELU(),
        nn.Linear(32, 64),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.003)
    return training(model, optimizer, lambda x: F.mse_loss(model(x), x), batches(60, 50, x))


def denoising() -> Program:
    random = draw(139)
    x, _ = digits(640)
    noisy = x + normal(random, 640, 64, scale=0.2)
    model = nn.Sequential(nn.Linear(64, 48), nn.ELU(), nn.Linear(48, 64), nn.Sigmoid())
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return training(
        model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(40, 64, noisy, x)
    )


def variational_autoencoder() -> Program:
    draw(140)
    x, _ = digits(640)
    encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8))
    decoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 64))
    model = nn.ModuleList([encoder, decoder])
    optimizer = optim.Adam(model.parameters(), lr=0.004)

    def loss(x: Any) -> Any:
        code = encoder(x)
        mean, log_variance = code[:, :4], limpid.clip(code[:, 4:], -8.0, 8.0)
        noise = limpid.random.normal(shape=mean.shape, dtype="float32")
        restored = decoder(mean + limpid.exp(0.5 * log_variance) * noise)
        kl = 0.5 * limpid.mean(mean**2 + limpid.exp(log_variance) - log_variance - 1)
        return F.mse_loss(restored, x) + 1e-3 * kl

    return training(model, optimizer, loss, batches(40, 64, x))


def one_at_a_time() -> Program:
    random = draw(149)
    x = normal(random, 60, 3)
    y = x @ normal(random, 3, 1) + normal(random, 60, 1, scale=0.05)
    model = nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.03)
    return training(model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(60, 1, x, y))


def twins() -> Program:
    random = draw(150)
    x, y = clouds(random, 256, 8, 4)
    other = random.permutation(256)
    same = np.float32(y == y[other])
    model = nn.Sequential(nn.Linear(8, 24), nn.Tanh(), nn.Linear(24, 4))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def loss(a: Any, b: Any, same: Any) -> Any:
        apart = model(a) - model(b)
        distance = limpid.sqrt(limpid.sum(apart * apart, axis=1) + 1e-6)
        far = limpid.relu(2.0 - distance)
        return limpid.mean(same * distance**2 + (1 - same) * far**2)

    return training(model, optimizer, loss, batches(40, 64, x, x[other], same))


class Oscillation(nn.Module):
    """e^(−decay·t)·cos(speed·t + phase)."""

    def __init__(self) -> None:
        self.decay = limpid.Parameter(np.float32(0.5))
        self.speed = limpid.Parameter(np.float32(2.0))
        self.phase = limpid.Parameter(np.float32(0.3))

    def forward(self, t: Any) -> Any:
        return limpid.exp(-self.decay * t) * limpid.cos(self.speed * t + self.phase)


def damped_oscillation() -> Program:
    random = draw(154)
    t = random.uniform(0, 4, 200).astype(np.float32)
    y = np.exp(-0.2 * t) * np.cos(2.4 * t - 0.1) + normal(random, 200, scale=0.02)
    model = Oscillation()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    return training(model, optimizer, lambda t, y: F.mse_loss(model(t), y), batches(40, 50, t, y))


def maxout() -> Program:
    x, y = clouds(draw(155), 256, 8, 4)
    model = nn.Sequential(Maxout(8, 16), nn.Linear(16, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(40, 32, x, y)
    )


def probabilities() -> Program:
    x, y = clouds(draw(156), 200, 5, 2)
    model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    loss = nn.BCELoss()
    data = batches(40, 40, x, np.float32(y)[:, None])
    return training(model, optimizer, lambda x, y: loss(model(x), y), data)


RUNS = {
    make.__name__: make
    for make in (
        xor_sigmoid, mlp_gelu_adamw, linear_regression, logistic_regression,
        dropout_digits, cnn_batch_norm, global_average_pooling, signals_conv1d,
        residual_mlp, batch_norm_mlp, layer_norm_mlp, rms_norm_mlp, rnn_scan,
        clipped_rnn, lstm_counts, causal_attention, language_model, autoencoder,
        denoising, variational_autoencoder, one_at_a_time, twins, damped_oscillation,
        maxout, probabilities,
    )
}  # fmt: skip
