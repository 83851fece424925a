"""Running a program: what native code does in as few calls as can be, the rest as NumPy does it.

Every value with a buffer has its memory from the start. Stages of native code that follow on one
another are one function, a segment: it is called with a table of tables of pointers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from limpid.compiler.contraction.contract import Batch, Planner
from limpid.compiler.contraction.lanes import choose
from limpid.compiler.contraction.product import product_functions
from limpid.compiler.emission.loops import can_emit, emit
from limpid.compiler.machine.loading import address, load
from limpid.compiler.machine.target import Target
from limpid.compiler.program.packing import choice_of, layout, packed_ends
from limpid.compiler.program.values import Value, evaluate
from limpid.compiler.program.views import locate, with_copies
from limpid.compiler.schedule.stages import CALL, NEST, PRODUCT, Stage, schedule
from limpid.graph.node import Array
from limpid.ops.windows.execution import execute

SHARED = 1 << 24  # multiply-adds from which on a contraction is shared among threads
FILL = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"


class Command(NamedTuple):
    """A call within a segment: its text, and the table of pointers and numbers that it takes."""

    text: str
    table: Array


class Patch(NamedTuple):
    """A place in a table that holds the address of an input, which may change."""

    table: Array
    place: int
    number: int
    offset: int


class Native:
    """A program in native code: `run(inputs)` gives its outputs."""

    def __init__(self, ends: Sequence[Value], target: Target):
        self.target = target
        self.ends = with_copies(packed_ends(with_copies(ends), target))
        self.schedule = schedule(self.ends)
        self.buffers = {
            value: np.empty(value.shape, value.dtype)
            for value in self.schedule.buffered
            if value.kind not in ("input", "constant")
        }
        self.constants: dict[Value, Array] = {}
        self.inputs: list[Array] = []
        self.patches: list[Patch] = []
        self.alive: list[Any] = []  # what tables point to
        self.texts: dict[str, str] = {}  # functions of the module, by name
        self.declared: set[str] = {FILL}
        self.steps: list[Callable[[], Any]] = self._steps()

    def run(self, inputs: Sequence[Any]) -> list[Array]:
        """The outputs for these inputs."""
        self.inputs = [np.asarray(x, order="C") for x in inputs]
        for patch in self.patches:
            patch.table[patch.place] = address(self.inputs[patch.number]) + patch.offset
        for step in self.steps:
            step()
        return [np.array(self._array(end)) for end in self.ends]

    # Putting it together

    def _steps(self) -> list[Callable[[], Any]]:
        """What is done one after the other: segments, and stages that NumPy does."""
        segments: list[list[Command]] = []
        order: list[int | Stage] = []
        for number, stage in enumerate(self.schedule.stages):
            commands = self._commands(number, stage)
            if commands is None:
                order.append(stage)
                continue
            if not order or isinstance(order[-1], Stage):
                order.append(len(segments))
                segments.append([])
            segments[-1] += commands
        if not segments:
            return [self._python(x) for x in order if isinstance(x, Stage)]
        bodies = [_segment(n, commands) for n, commands in enumerate(segments)]
        text = "\n".join([*sorted(self.declared), *self.texts.values(), *bodies])
        module = load(text, self.target)
        return [
            self._python(x) if isinstance(x, Stage) else self._native(module, x, segments[x])
            for x in order
        ]

    def _native(self, module: Any, number: int, commands: list[Command]) -> Callable[[], Any]:
        function = module.function(f"segment{number}", ctypes.c_void_p)
        tables = np.array([address(command.table) for command in commands], np.uint64)
        self.alive += [tables, commands]
        place = ctypes.c_void_p(address(tables))
        return lambda: function(place)

    def _commands(self, number: int, stage: Stage) -> list[Command] | None:
        if stage.kind == NEST and _is_native(stage):
            return [self._nest(number, stage)]
        if stage.kind == PRODUCT:
            return self._product(stage.values[0])
        return None

    def _nest(self, number: int, stage: Stage) -> Command:
        name = f"nest{number}"
        made = emit(name, stage, self.schedule.buffered, self.target.width)
        self.texts[name] = made.text
        self.declared |= made.declared
        scratch = [np.empty(count, dtype) for count, dtype in made.scratch]
        self.alive += scratch
        table = self._table([(value, 0) for value in made.buffers], map(address, scratch))
        return Command(f"call void @{name}(ptr %table)", table)

    def _product(self, value: Value) -> list[Command] | None:
        """The calls of the kernel; None where there is no way without padded copies."""
        if choice_of(value, self.target) is None or _work(value) >= SHARED:
            return None
        dtype = value.dtype.name
        given = [layout(x) for x in (*value.operands, value)]
        lanes, rows = self.target.lanes(dtype), self.target.rows
        batches: list[tuple[Any, Batch, int]] = []
        for part in value.params["parts"]:
            choice = choose(part, given, lanes, rows)
            if choice is None or choice.order is not None or choice.out is not None:
                return None
            planner = Planner(part, choice, choice.layouts(part, given), self.target, dtype)
            batch = planner.whole()
            if not isinstance(batch, Batch):
                return None
            batches.append((choice, batch, planner.depth))
        whole = not any(batch.zeros for _, batch, _ in batches)
        commands = [] if whole and _covers(value) else [self._fill(value)]
        return commands + [self._batch(value, *batch) for batch in batches if len(batch[1].entries)]

    def _batch(self, value: Value, choice: Any, batch: Batch, depth: int) -> Command:
        suffix = f".{value.dtype.name}.{depth}"
        if suffix not in self.texts:
            declared, text = product_functions(self.target, value.dtype.name, depth, suffix)
            self.texts[suffix] = text
            self.declared.update(declared)
        left, right = (locate(x) for x in value.operands)
        a, b = (right, left) if choice.swapped else (left, right)
        self.alive.append(batch)
        size = value.dtype.itemsize
        table = self._table(
            [(a.base, a.offset * size), (b.base, b.offset * size), (value, 0)],
            [address(batch.entries), len(batch.entries)],
        )
        return Command(
            "\n".join(
                [
                    *_words("ptr", "a", "b", "c", "entries"),
                    "  %at.count = getelementptr i64, ptr %table, i64 4",
                    "  %count = load i64, ptr %at.count",
                    f"  call void @batch{suffix}(ptr %a, ptr %b, ptr %c, ptr %entries, i64 %count)",
                ]
            ),
            table,
        )

    def _fill(self, value: Value) -> Command:
        """Zeros in all of a buffer."""
        bytes_ = value.size * value.dtype.itemsize
        lines = [
            *_words("ptr", "c"),
            f"  call void @llvm.memset.p0.i64(ptr %c, i8 0, i64 {bytes_}, i1 false)",
        ]
        return Command("\n".join(lines), self._table([(value, 0)], []))

    def _table(self, pointers: list[tuple[Value, int]], numbers: Any) -> Array:
        """Addresses of values, with an offset in bytes, then numbers."""
        found = [0 if v.kind == "input" else address(self._array(v)) + n for v, n in pointers]
        table = np.array([*found, *numbers], np.uint64)
        for place, (value, offset) in enumerate(pointers):
            if value.kind == "input":
                self.patches.append(Patch(table, place, value.params["number"], offset))
        return table

    # What NumPy does

    def _python(self, stage: Stage) -> Callable[[], Any]:
        return lambda: self._stage(stage)

    def _stage(self, stage: Stage) -> None:
        if stage.kind == CALL:
            self._call(stage)
            return
        for value in stage.values:
            operands = [self._array(x) for x in value.operands]
            if stage.kind == PRODUCT:
                self._execute(value, *operands)
            else:
                self._keep(value, _evaluated(value, operands))

    def _execute(self, value: Value, left: Array, right: Array) -> None:
        """A contraction by the eager way, which shares it among threads."""
        out = self.buffers[value]
        if not _covers(value):
            out[...] = 0
        for part in value.params["parts"]:
            execute(part, left, right, out)

    def _call(self, stage: Stage) -> None:
        first = stage.values[0]
        operands = [self._array(x) for x in first.operands]
        made = first.params["primitive"].evaluate(operands, first.params["params"])
        for value in stage.values:
            self._keep(value, made[value.params["number"]] if isinstance(made, tuple) else made)

    def _keep(self, value: Value, made: Any) -> None:
        buffer = self.buffers.get(value)
        if buffer is None:
            buffer = self.buffers[value] = np.empty(value.shape, value.dtype)
        buffer[...] = np.asarray(made).reshape(value.shape)

    def _array(self, x: Value) -> Array:
        """A value as an array, views of buffers as such."""
        if x.kind == "input":
            return self.inputs[x.params["number"]]
        if x.kind == "constant":
            if x not in self.constants:
                self.constants[x] = np.array(x.params["array"], order="C")
            return self.constants[x]
        if x in self.buffers:
            return self.buffers[x]
        found = locate(x)
        base = self._array(found.base).reshape(-1)
        if not prod(x.shape):
            return np.empty(x.shape, x.dtype)
        strides = [n * x.dtype.itemsize for n in found.strides]
        return as_strided(base[found.offset :], x.shape, strides)


def _segment(number: int, commands: list[Command]) -> str:
    """The function that runs commands one after the other, each a block of its own."""
    lines = [f"define void @segment{number}(ptr %tables) {{", "entry:"]
    functions = []
    for n, command in enumerate(commands):
        name = f"command{number}.{n}"
        functions.append(
            f"define internal void @{name}(ptr %table) {{\nentry:\n{command.text}\n  ret void\n}}"
        )
        lines += [
            f"  %at{n} = getelementptr ptr, ptr %tables, i64 {n}",
            f"  %table{n} = load ptr, ptr %at{n}",
            f"  call void @{name}(ptr %table{n})",
        ]
    return "\n".join([*functions, *lines, "  ret void", "}"])


def _words(kind: str, *names: str) -> list[str]:
    """The first words of a table, under these names."""
    lines = []
    for n, name in enumerate(names):
        lines.append(f"  %at.{name} = getelementptr i64, ptr %table, i64 {n}")
        lines.append(f"  %{name} = load {kind}, ptr %at.{name}")
    return lines


def _work(value: Value) -> int:
    return sum(part.multiply_adds() for part in value.params["parts"])


def _covers(value: Value) -> bool:
    """Whether the only part of a contraction writes to every element."""
    part, *others = value.params["parts"]
    return not others and all(
        sum(abs(c) * (part.extent(n) - 1) for n, c in axis.terms) + 1 == axis.extent
        and min((abs(c) for _, c in axis.terms), default=1) == 1
        for axis in part.output
    )


def _is_native(stage: Stage) -> bool:
    """Whether all of a nest can be emitted."""
    return all(can_emit(value) for value in stage.values)


def _evaluated(value: Value, operands: Sequence[Array]) -> Array:
    """A value of arrays on NumPy."""
    given = [Value("input", x.shape, x.dtype, params={"number": n}) for n, x in enumerate(operands)]
    alone = Value(value.kind, value.shape, value.dtype, tuple(given), value.params)
    return np.asarray(evaluate([alone], operands)[0])
