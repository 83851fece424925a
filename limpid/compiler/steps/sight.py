"""What a step shows of its calls: the values that are probed, and calls that can be run again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakSet

from limpid.compiler.steps.preparation import runs_in_place
from limpid.compiler.steps.probes import Found, Probed, ProbedGraph
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.replay import Kept, copied
from limpid.compiler.steps.selection import Probe, parse_patterns, select
from limpid.errors import ArgumentError
from limpid.graph.node import Array
from limpid.ops.axes import integer
from limpid.storage import Storage


class Observer(Protocol):
    """Somebody who is shown values of some calls. It is asked before each one."""

    def probes(self, recording: Recording) -> list[Probe]:
        """What it wants to see of a recording; nothing if that is not its business."""

    def is_due(self) -> bool:
        """Whether it wants to see the call that comes now."""

    def show(self, probed: ProbedGraph, found: Found) -> None:
        """The call has run, and this was found: what was asked for, and perhaps more."""


ALONE, NOBODY = (True,), (False,)  # one observer, which is due or not
everywhere: WeakSet[Any] = WeakSet()  # observers of all steps that have to do with something


class Sight:
    """The probes of a step and the calls that it keeps, for all its recordings."""

    def __init__(self, probes: str | Iterable[str], keep: int) -> None:
        self.patterns = parse_patterns(probes)
        self.keep = integer(keep, "keep")
        if self.keep < 0:
            raise ArgumentError(f"keep is how many calls can be run again, not {keep}")
        self.kept: deque[Kept] = deque(maxlen=self.keep)
        self.noted = 0  # calls that were kept, then or now
        self.observers: list[Observer] = []
        self._latest: tuple[ProbedGraph, Found] | None = None
        self._shown = range(0)
        self.is_paused = False
        self.traces = False  # whether calls are looked at for NaN and infinities
        self.number = 0  # of calls that were
        self.origin: Any = None  # of the latest that was found

    def watch(self, recording: Recording) -> None:
        """Let a recording be run in sight. It costs nothing where there is nothing to see."""
        found = ((x, x.probes(recording)) for x in (*self.observers, *everywhere))
        observers = [(observer, probes) for observer, probes in found if probes]
        if self.traces:
            from limpid.compiler.steps.guard import Guard  # a kind of what is below

            recording.watch = Guard(self, recording, observers)
        else:
            needed = self.patterns or self.keep or observers
            recording.watch = Watch(self, recording, observers) if needed else None

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
        if self.keep and not self.is_paused:
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

    def show(self, probed: ProbedGraph, found: Found, count: int) -> None:
        """A call has run, and this was found; the first so many are the probes."""
        if not self.is_paused:
            self._latest, self._shown = (probed, found), range(count)

    def observe(self, observer: Observer, recordings: Sequence[Recording]) -> None:
        """Show some calls to somebody, from the next one on."""
        self.observers.append(observer)
        for recording in recordings:
            self.watch(recording)

    def leave(self, observer: Observer, recordings: Sequence[Recording]) -> None:
        """Show them no more."""
        self.observers = [x for x in self.observers if x is not observer]
        for recording in recordings:
            self.watch(recording)

    @property
    def probed(self) -> Probed:
        """What the latest call found, by name."""
        if self._latest is None:
            return {}
        probed, found = self._latest
        return probed.named(found, self._shown)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What runs inside is neither kept nor shown."""
        self.is_paused = True
        try:
            yield
        finally:
            self.is_paused = False


