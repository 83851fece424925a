"""Eager contractions: how their operands are copied, and how they are cut into parts.

A part of a product takes some rows and some lanes, so that what it reads stays in the cache; long
sums are done in blocks one after the other. What is cut depends on shapes alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, inf, prod
from typing import NamedTuple

import numpy as np

from limpid.compiler.contraction.contract import Batch, Planner
from limpid.compiler.contraction.lanes import Choice, choose
from limpid.compiler.contraction.panels import LINE, Copies, in_lines, in_panels, plain
from limpid.compiler.machine.target import Target
from limpid.ops.windows.contraction import REDUCTION, Access, Contraction, Index, reads
from limpid.ops.windows.parts import PARTS, Part, Slices, places
from limpid.ops.windows.region import Layout

COPIED = 16  # multiply-adds that take as long as copying one element
SHARED = 1 << 22  # multiply-adds from which on several threads share the work
TALL = 64  # rows that a part should have
FAR = 1 << 19  # bytes that stay near, whatever the steps through them
NEAR = 1 << 14  # bytes of lines that are still in the nearest cache when they are read again
USED = 64  # lanes from which on copying what is read as rows pays
PANEL = 1 << 17  # bytes of a panel
SPLIT = 1 << 11  # terms from which on parts may share a sum


class Dense(NamedTuple):
    """The calls of a contraction, none of which needs an operand to be padded.

    a, b     copies of the operands
    groups   of calls that can run at once
    one_sum  whether all groups write to the same places, and have to be added up
    depth    of the loops of the sum
    """

    choice: Choice
    a: Copies | None
    b: Copies | None
    groups: list[Batch]
    one_sum: bool
    places: Slices
    depth: int


def dense(
    contraction: Contraction, layouts: Sequence[Layout], target: Target, dtype: str
) -> Dense | None:
    """A product without windows; None for others, and where the kernel would waste too much."""
    extents = {i.name: i.extent for i in contraction.indices}
    assert contraction.right is not None
    accesses = contraction.left, contraction.right, contraction.output
    if not all(plain(access, extents) for access in accesses):
        return None
    choice = choose(contraction, layouts, target.lanes(dtype), target.rows, COPIED, inf)
    if choice is None:
        return None
    left, right, out = layouts
    given = (right, left) if choice.swapped else (left, right)
    access_a, access_b, _ = choice.accesses(contraction)
    copied = COPIED * prod(axis.extent for axis in access_b) if choice.order is not None else 0
    if copied > 2 * contraction.multiply_adds():
        return None  # few rows: libraries read such an operand as it lies
    slow_first = _slow_first(contraction, access_a, given[0])
    rows = prod(extents[n] for n in reads(access_a) - reads(access_b))
    a = b = None
    if _is_scattered(access_a, given[0], contraction) and extents[choice.lane] >= USED:
        own = [n for n in slow_first if n in reads(access_a)]
        a = in_lines(access_a, given[0], own)
    if choice.order is not None or (rows >= 2 * TALL and _bytes(access_b, given[1]) > FAR):
        own = [n for n in slow_first if n in reads(access_b)]
        tile = target.lanes(dtype) * target.vectors
        b = in_panels(access_b, given[1], choice.lane, own, tile)
        if b is None and choice.order is not None:
            return None
    used = (a.layout if a else given[0], b.layout if b else given[1], out)
    planner = Planner(
        contraction, choice, used, target, dtype, copies=False, step=b.step if b else None
    )
    parts, one_sum = _parts(contraction, choice, target, dtype)
    groups = [group for part in parts if isinstance(group := planner.group(part), Batch)]
    assert len(groups) == len(parts), "nothing is padded"
    return Dense(choice, a, b, groups, one_sum, places(contraction), planner.depth)


def windowed(
    contraction: Contraction, layouts: Sequence[Layout], target: Target, dtype: str
) -> Dense | None:
    """A contraction with windows; None where an operand has to be padded, or is no plain matrix."""
    extents = {i.name: i.extent for i in contraction.indices}
    choice = choose(contraction, layouts, target.lanes(dtype), target.rows, COPIED)
    if choice is None or choice.out is not None:
        return None
    left, right, out = layouts
    a, b = (right, left) if choice.swapped else (left, right)
    access_a, access_b, _ = choice.accesses(contraction)
    copies = None
    if choice.order is not None:
        if not plain(access_b, extents):
            return None
        own = [n for n in _slow_first(contraction, access_a, a) if n in reads(access_b)]
        tile = target.lanes(dtype) * target.vectors
        copies = in_panels(access_b, b, choice.lane, own, tile)
        if copies is None:
            return None
    used = (a, copies.layout if copies else b, out)
    step = copies.step if copies else None
    planner = Planner(contraction, choice, used, target, dtype, step=step)
    found = planner.groups()
    groups = [group for group in found.groups if isinstance(group, Batch)]
    if len(groups) < len(found.groups):
        return None
    return Dense(choice, None, copies, groups, found.one_sum, found.places, planner.depth)


def _bytes(access: Access, given: Layout) -> int:
    return prod(axis.extent for axis in access) * given[1]


def _slow_first(contraction: Contraction, access: Access, given: Layout) -> list[str]:
    """Indices, those of the sum last; among them those first that lead far in A."""
    steps = {n: abs(s) for axis, s in zip(access, given[0]) for n, _ in axis.terms}
    summed = [i.name for i in contraction.indices if i.role == REDUCTION]
    free = [i.name for i in contraction.indices if i.role != REDUCTION]
    return [*free, *sorted(summed, key=lambda n: -steps.get(n, 0))]


def _is_scattered(access: Access, given: Layout, contraction: Contraction) -> bool:
    """Whether each term of a sum is in another line, and all lines together are many."""
    summed = {i.name: i.extent for i in contraction.indices if i.role == REDUCTION}
    along = [s for axis, s in zip(access, given[0]) for n, _ in axis.terms if n in summed]
    lines = prod(summed.values()) * LINE
    return bool(along) and min(map(abs, along)) > LINE and lines > NEAR


# Parts

Group = list[Part]


def _parts(
    contraction: Contraction, choice: Choice, target: Target, dtype: str
) -> tuple[list[Group], bool]:
    """Groups of parts that can run at once, and whether they share one sum."""
    count = PARTS if contraction.multiply_adds() >= SHARED else 1
    a, b, c = (reads(access) for access in choice.accesses(contraction))
    size = np.dtype(dtype).itemsize
    tile = target.lanes(dtype) * target.vectors
    rows = max(
        (i for i in contraction.indices if i.name in a & c), key=lambda i: i.extent, default=None
    )
    lanes = next(i for i in contraction.indices if i.name == choice.lane)
    whole = [contraction]
    if rows is not None:
        unit = 1 if rows.name in b else target.rows
        tall = 1 if rows.name in b else TALL
        whole = _cut(whole, rows, min(count, ceil(rows.extent / tall)), unit)
    left = count // len(whole)
    whole = [p for part in whole for p in _cut([part], lanes, left, tile)]
    summed = [i for i in contraction.indices if i.role == REDUCTION]
    terms = prod(i.extent for i in summed)
    longest = max(summed, key=lambda i: i.extent, default=None)
    if longest is None:
        return [[Part(part, False)] for part in whole], False
    blocks = ceil(terms * tile * size / PANEL)
    if len(whole) == 1 and count > 1 and terms >= SPLIT:
        shares = _cut(whole, longest, count, 1)
        return [_in_blocks(part, longest.name, ceil(blocks / count)) for part in shares], True
    return [_in_blocks(part, longest.name, blocks) for part in whole], False


def _in_blocks(part: Contraction, name: str, count: int) -> Group:
    """A sum in blocks, which are added one after the other."""
    index = next(i for i in part.indices if i.name == name)
    blocks = _cut([part], index, min(count, index.extent), 1)
    return [Part(block, n > 0) for n, block in enumerate(blocks)]


def _cut(parts: list[Contraction], index: Index, count: int, unit: int) -> list[Contraction]:
    return [piece for part in parts for piece in _pieces(part, index, count, unit)]


def _pieces(part: Contraction, index: Index, count: int, unit: int) -> Iterator[Contraction]:
    """As many pieces of an index as that, or fewer, of multiples of a unit."""
    step = max(1, ceil(ceil(index.extent / max(count, 1)) / unit)) * unit
    for start in range(0, index.extent, step):
        yield part.restrict(index.name, start, min(start + step, index.extent))
