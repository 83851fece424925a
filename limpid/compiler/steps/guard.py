"""Running a recording while NaNs are traced: a flag at each call, and the rest only if it falls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.compiler.steps.flags import NANS_ONLY, STRICT, flag
from limpid.compiler.steps.history import History
from limpid.compiler.steps.probes import ProbedGraph
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.selection import Probe
from limpid.compiler.steps.sight import Observer, Sight, Watch
from limpid.errors import LimpidError, NonFiniteError
from limpid.graph.node import Array
from limpid.graph.registry import operations
from limpid.storage import Storage


class Guard(Watch):
    """A watch that looks at the flag, and at what the call left if it has fallen.

    A call that leaves something that is not finite raises; state is what the call found, and there
    are no gradients of it.
    """

    keeps_history = True  # a benchmark of the flag does without

    def __init__(
        self, sight: Sight, recording: Recording, observers: Sequence[tuple[Observer, list[Probe]]]
    ) -> None:
        super().__init__(sight, recording, observers)
        self._leniency = STRICT
        self._program: Any = None
        self._flag: Any = None  # a view of the number
        graph, names = recording.graph, list(recording.graph.slots)
        self._history = History([names.index(name) for name in graph.writes])

    def run(self, inputs: Sequence[Array], state: Sequence[Array]) -> tuple[list[Any], list[Any]]:
        """What the executor gives; nothing has been written yet."""
        self._sight.number += 1
        try:
            outputs, writes = super().run(inputs, state)
        except LimpidError:
            self._trace(inputs, [*state, *(storage.read() for storage in self._idle)])
            raise
        if not all(map(_is_finite, (*outputs, *writes))):
            whole = [*state, *(storage.read() for storage in self._idle)]
            self._trace(inputs, whole)
        return outputs, writes

    def _updated(
        self,
        inputs: Sequence[Array],
        read: Sequence[Storage],
        due: tuple[bool, ...],
        probed: ProbedGraph | None,
    ) -> list[Any]:
        self._sight.number += 1
        assert probed is not None
        if self.keeps_history:
            as_before = probed.executor.is_as_before(self._storages)
            self._history.note(inputs, read, as_before, probed.executor.write)
        try:
            outputs = super()._updated(inputs, read, due, probed)
        except LimpidError:  # perhaps it was refused because it is not finite; nothing was written
            self._history.forget()
            slots = [storage.read() for storage in (*read, *self._idle)]
            self._trace(inputs, slots)
            raise
        if not self._is_finite(probed):
            self._look(inputs, read, probed)
        return outputs

    def _probed_graph(self, probes: list[Probe]) -> ProbedGraph:
        recording = self._recording
        reference = flag(recording, self._leniency)
        flags = [] if reference is None else [reference]
        return ProbedGraph(recording.graph, recording.idle, probes, recording.gradients, flags)

    def _is_finite(self, probed: ProbedGraph) -> bool:
        """Whether the flag is up."""
        program = probed.executor.program
        if program is not self._program:
            self._program, self._flag = program, probed.flag()
        if self._flag is None:
            return True
        number = self._flag.item()
        return bool(number - number == 0)

    def _look(self, inputs: Sequence[Array], read: Sequence[Storage], probed: ProbedGraph) -> None:
        """The flag has fallen: find out why, and raise; or be more lenient if it means nothing."""
        state = self._history.state(probed.executor)
        self._history.forget()
        idle = [storage.read() for storage in self._idle]
        try:
            self._trace(inputs, [*state, *idle])
        except NonFiniteError:
            for storage, array in zip(read, state, strict=True):
                storage.write(array)
            for node, _ in self._recording.gradients:
                node.retained = None
            raise
        if self._leniency < NANS_ONLY:
            self._leniency += 1
            self._program = None
            self._programs.clear()

    def _trace(self, inputs: Sequence[Array], state: Sequence[Array]) -> None:
        origin = operations["trace_call"](self._recording, inputs, state, self._sight.number)
        if origin is not None:
            self._sight.origin = origin
            raise NonFiniteError(str(origin), origin)


def _is_finite(x: Any) -> bool:
    array = np.asarray(x)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
