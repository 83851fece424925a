"""The reference: its functions, on which inputs they are compared, and their right gradients."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from functools import wraps
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from limpid.errors import ArgumentError
from limpid.explanation.checking.diagnosis import Diagnosis
from limpid.explanation.checking.subject import FunctionSubject, Subject, function_class
from limpid.explanation.grading.calling import CLASS, LOSS, PAIR, PLAIN, Exercise, call, exercises
from limpid.explanation.grading.calling import is_loss as gives_gradients
from limpid.explanation.grading.worker import load_module
from limpid.graph.node import Array
from limpid.transforms.handwritten import as_function
from limpid.transforms.point import Point

SHAPES: tuple[tuple[int, ...], ...] = ((4, 5), (5, 3), (3,), (5,), (4, 3), (4,), ())
LABELS = ("y", "label", "labels", "target", "targets", "index", "indices", "classes")
MOST_OPERANDS = 5
EXAMPLES = 5  # sets of numbers for each function
TOLERANCE = 1e-6


class Assignment:
    """A reference file: what is to be graded, and against what."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ArgumentError(f"{path}: there is no such file")
        self.path = path
        try:
            self.module = load_module(path.resolve(), "reference")
        except Exception as error:
            raise ArgumentError(f"{path.name} can't be loaded: {error!r}") from error
        told = getattr(self.module, "inputs", None)
        self.told: dict[str, Any] = told() if callable(told) else {}
        self.exercises = [self._sorted_out(e) for e in exercises(self.module)]
        if not self.exercises:
            raise ArgumentError(f"{path.name} defines no function to be graded")

    def _sorted_out(self, exercise: Exercise) -> Exercise:
        if exercise.kind != PLAIN:
            return exercise
        inputs = self.inputs(exercise, 0)
        loss = gives_gradients(getattr(self.module, exercise.name)(*inputs), inputs)
        return exercise._replace(kind=LOSS) if loss else exercise

    def inputs(self, exercise: Exercise, number: int) -> list[Any]:
        """The operands of one example: what the file says, or shapes that fit each other."""
        rng = np.random.default_rng([number, *exercise.name.encode()])
        told = getattr(self.module, f"example_{exercise.name}", None)
        if callable(told):
            given = told(rng) if inspect.signature(told).parameters else told()
        elif exercise.name in self.told:
            given = self.told[exercise.name]
        else:
            return self._generated(exercise, rng)
        given = given if isinstance(given, tuple | list) else (given,)
        return [_array(exercise, x) for x in given]

    def outputs(self, exercise: Exercise, inputs: Sequence[Any]) -> list[Array]:
        """What the reference computes."""
        with np.errstate(all="ignore"):
            return call(self.module, exercise, [np.array(x)[()] for x in inputs], None)[0]

    def _generated(self, exercise: Exercise, rng: np.random.Generator) -> list[Any]:
        names = self._parameters(exercise)
        forms_of = [("labels", *SHAPES) if n in LABELS else (*SHAPES, "labels") for n in names]
        for forms in product(*forms_of) if len(names) <= MOST_OPERANDS else ():
            inputs = [_drawn(form, rng) for form in forms]
            if self._fit(exercise, inputs):
                return inputs
        raise ArgumentError(
            f"{self.path.name}: no inputs could be found for {exercise.name}\n"
            f"remedy: define example_{exercise.name}(rng) there, which returns its operands"
        )

    def _fit(self, exercise: Exercise, inputs: Sequence[Any]) -> bool:
        try:
            made = self.outputs(exercise, inputs)
        except Exception:  # shapes that do not fit each other
            return False
        return all(np.isfinite(y).all() for y in made)

    def _parameters(self, exercise: Exercise) -> list[str]:
        name = f"{exercise.name}_forward" if exercise.kind == PAIR else exercise.name
        target = getattr(self.module, name)
        taken = inspect.signature(target.forward if exercise.kind == CLASS else target).parameters
        needed = [n for n, p in taken.items() if p.default is p.empty and p.kind.value < 2]
        return needed[exercise.kind == CLASS :]

    def subject(self, exercise: Exercise, inputs: Sequence[Any]) -> FunctionSubject | None:
        """The reference as a black box; None where it has no gradient."""
        if exercise.kind == PLAIN:
            return None
        function = self._function(exercise)
        numbers = self._with_gradient(exercise, inputs)
        if not numbers:
            return None
        return FunctionSubject(Point(function.apply, inputs, numbers), function)

    def _function(self, exercise: Exercise) -> Any:
        name = exercise.name
        if exercise.kind == CLASS:
            return function_class(getattr(self.module, name).apply)
        if exercise.kind == PAIR:
            module = self.module
            return as_function(
                getattr(module, f"{name}_forward"), getattr(module, f"{name}_backward")
            )
        loss = getattr(self.module, name)

        @wraps(loss)
        def forward(*args: Any) -> Any:
            value, *found = loss(*args)
            return value, found[0] if len(found) == 1 else found

        def backward(upstream: Any, found: Any) -> Any:
            parts = found if isinstance(found, tuple | list) else [found]
            return tuple(None if g is None else upstream * g for g in parts)

        return as_function(forward, backward)

    def _with_gradient(self, exercise: Exercise, inputs: Sequence[Any]) -> list[int]:
        """The operands for which the reference returns a gradient."""
        ys = self.outputs(exercise, inputs)
        given = [np.array(x)[()] for x in inputs]
        _, found = call(self.module, exercise, given, [np.ones(y.shape) for y in ys])
        return [
            i
            for i, (x, g) in enumerate(zip(inputs, found, strict=False))
            if g is not None and np.asarray(x).dtype.kind == "f"
        ]

    def check(self, exercise: Exercise, subject: Subject) -> None:
        """Raise ArgumentError if the reference itself has a wrong gradient."""
        findings = [f for f in Diagnosis(subject, None, TOLERANCE).findings() if f.cause != "kink"]
        if findings:
            first = findings[0]
            raise ArgumentError(
                f"{self.path.name}: the reference {exercise.name} has a wrong gradient itself: "
                f"{first.operand}: {first.statement} ({first.evidence})"
            )


def _array(exercise: Exercise, x: Any) -> Any:
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise ArgumentError(
            f"the inputs of {exercise.name} must be arrays or numbers, not {x!r:.40}"
        )
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _drawn(form: Any, rng: np.random.Generator) -> Any:
    if form == "labels":
        return rng.integers(0, 3, 4)
    x = rng.uniform(-1.5, 1.5, form)
    return np.where(np.abs(x) < 0.05, 0.3, x)


def examples(assignment: Assignment, exercise: Exercise) -> Iterator[list[Any]]:
    """Several sets of inputs; a fixed example counts once."""
    first = assignment.inputs(exercise, 0)
    yield first
    for number in range(1, EXAMPLES):
        other = assignment.inputs(exercise, number)
        if any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True)):
            yield other
