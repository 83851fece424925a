"""The code of one nest of loops: maps that feed one another, and reductions of what they make.

    nest(buffers)    a table of pointers, in the order of `Nest.buffers`

Axes that follow on from one another in every array are one loop; the innermost is done in vectors,
its rest under a mask. Sums are kept in double precision. A reduction along the innermost loop
stays in a register while that runs; others add to memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.emission.accesses import Access, Loop
from limpid.compiler.emission.functions import (
    Code,
    apply,
    cast,
    known,
    literal,
    memory_type,
    select,
)
from limpid.compiler.program.values import Shape, Value
from limpid.compiler.program.views import locate, packed
from limpid.compiler.schedule.stages import Stage

BOOL = np.dtype(bool)
WIDE = {"add", "multiply"}  # reductions that keep floats in double precision
FIRST: dict[str, Any] = {"add": 0, "multiply": 1, "logical_and": True, "logical_or": False}


@dataclass(frozen=True)
class Nest:
    """The text of a nest, and the values whose buffers it is called with."""

    text: str
    declared: frozenset[str]
    buffers: tuple[Value, ...]
    scratch: tuple[tuple[int, np.dtype[Any]], ...]  # further buffers: elements and their type


class Reading(NamedTuple):
    """An array in the loops: where it begins and the step of each loop, in elements."""

    value: Value
    offset: int
    steps: tuple[int, ...]


def can_emit(value: Value) -> bool:
    """Whether there is code for a map or a reduction."""
    if value.kind == "map":
        function = value.params["function"]
        types = [x.dtype for x in value.operands]
        return all(t.name in _NAMES for t in (*types, value.dtype)) and known(function, types[-1])
    function = value.params["function"]
    return value.dtype.name in _NAMES and known(function, value.dtype)


_NAMES = ("float32", "float64", "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32",
          "int64", "uint64")  # fmt: skip


def emit(name: str, stage: Stage, buffered: frozenset[Value], width: int) -> Nest:
    """The function `name` that computes a stage; `width` bytes are in a vector."""
    return _Emitter(name, stage, buffered, width).nest()


Key = tuple[Value, tuple[int, ...] | None]  # what is read and how; None for what is written


class _Emitter:
    def __init__(
        self,
        name: str,
        stage: Stage,
        buffered: frozenset[Value],
        width: int,
    ):
        self.name, self.stage = name, stage
        self.inside = {v for v in stage.values if v.kind == "map"}
        self.domain = stage.domain
        self.outputs = [v for v in stage.values if v in buffered]
        self.reductions = [v for v in stage.values if v.kind == "reduce"]
        self.readings: dict[Key, Reading] = {}
        self.keys: dict[tuple[Value, int], Key] = {}  # which array an operand of a value is
        self._find_readings()
        self.extents = self._collapse()
        largest = max(v.dtype.itemsize for v in stage.values)
        self.code = Code(max(1, width // max(4, largest)))
        self.buffers: list[Value] = []
        self.scratch: list[tuple[int, np.dtype[Any]]] = []
        self.pointers: dict[Any, str] = {}

    # What is read, and which loops there are

    def _find_readings(self) -> None:
        for value in self.stage.values:
            full = value.operands[0].shape if value.kind == "reduce" else value.shape
            for number, x in enumerate(value.operands):
                if x not in self.inside and (x.kind != "constant" or x.size != 1):
                    self.keys[value, number] = self._read(x, full)
        for value in self.outputs:
            if value.kind == "reduce":
                steps = _reduced_steps(value)
            else:
                steps = _aligned(value.shape, packed(value.shape), value.shape)
            self.readings[value, None] = Reading(value, 0, steps)

    def _read(self, x: Value, full: Shape) -> Key:
        found = locate(x)
        steps = _aligned(x.shape, found.strides, full)
        self.readings[x, steps] = Reading(found.base, found.offset, steps)
        return x, steps

    def _collapse(self) -> list[int]:
        """Loops of which one goes on where the next ends, in all arrays, become one."""
        loops: list[tuple[int, list[int]]] = []
        readings = list(self.readings.values())
        for axis, extent in enumerate(self.domain):
            if extent == 1:
                continue
            steps = [r.steps[axis] for r in readings]
            if loops and loops[-1][1] == [extent * s for s in steps]:
                loops[-1] = (loops[-1][0] * extent, steps)
            else:
                loops.append((extent, steps))
        loops = loops or [(1, [0] * len(readings))]
        for n, (key, reading) in enumerate(list(self.readings.items())):
            self.readings[key] = reading._replace(steps=tuple(steps[n] for _, steps in loops))
        return [extent for extent, _ in loops]

    # The function

    def nest(self) -> Nest:
        """Its text."""
        code = self.code
        for key in self.readings:
            self._pointer(key)
        totals = {v: self._scratch(v) for v in self.reductions}
        made = {v: total for v, total in totals.items() if v.size}
        for v, (pointer, kind) in made.items():
            self._fill(pointer, kind, v)
        if 0 not in self.domain:
            self._loops(totals)
        for v, (pointer, kind) in made.items():
            self._finish(v, pointer, kind)
        code.add("ret void")
        text = "\n".join([f"define void @{self.name}(ptr %buffers) {{", "entry:", *code.lines, "}"])
        return Nest(text, frozenset(code.declared), tuple(self.buffers), tuple(self.scratch))

    def _pointer(self, key: Key) -> None:
        """The pointer to where an array begins."""
        reading = self.readings[key]
        base = self._slot(len(self.buffers))
        self.buffers.append(reading.value)
        kind = memory_type(reading.value.dtype)
        self.pointers[key] = self.code.make(
            f"getelementptr {kind}, ptr {base}, i64 {reading.offset}"
        )

    def _slot(self, number: int) -> str:
        place = self.code.make(f"getelementptr ptr, ptr %buffers, i64 {number}")
        return self.code.make(f"load ptr, ptr {place}")

    def _scratch(self, value: Value) -> tuple[str, np.dtype[Any]]:
        """Memory for a reduction so far, and the type of its elements."""
        function = value.params["function"]
        wide = function in WIDE and value.dtype.kind == "f"
        kind = np.dtype(np.float64) if wide else value.dtype
        pointer = self._slot(len(self.readings) + len(self.scratch))
        self.scratch.append((value.size, kind))
        return pointer, kind

    def _fill(self, pointer: str, kind: np.dtype[Any], value: Value) -> None:
        """The start of a reduction in all its elements."""
        first = literal(kind, _first(value.params["function"], kind))
        with Loop(self.code, value.size) as i:
            scalar = memory_type(kind)
            place = self.code.make(f"getelementptr {scalar}, ptr {pointer}, i64 {i}")
            stored = ("1" if first == "true" else "0") if kind.kind == "b" else first
            self.code.add(f"store {scalar} {stored}, ptr {place}")

    def _finish(self, value: Value, pointer: str, kind: np.dtype[Any]) -> None:
        """A reduction brought to its own type."""
        code = self.code
        given, wanted = memory_type(kind), memory_type(value.dtype)
        with Loop(code, value.size) as i:
            place = code.make(f"getelementptr {given}, ptr {pointer}, i64 {i}")
            x = code.make(f"load {given}, ptr {place}")
            if given != wanted:
                x = code.make(f"fptrunc {given} {x} to {wanted}")
            to = code.make(f"getelementptr {wanted}, ptr {self.pointers[value, None]}, i64 {i}")
            code.add(f"store {wanted} {x}, ptr {to}")

    def _loops(self, totals: dict[Value, tuple[str, np.dtype[Any]]]) -> None:
        code, last = self.code, self.extents[-1]
        loops = [Loop(code, extent) for extent in self.extents[:-1]]
        counters = [loop.__enter__() for loop in loops]
        at = {key: self._at(key, self.pointers[key], counters) for key in self.readings}
        sums = {
            v: self._at((v, None), pointer, counters, kind) for v, (pointer, kind) in totals.items()
        }
        kinds = {v: kind for v, (_, kind) in totals.items()}
        running = {v: self._running(v, kinds[v]) for v in totals if self._is_inner(v)}
        body = _Body(self, at, sums, kinds, running)
        if last >= code.width:
            with Loop(code, last // code.width) as block:
                start = code.make(f"mul i64 {block}, {code.width}")
                body.emit(start, None)
        if rest := last % code.width:
            lanes = ", ".join(f"i1 {'true' if n < rest else 'false'}" for n in range(code.width))
            body.emit(str(last - rest), f"<{lanes}>")
        for v, place in running.items():
            self._combine(v, sums[v], kinds[v], place)
        for loop in reversed(loops):
            loop.__exit__(None, None, None)

    def _is_inner(self, value: Value) -> bool:
        return self.readings[value, None].steps[-1] == 0

    def _at(
        self, key: Key, pointer: str, counters: list[str], kind: np.dtype[Any] | None = None
    ) -> str:
        """Where an array is for these outer loops."""
        code, reading = self.code, self.readings[key]
        scalar = memory_type(kind or reading.value.dtype)
        for counter, step in zip(counters, reading.steps):
            if step:
                far = code.make(f"mul i64 {counter}, {step}")
                pointer = code.make(f"getelementptr {scalar}, ptr {pointer}, i64 {far}")
        return pointer

    def _running(self, value: Value, kind: np.dtype[Any]) -> str:
        """A register, in the end, for a reduction along the innermost loop."""
        code = self.code
        place = code.make(f"alloca {code.type_of(kind)}")
        start = code.constant(kind, _first(value.params["function"], kind))
        code.add(f"store {code.type_of(kind)} {start}, ptr {place}")
        return place

    def _combine(self, value: Value, pointer: str, kind: np.dtype[Any], place: str) -> None:
        """All lanes of a register into the element that they belong to."""
        code, vector = self.code, self.code.type_of(kind)
        x = code.make(f"load {vector}, ptr {place}")
        half = code.width // 2
        while half:  # the upper half onto the lower one, and so on
            moved = ", ".join(f"i32 {n + half if n < half else n}" for n in range(code.width))
            upper = code.make(
                f"shufflevector {vector} {x}, {vector} poison, {code.vector('i32')} <{moved}>"
            )
            x = _applied(code, value.params["function"], kind, [x, upper])
            half //= 2
        scalar, stored = _scalar(kind), memory_type(kind)
        old = code.make(f"load {stored}, ptr {pointer}")
        if stored != scalar:
            old = code.make(f"icmp ne {stored} {old}, 0")
        before = code.make(f"insertelement {vector} poison, {scalar} {old}, i32 0")
        x = _applied(code, value.params["function"], kind, [before, x])
        new = code.make(f"extractelement {vector} {x}, i32 0")
        if stored != scalar:
            new = code.make(f"zext {scalar} {new} to {stored}")
        code.add(f"store {stored} {new}, ptr {pointer}")


class _Body:
    """What one pass of the innermost loop does."""

    def __init__(self, emitter: _Emitter, at: Any, sums: Any, kinds: Any, running: Any):
        self.emitter, self.code = emitter, emitter.code
        self.at, self.sums, self.kinds, self.running = at, sums, kinds, running

    def emit(self, start: str, mask: str | None) -> None:
        """The pass that begins at an element; under a mask if it is the last, incomplete one."""
        found: dict[Value, str] = {}
        for value in self.emitter.stage.values:
            operands = [
                self._operand(value, n, found, start, mask) for n in range(len(value.operands))
            ]
            if value.kind == "reduce":
                self._reduce(value, operands[0], start, mask)
                continue
            found[value] = self._map(value, operands)
            if value in self.emitter.outputs:
                access = Access(self.code, self.at[value, None], value.dtype, 1, start, mask)
                access.store(found[value])

    def _operand(
        self, value: Value, number: int, found: dict[Value, str], start: str, mask: str | None
    ) -> str:
        x = value.operands[number]
        if x in found:
            return found[x]
        if x.kind == "constant" and x.size == 1:
            return self.code.constant(x.dtype, x.params["array"].reshape(-1)[0])
        key = self.emitter.keys[value, number]
        step = self.emitter.readings[key].steps[-1]
        return Access(self.code, self.at[key], x.dtype, step, start, mask).load()

    def _map(self, value: Value, operands: list[str]) -> str:
        function, types = value.params["function"], [x.dtype for x in value.operands]
        if function == "cast":
            return cast(self.code, types[0], value.dtype, operands[0])
        if function == "where":
            return select(self.code, value.dtype, *operands)
        return _applied(self.code, function, types[-1], operands)

    def _reduce(self, value: Value, x: str, start: str, mask: str | None) -> None:
        code, kind, function = self.code, self.kinds[value], value.params["function"]
        x = cast(code, value.operands[0].dtype, kind, x)
        if value not in self.running:
            step = self.emitter.readings[value, None].steps[-1]
            access = Access(code, self.sums[value], kind, step, start, mask)
            access.store(_applied(code, function, kind, [access.load(), x]))
            return
        if mask is not None:
            x = select(code, kind, mask, x, code.constant(kind, _first(function, kind)))
        vector = code.type_of(kind)
        before = code.make(f"load {vector}, ptr {self.running[value]}")
        after = _applied(code, function, kind, [before, x])
        code.add(f"store {vector} {after}, ptr {self.running[value]}")


def _applied(code: Code, function: str, dtype: np.dtype[Any], operands: list[str]) -> str:
    made = apply(code, function, dtype, operands)
    assert made is not None, f"{function} of {dtype}"
    return made


def _scalar(dtype: np.dtype[Any]) -> str:
    return "i1" if dtype.kind == "b" else memory_type(dtype)


def _first(function: str, dtype: np.dtype[Any]) -> Any:
    """What a reduction of nothing is."""
    if function in FIRST:
        return FIRST[function]
    if dtype.kind == "b":
        return function == "minimum"
    least = dtype.kind == "f"
    if function == "maximum":
        return -np.inf if least else np.iinfo(dtype).min
    return np.inf if least else np.iinfo(dtype).max


def _aligned(shape: Shape, strides: tuple[int, ...], full: Shape) -> tuple[int, ...]:
    """The steps of an array along the axes of what it broadcasts to, those of extent 1 left out."""
    missing = len(full) - len(shape)
    own = [0 if n == 1 else s for n, s in zip(shape, strides, strict=True)]
    return tuple(s for n, s in zip(full, [0] * missing + own, strict=True) if n != 1)


def _reduced_steps(value: Value) -> tuple[int, ...]:
    """The steps of a reduction along the axes of what it reads."""
    shape = value.operands[0].shape
    strides = iter(packed(value.shape))
    steps = [0 if axis in value.params["axes"] else next(strides) for axis in range(len(shape))]
    return tuple(s for n, s in zip(shape, steps, strict=True) if n != 1)
