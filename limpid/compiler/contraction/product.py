"""The code of one kernel that does all contractions: C[row, lane] (+)= Σ A[row, k] · B[k, lane].

Rows are found by tables of offsets, so they may be any places; lanes lie side by side in B and C;
the sum runs over nested loops. All extents and steps are arguments. A tile of rows × vectors stays
in registers: for each k a row's number of A is spread over a vector and multiplied with B's lanes.

    product(A, B, C, spec)    spec, integers of 64 bits:
        0  tiles of rows (the tables are filled up with the last row)
        1  lanes
        2  whether to add to C
        3  table of A's row offsets in bytes
        4  table of C's row offsets
        5…      outermost sum: extent, step in A, step in B
        8  step in B from the lanes of one tile to those of the next
        9…      six outer loops, each: extent, step in A, step in B, step in C
        33…     the loops of the sum, each: extent, step in A, step in B

    batch(A, B, C, entries, count)    that for many: offsets in A, B and C, and a spec, for each
"""

from __future__ import annotations

from collections.abc import Iterator

from limpid.compiler.machine.target import Target

TILES, LANES, ADD, ROWS_A, ROWS_C, SPLIT, STEP, OUTER = 0, 1, 2, 3, 4, 5, 8, 9
OUTERS = 6
SUM = OUTER + 4 * OUTERS
TYPES = {"float32": "float", "float64": "double"}


def product_module(target: Target, dtype: str, depth: int) -> str:
    """The text of a module with the functions for sums of `depth` nested loops."""
    declared, text = product_functions(target, dtype, depth, "")
    return "\n".join([*declared, text])


def product_functions(target: Target, dtype: str, depth: int, suffix: str) -> tuple[list[str], str]:
    """What the functions need declared, and their text; their names end in the suffix."""
    scalar = TYPES[dtype]
    size = 4 if scalar == "float" else 8
    width = target.width // size
    many = target.vectors
    kinds = [("full", many, False, False), ("edge", many, True, False), ("narrow", 1, True, False),
             ("apart", many, True, True)]  # fmt: skip
    tiles = [
        _Tile(name, scalar, width, target.rows, vectors, masked, apart, depth).text()
        for name, vectors, masked, apart in kinds
    ]
    vector, kind = f"<{width} x {scalar}>", f"v{width}f{size * 8}"
    declared = [
        "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)",
        f"declare {vector} @llvm.fma.{kind}({vector}, {vector}, {vector})",
        f"declare {vector} @llvm.masked.load.{kind}.p0(ptr, i32, <{width} x i1>, {vector})",
        f"declare void @llvm.masked.store.{kind}.p0({vector}, ptr, i32, <{width} x i1>)",
    ]
    text = "\n".join([*tiles, _driver(target.rows, width, target.vectors, size), BATCH])
    for name in ("full", "edge", "narrow", "apart", "product", "batch"):
        text = text.replace(f"@{name}(", f"@{name}{suffix}(")
    return declared, text


