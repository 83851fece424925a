"""One call of the kernel: which loops run, how far, and with which steps."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.contraction.lanes import Choice
from limpid.compiler.contraction.product import OUTERS
from limpid.compiler.machine.loading import address
from limpid.graph.node import Array
from limpid.ops.windows.contraction import Contraction
from limpid.ops.windows.region import Layout, Region, region, steps

TABLE = 64  # rows that a table of offsets should have, if there are so many
LONG = 2048  # terms of a sum from which on its outermost loop is run last of all

Steps = dict[str, int]


class KernelCall(NamedTuple):
    """What one call reads and writes, and its loops as the kernel takes them."""

    a: Region
    b: Region
    c: Region
    spec: Array
    tables: tuple[Array, Array]  # to which the spec points

    @property
    def padded(self) -> bool:
        """Whether an operand has to be padded first."""
        return self.a.padded is not None or self.b.padded is not None


class Loop(NamedTuple):
    """An extent, and the steps in A, B and C."""

    extent: int
    a: int
    b: int
    c: int


ONCE = Loop(1, 0, 0, 0)


def kernel_call(
    part: Contraction,
    choice: Choice,
    layouts: tuple[Layout, ...],
    rows: int,
    add: bool,
    depth: int,
) -> KernelCall:
    """The call for a part of a contraction.

    rows   of a tile
    depth  of the loops of the sum that the kernel has
    """
    extents = {i.name: i.extent for i in part.indices}
    accesses = choice.accesses(part)
    regions, found = [], []
    for access, layout in zip(accesses, layouts):
        last = [n for n, axis in enumerate(access) if choice.lane in dict(axis.terms)]
        seen, strides = region(access, layout, extents, *last)
        regions.append(seen)
        found.append(steps(access, strides))
    a, b, c = found
    loops = {n: Loop(e, a.get(n, 0), b.get(n, 0), c.get(n, 0)) for n, e in extents.items()}
    free = [n for n in extents if n != choice.lane and n in c and extents[n] > 1]
    tabled, outer = _split_rows([n for n in free if n not in b], free, loops)
    summed = _merged(sorted((loops[n] for n in extents if n not in c), key=lambda x: -abs(x.a)))
    split = ONCE
    if len(summed) > 1 and prod(x.extent for x in summed) > LONG:
        split, *summed = summed
    summed = [*[ONCE] * (depth - len(summed)), *summed]
    outer = [*outer, *[ONCE] * (OUTERS - len(outer))]
    tables = _table([loops[n] for n in tabled], rows)
    spec = np.array(
        [
            len(tables[0]) // rows,
            extents[choice.lane],
            int(add),
            *map(address, tables),
            *split[:3],
            *(number for loop in outer for number in loop),
            *(number for loop in summed for number in loop[:3]),
        ],
        np.int64,
    )
    read, lanes, written = regions
    return KernelCall(read, lanes, written, spec, tables)


def _split_rows(
    rows: list[str], free: list[str], loops: dict[str, Loop]
) -> tuple[list[str], list[Loop]]:
    """Rows that a table lists, and those that loops around it run over, with all other loops.

    The innermost rows go into the table until it has enough, then those that no loop is left for.
    """
    rows = sorted(rows, key=lambda n: -abs(loops[n].a))
    others = [n for n in free if n not in rows]
    tabled: list[str] = []
    while rows and (
        prod(loops[n].extent for n in tabled) < TABLE or len(others) + len(rows) > OUTERS
    ):
        tabled.insert(0, rows.pop())
    return tabled, [loops[n] for n in (*rows, *others)]


def _table(loops: list[Loop], rows: int) -> tuple[Array, Array]:
    """Offsets of rows in A and C, filled up with the last one to whole tiles."""
    found = []
    for side in ("a", "c"):
        offsets: Any = np.zeros(1, np.int64)
        for loop in loops:
            along = np.arange(loop.extent, dtype=np.int64) * getattr(loop, side)
            offsets = (offsets[:, None] + along).reshape(-1)
        missing = -len(offsets) % rows
        found.append(np.concatenate([offsets, np.repeat(offsets[-1:], missing)]))
    return found[0], found[1]


def _merged(loops: list[Loop]) -> list[Loop]:
    """Loops of which one goes on where the other ends become one."""
    made: list[Loop] = []
    for loop in loops:
        if loop.extent == 1:
            continue
        if made and (made[-1].a, made[-1].b) == (loop.extent * loop.a, loop.extent * loop.b):
            loop = loop._replace(extent=loop.extent * made.pop().extent)
        made.append(loop)
    return made
