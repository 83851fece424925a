"""How far training is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from limpid.training.callback import Callback

if TYPE_CHECKING:
    from rich.console import Console

    from limpid.training.trainer import Trainer

EVERY = 0.1  # seconds between two drawings of the bar
LINES = 20  # about so many plain lines for a run


class ProgressBar(Callback):
    """One line that is drawn again and again: epochs, loss, accuracy, speed, time left."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self._next = 0.0

    def on_start(self, trainer: Trainer) -> None:
        total = trainer.config.epochs * len(trainer.batches)
        self._first_step, self._clock = trainer.step, time.perf_counter()
        self._numbers = ""
        self._task = self._progress.add_task(
            "", total=total, completed=trainer.step, epoch=_epoch(trainer), numbers=""
        )
        self._progress.start()

    def on_step(self, trainer: Trainer) -> None:
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + EVERY
            self._show(trainer)

    def on_epoch(self, trainer: Trainer, metrics: dict[str, Any]) -> None:
        self._numbers = _numbers(metrics)
        if time.perf_counter() >= self._next or trainer.ended is not None:
            self._show(trainer)

    def on_end(self, trainer: Trainer) -> None:
        self._show(trainer)
        self._progress.stop()

    def _show(self, trainer: Trainer) -> None:
        took = time.perf_counter() - self._clock
        examples = (trainer.step - self._first_step) * trainer.batches.size
        speed = f"{examples / took:,.0f}/s" if took > 0 else ""
        self._progress.update(
            self._task,
            completed=trainer.step,
            epoch=_epoch(trainer),
            numbers=f"{self._numbers}  {speed}".strip(),
        )


class ProgressLines(Callback):
    """A plain line for some of the epochs, at most about twenty in a run."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_start(self, trainer: Trainer) -> None:
        self._every = -(-trainer.config.epochs // LINES)

    def on_epoch(self, trainer: Trainer, metrics: dict[str, Any]) -> None:
        if trainer.epoch % self._every == 0 or trainer.ended is not None:
            speed = trainer.epoch * len(trainer.dataset.train) / max(trainer.seconds, 1e-9)
            line = f"epoch {_epoch(trainer)}  {_numbers(metrics)}  {speed:,.0f} examples/s"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def progress_on(console: Console) -> Callback:
    """The kind of progress that suits a console."""
    return ProgressBar(console) if console.is_terminal else ProgressLines(console)


def _epoch(trainer: Trainer) -> str:
    return f"{trainer.epoch}/{trainer.config.epochs}"


def _numbers(metrics: dict[str, Any]) -> str:
    return f"loss {metrics['train_loss']:.4f}  test accuracy {metrics['test_accuracy']:.1%}"