class _Tile:
    """One tile: its rows × vectors accumulators run through the loops of the sum.

    apart  whether its vectors are the same lanes of several turns of the innermost outer loop
    """

    def __init__(
        self,
        name: str,
        scalar: str,
        width: int,
        rows: int,
        vectors: int,
        masked: bool,
        apart: bool,
        depth: int,
    ):
        self.name, self.scalar, self.width = name, scalar, width
        self.rows, self.vectors, self.masked, self.depth = rows, vectors, masked, depth
        self.apart = apart
        self.vector = f"<{width} x {scalar}>"
        self.bits = 32 if scalar == "float" else 64
        self.cells = [(i, j) for i in range(rows) for j in range(vectors)]

    def text(self) -> str:
        """The function."""
        head = (
            f"define internal void @{self.name}(ptr %A, ptr %B, ptr noalias %C, ptr %rowsA, "
            "ptr %rowsC, ptr %sum, i64 %lanes, i1 %add, i64 %stepB, i64 %stepC) alwaysinline {"
        )
        body = [*self._entry(), *self._loops(), *self._stores(), "}"]
        return "\n".join([head, "entry:", *body])

    def _entry(self) -> Iterator[str]:
        for d in range(self.depth):
            for n, name in enumerate(("extent", "stepA", "stepB")):
                yield f"  %at.{name}{d} = getelementptr i64, ptr %sum, i64 {3 * d + n}"
                yield f"  %{name}{d} = load i64, ptr %at.{name}{d}"
        for i in range(self.rows):
            for side in "AC":
                yield f"  %at.row{side}{i} = getelementptr i64, ptr %rows{side}, i64 {i}"
                yield f"  %row{side}{i} = load i64, ptr %at.row{side}{i}"
            yield f"  %C{i} = getelementptr i8, ptr %C, i64 %rowC{i}"
        yield from self._masks()
        if self.apart:
            for j in range(self.vectors):
                yield f"  %farB{j} = mul i64 %stepB, {j}"
                yield f"  %farC{j} = mul i64 %stepC, {j}"
        yield "  br i1 %add, label %ask, label %start"
        yield "ask:"  # for what will be added to
        for i, j in self.cells:
            yield self._place(f"near{i}.{j}", f"%C{i}", j, "C")
            yield f"  call void @llvm.prefetch.p0(ptr %near{i}.{j}, i32 1, i32 3, i32 1)"
        yield "  br label %start"
        yield "start:"
        yield "  br label %loop0"

    def _masks(self) -> Iterator[str]:
        """Which lanes of each vector are there."""
        if not self.masked:
            return
        kind = f"<{self.width} x i64>"
        numbers = ", ".join(f"i64 {n}" for n in range(self.width))
        yield f"  %one = insertelement {kind} poison, i64 %lanes, i32 0"
        yield (
            f"  %all = shufflevector {kind} %one, {kind} poison, "
            f"<{self.width} x i32> zeroinitializer"
        )
        for j in range(self.vectors):
            first = 0 if self.apart else j * self.width
            offset = ", ".join(f"i64 {first}" for _ in range(self.width))
            yield f"  %number{j} = add {kind} <{numbers}>, <{offset}>"
            yield f"  %mask{j} = icmp ult {kind} %number{j}, %all"

    def _place(self, name: str, base: str, j: int, side: str) -> str:
        """Where vector j is, in B or in C."""
        if self.apart:
            return f"  %{name} = getelementptr i8, ptr {base}, i64 %far{side}{j}"
        return f"  %{name} = getelementptr {self.scalar}, ptr {base}, i64 {j * self.width}"

    def _load(self, name: str, base: str, j: int, side: str) -> Iterator[str]:
        yield self._place(f"at.{name}", base, j, side)
        if self.masked:
            call = f"@llvm.masked.load.v{self.width}f{self.bits}.p0"
            yield (
                f"  %{name} = call {self.vector} {call}(ptr %at.{name}, i32 {self.bits // 8}, "
                f"<{self.width} x i1> %mask{j}, {self.vector} zeroinitializer)"
            )
        else:
            yield f"  %{name} = load {self.vector}, ptr %at.{name}, align {self.bits // 8}"

    def _loops(self) -> Iterator[str]:
        last = self.depth - 1
        for d in range(self.depth):
            before = "start" if d == 0 else f"loop{d - 1}"
            outer = ("%A", "%B") if d == 0 else (f"%a{d - 1}", f"%b{d - 1}")
            yield f"loop{d}:"
            yield f"  %k{d} = phi i64 [ 0, %{before} ], [ %next.k{d}, %end{d} ]"
            for name, start in zip("ab", outer):
                yield f"  %{name}{d} = phi ptr [ {start}, %{before} ], [ %next.{name}{d}, %end{d} ]"
            for i, j in self.cells:
                start_value = "zeroinitializer" if d == 0 else f"%sum{d - 1}.{i}.{j}"
                yield (
                    f"  %sum{d}.{i}.{j} = phi {self.vector} [ {start_value}, %{before} ], "
                    f"[ %new{i}.{j}, %end{d} ]"
                )
            yield f"  br label %{'body' if d == last else f'loop{d + 1}'}"
        yield "body:"
        yield from self._multiply(last)
        yield f"  br label %end{last}"
        for d in reversed(range(self.depth)):
            yield f"end{d}:"
            yield f"  %next.a{d} = getelementptr i8, ptr %a{d}, i64 %stepA{d}"
            yield f"  %next.b{d} = getelementptr i8, ptr %b{d}, i64 %stepB{d}"
            yield f"  %next.k{d} = add nuw i64 %k{d}, 1"
            yield f"  %more{d} = icmp ult i64 %next.k{d}, %extent{d}"
            after = f"end{d - 1}" if d else "done"
            yield f"  br i1 %more{d}, label %loop{d}, label %{after}"
        yield "done:"
        yield from self._added()

    def _added(self) -> Iterator[str]:
        """What is stored: a block of a long sum is added to those before it, as a whole."""
        yield "  br i1 %add, label %more, label %store"
        yield "more:"
        for i, j in self.cells:
            yield from self._load(f"old{i}.{j}", f"%C{i}", j, "C")
            yield f"  %both{i}.{j} = fadd {self.vector} %old{i}.{j}, %new{i}.{j}"
        yield "  br label %store"
        yield "store:"
        for i, j in self.cells:
            yield (
                f"  %made{i}.{j} = phi {self.vector} [ %new{i}.{j}, %done ], "
                f"[ %both{i}.{j}, %more ]"
            )

    def _multiply(self, d: int) -> Iterator[str]:
        for j in range(self.vectors):
            yield from self._load(f"lane{j}", f"%b{d}", j, "B")
        fma = f"@llvm.fma.v{self.width}f{self.bits}"
        zeros = f"<{self.width} x i32> zeroinitializer"
        for i in range(self.rows):
            yield f"  %at.x{i} = getelementptr i8, ptr %a{d}, i64 %rowA{i}"
            yield f"  %x{i} = load {self.scalar}, ptr %at.x{i}, align {self.bits // 8}"
            yield f"  %one{i} = insertelement {self.vector} poison, {self.scalar} %x{i}, i32 0"
            yield (
                f"  %all{i} = shufflevector {self.vector} %one{i}, {self.vector} poison, {zeros}"
            )
            for j in range(self.vectors):
                yield (
                    f"  %new{i}.{j} = call {self.vector} {fma}({self.vector} %all{i}, "
                    f"{self.vector} %lane{j}, {self.vector} %sum{d}.{i}.{j})"
                )

    def _stores(self) -> Iterator[str]:
        for i, j in self.cells:
            place = f"%to{i}.{j}"
            yield self._place(place[1:], f"%C{i}", j, "C")
            if self.masked:
                call = f"@llvm.masked.store.v{self.width}f{self.bits}.p0"
                yield (
                    f"  call void {call}({self.vector} %made{i}.{j}, ptr {place}, "
                    f"i32 {self.bits // 8}, <{self.width} x i1> %mask{j})"
                )
            else:
                yield f"  store {self.vector} %made{i}.{j}, ptr {place}, align {self.bits // 8}"
        yield "  ret void"


