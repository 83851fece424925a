"""Largest singular values of maps that are never formed: Golub–Kahan, restarted.

For a map A and its transpose, orthonormal v₁, v₂, … and u₁, u₂, … are made so that A V = U H with
a small triangular H, whose largest singular value grows towards that of A. All vectors are made
orthogonal to all before, so close singular values cost steps and no accuracy. When there
are as many vectors as there is room for, the best combinations of them are kept and the rest is
dropped. Several maps that are applied by one call, one for each example, go in step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.graph.node import Array

Apply = Callable[[Array], Array]

FIRST_BASIS = 32  # pairs of vectors before the first restart; then twice as many, and so on
SMALLEST_BASIS = 8
ROOM = 2**28  # bytes for the vectors
MODERATE = 1e100  # numbers whose squares neither overflow nor underflow
ENOUGH = 2**-0.5  # of a vector: with that much left nothing was lost by what was taken away
KEPT = 3  # one in so many is kept at a restart
ROUNDING = 32  # a tolerance is at least so many epsilons


@dataclass(frozen=True)
class Operator:
    """One map for each group (an example, or the whole batch): n numbers to m numbers.

    apply      (groups, n) → (groups, m)
    transpose  (groups, m) → (groups, n)
    epsilon    the rounding of the type that both compute in
    """

    apply: Apply
    transpose: Apply
    groups: int
    n: int
    m: int
    epsilon: float


@dataclass(frozen=True)
class Norms:
    """Spectral norms, one for each group, and how well they are known.

    values     lower bounds in exact arithmetic, each within its residual of a singular value;
               NaN where the map is not finite
    residuals  ∥Aᵀu − σv∥ / σ; 0 where all directions were exhausted
    steps      how often the map and its transpose were applied
    converged  whether all residuals are within the tolerance
    """

    values: Array
    residuals: Array
    steps: int
    converged: bool


def spectral_norms_of(
    operator: Operator, tolerance: float, limit: int, random: np.random.Generator
) -> Norms:
    """The largest singular value of every map.

    Ends when every residual is below `tolerance` times the value, or after `limit` steps. The start
    is random: a singular value whose vector is orthogonal to it, to all digits, would be missed.
    """
    if not operator.n or not operator.m:
        zero = np.zeros(operator.groups)
        return Norms(zero, zero, 0, True)
    tolerance = max(tolerance, ROUNDING * operator.epsilon)
    return _Bidiagonalisation(operator, random).run(tolerance, limit)


class _Bidiagonalisation:
    """The vectors so far: `held` of each kind, and the next v."""

    def __init__(self, operator: Operator, random: np.random.Generator) -> None:
        self.operator = operator
        groups, n, m = operator.groups, operator.n, operator.m
        self.rank = min(n, m)
        room = ROOM // (8 * groups * (n + m))
        self.largest = min(self.rank, max(SMALLEST_BASIS, room))
        self.size = min(self.largest, FIRST_BASIS)
        self.v, self.u, self.h = self._empty()
        self.beta = np.zeros(groups)
        self.scale = np.zeros(groups)  # the longest vector met
        self.spoiled = np.zeros(groups, bool)
        self.unit = 1.0  # what numbers are measured in
        self.held = 0
        self.steps = 0
        start, _ = self._unit(random.standard_normal((groups, m)))
        first = self._clean(operator.transpose(start))
        largest = float(np.max(np.abs(first)))
        if largest and not 1 / MODERATE < largest < MODERATE:
            self.unit, first = largest, first / largest
        self.v[:, 0], _ = self._unit(first)

    def run(self, tolerance: float, limit: int) -> Norms:
        """Steps until the values are known, or the limit is reached."""
        every = 4 if self.operator.groups <= 8 else 8
        while True:
            self._step()
            full = self.held == self.size
            last = self.steps >= limit
            if not (full or last or self.steps % every == 0 or not self.beta.any()):
                continue
            left, values, right = np.linalg.svd(self.h[:, : self.held, : self.held])
            residuals = self.beta * np.abs(left[:, -1, 0])
            if full and self.size == self.rank:
                residuals = np.zeros_like(residuals)  # there are no further directions
            done = bool(np.all(residuals <= tolerance * values[:, 0]))
            if done or last:
                return self._norms(values[:, 0], residuals, done)
            if full:
                self._restart(left, values, right)

    def _step(self) -> None:
        """One more u, and the v after it."""
        k = self.held
        made = self._clean(self.operator.apply(self.v[:, k]))
        made, along = _remove(made, self.u[:, :k])
        self.h[:, :k, k] = along
        self.u[:, k], self.h[:, k, k] = self._unit(made)
        made = self._clean(self.operator.transpose(self.u[:, k]))
        made, _ = _remove(made, self.v[:, : k + 1])
        self.v[:, k + 1], self.beta = self._unit(made)
        self.held += 1
        self.steps += 1

    def _restart(self, left: Array, values: Array, right: Array) -> None:
        """Keep the best combinations, and the next v, which what follows depends on."""
        kept, size, u, v = max(1, self.size // KEPT), self.size, self.u, self.v
        self.size = min(self.largest, 2 * size)
        self.v, self.u, self.h = self._empty()
        self.u[:, :kept] = left[:, :, :kept].transpose(0, 2, 1) @ u
        self.v[:, :kept] = right[:, :kept] @ v[:, :size]
        self.v[:, kept] = v[:, size]
        for i in range(kept):
            self.h[:, i, i] = values[:, i]
        self.held = kept

    def _empty(self) -> tuple[Array, Array, Array]:
        """Room for v, u and H."""
        groups, size = self.operator.groups, self.size
        v = np.empty((groups, size + 1, self.operator.n))
        return v, np.empty((groups, size, self.operator.m)), np.zeros((groups, size, size))

    def _unit(self, x: Array) -> tuple[Array, Array]:
        """Vectors of length 1 and their lengths; what is mere rounding becomes 0."""
        lengths = _lengths(x)
        np.maximum(self.scale, lengths, out=self.scale)
        lengths[lengths <= 2 * self.operator.epsilon * self.scale] = 0
        inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return x * inverse[:, None], lengths

    def _clean(self, x: Array) -> Array:
        """In double precision; maps that give NaN or Inf are noted and go on as 0."""
        x = np.asarray(x, np.float64)
        x = x if self.unit == 1 else x / self.unit
        bad = np.asarray(~np.isfinite(x).all(axis=1))
        if bad.any():
            self.spoiled |= bad
            x = np.where(bad[:, None], 0, x)
        return x

    def _norms(self, values: Array, residuals: Array, done: bool) -> Norms:
        relative = np.divide(residuals, values, out=np.zeros_like(values), where=values > 0)
        values = np.where(self.spoiled, np.nan, values * self.unit)
        return Norms(values, relative, self.steps, done and not self.spoiled.any())


def _remove(x: Array, basis: Array) -> tuple[Array, Array]:
    """x without its parts along orthonormal vectors, and those parts.

    Once more where little is left, since then rounding counts.
    """
    total: Any = np.zeros((len(x), basis.shape[1]))
    before = _lengths(x)
    for _ in range(2):
        along = np.matmul(basis, x[:, :, None])[:, :, 0]
        x = x - np.matmul(along[:, None, :], basis)[:, 0]
        total += along
        after = _lengths(x)
        if np.all(after > ENOUGH * before):
            break
        before = after
    return x, total


def _lengths(x: Array) -> Array:
    """∥·∥ of each row."""
    return np.sqrt(np.matmul(x[:, None, :], x[:, :, None])[:, 0, 0])
