"""Training the models on digits at the left, and their accuracy at seen and unseen places."""

from __future__ import annotations

from functools import cache

import numpy as np

import limpid
from examples.comparison import Shares
from examples.fitting import fit, scores_of
from examples.shift_invariance.canvases import TESTS, Array, digits_to_test, digits_to_train
from examples.shift_invariance.network import MODELS
from limpid import nn

EPOCHS = 8
COPIES = 4  # of each digit to train on, at different places
BATCH_SIZE = 32
RATE = 5e-3

canvases_of = cache(digits_to_train)


def train(name: str, seed: int, epochs: int = EPOCHS, copies: int = COPIES) -> nn.Module:
    """A model of a kind, trained on the digits at so many places each; the seed fixes all."""
    x, y = canvases_of(copies, seed)  # (N, 1, 20, 20), (N,)
    limpid.random.seed(seed)
    model = MODELS[name]()
    loss = nn.functional.cross_entropy
    fit(model, loss, x, y, epochs=epochs, batch_size=BATCH_SIZE, lr=RATE)
    return model


def test(model: nn.Module, seed: int) -> Shares:
    """Its accuracy at the places of each test set."""
    tests = {name: digits_to_test(columns, seed) for name, columns in TESTS.items()}
    return {name: accuracy(model, x, y) for name, (x, y) in tests.items()}


def accuracy(model: nn.Module, x: Array, y: Array) -> float:
    """The share of the canvases that a model is right about."""
    return float(np.mean(scores_of(model, x).argmax(axis=1) == y))
