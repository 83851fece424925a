"""What one pass of the innermost loop of a nest does, in LLVM's language."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from limpid.compiler.emission.accesses import Access, Apart
from limpid.compiler.emission.arrays import Arrays, Key
from limpid.compiler.emission.axes import Axis
from limpid.compiler.emission.casts import cast, select, view
from limpid.compiler.emission.code import Code
from limpid.compiler.emission.histograms import Table
from limpid.compiler.emission.reductions import PLACE, Fold, Running, State, applied
from limpid.compiler.program.puts import FILLED, fill_of, is_at_indices
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import core
from limpid.compiler.schedule.stages import INDEXED, Stage


class Here(NamedTuple):
    """Where arrays are at a place in the loops, and how far reductions are along their axes."""

    pointers: dict[Key, str]
    counts: dict[Value, str]


@dataclass
class Frame:
    """What all passes of a nest share.

    vector     the axis that is done in vectors
    in_order   whether what is reduced comes in row-major order
    registers  what reductions keep
    slots      their variables, which become registers
    """

    stage: Stage
    arrays: Arrays
    code: Code
    vector: Axis | None
    in_order: bool
    registers: dict[Value, Fold | Running | Table]
    slots: dict[Value, list[str]] = field(default_factory=dict)

    def step(self, key: Key) -> int:
        """The step of an array from lane to lane."""
        return 0 if self.vector is None else self.vector.steps[key]

    def begin(self, value: Value) -> None:
        """Set the registers of a reduction to what they start from."""
        code, kept = self.code, self.registers[value]
        if isinstance(kept, Table):
            self.slots[value] = kept.begin(code)
            return
        self.slots[value] = [code.slot(code.type_of(t)) for t in kept.types]
        pairs = zip(kept.types, kept.starts, strict=True)
        self.keep(value, [code.constant(t, x) for t, x in pairs])

    def state(self, value: Value) -> State:
        """What the registers of a reduction hold."""
        code, types = self.code, self._types(value)
        pairs = zip(types, self.slots[value], strict=True)
        return [code.make(f"load {code.type_of(t)}, ptr {slot}") for t, slot in pairs]

    def keep(self, value: Value, state: State) -> None:
        """Set the registers of a reduction."""
        code, types = self.code, self._types(value)
        for dtype, slot, x in zip(types, self.slots[value], state, strict=True):
            code.add(f"store {code.type_of(dtype)} {x}, ptr {slot}")

    def _types(self, value: Value) -> list[Any]:
        kept = self.registers[value]
        assert not isinstance(kept, Table)
        return kept.types


class Pass:
    """All values of a stage, for the lanes at a place."""

    def __init__(self, frame: Frame, at: Here, mask: str | None):
        self.frame, self.arrays, self.code = frame, frame.arrays, frame.code
        self.at, self.mask = at, mask
        self.found: dict[Value, str] = {}

    def emit(self) -> None:
        """Compute all; then write, since what is written may take the place of what is read."""
        for value in self.frame.stage.values:
            self._compute(value)
        for value in self.arrays.outputs:
            if value.kind != "reduce":
                self._write(value)

    def _compute(self, value: Value) -> None:
        if value.kind in INDEXED:
            self.found[value] = self._indexed(value, self.arrays.keys[value, 0]).load()
        elif value.kind in FILLED:
            if (fill := fill_of(value)) is not None:
                self.found[value] = self.code.constant(value.dtype, fill)
        elif value.kind == "put":
            self.found[value] = self._operand(value, 0)
        else:
            operands = [self._operand(value, n) for n in range(len(value.operands))]
            kept = self.frame.registers.get(value)
            if isinstance(kept, Table):
                kept.count(self.code, self.frame.slots[value], operands[0], self.mask)
            elif isinstance(kept, Fold):
                self._reduce(value, kept, operands[0])
            elif kept is not None:
                self.found[value] = self._run(value, kept, operands)
            else:
                self.found[value] = self._map(value, operands)

    def _write(self, value: Value) -> None:
        x = self.found[value]
        if not is_at_indices(value):
            self._access((value, None), value).store(x)
            return
        place = self._indexed(value, (value, None))
        place.store(applied(self.code, value.params["function"], value.dtype, [place.load(), x]))

    # What is read

    def _access(self, key: Key, x: Value) -> Access:
        step = self.frame.step(key)
        return Access(self.code, self.at.pointers[key], x.dtype, step, "0", self.mask)

    def _operand(self, value: Value, number: int) -> str:
        x = value.operands[number]
        if core(x) in self.found:
            return self.found[core(x)]
        if x.kind == "constant" and x.size == 1:
            return self.code.constant(x.dtype, x.params["array"].reshape(-1)[0])
        return self._access(self.arrays.keys[value, number], x).load()

    def _indexed(self, value: Value, key: Key) -> Access | Apart:
        """The elements of an array at the indices of a value."""
        code, jump, step = self.code, self.arrays.jumps[value], self.frame.step(key)
        index = cast(code, value.operands[1].dtype, PLACE, self._operand(value, 1))
        access = self._access(key, value)
        if self._is_one(value):  # all lanes lie beside one another
            first = code.make(f"extractelement {code.type_of(PLACE)} {index}, i32 0")
            return access.moved(code.make(f"mul i64 {first}, {jump}"))
        far = code.make(f"mul {code.type_of(PLACE)} {index}, {code.constant(PLACE, jump)}")
        return Apart(access, code.make(f"add {code.type_of(PLACE)} {far}, {code.lanes(step)}"))

    def _is_one(self, value: Value) -> bool:
        """Whether all lanes have the same index."""
        index = value.operands[1]
        if self.frame.vector is None:
            return True
        key = self.arrays.keys.get((value, 1))
        return core(index) not in self.found and (key is None or self.frame.step(key) == 0)

    # What is computed

    def _map(self, value: Value, operands: list[str]) -> str:
        function, types = value.params["function"], [x.dtype for x in value.operands]
        if function == "cast":
            return cast(self.code, types[0], value.dtype, operands[0])
        if function == "view":
            return view(self.code, types[0], value.dtype, operands[0])
        if function == "where":
            return select(self.code, value.dtype, *operands)
        return applied(self.code, function, types[-1], operands)

    def _reduce(self, value: Value, kept: Fold, x: str) -> None:
        code = self.code
        state = kept.lifted(code, x, self._place(value))
        if self.mask is not None:
            starts = (code.constant(t, start) for t, start in zip(kept.types, kept.starts))
            triples = zip(kept.types, state, starts, strict=True)
            state = [select(code, t, self.mask, x, start) for t, x, start in triples]
        before, in_order = self.frame.state(value), self.frame.in_order
        self.frame.keep(value, kept.combined(code, before, state, in_order))

    def _run(self, value: Value, kept: Running, operands: list[str]) -> str:
        (before,) = self.frame.state(value)
        vector = self.frame.vector
        along = vector is not None and vector.counts[value] != 0
        place = self.at.counts[value]
        y, last = kept.following(self.code, before, operands, place, along)
        self.frame.keep(value, [last])
        return y

    def _place(self, value: Value) -> str:
        """For each lane how far a reduction is along its axes, if it needs to know."""
        if value not in self.at.counts:
            return ""
        code, vector = self.code, self.frame.vector
        first = code.spread("i64", self.at.counts[value])
        step = 0 if vector is None else vector.counts[value]
        return code.make(f"add {code.type_of(PLACE)} {first}, {code.lanes(step)}")
