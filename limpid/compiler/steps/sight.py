"""What a step shows of its calls: the values that are probed, and calls that can be run again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from limpid.compiler.steps.probes import Found, Probed, ProbedGraph
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.replay import Kept, copied
from limpid.compiler.steps.selection import Probe, parse_patterns, select
from limpid.errors import ArgumentError
from limpid.graph.node import Array
from limpid.ops.axes import integer
from limpid.storage import Storage


class Sight:
    """The probes of a step and the calls that it keeps, for all its recordings."""

    def __init__(self, probes: str | Iterable[str], keep: int) -> None:
        self.patterns = parse_patterns(probes)
        self.keep = integer(keep, "keep")
        if self.keep < 0:
            raise ArgumentError(f"keep is how many calls can be run again, not {keep}")
        self.kept: deque[Kept] = deque(maxlen=self.keep)
        self.noted = 0  # calls that were kept, then or now
        self._latest: tuple[ProbedGraph, Found] | None = None
        self._paused = False
        self.traces = False  # whether calls are looked at for NaN and infinities
        self.number = 0  # of calls that were
        self.origin: Any = None  # of the latest that was found

    def watch(self, recording: Recording) -> None:
        """Let a recording be run in sight. It costs nothing where there is nothing to see."""
        if self.traces:
            from limpid.compiler.steps.guard import Guard  # a kind of what is below

            recording.watch = Guard(self, recording)
        else:
            recording.watch = Watch(self, recording) if self.patterns or self.keep else None

    def trace(self, wanted: bool, recordings: Sequence[Recording]) -> None:
        """Look at calls for NaN and infinities from now on, or no longer."""
        if wanted != self.traces:
            self.traces, self.number = wanted, 0
            for recording in recordings:
                self.watch(recording)

    def add(self, patterns: Iterable[str], recordings: Sequence[Recording]) -> None:
        """Probe more. ArgumentError, and nothing changes, if the latest call has no such value."""
        new = parse_patterns(patterns)
        if recordings:
            select_in(recordings[0], new)
        self._set((*self.patterns, *new), recordings)

    def remove(self, patterns: Iterable[str], recordings: Sequence[Recording]) -> None:
        """Take away some probes; all if none are named."""
        old = parse_patterns(patterns)
        for text in old:
            if text not in self.patterns:
                there = ", ".join(self.patterns) or "none"
                raise ArgumentError(f"there is no probe {text!r}; the probes are: {there}")
        self._set([x for x in self.patterns if old and x not in old], recordings)

    def _set(self, patterns: Iterable[str], recordings: Sequence[Recording]) -> None:
        self.patterns = parse_patterns(patterns)
        if not self.patterns:
            self._latest = None
        for recording in recordings:
            self.watch(recording)

    def note(self, call: Kept) -> None:
        """A call is about to run."""
        if self.keep and not self._paused:
            self.kept.append(call)
            self.noted += 1

    def call(self, k: int) -> Kept:
        """The k-th last call. Raises ArgumentError if it is not kept."""
        calls = self.calls()
        if not 1 <= integer(k, "k") <= len(calls):
            raise ArgumentError(f"k is from 1, the latest call, to {len(calls)}, not {k}")
        return calls[-k]

    def calls(self) -> list[Kept]:
        """The kept calls, the latest last. Raises ArgumentError if there are none."""
        if not self.keep:
            raise ArgumentError(
                "no calls are kept\nremedy: limpid.compile(function, keep=3) keeps the latest three"
            )
        if not self.kept:
            raise ArgumentError("there has been no compiled call yet that could be run again")
        return list(self.kept)

    def show(self, probed: ProbedGraph, found: Found) -> None:
        """A call has run, and this was found."""
        if not self._paused:
            self._latest = probed, found

    @property
    def probed(self) -> Probed:
        """What the latest call found, by name."""
        if self._latest is None:
            return {}
        probed, found = self._latest
        return probed.named(found)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What runs inside is neither kept nor shown."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False


class Watch:
    """Runs the graph of a recording, in the place of its executor, and shows what is asked for.

    Kept calls hold the arrays of the state that they found, and nobody writes to an array that
    somebody holds: so `update` works with them, too.
    """

    def __init__(self, sight: Sight, recording: Recording) -> None:
        self.in_place = recording.executor.in_place
        self._sight = sight
        self._recording = recording
        self._patterns = sight.patterns
        self._probed: ProbedGraph | None = None
        idle: Any = recording.idle.values()
        self._idle = [node.op.storage for node in idle]
        self._read: Sequence[Storage] = ()
        self._storages: list[Storage] = []  # those that are read, and the idle ones

    def run(self, inputs: Sequence[Array], state: Sequence[Array]) -> tuple[list[Any], list[Any]]:
        """What the executor gives."""
        probed = self._prepared()
        whole = [*state, *(storage.read() for storage in self._idle)]
        self._keep(inputs, whole)
        if probed is None:
            return self._recording.executor.run(inputs, state)
        outputs, writes, found = probed.run(inputs, whole)
        self._sight.show(probed, found)
        return outputs, writes

    def update(self, inputs: Sequence[Array], read: Sequence[Storage]) -> list[Any]:
        """The same, where slots are written in place."""
        probed = self._probed or self._prepared()
        if self._read is not read:
            self._read, self._storages = read, [*read, *self._idle]
        if self._sight.keep:
            self._keep(inputs, [storage.read() for storage in self._storages])
        if probed is None:
            return self._recording.executor.update(inputs, read)
        outputs: list[Any] = probed.executor.update(inputs, self._storages)
        self._sight.show(probed, probed.found(outputs, inputs))
        return outputs

    def _prepared(self) -> ProbedGraph | None:
        """The graph with its probes, if there are any."""
        if self._probed is None and (self._patterns or self._sight.traces):
            self._probed = self._probed_graph()
        return self._probed

    def _probed_graph(self) -> ProbedGraph:
        recording = self._recording
        probes = select_in(recording, self._patterns)
        return ProbedGraph(recording.graph, recording.idle, probes, recording.gradients)

    def _keep(self, inputs: Sequence[Array], state: list[Array]) -> None:
        if self._sight.keep:
            self._sight.note(Kept(self._recording, [copied(x) for x in inputs], state))


def select_in(recording: Recording, patterns: Iterable[str]) -> list[Probe]:
    """The values in a recording that patterns name."""
    return select(recording.labels, patterns, recording.trail.hidden)
