"""Running a graph with probes: it computes what it computes without them, and hands out more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np

from limpid.compiler.steps.preparation import prepare
from limpid.compiler.steps.selection import Probe
from limpid.differentiation.kinds import CONSTANT
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.rules import RuleRecorder
from limpid.graph.context import absolute_scope, context, recording_into
from limpid.graph.dtype import as_dtype
from limpid.graph.graph import Graph, Reference, is_reference
from limpid.graph.node import Array, Node, Spec
from limpid.graph.registry import operations
from limpid.tensor import Tensor
from limpid.transforms.body import reference_of, tensor_of

Probed = dict[str, Any]  # name → a read-only array, or a number
Found = tuple[Sequence[Any], Any]  # values in the order of the probes, None if noted; notes
EMPTY = float("nan")  # what has no elements has no mean, no extremes and no shares
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

    def named(self, found: Found) -> Probed:
        """What was found, by name; statistics as numbers."""
        values = (self._value(place, found) for place in range(len(self._probes)))
        return {
            probe.name: _number(probe.statistic, value) if probe.statistic else value
            for probe, value in zip(self._probes, values, strict=True)
        }

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


# Statistics, in double precision


def _number(statistic: str, value: Any) -> Any:
    number = np.asarray(value).item()
    return sqrt(number) if statistic == "norm" else number


def _recording() -> Any:
    return recording_into(RuleRecorder())


def _reference(probe: Probe) -> Reference:
    if not probe.statistic:
        return probe.value
    context.state.grad_enabled = False
    value = probe.value
    x = tensor_of(value) if is_reference(value) else Tensor(None, 0, np.asarray(value))
    with absolute_scope(SCOPE):
        made = _STATISTICS[probe.statistic](x)
    return reference_of(made) if isinstance(made, Tensor) else np.asarray(made)


def _square_sum(x: Array) -> Any:
    return np.sum(np.square(x, dtype=np.float64))


def _native_square_sum(x: Any) -> Any:
    wide = x.astype(np.float64)
    return np.vdot(wide, wide)


_squares = Primitive(
    "squares",
    _square_sum,
    [CONSTANT],
    shape=lambda x: Spec((), as_dtype("float64")),
    relation=None,
    math=None,
    numeric="any",
    native=_native_square_sum,
    registered=False,
)


def _mean(x: Tensor) -> Any:
    return operations["mean"](operations["astype"](x, "float64")) if x.size else EMPTY


def _zeros(x: Tensor) -> Any:
    if not x.size:
        return EMPTY
    return operations["mean"](operations["astype"](operations["equal"](x, 0), "float64"))


def _nan(x: Tensor) -> Any:
    if x.dtype.kind != "float":
        return 0
    return operations["sum"](operations["astype"](operations["isnan"](x), "int64"))


def _extreme(name: str) -> Callable[[Tensor], Any]:
    def extreme(x: Tensor) -> Any:
        if not x.size:
            return EMPTY
        plain = operations["astype"](x, "int8") if x.dtype.kind == "bool" else x
        return operations[name](plain)

    return extreme


_STATISTICS: dict[str, Callable[[Tensor], Any]] = {
    "norm": _squares,
    "mean": _mean,
    "max": _extreme("max"),
    "min": _extreme("min"),
    "nan": _nan,
    "zeros": _zeros,
}
