"""What a step in native code writes to: the arrays of slots, and of the gradients that it leaves.

An array is written to only if nobody else holds it: whoever has taken one, or a view of one, keeps
what he saw, and the step goes on with another. How often Python objects are held tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import Any

import numpy as np

from limpid.compiler.machine import anatomy
from limpid.compiler.runtime.program import Program
from limpid.compiler.runtime.references import References
from limpid.compiler.runtime.words import Words, words_tell
from limpid.graph.context import context
from limpid.graph.node import Array, Node
from limpid.storage import Storage, Write
from limpid.tensor import Tensor


class Holdings:
    """The storages that native code reads and writes, and the gradients that it leaves.

    Programs of one graph, of which some are probed, can share what they write: then whichever runs
    finds everything as it would be had it run before.

    first      the number of the first slot among the inputs
    written    slots that are written
    gradients  leaves, each with the number of the output that its `.grad` becomes, or None
    """

    def __init__(
        self,
        native: Program,
        first: int,
        written: Sequence[int],
        gradients: Sequence[tuple[Node, int | None]],
    ) -> None:
        self._programs, self._first, self._written = [native], first, written
        self._nodes = [node for node, number in gradients if number is not None]
        self._numbers = [number for _, number in gradients if number is not None]
        self._absent = [node for node, number in gradients if number is None]
        self.write = Write()
        self.forget()

    def share(self, program: Program) -> bool:
        """Let another program of the same graph write to the same arrays, if it lays them out so.

        Its inputs, slots and gradients are those of the first; more slots may follow on.
        """
        own = self._programs[0]
        for number in self._numbers:
            a, b = own.array(number), program.array(number)
            if (a.shape, a.strides, a.dtype) != (b.shape, b.strides, b.dtype):
                return False
        self._programs.append(program)
        self.forget()
        return True

    def forget(self) -> None:
        """Look at everything again next time."""
        self._storages: Sequence[Storage] = []
        self._holders: list[Any] = []  # kept alive, so that they count
        self._latest: list[Write] = []  # of each storage when it was looked at
        self._arrays: list[Array] = []  # of slots that are written
        self._tensors: list[Tensor] = []  # in `.grad`
        self._mine = References([])  # all that nobody else may hold
        self._is_known = False  # whether that was looked at since it was written
        self._words: Words | None = None  # that show all of it

    def hold(self, storages: Sequence[Storage]) -> Write:
        """Before a run: let it use what the storages hold; the write that all updates share."""
        if not self.is_as_before(storages):
            journal = context.state.journal
            if journal is not None:
                for slot in self._written:
                    journal.note(storages[slot])
            self._look(storages)
        return self.write

    def leave(self) -> None:
        """After a run: `.grad` of the leaves is what was computed."""
        if not self._is_known:
            for place, node in enumerate(self._nodes):
                _retain(node, self._tensors[place])  # no variable: it would be counted
            self._mine = References(self._watched())
            self._is_known = True
        for node in self._absent:
            _retain(node, None)

    def is_as_before(self, storages: Sequence[Storage]) -> bool:
        """Whether all arrays are those of the last run, and nobody else has taken one."""
        if not self._is_known or context.state.journal is not None:
            return False
        if storages is not self._storages and not all(map(is_, storages, self._storages)):
            return False
        if self._words is not None:
            return bool(self._words.unchanged())
        if not self._mine.unchanged() or not self._are_same(storages):
            return False
        self._words = self._shown()
        return True

    def _are_same(self, storages: Sequence[Storage]) -> bool:
        """Whether nobody has written to storages and gradients."""
        try:
            retained: Any = [node.retained[0] for node in self._nodes]  # type: ignore[index]  # caught
        except (TypeError, KeyError):
            return False
        latest = [storage.latest for storage in storages]
        return all(map(is_, latest, self._latest)) and all(map(is_, retained, self._tensors))

    def _shown(self) -> Words | None:
        """Words that show that nothing has changed, where there are any."""
        if not words_tell():
            return None
        pairs = self._mine.pairs()
        for storage, latest in zip(self._storages, self._latest, strict=True):
            pairs += anatomy.of_slot(storage, _LATEST, latest)
        for node, tensor in zip(self._nodes, self._tensors, strict=True):
            retained = node.retained or {}
            held = anatomy.of_entries(retained, {0: tensor})
            if held is None:
                return None
            pairs += [*anatomy.of_slot(node, _RETAINED, retained), *held]
        return Words(pairs)

    def _look(self, storages: Sequence[Storage]) -> None:
        """Find the arrays of storages that somebody wrote, and others for those that are held."""
        held, written = self._held(), set(self._written)
        self._mine, self._is_known, self._words = References([]), False, None
        is_other = False
        for slot, storage in enumerate(storages):
            same = bool(self._latest) and storage is self._storages[slot]
            same = same and storage.latest is self._latest[slot]
            if slot in written and (not same or id(storage.array) in held):
                self._own(storage)
                same, is_other = False, True
            if not same:
                array = np.asarray(storage.array, order="C")
                for program in self._programs:
                    program.buffers.set_input(self._first + slot, array)
                del array  # which would be counted
        if is_other:
            self._show_others(storages)
        self._renew(held)
        self._arrays = [storages[slot].array for slot in self._written]
        self._holders = [storage.holder() for storage in storages if type(storage) is Storage]
        self._latest = [storage.latest for storage in storages]
        self._storages = storages

    def _watched(self) -> list[Any]:
        return [*self._arrays, *map(self._programs[0].array, self._numbers), *self._tensors]

    def _held(self) -> set[int]:
        """The ids of arrays and tensors that somebody else may hold."""
        if not self._is_known:
            return {id(x) for x in self._watched()} if self._latest else set()
        retained = {id((node.retained or {}).get(0)) for node in self._nodes}
        lost = {id(x) for x in self._tensors} - retained  # nobody can tell who else holds these
        return lost | self._mine.changed()

    def _own(self, storage: Storage) -> None:
        """Give a storage an array that nobody else holds."""
        latest = storage.latest
        storage.restore((np.array(storage.array, order="C"), latest))
        self.write.version = max(self.write.version, latest.version)
        storage.latest = self.write

    def _show_others(self, storages: Sequence[Storage]) -> None:
        """Arrays were replaced: another write, by which other steps know that they must look."""
        self.write = Write(self.write.version, self.write.source)
        for slot in self._written:
            storages[slot].latest = self.write

    def _renew(self, held: set[int]) -> None:
        """Other arrays for gradients that somebody holds."""
        if not self._tensors:
            self._tensors = [Tensor(None, 0, self._new_array(n)) for n in self._numbers]
            return
        for place, number in enumerate(self._numbers):
            tensor = self._tensors[place]
            if id(tensor) in held or id(tensor._value) in held:
                self._tensors[place] = Tensor(None, 0, self._new_array(number))

    def _new_array(self, number: int) -> Array:
        """Another array for a gradient, which all programs write to."""
        first, *others = self._programs
        made = first.renew(number)
        for program in others:
            program.take(number, made)
        return made


def _retain(node: Node, gradient: Tensor | None) -> None:
    if node.retained is None:
        node.retained = {}
    node.retained[0] = gradient


_LATEST, _RETAINED = anatomy.slot(Storage, "latest"), anatomy.slot(Node, "retained")
