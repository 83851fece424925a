"""The memory of a program, and where commands find the arrays in it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from ctypes import addressof, c_uint64
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from limpid.compiler.machine.loading import address
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import locate, packed
from limpid.compiler.runtime.team import maker
from limpid.compiler.schedule.memory import ALIGNED, Memory
from limpid.graph.node import Array

CELLS = 256  # in a block of them
WORD = 8  # bytes; small ends begin at words


class Cell(NamedTuple):
    """The address of an array that may change, and where it is found by those who use it."""

    place: int


class Buffers:
    """Arrays of inputs and ends, memory for all that is in between.

    homes    new values of slots, each with the number of the input whose array it is written to
    given    ends that can be renewed: their arrays are given away
    noted    ends that lie one after the other in `notes`, so that they are copied at once
    workers  threads, each of which has memory of its own for what is local to a chunk
    """

    def __init__(
        self,
        memory: Memory,
        ends: Sequence[Value],
        homes: Mapping[Value, int],
        given: Collection[Value],
        noted: Sequence[Value],
        workers: int,
    ):
        self.memory, self.homes, self.workers = memory, homes, workers
        self.given = frozenset(given)
        self.inputs: dict[int, Array] = {}
        self.common = aligned(memory.common)
        self.own = [aligned(memory.local) for _ in range(workers)]
        self.ends = {end: like(end) for end in ends if end not in homes and end not in noted}
        self.notes = self._note(noted)
        self.constants: dict[Value, Array] = {}
        self._cells: dict[tuple[str, Any], tuple[Any, int]] = {}  # by what they are for
        self._of_inputs: dict[int, tuple[Any, int]] = {}
        self.blocks: list[Any] = []

    def _note(self, ends: Sequence[Value]) -> Array:
        """Memory for small ends."""
        places = [0]
        for end in ends:
            places.append(places[-1] + -(-end.size * end.dtype.itemsize // WORD) * WORD)
        notes = aligned(places[-1])
        for end, place in zip(ends, places):
            strides = like(end).strides
            self.ends[end] = np.ndarray(end.shape, end.dtype, notes.data, place, strides)
        return notes

    def set_input(self, number: int, array: Array) -> None:
        """Read an input from this array, without gaps, from now on; and write its new value."""
        self.inputs[number] = array
        cell = self._of_inputs.get(number)
        if cell is not None:
            cell[0][cell[1]] = address(array)

    def pointer(self, count: int) -> Callable[[tuple[Array, ...]], bool]:
        """A function that lets native code read the first inputs from arrays, if none has gaps."""
        cells = [self.cell_of_input(number) for number in range(count)]
        record = array("Q", [count, *(0 if cell is None else cell.place for cell in cells)])
        made: Callable[[tuple[Array, ...]], bool] = maker("point")(record.buffer_info()[0], record)
        return made

    def renew(self, end: Value) -> Array:
        """Write an end to a new array from now on; the old one belongs to somebody else."""
        made = self.ends[end] = like(end)
        self._point(("end", end), made)
        return made

    def take(self, end: Value, array: Array) -> None:
        """Write an end to this array from now on."""
        self.ends[end] = array
        self._point(("end", end), array)

    def find(self, value: Value, worker: int) -> int | Cell:
        """The address of a value, or the cell with it."""
        if value.kind == "constant":
            return address(self._constant(value))
        number = value.params["number"] if value.kind == "input" else self.homes.get(value)
        if number is not None:
            return self._cell(("input", number), self.inputs.get(number))
        if value in self.ends:
            array = self.ends[value]
            return self._cell(("end", value), array) if value in self.given else address(array)
        place = self.memory.places[value]
        return address(self.own[worker] if place.local else self.common) + place.offset

    def fixed(self, content: int) -> Cell:
        """A cell with an address that stays."""
        cell = self._cell(("fixed", content), None)
        block, n = self._cells["fixed", content]
        block[n] = content
        return cell

    def cells(self) -> list[tuple[str, Any]]:
        """What each cell is for: an input or an end, or it is fixed."""
        return list(self._cells)

    def fixed_cells(self) -> list[int]:
        """What is in the cells that stay."""
        return [content for kind, content in self._cells if kind == "fixed"]

    def make_cells(self, cells: Sequence[tuple[str, Any]]) -> None:
        """Cells for the same things, in the same order; those that stay have numbers as names."""
        for kind, what in cells:
            self._cell((kind, what), self.ends[what] if kind == "end" else None)

    def fill_cells(self, contents: Sequence[int]) -> None:
        """What is in the cells that stay, by their numbers."""
        for number, content in enumerate(contents):
            block, n = self._cells["fixed", number]
            block[n] = content

    def cell(self, value: Value) -> Cell:
        """A cell with the address of a value that is there as a whole."""
        found = self.find(value, 0)
        return self.fixed(found) if isinstance(found, int) else found

    def cell_of_input(self, number: int) -> Cell | None:
        """Where the address of an input is read; None if nothing reads it."""
        return self._cell(("input", number), None) if number in self._of_inputs else None

    def own_input(self, number: int, like_this: Value) -> tuple[int, int]:
        """An array for an input that nobody gives: a word with its address, and 0."""
        if number not in self.inputs:
            self.inputs[number] = like(like_this)
        return self.fixed(address(self.inputs[number])).place, 0

    def is_whole(self, value: Value) -> bool:
        """Whether all items are there, not only those of a chunk."""
        place = self.memory.places.get(value)
        return place is None or not place.local

    def array(self, x: Value) -> Array:
        """A value that is there as a whole, as an array."""
        if x.kind == "constant":
            return self._constant(x)
        number = x.params["number"] if x.kind == "input" else self.homes.get(x)
        if number is not None:
            return self.inputs[number]
        if x in self.ends:
            return self.ends[x]
        if x in self.memory.places:
            return self._placed(x)
        found = locate(x)
        return _strided(self.array(found.base), found.offset, x, found.strides)

    def _constant(self, value: Value) -> Array:
        if value not in self.constants:
            self.constants[value] = np.array(value.params["array"], order="C")
        return self.constants[value]

    def _placed(self, x: Value) -> Array:
        place = self.memory.places[x]
        memory = self.own[0] if place.local else self.common
        strides = [n * x.dtype.itemsize for n in packed(x.shape, x.order)]
        return np.ndarray(x.shape, x.dtype, memory.data, place.offset, strides)

    def _cell(self, key: tuple[str, Any], array: Array | None) -> Cell:
        if key not in self._cells:
            n = len(self._cells) % CELLS
            if n == 0:
                self.blocks.append((c_uint64 * CELLS)())
            self._cells[key] = self.blocks[-1], n
            if key[0] == "input":
                self._of_inputs[key[1]] = self._cells[key]
            if array is not None:
                self._point(key, array)
        block, n = self._cells[key]
        return Cell(addressof(block) + 8 * n)

    def _point(self, key: tuple[str, Any], array: Array) -> None:
        found = self._cells.get(key)
        if found is not None:
            found[0][found[1]] = address(array)


def like(value: Value) -> Array:
    """Memory for a value: an array that is no view, so that those who hold it can be counted."""
    if not value.order:
        return np.empty(value.shape, value.dtype)
    laid_out: Array = np.empty([value.shape[axis] for axis in value.order], value.dtype)
    return np.empty_like(laid_out.transpose(np.argsort(value.order)), order="K")


def _strided(base: Array, offset: int, x: Value, strides: Sequence[int]) -> Array:
    """A view of an array without gaps, whatever the order of its axes."""
    if not prod(x.shape):
        return np.empty(x.shape, x.dtype)
    flat = base.ravel(order="K")
    assert np.may_share_memory(flat, base)
    return as_strided(flat[offset:], x.shape, [n * x.dtype.itemsize for n in strides])


def aligned(size: int) -> Array:
    """Bytes from a cache line's start on."""
    made = np.zeros(size + ALIGNED, np.uint8)
    start = -address(made) % ALIGNED
    return made[start : start + max(size, 1)]
