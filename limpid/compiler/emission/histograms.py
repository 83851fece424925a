"""Histograms of magnitudes, in LLVM's language: bins from exponents, counts in the stack's memory.

`limpid/ops/plain/magnitudes.py` says what the bins are. All lanes find their bins at once, and then
each counts by itself. Neighbours count in tables of their own, so that none has to wait for what
the one before has written.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from limpid.compiler.emission.casts import select
from limpid.compiler.emission.code import Code
from limpid.compiler.emission.reductions import MAGNITUDES, Fold, Running
from limpid.compiler.emission.reductions import registers as folded
from limpid.compiler.program.values import Value
from limpid.ops.plain.magnitudes import BINS, LOWEST, NAN, SIDE, ZERO

TABLES = 4  # for many elements; a few count in one
FEW = 48
NOTHING = BINS  # where lanes that are not there count
ROOM = 80  # counts of a table, with some that fill up its last line of memory
COUNT = np.dtype(np.int32)
WORD = 8  # bins in a word
TOGETHER = 16  # totals that are written at once


class Table:
    """The counts of a value's bins."""

    def __init__(self, value: Value):
        self.value = value
        self.kind = value.operands[0].dtype
        self.bits = np.dtype(f"i{self.kind.itemsize}")
        self.digits = 23 if self.kind == np.float32 else 52  # of the significand
        self.total = value.dtype
        self.adds = "slots" in value.params
        self.tables = TABLES if value.operands[0].size > FEW else 1

    def begin(self, code: Code) -> list[str]:
        """Tables with nothing in them; where they are."""
        slot = code.slot(f"[{self.tables * ROOM} x i32], align 64")
        for n in range(0, self.tables * ROOM, 16):
            place = code.make(f"getelementptr i32, ptr {slot}, i64 {n}")
            code.add(f"store <16 x i32> zeroinitializer, ptr {place}, align 64")
        return [slot]

    def count(self, code: Code, slots: list[str], x: str, mask: str | None) -> None:
        """Count the lanes."""
        bins = self._bins(code, x)
        if mask is not None:
            bins = select(code, COUNT, mask, bins, code.constant(COUNT, NOTHING))
        for lane, wide in enumerate(_apart(code, bins)):
            first = lane % self.tables * ROOM
            table = code.make(f"getelementptr i32, ptr {slots[0]}, i64 {first}")
            place = code.make(f"getelementptr i32, ptr {table}, i64 {wide}")
            before = code.make(f"load i32, ptr {place}")
            code.add(f"store i32 {code.make(f'add i32 {before}, 1')}, ptr {place}")

    def write(self, code: Code, slots: list[str], pointer: str) -> None:
        """The totals of all tables; added to what is there if this is one chunk of a slot."""
        size = self.total.itemsize * 8
        few, many = f"<{TOGETHER} x i32>", f"<{TOGETHER} x i{size}>"
        for n in range(0, BINS, TOGETHER):
            total = ""
            for table in range(self.tables):
                place = code.make(f"getelementptr i32, ptr {slots[0]}, i64 {table * ROOM + n}")
                counts = code.make(f"load {few}, ptr {place}, align 4")
                total = code.make(f"add {few} {total}, {counts}") if total else counts
            total = code.make(f"{'zext' if size > 32 else 'trunc'} {few} {total} to {many}")
            place = code.make(f"getelementptr i{size}, ptr {pointer}, i64 {n}")
            if self.adds:
                before = code.make(f"load {many}, ptr {place}, align {size // 8}")
                total = code.make(f"add {many} {total}, {before}")
            code.add(f"store {many} {total}, ptr {place}, align {size // 8}")

    def _bins(self, code: Code, x: str) -> str:
        """The bin of each lane."""
        kind, bits = code.type_of(self.kind), code.type_of(self.bits)
        raw = code.make(f"bitcast {kind} {x} to {bits}")
        place = self._place(code, raw)
        count = code.type_of(COUNT)
        above = code.make(f"add {count} {place}, {code.constant(COUNT, ZERO + 1)}")
        below = code.make(f"sub {count} {code.constant(COUNT, ZERO - 1)}, {place}")
        negative = code.make(f"icmp slt {bits} {raw}, zeroinitializer")
        found = select(code, COUNT, negative, below, above)
        is_zero = code.make(f"fcmp oeq {kind} {x}, zeroinitializer")
        found = select(code, COUNT, is_zero, code.constant(COUNT, ZERO), found)
        is_nan = code.make(f"fcmp uno {kind} {x}, {x}")
        return select(code, COUNT, is_nan, code.constant(COUNT, NAN), found)

    def _place(self, code: Code, raw: str) -> str:
        """Which power of 4: 0 below the lowest, SIDE from the highest on."""
        bits, size = code.type_of(self.bits), self.kind.itemsize * 8
        most = (1 << size - 1 - self.digits) - 1  # what an exponent can be, with its bias
        start = most // 2 + 2 * LOWEST - 2  # one bin is a factor of 4; bin 0 is before the lowest

        def constant(number: int) -> str:
            return code.constant(self.bits, number)

        shifted = code.make(f"lshr {bits} {raw}, {constant(self.digits)}")
        exponent = code.make(f"and {bits} {shifted}, {constant(most)}")
        steps = code.make(f"sub {bits} {exponent}, {constant(start)}")
        place = code.make(f"ashr {bits} {steps}, {constant(1)}")
        if size > 32:
            place = code.make(f"trunc {bits} {place} to {code.type_of(COUNT)}")
        for comparison, end in (("sgt", 0), ("slt", SIDE)):
            count, limit = code.type_of(COUNT), code.constant(COUNT, end)
            inside = code.make(f"icmp {comparison} {count} {place}, {limit}")
            place = select(code, COUNT, inside, place, limit)
        return place


def _apart(code: Code, bins: str) -> Iterator[str]:
    """The bin of each lane as i64. Eight at once leave the vector: one by one takes much longer."""
    kind = code.type_of(COUNT)
    if code.width < WORD:
        for lane in range(code.width):
            found = code.make(f"extractelement {kind} {bins}, i32 {lane}")
            yield code.make(f"zext i32 {found} to i64")
        return
    words = f"<{code.width // WORD} x i64>"
    short = code.make(f"trunc {kind} {bins} to {code.vector('i8')}")
    packed = code.make(f"bitcast {code.vector('i8')} {short} to {words}")
    for number in range(code.width // WORD):
        word = code.make(f"extractelement {words} {packed}, i32 {number}")
        for place in range(WORD):
            moved = code.make(f"lshr i64 {word}, {8 * place}")
            yield code.make(f"and i64 {moved}, 255")


def registers(value: Value) -> Fold | Running | Table:
    """What a reduction keeps, in registers or in memory."""
    return Table(value) if value.params["function"] == MAGNITUDES else folded(value)
