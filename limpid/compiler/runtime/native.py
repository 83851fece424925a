"""Programs in native code. Everything is laid out once; then running one is a call, or a few where
NumPy does something in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from limpid.compiler.contraction.providers import run as provide
from limpid.compiler.machine.loading import Loaded, load
from limpid.compiler.machine.target import Target
from limpid.compiler.program.bodies import Bodies, Body
from limpid.compiler.program.layouts import laid_out
from limpid.compiler.program.pruning import pruned
from limpid.compiler.program.sharing import shared
from limpid.compiler.program.values import Value, copied, evaluate, ordered
from limpid.compiler.program.views import GIVEN, VIEWS, with_copies
from limpid.compiler.runtime.assembly import Assembler, Part
from limpid.compiler.runtime.buffers import Buffers
from limpid.compiler.runtime.commands import Command, Functions, commands, is_native
from limpid.compiler.runtime.nesting import body_phases
from limpid.compiler.runtime.program import Program
from limpid.compiler.schedule.bands import Bands
from limpid.compiler.schedule.hazards import too_early
from limpid.compiler.schedule.memory import plan
from limpid.compiler.schedule.splitting import split_sums
from limpid.compiler.schedule.stages import Block, Schedule, Stage, schedule
from limpid.graph.node import Array
from limpid.ops.workers import thread_count

Explain = Callable[[Value, Sequence[Array], Exception], Any]  # raises a better error


class Native(Program):
    """A program in native code.

    homes    numbers of ends, each with the number of the input that it is the new value of: it is
             written to the input's array
    checks   truths, without axes; where one is false the program ends before anything was written
    given    numbers of ends whose arrays can be given away: `renew`
    probes   numbers of ends that are only looked at: the others are computed as without them
    body     that it is, of another program, which has its functions and runs it
    """

    def __init__(
        self,
        ends: Sequence[Value],
        target: Target,
        homes: Mapping[int, int] | None = None,
        checks: Sequence[Value] = (),
        explain: Explain | None = None,
        given: Sequence[int] = (),
        probes: Collection[int] = (),
        body: Body | None = None,
    ):
        self.target, self.body = target, body
        self._explain = explain
        self._probes = frozenset(probes)
        self._native: dict[Value, bool] = {}
        self._inner: dict[Bodies, tuple[Native, ...] | None] = {}
        self._lower(ends, homes or {}, checks)
        self.nested: dict[Stage, tuple[Native, ...]] = dict(self._nested_stages())
        self._given = [self.ends[n] for n in given]
        self.noted_numbers = sorted(self._probes.difference(given))
        if body is None:
            functions = Functions(target)
            self.write(functions, thread_count() if self.is_shared else 1)
            self.assemble(load(functions.module(), target))

    # What is run

    def run(self, inputs: Sequence[Any]) -> list[Array]:
        """The outputs for these inputs, which are not written to."""
        for number, x in enumerate(inputs):
            written = number in self.homes.values()
            self.buffers.set_input(number, np.array(x, order="C", copy=written or None))
        self.execute()
        return [self.output(n) for n in range(len(self.ends))]

    def execute(self) -> bool:
        """Compute all ends; False if a check failed."""
        made: dict[Value, Any] = {}  # what calls gave, which may be more than its numbers
        for part in self.parts:
            if isinstance(part, Part):
                if not part.run():
                    return False
            else:
                self.call(part, made)
        return True

    # What it consists of

    def programs(self) -> Iterator[Native]:
        """Itself and all those within it."""
        yield self
        for natives in self.nested.values():
            for native in natives:
                yield from native.programs()

    def schedules(self) -> list[Schedule]:
        """The schedules of all programs."""
        return [native.schedule for native in self.programs()]

    def all_groups(self) -> list[tuple[Block, list[Command], Array]]:
        """The groups of all programs: their commands and records."""
        return [group for native in self.programs() for group in native.groups]

    # How it is made

    def _lower(
        self, ends: Sequence[Value], homes: Mapping[int, int], checks: Sequence[Value]
    ) -> None:
        """Find the schedule. New values that would be written too early are copied at the end."""
        count = len(ends)
        lowered = self._lowered([*ends, *checks], range(count) if self.body else homes)
        lowered = _distinct(lowered)
        self.ends, self.checks = lowered[:count], lowered[count:]
        inputs = {v.params["number"]: v for v in _leaves(lowered)}
        late: list[Value] = []
        while True:
            apart = self._apart(lowered)
            lasting = self._once(lowered)
            self.schedule = schedule(lowered, self._is_native, late, self.checks, apart, lasting)
            self.homes = {self.ends[n]: number for n, number in homes.items()}
            writes = {new: inputs[n] for new, n in self.homes.items() if n in inputs}
            unread = [new for new, n in self.homes.items() if n not in inputs]
            early = too_early(self.schedule, writes, self._last_risk())
            early += [new for new in unread if self._phase(new) <= self._last_risk()]
            early = [new for new in early if new not in late]
            if not early:
                return
            for new in early:
                self.ends[self.ends.index(new)] = again = copied(new)
                late.append(again)
            lowered = [*self.ends, *self.checks]

    def _lowered(self, ends: Sequence[Value], homes: Collection[int]) -> list[Value]:
        """Operands as the kernel wants them, long sums in two steps."""
        made = with_copies(shared(pruned(ends)))
        cut = Bands(ordered(made), self._apart(made)).chunks
        fixed = [made[n] for n in homes]
        steady, libraries = self._steady(made), self.body is None
        made = with_copies(laid_out(made, self.target, cut, fixed, steady, libraries))
        return split_sums(made, self._is_native, self._apart)

    def _apart(self, ends: Sequence[Value]) -> set[Value]:
        """What only probes need."""
        if not self._probes:
            return set()
        others = [end for n, end in enumerate(ends) if n not in self._probes]
        return set(ordered(ends)) - set(ordered(others))

    def _steady(self, ends: Sequence[Value]) -> dict[Value, None]:
        """What is the same in all runs of a loop's body, in order."""
        if self.body is None or self.body.length is None:
            return {}
        changing: set[Value] = set()
        for value in (values := ordered(ends)):
            moves = value.kind == "input" and value.params["number"] >= self.body.closed
            if moves or not changing.isdisjoint(value.operands):
                changing.add(value)
        return {value: None for value in values if value not in changing}

    def _once(self, ends: Sequence[Value]) -> list[Value]:
        """What only the first run of a loop's body computes."""
        found, others = self._steady(ends), set(ends)
        return [v for v in found if v not in others and v.kind not in (*GIVEN, *VIEWS)]

    def _is_native(self, value: Value) -> bool:
        if value.kind == "nested":
            return self._of_bodies(value.params["bodies"]) is not None
        if value not in self._native:
            self._native[value] = is_native(value, self.target)
        return self._native[value]

    def _of_bodies(self, bodies: Bodies) -> tuple[Native, ...] | None:
        """The programs of bodies; None if NumPy has to do something in them."""
        if bodies not in self._inner:
            made = tuple(_within(body, self.target) for body in bodies.bodies)
            calls = any(block.is_call for n in made for p in n.schedule.phases for block in p)
            self._inner[bodies] = None if calls else made
        return self._inner[bodies]

    def _nested_stages(self) -> Iterator[tuple[Stage, tuple[Native, ...]]]:
        for phase in self.schedule.phases:
            for block in phase:
                if block.is_nested:
                    (stage,) = block.stages
                    inner = self._of_bodies(stage.values[0].params["bodies"])
                    assert inner is not None
                    stage.bodies = tuple(native.schedule for native in inner)
                    yield stage, inner

    def _phase(self, value: Value) -> int:
        block = self.schedule.place[value]
        return next(n for n, phase in enumerate(self.schedule.phases) if block in phase)

    def _last_risk(self) -> int:
        """The last phase in which something can go wrong."""
        calls = [n for n, p in enumerate(self.schedule.phases) if any(map(_can_fail, p))]
        return max([-1, *calls, *map(self._phase, self.checks)])

    @property
    def is_shared(self) -> bool:
        """Whether several threads can work at once."""
        inner = (native for natives in self.nested.values() for native in natives)
        own = any(tasks(phase) > 1 for phase in self.schedule.phases)
        return own or any(native.is_shared for native in inner)

    def write(self, functions: Functions, workers: int) -> None:
        """Write the functions that this needs, and find places for its arrays."""
        kept = [*self.ends, *self.checks]
        self.functions, self.memory = functions, plan(self.schedule, kept)
        noted = [self.ends[n] for n in self.noted_numbers]
        self.buffers = Buffers(self.memory, kept, self.homes, self._given, noted, workers)
        self.check = functions.check() if self.checks else ""
        self.commands = {
            block: commands(block, self.schedule.buffered, functions, self.target)
            for phase in self.schedule.phases
            for block in phase
            if is_of_commands(block)
        }
        for natives in self.nested.values():
            for native in natives:
                native.write(functions, workers)

    def assemble(self, module: Loaded) -> None:
        """Make the tables that lead to the native functions."""
        for natives in self.nested.values():
            for native in natives:
                native.assemble(module)
        self.parts: list[Part | Stage] = self._assembled(module)

    def _assembled(self, module: Loaded) -> list[Part | Stage]:
        self.module = module
        self.assembler = assembler = Assembler(self.buffers, module, self.schedule.place)
        self.groups = assembler.groups
        last = max(map(self._phase, self.checks), default=-1)
        once = self.schedule.once
        self.once = 0  # how many of the interpreter's phases only the first run does
        parts: list[Part | Stage] = []
        phases: list[Array] = []
        tables: list[Array] = []  # of checks that the present part makes
        for number, phase in enumerate(self.schedule.phases):
            if blocks := list(filter(is_of_commands, phase)):
                phases.append(assembler.phase(blocks, self.commands))
            for block in phase:
                if block.is_nested:
                    (stage,) = block.stages
                    phases += body_phases(stage, self.nested[stage], assembler)
            self.once = len(phases) if number < once else self.once
            calls = [block.stages[0] for block in phase if block.is_call]
            if calls:
                _close(parts, phases, tables, assembler)
                parts += calls
            if number == last:
                record, tables = assembler.checks(self.checks, self.check)
                phases.append(record)
        _close(parts, phases, tables, assembler)
        return parts

    # What NumPy does

    def call(self, stage: Stage, made: dict[Value, Any]) -> None:
        """Let NumPy compute a stage; `made` has what calls before it gave."""
        head = stage.values[0]
        operands = [made[x] if x in made else self.buffers.array(x) for x in head.operands]
        try:
            results = _made(head, operands)
        except Exception as error:
            if self._explain is not None:
                self._explain(head, operands, error)
            raise
        for value in stage.values:
            made[value] = results[value.params["number"]] if isinstance(results, tuple) else results
            if value in self.schedule.buffered:
                self.buffers.array(value)[...] = np.asarray(made[value]).reshape(value.shape)


