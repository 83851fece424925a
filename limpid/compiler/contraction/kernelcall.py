"""One call of the kernel: which loops run, how far, and with which steps."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple, TypeVar

import numpy as np

from limpid.compiler.contraction.dots import SIDE
from limpid.compiler.contraction.lanes import Choice
from limpid.compiler.contraction.product import OUTERS
from limpid.compiler.machine.loading import address
from limpid.graph.node import Array
from limpid.ops.windows.contraction import Access, Contraction
from limpid.ops.windows.region import Layout, Region, region, steps

TABLE = 64  # rows that a table of offsets should have, if there are so many
SHORT = 12  # times that an innermost loop should run, at least
LONG = 2048  # terms of a sum from which on its outermost loop is run last of all

T = TypeVar("T")
Three = tuple[T, T, T]  # of A, B and C
Steps = dict[str, int]


class KernelCall(NamedTuple):
    """What one call reads and writes, and its loops as the kernel takes them."""

    a: Region
    b: Region
    c: Region
    spec: Array
    tables: tuple[Array, ...]  # to which the spec points

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
    step: int,
) -> KernelCall:
    """The call for a part of a contraction.

    rows   of a tile
    depth  of the loops of the sum that the kernel has
    step   bytes in B from the lanes of one tile to those of the next
    """
    regions, (_, b, c), loops = _loops(part, choice, layouts)
    extents = {name: loop.extent for name, loop in loops.items()}
    free = [n for n in extents if n != choice.lane and n in c and extents[n] > 1]
    tabled, outer = _split_rows([n for n in free if n not in b], free, loops)
    summed = _merged(sorted((loops[n] for n in extents if n not in c), key=lambda x: -abs(x.a)))
    summed = _longest_last(summed)
    split = ONCE
    if len(summed) > 1 and prod(x.extent for x in summed) > LONG:
        split, *summed = summed
    summed = [*[ONCE] * (depth - len(summed)), *summed]
    outer = sorted(outer, key=lambda loop: loop.a == 0)  # those last that go on in B and C alone
    outer = [*[ONCE] * (OUTERS - len(outer)), *outer]
    tables = tuple(_table([loops[n] for n in tabled], rows, side) for side in "ac")
    spec = np.array(
        [
            len(tables[0]) // rows,
            extents[choice.lane],
            int(add),
            *map(address, tables),
            *split[:3],
            step,
            *(number for loop in outer for number in loop),
            *(number for loop in summed for number in loop[:3]),
        ],
        np.int64,
    )
    return KernelCall(*regions, spec, tables)


def dot_call(
    part: Contraction, choice: Choice, layouts: tuple[Layout, ...], add: bool, depth: int, size: int
) -> KernelCall:
    """The call for a part whose lanes are terms of the sum; `size` is that of an element."""
    regions, (a, b, c), loops = _loops(part, choice, layouts)
    free = [n for n, loop in loops.items() if n in c and loop.extent > 1]
    columns = [n for n in free if n not in a]
    others = [n for n in free if n in a]
    tabled, outer = _split_rows([n for n in others if n not in b], others, loops)
    lane = loops[choice.lane].extent
    terms = [loop for n, loop in loops.items() if n not in c and n != choice.lane]
    summed = _merged(sorted(terms, key=lambda x: -abs(x.a)))
    while summed and summed[-1].a == summed[-1].b == lane * size:
        lane *= summed.pop().extent
    summed = [*[ONCE] * (depth - len(summed)), *summed]
    outer = [*outer, *[ONCE] * (OUTERS - len(outer))]
    of_rows = [_table([loops[n] for n in tabled], SIDE, side) for side in "ac"]
    of_columns = [_table([loops[n] for n in columns], SIDE, side) for side in "bc"]
    tables = tuple(np.concatenate(pair) for pair in zip(of_rows, of_columns, strict=True))
    spec = np.array(
        [
            len(of_rows[0]) // SIDE,
            lane,
            int(add),
            *map(address, tables),
            len(of_columns[0]) // SIDE,
            *(0, 0, 0),
            *(number for loop in outer for number in loop),
            *(number for loop in summed for number in loop[:3]),
        ],
        np.int64,
    )
    return KernelCall(*regions, spec, tables)


def _loops(
    part: Contraction, choice: Choice, layouts: tuple[Layout, ...]
) -> tuple[Three[Region], Three[Steps], dict[str, Loop]]:
    """What is read and written, the steps of the indices there, and the loop of each index."""
    extents = {i.name: i.extent for i in part.indices}

    def seen(access: Access, layout: Layout) -> tuple[Region, Steps]:
        last = [n for n, axis in enumerate(access) if choice.lane in dict(axis.terms)]
        found, strides = region(access, layout, extents, *last)
        return found, steps(access, strides)

    (a, step_a), (b, step_b), (c, step_c) = map(seen, choice.accesses(part), layouts)
    loops = {
        n: Loop(extent, step_a.get(n, 0), step_b.get(n, 0), step_c.get(n, 0))
        for n, extent in extents.items()
    }
    return (a, b, c), (step_a, step_b, step_c), loops


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


def _table(loops: list[Loop], unit: int, side: str) -> Array:
    """Offsets of rows or columns in A, B or C, filled up with the last one to whole tiles."""
    offsets: Any = np.zeros(1, np.int64)
    for loop in loops:
        along = np.arange(loop.extent, dtype=np.int64) * getattr(loop, side)
        offsets = (offsets[:, None] + along).reshape(-1)
    missing = -len(offsets) % unit
    return np.concatenate([offsets, np.repeat(offsets[-1:], missing)])


def _longest_last(loops: list[Loop]) -> list[Loop]:
    """A longer loop in the place of a short innermost one: each time one ends, work is lost."""
    if not loops or loops[-1].extent >= SHORT:
        return loops
    longest = max(loops, key=lambda loop: loop.extent)
    if longest.extent < 2 * loops[-1].extent:
        return loops
    return [*(loop for loop in loops if loop is not longest), longest]


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
