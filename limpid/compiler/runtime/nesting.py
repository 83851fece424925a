"""Records for programs that run within a program: loops and choices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from limpid.compiler.machine.loading import address
from limpid.compiler.program.bodies import Bodies, Body
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import locate
from limpid.compiler.runtime.assembly import Assembler, Part
from limpid.compiler.schedule.stages import Stage
from limpid.graph.node import Array

if TYPE_CHECKING:  # which imports this
    from limpid.compiler.runtime.native import Native

Where = tuple[int, int]  # a word with an address, and bytes that are added


def body_phases(stage: Stage, natives: Sequence[Native], assembler: Assembler) -> list[Array]:
    """A phase for each body of a stage."""
    bodies: Bodies = stage.values[0].params["bodies"]
    made = []
    for native, body, truth in zip(natives, bodies.bodies, (1, 0)):
        record = _Nesting(stage, body, native, bodies.is_choice, assembler).record(truth)
        made.append(np.array([0, 0, 0, address(record)], np.int64))
    return made


class _Nesting:
    """A body between the arrays of the program that runs it and its own."""

    def __init__(
        self, stage: Stage, body: Body, native: Native, is_choice: bool, assembler: Assembler
    ):
        head = stage.values[0]
        self.body, self.native, self.assembler = body, native, assembler
        self.predicate = head.operands[0] if is_choice else None
        self.operands = head.operands[is_choice:]
        self.outputs = {value.params["number"]: value for value in stage.values}

    def record(self, truth: int) -> Array:
        """What the interpreter reads."""
        keep, (part,) = self.assembler.keep, self.native.parts
        assert isinstance(part, Part)
        self.assembler.alive += [part, self.native]
        copies = keep(np.array([*self._copies()], np.int64).reshape(-1, 5))
        moves = keep(np.array([*self._moves()], np.int64).reshape(-1, 4))
        runs = 1 if self.body.length is None else self.body.length
        where = (0, 0) if self.predicate is None else self._where(self.predicate)
        words = [
            part.address, part.without(self.native.once), runs, *where, truth, len(copies),
            address(copies), len(moves), address(moves),
        ]  # fmt: skip
        return keep(np.array(words, np.int64))

    def _copies(self) -> Iterator[tuple[int, ...]]:
        """What is carried begins with an operand."""
        for n in range(self.body.carried):
            operand = self.operands[self.body.closed + n]
            size = operand.size * operand.dtype.itemsize
            if size:
                yield (*self._carry(n), *self._where(operand), size)

    def _moves(self) -> Iterator[tuple[int, ...]]:
        """Where each run finds its inputs, and where it writes to."""
        body, buffers = self.body, self.native.buffers
        first = body.closed + body.carried
        for number, operand in enumerate(self.operands):
            cell = buffers.cell_of_input(number)
            if cell is None:
                continue
            if body.closed <= number < first:
                yield (cell.place, *self._carry(number - body.closed), 0)
            else:
                yield (cell.place, *self._slice(operand, is_sliced=number >= first))
        for n in range(body.carried, len(body.ends)):
            if n in self.outputs:
                cell = buffers.cell(self.native.ends[n])
                yield (cell.place, *self._slice(self.outputs[n], is_sliced=True))

    def _carry(self, number: int) -> Where:
        """The array of what is carried: the output, or one of the body's if nobody reads that."""
        if number in self.outputs:
            return self._where(self.outputs[number])
        return self.native.buffers.own_input(self.body.closed + number, self.native.ends[number])

    def _slice(self, x: Value, is_sliced: bool) -> tuple[int, int, int]:
        """Where the first slice is, and bytes to the next one."""
        (word, offset), length = self._where(x), self.body.length
        if not is_sliced or not length:
            return word, offset, 0
        size = x.size // length * x.dtype.itemsize
        if self.body.reverse:
            return word, offset + (length - 1) * size, -size
        return word, offset, size

    def _where(self, x: Value) -> Where:
        found = locate(x)
        return self.assembler.buffers.cell(found.base).place, found.offset * x.dtype.itemsize
