"""Copies into another order of axes, through squares of elements that are turned in registers.

Along one axis what is read lies side by side, along another what is written. A square of as many
rows as a vector has lanes is read along the one, turned by shuffles, and written along the other.
"""

from __future__ import annotations

from typing import NamedTuple

from limpid.compiler.emission.accesses import Extent, Loop
from limpid.compiler.emission.code import Code, memory_type
from limpid.compiler.emission.nests import NAME, Nest
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import locate, packed
from limpid.compiler.schedule.stages import Stage

SIZES = (4, 8)  # bytes of elements
LEAST = 4  # elements along both axes from which on squares pay


class _Axis(NamedTuple):
    """A loop, with the steps of what is read and of what is written, in elements."""

    extent: Extent
    read: int
    written: int


def transposition(stage: Stage, width: int) -> Nest | None:
    """The nest that a stage is if it turns an array; `width` bytes are in a vector."""
    if len(stage.values) != 1 or 0 in stage.domain:
        return None
    (value,) = stage.values
    if value.kind != "map" or value.params["function"] != "cast":
        return None
    (x,) = value.operands
    if x.dtype != value.dtype or x.dtype.itemsize not in SIZES or x.shape != value.shape:
        return None
    axes = _axes(value, x, stage)
    across = next((a for a in axes if a.read == 1 and a.written != 1), None)
    along = next((a for a in axes if a.written == 1 and a.read != 1), None)
    if across is None or along is None:
        return None
    if min(across.extent.static, along.extent.static) < LEAST or width < 2 * x.dtype.itemsize:
        return None
    return _Turning(stage, value, axes, across, along, width // x.dtype.itemsize).nest()


def _axes(value: Value, x: Value, stage: Stage) -> list[_Axis]:
    found = locate(x)
    pairs = zip(value.shape, found.strides, packed(value.shape, value.order), strict=True)
    long = [(n, a, b) for n, a, b in pairs if n != 1]
    return [_Axis(Extent(n, k == stage.band), a, b) for k, (n, a, b) in enumerate(long)]


class _Turning:
    def __init__(
        self,
        stage: Stage,
        value: Value,
        axes: list[_Axis],
        across: _Axis,
        along: _Axis,
        lanes: int,
    ):
        self.stage, self.value, self.axes = stage, value, axes
        self.across, self.along = across, along
        self.code = Code(lanes)
        self.scalar = memory_type(value.dtype)
        self.vector = self.code.vector(self.scalar)

    def nest(self) -> Nest:
        """Its text."""
        code = self.code
        found = locate(self.value.operands[0])
        read = self._pointer(0, found.offset)
        written = self._pointer(1, 0)
        others = [a for a in self.axes if a is not self.across and a is not self.along]
        loops = [Loop(code, axis.extent.text(code)) for axis in others]
        for axis, loop in zip(others, loops):
            i = loop.__enter__()
            read, written = self._moved(read, i, axis.read), self._moved(written, i, axis.written)
        self._squares(read, written)
        for loop in reversed(loops):
            loop.__exit__()
        code.add("ret void")
        head = f"define void {NAME}(ptr %table, i64 %count) {{"
        text = "\n".join([head, "entry:", *code.slots, *code.lines, "}"])
        band = self.stage.band
        advances = (0, 0) if band is None else self.axes[band][1:]
        return Nest(text, frozenset(code.declared), (found.base, self.value), tuple(advances))

    def _pointer(self, number: int, offset: int) -> str:
        code = self.code
        place = code.make(f"getelementptr ptr, ptr %table, i64 {number}")
        return self._moved(code.make(f"load ptr, ptr {place}"), str(offset), 1)

    def _moved(self, pointer: str, i: str, step: int) -> str:
        far = i if step == 1 else self.code.make(f"mul i64 {i}, {step}")
        return self.code.make(f"getelementptr {self.scalar}, ptr {pointer}, i64 {far}")

    def _squares(self, read: str, written: str) -> None:
        """Whole squares without masks, the others with them."""
        code, lanes = self.code, self.code.width
        rows, columns = self.along.extent.text(code), self.across.extent.text(code)
        with Loop(code, self._blocks(rows)) as a, Loop(code, self._blocks(columns)) as b:
            row, column = (code.make(f"mul i64 {n}, {lanes}") for n in (a, b))
            here = self._moved(self._moved(read, row, self.along.read), column, 1)
            there = self._moved(self._moved(written, row, 1), column, self.across.written)
            left, below = (
                code.make(f"sub i64 {n}, {at}") for n, at in ((rows, row), (columns, column))
            )
            both = [code.make(f"icmp uge i64 {n}, {lanes}") for n in (left, below)]
            whole = code.make(f"and i1 {both[0]}, {both[1]}")
            names = [code.fresh(stem) for stem in ("whole", "part", "after")]
            code.add(f"br i1 {whole}, label %{names[0]}, label %{names[1]}")
            code.label(names[0])
            self._square(here, there, None)
            code.add(f"br label %{names[2]}")
            code.label(names[1])
            self._square(here, there, (left, below))
            code.add(f"br label %{names[2]}")
            code.label(names[2])

    def _blocks(self, count: str) -> str:
        """How many squares lie along an axis."""
        lanes = self.code.width
        if count.isdecimal():
            return str(-(-int(count) // lanes))
        more = self.code.make(f"add i64 {count}, {lanes - 1}")
        return self.code.make(f"udiv i64 {more}, {lanes}")

    def _square(self, here: str, there: str, left: tuple[str, str] | None) -> None:
        code, lanes = self.code, self.code.width
        load, store = self._load, self._store
        masks = None if left is None else (code.first(left[0]), code.first(left[1]))
        rows = [
            load(self._moved(here, str(i), self.along.read), self._mask(masks, 0, i))
            for i in range(lanes)
        ]
        for j, column in enumerate(self._turned(rows)):
            mask = self._mask(masks, 1, j)
            store(column, self._moved(there, str(j), self.across.written), mask)

    def _mask(self, masks: tuple[str, str] | None, side: int, n: int) -> str | None:
        """The lanes that are there of row or column n; none of those beyond the end."""
        if masks is None:
            return None
        code = self.code
        truths = code.vector("i1")
        there = code.make(f"extractelement {truths} {masks[side]}, i32 {n}")
        return code.make(f"and {truths} {code.spread('i1', there)}, {masks[1 - side]}")

    def _load(self, pointer: str, mask: str | None) -> str:
        size = self.value.dtype.itemsize
        if mask is None:
            return self.code.make(f"load {self.vector}, ptr {pointer}, align {size}")
        return self.code.call(
            f"llvm.masked.load.{self._suffix()}.p0", self.vector, ("ptr", pointer),
            ("i32", str(size)), (self.code.vector("i1"), mask), (self.vector, "zeroinitializer"),
        )  # fmt: skip

    def _store(self, x: str, pointer: str, mask: str | None) -> None:
        code, size = self.code, self.value.dtype.itemsize
        if mask is None:
            code.add(f"store {self.vector} {x}, ptr {pointer}, align {size}")
            return
        name, truths = f"llvm.masked.store.{self._suffix()}.p0", code.vector("i1")
        code.declared.add(f"declare void @{name}({self.vector}, ptr, i32, {truths})")
        code.add(
            f"call void @{name}({self.vector} {x}, ptr {pointer}, i32 {size}, {truths} {mask})"
        )

    def _suffix(self) -> str:
        kinds = {"float": "f32", "double": "f64"}
        return f"v{self.code.width}{kinds.get(self.scalar, self.scalar)}"

    def _turned(self, rows: list[str]) -> list[str]:
        """Columns of a square from its rows: halves are exchanged, then quarters, and so on."""
        half = len(rows) // 2
        while half:
            rows = self._exchanged(rows, half)
            half //= 2
        return rows

    def _exchanged(self, rows: list[str], half: int) -> list[str]:
        """Rows i and i + half exchange the blocks of lanes that lie on the wrong side."""
        lanes, made = len(rows), list(rows)
        first = [n - half + lanes if n & half else n for n in range(lanes)]
        second = [n + lanes if n & half else n + half for n in range(lanes)]
        for i in range(lanes):
            if not i & half:
                made[i] = self._shuffled(rows[i], rows[i + half], first)
                made[i + half] = self._shuffled(rows[i], rows[i + half], second)
        return made

    def _shuffled(self, a: str, b: str, lanes: list[int]) -> str:
        numbers = ", ".join(f"i32 {n}" for n in lanes)
        mask = f"<{len(lanes)} x i32> <{numbers}>"
        return self.code.make(f"shufflevector {self.vector} {a}, {self.vector} {b}, {mask}")
