"""The code of the other form of the kernel, whose lanes are terms of the sum: dot products.

For outputs with few rows and few columns, or only one of them: matrices with vectors, gradients of
weights between few channels. Lanes lie side by side in A and B; a tile of rows × columns of sums
stays in registers, and each sum is put together at the end.

    dots(A, B, C, spec)    spec as in `product.py`, but for:
        0  tiles of rows
        1  lanes: terms side by side
        3  table of A's row offsets in bytes, followed by B's column offsets
        4  table of C's row offsets, followed by its column offsets
        5  tiles of columns
"""

from __future__ import annotations

from collections.abc import Iterator

from limpid.compiler.contraction.product import (
    ADD,
    BATCH,
    LANES,
    OUTER,
    OUTERS,
    ROWS_A,
    ROWS_C,
    SPLIT,
    SUM,
    TILES,
    TYPES,
)
from limpid.compiler.machine.target import Target

SIDE = 4  # rows of a tile, and columns: 16 sums in registers
COLUMNS = SPLIT


def dot_functions(target: Target, dtype: str, depth: int, suffix: str) -> tuple[list[str], str]:
    """What the functions need declared, and their text; their names end in the suffix.

    depth  of the loops of the sum around the lanes
    """
    tile = _Tile(TYPES[dtype], target.lanes(dtype), depth)
    text = "\n".join([*tile.lines(), *_driver(), BATCH.replace("@product(", "@dots(")])
    for name in ("dot", "dots", "batch"):
        text = text.replace(f"@{name}(", f"@{name}{suffix}(")
    return tile.declared(), text


