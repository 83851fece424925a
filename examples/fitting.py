"""Training a small network, and what it says about examples: loops that anybody would write."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from typing import Any

import numpy as np

import limpid
from limpid import nn, optim
from limpid.data import Batches

Array = np.ndarray[Any, np.dtype[Any]]
Loss = Callable[[Any, Any], Any]  # (scores of a batch, answers) → scalar

BLOCK = 256  # examples at once where nothing is trained


def fit(
    model: nn.Module,
    loss: Loss,
    x: Array,
    y: Array,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    on_epoch: Callable[[int, float], None] = lambda epoch, mean: None,
) -> None:
    """Train with Adam, the learning rate falling to 0 as half a cosine.

    `on_epoch` gets the number of the epoch and the mean loss in it. Batches are drawn from this
    thread's default generator: `limpid.random.seed` before the model is made fixes everything.
    """
    optimizer = optim.Adam(model.parameters(), lr=lr)
    batches = Batches(len(y), batch_size, limpid.random.default_generator())
    model.train()
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = lr * (1 + cos(pi * epoch / epochs)) / 2
        total = 0.0
        for indices in batches:
            value = loss(model(limpid.asarray(x[indices])), limpid.asarray(y[indices]))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item() * len(indices)
        on_epoch(epoch + 1, total / len(y))


def scores_of(model: nn.Module, x: Array) -> Array:
    """What a model says about examples, block by block, with no graph."""
    model.eval()
    with limpid.no_grad():
        blocks = [model(limpid.asarray(x[i : i + BLOCK])) for i in range(0, len(x), BLOCK)]
    return np.concatenate([block.numpy() for block in blocks])


def count_parameters(model: nn.Module) -> int:
    """How many numbers are trained.

    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(parameter.size for parameter in model.parameters())
