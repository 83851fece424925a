"""Running a graph on NumPy: calls that are planned once; a value is dropped after its last reader.

Whoever runs a graph otherwise has the same `run`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

import numpy as np

from limpid.differentiation.apply import evaluate
from limpid.differentiation.failure import explain_failure
from limpid.differentiation.primitive import Primitive
from limpid.errors import LimpidError
from limpid.graph.context import context
from limpid.graph.graph import Graph, failure, input_specs, is_reference
from limpid.graph.node import Array, Node, Params, Spec

ndarray = np.ndarray
Reference = tuple[Node, int]
_OF_OPERANDS = (ValueError, TypeError, OverflowError)  # what NumPy says of operands that don't fit


class Call(NamedTuple):
    """One node: what it computes from the values in which places, and where that goes."""

    forward: Callable[..., Any]
    operands: tuple[int, ...]
    params: Params
    places: tuple[int, ...]
    last: tuple[int, ...]  # places whose values nobody reads after this
    node: Node


class Executor:
    """Runs a graph: `run(inputs, state)` → (outputs, new values of the slots that it writes).

    inputs, state  arrays, in the order of the graph's inputs and of its slots
    outputs        arrays or numbers, in the order of the graph's outputs; new values in that of
                   its writes

    It writes nothing, and what it gives may share memory with the inputs and the state.
    """

    in_place = False  # whether there is an `update`, too, which writes to storages itself

    def __init__(self, graph: Graph) -> None:
        self._places: dict[Reference, int] = {}
        self._constants: dict[int, int] = {}  # id → place
        self._start: list[Any] = []
        leaves = (*graph.inputs.values(), *graph.slots.values())
        for node in leaves:
            self._place(node)
        self._first = len(leaves)
        made = [self._call(node) for node in graph.nodes]
        self._outputs = [self._find(r) for r in graph.outputs]
        self._writes = [self._find(r) for r in graph.writes.values()]
        self._calls = self._with_last_reads(made)

    def run(self, inputs: Sequence[Any], state: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The outputs and the new values of slots."""
        values = [*inputs, *state, *self._start[self._first :]]
        try:
            for call in self._calls:
                forward, operands, params, places, last, _ = call
                y = forward(*[values[i] for i in operands], **params)
                if type(y) is tuple:
                    for i, part in zip(places, y):
                        values[i] = part if isinstance(part, ndarray) else np.asarray(part)
                else:
                    values[places[0]] = y if type(y) is ndarray else np.asarray(y)
                for i in last:
                    values[i] = None
        except (LimpidError, *_OF_OPERANDS) as error:
            explain(call.node, [values[i] for i in call.operands], error)
        return [values[i] for i in self._outputs], [values[i] for i in self._writes]

    def _place(self, node: Node) -> tuple[int, ...]:
        """New places for the outputs of a node."""
        first = len(self._start)
        places = tuple(range(first, first + len(node.outputs)))
        self._places.update(((node, k), place) for k, place in enumerate(places))
        self._start += [None] * len(places)
        return places

    def _find(self, reference: Any) -> int:
        if is_reference(reference):
            return self._places[reference]
        place = self._constants.get(id(reference))
        if place is None:
            place = self._constants[id(reference)] = len(self._start)
            self._start.append(reference)
        return place

    def _call(self, node: Node) -> Call:
        operands = tuple(
            self._find((x, i) if type(x) is Node else x)
            for x, i in zip(node.inputs, node.indices, strict=True)
        )
        return Call(_forward(node), operands, node.params, self._place(node), (), node)

    def _with_last_reads(self, calls: list[Call]) -> list[Call]:
        """The calls, each with the places that can be emptied after it."""
        seen = {*self._outputs, *self._writes}
        seen.update(self._constants.values())
        last: dict[int, list[int]] = defaultdict(list)
        for number in reversed(range(len(calls))):
            for place in (*calls[number].operands, *calls[number].places):
                if place not in seen:
                    seen.add(place)
                    last[number].append(place)
        return [call._replace(last=tuple(last[number])) for number, call in enumerate(calls)]


def explain(node: Node, operands: list[Any], error: Exception) -> NoReturn:
    """Raise the error as eager would: with the node's line, and the module's path."""
    if isinstance(error, LimpidError):
        raise failure(error, node) from None
    state = context.state
    before = state.scope, state.origin_source
    state.scope, state.origin_source = node.scope, node.source
    try:
        explain_failure(node.op, operands, node.params, error)
    finally:
        state.scope, state.origin_source = before


def _forward(node: Node) -> Callable[..., Any]:
    """The quickest function that computes what the node's primitive evaluates to."""
    op: Any = node.op
    if type(op).evaluate is not Primitive.evaluate:
        return partial(_evaluated, op)
    if op.numeric == "any" or _is_uniform(node):
        return op.forward
    return partial(_promoted, op)


def _is_uniform(node: Node) -> bool:
    """Whether NumPy brings the operands to a common type as limpid does: floats of one type."""
    dtype = None
    for x in input_specs(node):
        if isinstance(x, Spec):
            if x.dtype.kind != "float" or (dtype is not None and x.dtype is not dtype):
                return False
            dtype = x.dtype
        elif type(x) is not float and type(x) is not int:
            return False
    return dtype is not None


def _promoted(op: Any, *values: Array, **params: Any) -> Any:
    return evaluate(op, values, params)


def _evaluated(op: Any, *values: Array, **params: Any) -> Any:
    return op.evaluate(values, params)
