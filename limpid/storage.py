"""Where values of slots live."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from limpid.graph.context import context
from limpid.graph.dtype import dtype_of
from limpid.graph.node import Array, next_number
from limpid.graph.source import Source, capture

Snapshot = tuple[Array, "Write"]


class Write:
    """When and where storages were written; those that were written at once share one.

    version  the running number at that time
    """

    __slots__ = ("source", "version")

    def __init__(self, version: int = 0, source: Source | None = None) -> None:
        self.version = version
        self.source = source


class Storage:
    """Where the value of a slot lives; only `assign` writes it.

    A write puts a new array in the place of the old one and never changes an array, so whoever
    holds the old one (a saved value, a view made by reshape, an exported NumPy view) keeps it. A
    compiled step does write into an array that nobody else holds. `latest` is the latest write: a
    node with a number smaller than its version has seen an older value. `layout` names the order of
    the elements; "rows" is NumPy's.
    """

    __slots__ = ("array", "dtype", "holder", "latest", "layout")

    def __init__(self, array: Array, holder: Any) -> None:
        self.array = array
        self.dtype = dtype_of(array.dtype)
        self.layout = "rows"
        self.holder = weakref.ref(holder)  # the tensor that stands for the slot
        self.latest = Write()

    @property
    def version(self) -> int:
        """The running number at the latest write."""
        return self.latest.version

    @property
    def written(self) -> Source | None:
        """Where the latest write was."""
        return self.latest.source

    def read(self) -> Array:
        """The value as a NumPy array in NumPy's layout."""
        return self.array

    def write(self, array: Array, source: Source | None = None) -> None:
        """Replace the value; it has a new version. The array now belongs to the slot."""
        journal = context.state.journal
        if journal is not None:
            journal.note(self)
        self.restore((array, Write(next_number(), source or capture())))

    def snapshot(self) -> Snapshot:
        """The value and its latest write; `restore` goes back to it."""
        return self.array, self.latest

    def restore(self, snapshot: Snapshot) -> None:
        """Be as when the snapshot was taken."""
        self.array, latest = snapshot
        self.latest = Write(latest.version, latest.source)  # another one: this is no array of it
        holder = self.holder()
        if holder is not None:
            holder._value = self.array


def write_all(storages: Sequence[Storage], arrays: Sequence[Array], source: Source | None) -> None:
    """`write` for several at once."""
    journal = context.state.journal
    write = Write(next_number(), source)
    for storage, array in zip(storages, arrays):
        if journal is not None:
            journal.note(storage)
        storage.array, storage.latest = array, write
        holder = storage.holder()
        if holder is not None:
            holder._value = array


class Journal:
    """The storages that were written on this thread, each with what it held before the first write.

    Random generators are storages, too: to go back is to draw the same numbers again.
    """

    def __init__(self, outer: Journal | None = None) -> None:
        self.outer = outer
        self.before: dict[Storage, Snapshot] = {}

    def note(self, storage: Storage) -> None:
        """The storage is about to be written."""
        if storage not in self.before:
            self.before[storage] = storage.snapshot()
        if self.outer is not None:
            self.outer.note(storage)

    def now(self) -> dict[Storage, Snapshot]:
        """What the same storages hold at present."""
        return {storage: storage.snapshot() for storage in self.before}


def restore_all(snapshots: dict[Storage, Snapshot]) -> None:
    """Let storages be as when the snapshots were taken."""
    for storage, snapshot in snapshots.items():
        storage.restore(snapshot)


@contextmanager
def writes_noted() -> Iterator[Journal]:
    """Writes inside are noted in a journal."""
    state = context.state
    outer = state.journal
    state.journal = Journal(outer)
    try:
        yield state.journal
    finally:
        state.journal = outer


@contextmanager
def writes_undone(start: Mapping[Storage, Snapshot] | None = None) -> Iterator[Journal]:
    """Storages hold what they held at the start; whatever is written inside is undone after."""
    state = context.state
    outer = state.journal
    present = {storage: storage.snapshot() for storage in start or {}}
    journal = state.journal = Journal()
    try:
        restore_all(dict(start or {}))
        yield journal
    finally:
        state.journal = outer
        restore_all(journal.before)
        restore_all(present)