def _driver(rows: int, width: int, vectors: int, size: int) -> str:
    """`product`: outermost sum, outer loops, tiles of lanes, tiles of rows."""
    lines = ["define void @product(ptr %A, ptr %B, ptr %C, ptr %spec) {", "entry:"]

    def read(name: str, position: int) -> None:
        lines.append(f"  %at.{name} = getelementptr i64, ptr %spec, i64 {position}")
        lines.append(f"  %{name} = load i64, ptr %at.{name}")

    read("tiles", TILES)
    read("lanes", LANES)
    read("adding", ADD)
    read("step", STEP)
    read("tableA", ROWS_A)
    read("tableC", ROWS_C)
    lines += [
        "  %rowsA = inttoptr i64 %tableA to ptr",
        "  %rowsC = inttoptr i64 %tableC to ptr",
        f"  %sum = getelementptr i64, ptr %spec, i64 {SUM}",
    ]
    levels = [("s", SPLIT, "AB")] + [(f"o{n}", OUTER + 4 * n, "ABC") for n in range(OUTERS)]
    for name, position, sides in levels:
        read(f"extent.{name}", position)
        for n, side in enumerate(sides, 1):
            read(f"step{side}.{name}", position + n)
    pointers = {"A": "%A", "B": "%B", "C": "%C"}
    before = "entry"
    for name, _, sides in levels:
        lines += [f"  br label %loop.{name}", f"loop.{name}:"]
        lines.append(f"  %{name} = phi i64 [ 0, %{before} ], [ %next.{name}, %end.{name} ]")
        for side in sides:
            lines.append(
                f"  %{side}.{name} = phi ptr [ {pointers[side]}, %{before} ], "
                f"[ %next.{side}.{name}, %end.{name} ]"
            )
            pointers[side] = f"%{side}.{name}"
        before = f"loop.{name}"
    a, b, c = (pointers[side] for side in "ABC")
    last = f"o{OUTERS - 1}"
    lines += [
        "  %later = icmp ugt i64 %s, 0",
        "  %given = icmp ne i64 %adding, 0",
        "  %add = or i1 %later, %given",
        f"  %few = icmp ule i64 %lanes, {width}",
        f"  %still = icmp eq i64 %stepA.{last}, 0",
        f"  %turns = sub i64 %extent.{last}, %{last}",
        f"  %several = icmp uge i64 %turns, {vectors}",
        "  %likely = and i1 %few, %still",
        "  %together = and i1 %likely, %several",
        "  br i1 %together, label %loop.t, label %loop.j",
        "loop.t:",
        f"  %t = phi i64 [ 0, %{before} ], [ %next.t, %loop.t ]",
        f"  %first.t = mul i64 %t, {rows}",
        "  %ra.t = getelementptr i64, ptr %rowsA, i64 %first.t",
        "  %rc.t = getelementptr i64, ptr %rowsC, i64 %first.t",
        f"  call void @apart(ptr {a}, ptr {b}, ptr {c}, ptr %ra.t, ptr %rc.t, ptr %sum, "
        f"i64 %lanes, i1 %add, i64 %stepB.{last}, i64 %stepC.{last})",
        "  %next.t = add i64 %t, 1",
        "  %more.t = icmp ult i64 %next.t, %tiles",
        f"  br i1 %more.t, label %loop.t, label %end.{last}",
        "loop.j:",
        f"  %j = phi i64 [ 0, %{before} ], [ %next.j, %end.j ]",
        f"  %b = phi ptr [ {b}, %{before} ], [ %next.b, %end.j ]",
        f"  %byte = mul i64 %j, {size}",
        f"  %c = getelementptr i8, ptr {c}, i64 %byte",
        "  %left = sub i64 %lanes, %j",
        f"  %whole = icmp uge i64 %left, {width * vectors}",
        f"  %slim = icmp ule i64 %left, {width}",
        "  br label %loop.i",
        "loop.i:",
        "  %i = phi i64 [ 0, %loop.j ], [ %next.i, %end.i ]",
        f"  %first = mul i64 %i, {rows}",
        "  %ra = getelementptr i64, ptr %rowsA, i64 %first",
        "  %rc = getelementptr i64, ptr %rowsC, i64 %first",
        "  br i1 %whole, label %do.full, label %partial",
        "partial:",
        "  br i1 %slim, label %do.narrow, label %do.edge",
    ]
    for tile in ("full", "edge", "narrow"):
        lines += [
            f"do.{tile}:",
            f"  call void @{tile}(ptr {a}, ptr %b, ptr %c, ptr %ra, ptr %rc, ptr %sum, i64 %left, "
            "i1 %add, i64 0, i64 0)",
            "  br label %end.i",
        ]
    lines += [
        "end.i:",
        "  %next.i = add i64 %i, 1",
        "  %more.i = icmp ult i64 %next.i, %tiles",
        "  br i1 %more.i, label %loop.i, label %end.j",
        "end.j:",
        "  %next.b = getelementptr i8, ptr %b, i64 %step",
        f"  %next.j = add i64 %j, {width * vectors}",
        "  %more.j = icmp ult i64 %next.j, %lanes",
        f"  br i1 %more.j, label %loop.j, label %end.o{OUTERS - 1}",
    ]
    for n in reversed(range(len(levels))):
        name, _, sides = levels[n]
        lines.append(f"end.{name}:")
        turns = "1"
        if n == len(levels) - 1:
            turns = "%turned"
            lines.append(f"  {turns} = phi i64 [ {vectors}, %loop.t ], [ 1, %end.j ]")
        for side in sides:
            far = f"%far.{side}.{name}"
            lines.append(f"  {far} = mul i64 %step{side}.{name}, {turns}")
            lines.append(f"  %next.{side}.{name} = getelementptr i8, ptr %{side}.{name}, i64 {far}")
        after = f"end.{levels[n - 1][0]}" if n else "done"
        lines += [
            f"  %next.{name} = add i64 %{name}, {turns}",
            f"  %more.{name} = icmp ult i64 %next.{name}, %extent.{name}",
            f"  br i1 %more.{name}, label %loop.{name}, label %{after}",
        ]
    return "\n".join([*lines, "done:", "  ret void", "}"])


BATCH = """
define void @batch(ptr %A, ptr %B, ptr %C, ptr %entries, i64 %count) {
entry:
  br label %loop
loop:
  %n = phi i64 [ 0, %entry ], [ %next, %loop ]
  %entry.n = getelementptr [4 x i64], ptr %entries, i64 %n
  %at.b = getelementptr i64, ptr %entry.n, i64 1
  %at.c = getelementptr i64, ptr %entry.n, i64 2
  %at.spec = getelementptr i64, ptr %entry.n, i64 3
  %offset.a = load i64, ptr %entry.n
  %offset.b = load i64, ptr %at.b
  %offset.c = load i64, ptr %at.c
  %spec.n = load i64, ptr %at.spec
  %a = getelementptr i8, ptr %A, i64 %offset.a
  %b = getelementptr i8, ptr %B, i64 %offset.b
  %c = getelementptr i8, ptr %C, i64 %offset.c
  %spec = inttoptr i64 %spec.n to ptr
  call void @product(ptr %a, ptr %b, ptr %c, ptr %spec)
  %next = add i64 %n, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""
