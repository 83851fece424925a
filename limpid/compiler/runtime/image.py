"""Programs on disk: the words of all tables, and what those that are addresses point to.

A program that was assembled once is there again in the next process without being found anew: the
words are read, and addresses are put where they belong. Nothing of a graph is kept, and of values
only constants: who asks for a program has to know that it is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from ctypes import addressof
from math import prod
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.machine.loading import Loaded, address
from limpid.compiler.program.values import Value
from limpid.compiler.runtime.assembly import Part, Pointers
from limpid.compiler.runtime.buffers import Buffers, aligned
from limpid.compiler.runtime.native import Native
from limpid.compiler.runtime.program import Program
from limpid.compiler.schedule.memory import ALIGNED, Memory
from limpid.graph.node import Array

LARGEST = 1 << 20  # bytes of constants in a program that is kept
ADDRESSES = 1 << 32  # from where on a word may be an address
ENTRY = 4  # words of an entry of a batch, the last of which is the address of a call's spec
TABLES = 3  # the first word of a spec that is the address of a table; others follow

WORDS, PART, COMMON, FIXED = range(4)  # regions; others have numbers from FIXED on

Region = tuple[int, int, int, int]  # where it begins, its bytes, its number, bytes of it before


class Image(NamedTuple):
    """A program as plain data.

    header    module: the name of its functions in the cache; functions: their names; local,
              common: bytes of memory; workers; ends: of each, and of each truth that is checked,
              shape, type, order of axes, the input that it is written to, whether it can be given
              away; noted: the numbers of those in the buffers' notes; checks: how many truths;
              constants: types and shapes; cells: what they are for; phases: where their table is
              among the words, and how many there are
    words     all tables
    pointers  the places of addresses among the words; for each its region, and bytes from there
    contents  region and bytes of what is in cells that stay
    constants all their bytes
    """

    header: dict[str, Any]
    words: Array
    pointers: Array  # (3, n)
    contents: Array  # (2, m)
    constants: Array

    def packed(self) -> bytes:
        """One piece of data."""
        arrays = [x.reshape(-1).tobytes() for x in self[1:]]
        header = json.dumps([self.header, *map(len, arrays)]).encode()
        return b"".join([len(header).to_bytes(8, "little"), header, *arrays])


def unpacked(data: bytes) -> Image:
    """The image again."""
    end = 8 + int.from_bytes(data[:8], "little")
    header, *sizes = json.loads(data[8:end])
    found = []
    for size in sizes:
        found.append(data[end : end + size])
        end += size
    words, pointers, contents = (np.frombuffer(part, np.int64) for part in found[:3])
    constants = np.frombuffer(found[3], np.uint8)
    return Image(header, words, pointers.reshape(3, -1), contents.reshape(2, -1), constants)


def image_of(native: Native) -> Image | None:
    """The image of a program that has not run yet.

    None for one of several parts, with others in it, or large constants.
    """
    if native.nested or len(native.parts) != 1 or not native.is_whole:
        return None
    if sum(array.nbytes for array in native.buffers.constants.values()) > LARGEST:
        return None
    return _Picture(native).image()


class _Picture:
    def __init__(self, native: Native):
        self.native, self.buffers = native, native.buffers
        self.kept = [*native.ends, *native.checks]
        (part,) = native.parts
        assert isinstance(part, Part)
        self.part = part
        self.tables = [*self._of_contractions(), *native.assembler.pointers, self.part.pointers]
        self.starts = np.cumsum([0, *(found.table.size for found in self.tables)])

    def _of_contractions(self) -> Iterator[Pointers]:
        """The tables of calls of the kernel, which commands share."""
        made = [command for commands in self.native.commands.values() for command in commands]
        for batch in {id(x): x for command in made for x in command.alive}.values():
            yield Pointers(batch.entries, range(ENTRY - 1, batch.entries.size, ENTRY))
            for call in batch.calls:
                yield Pointers(call.spec, range(TABLES, TABLES + len(call.tables)))
                yield from (Pointers(table, ()) for table in call.tables)

    def image(self) -> Image | None:
        """All of it; None if it is not clear what all addresses lead to."""
        words = np.concatenate([found.table.reshape(-1) for found in self.tables])
        places = np.concatenate(
            [
                start + np.asarray(found.places, np.int64)
                for found, start in zip(self.tables, self.starts)
            ]
        )
        begins = np.concatenate(
            [
                found.table.reshape(-1)[list(found.places)]
                if found.starts is None
                else np.asarray(found.starts, np.int64)
                for found in self.tables
            ]
        )
        fixed = np.array(self.buffers.fixed_cells(), np.int64)
        where = _located(np.concatenate([begins, fixed]), sorted(self._regions()))
        if where is None:
            return None
        count = len(places)
        where[1, :count] += words[places] - begins
        words[places] = 0
        if (np.abs(words) >= ADDRESSES).any():
            return None  # a word that may be an address, and that nobody has told of
        constants = [_padded(x) for x in self.buffers.constants.values()]
        return Image(
            self._header(),
            words,
            np.concatenate([places[None], where[:, :count]]),
            where[:, count:],
            np.concatenate([np.zeros(0, np.uint8), *constants]),
        )

    def _header(self) -> dict[str, Any]:
        native, buffers = self.native, self.buffers
        number: dict[Any, int] = {end: n for n, end in enumerate(self.kept)}
        number |= {content: n for n, content in enumerate(buffers.fixed_cells())}
        return {
            "module": native.module.name,
            "local": native.memory.local,
            "common": native.memory.common,
            "workers": buffers.workers,
            "ends": [
                (x.shape, x.dtype.str, x.order, buffers.homes.get(x), x in buffers.given)
                for x in self.kept
            ],
            "noted": native.noted_numbers,
            "checks": len(native.checks),
            "constants": [(x.dtype.str, x.shape) for x in buffers.constants.values()],
            "cells": [(kind, x if kind == "input" else number[x]) for kind, x in buffers.cells()],
            "phases": (int(self.starts[-2]), len(self.part.table)),
            "functions": list(native.functions.texts),
        }

    def _regions(self) -> Iterator[Region]:
        """All that addresses may lead to, numbered as `_starts` has them."""
        buffers, native = self.buffers, self.native
        for found, start in zip(self.tables, self.starts):
            yield address(found.table), found.table.nbytes, WORDS, 8 * int(start)
        yield self.part.address, 8 * 3, PART, 0
        yield address(buffers.common), buffers.common.nbytes, COMMON, 0
        number = FIXED
        for memory in buffers.own:
            yield address(memory), memory.nbytes, number, 0
            number += 1
        for end in self.kept:
            if end in buffers.ends:
                yield address(buffers.ends[end]), buffers.ends[end].nbytes, number, 0
            number += 1
        for array in buffers.constants.values():
            yield address(array), array.nbytes, number, 0
            number += 1
        for block in buffers.blocks:
            yield addressof(block), 8 * len(block), number, 0
            number += 1
        for name in native.functions.texts:
            yield native.module.address(name), 0, number, 0
            number += 1


def _located(addresses: Array, regions: Sequence[Region]) -> Array | None:
    """For each address its region and the bytes from there; None if one is in no region."""
    first, sizes, numbers, before = np.array(regions, np.int64).reshape(-1, 4).T
    at = np.searchsorted(first, addresses, "right") - 1
    far = addresses - first[at]
    if (at < 0).any() or (far > sizes[at]).any():
        return None
    return np.stack([numbers[at], far + before[at]])


def _padded(array: Array) -> Array:
    """The bytes of an array, up to a whole cache line."""
    made = np.zeros(-(-array.nbytes // ALIGNED) * ALIGNED, np.uint8)
    made[: array.nbytes] = array.reshape(-1).view(np.uint8)
    return made


class Restored(Program):
    """The program of an image."""

    def __init__(self, image: Image, module: Loaded):
        self.module, header = module, image.header
        found = [_end(*end) for end in header["ends"]]
        kept = [value for value, _, _ in found]
        self.homes = {value: home for value, home, _ in found if home is not None}
        given = [value for value, _, is_given in found if is_given]
        self.noted_numbers = header["noted"]
        noted = [kept[n] for n in self.noted_numbers]
        memory = Memory({}, header["local"], header["common"])
        self.buffers = Buffers(memory, kept, self.homes, given, noted, header["workers"])
        self.ends = kept[: len(kept) - header["checks"]]
        self._words, self._constants = image.words.copy(), aligned(len(image.constants))
        self._constants[: len(image.constants)] = image.constants
        cells = [(kind, kept[n] if kind == "end" else n) for kind, n in header["cells"]]
        self.buffers.make_cells(cells)
        self.parts = [self._part(image, kept)]

    def _part(self, image: Image, kept: Sequence[Value]) -> Part:
        at, count = image.header["phases"]
        table = self._words[at : at + 4 * count].reshape(-1, 4)
        alive = self._words, self._constants, self.buffers, self.module
        part = Part(table, self.buffers.workers > 1, alive)
        first = np.array([*self._starts(image, kept, part)], np.int64)
        places, numbers, far = image.pointers
        self._words[places] = first[numbers] + far
        numbers, far = image.contents
        self.buffers.fill_cells((first[numbers] + far).tolist())
        return part

    def _starts(self, image: Image, kept: Sequence[Value], part: Part) -> Iterator[int]:
        """Where all regions begin, in the order of their numbers."""
        buffers, header = self.buffers, image.header
        yield address(self._words)
        yield part.address
        yield address(buffers.common)
        yield from map(address, buffers.own)
        for end in kept:
            yield address(buffers.ends[end]) if end in buffers.ends else 0
        start = address(self._constants)
        for kind, shape in header["constants"]:
            yield start
            start += -(-prod(shape) * np.dtype(kind).itemsize // ALIGNED) * ALIGNED
        yield from map(addressof, buffers.blocks)
        yield from map(self.module.address, header["functions"])


def _end(
    shape: list[int], kind: str, order: list[int] | None, home: int | None, is_given: bool
) -> tuple[Value, int | None, bool]:
    """A value in the place of one that was computed, the input it is written to, if it is given."""
    ordered = None if order is None else tuple(order)
    return Value("map", tuple(shape), np.dtype(kind), order=ordered), home, is_given
