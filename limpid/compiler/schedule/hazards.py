"""Which values can be written where a slot's old value lies.

Nothing may read the old value after that, except what is computed element by element in the same
loops; and nothing may go wrong after it, so that a step that fails has changed nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from limpid.compiler.program.links import Link
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import VIEWS, base, locate, packed
from limpid.compiler.schedule.stages import NEST, Block, Schedule, Stage


def too_early(schedule: Schedule, writes: Mapping[Value, Value], after: int) -> list[Value]:
    """Those new values that would overwrite an old one too early.

    writes  new values, each with the input that it takes the place of
    after   the last phase in which something can go wrong
    """
    phases = {block: n for n, phase in enumerate(schedule.phases) for block in phase}
    reads = _reads(schedule, frozenset(writes.values()))
    numbers = _numbers(schedule, writes)
    found = []
    for new, old in writes.items():
        writer = schedule.place[new]
        safe = phases[writer] > after and all(
            _is_before(read, new, writer, phases, numbers) for read in reads[old]
        )
        if not safe:
            found.append(new)
    return found


class Read(NamedTuple):
    """Where an old value is read: by which value, through the operand of which number."""

    block: Block
    stage: Stage
    number_of_stage: int  # in the block
    value: Value
    number: int


def _reads(schedule: Schedule, olds: Collection[Value]) -> dict[Value, list[Read]]:
    """Where each old value is read."""
    found: dict[Value, list[Read]] = {old: [] for old in olds}
    for phase in schedule.phases:
        for block in phase:
            for place, stage in enumerate(block.stages):
                for value in stage.values:
                    for number, x in enumerate(value.operands):
                        if (old := base(x)) in olds:
                            found[old].append(Read(block, stage, place, value, number))
    return found


def _numbers(schedule: Schedule, writes: Collection[Value]) -> dict[Value, int]:
    """The number of the stage, in its block, that makes each new value."""
    blocks = dict.fromkeys(schedule.place[new] for new in writes)
    return {
        value: number
        for block in blocks
        for number, stage in enumerate(block.stages)
        for value in stage.values
        if value in writes
    }


def _is_before(
    read: Read, new: Value, writer: Block, phases: dict[Block, int], numbers: dict[Value, int]
) -> bool:
    """Whether an old value was read when the new one is written."""
    if read.block is not writer:
        return phases[read.block] < phases[writer]
    if writer.band is not None and not _reads_own_chunk(read, writer, new):
        return False
    if read.number_of_stage != numbers[new]:
        return read.number_of_stage < numbers[new]
    return read.stage.kind == NEST and _is_elementwise(read, new)


def _reads_own_chunk(read: Read, block: Block, new: Value) -> bool:
    """Whether of the old value only the part is read that the chunk's new one replaces."""
    value, number = read.value, read.number
    link: Link | None = block.links.get(value)
    axis = None if link is None else link.axis_of(number)
    own = block.links[new].output if new in block.links else None
    x = value.operands[number]
    return axis is not None and axis == own and x.kind not in VIEWS and x.shape == new.shape


def _is_elementwise(read: Read, new: Value) -> bool:
    value, number = read.value, read.number
    found = locate(value.operands[number])
    same = found.offset == 0 and value.operands[number].shape == new.shape
    return same and value.kind == "map" and found.strides == packed(new.shape, new.order)
