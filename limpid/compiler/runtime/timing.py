"""How long the stages of a native program take, by the processor's clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.compiler.machine.clock import Clock
from limpid.compiler.machine.loading import address
from limpid.compiler.program.values import Value
from limpid.compiler.runtime.assembly import Part
from limpid.compiler.runtime.native import Native, tasks
from limpid.compiler.schedule.stages import Stage
from limpid.graph.node import Array

TICKS = 9  # the word of a group that says where ticks are counted
BATCHES = 10  # of runs; the quickest counts
LASTING = 0.3  # seconds that all runs take if nobody says how many
MOST = 2000  # runs


@dataclass(frozen=True)
class Timing:
    """Seconds of a run.

    whole   as long as it takes when nobody looks
    timed   while stages are timed
    stages  what each takes of that; where threads share the work, their time divided by them
    """

    runs: int
    whole: float
    timed: float
    stages: dict[Stage, float]


def timed(native: Native, runs: int | None = None) -> Timing:
    """Run a program as often as that, or for a while; its inputs have to be set."""
    native.execute()
    if runs is None:
        runs = _enough(native)
    batches = min(BATCHES, runs)
    each = -(-runs // batches)
    whole = min(_seconds(native, each) for _ in range(batches))
    found = [_stages(native, each) for _ in range(batches)]
    seconds, stages = min(found, key=lambda pair: pair[0])
    return Timing(2 * batches * each, whole, seconds, stages)


def _enough(native: Native) -> int:
    return int(min(max(LASTING / 2 / max(_seconds(native, 1), 1e-9), BATCHES), MOST))


def _seconds(native: Native, runs: int) -> float:
    start = time.perf_counter()
    for _ in range(runs):
        native.execute()
    return (time.perf_counter() - start) / runs


def _stages(native: Native, runs: int) -> tuple[float, dict[Stage, float]]:
    """Seconds of a run, and of its stages."""
    counts = [
        np.zeros((native.buffers.workers, len(commands)), np.int64)
        for _, commands, _ in native.all_groups()
    ]
    calls: dict[Stage, float] = {}
    clock, start = Clock(), time.perf_counter()
    for (_, _, record), count in zip(native.all_groups(), counts, strict=True):
        record[TICKS] = address(count)
    try:
        for _ in range(runs):
            _run(native, calls)
    finally:
        for _, _, record in native.all_groups():
            record[TICKS] = 0
    whole, tick = time.perf_counter() - start, clock.seconds_per_tick()
    stages = {stage: seconds / runs for stage, seconds in calls.items()}
    for stage, ticks in _ticks(native, counts):
        stages[stage] = stages.get(stage, 0.0) + ticks * tick / runs
    return whole / runs, stages


def _run(native: Native, calls: dict[Stage, float]) -> None:
    """All parts; adds what calls take."""
    made: dict[Value, Any] = {}
    for part in native.parts:
        if isinstance(part, Part):
            if not part.run():
                return
        else:
            start = time.perf_counter()
            native.call(part, made)
            calls[part] = calls.get(part, 0.0) + time.perf_counter() - start


def _ticks(native: Native, counts: list[Array]) -> list[tuple[Stage, float]]:
    """For each command its stage, and how long the threads that share it worked on it."""
    shared = {
        block: native.buffers.workers if tasks(phase) > 1 else 1
        for schedule in native.schedules()
        for phase in schedule.phases
        for block in phase
    }
    return [
        (command.stage, ticks / shared[block])
        for (block, commands, _), count in zip(native.all_groups(), counts, strict=True)
        for command, ticks in zip(commands, count.sum(axis=0).tolist(), strict=True)
        if command.stage is not None
    ]
