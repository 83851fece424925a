"""All numbers about one operand with a wrong gradient, and when two gradients count as equal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from limpid.explanation.checking.replay import Replay
from limpid.explanation.checking.right import Right
from limpid.explanation.checking.subject import Subject
from limpid.graph.node import Array
from limpid.transforms.point import Vector


@dataclass
class Evidence:
    """Trials differ in their random upstream gradients; every list has one entry for each."""

    subject: Subject
    k: int
    xs: Vector
    ys: Vector
    upstream: list[Vector]
    found: list[Array]  # of operand k
    rights: list[Vector]  # of all operands
    tolerance: float
    right: Right | None = None  # None where the operands are too large
    use: Array = field(default_factory=lambda: np.ones((), bool))  # elements that can be judged
    replays: list[Replay] = field(default_factory=list)  # graphs of the same function

    @property
    def x(self) -> Array:
        return self.xs[self.k]

    @property
    def name(self) -> str:
        return self.subject.names[self.k]

    @property
    def expected(self) -> list[Array]:
        """The right gradient of the operand."""
        return [r[self.k] for r in self.rights]

    @property
    def scale(self) -> float:
        """The size of the numbers compared."""
        parts = [np.abs(r).max(initial=0) for r in (*self.expected,)]
        return max(float(max(parts)), 1e-12)

    def close(self, a: Array, b: Array) -> bool:
        """Whether two gradients of the operand are equal, kinks left out."""
        return a.shape == b.shape and bool(np.all(self.agree(a, b)))

    def agree(self, a: Array, b: Array) -> Array:
        """Where two gradients of the operand are equal."""
        with np.errstate(invalid="ignore"):
            larger = np.maximum(np.abs(a), np.abs(b)).max(initial=0)
            near = np.abs(a - b) <= self.tolerance * max(float(larger), 1e-3 * self.scale)
        return near | ~self.use

    def fits(self, predicted: Iterable[Array | None]) -> bool:
        """Whether what a cause predicts, trial by trial, is what was found."""
        with np.errstate(all="ignore"):
            return all(
                made is not None and self.close(np.asarray(made), found)
                for made, found in zip(predicted, self.found, strict=False)
            )

    @property
    def jacobian(self) -> Array | None:
        """(elements of the outputs, elements of the operand)."""
        return None if self.right is None else self.right.jacobians[self.k]

    @property
    def local(self) -> Array | None:
        """The local derivative where the function works element by element; else None."""
        jacobian = self.jacobian
        if jacobian is None or len(self.ys) != 1 or self.ys[0].shape != self.x.shape:
            return None
        diagonal = np.diag(jacobian)
        rest = jacobian - np.diag(diagonal)
        size = max(np.abs(diagonal).max(initial=0), 1e-12)
        if np.abs(rest).max(initial=0) > max(1e-8, self.tolerance / 10) * size:
            return None
        return np.asarray(diagonal.reshape(self.x.shape))

    def pull_at(self, xs: Vector, trial: int) -> Array | None:
        """The right gradient with other operands."""
        for replay in self.replays:
            trace = replay.source.trace(xs)
            if trace is not None:
                return Replay(trace, replay.source).pull(self.upstream[trial])[self.k]
        if self.right is None:
            return None
        moved = Right(self.subject, xs, [self.k], self.tolerance)
        return np.where(moved.blurred[self.k], np.nan, moved.pull(self.k, self.upstream[trial]))
