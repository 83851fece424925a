"""Running a graph in native code, on state that is updated in place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from limpid.compiler.machine.target import Target
from limpid.compiler.program.translation import translate
from limpid.compiler.program.values import Value
from limpid.compiler.runtime.native import Native
from limpid.compiler.runtime.program import Program
from limpid.compiler.runtime.words import words_tell
from limpid.compiler.steps import known
from limpid.compiler.steps.executor import Executor, explain
from limpid.compiler.steps.holdings import Holdings
from limpid.graph.graph import Graph, is_reference
from limpid.graph.node import Array, Node, next_number
from limpid.graph.source import capture
from limpid.storage import Storage, Write

CALLERS = 3  # frames of limpid above an update, at least
LARGE = 256  # elements from which on an output is given away and not copied


class Compiled:
    """A graph in native code: `run` as `Executor` has it, and `update` of storages in place.

    gradients  leaves, each with the number of the output that its `.grad` becomes, or None
    probes     outputs that are only looked at; the small ones are in `notes`
    """

    in_place = True

    def __init__(
        self,
        graph: Graph,
        target: Target,
        gradients: Sequence[tuple[Node, int | None]] = (),
        probes: Collection[int] = (),
    ) -> None:
        self._graph, self._target = graph, target
        self._gradients, self._probes = gradients, probes
        self._inputs, outputs = len(graph.inputs), len(graph.outputs)
        names = list(graph.slots)
        self._new = [names.index(name) for name in graph.writes]  # slots that are written
        self._left = kept = [number for _, number in gradients if number is not None]
        self._outputs = outputs
        self._results = Results(outputs, kept, list(map(_size, graph.outputs)), probes)
        name = known.name_of(graph, target, kept, probes)
        found: Program | None = None if name is None else known.read(name, target)
        if found is None:
            found = native = self._made()
            if name is not None:
                known.write(name, native)
        self._use(found)

    def _made(self) -> Native:
        """The program."""
        program = translate(self._graph)
        return Native(
            program.outputs,
            self._target,
            {self._outputs + n: self._inputs + slot for n, slot in enumerate(self._new)},
            [truth for truth, _ in program.checks],
            self._explain,
            [*self._left, *self._results.large],
            self._probes,
        )

    def _use(self, program: Program) -> None:
        """Let this one run."""
        self.program = program
        self._holdings = self._own_holdings()
        self._results.forget()
        can_point = words_tell() and program.is_whole
        self._point = program.buffers.pointer(self._inputs) if can_point else None

    def share(self, other: Compiled) -> None:
        """Write to the arrays that another one of the same graph writes to.

        Then the two can take turns, and nothing has to be copied between them.
        """
        if other._holdings.share(self.program):
            self._holdings = other._holdings

    def part(self) -> None:
        """Share with nobody from now on."""
        self._holdings = self._own_holdings()

    def _own_holdings(self) -> Holdings:
        return Holdings(self.program, self._inputs, self._new, self._gradients)

    @property
    def native(self) -> Native:
        """The program with all that can be shown of it: one from the cache is made anew."""
        if not isinstance(self.program, Native):
            self._use(self._made())
        assert isinstance(self.program, Native)
        return self.program

    def run(self, inputs: Sequence[Array], state: Sequence[Array]) -> tuple[list[Any], list[Any]]:
        """The outputs and the new values of slots; nothing is written to."""
        self._holdings.forget()
        native = self.program
        for number in self._left:
            native.renew(number)  # the array before is in somebody's `.grad`
        self._set_inputs(inputs)
        for slot, x in enumerate(state):
            native.buffers.set_input(self._inputs + slot, np.array(x, order="C"))
        if not native.execute():
            self._fail(inputs, state)
        outputs = [native.output(n) for n in range(self._outputs)]
        return outputs, [native.output(self._outputs + n) for n in range(len(self._new))]

    def update(self, inputs: Sequence[Array], read: Sequence[Storage]) -> list[Any]:
        """The outputs; slots and `.grad` have their new values.

        None for what is in `.grad`, and for small outputs that are only looked at.
        """
        native = self.program
        write = self._holdings.hold(read)
        if self._point is None or type(inputs) is not tuple or not self._point(inputs):
            self._set_inputs(inputs)
        if not native.execute():
            self._fail(inputs, [storage.read() for storage in read])
        write.version, write.source = next_number(), capture(CALLERS)
        self._holdings.leave()
        return self._results.taken(native)

    def is_as_before(self, read: Sequence[Storage]) -> bool:
        """Whether slots are as the latest `update` left them, for all that can be told at once."""
        return self._holdings.is_as_before(read)

    @property
    def write(self) -> Write:
        """The latest write of all slots that nobody else has written since an `update`."""
        return self._holdings.write

    def notes(self) -> Array:
        """All small outputs that are only looked at, for `noted` of the program."""
        return self.program.buffers.notes.copy()

    def _set_inputs(self, inputs: Sequence[Array]) -> None:
        set_input = self.program.buffers.set_input
        for number, x in enumerate(inputs):
            set_input(number, x if x.flags.c_contiguous else np.array(x, order="C"))

    def _fail(self, inputs: Sequence[Array], state: Sequence[Array]) -> None:
        """Raise what NumPy raises for these values."""
        Executor(self._graph).run(inputs, state)
        raise AssertionError("native code refused values that NumPy takes")

    def _explain(self, value: Value, operands: Sequence[Array], error: Exception) -> None:
        explain(value.node, list(operands), error)


def _size(output: Any) -> int:
    """The elements of an output of a graph."""
    if is_reference(output):
        node, number = output
        return int(node.outputs[number].size)
    return int(np.size(output))


class Results:
    """Arrays of outputs for whoever called: small ones are copied, large ones given away."""

    def __init__(
        self, count: int, left: Collection[int], sizes: Sequence[int], probes: Collection[int]
    ) -> None:
        own = set(range(count)).difference(left)
        self._small = [n for n in own.difference(probes) if sizes[n] < LARGE]
        self.large = [n for n in sorted(own) if sizes[n] >= LARGE]
        last = count if probes else max([*self._small, *self.large], default=-1) + 1
        self._nothing: list[Any] = [None] * last
        self.forget()

    def forget(self) -> None:
        """They are in other arrays from now on."""
        self._copies: list[tuple[int, Callable[[], Array]]] = []

    def taken(self, native: Program) -> list[Any]:
        """The outputs as they are now; None, or nothing at the end, for those left elsewhere."""
        if not self._copies:
            self._copies = [(n, native.array(n).copy) for n in self._small]
        found = self._nothing.copy()
        for n, copy in self._copies:
            found[n] = copy()
        for n in self.large:
            found[n] = native.array(n)
            native.renew(n)
        return found
