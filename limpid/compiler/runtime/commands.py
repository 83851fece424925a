"""The commands of a block: for each stage the functions that run, and what they are called with."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.contraction.contract import Batch, Planner
from limpid.compiler.contraction.dots import dot_functions
from limpid.compiler.contraction.lanes import Choice
from limpid.compiler.contraction.product import product_functions
from limpid.compiler.emission.commands import CHECK, CONTRACT, FILL, contract_command, store_command
from limpid.compiler.emission.nests import NAME, can_emit, emit
from limpid.compiler.emission.reductions import first
from limpid.compiler.emission.transposition import transposition
from limpid.compiler.machine.loading import address
from limpid.compiler.machine.target import Target
from limpid.compiler.program.layouts import choice_along, layout
from limpid.compiler.program.links import index_along
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import base, locate, packed
from limpid.compiler.schedule.likeness import Likeness
from limpid.compiler.schedule.stages import NEST, Block, Stage
from limpid.ops.windows.contraction import Contraction
from limpid.ops.windows.region import Layout

COMPARED = 32  # values up to which stages are looked at for likeness: long ones are seldom alike
PLANS = 1024  # of contractions that are kept


class Operand(NamedTuple):
    """A place in a table: where an array begins.

    advance  bytes from one item of the band to the next, as far as the array is whole
    """

    value: Value
    offset: int
    advance: int


@dataclass(eq=False)
class Command:
    """A native function by name, and its table: operands first, then numbers."""

    function: str
    operands: list[Operand]
    numbers: list[int] = field(default_factory=list)
    alive: list[Any] = field(default_factory=list)  # what numbers point to
    begins: bool = False  # whether it runs only at the beginning of a slot
    stage: Stage | None = None  # that it belongs to
    pointers: Sequence[int] = ()  # which numbers are addresses


class Loops(NamedTuple):
    """The function of a nest, the values whose buffers it is called with, and their advances."""

    name: str
    buffers: tuple[Value, ...]
    advances: tuple[int, ...]


class Functions:
    """The native functions of a program; those with the same text are one."""

    def __init__(self, target: Target):
        self.target = target
        self.declared: set[str] = set()
        self.texts: dict[str, str] = {}  # by name
        self._names: dict[str, str] = {}  # of nests, by text
        self._loops: dict[Hashable, tuple[str, list[int], tuple[int, ...]] | None] = {}

    def loops(self, stage: Stage, buffered: frozenset[Value]) -> Loops | None:
        """The function that computes a stage; None if there is nothing to do.

        Stages that are alike are written once.
        """
        if len(stage.values) > COMPARED:
            return self._written(stage, buffered)
        likeness = Likeness(stage, buffered)
        if likeness.key is None:
            return self._written(stage, buffered)
        if likeness.key not in self._loops:
            made = self._written(stage, buffered)
            self._loops[likeness.key] = made and (
                made.name,
                likeness.numbers(made.buffers),
                made.advances,
            )
            return made
        found = self._loops[likeness.key]
        if found is None:
            return None
        name, numbers, advances = found
        return Loops(name, tuple([likeness.values[n] for n in numbers]), advances)

    def _written(self, stage: Stage, buffered: frozenset[Value]) -> Loops | None:
        width = self.target.width
        found = transposition(stage, width) or emit(stage, buffered, width)
        if found is None:
            return None
        name = self.nest(found.text, found.declared)
        return Loops(name, found.buffers, found.advances)

    def nest(self, text: str, declared: frozenset[str]) -> str:
        """The name of a nest."""
        self.declared |= declared
        name = self._names.get(text)
        if name is None:
            name = self._names[text] = f"nest{len(self._names)}"
            self.texts[name] = text.replace(NAME, f"@{name}")
        return name

    def contract(self, dtype: str, depth: int, sums: bool) -> str:
        """The name of the command for contractions whose sums are so deep.

        sums  whether lanes are terms of the sum
        """
        suffix = f".{dtype}.{depth}{'.dots' if sums else ''}"
        name = f"{CONTRACT[1:]}{suffix}"
        if name not in self.texts:
            functions = dot_functions if sums else product_functions
            declared, text = functions(self.target, dtype, depth, suffix)
            self.declared.update(declared)
            self.texts[name] = f"{text}\n{contract_command(suffix)}"
        return name

    def fill(self) -> str:
        """The name of the command for zeros."""
        self.texts["fill"] = FILL
        return "fill"

    def check(self) -> str:
        """The name of the command that looks at a truth."""
        self.texts["check"] = CHECK
        return "check"

    def store(self, dtype: np.dtype[Any], number: Any) -> str:
        """The name of the command for another number."""
        name, text = store_command(dtype, number)
        self.texts[name] = text
        return name

    def module(self) -> str:
        """The text of all."""
        return "\n".join([*sorted(self.declared), *self.texts.values()])


def is_native(value: Value, target: Target) -> bool:
    """Whether there is native code for a value."""
    if value.kind == "contract":
        parts = value.params["parts"]
        return _plans(value, parts, target, adds=False) is not None
    return can_emit(value)


def commands(
    block: Block, buffered: frozenset[Value], functions: Functions, target: Target
) -> list[Command]:
    """What runs for a chunk of a block, in order; what begins a slot comes first."""
    made: list[Command] = []
    for stage in block.stages:
        if stage.kind == NEST:
            found = _nest(stage, buffered, functions)
        else:
            found = _product(stage.values[0], block, functions, target)
        for command in found:
            command.stage = stage
        made += found
    return sorted(made, key=lambda command: not command.begins)


def _nest(stage: Stage, buffered: frozenset[Value], functions: Functions) -> list[Command]:
    found = functions.loops(stage, buffered)
    if found is None:
        return []
    operands = [
        Operand(value, 0, advance * value.dtype.itemsize)
        for value, advance in zip(found.buffers, found.advances)
    ]
    begin = [_beginning(v, functions) for v in stage.values if "slots" in v.params]
    return [*begin, Command(found.name, operands)]


def _beginning(value: Value, functions: Functions) -> Command:
    """What a slot's own reduction starts from."""
    operand = Operand(value, 0, 0)
    size = value.size // value.params["slots"]
    number = first(value.params.get("function", "add"), value.dtype)
    if number == 0:
        table = [0, size * value.dtype.itemsize, 1, 0]
        return Command(functions.fill(), [operand], table, begins=True)
    return Command(functions.store(value.dtype, number), [operand], [size], begins=True)


