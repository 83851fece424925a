"""Copies of operands in the order in which the kernel reads them: columns in panels, rows in lines.

What is read as lanes lies in panels: for each tile of lanes all terms of the sum, one behind the
other. What is read as rows has the terms of the sum side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from limpid.compiler.machine.loading import address
from limpid.graph.node import Array
from limpid.ops.windows.contraction import Access
from limpid.ops.windows.region import Layout

BLOCK = 128  # rows of a matrix that is copied at once, so that threads can share the work
MOST = 4096  # copies of matrices; with more NumPy does it
LINE = 64  # bytes of a line of the cache
PAGE = 4096  # bytes: lines so far apart push one another out of the cache


class Copies(NamedTuple):
    """An operand's copy: how it lies, its bytes, and what is copied.

    step     bytes from panel to panel; None where there is one
    entries  (copies, 3): offsets in the operand and in its copy, and the address of a spec
    specs    to which the entries point
    """

    layout: Layout
    step: int | None
    size: int
    entries: Array
    specs: list[Array]


def plain(access: Access, extents: Mapping[str, int]) -> bool:
    """Whether each axis of an operand is an index of its own, from end to end, or has extent 1."""
    names = [name for axis in access for name, _ in axis.terms]
    return len(set(names)) == len(names) and all(
        axis.offset == 0
        and (
            (not axis.terms and axis.extent == 1)
            or (len(axis.terms) == 1 and axis.terms == ((axis.terms[0][0], 1),)
                and extents[axis.terms[0][0]] == axis.extent)
        )
        for axis in access
    )  # fmt: skip


def in_panels(
    access: Access, given: Layout, lane: str, slow_first: Sequence[str], tile: int
) -> Copies | None:
    """A copy with an index in panels of `tile` lanes; the others in the given order."""
    strides, size = given
    extents = [axis.extent for axis in access]
    (along,) = [n for n, axis in enumerate(access) if lane in dict(axis.terms)]
    target, step = _strides(access, slow_first, along, tile * size)
    target[along] = size
    panels = ceil(extents[along] / tile)
    entries, specs = [], _Specs()
    for n in range(panels):
        part = [*extents]
        part[along] = min(tile, extents[along] - n * tile)
        for read, written, spec in _matrices(part, strides, target, along, size, specs, PAGE):
            entries.append((read + n * tile * strides[along], written + n * step, spec))
            if len(entries) > MOST:
                return None
    return Copies((tuple(target), size), step, panels * step, _table(entries), specs.made)


def in_lines(access: Access, given: Layout, slow_first: Sequence[str]) -> Copies | None:
    """A copy with its indices in this order, the last side by side."""
    strides, size = given
    extents = [axis.extent for axis in access]
    (along,) = [n for n, a in enumerate(access) if slow_first[-1] in dict(a.terms)]
    line = extents[along] * size
    line += LINE if line % PAGE == 0 else 0
    target, step = _strides(access, slow_first[:-1], along, line)
    target[along] = size
    specs = _Specs()
    entries = list(_matrices(extents, strides, target, along, size, specs, BLOCK))
    if len(entries) > MOST:
        return None
    return Copies((tuple(target), size), None, step, _table(entries), specs.made)


def _strides(
    access: Access, slow_first: Sequence[str], along: int, inner: int
) -> tuple[list[int], int]:
    """Bytes from one to the next along each axis, and of all; the last index is innermost."""
    numbers = {name: n for n, axis in enumerate(access) for name, _ in axis.terms}
    target = [0] * len(access)
    for name in reversed(slow_first):
        n = numbers[name]
        if n != along:
            target[n] = inner
            inner *= access[n].extent
    return target, inner


class _Specs:
    """Specs by what is in them."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], int] = {}
        self.made: list[Array] = []

    def address(self, *words: int) -> int:
        """Where the spec with these words is."""
        if words not in self._known:
            self.made.append(np.array(words, np.int64))
            self._known[words] = address(self.made[-1])
        return self._known[words]


def _matrices(
    extents: Sequence[int],
    source: Sequence[int],
    target: Sequence[int],
    along: int,
    size: int,
    specs: _Specs,
    most: int,
) -> Iterator[tuple[int, int, int]]:
    """Matrices that together are an array, whose columns lie side by side in the target."""
    others = [n for n in range(len(extents)) if n != along]
    down = max(others, key=lambda n: (source[n] == size, extents[n]), default=None)
    rest = [n for n in others if n != down]
    rows = 1 if down is None else extents[down]
    steps = (0, 0) if down is None else (source[down], target[down])
    for place in np.ndindex(*(extents[n] for n in rest)):
        read, written = (
            sum(i * strides[n] for i, n in zip(place, rest)) for strides in (source, target)
        )
        for start in range(0, rows, most):
            count = min(most, rows - start)
            words = count, extents[along], steps[0], source[along], steps[1]
            yield read + start * steps[0], written + start * steps[1], specs.address(*words)


def _table(entries: Sequence[tuple[int, int, int]]) -> Array:
    return np.array(entries, np.int64).reshape(-1, 3)
