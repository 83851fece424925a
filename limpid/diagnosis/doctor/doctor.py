"""Watching a step with the doctor's eyes, and saying what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.compiler.steps.bound import BoundStep
from limpid.compiler.steps.step import Step
from limpid.diagnosis.doctor.causes import diagnose
from limpid.diagnosis.doctor.facts import Facts
from limpid.diagnosis.doctor.observer import Observer
from limpid.diagnosis.doctor.report import Report
from limpid.errors import ArgumentError, LimpidError
from limpid.tensor import Tensor
from limpid.transforms.nesting import flatten

ALL = 8  # calls at the beginning of which numbers are taken
RARER = 1.2  # later the next one is this many times as late as the one before


class Doctor:
    """A training step that is looked at while it runs. Calling it does what the step does.

    Each call notes the loss. Of the first 8 calls, and then of ever fewer, all other numbers are
    taken, by running the call a second time from the state that it found. `report` says what is
    wrong. A `Doctor` computes with a compiled step of its own, so nothing is added to yours.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self._step = Step(_function(step), keep=1)
        self._observer = Observer()
        self._next = 1
        self._looked = True
        self.__name__ = self._step.__name__

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """The step, with facts taken of the call."""
        kept = self._step.sight.kept
        before = kept[-1] if kept else None
        try:
            result = self._step(*args, **kwargs)
        except LimpidError as error:
            latest = kept[-1] if kept and kept[-1] is not before else None
            self._observer.fail(error, latest)
            raise
        call = kept[-1] if kept else None
        if call is None or call is before:
            raise ArgumentError(
                f"{self.__name__} ran uncompiled: a step that is looked at can't be called in a "
                "recording or a transform, or on a tensor that carries a gradient"
            )
        self._observer.note(call)
        self._note_loss(call, result)
        facts = self._observer.facts
        self._looked = facts.calls >= self._next
        if self._looked:
            self._observer.look(call)
            self._next = facts.calls + 1 if facts.calls < ALL else int(facts.calls * RARER) + 1
        return result

    @property
    def facts(self) -> Facts:
        """What was seen so far."""
        if not self._looked:
            self._observer.look(self._step.sight.calls()[-1])
            self._looked = True
        return self._observer.facts

    @property
    def has_seen(self) -> bool:
        """Whether there has been a call."""
        return bool(self._observer.facts.calls or self._observer.facts.failure)

    @property
    def has_answer(self) -> bool:
        """Whether there is something to say of a call that failed."""
        facts = self._observer.facts
        return bool(facts.calls or facts.choices)

    def report(self) -> Report:
        """What is wrong, as far as the calls show. Raises ArgumentError before the first call."""
        facts = self.facts
        if not self.has_seen:
            raise ArgumentError(
                f"{self.__name__} has not been called yet\nremedy: "
                "limpid.doctor(step, batches), or call the doctor in the place of the step"
            )
        return Report(self.__name__, diagnose(facts), looked_at(facts))

    def __repr__(self) -> str:
        return f"<doctor of {self.__name__}, which was called {self._observer.facts.calls} times>"

    def _note_loss(self, call: Any, result: Any) -> None:
        """The loss, where the step returns it or the largest part of it."""
        trail = call.recording.trail
        structure = self._observer.structure(call)
        leaves = [x for _, x in flatten(result)[0] if isinstance(x, Tensor)]
        behind = set(structure.behind)
        for (_, reference), value in zip(trail.results, leaves):
            scalar = value.size == 1 and isinstance(reference, tuple)
            if scalar and (reference in structure.losses or reference[0] in behind):
                self._observer.facts.losses.append(float(np.asarray(value.value).item()))
                return


def _function(step: Any) -> Callable[..., Any]:
    """The function of a step, which may be compiled already."""
    if isinstance(step, Doctor):
        return step._step.function
    if isinstance(step, BoundStep):
        return step.step.function.__get__(step.instance)
    if isinstance(step, Step):
        return step.function
    if not callable(step):
        raise ArgumentError(
            f"doctor() takes a training step, which is a function, not {type(step).__name__}"
        )
    return step


def looked_at(facts: Facts) -> dict[str, int]:
    """What there was to see."""
    return {
        "calls": facts.calls,
        "calls with all numbers": facts.seen,
        "parameters": len(facts.parameters),
        "layers": len(facts.layers),
        "activations": len(facts.activations),
        "losses of classes": len(facts.choices),
    }
