"""Derivatives by finite differences, as exactly as rounding allows, each with its error."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from limpid.graph.node import Array

LEVELS = 10  # halvings of the step
Along = Callable[[float], Array]  # t ↦ all outputs of a function at x + t·v, as one vector


class Estimate(NamedTuple):
    """A numerical derivative and how far it may be off, for every output."""

    value: Array
    error: Array


def central(along: Along, step: float, rounding: Array) -> Estimate:
    """dy/dt at 0 from (y(h) − y(−h)) / 2h; rounding is the error of y."""
    return _extrapolated(lambda h: (along(h) - along(-h)) / (2 * h), step, 4, rounding)


def one_sided(along: Along, step: float, rounding: Array) -> tuple[Estimate, Estimate]:
    """dy/dt at 0 from the left and from the right; at a kink they differ."""
    here = along(0.0)
    left = _extrapolated(lambda h: (here - along(-h)) / h, step, 2, rounding)
    right = _extrapolated(lambda h: (along(h) - here) / h, step, 2, rounding)
    return left, right


def _extrapolated(
    quotient: Callable[[float], Array], step: float, base: int, rounding: Array
) -> Estimate:
    """The limit of a difference quotient for h → 0, from halved steps (Ridders 1982).

    Its error is a series in h² (base 4) or h (base 2), whose terms a Neville table removes one by
    one. For each output the entry of the table that agrees best with its neighbours is taken, but
    none counts as better than what rounding leaves of it.
    """
    with np.errstate(all="ignore"):
        row, step = _first(quotient, step)
        best, error = row[0], np.full(row[0].shape, np.inf)
        for _ in range(LEVELS):
            step /= 2
            older, row = row, [quotient(step)]
            for m, before in enumerate(older, 1):
                factor = float(base**m)
                row.append((row[-1] * factor - before) / (factor - 1))
                apart = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - before))
                apart = np.maximum(apart, rounding / step)
                better = apart < error
                best, error = np.where(better, row[-1], best), np.where(better, apart, error)
            if np.all(error <= np.maximum(1e-9 * np.abs(best), 2 * rounding / step)):
                break
    return Estimate(best, np.where(np.isfinite(best), error, np.inf))


def _first(quotient: Callable[[float], Array], step: float) -> tuple[list[Array], float]:
    """The first quotient whose points all lie where the function is finite."""
    first = quotient(step)
    for _ in range(30):
        if np.all(np.isfinite(first)):
            break
        step /= 4
        first = quotient(step)
    return [first], step
