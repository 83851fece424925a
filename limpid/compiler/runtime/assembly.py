"""From blocks and their commands to the records that the native interpreter reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes import addressof, c_int64
from typing import Any

import numpy as np

from limpid.compiler.machine.loading import Loaded, address
from limpid.compiler.program.values import Value
from limpid.compiler.runtime.buffers import Buffers
from limpid.compiler.runtime.commands import Command, Operand
from limpid.compiler.runtime.team import run_function, team_address
from limpid.compiler.schedule.stages import Block
from limpid.graph.node import Array

STOP = 2  # the word of a program that ends it


class Part:
    """Phases of native work that follow on one another: one call."""

    def __init__(self, phases: Sequence[Array], assembler: Assembler):
        self._table = np.concatenate([np.zeros(0, np.int64), *phases])
        self._count = len(phases)
        self._program = (c_int64 * 3)(len(phases), address(self._table), 0)
        self.address = addressof(self._program)
        self._shared = assembler.buffers.workers > 1
        self._run, self._alive = run_function(), assembler.alive

    def without(self, phases: int) -> int:
        """The address of the same program without its first phases."""
        self._rest = (c_int64 * 3)(self._count - phases, address(self._table[4 * phases :]), 0)
        return addressof(self._rest)

    def run(self) -> None:
        """Do it."""
        self._run(self.address, team_address() if self._shared else None)

    def set_stop(self, table: Array) -> None:
        """Let a command's table point to the word that ends the program."""
        table[1] = self.address + 8 * STOP

    def stopped(self) -> bool:
        """Whether a check failed; it may run again."""
        found = self._program[STOP] != 0
        if found:
            self._program[STOP] = 0
        return found


class Assembler:
    """Makes records; `alive` is all that they point to."""

    def __init__(self, buffers: Buffers, module: Loaded, makers: Mapping[Value, Block]):
        self.buffers, self.module, self.makers = buffers, module, makers
        self.alive: list[Any] = [buffers, module]
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
        tables = [self.keep(np.zeros(2, np.int64)) for _ in made]
        for table, truth in zip(tables, truths):
            where = self.buffers.find(truth, 0)
            assert isinstance(where, int)
            table[0] = where
        return self._phase([(address(self._record(block, made, [tables], [[]])), 0)]), tables

    def _phase(self, tasks: list[tuple[int, int]]) -> Array:
        table = self.keep(np.array(tasks, np.int64))
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
        functions = self.keep(np.array([self.module.address(c.function) for c in made], np.int64))
        of_workers = [self.keep(np.array([*map(address, t)], np.int64)) for t in tables]
        lines = [self.keep(np.array(p, np.int64).reshape(-1, 5)) for p in patches]
        all_tables = self.keep(np.array([*map(address, of_workers)], np.int64))
        all_patches = self.keep(np.array([*map(address, lines)], np.int64))
        band = block.band
        sizes = (1, 1, 1) if band is None else (band.chunk, band.extent, band.per_slot)
        words = [
            len(made), address(functions), address(all_tables), len(lines[0]),
            address(all_patches), *sizes, sum(command.begins for command in made), 0,
        ]  # fmt: skip
        record = self.keep(np.array(words, np.int64))
        self.groups.append((block, made, record))
        return record

    def _table(self, command: Command, block: Block, worker: int) -> tuple[Array, list[list[int]]]:
        """A command's table, and the places in it that change."""
        table = self.keep(np.array([*[0] * len(command.operands), *command.numbers], np.int64))
        patches = []
        for n, operand in enumerate(command.operands):
            where = self.buffers.find(operand.value, worker)
            advance = operand.advance if self.buffers.is_whole(operand.value) else 0
            slot = self._of_slot(operand.value, block)
            if isinstance(where, int):
                if not advance and not slot:
                    table[n] = where + operand.offset
                    continue
                where = self.buffers.fixed(where)
            patches.append([address(table) + 8 * n, where.place, operand.offset, advance, slot])
        return table, patches

    def _of_slot(self, value: Value, block: Block) -> int:
        """Bytes from one slot's own reductions to the next one's, where they are made."""
        if "slots" not in value.params or self.makers[value] is not block:
            return 0
        return value.size // value.params["slots"] * value.dtype.itemsize

    def keep(self, array: Array) -> Array:
        """An array that lives as long as the program."""
        self.alive.append(array)
        return array
