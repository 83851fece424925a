"""The memory of a step: what it is given, what it gives, and what lies in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from limpid.compiler.program.values import Value
from limpid.compiler.program.views import base
from limpid.compiler.schedule.memory import buffer_size
from limpid.compiler.steps.reports.figures import size_text
from limpid.compiler.steps.reports.origins import Place, place_of
from limpid.compiler.steps.reports.reading import Reading
from limpid.graph.node import Node

WIDTH = 100
NAMES = 36
SHOWN = 10  # of the largest buffers
COMMON, OWN, END = "common", "thread", "output"


@dataclass(frozen=True)
class Buffer:
    """An array that the step makes.

    where   "common": shares memory with what is not needed at the same time; "thread": each thread
            has a chunk of it; "output": an array of its own
    phases  the first and the last that need it
    kept    whether it is of the forward pass, and read by the backward pass
    """

    name: str
    where: str
    bytes: int
    phases: tuple[int, int]
    kept: bool
    place: Place | None


@dataclass(frozen=True)
class Footprint:
    """Bytes of a step; `print` shows them.

    inputs     arguments
    state      parameters, buffers, optimisers' slots: they are updated in place
    results    what is returned or left outside; gradients: what is left in `.grad`
    constants  arrays that the program knows
    common     memory that the values in between share
    thread     memory that each of so many `threads` has for its chunk
    kept       of the values in between those that the backward pass reads of the forward pass
    unshared   what the values in between would take if none shared memory, and none came in chunks
    buffers    all arrays that are made, the largest first
    """

    step: str
    inputs: int
    state: int
    results: int
    gradients: int
    constants: int
    common: int
    thread: int
    threads: int
    kept: int
    unshared: int
    buffers: tuple[Buffer, ...]

    @property
    def peak(self) -> int:
        """All of it: what the step is given, makes and gives."""
        given = self.inputs + self.state + self.constants
        return given + self.results + self.gradients + self.between

    @property
    def between(self) -> int:
        """What lies between inputs and outputs."""
        return self.common + self.thread * self.threads

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        found = asdict(self)
        for buffer, data in zip(self.buffers, found["buffers"], strict=True):
            data["place"] = None if buffer.place is None else buffer.place.to_dict()
        return {**found, "between": self.between, "peak": self.peak}

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def footprint(reading: Reading) -> Footprint:
    """What a step's memory is used for."""
    graph, native = reading.graph, reading.native
    memories = [program.memory for program in native.programs()]
    found = sorted(_buffers(reading), key=lambda pair: -pair[1].bytes)
    gradients = {number for _, number in reading.recording.gradients if number is not None}
    ends = native.ends[: len(graph.outputs)]
    return Footprint(
        reading.step,
        sum(map(_of_leaf, graph.inputs.values())),
        sum(map(_of_leaf, graph.slots.values())),
        sum(_whole(x) for n, x in enumerate(ends) if n not in gradients),
        sum(_whole(x) for n, x in enumerate(ends) if n in gradients),
        sum(map(_whole, _constants(reading))),
        sum(memory.common for memory in memories),
        sum(memory.local for memory in memories),
        native.buffers.workers,
        sum(buffer.bytes for _, buffer in found if buffer.kept),
        sum(_whole(value) for value, buffer in found if buffer.where != END),
        tuple(buffer for _, buffer in found),
    )


def _buffers(reading: Reading) -> Iterator[tuple[Value, Buffer]]:
    schedule, places = reading.native.schedule, reading.native.memory.places
    readers = _readers(reading)
    for number, phase in enumerate(schedule.phases, 1):
        for block in phase:
            for value in (v for stage in block.stages for v in stage.values):
                if value not in schedule.buffered or value in reading.native.homes:
                    continue
                place = places.get(value)
                local = place is not None and place.local
                size = buffer_size(value, block) if local else _whole(value)
                read = readers.get(value, [])
                yield (
                    value,
                    Buffer(
                        reading.names[value],
                        END if place is None else OWN if local else COMMON,
                        size,
                        (number, max([number, *(n for n, _ in read)])),
                        place is not None and _is_kept(value, [node for _, node in read]),
                        place_of(value.node),
                    ),
                )


def _readers(reading: Reading) -> dict[Value, list[tuple[int, Node | None]]]:
    """For each value the phases and nodes that read it."""
    found: dict[Value, list[tuple[int, Node | None]]] = {}
    for number, phase in enumerate(reading.native.schedule.phases, 1):
        for value in (v for block in phase for stage in block.stages for v in stage.values):
            for x in value.operands:
                found.setdefault(base(x), []).append((number, value.node))
    return found


def _is_kept(value: Value, readers: list[Node | None]) -> bool:
    forward = value.node is not None and value.node.origin is None
    return forward and any(node is not None and node.origin is not None for node in readers)


def _constants(reading: Reading) -> set[Value]:
    return {
        base(x)
        for stage in reading.native.schedule.stages
        for value in stage.values
        for x in value.operands
        if base(x).kind == "constant"
    }


def _whole(value: Value) -> int:
    return value.size * value.dtype.itemsize


def _of_leaf(node: Node) -> int:
    spec = node.outputs[0]
    return prod(spec.shape) * spec.dtype.storage.itemsize


# As text


def _lines(found: Footprint) -> Iterator[str]:
    each = f"{found.threads} × {size_text(found.thread)}" if found.threads > 1 else ""
    rows = [
        ("inputs", found.inputs, ""),
        ("state", found.state, "updated in place"),
        ("results", found.results, ""),
        ("gradients", found.gradients, "left in .grad"),
        ("constants", found.constants, ""),
        ("in between", found.common, f"instead of {size_text(found.unshared)}"),
        ("chunks of threads", found.thread * found.threads, each),
        ("together", found.peak, ""),
    ]
    yield f"{found.step}: {size_text(found.peak)}"
    for title, size, remark in rows:
        yield f"  {title:20}{size_text(size):>12}  {remark}".rstrip()
    kept = sum(buffer.kept for buffer in found.buffers)
    yield f"  kept for the backward pass: {size_text(found.kept)} in {kept} arrays"
    yield "the largest arrays, and the phases that need them"
    for buffer in found.buffers[:SHOWN]:
        yield _line(buffer)


def _line(buffer: Buffer) -> str:
    first, last = buffer.phases
    phases = f"{first}" if first == last else f"{first}–{last}"
    name = buffer.name if len(buffer.name) <= NAMES else f"{buffer.name[: NAMES - 1]}…"
    left = (
        f"  {name:{NAMES}} {size_text(buffer.bytes):>10} {buffer.where:7} {phases:>6} "
        f"{'kept' if buffer.kept else '':4}  "
    )
    place = "" if buffer.place is None else buffer.place.fitted(WIDTH - len(left))
    return f"{left}{place}".rstrip()
