"""Memory planning: buffers that are not needed at the same time share a place."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from limpid.compiler.program.values import Value
from limpid.compiler.program.views import VIEWS, base
from limpid.compiler.schedule.stages import Block, Schedule

ALIGNED = 64  # bytes of a cache line


class Place(NamedTuple):
    """Where a value lies.

    local    whether each thread has one, which holds a chunk
    offset   bytes from the start of the thread's or the common memory
    """

    local: bool
    offset: int


class Request(NamedTuple):
    """So many bytes from one time to another, both included."""

    value: Value
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Memory:
    """The place of each buffered value that is no end, and how much memory that takes in bytes."""

    places: dict[Value, Place]
    local: int
    common: int


def plan(schedule: Schedule, ends: Sequence[Value]) -> Memory:
    """Places for all buffered values that are not ends; the lasting ones keep theirs."""
    readers = _readers(schedule)
    kept = set(ends)
    places: dict[Value, Place] = {}
    common: list[Request] = []
    local = 0
    phases = {block: n for n, phase in enumerate(schedule.phases) for block in phase}
    for block in phases:
        inside, across = [], []
        for number, stage in enumerate(block.stages):
            for value in stage.values:
                if value not in schedule.buffered or value in kept:
                    continue
                blocks = {b for b, _ in readers.get(value, [])} | {block}
                if value in schedule.lasting:
                    across.append(Request(value, _bytes(value), phases[block], len(phases)))
                elif len(blocks) == 1 and is_local(value, block):
                    last = max([number, *(n for _, n in readers.get(value, []))])
                    inside.append(Request(value, buffer_size(value, block), number, last))
                else:
                    last = max(phases[b] for b in blocks)
                    across.append(Request(value, _bytes(value), phases[block], last))
        offsets, size = placed(inside)
        local = max(local, size)
        places.update((value, Place(True, offset)) for value, offset in offsets.items())
        common += across
    offsets, size = placed(common)
    places.update((value, Place(False, offset)) for value, offset in offsets.items())
    return Memory(places, local, size)


def is_local(value: Value, block: Block) -> bool:
    """Whether a thread can have its own copy of what a chunk needs of a value."""
    if block.is_call or block.is_nested or "slots" in value.params:
        return False
    if block.band is None:
        return True
    link = block.links.get(value)
    axis = None if link is None else link.output
    order = value.order or tuple(range(len(value.shape)))
    return axis is not None and next((n for n in order if value.shape[n] != 1), axis) == axis


def placed(requests: Iterable[Request]) -> tuple[dict[Value, int], int]:
    """Offsets such that requests whose times overlap do not; and the end of all."""
    free: list[tuple[int, int]] = []  # (offset, size) of gaps, in order
    active: list[tuple[int, int, int, int]] = []  # (last, number, offset, size)
    offsets: dict[Value, int] = {}
    end = 0
    for number, request in enumerate(sorted(requests, key=lambda r: r.first)):
        while active and active[0][0] < request.first:
            _, _, offset, size = heapq.heappop(active)
            _release(free, offset, size)
        size = -(-max(request.size, 1) // ALIGNED) * ALIGNED
        best = min(
            (n for n, gap in enumerate(free) if gap[1] >= size),
            key=lambda n: free[n][1],
            default=None,
        )
        if best is None:
            offset, end = end, end + size
        else:
            offset, gap = free.pop(best)
            if gap > size:
                free.insert(best, (offset + size, gap - size))
        offsets[request.value] = offset
        heapq.heappush(active, (request.last, number, offset, size))
    return offsets, end


def _release(free: list[tuple[int, int]], offset: int, size: int) -> None:
    """Give a gap back, together with those beside it."""
    merged = []
    for gap in free:
        if gap[0] + gap[1] == offset:
            offset, size = gap[0], gap[1] + size
        elif offset + size == gap[0]:
            size += gap[1]
        else:
            merged.append(gap)
    free[:] = sorted([*merged, (offset, size)])


def _readers(schedule: Schedule) -> dict[Value, list[tuple[Block, int]]]:
    """For each value the blocks and the numbers of the stages that read it."""
    found: dict[Value, list[tuple[Block, int]]] = {}
    for phase in schedule.phases:
        for block in phase:
            for number, stage in enumerate(block.stages):
                for value in stage.values:
                    for x in value.operands:
                        found.setdefault(base(x), []).append((block, number))
    return found


def _bytes(value: Value) -> int:
    assert value.kind not in VIEWS
    return prod(value.shape) * value.dtype.itemsize


def buffer_size(value: Value, block: Block) -> int:
    """The bytes of what a chunk needs."""
    if block.band is None:
        return _bytes(value)
    return _bytes(value) // block.band.extent * block.band.chunk