class Watch:
    """Runs the graph of a recording, in the place of its executor, and shows what is asked for.

    For each set of observers that are due at once there is a program of its own, made when it is
    first needed; all of them write to the same arrays. Kept calls hold the arrays of the state that
    they found, and nobody writes to an array that somebody holds: so `update` works with them, too.
    """

    def __init__(
        self, sight: Sight, recording: Recording, observers: Sequence[tuple[Observer, list[Probe]]]
    ) -> None:
        self.in_place = runs_in_place()
        self._sight = sight
        self._recording = recording
        self._patterns = sight.patterns
        self._observers = [observer for observer, _ in observers]
        self._wanted = [probes for _, probes in observers]
        self._count = 0  # of probes that are not only an observer's
        self._programs: dict[tuple[bool, ...], ProbedGraph | None] = {}
        idle: Any = recording.idle.values()
        self._idle = [node.op.storage for node in idle]
        self._read: Sequence[Storage] = ()
        self._storages: list[Storage] = []  # those that are read, and the idle ones
        self._shares = False  # whether the executor does
        self._first: Any = None  # what was run first; whatever else is run shares its arrays

    def run(self, inputs: Sequence[Array], state: Sequence[Array]) -> tuple[list[Any], list[Any]]:
        """What the executor gives."""
        due = self._due()
        probed = self._prepared(due)
        whole = [*state, *(storage.read() for storage in self._idle)]
        self._keep(inputs, whole)
        if probed is None:
            return self._recording.executor.run(inputs, state)
        outputs, writes, found = probed.run(inputs, whole)
        self._show(due, probed, found)
        return outputs, writes

    def update(self, inputs: Sequence[Array], read: Sequence[Storage]) -> list[Any]:
        """The same, where slots are written in place."""
        due = self._due() if self._observers else ()
        probed = self._programs[due] if due in self._programs else self._prepared(due)
        if self._read is not read:
            self._read, self._storages = read, [*read, *self._idle]
        return self._updated(inputs, read, due, probed)

    def _updated(
        self,
        inputs: Sequence[Array],
        read: Sequence[Storage],
        due: tuple[bool, ...],
        probed: ProbedGraph | None,
    ) -> list[Any]:
        """A call in place, which is shown to those who are due."""
        if self._sight.keep:
            self._keep(inputs, [storage.read() for storage in self._storages])
        if probed is None:
            plain = self._recording.executor
            if not self._shares:
                self._shares = True
                plain.part()
                self._share(plain)
            outputs: list[Any] = plain.update(inputs, self._storages)
            return outputs
        outputs = probed.executor.update(inputs, self._storages)
        if due is ALONE and not self._patterns:
            self._observers[0].show(probed, probed.found(outputs, inputs))
        elif self._patterns or due:
            self._show(due, probed, probed.found(outputs, inputs))
        return outputs

    def _due(self) -> tuple[bool, ...]:
        """Which observers want to see the next call."""
        observers = self._observers
        if self._sight.is_paused:
            return (False,) * len(observers)
        if len(observers) == 1:
            return ALONE if observers[0].is_due() else NOBODY
        return tuple([observer.is_due() for observer in observers])

    def _show(self, due: tuple[bool, ...], probed: ProbedGraph, found: Found) -> None:
        if self._patterns:
            self._sight.show(probed, found, self._count)
        for observer, is_due in zip(self._observers, due):
            if is_due:
                observer.show(probed, found)

    def _prepared(self, due: tuple[bool, ...]) -> ProbedGraph | None:
        """The graph with its probes and what observers want to see; None if that is nothing."""
        if due in self._programs:
            return self._programs[due]
        recording = self._recording
        probes = select_in(recording, self._patterns)
        self._count = len(probes)
        named = {probe.name: probe for probe in probes}
        for wanted, is_due in zip(self._wanted, due):
            named.update((p.name, p) for p in wanted if is_due and p.name not in named)
        made = None
        if named or self._sight.traces:
            made = self._probed_graph(list(named.values()))
            if self.in_place:
                self._share(made.executor)
        self._programs[due] = made
        return made

    def _share(self, executor: Any) -> None:
        if self._first is None:
            self._first = executor
        else:
            executor.share(self._first)

    def _probed_graph(self, probes: list[Probe]) -> ProbedGraph:
        recording = self._recording
        return ProbedGraph(recording.graph, recording.idle, probes, recording.gradients)

    def _keep(self, inputs: Sequence[Array], state: list[Array]) -> None:
        if self._sight.keep:
            self._sight.note(Kept(self._recording, [copied(x) for x in inputs], state))


def select_in(recording: Recording, patterns: Iterable[str]) -> list[Probe]:
    """The values in a recording that patterns name."""
    return select(recording.labels, patterns, recording.trail.hidden)