class _Tile:
    def __init__(self, scalar: str, width: int, depth: int):
        self.scalar, self.width, self.depth = scalar, width, depth
        self.size = 4 if scalar == "float" else 8
        self.vector, self.truths = f"<{width} x {scalar}>", f"<{width} x i1>"
        self.suffix = f"v{width}f{self.size * 8}"
        self.cells = [(i, j) for i in range(SIDE) for j in range(SIDE)]

    def declared(self) -> list[str]:
        """The functions of LLVM that are called."""
        return [
            f"declare {self.vector} @llvm.fma.{self.suffix}({', '.join([self.vector] * 3)})",
            f"declare {self.vector} @llvm.masked.load.{self.suffix}.p0(ptr, i32, {self.truths}, "
            f"{self.vector})",
        ]

    def lines(self) -> Iterator[str]:
        """`dot`: loops of the sum, the innermost one over vectors of lanes."""
        yield (
            "define internal void @dot(ptr %A, ptr %B, ptr %C, ptr %rowsA, ptr %colsB, "
            "ptr %rowsC, ptr %colsC, ptr %sum, i64 %lanes, i1 %add) alwaysinline {"
        )
        yield "entry:"
        for d in range(self.depth):
            for n, name in enumerate(("extent", "stepA", "stepB")):
                yield f"  %at.{name}{d} = getelementptr i64, ptr %sum, i64 {3 * d + n}"
                yield f"  %{name}{d} = load i64, ptr %at.{name}{d}"
        for table in ("rowsA", "colsB", "rowsC", "colsC"):
            for i in range(SIDE):
                yield f"  %at.{table}{i} = getelementptr i64, ptr %{table}, i64 {i}"
                yield f"  %{table}{i} = load i64, ptr %at.{table}{i}"
        yield "  br label %loop0"
        for d in range(self.depth):
            yield from self._head(d)
        yield from self._lanes()
        for d in reversed(range(self.depth)):
            yield f"end{d}:"
            yield f"  %next.a{d} = getelementptr i8, ptr %a{d}, i64 %stepA{d}"
            yield f"  %next.b{d} = getelementptr i8, ptr %b{d}, i64 %stepB{d}"
            yield f"  %next.k{d} = add nuw i64 %k{d}, 1"
            yield f"  %more{d} = icmp ult i64 %next.k{d}, %extent{d}"
            after = f"end{d - 1}" if d else "done"
            yield f"  br i1 %more{d}, label %loop{d}, label %{after}"
        yield from self._results()

    def _head(self, d: int) -> Iterator[str]:
        before, outer = ("entry", ("%A", "%B")) if d == 0 else (
            f"loop{d - 1}", (f"%a{d - 1}", f"%b{d - 1}"))  # fmt: skip
        yield f"loop{d}:"
        yield f"  %k{d} = phi i64 [ 0, %{before} ], [ %next.k{d}, %end{d} ]"
        for name, start in zip("ab", outer):
            yield f"  %{name}{d} = phi ptr [ {start}, %{before} ], [ %next.{name}{d}, %end{d} ]"
        for i, j in self.cells:
            start = "zeroinitializer" if d == 0 else f"%sum{d - 1}.{i}.{j}"
            yield (
                f"  %sum{d}.{i}.{j} = phi {self.vector} [ {start}, %{before} ], "
                f"[ %new{i}.{j}, %end{d} ]"
            )
        yield f"  br label %{'lane' if d == self.depth - 1 else f'loop{d + 1}'}"

    def _lanes(self) -> Iterator[str]:
        last, kind = self.depth - 1, f"<{self.width} x i64>"
        numbers = ", ".join(f"i64 {n}" for n in range(self.width))
        zeros = f"<{self.width} x i32> zeroinitializer"
        yield "lane:"
        yield f"  %l = phi i64 [ 0, %loop{last} ], [ %next.l, %lane ]"
        for i, j in self.cells:
            yield (
                f"  %before{i}.{j} = phi {self.vector} [ %sum{last}.{i}.{j}, %loop{last} ], "
                f"[ %new{i}.{j}, %lane ]"
            )
        yield "  %left = sub i64 %lanes, %l"
        yield f"  %left.one = insertelement {kind} poison, i64 %left, i32 0"
        yield f"  %left.all = shufflevector {kind} %left.one, {kind} poison, {zeros}"
        yield f"  %there = icmp ult {kind} <{numbers}>, %left.all"
        yield f"  %byte = mul i64 %l, {self.size}"
        for name, table in (("a", "rowsA"), ("b", "colsB")):
            yield f"  %{name}.here = getelementptr i8, ptr %{name}{last}, i64 %byte"
            for i in range(SIDE):
                yield f"  %at.{name}.{i} = getelementptr i8, ptr %{name}.here, i64 %{table}{i}"
                yield (
                    f"  %{name}.{i} = call {self.vector} @llvm.masked.load.{self.suffix}.p0("
                    f"ptr %at.{name}.{i}, i32 {self.size}, {self.truths} %there, "
                    f"{self.vector} zeroinitializer)"
                )
        for i, j in self.cells:
            yield (
                f"  %new{i}.{j} = call {self.vector} @llvm.fma.{self.suffix}({self.vector} "
                f"%a.{i}, {self.vector} %b.{j}, {self.vector} %before{i}.{j})"
            )
        yield f"  %next.l = add i64 %l, {self.width}"
        yield "  %more.l = icmp ult i64 %next.l, %lanes"
        yield f"  br i1 %more.l, label %lane, label %end{last}"

    def _results(self) -> Iterator[str]:
        yield "done:"
        for i, j in self.cells:
            yield from self._folded(f"new{i}.{j}", f"{i}.{j}")
            yield f"  %C{i}.{j} = getelementptr i8, ptr %C, i64 %rowsC{i}"
            yield f"  %to{i}.{j} = getelementptr i8, ptr %C{i}.{j}, i64 %colsC{j}"
        yield "  br i1 %add, label %more, label %store"
        yield "more:"
        for i, j in self.cells:
            yield f"  %old{i}.{j} = load {self.scalar}, ptr %to{i}.{j}, align {self.size}"
            yield f"  %both{i}.{j} = fadd {self.scalar} %old{i}.{j}, %one{i}.{j}"
        yield "  br label %store"
        yield "store:"
        for i, j in self.cells:
            yield (
                f"  %made{i}.{j} = phi {self.scalar} [ %one{i}.{j}, %done ], "
                f"[ %both{i}.{j}, %more ]"
            )
        for i, j in self.cells:
            yield f"  store {self.scalar} %made{i}.{j}, ptr %to{i}.{j}, align {self.size}"
        yield "  ret void"
        yield "}"

    def _folded(self, name: str, cell: str) -> Iterator[str]:
        """The sum of all lanes: halves are added, then quarters, and so on."""
        half = self.width // 2
        while half:
            lanes = ", ".join(f"i32 {n + half if n < half else n}" for n in range(self.width))
            mask = f"<{self.width} x i32> <{lanes}>"
            yield (
                f"  %half{half}.{cell} = shufflevector {self.vector} %{name}, "
                f"{self.vector} poison, {mask}"
            )
            yield f"  %sum.{half}.{cell} = fadd {self.vector} %{name}, %half{half}.{cell}"
            name, half = f"sum.{half}.{cell}", half // 2
        yield f"  %one{cell} = extractelement {self.vector} %{name}, i32 0"


