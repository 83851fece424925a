"""What state was before a call, without a copy of it at each call.

State is copied now and then; the calls since are known by their arguments, and by what others wrote
in between, such as a learning rate. The state before the latest is what these calls make of the
copy: native code gives the same bits again. An array that
comes as an argument is kept as it is, unless it came before: then it may be a buffer that the
caller fills anew, and is copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.steps.replay import copied
from limpid.graph.node import Array
from limpid.storage import Storage, Write

CALLS = 256  # that are done again at most
SHARE = 0.25  # of the slots that others may write before all are copied
BYTES = 64 * 1024 * 1024  # of arguments that are kept


class Call(NamedTuple):
    """A call: its arguments, and the slots that somebody had written before, {number: value}."""

    inputs: Sequence[Array]
    changed: Mapping[int, Array]


class History:
    """The latest calls of a recording.

    written  the numbers of the slots that it writes
    """

    def __init__(self, written: Sequence[int]) -> None:
        self._written = frozenset(written)
        self._order = list(written)
        self._start: list[Array] = []  # copies of the slots
        self._calls: list[Call] = []
        self._latest: list[Write] = []  # of each slot, when it was last looked at
        self._known: set[int] = set()  # ids of arguments that are kept
        self._bytes = 0
        self._copies = False  # whether arguments come again

    def note(
        self, inputs: Sequence[Array], read: Sequence[Storage], as_before: bool, write: Write
    ) -> None:
        """A call is about to run.

        as_before  whether slots are as the latest call left them
        write      marks what the step has written
        """
        changed: Mapping[int, Array] = {}
        if not self._calls or len(self._calls) >= CALLS or self._bytes > BYTES:
            self._begin(read)
        elif not as_before:
            changed = self._changed(read, write)
        ids = set(map(id, inputs))
        if not self._copies and not ids.isdisjoint(self._known):
            self._copies = True
            self._begin(read)
        if self._copies:
            inputs = [copied(x) for x in inputs]
        else:
            self._known |= ids
        self._calls.append(Call(inputs, changed))
        for x in inputs:
            self._bytes += x.nbytes

    def _begin(self, read: Sequence[Storage]) -> None:
        """Copy the state, and forget what was before."""
        self._calls, self._known, self._bytes = [], set(), 0
        if len(self._start) != len(read):
            self._start = [storage.read().copy() for storage in read]
        for copy, storage in zip(self._start, read, strict=True):
            np.copyto(copy, storage.read())
        self._latest = [storage.latest for storage in read]

    def _changed(self, read: Sequence[Storage], write: Write) -> Mapping[int, Array]:
        """What others have written since the latest call; `write` marks what the step wrote."""
        found = {}
        for slot, storage in enumerate(read):
            latest = storage.latest
            if latest is not (write if slot in self._written else self._latest[slot]):
                found[slot] = storage.read().copy()
                self._latest[slot] = latest
                self._bytes += found[slot].nbytes
        if len(found) > len(read) * SHARE:
            self._begin(read)
            return {}
        return found

    def state(self, executor: Any) -> list[Array]:
        """What the slots held before the latest call, in arrays of its own."""
        state = [x.copy() for x in self._start]
        for number, (inputs, changed) in enumerate(self._calls, 1):
            for slot, array in changed.items():
                state[slot] = array.copy()
            if number < len(self._calls):
                _, writes = executor.run(inputs, state)
                for slot, new in zip(self._order, writes, strict=True):
                    state[slot] = np.array(new, order="C").reshape(state[slot].shape)
        return state

    def forget(self) -> None:
        """Begin anew with the next call."""
        self._calls = []
