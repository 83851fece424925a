"""The code that copies matrices whose columns then lie side by side, however they lay before.

    copy(source, target, spec)      spec, integers of 64 bits: rows, columns; bytes from row to row
                                    and from column to column of the source; from row to row of the
                                    target
    copies(table, items)            that for many, as a command of a program: source, target,
                                    entries, their count; of each offsets in both and a spec

Columns that lie side by side are copied in vectors, rows that do are turned in registers: squares
of as many as a vector has lanes.
"""

from __future__ import annotations

from collections.abc import Iterator

from limpid.compiler.contraction.product import TYPES
from limpid.compiler.machine.target import Target


def copying_functions(target: Target, dtype: str) -> tuple[list[str], str]:
    """What the functions need declared, and their text."""
    text = _Copying(TYPES[dtype], target.lanes(dtype))
    return text.declared(), "\n".join([*text.lines(), COPIES])


class _Copying:
    def __init__(self, scalar: str, width: int):
        self.scalar, self.width = scalar, width
        self.size = 4 if scalar == "float" else 8
        self.vector, self.truths = f"<{width} x {scalar}>", f"<{width} x i1>"
        self.suffix = f"v{width}f{self.size * 8}"

    def declared(self) -> list[str]:
        """The functions of LLVM that are called."""
        return [
            f"declare {self.vector} @llvm.masked.load.{self.suffix}.p0(ptr, i32, {self.truths}, "
            f"{self.vector})",
            f"declare void @llvm.masked.store.{self.suffix}.p0({self.vector}, ptr, i32, "
            f"{self.truths})",
        ]

    def lines(self) -> Iterator[str]:
        """`copy`: blocks of columns, and in each of them rows one by one, or squares of them."""
        yield "define internal void @copy(ptr %source, ptr %target, ptr %spec) {"
        yield "entry:"
        for n, name in enumerate(("rows", "columns", "down", "along", "apart")):
            yield f"  %at.{name} = getelementptr i64, ptr %spec, i64 {n}"
            yield f"  %{name} = load i64, ptr %at.{name}"
        yield f"  %beside = icmp eq i64 %along, {self.size}"
        yield f"  %turned = icmp eq i64 %down, {self.size}"
        yield "  br label %loop"
        yield "loop:"
        yield "  %c = phi i64 [ 0, %entry ], [ %next.c, %end ]"
        yield "  %far = mul i64 %c, %along"
        yield f"  %near = mul i64 %c, {self.size}"
        yield "  %from = getelementptr i8, ptr %source, i64 %far"
        yield "  %to = getelementptr i8, ptr %target, i64 %near"
        yield "  %left = sub i64 %columns, %c"
        yield from self._mask("there", "%left")
        yield "  br i1 %beside, label %line, label %other"
        yield "other:"
        yield "  br i1 %turned, label %square, label %gap"
        yield from self._line()
        yield from self._square()
        yield from self._single()
        yield "end:"
        yield f"  %next.c = add i64 %c, {self.width}"
        yield "  %more.c = icmp ult i64 %next.c, %columns"
        yield "  br i1 %more.c, label %loop, label %done"
        yield "done:"
        yield "  ret void"
        yield "}"

    def _mask(self, name: str, count: str) -> Iterator[str]:
        """The first lanes, so many as are left."""
        kind = f"<{self.width} x i64>"
        numbers = ", ".join(f"i64 {n}" for n in range(self.width))
        zeros = f"<{self.width} x i32> zeroinitializer"
        yield f"  %{name}.one = insertelement {kind} poison, i64 {count}, i32 0"
        yield f"  %{name}.all = shufflevector {kind} %{name}.one, {kind} poison, {zeros}"
        yield f"  %{name} = icmp ult {kind} <{numbers}>, %{name}.all"

    def _load(self, name: str, place: str, mask: str) -> str:
        return (
            f"  %{name} = call {self.vector} @llvm.masked.load.{self.suffix}.p0(ptr {place}, "
            f"i32 {self.size}, {self.truths} {mask}, {self.vector} zeroinitializer)"
        )

    def _store(self, x: str, place: str, mask: str) -> str:
        return (
            f"  call void @llvm.masked.store.{self.suffix}.p0({self.vector} {x}, ptr {place}, "
            f"i32 {self.size}, {self.truths} {mask})"
        )

    def _row(self, name: str, before: str, step: int) -> Iterator[str]:
        """The head of a loop over rows, with the places in source and target."""
        yield f"{name}:"
        yield f"  %r.{name} = phi i64 [ 0, %{before} ], [ %next.{name}, %{name}.end ]"
        yield f"  %r.far.{name} = mul i64 %r.{name}, %down"
        yield f"  %r.near.{name} = mul i64 %r.{name}, %apart"
        yield f"  %read.{name} = getelementptr i8, ptr %from, i64 %r.far.{name}"
        yield f"  %write.{name} = getelementptr i8, ptr %to, i64 %r.near.{name}"
        yield f"  %next.{name} = add i64 %r.{name}, {step}"

    def _again(self, name: str) -> Iterator[str]:
        yield f"  br label %{name}.end"
        yield f"{name}.end:"
        yield f"  %more.{name} = icmp ult i64 %next.{name}, %rows"
        yield f"  br i1 %more.{name}, label %{name}, label %end"

    def _line(self) -> Iterator[str]:
        yield from self._row("line", "loop", 1)
        yield self._load("x", "%read.line", "%there")
        yield self._store("%x", "%write.line", "%there")
        yield from self._again("line")

    def _square(self) -> Iterator[str]:
        yield from self._row("square", "other", self.width)
        yield "  %below = sub i64 %rows, %r.square"
        yield from self._mask("inside", "%below")
        for n in range(self.width):
            yield from self._both(f"column{n}", "there", n, "inside")
            yield f"  %f{n} = mul i64 %along, {n}"
            yield f"  %p{n} = getelementptr i8, ptr %read.square, i64 %f{n}"
            yield self._load(f"s0.{n}", f"%p{n}", f"%column{n}")
        stage, half = 0, self.width // 2
        while half:
            yield from self._exchanged(stage, half)
            stage, half = stage + 1, half // 2
        for n in range(self.width):
            yield from self._both(f"row{n}", "inside", n, "there")
            yield f"  %g{n} = mul i64 %apart, {n}"
            yield f"  %q{n} = getelementptr i8, ptr %write.square, i64 %g{n}"
            yield self._store(f"%s{stage}.{n}", f"%q{n}", f"%row{n}")
        yield from self._again("square")

    def _both(self, name: str, lane_of: str, n: int, rest: str) -> Iterator[str]:
        """The lanes of one mask, but none where a lane of another is not there."""
        zeros = f"<{self.width} x i32> zeroinitializer"
        yield f"  %{name}.is = extractelement {self.truths} %{lane_of}, i32 {n}"
        yield f"  %{name}.one = insertelement {self.truths} poison, i1 %{name}.is, i32 0"
        yield (
            f"  %{name}.all = shufflevector {self.truths} %{name}.one, {self.truths} poison, "
            f"{zeros}"
        )
        yield f"  %{name} = and {self.truths} %{name}.all, %{rest}"

    def _exchanged(self, stage: int, half: int) -> Iterator[str]:
        """Rows i and i + half exchange the blocks of lanes that lie on the wrong side."""
        lanes = range(self.width)
        first = [n - half + self.width if n & half else n for n in lanes]
        second = [n + self.width if n & half else n + half for n in lanes]
        for i in lanes:
            if not i & half:
                for target, order in ((i, first), (i + half, second)):
                    numbers = ", ".join(f"i32 {n}" for n in order)
                    yield (
                        f"  %s{stage + 1}.{target} = shufflevector {self.vector} %s{stage}.{i}, "
                        f"{self.vector} %s{stage}.{i + half}, <{self.width} x i32> <{numbers}>"
                    )

    def _single(self) -> Iterator[str]:
        """One element after the other, where neither rows nor columns lie side by side."""
        yield "gap:"
        yield f"  %few = icmp ult i64 %left, {self.width}"
        yield f"  %count = select i1 %few, i64 %left, i64 {self.width}"
        yield "  br label %apart.row"
        yield from self._row("apart.row", "gap", 1)
        yield "  br label %one"
        yield "one:"
        yield "  %k = phi i64 [ 0, %apart.row ], [ %next.k, %one ]"
        yield "  %k.far = mul i64 %k, %along"
        yield f"  %k.near = mul i64 %k, {self.size}"
        yield "  %k.read = getelementptr i8, ptr %read.apart.row, i64 %k.far"
        yield "  %k.write = getelementptr i8, ptr %write.apart.row, i64 %k.near"
        yield f"  %k.x = load {self.scalar}, ptr %k.read"
        yield f"  store {self.scalar} %k.x, ptr %k.write"
        yield "  %next.k = add i64 %k, 1"
        yield "  %more.k = icmp ult i64 %next.k, %count"
        yield "  br i1 %more.k, label %one, label %apart.row.last"
        yield "apart.row.last:"
        yield from self._again("apart.row")


COPIES = """
define void @copies(ptr %table, i64 %items) {
entry:
  %t1 = getelementptr i64, ptr %table, i64 1
  %t2 = getelementptr i64, ptr %table, i64 2
  %t3 = getelementptr i64, ptr %table, i64 3
  %source = load ptr, ptr %table
  %target = load ptr, ptr %t1
  %entries = load ptr, ptr %t2
  %count = load i64, ptr %t3
  br label %loop
loop:
  %n = phi i64 [ 0, %entry ], [ %next, %loop ]
  %e = getelementptr [3 x i64], ptr %entries, i64 %n
  %e1 = getelementptr i64, ptr %e, i64 1
  %e2 = getelementptr i64, ptr %e, i64 2
  %far = load i64, ptr %e
  %near = load i64, ptr %e1
  %spec = load ptr, ptr %e2
  %from = getelementptr i8, ptr %source, i64 %far
  %to = getelementptr i8, ptr %target, i64 %near
  call void @copy(ptr %from, ptr %to, ptr %spec)
  %next = add i64 %n, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""
