"""Largest singular values of maps that are never formed: Golub–Kahan bidiagonalisation.

For a map A and its transpose, vectors v₁, v₂, … and u₁, u₂, … of length 1 are made, each orthogonal
to those before, so that A V = U B with an upper bidiagonal B, whose largest singular value grows
towards that of A. Where all of them fit into little memory, each is made orthogonal to all before
anew, so that all directions are exhausted after as many steps as there are. Else each is made
orthogonal to its predecessor alone: rounding then brings directions back that were there already,
which gives singular values of B a second time, and never larger ones. Several maps that are applied
by one call, one for each example, go in step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from limpid.graph.node import Array

Apply = Callable[[Array], Array]

ROOM = 2**25  # bytes of the vectors, if all of them are kept
MODERATE = 1e100  # numbers whose squares neither overflow nor underflow
ENOUGH = 2**-0.5  # of a vector: with that much left nothing was lost by what was taken away
ROUNDING = 32  # a tolerance is at least so many epsilons
FEWEST = 4  # steps between two looks at B; later a quarter of the steps so far
SAMPLE = 4  # of many maps those that were furthest off are looked at first


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
    return _Bidiagonalisation(operator, limit, random).run(tolerance, limit)


class _Bidiagonalisation:
    """The vectors and B so far: α on its diagonal, β beside it."""

    def __init__(self, operator: Operator, limit: int, random: np.random.Generator) -> None:
        self.operator = operator
        groups, n, m = operator.groups, operator.n, operator.m
        self.rank = min(n, m)
        self.whole = 8 * groups * (n + m) * min(self.rank, limit) <= ROOM
        self.alphas: list[Array] = []
        self.betas: list[Array] = []
        self.scale = np.zeros(groups)  # the longest vector met
        self.spoiled = np.zeros(groups, bool)
        self.unit = 1.0  # what numbers are measured in
        self.pending = np.arange(groups)  # whose values are not known yet, furthest off first
        self.values = np.zeros(groups)
        self.residuals = np.zeros(groups)  # relative
        start, _ = self._unit(random.standard_normal((groups, m)))
        first = self._clean(operator.transpose(start))
        largest = float(np.max(np.abs(first)))
        if largest and not 1 / MODERATE < largest < MODERATE:
            self.unit, first = largest, first / largest
        self.last_u = np.zeros((groups, m))
        self.last_v, _ = self._unit(first)
        self.u = _Basis(groups, m)
        self.v = _Basis(groups, n)
        if self.whole:
            self.v.add(self.last_v)

    def run(self, tolerance: float, limit: int) -> Norms:
        """Steps until the values are known, or the limit is reached."""
        look = FEWEST
        while True:
            self._step()
            steps = len(self.alphas)
            exhausted = not self.betas[-1].any() or (self.whole and steps == self.rank)
            last = exhausted or steps == limit
            if steps < look and not last:
                continue
            look = steps + max(FEWEST, steps // 4)
            if self._settle(self.pending[:SAMPLE], tolerance) or last:
                self._settle(self.pending, tolerance)
            if last or not self.pending.size:
                return self._norms(exhausted)

    def _step(self) -> None:
        """One more u, and the v after it."""
        made = self._clean(self.operator.apply(self.last_v))
        if self.betas:
            made = made - self.betas[-1][:, None] * self.last_u
        made = self.u.remove_from(made)
        self.last_u, alpha = self._unit(made)
        made = self._clean(self.operator.transpose(self.last_u)) - alpha[:, None] * self.last_v
        made = self.v.remove_from(made)
        self.last_v, beta = self._unit(made)
        self.alphas.append(alpha)
        self.betas.append(beta)
        if self.whole:
            self.u.add(self.last_u)
            self.v.add(self.last_v)

    def _ritz(self, groups: Array) -> tuple[Array, Array]:
        """The largest singular values of B for some groups, and their residuals."""
        size = len(self.alphas)
        b = np.zeros((len(groups), size, size))
        diagonal = np.arange(size)
        b[:, diagonal, diagonal] = np.stack(self.alphas, axis=1)[groups]
        if size > 1:
            b[:, diagonal[:-1], diagonal[1:]] = np.stack(self.betas[:-1], axis=1)[groups]
        left, values, _ = np.linalg.svd(b)
        return values[:, 0], self.betas[-1][groups] * np.abs(left[:, -1, 0])

    def _settle(self, groups: Array, tolerance: float) -> bool:
        """Note the values of some groups as they are now; whether any of them is known from here.

        Those that are known are not looked at again: directions that come back would give their
        values a second time, and vectors that are anything between the two.
        """
        values, residuals = self._ritz(groups)
        relative = np.divide(residuals, values, out=np.zeros_like(values), where=values > 0)
        self.values[groups], self.residuals[groups] = values, relative
        known = relative <= tolerance
        rest = np.setdiff1d(self.pending, groups[known])
        self.pending = rest[np.argsort(-self.residuals[rest], kind="stable")]
        return bool(known.any())

    def _norms(self, exhausted: bool) -> Norms:
        if exhausted:
            self.residuals[self.pending] = 0
        done = (exhausted or not self.pending.size) and not self.spoiled.any()
        values = np.where(self.spoiled, np.nan, self.values * self.unit)
        return Norms(values, self.residuals, len(self.alphas), done)

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


class _Basis:
    """Orthonormal vectors, as many as were added, for each group."""

    def __init__(self, groups: int, size: int) -> None:
        self.vectors = np.empty((groups, 0, size))
        self.count = 0

    def add(self, x: Array) -> None:
        """One more."""
        if self.count == self.vectors.shape[1]:
            groups, count, size = self.vectors.shape
            larger = np.empty((groups, max(16, 2 * count), size))
            larger[:, :count] = self.vectors
            self.vectors = larger
        self.vectors[:, self.count] = x
        self.count += 1

    def remove_from(self, x: Array) -> Array:
        """x without its parts along these; once more where little is left, as rounding counts."""
        if not self.count:
            return x
        basis = self.vectors[:, : self.count]
        before = _lengths(x)
        for _ in range(2):
            along = np.matmul(basis, x[:, :, None])[:, :, 0]
            x = x - np.matmul(along[:, None, :], basis)[:, 0]
            after = _lengths(x)
            if np.all(after >= ENOUGH * before):
                break
            before = after
        return x


def _lengths(x: Array) -> Array:
    """∥·∥ of each row."""
    return np.sqrt(np.matmul(x[:, None, :], x[:, :, None])[:, 0, 0])
