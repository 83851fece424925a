"""Where elements are in memory: parts of arrays, and what windows point to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from math import prod

import numpy as np

from limpid.graph.node import Array
from limpid.ops.windows.geometry import Extents, Padding
from limpid.ops.workers import run_parts

BLOCK = 1 << 16  # addresses that are computed at once
PART = 1 << 19  # elements that are pooled at once: it bounds what is kept meanwhile


def memory_order(x: Array) -> tuple[int, ...]:
    """The axes as they lie in memory, the slowest first."""
    return tuple(sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis])))


Part = tuple[slice, ...]  # an index of leading axes


def parts(x: Array, rank: int) -> list[Part]:
    """Indices of leading axes, all but the last `rank`, that cut an array into parts."""
    lead = x.ndim - rank
    cut = max(range(lead), key=lambda axis: (x.shape[axis] > 1, abs(x.strides[axis])), default=None)
    if x.size <= PART or cut is None:
        return [()]
    step = max(1, PART * x.shape[cut] // x.size)
    before = (slice(None),) * cut
    return [(*before, slice(i, i + step)) for i in range(0, x.shape[cut], step)]


def by_parts(x: Array, rank: int, work: Callable[[Part], None]) -> None:
    """Do the work for each part of an array, on several threads if there are several."""
    found = parts(x, rank)
    if len(found) == 1:
        work(())
    else:
        run_parts([partial(work, part) for part in found])


def addresses(
    winner: Array,
    order: Sequence[int],
    steps: Sequence[int],
    *,
    kernel: Extents,
    stride: Extents,
    padding: Padding,
    dilation: Extents,
) -> Iterator[tuple[slice, Array]]:
    """Parts of the first axis, and the addresses in flat memory that their winners point to.

    winner  numbers of places within the windows, (…, *O) with its axes permuted by `order`
    steps   for each of the permuted axes, how far its neighbours are apart in the flat memory
    """
    before = len(order) - len(kernel)  # axes that are not slid over
    by_axis = dict(zip(order, steps, strict=True))
    reach = tuple(by_axis[before + a] * d for a, d in enumerate(dilation))
    within = _within(kernel, reach)
    ways: list[Array] = []
    for axis, extent in zip(order, winner.shape, strict=True):
        place = np.arange(extent)
        if axis >= before:
            place = place * stride[axis - before] - padding[axis - before][0]
        ways.append(place * by_axis[axis])
    rest = sum(np.ix_(*ways[1:]), start=np.zeros((), np.intp))
    first = ways[0].reshape(-1, *(1,) * (winner.ndim - 1))
    count = max(1, BLOCK // max(1, prod(winner.shape[1:])))
    for start in range(0, winner.shape[0], count):
        part = slice(start, start + count)
        found = within[winner[part]]
        found += rest
        found += first[part]
        yield part, found


@lru_cache(maxsize=256)
def _within(kernel: Extents, reach: tuple[int, ...]) -> Array:
    """For every place of the kernel, how far it is from the first."""
    ways = [np.arange(k) * r for k, r in zip(kernel, reach, strict=True)]
    total: Array = sum(np.ix_(*ways), start=np.zeros((), np.intp))
    return total.reshape(-1)
