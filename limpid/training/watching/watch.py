"""A watch: statistics of a step or a module, step after step."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from limpid.compiler.steps.bound import BoundStep
from limpid.compiler.steps.probes import Found, ProbedGraph
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.selection import Probe
from limpid.compiler.steps.sight import everywhere
from limpid.compiler.steps.statistics import size_of
from limpid.compiler.steps.step import Step
from limpid.errors import ArgumentError
from limpid.graph.context import context
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.training.watching.eager import Follower, Trail
from limpid.training.watching.history import LIMIT, Records, write
from limpid.training.watching.table import table
from limpid.training.watching.wanted import (
    KINDS,
    Values,
    Wanted,
    hidden_in,
    parse_kinds,
    parse_statistics,
    probes_in,
    taken_apart,
)

W = TypeVar("W", bound="Watch")
USUAL = ("norm", "zeros", "ratio")


class Watch:
    """Statistics of every so many steps; `limpid.watch` makes one.

    target  what is watched: a compiled step, or a module
    every   of how many steps one is looked at: the first, and then every so many
    stats   which statistics
    of      of which kinds of values
    steps   how many steps there were
    hidden  modules that can't be looked at, with the reason

    It ends with `close`, or at the end of a `with`.
    """

    def __init__(
        self,
        target: Step | Module,
        every: int = 1,
        stats: str | Iterable[str] = USUAL,
        of: str | Iterable[str] = KINDS,
        limit: int = LIMIT,
    ) -> None:
        self.target = _target(target)
        self.stats, self.of = parse_statistics(stats), parse_kinds(of)
        self.every, self.limit = integer(every, "every"), integer(limit, "limit")
        if self.every < 1:
            raise ArgumentError(f"every is of how many steps one is looked at, not {every}")
        if self.limit < 2:
            raise ArgumentError(f"limit is how many records are kept, at least 2, not {limit}")
        self.steps = 0
        self.hidden: dict[str, str] = {}
        self.is_open = True
        self._records = Records(self.limit, self._values)
        self._wanted = Wanted(self.stats, self.of)
        self._names: set[str] = set()  # of its probes
        self._module = self.target if isinstance(self.target, Module) else None
        self._follower: Follower | None = None  # of eager steps, and where it is told of them
        self._trail: Trail | None = None
        self._begin()

    # What was seen

    @property
    def history(self) -> dict[int, Values]:
        """{step: {name: {statistic: value}}}, the oldest first; names are those of probes.

        "fc1" is what a module returns, "state:fc1.weight" a parameter as the step found it,
        "grad:fc1.weight" its gradient, "update:fc1.weight" what the step added to it.
        """
        return self._records.values()

    @property
    def last(self) -> Values:
        """{name: {statistic: value}} of the latest step that was looked at."""
        return self._records.last()

    def table(self) -> str:
        """The latest record as text, a line for each name."""
        return table(self.last, self.hidden)

    def save(self, path: str | Path) -> None:
        """Write the history: a line of JSON for each step. `load_history` reads it."""
        write(self.history, path)

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        state = "" if self.is_open else ", closed"
        return f"<watch of {_named(self.target)}: {len(self)} records of {self.steps} steps{state}>"

    # Beginning and ending

    def _begin(self) -> None:
        target = self.target
        if isinstance(target, Step):
            target.observe(self)
            return
        everywhere.add(self)
        state = context.state
        if state.trail is not None and not isinstance(state.trail, Trail):
            raise ArgumentError("a watch can't begin while a step is recorded: begin it before")
        trail = self._trail = state.trail = state.trail or Trail()
        self._follower = Follower(self, target, self._wanted)
        trail.follow(self._follower)

    def close(self) -> None:
        """Look at nothing any more. The history stays."""
        if not self.is_open:
            return
        self.is_open = False
        if isinstance(self.target, Step):
            self.target.observe(self, is_there=False)
            return
        everywhere.discard(self)
        if self._trail is not None:
            self._trail.forget(self._follower)
        self._follower = self._trail = None

    def __enter__(self: W) -> W:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # As an observer of compiled steps, and as the clock of eager ones

    def probes(self, recording: Recording) -> list[Probe]:
        """What it wants to see of a recording."""
        if not self.is_open:
            return []
        found = probes_in(recording, self._wanted, self._module)
        if found:
            self.hidden.update(hidden_in(recording, self._module))
            self._names.update(probe.name for probe in found)
            self._records.fit(sum(size_of(probe.statistic) for probe in found))
        return found

    def is_next_due(self) -> bool:
        """Whether the step that comes next is looked at."""
        return self.is_open and self.steps % self.every == 0

    def is_due(self) -> bool:
        """Whether the step that begins now is looked at; it counts."""
        if not self.is_open:
            return False
        self.steps += 1
        return (self.steps - 1) % self.every == 0

    def show(self, probed: ProbedGraph, found: Found) -> None:
        """A compiled step has run."""
        self._records.add(self.steps, (probed, found))

    def record(self, values: Values) -> None:
        """An eager step is over."""
        self._records.add(self.steps, values)

    def _values(self, found: Any) -> Values:
        """What a record says: values, or what a compiled step found."""
        if isinstance(found, dict):
            return found
        probed, values = found
        places = [n for name, n in probed.places.items() if name in self._names]
        return taken_apart(probed.named(values, places), self._wanted)


def _target(target: Any) -> Step | Module:
    if isinstance(target, BoundStep):
        return target.step
    if isinstance(target, Step | Module):
        return target
    raise ArgumentError(
        f"watch takes a compiled step or a module, not {target!r:.60}\n"
        "remedy: step = limpid.compile(step); limpid.watch(step)"
    )


def _named(target: Step | Module) -> str:
    return target.__name__ if isinstance(target, Step) else type(target).__name__
