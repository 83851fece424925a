"""Which values can be written where a slot's old value lies.

Nothing may read the old value after that, except what is computed element by element in the same
loops; and nothing may go wrong after it, so that a step that fails has changed nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from limpid.compiler.program.links import Link
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import VIEWS, locate, packed
from limpid.compiler.schedule.groups import base
from limpid.compiler.schedule.stages import NEST, Block, Schedule, Stage


def too_early(schedule: Schedule, writes: Mapping[Value, Value], after: int) -> list[Value]:
    """Those new values that would overwrite an old one too early.

    writes  new values, each with the input that it takes the place of
    after   the last phase in which something can go wrong
    """
    phases = {block: n for n, phase in enumerate(schedule.phases) for block in phase}
    reads = _reads(schedule, frozenset(writes.values()))
    found = []
    for new, old in writes.items():
        writer = schedule.place[new]
        safe = phases[writer] > after and all(
            _is_before(read, block, stage, new, writer, phases) for block, stage, read in reads[old]
        )
        if not safe:
            found.append(new)
    return found


Read = tuple[Value, int]  # a value, and the number of the operand through which it reads


def _reads(
    schedule: Schedule, olds: Collection[Value]
) -> dict[Value, list[tuple[Block, Stage, Read]]]:
    """Where each old value is read."""
    found: dict[Value, list[tuple[Block, Stage, Read]]] = {old: [] for old in olds}
    for phase in schedule.phases:
        for block in phase:
            for stage in block.stages:
                for value in stage.values:
                    for number, x in enumerate(value.operands):
                        if (old := base(x)) in olds:
                            found[old].append((block, stage, (value, number)))
    return found


def _is_before(
    read: Read, block: Block, stage: Stage, new: Value, writer: Block, phases: dict[Block, int]
) -> bool:
    """Whether an old value was read when the new one is written."""
    if block is not writer:
        return phases[block] < phases[writer]
    if block.band is not None and not _reads_own_chunk(read, block, new):
        return False
    mine = next(n for n, s in enumerate(block.stages) if new in s.values)
    theirs = block.stages.index(stage)
    if theirs != mine:
        return theirs < mine
    return stage.kind == NEST and _is_elementwise(read, new)


def _reads_own_chunk(read: Read, block: Block, new: Value) -> bool:
    """Whether of the old value only the part is read that the chunk's new one replaces."""
    value, number = read
    link: Link | None = block.links.get(value)
    axis = None if link is None else link.axis_of(number)
    own = block.links[new].output if new in block.links else None
    x = value.operands[number]
    return axis is not None and axis == own and x.kind not in VIEWS and x.shape == new.shape


def _is_elementwise(read: Read, new: Value) -> bool:
    value, number = read
    found = locate(value.operands[number])
    same = found.offset == 0 and value.operands[number].shape == new.shape
    return same and value.kind == "map" and found.strides == packed(new.shape, new.order)
