"""What state was before a call, without a copy of it at each call.

State is copied now and then; the calls since are known by their arguments. The state before the
latest is what these calls make of the copy: native code gives the same bits again. An array that
comes as an argument is kept as it is, unless it came before: then it may be a buffer that the
caller fills anew, and is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.compiler.steps.replay import copied
from limpid.graph.node import Array
from limpid.storage import Storage

CALLS = 256  # that are done again at most
BYTES = 64 * 1024 * 1024  # of arguments that are kept


class History:
    """The latest calls of a recording.

    written  the numbers of the slots that it writes
    """

    def __init__(self, written: Sequence[int]) -> None:
        self._written = written
        self._start: list[Array] = []  # copies of the slots
        self._calls: list[Sequence[Array]] = []
        self._known: set[int] = set()  # ids of arguments that are kept
        self._bytes = 0
        self._copies = False  # whether arguments come again

    def note(self, inputs: Sequence[Array], read: Sequence[Storage], as_before: bool) -> None:
        """A call is about to run; `as_before`: on the state that the latest has left."""
        if not as_before or len(self._calls) >= CALLS or self._bytes > BYTES:
            self._begin(read)
        ids = set(map(id, inputs))
        if not self._copies and not ids.isdisjoint(self._known):
            self._copies = True
            self._begin(read)
        if self._copies:
            inputs = [copied(x) for x in inputs]
        else:
            self._known |= ids
        self._calls.append(inputs)
        for x in inputs:
            self._bytes += x.nbytes

    def _begin(self, read: Sequence[Storage]) -> None:
        """Copy the state, and forget what was before."""
        self._calls, self._known, self._bytes = [], set(), 0
        if len(self._start) != len(read):
            self._start = [storage.read().copy() for storage in read]
        for copy, storage in zip(self._start, read, strict=True):
            np.copyto(copy, storage.read())

    def state(self, executor: Any) -> list[Array]:
        """What the slots held before the latest call, in arrays of its own."""
        state = [x.copy() for x in self._start]
        for inputs in self._calls[:-1]:
            _, writes = executor.run(inputs, state)
            for slot, new in zip(self._written, writes, strict=True):
                state[slot] = np.array(new, order="C").reshape(state[slot].shape)
        return state

    def forget(self) -> None:
        """Begin anew with the next call."""
        self._calls, self._start = [], []
