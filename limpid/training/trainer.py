"""The training loop: a run that can be stopped at any step and goes on as if it had not been."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limpid.data.batches import Batches
from limpid.data.dataset import Dataset
from limpid.errors import NonFiniteError, RunError
from limpid.random import Generator, default_generator
from limpid.tensor import asarray
from limpid.training.callback import Callback
from limpid.training.config import Config
from limpid.training.construction import build_model, build_objective, build_optimizer
from limpid.training.folder import RunFolder
from limpid.training.interruption import Interruption
from limpid.training.layers import Layers
from limpid.training.metrics import Mean, norms
from limpid.training.step import TrainStep, compiled_step, evaluate, train_step

SAVE_EVERY = 60.0  # seconds, within long epochs
DRAW_EVERY = 10.0  # seconds
INTERRUPTED = "interrupted"


class Trainer:
    """One run: data, model, optimiser, random generator, and where it stands.

    It seeds this thread's default generator, from which first weights and dropout are drawn.

    epoch    epochs finished
    step     steps taken
    metrics  the lines of metrics.jsonl
    ended    why training ended; None while it goes on
    """

    folder: RunFolder  # where the run in progress is kept
    _layers: Layers  # what is known of the last batch of an epoch

    def __init__(self, config: Config, dataset: Dataset) -> None:
        self.config = config
        self.dataset = dataset
        self.generator = default_generator()
        self.generator.seed(config.seed)
        self.model = build_model(config, dataset.train.x.shape[1:], len(dataset.classes))
        self.objective = build_objective(config, self.model)
        self.optimizer = build_optimizer(config, self.model)
        order = Generator(config.seed).fold_in(1)  # a stream of its own, whatever the model draws
        self.batches = Batches(len(dataset.train), config.batch_size, order)
        size = min(self.batches.size, len(dataset.train))
        self._train = train_step if config.eager else compiled_step(size)
        self.epoch = 0
        self.step = 0
        self.metrics: list[dict[str, Any]] = []
        self.ended: str | None = None
        self._x = dataset.train.x.reshape(len(dataset.train), -1)  # (N, features)
        self._x_test = dataset.test.x.reshape(len(dataset.test), -1)
        self._history: list[float] = []  # the objective of the latest epochs
        self._means = {name: Mean() for name in ("train_loss", "train_accuracy", "objective")}
        self._seconds = 0.0
        self._clock = self._saved = self._drawn = time.perf_counter()

    # Running

    def run(self, folder: RunFolder, callbacks: Sequence[Callback] = ()) -> None:
        """Train until the epochs are done, the tolerance is met, or somebody stops it."""
        self.folder = folder
        self._clock = time.perf_counter()
        self.ended = None
        self.model.train()
        folder.write_config(self.config.to_dict())
        self.save()
        for callback in callbacks:
            callback.on_start(self)
        try:
            # numbers that overflow make the loss infinite or NaN, which is an error of its own
            with (
                Interruption() as interruption,
                np.errstate(over="ignore", invalid="ignore"),
                Layers(self.model) as self._layers,
            ):
                while self.ended is None:
                    self._run_epoch(callbacks, interruption)
        finally:
            for callback in callbacks:
                callback.on_end(self)
        self._draw()

    def look_with(self, looker: Callable[[TrainStep], TrainStep]) -> None:
        """Take steps by what a looker makes of the step, which does the same and sees it."""
        self._train = looker(self._train)

    def stop(self, reason: str) -> None:
        """End training after this step; the run can be resumed."""
        self.ended = reason

    def _run_epoch(self, callbacks: Sequence[Callback], interruption: Interruption) -> None:
        for indices in self.batches:
            with self._layers.looking(self.batches.at_start):  # the last one is under way
                self._take_step(indices)
            for callback in callbacks:
                callback.on_step(self)
            if self.batches.at_start:
                break  # the epoch is complete and gets its line of metrics, whatever was asked
            if interruption.requested:
                self.stop(INTERRUPTED)
            if self.ended is not None or time.perf_counter() - self._saved > SAVE_EVERY:
                self.save()
            if self.ended is not None:
                return
        self._finish_epoch(callbacks, interruption)

    def _take_step(self, indices: Any) -> None:
        y = self.dataset.train.y[indices]  # (batch,)
        x = asarray(self._x[indices])
        try:
            taken = self._train(self.model, self.objective, self.optimizer, x, asarray(y))
        except NonFiniteError as error:  # which only knows the calls of its own kind
            raise error.in_call(self.step + 1) from None
        scores, loss, total = taken
        self.step += 1
        value = float(total.value)
        if not math.isfinite(value):
            raise RunError(
                f"the loss became {value} at step {self.step}, epoch {self.epoch + 1}: training "
                f"diverged; try a smaller learning rate than {self.config.learning_rate:g}; "
                "limpid train --trace-nans says where it begins, limpid.trace_nans() in a program"
            )
        correct = np.mean(scores.value.argmax(axis=1) == y)
        self._means["train_loss"].add(float(loss.value), len(y))
        self._means["train_accuracy"].add(float(correct), len(y))
        self._means["objective"].add(value, len(y))

    def _finish_epoch(self, callbacks: Sequence[Callback], interruption: Interruption) -> None:
        self.epoch += 1
        line = self._measure()
        self._remember(line["objective"])
        self.metrics.append(line)
        self.folder.append_metrics(line)
        if self.ended is None:
            self.ended = self._reason_to_end()
        for callback in callbacks:
            callback.on_epoch(self, line)
        if interruption.requested and self.ended is None:
            self.stop(INTERRUPTED)
        self.save()
        if time.perf_counter() - self._drawn > DRAW_EVERY:
            self._draw()

    def _measure(self) -> dict[str, Any]:
        """The line of metrics of the epoch that just ended."""
        means = {name: mean.value for name, mean in self._means.items()}
        self._means = {name: Mean() for name in self._means}
        test_loss, predicted = self.evaluate()
        named = list(self.model.named_parameters())
        return {
            "epoch": self.epoch,
            "step": self.step,
            **means,
            "test_loss": test_loss,
            "test_accuracy": float(np.mean(predicted == self.dataset.test.y)),
            "learning_rate": self.config.learning_rate,
            "seconds": round(self.seconds, 3),
            "weight_norms": norms((n, p.value) for n, p in named),
            "gradient_norms": norms((n, p.grad.value) for n, p in named if p.grad is not None),
            **self._layers.line(),
        }

    def evaluate(self) -> tuple[float, Any]:
        """The loss on the test part, and the class each test example is taken for."""
        return evaluate(self.model, self.objective.loss, self._x_test, self.dataset.test.y)

    def _draw(self) -> None:
        if self.metrics:
            self.folder.draw_curve(self.metrics)
        self._drawn = time.perf_counter()

    def _remember(self, objective: float) -> None:
        if self.config.tolerance is not None:
            self._history = [*self._history[-(self.config.patience or 1) :], objective]

    def _reason_to_end(self) -> str | None:
        patience, tolerance = self.config.patience or 1, self.config.tolerance
        if tolerance is not None and len(self._history) > patience:
            change = abs(self._history[-1] - self._history[0])  # |f(t + k) − f(t)|
            if change < tolerance:
                return f"the loss changed by less than {tolerance:g} in {patience} epochs"
        return "all epochs done" if self.epoch >= self.config.epochs else None

    @property
    def seconds(self) -> float:
        """How long training took so far, over all resumptions."""
        return self._seconds + time.perf_counter() - self._clock

    # State

    def save(self) -> None:
        """Write the checkpoint."""
        self.folder.save(self.state_dict())
        self._saved = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on bit for bit."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self.generator.state_dict(),
            "batches": self.batches.state_dict(),
            "means": {name: mean.state_dict() for name, mean in self._means.items()},
            "epoch": self.epoch,
            "step": self.step,
            "history": self._history,
            "seconds": self.seconds,
            "ended": self.ended,
            "config": self.config.to_dict(),
            "data": {
                "digest": self.dataset.digest,
                "classes": list(self.dataset.classes),
                "shape": list(self.dataset.train.x.shape[1:]),
                "features": self.dataset.features,
                "shift": self.dataset.scaling.shift,
                "spread": self.dataset.scaling.spread,
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the state was taken."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.batches.load_state_dict(state["batches"])
        self.generator.load_state_dict(state["random"])
        for name, mean in self._means.items():
            mean.load_state_dict(state["means"][name])
        self.epoch, self.step, self._seconds = state["epoch"], state["step"], state["seconds"]
        self._history = state["history"]
