"""The doctor in a training run."""

from __future__ import annotations

from typing import Any

from limpid.diagnosis.doctor.doctor import Doctor
from limpid.diagnosis.doctor.report import Report
from limpid.training.callback import Callback
from limpid.training.step import TrainStep, train_step
from limpid.training.trainer import Trainer


class DoctorCallback(Callback):
    """Watches each step of a run of the usual batch size; `report` says what is wrong.

    The steps are compiled and give the same numbers. What the doctor looks at more closely runs a
    second time.
    """

    def __init__(self) -> None:
        self._doctor = Doctor(train_step)

    def on_start(self, trainer: Trainer) -> None:
        """Take the steps from now on."""
        size = min(trainer.batches.size, len(trainer.dataset.train))

        def looker(usual: TrainStep) -> TrainStep:
            def step(model: Any, objective: Any, optimizer: Any, x: Any, y: Any) -> Any:
                run = self._doctor if len(x) == size else usual
                return run(model, objective, optimizer, x, y)

            return step

        trainer.look_with(looker)

    def report(self) -> Report | None:
        """What was found; None if no step was taken."""
        return self._doctor.report() if self._doctor.has_seen else None
