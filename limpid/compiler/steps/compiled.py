"""Running a graph in native code, on state that is updated in place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from limpid.compiler.machine.target import Target
from limpid.compiler.program.translation import translate
from limpid.compiler.program.values import Value
from limpid.compiler.runtime.native import Native
from limpid.compiler.steps.executor import Executor, explain
from limpid.compiler.steps.holdings import Holdings
from limpid.graph.graph import Graph
from limpid.graph.node import Array, Node, next_number
from limpid.graph.source import capture
from limpid.storage import Storage

LARGE = 256  # elements from which on an output is given away and not copied


class Compiled:
    """A graph in native code: `run` as `Executor` has it, and `update` of storages in place.

    gradients  leaves, each with the number of the output that its `.grad` becomes, or None
    probes     outputs that are only looked at
    """

    in_place = True

    def __init__(
        self,
        graph: Graph,
        target: Target,
        gradients: Sequence[tuple[Node, int | None]] = (),
        probes: Collection[int] = (),
    ) -> None:
        self._graph = graph
        self._inputs, outputs = len(graph.inputs), len(graph.outputs)
        names = list(graph.slots)
        self._new = [names.index(name) for name in graph.writes]  # slots that are written
        program = translate(graph)
        self._left = kept = [number for _, number in gradients if number is not None]
        self._results = Results(outputs, kept, [x.size for x in program.outputs])
        self.native = Native(
            program.outputs,
            target,
            {outputs + n: self._inputs + slot for n, slot in enumerate(self._new)},
            [truth for truth, _ in program.checks],
            self._explain,
            [*kept, *self._results.large],
            probes,
        )
        self._outputs = outputs
        self._holdings = Holdings(self.native, self._inputs, self._new, gradients)

    def run(self, inputs: Sequence[Array], state: Sequence[Array]) -> tuple[list[Any], list[Any]]:
        """The outputs and the new values of slots; nothing is written to."""
        self._holdings.forget()
        native = self.native
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
        """The outputs; slots and `.grad` have their new values. None for what is in `.grad`."""
        native = self.native
        write = self._holdings.hold(read)
        self._set_inputs(inputs)
        if not native.execute():
            self._fail(inputs, [storage.read() for storage in read])
        write.version, write.source = next_number(), capture()
        self._holdings.leave()
        return self._results.taken(native)

    def _set_inputs(self, inputs: Sequence[Array]) -> None:
        set_input = self.native.buffers.set_input
        for number, x in enumerate(inputs):
            set_input(number, x if x.flags.c_contiguous else np.array(x, order="C"))

    def _fail(self, inputs: Sequence[Array], state: Sequence[Array]) -> None:
        """Raise what NumPy raises for these values."""
        Executor(self._graph).run(inputs, state)
        raise AssertionError("native code refused values that NumPy takes")

    def _explain(self, value: Value, operands: Sequence[Array], error: Exception) -> None:
        explain(value.node, list(operands), error)


class Results:
    """Arrays of outputs for whoever called: small ones are copied, large ones given away."""

    def __init__(self, count: int, left: Collection[int], sizes: Sequence[int]) -> None:
        self._count = count
        self._small = [n for n in range(count) if n not in left and sizes[n] < LARGE]
        self.large = [n for n in range(count) if n not in left and sizes[n] >= LARGE]
        self._arrays: list[Array] = []

    def taken(self, native: Native) -> list[Any]:
        """The outputs as they are now; None for those that are left elsewhere."""
        if not self._arrays:
            self._arrays = [native.array(n) for n in self._small]
        found: list[Any] = [None] * self._count
        for n, array in zip(self._small, self._arrays):
            found[n] = array.copy()
        for n in self.large:
            found[n] = native.array(n)
            native.renew(n)
        return found