def _product(value: Value, block: Block, functions: Functions, target: Target) -> list[Command]:
    band, adds = block.band, "slots" in value.params
    whole, last = value.params["parts"], None
    if band is not None:
        whole = [_cut(part, value, block, band.chunk) for part in value.params["parts"]]
        if rest := band.extent % band.chunk:
            last = [_cut(part, value, block, rest) for part in value.params["parts"]]
    plans = _plans(value, whole, target, adds)
    rests = plans if last is None else _plans(value, last, target, adds)
    assert plans is not None
    assert rests is not None
    made = [_beginning(value, functions)] if adds else []
    if not adds and (len(whole) > 1 or _has_gaps(plans) or not _covers(whole[0])):
        made.append(_fill(value, block, functions))
    a, b, c = _operands(value, block, plans[0][0].swapped)
    for (choice, batch, depth), (_, final, _) in zip(plans, rests):
        made.append(
            Command(
                functions.contract(value.dtype.name, depth, choice.sums),
                [a, b, c],
                [
                    band.chunk if band is not None else 1,
                    address(batch.entries),
                    len(batch.entries),
                    address(final.entries),
                    len(final.entries),
                ],
                [batch, final],
                pointers=(1, 3),
            )
        )
    return made


def _cut(part: Contraction, value: Value, block: Block, items: int) -> Contraction:
    """The part of a contraction for so many items of the band."""
    link = block.links[value]
    if "slots" in value.params and link.output is not None:
        link = link._replace(output=link.output - 1)
    return part.restrict(index_along(part, link), 0, items)


def _plans(
    value: Value, parts: list[Contraction], target: Target, adds: bool
) -> list[tuple[Choice, Batch, int]] | None:
    """For each part of a contraction how it is taken, and its calls; None if one has no way."""
    if "lane" not in value.params:
        return None
    given = tuple([layout(x) for x in (*value.operands, value)])
    found = []
    for whole, part in zip(value.params["parts"], parts, strict=True):
        plan = _plan(whole, part, value.params["lane"], given, target, value.dtype, adds)
        if plan is None:
            return None
        found.append(plan)
    return found


@lru_cache(maxsize=PLANS)
def _plan(
    whole: Contraction,
    part: Contraction,
    lane: str,
    given: tuple[Layout, ...],
    target: Target,
    dtype: np.dtype[Any],
    adds: bool,
) -> tuple[Choice, Batch, int] | None:
    """What `_plans` finds for a part; nobody writes to it."""
    choice = choice_along(whole, lane, given)
    if choice is None:
        return None
    layouts = choice.layouts(whole, given)
    planner = Planner(part, choice, layouts, target, dtype.name, copies=False)
    batch = planner.whole(adds)
    return (choice, batch, planner.depth) if isinstance(batch, Batch) else None


def _has_gaps(plans: list[tuple[Choice, Batch, int]]) -> bool:
    return any(batch.zeros for _, batch, _ in plans)


def _covers(part: Contraction) -> bool:
    """Whether a contraction writes to every element."""
    return all(
        sum(abs(c) * (part.extent(n) - 1) for n, c in axis.terms) + 1 >= _written(axis, part)
        and min((abs(c) for _, c in axis.terms), default=1) == 1
        for axis in part.output
    )


def _written(axis: Any, part: Contraction) -> int:
    """How far an axis of the output goes; in a chunk as far as the index that it is cut along."""
    alone = len(axis.terms) == 1 and axis.offset == 0 and abs(axis.terms[0][1]) == 1
    return part.extent(axis.terms[0][0]) if alone else int(axis.extent)


def _fill(value: Value, block: Block, functions: Functions) -> Command:
    """Zeros in all of a chunk, which lies apart where the band is not the slowest axis."""
    size = value.dtype.itemsize
    if block.band is None:
        return Command(functions.fill(), [Operand(value, 0, 0)], [0, value.size * size, 1, 0])
    axis = block.links[value].output
    assert axis is not None
    order = value.order or tuple(range(len(value.shape)))
    item = packed(value.shape, value.order)[axis] * size
    times = prod(value.shape[n] for n in order[: order.index(axis)])
    table = [item, 0, times, item * value.shape[axis]]
    return Command(functions.fill(), [Operand(value, 0, item)], table)


def _operands(value: Value, block: Block, swapped: bool) -> list[Operand]:
    link = block.links.get(value)
    found = []
    for number, x in enumerate(value.operands):
        axis = None if link is None else link.axis_of(number)
        found.append(_operand(x, axis))
    left, right = found
    out = None if link is None else link.output
    c = Operand(value, 0, 0) if "slots" in value.params else _operand(value, out)
    return [right, left, c] if swapped else [left, right, c]


def _operand(x: Value, axis: int | None) -> Operand:
    found, size = locate(x), x.dtype.itemsize
    advance = 0 if axis is None else found.strides[axis] * size
    return Operand(base(x), found.offset * size, advance)
