"""The code of one nest of loops: maps that feed one another, and reductions of what they make.

    nest(table, count)    a table of pointers, in the order of `Nest.buffers`; how far the axis runs
                          that is cut into chunks

What reductions keep stays in registers while their loops run.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from limpid.compiler.emission.accesses import Access, Loop
from limpid.compiler.emission.arrays import Arrays, Key
from limpid.compiler.emission.axes import Axis, loops
from limpid.compiler.emission.bodies import Frame, Here, Pass
from limpid.compiler.emission.code import SCALARS, Code, memory_type
from limpid.compiler.emission.functions import known
from limpid.compiler.emission.histograms import Table, registers
from limpid.compiler.emission.reductions import (
    MAGNITUDES,
    PLACES,
    SQUARES,
    Fold,
    State,
)
from limpid.compiler.program.puts import FILLED
from limpid.compiler.program.values import Value
from limpid.compiler.schedule.stages import FOLDED, INDEXED, Stage

NAME = "@nest"  # stands for the function's name in its text
ABREAST = 4  # registers of columns that are summed side by side
FEW = 6  # values of a nest whose registers are enough for that
WRITTEN_OUT = 64  # values, at most, that short loops without a loop compute


@dataclass(frozen=True)
class Nest:
    """The text of a nest, and the values whose buffers it is called with.

    advances    for each buffer, elements from one item of the band to the next
    """

    text: str
    declared: frozenset[str]
    buffers: tuple[Value, ...]
    advances: tuple[int, ...]


def can_emit(value: Value) -> bool:
    """Whether there is code for a value in loops."""
    types = [x.dtype for x in value.operands]
    if any(t not in SCALARS for t in (*types, value.dtype)):
        return False
    if value.kind in (*INDEXED, *FILLED):
        return True
    if value.kind not in ("map", *FOLDED):
        return False
    function = value.params["function"]
    if function in PLACES or function in (SQUARES, MAGNITUDES):
        return True
    if function == "recurrence":
        return value.dtype.kind in "fiu"
    return known(function, types[-1] if value.kind == "map" else value.dtype)


def emit(stage: Stage, buffered: frozenset[Value], width: int) -> Nest | None:
    """The function that computes a stage; None if there is nothing to do.

    width  bytes of a vector
    """
    arrays = Arrays(stage, buffered)
    return _Emitter(stage, arrays, width).nest() if arrays.outputs else None


class _Emitter:
    def __init__(self, stage: Stage, arrays: Arrays, width: int):
        self.stage, self.arrays = stage, arrays
        self.axes = loops(stage, arrays)
        vector = next((axis for axis in self.axes if axis.vector), None)
        largest = max(map(_size, stage.values))
        most = width // max(4, largest) * _abreast(stage, self.axes, vector)
        self.code = Code(_lanes(vector, most))
        self.registers = {v: registers(v) for v in stage.values if v.kind in FOLDED}
        in_order = sum(axis.summed for axis in self.axes) < 2
        self.frame = Frame(stage, arrays, self.code, vector, in_order, self.registers)
        self.buffers: list[Value] = []

    def nest(self) -> Nest:
        """Its text."""
        code = self.code
        pointers = {key: self._pointer(key) for key in self.arrays.readings}
        start = Here(pointers, dict.fromkeys(self.arrays.counts, "0"))
        self._loop(0, start, None)
        code.add("ret void")
        head = f"define void {NAME}(ptr %table, i64 %count) {{"
        text = "\n".join([head, "entry:", *code.slots, *code.lines, "}"])
        return Nest(text, frozenset(code.declared), tuple(self.buffers), self._advances())

    def _advances(self) -> tuple[int, ...]:
        band = self.stage.band
        if band is None:
            return (0,) * len(self.buffers)
        return tuple(r.steps[band] for r in self.arrays.readings.values())

    def _pointer(self, key: Key) -> str:
        """The pointer to where an array begins."""
        reading, code = self.arrays.readings[key], self.code
        place = code.make(f"getelementptr ptr, ptr %table, i64 {len(self.buffers)}")
        pointer = code.make(f"load ptr, ptr {place}")
        self.buffers.append(reading.value)
        if reading.offset:
            kind = memory_type(reading.value.dtype)
            pointer = code.make(f"getelementptr {kind}, ptr {pointer}, i64 {reading.offset}")
        return pointer

    # Loops

    def _loop(self, level: int, at: Here, mask: str | None) -> None:
        """The loops from a level on; reductions begin at the first that is summed over."""
        if self.registers and (level == len(self.axes) or self.axes[level].summed):
            self._reduced(level, at, mask)
        else:
            self._inner(level, at, mask)

    def _reduced(self, level: int, at: Here, mask: str | None) -> None:
        for value in self.registers:
            self.frame.begin(value)
        self._inner(level, at, mask)
        summed = any(axis.vector and axis.summed for axis in self.axes)
        for value, kept in self.registers.items():
            if isinstance(kept, Table):
                kept.write(self.code, self.frame.slots[value], at.pointers[value, None])
            elif isinstance(kept, Fold):
                self._finish(value, kept, at, mask, summed)

    def _inner(self, level: int, at: Here, mask: str | None) -> None:
        if level == len(self.axes):
            Pass(self.frame, at, mask).emit()
            return
        axis, code = self.axes[level], self.code
        if axis.extent.static == 0:
            return
        if self._is_short(level):
            for n in range(axis.extent.static):
                self._next(level, self._moved(at, axis, str(n)), mask)
            return
        if not axis.vector:
            with Loop(code, axis.extent.text(code)) as i:
                self._next(level, self._moved(at, axis, i), mask)
            return
        blocks = axis.extent.blocks(code)
        if blocks != "0":
            with Loop(code, blocks, may_be_none=axis.extent.chunked) as block:
                start = code.make(f"mul i64 {block}, {code.width}")
                self._next(level, self._moved(at, axis, start), None)
        if axis.extent.has_rest(code.width):
            with axis.extent.rest(code) as (start, tail):
                self._next(level, self._moved(at, axis, start), tail)

    def _is_short(self, level: int) -> bool:
        """Whether the loops from a level on are few passes, to be written out."""
        inner = self.axes[level:]
        if any(axis.vector or axis.extent.chunked for axis in inner):
            return False
        return prod(a.extent.static for a in inner) * len(self.stage.values) <= WRITTEN_OUT

    def _next(self, level: int, at: Here, mask: str | None) -> None:
        if self.axes[level].summed:
            self._inner(level + 1, at, mask)
        else:
            self._loop(level + 1, at, mask)

    def _moved(self, at: Here, axis: Axis, i: str) -> Here:
        """Where arrays are at a place along an axis."""
        code = self.code
        moved = Here(dict(at.pointers), dict(at.counts))
        for key, step in axis.steps.items():
            if step:
                scalar = memory_type(self.arrays.readings[key].value.dtype)
                moved.pointers[key] = code.make(
                    f"getelementptr {scalar}, ptr {at.pointers[key]}, i64 {self._far(i, step)}"
                )
        for value, step in axis.counts.items():
            if step:
                moved.counts[value] = code.make(f"add i64 {at.counts[value]}, {self._far(i, step)}")
        return moved

    def _far(self, i: str, step: int) -> str:
        if i.isdecimal():
            return str(int(i) * step)
        return i if step == 1 else self.code.make(f"mul i64 {i}, {step}")

    # Reductions

    def _finish(self, value: Value, kept: Fold, at: Here, mask: str | None, summed: bool) -> None:
        """Write a reduction; add it to what is there if this is one chunk of a slot."""
        code, step = self.code, self.frame.step((value, None))
        state = self.frame.state(value)
        if summed:
            state, code, mask, step = self._combined(kept, state), code.narrowed(1), None, 1
        access = Access(code, at.pointers[value, None], value.dtype, step, "0", mask)
        if "slots" in value.params:
            state = kept.combined(code, kept.resumed(code, access.load()), state, in_order=True)
        access.store(kept.result(code, state))

    def _combined(self, kept: Fold, state: State) -> State:
        """All lanes of registers as vectors of one."""
        code, half = self.code, self.code.width // 2
        while half:  # the upper half onto the lower one, and so on
            lanes = [n + half if n < half else n for n in range(code.width)]
            upper = [code.shuffled(code.type_of(t), x, lanes) for t, x in zip(kept.types, state)]
            state = kept.combined(code, state, upper, in_order=False)
            half //= 2
        return [code.lowest(t, x) for t, x in zip(kept.types, state)]


def _size(value: Value) -> int:
    """The bytes of an element that lanes are for."""
    of_operand = value.params.get("function") in (*PLACES, MAGNITUDES)
    kept = value.operands[0] if of_operand else value
    return int(kept.dtype.itemsize)


def _abreast(stage: Stage, axes: list[Axis], vector: Axis | None) -> int:
    """How many registers a vector takes.

    Sums along far steps read whole lines of memory at once, as columns side by side. Of sums of
    squares each waits for the one before, so several are on their way.
    """
    if any(v.params.get("function") == SQUARES for v in stage.values):
        return ABREAST if len(stage.values) <= FEW else 1
    kept = vector is not None and not vector.summed and not axes[-1].vector
    plain = all(v.kind in ("map", "reduce") for v in stage.values)
    return ABREAST if kept and plain and len(stage.values) <= FEW else 1


def _lanes(vector: Axis | None, most: int) -> int:
    """Lanes of vectors: no more than there are elements along the axis, up to a power of two."""
    lanes = 1
    while vector is not None and lanes < min(most, vector.extent.static):
        lanes *= 2
    return lanes
