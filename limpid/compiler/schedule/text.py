"""Schedules as text: phases, their blocks, and what the loops of each stage compute.

    phase 4
      128 in 16 parts of 8, shared by threads
        7  product: rows m=8, lanes n=512, sums k=784
             v1.product: float32[128, 512] = x · fc1.weight.T
        8  loop 8 × 512
             v1 = v1.product + fc1.bias
             v2: float32[128, 512] = maximum(v1, 0)

What has a type and extents is written to memory, the rest stays in registers. An arrow leads to
where an end goes: `v27 → fc1.weight`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from typing import NamedTuple

from limpid.compiler.program.bodies import Bodies
from limpid.compiler.program.layouts import choice_of
from limpid.compiler.program.links import index_along
from limpid.compiler.program.puts import FILLED, fill_of
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import base
from limpid.compiler.schedule.bands import Band
from limpid.compiler.schedule.expressions import Expressions
from limpid.compiler.schedule.naming import Names, number_text, spec_text
from limpid.compiler.schedule.stages import CALL, NEST, NESTED, Block, Schedule, Stage
from limpid.graph.node import Node
from limpid.ops.windows.contraction import Contraction, reads

SHORT = 44  # characters up to which what is used once is written where it is used
PARTS = 3  # of a contraction that are shown


class Line(NamedTuple):
    """A line; the stage that begins there, or the value that it computes."""

    text: str
    stage: Stage | None = None
    value: Value | None = None


class Text:
    """Makes the lines.

    homes    where ends go, as it is shown
    numbers  of stages
    """

    def __init__(
        self,
        buffered: Collection[Value],
        names: Names | None = None,
        homes: Mapping[Value, str] | None = None,
        numbers: Iterator[int] | None = None,
    ):
        self.buffered, self.names, self.homes = buffered, names or Names(), homes or {}
        self._numbers = numbers or count(1)

    def schedule(self, schedule: Schedule, indent: str = "") -> Iterator[Line]:
        """All phases; stages are numbered."""
        for number, phase in enumerate(schedule.phases, 1):
            once = ", once" if number <= schedule.once else ""
            yield Line(f"{indent}phase {number}{once}")
            for block in phase:
                yield from self.block(block, f"{indent}  ")

    def block(self, block: Block, indent: str = "") -> Iterator[Line]:
        """How a block is cut, and its stages."""
        if not block.is_nested:
            yield Line(indent + _cut(block))
        for stage in block.stages:
            yield from self.stage(stage, block, f"{indent}  ")

    def stage(self, stage: Stage, block: Block | None = None, indent: str = "") -> Iterator[Line]:
        """Loops, and what they compute."""
        number = next(self._numbers)
        head, *more = _head(stage, block)
        yield Line(f"{indent}{number:<3}{head}", stage)
        inner = f"{indent}     "
        for line in more:
            yield Line(inner + line)
        if stage.kind == CALL:
            yield self._call(stage, inner)
            return
        if stage.kind == NESTED:
            yield from self._nested(stage, inner)
            return
        readers = _readers(stage)
        inside: set[Value] = set()
        expressions = Expressions(self.names, inside)
        for value in sorted(stage.values, key=lambda v: v.kind not in FILLED):
            within = self._may_be_inside(value, readers.get(value, []))
            if within and len(expressions.text(value)) <= SHORT:
                inside.add(value)
            else:
                yield Line(inner + self._computed(value, expressions), None, value)

    def _may_be_inside(self, value: Value, readers: list[Value]) -> bool:
        """Whether a value can be written where it is used: a node's output in its own line only."""
        if value.kind != "map" or value in self.buffered or len(readers) != 1:
            return False
        return value.output is None or is_of_one_place(value.node, readers[0].node)

    def _computed(self, value: Value, expressions: Expressions) -> str:
        if value.kind == "put":
            return f"{expressions.target(value)} {expressions.text(value)}"
        if value.kind in FILLED:
            fill = fill_of(value)
            rest = "in parts" if fill is None else number_text(fill)
            return f"{self._written(value)} = {rest}"
        return f"{self._written(value)} = {expressions.text(value)}"

    def _written(self, value: Value) -> str:
        """A value's name, and what memory it takes."""
        name = self.names[value]
        if value in self.homes:
            name = f"{name} → {self.homes[value]}"
        return f"{name}: {spec_text(value)}" if value in self.buffered else name

    def _call(self, stage: Stage, indent: str) -> Line:
        head = stage.values[0]
        written = ", ".join(map(self._written, stage.values))
        return Line(f"{indent}{written} = {Expressions(self.names, ()).text(head)}", None, head)

    def _nested(self, stage: Stage, indent: str) -> Iterator[Line]:
        """The programs of a loop or of a choice, their inputs named as what they stand for."""
        head = stage.values[0]
        bodies: Bodies = head.params["bodies"]
        outputs = {value.params["number"]: value for value in stage.values}
        read = Expressions(self.names, ())
        operands = [read.operand(x) for x in head.operands[bodies.is_choice :]]
        for value in stage.values:
            yield Line(f"{indent}{self._written(value)}", None, value)
        for body, schedule, truth in zip(bodies.bodies, stage.bodies, ("if", "if not")):
            if bodies.is_choice:
                yield Line(f"{indent}{truth} {read.operand(head.operands[0])}")
            names = [self.names[outputs[n]] if n in outputs else "" for n in range(len(body.ends))]
            carried = [name or f"carry{n}" for n, name in enumerate(names[: body.carried])]
            first = body.closed + body.carried
            sliced = [f"{name}[i]" for name in operands[first:]]
            inputs = [*operands[: body.closed], *carried, *sliced]
            each = "[i]" if body.length is not None else ""
            ends = [*carried, *(f"{name}{each}" if name else "" for name in names[body.carried :])]
            homes = {end: name for end, name in zip(schedule.ends, ends) if name}
            text = Text(schedule.buffered, self.names.within(inputs), homes, self._numbers)
            yield from text.schedule(schedule, f"{indent}  " if bodies.is_choice else indent)