def _driver() -> Iterator[str]:
    """`dots`: outer loops, tiles of rows, tiles of columns."""
    yield "define void @dots(ptr %A, ptr %B, ptr %C, ptr %spec) {"
    yield "entry:"
    words = {"tiles": TILES, "lanes": LANES, "adding": ADD, "rows.a": ROWS_A, "rows.c": ROWS_C,
             "columns": COLUMNS}  # fmt: skip
    for n in range(OUTERS):
        for k, name in enumerate(("extent", "stepA", "stepB", "stepC")):
            words[f"{name}.o{n}"] = OUTER + 4 * n + k
    for name, position in words.items():
        yield f"  %at.{name} = getelementptr i64, ptr %spec, i64 {position}"
        yield f"  %{name} = load i64, ptr %at.{name}"
    yield "  %tableA = inttoptr i64 %rows.a to ptr"
    yield "  %tableC = inttoptr i64 %rows.c to ptr"
    yield f"  %rows = mul i64 %tiles, {SIDE}"
    yield "  %tableB = getelementptr i64, ptr %tableA, i64 %rows"
    yield "  %tableD = getelementptr i64, ptr %tableC, i64 %rows"
    yield f"  %sum = getelementptr i64, ptr %spec, i64 {SUM}"
    yield "  %add = icmp ne i64 %adding, 0"
    before, pointers = "entry", {side: f"%{side}" for side in "ABC"}
    for n in range(OUTERS):
        yield f"  br label %loop.o{n}"
        yield f"loop.o{n}:"
        yield f"  %o{n} = phi i64 [ 0, %{before} ], [ %next.o{n}, %end.o{n} ]"
        for side in "ABC":
            yield (
                f"  %{side}.o{n} = phi ptr [ {pointers[side]}, %{before} ], "
                f"[ %next.{side}.o{n}, %end.o{n} ]"
            )
            pointers[side] = f"%{side}.o{n}"
        before = f"loop.o{n}"
    yield from _tiles(before, pointers)
    for n in reversed(range(OUTERS)):
        yield f"end.o{n}:"
        for side in "ABC":
            yield (
                f"  %next.{side}.o{n} = getelementptr i8, ptr %{side}.o{n}, i64 %step{side}.o{n}"
            )
        yield f"  %next.o{n} = add i64 %o{n}, 1"
        yield f"  %more.o{n} = icmp ult i64 %next.o{n}, %extent.o{n}"
        after = f"end.o{n - 1}" if n else "done"
        yield f"  br i1 %more.o{n}, label %loop.o{n}, label %{after}"
    yield "done:"
    yield "  ret void"
    yield "}"


def _tiles(before: str, pointers: dict[str, str]) -> Iterator[str]:
    yield "  br label %loop.i"
    yield "loop.i:"
    yield f"  %i = phi i64 [ 0, %{before} ], [ %next.i, %end.i ]"
    yield f"  %row = mul i64 %i, {SIDE}"
    yield "  %ra = getelementptr i64, ptr %tableA, i64 %row"
    yield "  %rc = getelementptr i64, ptr %tableC, i64 %row"
    yield "  br label %loop.j"
    yield "loop.j:"
    yield "  %j = phi i64 [ 0, %loop.i ], [ %next.j, %loop.j ]"
    yield f"  %column = mul i64 %j, {SIDE}"
    yield "  %cb = getelementptr i64, ptr %tableB, i64 %column"
    yield "  %cc = getelementptr i64, ptr %tableD, i64 %column"
    a, b, c = (pointers[side] for side in "ABC")
    yield (
        f"  call void @dot(ptr {a}, ptr {b}, ptr {c}, ptr %ra, ptr %cb, ptr %rc, ptr %cc, "
        "ptr %sum, i64 %lanes, i1 %add)"
    )
    yield "  %next.j = add i64 %j, 1"
    yield "  %more.j = icmp ult i64 %next.j, %columns"
    yield "  br i1 %more.j, label %loop.j, label %end.i"
    yield "end.i:"
    yield "  %next.i = add i64 %i, 1"
    yield "  %more.i = icmp ult i64 %next.i, %tiles"
    yield f"  br i1 %more.i, label %loop.i, label %end.o{OUTERS - 1}"
