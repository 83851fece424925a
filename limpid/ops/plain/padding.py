"""Padding in plain steps: runs of elements are joined, and on the way back added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np

Widths = tuple[tuple[int, int], ...]
Run = tuple[slice, slice]  # where elements are repeated, and where they are
Runs = Callable[[int, tuple[int, int]], Sequence[Run]]  # of an axis, from its extent and widths

MOST = 32  # pieces that are joined at once; beyond, one axis after the other


def padded(x: Any, value: Any, *, widths: Widths) -> Any:
    """With one number around."""
    shape = [before + n + after for n, (before, after) in zip(x.shape, widths, strict=True)]
    y = np.full_like(x, value, shape=shape)
    y[tuple(slice(b, b + n) for n, (b, _) in zip(x.shape, widths, strict=True))] = x
    return y


def extended(x: Any, widths: Widths, runs: Runs) -> Any:
    """With elements repeated at the ends of axes."""
    ways = [
        _whole_axis(n, width, runs) if width != (0, 0) else [(slice(0, n), slice(0, n))]
        for n, width in zip(x.shape, widths, strict=True)
    ]
    count = 1
    for way in ways:
        count *= len(way)
    if count <= MOST:
        return _joined(x, ways)
    for axis, way in enumerate(ways):
        if len(way) > 1:
            whole: list[Any] = [[(slice(0, n), slice(0, n))] for n in x.shape]
            whole[axis] = way
            x = _joined(x, whole)
    return x


def _whole_axis(extent: int, width: tuple[int, int], runs: Runs) -> list[Run]:
    """All runs of a longer axis; those of the sources begin where the axis does."""
    before = width[0]
    found = [(slice(before, before + extent), slice(0, extent))]
    for made, source in runs(extent, width):
        found.append((made, _moved(source, -before)))
    return found


def _moved(run: slice, by: int) -> slice:
    stop = run.stop
    if stop is None:  # the run goes down to the first element
        stop = -1
    stop += by
    return slice(run.start + by, stop if stop >= 0 else None, run.step)


def _joined(x: Any, ways: Sequence[Sequence[Run]]) -> Any:
    shape = [max(made.stop for made, _ in way) for way in ways]
    y = np.empty_like(x, shape=shape)
    for parts in product(*ways):
        y[tuple(made for made, _ in parts)] = x[tuple(source for _, source in parts)]
    return y


def added_back(g: Any, widths: Widths, runs: Runs) -> Any:
    """The transpose of `extended`, for one axis after the other."""
    for axis, (before, after) in enumerate(widths):
        if before or after:
            extent = g.shape[axis] - before - after
            g = _added_along(g, axis, extent, before, runs(extent, (before, after)))
    return g


def _added_along(g: Any, axis: int, extent: int, before: int, runs: Sequence[Run]) -> Any:
    """Cut where runs begin and end; each part is the sum of what was read from there."""
    lead = (slice(None),) * axis
    parts = [(0, extent, g[(*lead, slice(before, before + extent))])]
    for made, source in runs:
        part = g[(*lead, made)]
        start, count = source.start - before, made.stop - made.start
        if (source.step or 1) < 0:  # read backwards
            part, start = np.flip(part, axis), start - count + 1
        elif source.stop - source.start < count:  # one element that was repeated
            part, count = np.add.reduce(part, axis=axis, keepdims=True), 1
        parts.append((start, start + count, part))
    cuts = sorted({end for start, stop, _ in parts for end in (start, stop)})
    y = np.empty_like(g, shape=(*g.shape[:axis], extent, *g.shape[axis + 1 :]))
    for first, last in pairwise(cuts):
        total: Any = None
        for start, stop, part in parts:
            if start <= first and last <= stop:
                share = part[(*lead, slice(first - start, last - start))]
                total = share if total is None else total + share
        y[(*lead, slice(first, last))] = total
    return y
