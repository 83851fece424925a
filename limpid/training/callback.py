"""Callbacks: what else happens while a network is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limpid.training.trainer import Trainer


class Callback:
    """Base of callbacks; override what you need. `trainer` holds model, optimizer, config …

    >>> class StopAtHalf(Callback):
    ...     def on_epoch(self, trainer, metrics):
    ...         if metrics["test_accuracy"] > 0.5:
    ...             trainer.stop("good enough")
    """

    def on_start(self, trainer: Trainer) -> None:
        """Before the first step."""

    def on_step(self, trainer: Trainer) -> None:
        """After every step."""

    def on_epoch(self, trainer: Trainer, metrics: dict[str, Any]) -> None:
        """After every epoch, with its line of metrics.jsonl."""

    def on_end(self, trainer: Trainer) -> None:
        """After the last step, also when training is interrupted."""
