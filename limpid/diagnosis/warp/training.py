"""The network that is looked at, and how it learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np

from limpid.compiler.steps.step import compile
from limpid.diagnosis.warp.points import Points, is_number
from limpid.errors import ArgumentError
from limpid.nn import init
from limpid.nn.containers import Sequential
from limpid.nn.functional.class_losses import cross_entropy
from limpid.nn.layers.linear import Linear
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.optim import Adam
from limpid.random import Generator
from limpid.training.construction import ACTIVATIONS
from limpid.training.step import Objective, evaluate, train_step

BATCH = 20  # points in a step
COURSE = 60  # moments at which the loss is noted, at least
WIDEST = 512

State = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Moment:
    """A network after so many epochs: its weights, and its loss and accuracy on all points."""

    epoch: int
    loss: float
    accuracy: float
    state: State


def build_network(
    classes: int, hidden: Sequence[int], activation: str = "tanh", seed: int = 0
) -> Sequential:
    """Linear layers 2 → hidden … → classes, with the activation between them.

    Weights begin as Glorot and Bengio suggest, with the gain of tanh where it is wanted, and
    biases at zero.
    """
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ArgumentError(f"activation {activation!r} is unknown; choose from {known}")
    widths = [integer(width, "a width of hidden", 1) for width in hidden]
    if max(widths, default=1) > WIDEST:
        raise ArgumentError(f"hidden layers are up to {WIDEST} wide here, not {max(widths)}")
    generator = Generator(integer(seed, "seed"))
    layers: list[Module] = []
    for before, after in pairwise((2, *widths, classes)):
        if layers:
            layers.append(ACTIVATIONS[activation]())
        with init.skip_draws():
            layer = Linear(before, after)
        gain = init.GAINS.get(activation, 1.0)
        init.xavier_uniform_(layer.weight, gain, generator)
        layers.append(layer)
    return Sequential(*layers)


def choose(moments: Sequence[Moment], frames: int) -> list[Moment]:
    """Those of so many frames; of one frame, the last."""
    if frames == 1:
        return [moments[-1]]
    wanted = moments_of(moments[-1].epoch, frames)
    return [moment for moment in moments if moment.epoch in wanted]


def moments_of(epochs: int, frames: int) -> list[int]:
    """The epochs to look at: 0, the last, and between them more of the early ones.

    >>> moments_of(100, 6)
    [0, 4, 16, 36, 64, 100]
    """
    last = max(1, frames - 1)
    return sorted({round(epochs * (i / last) ** 2) for i in range(frames)} | {epochs})


def train(
    model: Module, points: Points, epochs: int, lr: float, seed: int, frames: int
) -> Iterator[Moment]:
    """Train by Adam on batches of 20 points with a compiled step, and yield moments on the way.

    They are those of so many frames, and others besides.

    Raises ArgumentError when the loss is no longer finite.
    """
    integer(epochs, "epochs")
    if not is_number(lr) or lr <= 0:
        raise ArgumentError(f"lr must be above 0, not {lr!r}")
    integer(frames, "frames", 1)
    wanted = {*moments_of(epochs, frames), *moments_of(epochs, COURSE)}
    optimizer, objective = Adam(list(model.parameters()), lr), Objective(cross_entropy)
    step = compile(train_step)
    rng = np.random.default_rng(seed)
    for epoch in range(epochs + 1):
        if epoch in wanted:
            yield _look(model, objective, points, epoch, lr)
        if epoch < epochs:
            order = rng.permutation(len(points))
            for start in range(0, len(points), BATCH):
                batch = order[start : start + BATCH]
                step(model, objective, optimizer, points.x[batch], points.y[batch])


def _look(model: Module, objective: Objective, points: Points, epoch: int, lr: float) -> Moment:
    loss, predicted = evaluate(model, objective.loss, points.x, points.y)
    if not isfinite(loss):
        raise ArgumentError(
            f"the loss is {loss} after {epoch} epochs: training has diverged; a smaller learning "
            f"rate than {lr:g} may help"
        )
    state = {name: np.array(value) for name, value in model.state_dict().items()}
    return Moment(epoch, loss, float(np.mean(predicted == points.y)), state)


__all__ = ["Moment", "build_network", "moments_of", "train"]