def _readers(stage: Stage) -> dict[Value, list[Value]]:
    """For each value those of the same stage that use it, as often as they do."""
    found: dict[Value, list[Value]] = {}
    for value in stage.values:
        for x in value.operands:
            found.setdefault(base(x), []).append(value)
    return found


def is_of_one_place(node: Node | None, other: Node | None) -> bool:
    """Whether two nodes are there for the same: one expression, and one node in a backward pass."""
    if node is None or other is None:
        return node is other
    forward = node.origin and node.origin.node, other.origin and other.origin.node
    same = node.source == other.source and node.scope == other.scope
    return same and forward[0] is forward[1]


def _cut(block: Block) -> str:
    if block.is_call:
        return "by NumPy"
    return "as a whole, on one thread" if block.band is None else band_text(block.band)


def band_text(band: Band) -> str:
    """How a band is cut."""
    chunks = f"{band.per_slot} chunks of {band.chunk}" if band.per_slot > 1 else f"{band.chunk}"
    if band.slots > 1:
        return f"{band.extent} in {band.slots} parts of {chunks}, shared by threads"
    return f"{band.extent} in chunks of {band.chunk}, on one thread"


def _head(stage: Stage, block: Block | None) -> list[str]:
    """What sort of loops a stage has."""
    band = None if block is None else block.band
    if stage.kind == CALL:
        return ["call"]
    if stage.kind == NESTED:
        return [_runs(stage.values[0].params["bodies"])]
    if stage.kind == NEST:
        extents = list(stage.domain)
        if band is not None and stage.band is not None:
            extents[stage.band] = band.chunk
        return [f"loop {' × '.join(map(str, extents))}" if extents else "once"]
    value = stage.values[0]
    found = [_sizes(value, part, block) for part in value.params["parts"]]
    if len(found) == 1:
        return [f"product: {found[0]}"]
    more = [f"and {len(found) - PARTS} more"] if len(found) > PARTS else []
    return [f"product in {len(found)} pieces", *found[:PARTS], *more]


def _runs(bodies: Bodies) -> str:
    """How often programs within the program run."""
    if bodies.is_choice:
        return "one of two"
    body = bodies.bodies[0]
    return f"{body.length} times{', from the last to the first' if body.reverse else ''}"


def _sizes(value: Value, part: Contraction, block: Block | None) -> str:
    """The loops of the kernel: `rows m=8, lanes n=512, sums k=784`."""
    choice = choice_of(value, part)
    extents = {i.name: i.extent for i in part.indices}
    if block is not None and block.band is not None and value in block.links:
        extents[_along(value, part, block)] = block.band.chunk
    if choice is None:
        return _listed("indices", extents, extents)
    a, b, c = map(reads, choice.accesses(part))
    rows = [n for n in extents if n in a and n in c and n not in b]
    free = [n for n in extents if n in c and n not in rows and n != choice.lane]
    sums = [n for n in extents if n not in c and n != choice.lane]
    found = [("rows", rows), ("lanes", [choice.lane]), ("sums", sums), ("for each", free)]
    return ", ".join(_listed(title, names, extents) for title, names in found if names)


def _along(value: Value, part: Contraction, block: Block) -> str:
    """The index of a contraction that the band cuts."""
    link = block.links[value]
    if "slots" in value.params and link.output is not None:
        link = link._replace(output=link.output - 1)
    return index_along(part, link)


def _listed(title: str, names: Collection[str], extents: Mapping[str, int]) -> str:
    return f"{title} {' × '.join(f'{name}={extents[name]}' for name in names)}"


def joined(lines: Iterable[Line]) -> str:
    """Lines as one text."""
    return "\n".join(line.text for line in lines)
