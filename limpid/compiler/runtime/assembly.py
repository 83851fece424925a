"""From blocks and their commands to the records that the native interpreter reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes import addressof, c_int64
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.emission.calls import STOP
from limpid.compiler.machine.loading import Loaded, address
from limpid.compiler.program.values import Value
from limpid.compiler.runtime.buffers import Buffers
from limpid.compiler.runtime.commands import Command, Operand
from limpid.compiler.runtime.team import maker, team_address
from limpid.compiler.schedule.stages import Block
from limpid.graph.node import Array


class Pointers(NamedTuple):
    """Which words of a table are addresses; for each where that begins what it leads to."""

    table: Array
    places: Sequence[int]
    starts: Sequence[int] | None = None  # as the addresses themselves


class Part:
    """Phases of native work that follow on one another: one call."""

    def __init__(self, table: Array, shared: bool, alive: Any):
        self.table = table  # (phases, 4)
        self._program = (c_int64 * 3)(len(table), address(table), 0)
        self.address = addressof(self._program)
        self._shared = shared
        self._run, self._alive = maker("run")(self.address, self._program), alive

    @property
    def pointers(self) -> Pointers:
        """The table, and which of its words are addresses of tasks."""
        return Pointers(self.table, range(1, self.table.size, 4))

    def without(self, phases: int) -> int:
        """The address of the same program without its first phases."""
        self._rest = (c_int64 * 3)(len(self.table) - phases, address(self.table[phases:]), 0)
        return addressof(self._rest)

    def run(self) -> bool:
        """Do it; False if a check failed. It may run again."""
        went: bool = self._run(team_address() if self._shared else 0)
        return went

    def set_stop(self, table: Array) -> None:
        """Let a command's table point to the word that ends the program."""
        table[1] = self.address + 8 * STOP


class Assembler:
    """Makes records; `alive` is all that they point to, `pointers` which words do so."""

    def __init__(self, buffers: Buffers, module: Loaded, makers: Mapping[Value, Block]):
        self.buffers, self.module, self.makers = buffers, module, makers
        self.alive: list[Any] = [buffers, module]
        self.pointers: list[Pointers] = []
        self.groups: list[tuple[Block, list[Command], Array]] = []

    def phase(self, blocks: Sequence[Block], made: Mapping[Block, list[Command]]) -> Array:
        """The record of a phase."""
        tasks = []
        for block in blocks:
            group = self._group(block, made[block])
            slots = block.band.slots if block.band is not None else 1
            tasks += [(address(group), slot) for slot in range(slots)]
        return self._phase(tasks)

    def checks(self, truths: Sequence[Value], name: str) -> tuple[Array, list[Array]]:
        """The record of a phase that looks at truths, and the tables of its commands."""
        made = [Command(name, [Operand(truth, 0, 0)], [0]) for truth in truths]
        block = Block(None, [], {})
        tables = [self.keep(np.zeros(2, np.int64), (0, 1)) for _ in made]
        for table, truth in zip(tables, truths):
            where = self.buffers.find(truth, 0)
            assert isinstance(where, int)
            table[0] = where
        return self._phase([(address(self._record(block, made, [tables], [[]])), 0)]), tables

    def _phase(self, tasks: list[tuple[int, int]]) -> Array:
        table = self.keep(np.array(tasks, np.int64), range(0, 2 * len(tasks), 2))
        return np.array([len(tasks), address(table), len(tasks) > 1, 0], np.int64)

    def _group(self, block: Block, made: list[Command]) -> Array:
        tables, patches = [], []
        for worker in range(self.buffers.workers):
            pairs = [self._table(command, block, worker) for command in made]
            tables.append([table for table, _ in pairs])
            patches.append([line for _, lines in pairs for line in lines])
        return self._record(block, made, tables, patches)

    def _record(
        self,
        block: Block,
        made: list[Command],
        tables: list[list[Array]],
        patches: list[list[list[int]]],
    ) -> Array:
        """A group's record, from the tables and patches of each worker."""
        self.alive.append(made)
        functions = self._addresses([self.module.address(c.function) for c in made])
        of_workers = [self._addresses([*map(address, t)]) for t in tables]
        lines = [self._patches(p) for p in patches]
        all_tables = self._addresses([*map(address, of_workers)])
        all_patches = self._addresses([*map(address, lines)])
        band = block.band
        sizes = (1, 1, 1) if band is None else (band.chunk, band.extent, band.per_slot)
        words = [
            len(made), address(functions), address(all_tables), len(lines[0]),
            address(all_patches), *sizes, sum(command.begins for command in made), 0,
        ]  # fmt: skip
        record = self.keep(np.array(words, np.int64), (1, 2, 4))
        self.groups.append((block, made, record))
        return record

    def _table(self, command: Command, block: Block, worker: int) -> tuple[Array, list[list[int]]]:
        """A command's table, and the places in it that change."""
        count, patches = len(command.operands), []
        known = [count + n for n in command.pointers]
        starts = [command.numbers[n] for n in command.pointers]
        table = self.keep(np.array([*[0] * count, *command.numbers], np.int64), known, starts)
        for n, operand in enumerate(command.operands):
            where = self.buffers.find(operand.value, worker)
            advance = operand.advance if self.buffers.is_whole(operand.value) else 0
            slot = self._of_slot(operand.value, block)
            if isinstance(where, int):
                if not advance and not slot:
                    table[n] = where + operand.offset
                    known.append(n)
                    starts.append(where)
                    continue
                where = self.buffers.fixed(where)
            patches.append([address(table) + 8 * n, where.place, operand.offset, advance, slot])
        return table, patches

    def _of_slot(self, value: Value, block: Block) -> int:
        """Bytes from one slot's own reductions to the next one's, where they are made."""
        if "slots" not in value.params or self.makers[value] is not block:
            return 0
        return value.size // value.params["slots"] * value.dtype.itemsize

    def _addresses(self, words: list[int]) -> Array:
        return self.keep(np.array(words, np.int64), range(len(words)))

    def _patches(self, lines: list[list[int]]) -> Array:
        known = [5 * n + k for n in range(len(lines)) for k in (0, 1)]
        return self.keep(np.array(lines, np.int64).reshape(-1, 5), known)

    def keep(
        self, array: Array, places: Sequence[int] = (), starts: Sequence[int] | None = None
    ) -> Array:
        """An array that lives as long as the program, with its `Pointers`."""
        self.alive.append(array)
        self.pointers.append(Pointers(array, places, starts))
        return array
