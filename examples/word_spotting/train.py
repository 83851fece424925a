"""Training the models on a data set, and their accuracy on its test sets."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from examples.comparison import Shares
from examples.fitting import fit, scores_of
from examples.word_spotting.dataset import TESTS, Part, Parts
from examples.word_spotting.network import MODELS, SPAN, STRIDE, Spotter
from limpid import nn

Array = np.ndarray[Any, np.dtype[Any]]

STEPS = 1500
BATCH_SIZE = 32
RATE = 2e-3


def train(name: str, part: Part, seed: int, steps: int = STEPS) -> nn.Module:
    """A model of a kind, trained on recordings with about so many steps."""
    limpid.random.seed(seed)
    x, y = part.x, part.y  # (N, bands, frames), (N,)
    model = MODELS[name](*x.shape[1:])
    fit(
        model,
        nn.functional.binary_cross_entropy_with_logits,
        x,
        y,
        epochs=max(1, round(steps * BATCH_SIZE / len(y))),
        batch_size=BATCH_SIZE,
        lr=RATE,
    )
    return model


def is_found(model: nn.Module, part: Part) -> Array:
    """Whether a model takes each recording to contain the word: its log-odds are above 0."""
    return scores_of(model, part.x) > 0


def accuracy(model: nn.Module, part: Part) -> float:
    """The share of the recordings that a model is right about."""
    return float(np.mean(is_found(model, part) == part.contains))


def located(spotter: Spotter, part: Part) -> tuple[int, int]:
    """How many words the surest window has its middle on, and how many were found at all."""
    with_word = part.contains == 1
    z = scores_of(spotter.windows, part.x[with_word])  # (N, windows)
    middles = z.argmax(axis=1) * STRIDE + SPAN / 2  # frames
    start, end = part.spans[with_word].T
    found = is_found(spotter, part)[with_word]
    return int(np.sum(found & (start <= middles) & (middles < end))), int(np.sum(found))


def test(model: nn.Module, parts: Parts) -> Shares:
    """Its accuracy on each test set, by a name that says who speaks, and where the word is."""
    return {
        f"{who} voices, {('first', 'second')[half]} half": accuracy(model, parts[name])
        for name, (who, half) in TESTS.items()
    }
