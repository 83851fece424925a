"""A contraction in parts: which can run at once, and how parts of one sum are added up.

How it is cut depends on shapes alone, never on the number of threads, and so do its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from math import prod
from typing import Any, NamedTuple, TypeVar

import numpy as np

from limpid.graph.node import Array
from limpid.ops.windows.contraction import REDUCTION, Contraction, bounds, reads
from limpid.ops.workers import run_parts

PARTS = 8  # groups at most

T = TypeVar("T")
Slices = tuple[slice, ...]
Size = Callable[[Contraction], int]


class Part(NamedTuple):
    """A part of a contraction, and whether it adds to what an earlier one of its group wrote."""

    contraction: Contraction
    adds: bool


class Groups(NamedTuple):
    """Groups that can run at once, each of what is done one after the other."""

    groups: Sequence[Any]
    one_sum: bool  # whether all groups write to the same places, and have to be added up
    places: Slices  # of the output that are written to

    def run(self, work: Callable[[Any, Array], None], out: Array, blas: bool = True) -> None:
        """`work(group, array)` writes a group to an array; together they are written to `out`.

        blas  whether that may call BLAS
        """
        others = len(self.groups) - 1 if self.one_sum else 0
        sums = [out, *(np.empty_like(out) for _ in range(others))]
        into = sums if self.one_sum else [out] * len(self.groups)
        pairs = zip(self.groups, into, strict=True)
        run_parts([partial(work, group, target) for group, target in pairs], blas)
        for total in sums[1:]:
            out[self.places] += total[self.places]


def grouped(
    contraction: Contraction, limit: float, size: Size, count: int = PARTS, fixed: str = ""
) -> Groups:
    """Groups of parts of a size up to `limit`.

    size   what a contraction takes, in elements of the left operand
    count  of groups at most
    fixed  an index that is not cut
    """
    parts = list(_cut(contraction, limit, size, fixed, adds=False, summing=False))
    starts = [n for n, part in enumerate(parts) if not part.adds]
    runs = [parts[a:b] for a, b in zip(starts, [*starts[1:], len(parts)], strict=True)]
    one_sum = len(runs) == 1 and len(parts) > 1 and count > 1
    if one_sum:  # further outputs take no more than half of what is read
        room = 1 + size(contraction) // (2 * prod(axis.extent for axis in contraction.output))
        found = [_first_writes(share) for share in _shares(parts, min(count, room))]
    else:
        found = [list(chain.from_iterable(share)) for share in _shares(runs, count)]
    return Groups(found, one_sum and len(found) > 1, places(contraction))


def _cut(
    part: Contraction, limit: float, size: Size, fixed: str, adds: bool, summing: bool
) -> Iterator[Part]:
    """Parts of a size up to the limit; the first indices are cut first.

    Parts of one sum follow on one another: once an index of the sum is cut, only such are.
    """
    names = reads(part.left) - {fixed}
    used = [i for i in part.indices if i.extent > 1 and i.name in names]
    index = next((i for i in used if i.role == REDUCTION or not summing), None)
    now = size(part)
    if now <= limit or index is None:
        yield Part(part, adds)
        return
    summing = index.role == REDUCTION
    step = max(1, min(int(limit // (now // index.extent or 1)), index.extent - 1))
    for start in range(0, index.extent, step):
        smaller = part.restrict(index.name, start, min(start + step, index.extent))
        yield from _cut(smaller, limit, size, fixed, adds or (summing and start > 0), summing)


def _first_writes(parts: list[Part]) -> list[Part]:
    return [parts[0]._replace(adds=False), *parts[1:]]


def _shares(items: list[T], count: int) -> list[list[T]]:
    """Items in order, in shares as even as can be."""
    count = min(count, len(items))
    return [items[len(items) * i // count : len(items) * (i + 1) // count] for i in range(count)]


def places(contraction: Contraction) -> Slices:
    """The places of the output that a contraction writes to."""
    extents = {i.name: i.extent for i in contraction.indices}
    found = []
    for axis in contraction.output:
        low, high = bounds(axis, extents)
        step = min((abs(coefficient) for _, coefficient in axis.terms), default=1)
        found.append(slice(low, high, step))
    return tuple(found)
