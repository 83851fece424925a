"""The right gradient: numerical Jacobians in float64, small enough to be looked at whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from limpid.explanation.checking.subject import Subject
from limpid.graph.node import Array
from limpid.transforms.difference import Along, Estimate, central, one_sided
from limpid.transforms.point import Vector, joined, rounding

MOST_ELEMENTS = 600  # of all operands together
MOST_ENTRIES = 1_000_000  # of a Jacobian


class Right:
    """The Jacobian with respect to each operand, by finite differences.

    jacobians  (elements of all outputs, elements of the operand), None for operands left out
    blurred    for each operand the elements for which differences do not converge
    """

    def __init__(
        self,
        subject: Subject,
        xs: Vector,
        wanted: Sequence[int] | None = None,
        tolerance: float = 1e-6,
    ) -> None:
        self.subject, self.xs = subject, xs
        self.blur = max(1e-5, tolerance)
        self.precision = 0.0  # the largest relative error of what is not blurred
        self.ys = subject.value(xs)
        self.rounding = rounding(self.ys)
        self.jacobians: list[Array | None] = [None] * len(xs)
        self.blurred: list[Array] = [np.zeros(x.shape, bool) for x in xs]
        for k in range(len(xs)) if wanted is None else wanted:
            self._differentiate(k)

    def _differentiate(self, k: int) -> None:
        size = sum(y.size for y in self.ys)
        found = [self._column(k, index) for index in np.ndindex(self.xs[k].shape)]
        values = np.array([e.value for e in found]).reshape(-1, size).T
        errors = np.array([e.error for e in found]).reshape(-1, size).T
        largest = np.abs(values[np.isfinite(values)]).max(initial=1e-12)
        bad = ~np.isfinite(values) | (errors > self.blur * np.maximum(np.abs(values), largest))
        self.precision = max(self.precision, float(errors[~bad].max(initial=0) / largest))
        self.jacobians[k] = np.where(bad | (np.abs(values) <= 3 * errors), 0.0, values)
        self.blurred[k] = bad.any(0).reshape(self.xs[k].shape)

    def _column(self, k: int, index: tuple[int, ...]) -> Estimate:
        size = max(0.5, abs(float(self.xs[k][index])))
        best = central(self._along(k, index), 0.02 * size, self.rounding)
        shorter = 2e-4 * size
        if np.all(best.error <= 1e-7 * np.maximum(np.abs(best.value), 1e-3)):
            return best
        other = central(self._along(k, index), shorter, self.rounding)
        with np.errstate(invalid="ignore"):
            better = other.error < best.error
        return Estimate(
            np.where(better, other.value, best.value), np.where(better, other.error, best.error)
        )

    def _along(self, k: int, index: tuple[int, ...]) -> Along:
        def along(t: float) -> Array:
            moved = [np.array(x) for x in self.xs]
            moved[k][index] += t
            return joined(self.subject.value(moved))

        return along

    def pull(self, k: int, gs: Vector) -> Array:
        """Upstream · Jacobian."""
        jacobian = self.jacobians[k]
        assert jacobian is not None
        return np.asarray((joined(gs) @ jacobian).reshape(self.xs[k].shape))

    def kinks(self, k: int, among: Array) -> Array:
        """Those of some elements of an operand at which a derivative jumps."""
        found = np.zeros(self.xs[k].shape, bool)
        for index in np.argwhere(among):
            place = tuple(int(i) for i in index)
            left, right = one_sided(self._along(k, place), 1e-4, self.rounding)
            with np.errstate(invalid="ignore"):
                slack = left.error + right.error + 1e-7
                jump = np.abs(left.value - right.value) > 1e3 * slack
            found[place] = bool(jump.any())
        return found


def small_enough(xs: Vector, ys: Vector) -> bool:
    """Whether whole Jacobians can be looked at."""
    elements = sum(x.size for x in xs)
    return elements <= MOST_ELEMENTS and elements * sum(y.size for y in ys) <= MOST_ENTRIES
