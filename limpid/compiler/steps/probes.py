"""Running a graph with probes: it computes what it computes without them, and hands out more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from limpid.compiler.steps.preparation import prepare
from limpid.compiler.steps.selection import Probe
from limpid.compiler.steps.statistics import finished, statistic
from limpid.differentiation.rules import RuleRecorder
from limpid.graph.context import absolute_scope, context, recording_into
from limpid.graph.graph import Graph, Reference, is_reference
from limpid.graph.node import Array, Node
from limpid.tensor import Tensor
from limpid.transforms.body import reference_of, tensor_of

Probed = dict[str, Any]  # name → a read-only array, or a number
Found = tuple[Sequence[Any], Any]  # values in the order of the probes, None if noted; notes
SCOPE = "probe"  # of the nodes that compute statistics


class ProbedGraph:
    """A graph with probes among its outputs; `run` takes them out again.

    The graph that is probed is part of `graph` as it is, node by node; statistics are nodes at its
    end. What is probed comes after the outputs that there are without probes, and `idle` slots,
    which only probes may need, after the others. `gradients` are those that an update leaves.
    """

    def __init__(
        self,
        graph: Graph,
        idle: Mapping[str, Node],
        probes: Sequence[Probe],
        gradients: Sequence[tuple[Node, int | None]] = (),
        flags: Sequence[Reference] = (),
    ) -> None:
        self._probes = probes
        self._count = len(graph.outputs)
        with _recording():
            values = [*(_reference(probe) for probe in probes), *flags]
        slots = {**graph.slots, **idle}
        self.graph = Graph(graph.inputs, (*graph.outputs, *values), slots, graph.writes)
        probed = range(self._count, len(self.graph.outputs))
        self.executor = prepare(self.graph, gradients, probed)
        arrays = [place for place, probe in enumerate(probes) if not probe.statistic]
        in_place = self.executor.in_place
        noted: Collection[int] = self.executor.program.noted_numbers if in_place else ()
        self._nothing = [None] * len(probes)
        self._large = [place for place in arrays if self._count + place not in noted]

    def run(
        self, inputs: Sequence[Array], state: Sequence[Array]
    ) -> tuple[list[Any], list[Any], Found]:
        """The outputs, the new values of slots, and what was found."""
        outputs, writes = self.executor.run(inputs, state)
        found = self._kept(outputs[self._count :], (*inputs, *state, *writes))
        return outputs[: self._count], writes, (found, None)

    def found(self, outputs: list[Any], inputs: Sequence[Array]) -> Found:
        """What was found by an `update` of the executor, which gave these outputs."""
        if not self._large:
            return self._nothing, self.executor.notes()
        return self._kept(outputs[self._count :], inputs), self.executor.notes()

    def _kept(self, found: list[Any], others: Sequence[Array]) -> list[Any]:
        """What was found, as arrays to which nobody will write: no caller, and no later step."""
        taken = {id(x) for x in others}
        for place in self._large:
            array = np.asarray(found[place])
            theirs = array.base is not None or id(found[place]) in taken
            found[place] = read_only(array.copy() if theirs else array)
        return found

    def flag(self) -> Array | None:
        """The number that comes last, where native code writes it; None if there is none."""
        number = len(self.graph.outputs) - 1
        if number < self._count + len(self._probes):
            return None
        program = self.executor.program
        noted: Array = program.noted(number, program.buffers.notes)
        return noted

    def named(self, found: Found, places: Iterable[int] | None = None) -> Probed:
        """What was found, by name; statistics as numbers. Only what is at some places, if given."""
        named = {}
        for place in range(len(self._probes)) if places is None else places:
            probe, value = self._probes[place], self._value(place, found)
            if probe.statistic:
                value = finished(probe.statistic, value, _size(probe.value))
            named[probe.name] = value
        return named

    @cached_property
    def places(self) -> dict[str, int]:
        """Where the probes are, by name."""
        return {probe.name: place for place, probe in enumerate(self._probes)}

    def _value(self, place: int, found: Found) -> Any:
        values, notes = found
        if notes is None or values[place] is not None:
            return values[place]
        return read_only(self.executor.program.noted(self._count + place, notes))


def read_only(array: Array) -> Array:
    """A view through which nobody can write."""
    view = array.view()
    view.flags.writeable = False
    return view


def _recording() -> Any:
    return recording_into(RuleRecorder())


def _reference(probe: Probe) -> Reference:
    if not probe.statistic and probe.before is None:
        return probe.value
    context.state.grad_enabled = False
    x = _tensor(probe.value)
    with absolute_scope(SCOPE):
        if probe.before is not None:
            x = x - _tensor(probe.before)
        made = statistic(probe.statistic, x) if probe.statistic else x
    return reference_of(made) if isinstance(made, Tensor) else np.asarray(made)


def _size(value: Reference) -> int:
    """How many elements a value has."""
    if is_reference(value):
        node, index = value
        return int(node.outputs[index].size)
    return int(np.asarray(value).size)


def _tensor(value: Reference) -> Tensor:
    return tensor_of(value) if is_reference(value) else Tensor(None, 0, np.asarray(value))
