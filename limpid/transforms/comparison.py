"""Analytic derivatives of one mode against numerical ones, entry by entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from limpid.errors import ArgumentError, RuleError
from limpid.graph.node import Array
from limpid.transforms.difference import Estimate, central, one_sided
from limpid.transforms.point import Level, Vector, joined, rounding

if TYPE_CHECKING:
    from limpid.transforms.check import Check

SHOWN = 8  # wrong entries in a message


class Direction(NamedTuple):
    """A way to move the leaves: along one element, or all at once."""

    vector: Vector
    step: float
    near: float  # a step that is short even compared with the element itself
    leaf: int | None = None
    element: tuple[int, ...] = ()


class Comparison:
    """Derivatives of one mode against numerical ones, along each direction."""

    def __init__(
        self,
        check: Check,
        level: Level,
        label: str,
        moves: list[Direction],
        expected: list[Estimate],
        results: Vector,
        seeds: list[Vector] | None,
    ) -> None:
        self.owner, self.level, self.label = check, level, label
        self.moves, self.results, self.seeds = moves, results, seeds
        self.weights = None if seeds is None else np.array([joined(s) for s in seeds])
        self.expected = [self._seen(x) for x in expected]
        self.eps = max(float(np.finfo(y.dtype).eps) for y in results)
        self.natural = float(np.abs(joined(results)).max(initial=0))  # derivatives are of this size

    def _seen(self, estimate: Estimate) -> Estimate:
        """An estimate for every output as one for every seed."""
        if self.weights is None:
            return estimate
        with np.errstate(all="ignore"):
            error = np.where(self.weights == 0, 0, np.abs(self.weights) * estimate.error).sum(1)
            value = np.where(self.weights == 0, 0, self.weights * estimate.value).sum(1)
        return Estimate(value, error)

    def check(self, found: Array) -> None:
        """Raise if anything is wrong. found: for every direction, for every output or seed."""
        size = max(np.abs(x.value[np.isfinite(x.value)]).max(initial=0) for x in self.expected)
        wrong: list[tuple[int, int, float, float]] = []
        unclear = 0
        for d, (row, estimate) in enumerate(zip(found, self.expected, strict=True)):
            bad, blurred = self._judge(row, estimate, size)
            if bad.any():
                bad &= ~self._elsewhere(d, row, size)
            if bad.any():
                kink = bad & self._kink(d, row, size)
                bad &= ~kink
                self._note(d, kink)
            unclear += int(blurred.sum())
            wrong += [(d, int(k), row[k], estimate.value[k]) for k in np.flatnonzero(bad)]
        if wrong:
            self._report(wrong, found.size)
        if found.size and unclear == found.size:
            raise ArgumentError(
                f"check_grad: {self.owner.point.name}: finite differences of {self.label} mode do "
                "not converge here; move the point away from kinks and jumps"
            )

    def _judge(self, row: Array, estimate: Estimate, size: float) -> tuple[Array, Array]:
        """(where it is wrong, where the numerical derivative is too blurred to say)."""
        value, error = estimate
        with np.errstate(all="ignore"):
            larger = np.maximum(np.abs(row), np.abs(value))
            clear = 1e-2 * np.maximum(larger, 0.1 * self.natural) + max(1e-12, 30 * self.eps)
            blurred = ~np.isfinite(value) | (error > clear)
            allowed = self.owner.tolerance * np.maximum(larger, 1e-3 * size) + 10 * error + 1e-12
            agrees = np.abs(row - value) <= allowed
        return ~agrees & ~blurred, blurred

    def _elsewhere(self, d: int, row: Array, size: float) -> Array:
        """Where a shorter step agrees: the first may have reached across a pole or a kink."""
        move = self.moves[d]
        along = self.owner._along(self.level, move)
        right = np.zeros(row.shape, bool)
        for step in (move.step * 1e-2, move.step * 1e-4, move.near):
            estimate = self._seen(central(along, step, rounding(self.results)))
            bad, blurred = self._judge(row, estimate, size)
            right |= ~bad & ~blurred
        return right

    def _kink(self, d: int, row: Array, size: float) -> Array:
        """Where the derivative jumps, and what was found lies between both sides."""
        along = self.owner._along(self.level, self.moves[d])
        sides = one_sided(along, self.moves[d].step * 1e-2, rounding(self.results))
        left, right = (self._seen(x) for x in sides)
        slack = left.error + right.error + self.owner.tolerance * max(size, 1)
        low, high = np.minimum(left.value, right.value), np.maximum(left.value, right.value)
        jumps = high - low > 1e3 * slack
        return np.asarray(jumps & (low - slack <= row) & (row <= high + slack))

    def _note(self, d: int, kink: Array) -> None:
        move = self.moves[d]
        if kink.any() and move.leaf is not None:
            place = f"argument {self.owner.point.paths[move.leaf]}, index {move.element}"
            if place not in self.owner.at_kinks:
                self.owner.at_kinks.append(place)

    def _report(self, wrong: list[tuple[int, int, float, float]], compared: int) -> NoReturn:
        def rank(entry: tuple[int, int, float, float]) -> tuple[bool, bool, float]:
            d, k, analytic, numerical = entry
            off = abs(analytic - numerical)
            size = -off if off == off else -np.inf
            return self.moves[d].leaf is None, self._element(k) is None, size

        rows = [self._line(*entry) for entry in sorted(wrong, key=rank)[:SHOWN]]
        table = [("argument", "index", "output", "analytic", "numerical", "ratio"), *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  " + "  ".join(x.ljust(w) for x, w in zip(line, widths, strict=True)).rstrip()
            for line in table
        ]
        more = [f"  … and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        raise RuleError(
            "\n".join(
                [
                    f"check_grad: {self.owner.point.name}: {self.label} mode is wrong in "
                    f"{len(wrong)} of {compared} entries compared",
                    *lines,
                    *more,
                ]
            )
        )

    def _line(self, d: int, k: int, analytic: float, numerical: float) -> tuple[str, ...]:
        move = self.moves[d]
        argument = "all" if move.leaf is None else self.owner.point.paths[move.leaf]
        index = "random direction" if move.leaf is None else str(move.element)
        ratio = "" if numerical == 0 else f"{analytic / numerical + 0.0:.4g}"
        numbers = f"{analytic + 0.0:.6g}", f"{numerical + 0.0:.6g}"
        return argument, index, self._output(k), *numbers, ratio

    def _element(self, k: int) -> int | None:
        """The number of the output element compared; None for a weighted sum of all."""
        if self.seeds is None:
            return k
        ones = np.flatnonzero(joined(self.seeds[k]))
        return int(ones[0]) if len(ones) == 1 else None

    def _output(self, k: int) -> str:
        """The output element compared, in words."""
        left = self._element(k)
        if left is None:
            return "random weights"
        for number, y in enumerate(self.results):
            if left < y.size:
                index = tuple(int(n) for n in np.unravel_index(left, y.shape))
                return str(index) if len(self.results) == 1 else f"{number}: {index}"
            left -= y.size
        return ""
