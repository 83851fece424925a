"""Padding without padded copies: a contraction cut where windows begin to reach beyond an end.

Along a padded axis the places of the output fall into runs within which the same part of the sum
lies inside. Each run is a contraction of its own that reads no padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from limpid.graph.node import Array
from limpid.ops.windows.contraction import REDUCTION, Axis, Contraction, bounds

MOST = 128  # pieces; with more a padded copy is made


class Piece(NamedTuple):
    """A contraction without padding; `empty` where no term of the sum lies inside."""

    contraction: Contraction
    empty: bool


class Run(NamedTuple):
    """Values of an index of the output, and those of an index of the sum that lie inside."""

    name: str
    start: int
    stop: int
    summed: str
    low: int
    high: int


def pieces(contraction: Contraction) -> list[Piece] | None:
    """The contraction without padding, in pieces; None if there is no such way."""
    extents = {i.name: i.extent for i in contraction.indices}
    accesses = [contraction.left, *([contraction.right] if contraction.right else [])]
    padded: dict[tuple[tuple[str, int], ...], list[Axis]] = {}
    for access in accesses:
        for axis in access:
            low, high = bounds(axis, extents)
            if low < 0 or high > axis.extent:
                padded.setdefault(axis.terms, []).append(axis)
    sides = []
    for axes in padded.values():
        if any((a.offset, a.extent) != (axes[0].offset, axes[0].extent) for a in axes):
            return None
        runs = _runs(axes[0], contraction)
        if runs is None:
            return None
        sides.append(runs)
    count = 1
    for side in sides:
        count *= len(side)
    if count > MOST:
        return None
    return [_piece(contraction, runs) for runs in product(*sides)]


def _piece(contraction: Contraction, runs: tuple[Run, ...]) -> Piece:
    empty = False
    for run in runs:
        contraction = contraction.restrict(run.name, run.start, run.stop)
        if run.high <= run.low:
            empty = True
        else:
            contraction = contraction.restrict(run.summed, run.low, run.high)
    return Piece(contraction, empty)


def _runs(axis: Axis, contraction: Contraction) -> list[Run] | None:
    """The runs along an axis addressed by one index of the output and one of the sum."""
    roles = {i.name: i.role for i in contraction.indices}
    if len(axis.terms) != 2:
        return None
    summed = [n for n, _ in axis.terms if roles[n] == REDUCTION]
    if len(summed) != 1:
        return None
    (name,) = (n for n, _ in axis.terms if n != summed[0])
    step, inner = dict(axis.terms)[name], dict(axis.terms)[summed[0]]
    if inner <= 0:
        return None
    base = axis.offset + step * np.arange(contraction.extent(name))  # address without the sum
    low = np.maximum(-(base // inner), 0)  # ⌈−base / inner⌉
    high = np.minimum((axis.extent - 1 - base) // inner + 1, contraction.extent(summed[0]))
    empty = high <= low
    low[empty] = high[empty] = 0
    return list(_equal_runs(name, summed[0], low, high))


def _equal_runs(name: str, summed: str, low: Array, high: Array) -> Iterator[Run]:
    changes = np.flatnonzero((np.diff(low) != 0) | (np.diff(high) != 0)) + 1
    ends = [0, *changes.tolist(), len(low)]
    for start, stop in pairwise(ends):
        yield Run(name, start, stop, summed, int(low[start]), int(high[start]))