def _close(
    parts: list[Part | Stage], phases: list[Array], tables: list[Array], assembler: Assembler
) -> None:
    """The native work up to here is one call."""
    if phases:
        records = np.concatenate(phases).reshape(-1, 4)
        part = Part(records, assembler.buffers.workers > 1, assembler.alive)
        for table in tables:
            part.set_stop(table)
        parts.append(part)
        phases.clear()
        tables.clear()


def _can_fail(block: Block) -> bool:
    """Whether NumPy computes something that it may refuse; libraries multiply what they get."""
    return block.is_call and "provider" not in block.stages[0].values[0].params


def _made(head: Value, operands: Sequence[Array]) -> Any:
    if head.kind == "call":
        return head.params["primitive"].evaluate(operands, head.params["params"])
    if "provider" in head.params:
        (part,), made = head.params["parts"], np.empty(head.shape, head.dtype)
        provide(head.params["provider"], part, operands, made)
        return made
    given = [Value("input", x.shape, x.dtype, params={"number": n}) for n, x in enumerate(operands)]
    return evaluate(
        [Value(head.kind, head.shape, head.dtype, tuple(given), head.params)], operands
    )[0]


def _distinct(ends: Sequence[Value]) -> list[Value]:
    """The same ends; copies of those that come again."""
    seen: set[Value] = set()
    made = []
    for end in ends:
        made.append(copied(end) if end in seen else end)
        seen.add(end)
    return made


def _leaves(ends: Sequence[Value]) -> list[Value]:
    return [value for value in ordered(ends) if value.kind == "input"]


def tasks(phase: Sequence[Block]) -> int:
    """How many parts of a phase threads can share."""
    return sum(
        block.band.slots if block.band is not None else 1 for block in filter(is_of_commands, phase)
    )


def is_of_commands(block: Block) -> bool:
    """Whether a block is commands: no work of NumPy, no program within the program."""
    return not block.is_call and not block.is_nested


def _within(body: Body, target: Target) -> Native:
    """The program of a body: what it carries is written in place."""
    homes = {n: body.closed + n for n in range(body.carried)}
    given = range(body.carried, len(body.ends))
    return Native(body.ends, target, homes, given=given, body=body)
