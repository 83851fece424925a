"""Partial credit: for every function whether it runs, its shape, its values, its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from limpid.errors import ArgumentError
from limpid.explanation.checking.diagnosis import Diagnosis
from limpid.explanation.checking.finding import Finding
from limpid.explanation.checking.subject import FunctionSubject, Subject, Trace
from limpid.explanation.grading.assignment import TOLERANCE, Assignment, examples
from limpid.explanation.grading.calling import Exercise
from limpid.explanation.grading.student import Student, StudentError
from limpid.graph.node import Array
from limpid.transforms.point import Vector

POINTS = {"runs": 1, "shape": 1, "value": 3, "gradient": 5}


@dataclass
class Score:
    """What one function is worth; a part it does not have, such as a gradient, does not count."""

    name: str
    kind: str
    parts: dict[str, tuple[float, float]] = field(default_factory=dict)  # points, of
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # errors and differing values, in words

    @property
    def points(self) -> float:
        """The points reached."""
        return sum(got for got, _ in self.parts.values())

    @property
    def of(self) -> float:
        """The points that can be reached."""
        return sum(most for _, most in self.parts.values())

    def to_json(self) -> dict[str, Any]:
        """The score as JSON data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "points": self.points,
            "of": self.of,
            "parts": {k: {"points": got, "of": most} for k, (got, most) in self.parts.items()},
            "findings": [f.to_json() for f in self.findings],
            "notes": self.notes,
        }


@dataclass
class Grade:
    """The scores of all functions of a file."""

    file: str
    reference: str
    scores: list[Score]

    @property
    def points(self) -> float:
        """The points reached."""
        return sum(s.points for s in self.scores)

    @property
    def of(self) -> float:
        """The points that can be reached."""
        return sum(s.of for s in self.scores)

    def to_json(self) -> dict[str, Any]:
        """The grade as JSON data."""
        return {
            "file": self.file,
            "reference": self.reference,
            "points": self.points,
            "of": self.of,
            "functions": [s.to_json() for s in self.scores],
        }


def grade_file(file: str | Path, against: str | Path, seconds: float = 10.0) -> Grade:
    """Grade the functions of a file against those of the same names in a reference.

    The file runs in a process of its own; each function may take `seconds` for all its calls.
    Where its values are wrong, its gradient is judged against its own forward.

    Raises ArgumentError if the reference can't be loaded, has no function to grade, or a wrong
    gradient itself.
    """
    path = Path(file)
    if not path.is_file():
        raise ArgumentError(f"{path}: there is no such file")
    if not seconds > 0:
        raise ArgumentError(f"the time limit must be positive, not {seconds:g} s")
    assignment = Assignment(Path(against))
    with Student(path, seconds) as student:
        scores = [_score(assignment, exercise, student) for exercise in assignment.exercises]
    return Grade(str(path), str(assignment.path), scores)


def _score(assignment: Assignment, exercise: Exercise, student: Student) -> Score:
    sets = list(examples(assignment, exercise))
    subject = assignment.subject(exercise, sets[0])
    if subject is not None:
        assignment.check(exercise, subject)
    score = Score(exercise.name, exercise.kind)
    score.parts = {k: (0.0, float(most)) for k, most in POINTS.items()}
    if subject is None:
        del score.parts["gradient"]
    try:
        student.begin()
        _compare_values(assignment, exercise, student, sets, score)
        if subject is not None and score.parts["runs"][0]:
            _compare_gradients(exercise, student, sets[0], subject, score)
    except StudentError as error:
        score.notes.append(str(error))
    return score


def _give(score: Score, part: str, share: float = 1.0) -> None:
    most = score.parts[part][1]
    score.parts[part] = (round(share * most, 2), most)


def _compare_values(
    assignment: Assignment,
    exercise: Exercise,
    student: Student,
    sets: Sequence[list[Any]],
    score: Score,
) -> None:
    shapes, values = True, True
    for inputs in sets:
        found, _ = student.call(exercise, inputs)
        right = assignment.outputs(exercise, inputs)
        _give(score, "runs")
        difference = _difference(found, right)
        shapes &= not difference.startswith("shape")
        values &= not difference
        if difference and difference not in score.notes and len(score.notes) < 1:
            score.notes.append(difference)
    _give(score, "shape", float(shapes))
    _give(score, "value", float(values))


def _difference(found: list[Array], right: list[Array]) -> str:
    """How outputs differ, in words; nothing if they agree."""
    shapes = [y.shape for y in found], [y.shape for y in right]
    if shapes[0] != shapes[1]:
        return f"shape of the output: {_listed(shapes[0])}, it must be {_listed(shapes[1])}"
    for a, b in zip(found, right, strict=True):
        size = np.abs(b).max(initial=0)
        off = np.abs(np.asarray(a, float) - b)
        if not (off <= 1e-6 * size + 1e-9).all():
            index = np.unravel_index(int(np.argmax(np.nan_to_num(off, nan=np.inf))), b.shape)
            place = tuple(int(i) for i in index)
            return f"value of the output at {place}: {a[index]:.6g}, it must be {b[index]:.6g}"
    return ""


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))


def _compare_gradients(
    exercise: Exercise,
    student: Student,
    inputs: list[Any],
    subject: FunctionSubject,
    score: Score,
) -> None:
    own = score.parts["value"][0] == 0
    theirs = StudentSubject(exercise, student, inputs, subject, own)
    findings = Diagnosis(theirs, None, TOLERANCE).findings()
    wrong = [f for f in findings if f.cause != "kink"]
    whole = any(not f.operand for f in wrong)  # it stops with an error, or writes where it must not
    score.findings = [
        replace(f, evidence=f.evidence.removeprefix("StudentError: ")) for f in findings
    ]
    share = 0.0 if whole else 1 - len(wrong) / len(subject.names)
    _give(score, "gradient", share)
    if own and share:
        score.notes.append("the gradient is judged against its own forward")


class StudentSubject(Subject):
    """The student's backward pass; the values are the reference's, or the student's own."""

    def __init__(
        self,
        exercise: Exercise,
        student: Student,
        inputs: list[Any],
        reference: FunctionSubject,
        own: bool,
    ) -> None:
        self.exercise, self.student, self.inputs = exercise, student, inputs
        self.reference, self.own = reference, own
        self.places = [i for i, _ in reference.point.places]
        self.name, self.names, self.start = exercise.name, reference.names, reference.start

    def value(self, xs: Vector) -> Vector:
        """The outputs."""
        if not self.own:
            return self.reference.value(xs)
        found, _ = self.student.call(self.exercise, self._inputs(xs))
        return [np.asarray(y, np.float64) for y in found]

    def pull(self, xs: Vector, gs: Vector) -> list[Any]:
        """What the student's backward returns."""
        _, found = self.student.call(self.exercise, self._inputs(xs), gs)
        return [found[i] if i < len(found) else None for i in self.places]

    def trace(self, xs: Vector) -> Trace | None:
        """The graph of the reference."""
        return None if self.own else self.reference.trace(xs)

    def _inputs(self, xs: Vector) -> list[Array]:
        inputs = [np.asarray(x) for x in self.inputs]
        for i, x in zip(self.places, xs, strict=True):
            inputs[i] = x
        return inputs
