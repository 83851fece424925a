"""Where elements are in memory: parts of arrays, and what windows point to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import product
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
Place = tuple[int | slice, ...]


def parts(x: Array, rank: int) -> list[Part]:
    """Indices of leading axes, all but the last `rank`, that cut an array into parts.

    The slowest is cut; if need be others, too, unless one of the last axes is slower.
    """
    lead, size = x.ndim - rank, x.size
    slowest = max((abs(n) for n in x.strides[lead:]), default=0)
    ways = [[slice(None)] for _ in range(lead)]
    for number, axis in enumerate(a for a in memory_order(x) if a < lead and x.shape[a] > 1):
        if size <= PART or (number and abs(x.strides[axis]) < slowest):
            break
        extent = x.shape[axis]
        step = max(1, PART * extent // size)
        ways[axis] = [slice(i, i + step) for i in range(0, extent, step)]
        size = size * step // extent
    return list(product(*ways))


def by_parts(x: Array, rank: int, work: Callable[[Part], None]) -> None:
    """Do the work for each part of an array, on several threads if there are several."""
    found = parts(x, rank)
    if len(found) == 1:
        work(found[0])
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
) -> Iterator[tuple[Place, Array]]:
    """Parts of the array, and the addresses in flat memory that their winners point to.

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
    split, size = 0, prod(winner.shape[1:])
    while size > BLOCK:  # axes before the split are gone through one by one
        split += 1
        size = prod(winner.shape[split + 1 :])
    rest = sum(np.ix_(*ways[split + 1 :]), start=np.zeros((), np.intp))
    along = ways[split].reshape(-1, *(1,) * (winner.ndim - split - 1))
    count = max(1, BLOCK // max(1, size))
    for point in np.ndindex(*winner.shape[:split]):
        here = sum(int(way[i]) for way, i in zip(ways, point, strict=False))
        for start in range(0, len(along), count):
            part = (*point, slice(start, start + count))
            found = within[winner[part]]
            found += rest
            found += along[part[-1]] + here
            yield part, found


@lru_cache(maxsize=256)
def _within(kernel: Extents, reach: tuple[int, ...]) -> Array:
    """For every place of the kernel, how far it is from the first."""
    ways = [np.arange(k) * r for k, r in zip(kernel, reach, strict=True)]
    total: Array = sum(np.ix_(*ways), start=np.zeros((), np.intp))
    return total.reshape(-1)
