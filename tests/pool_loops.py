"""Pooling by loops over single elements: the slowest and plainest way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import ceil, floor
from typing import Any

import numpy as np

Numbers = tuple[int, ...]


def several(n: Any, rank: int) -> Numbers:
    return tuple(n) if isinstance(n, tuple | list) else (n,) * rank


def count(w: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """How many windows there are along an axis."""
    span = d * (k - 1) + 1
    n = (ceil if ceil_mode else floor)((w + 2 * p - span) / s) + 1
    while ceil_mode and (n - 1) * s >= w + p:
        n -= 1
    return n


def boxes(
    extents: Numbers, k: Any, s: Any, p: Any, d: Any, ceil_mode: bool
) -> tuple[Numbers, Iterator[tuple[Numbers, list[Numbers]]]]:
    """The number of windows, and for each its place and its elements, also those of padding."""
    rank = len(extents)
    k, s, p, d = several(k, rank), several(s if s else k, rank), several(p, rank), several(d, rank)
    out = tuple(count(*side, ceil_mode) for side in zip(extents, k, s, p, d, strict=True))

    def found() -> Iterator[tuple[Numbers, list[Numbers]]]:
        for o in np.ndindex(out):
            ways = [
                [oa * sa - pa + t * da for t in range(ka)]
                for oa, sa, pa, ka, da in zip(o, s, p, k, d, strict=True)
            ]
            yield o, list(product(*ways))

    return out, found()


def inside(place: Numbers, extents: Numbers, margin: Numbers) -> bool:
    return all(-m <= i < w + m for i, w, m in zip(place, extents, margin, strict=True))


def slow_max(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Max pooling of (N, C, *spatial): values and row-major positions."""
    extents = x.shape[2:]
    out, windows = boxes(extents, kernel_size, stride, padding, dilation, ceil_mode)
    y, positions = np.full((*x.shape[:2], *out), -np.inf), np.full((*x.shape[:2], *out), -1)
    for o, places in windows:
        for place in places:
            if inside(place, extents, (0,) * len(extents)):
                for lead in np.ndindex(x.shape[:2]):
                    value = x[(*lead, *place)]
                    if positions[(*lead, *o)] < 0 or value > y[(*lead, *o)] or np.isnan(value):
                        y[(*lead, *o)] = value
                        positions[(*lead, *o)] = np.ravel_multi_index(place, extents)
    return y, positions


def slow_avg(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):  # fmt: skip
    """Average pooling of (N, C, *spatial)."""
    extents = x.shape[2:]
    nothing, margin = (0,) * len(extents), several(padding, len(extents))
    out, windows = boxes(extents, kernel_size, stride, padding, 1, ceil_mode)
    y = np.zeros((*x.shape[:2], *out))
    for o, places in windows:
        real = [place for place in places if inside(place, extents, nothing)]
        counted = [p for p in places if inside(p, extents, margin)] if count_include_pad else real
        total = sum(x[(..., *place)] for place in real)
        y[(..., *o)] = total / (divisor_override or len(counted))
    return y


def bins(extent: int, out: int) -> list[range]:
    """The bins of adaptive pooling along an axis."""
    return [range(floor(o * extent / out), ceil((o + 1) * extent / out)) for o in range(out)]


def slow_adaptive(x: np.ndarray, out: Numbers, reduce: Callable[..., Any]) -> np.ndarray:
    """Adaptive pooling of (N, C, *spatial) by np.mean or np.max of each bin."""
    y = np.zeros((*x.shape[:2], *out))
    sides = [bins(w, o) for w, o in zip(x.shape[2:], out, strict=True)]
    for o in np.ndindex(out):
        box = np.ix_(*(side[i] for side, i in zip(sides, o, strict=True)))
        y[(..., *o)] = reduce(x[(..., *box)], axis=tuple(range(2, x.ndim)))
    return y


def slow_unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """Columns (N, C·∏K, L) of (N, C, *spatial)."""
    extents = x.shape[2:]
    windows = boxes(extents, kernel_size, stride, padding, dilation, False)[1]
    columns = []
    for _, places in windows:
        real = [inside(place, extents, (0,) * len(extents)) for place in places]
        values = [
            x[(..., *p)] if ok else np.zeros(x.shape[:2])
            for p, ok in zip(places, real, strict=True)
        ]
        columns.append(np.stack(values, -1).reshape(x.shape[0], -1))
    return np.stack(columns, -1)
