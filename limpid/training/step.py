"""The training step and the evaluation, as anybody would write them down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.compiler.steps.step import compile
from limpid.graph.context import no_grad
from limpid.nn.functional.losses import l1_penalty, l2_penalty
from limpid.nn.module import Module
from limpid.optim import Optimizer
from limpid.tensor import Parameter, Tensor, asarray

Array = np.ndarray[Any, np.dtype[Any]]
Loss = Callable[[Any, Any], Any]  # (scores (batch, classes), classes (batch,)) → scalar

BLOCK = 1024  # examples evaluated at once, so that memory stays small


@dataclass(frozen=True)
class Objective:
    """What is minimised: the loss plus l1·Σ|w| + ½·l2·Σw² over the weights."""

    loss: Loss
    weights: Sequence[Parameter] = ()
    l1: float = 0.0
    l2: float = 0.0

    def add_penalties(self, loss: Tensor) -> Tensor:
        """The loss of a batch with the penalties added."""
        if self.l1:
            loss = loss + l1_penalty(self.weights, self.l1)
        if self.l2:
            loss = loss + l2_penalty(self.weights, self.l2)
        return loss


def train_step(
    model: Module, objective: Objective, optimizer: Optimizer, x: Any, y: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of gradient descent: forward, backward, update.

    Returns the scores, the loss and the objective of the batch, all from before the update.

    `limpid.record` turns it into a graph.
    """
    scores = model(x)  # (batch, classes)
    loss = objective.loss(scores, y)
    total = objective.add_penalties(loss)
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    return scores, loss, total


TrainStep = Callable[[Module, Objective, Optimizer, Any, Any], tuple[Tensor, Tensor, Tensor]]


def compiled_step(size: int) -> TrainStep:
    """`train_step`, compiled for batches of this size.

    Others, such as the last one of an epoch, run eagerly: compiling the step for one batch of an
    epoch takes longer than it saves. The same batch always runs the same way, so a run that is
    resumed is the same bit for bit.
    """
    compiled = compile(train_step)

    def step(
        model: Module, objective: Objective, optimizer: Optimizer, x: Any, y: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        run = compiled if len(x) == size else train_step
        return run(model, objective, optimizer, x, y)

    return step


def evaluate(model: Module, loss: Loss, x: Array, y: Array) -> tuple[float, Array]:
    """The mean loss of a model over examples, and the class it takes each for."""
    was_training = model.training
    model.eval()
    total, predicted = 0.0, []
    with no_grad():
        for start in range(0, len(y), BLOCK):
            part = slice(start, start + BLOCK)
            scores = model(asarray(x[part]))
            total += loss(scores, asarray(y[part])).item() * len(y[part])
            predicted.append(scores.numpy().argmax(axis=1))
    model.train(was_training)
    return total / len(y), np.concatenate(predicted)
