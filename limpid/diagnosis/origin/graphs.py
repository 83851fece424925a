"""Tracing in a recorded graph: all of its values, computed node by node on NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from limpid.diagnosis.origin.computation import (
    CONSTANT,
    INPUT,
    STATE,
    Computation,
    Leaf,
    Maker,
    as_tuple,
    has_fault,
)
from limpid.diagnosis.origin.edges import Edge
from limpid.diagnosis.origin.search import Found, search
from limpid.errors import LimpidError
from limpid.graph.graph import Graph, is_reference, pick
from limpid.graph.node import Node

Values = dict[Node, Any]


class NodeRun(Computation):
    """A node of a graph, with the values that it had."""

    def __init__(self, node: Node, run: GraphRun) -> None:
        self.node, self._run = node, run
        self.op, self.params = node.op, node.params
        self.scope, self.source, self.number = node.scope, node.source, node.number
        self.forward = node.origin.node if node.origin is not None else None
        self.after = node.origin is None and node.number > run.last_backward
        self.operands = [
            pick(run.values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)
        ]

    def makers(self) -> Sequence[Maker | None]:
        """Nodes, inputs, state."""
        return [
            self._run.maker(x, i) for x, i in zip(self.node.inputs, self.node.indices, strict=True)
        ]

    def outputs(self) -> Sequence[Any]:
        """As they were computed."""
        return as_tuple(self._run.values[self.node])

    def evaluate(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The primitive on NumPy."""
        return as_tuple(self.op.evaluate(list(operands), self.params))


class GraphRun:
    """A graph that has run: its values, and for each who made it.

    leaves  what inputs and slots are: (kind, name) of each
    """

    def __init__(
        self, graph: Graph, values: Values, leaves: Mapping[Node, tuple[str, str]],
        outside: Mapping[Node, Maker] | None = None,
    ) -> None:  # fmt: skip
        self.graph, self.values = graph, values
        self._leaves, self._outside = leaves, outside or {}
        self._made: dict[Node, NodeRun] = {}
        backward = [node.number for node in graph.nodes if node.origin is not None]
        self.last_backward = max(backward, default=float("inf"))

    def computation(self, node: Node) -> NodeRun:
        """What a node did."""
        if node not in self._made:
            self._made[node] = NodeRun(node, self)
        return self._made[node]

    def maker(self, x: Any, index: int) -> Maker:
        """What made an operand."""
        if type(x) is not Node:
            return Leaf(CONSTANT, "", x)
        if x in self._outside:
            return self._outside[x]
        if x in self._leaves:
            return Leaf(*self._leaves[x], self.values[x])
        return self.computation(x), index

    def search(self, reference: Any) -> Found | None:
        """The birth of what is not finite in a value."""
        if not is_reference(reference) or not has_fault(np.asarray(pick(self.values, *reference))):
            return None
        made = self.maker(*reference)
        if isinstance(made, Leaf):
            return None  # it is handed on as it came
        found = search(made)
        return None if found is None else self._opened(found)

    def _opened(self, found: Found) -> Found:
        """Of a loop or a branch: the birth in its body."""
        computation = found.place[0]
        if found.leaf is not None or not isinstance(computation, NodeRun):
            return found
        if any(isinstance(x, Graph) for x in computation.params.values()):
            inner = birth_within(computation)
            if inner is not None:
                return replace(inner, path=[*inner.path, *found.path])
        return found

    def edge_of(
        self, node: Node, upstream: Mapping[tuple[Node, int], Sequence[Any]]
    ) -> Edge | None:
        """The edge that a backward node is part of, where its upstream is known."""
        origin = node.origin
        if origin is None or origin.node not in self.values or origin.role == "sum":
            return None
        forward = origin.node
        found = []
        for k in range(len(forward.outputs)):
            known = upstream.get((forward, k), ())
            value = pick(self.values, *known[0]) if known and self._knows(known[0]) else None
            found.append(value)
        if any(g is None for g in found) or len(found) > 1:
            return None
        try:
            operands = [
                pick(self.values, x, i)
                for x, i in zip(forward.inputs, forward.indices, strict=True)
            ]
        except KeyError:
            return None
        values = found, self.values[forward], operands
        none: list[Maker | None] = [None] * (len(operands) + 2)
        return Edge(forward, origin.argument, values, none, node.number, lambda: operands)

    def _knows(self, reference: Any) -> bool:
        return is_reference(reference) and reference[0] in self.values


def evaluated(
    graph: Graph, inputs: Sequence[Any], state: Sequence[Any]
) -> tuple[Values, Node | None]:
    """The values of all nodes on NumPy; of those before the node that refuses its operands."""
    values: Values = dict(zip(graph.inputs.values(), inputs, strict=True))
    values.update(zip(graph.slots.values(), state, strict=True))
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            operands = [pick(values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]
            try:
                values[node] = node.op.evaluate(operands, node.params)
            except LimpidError:
                return values, node
    return values, None


def leaves_of(graph: Graph) -> dict[Node, tuple[str, str]]:
    """What inputs and slots are called."""
    found = {node: (INPUT, name) for name, node in graph.inputs.items()}
    found.update((node, (STATE, name)) for name, node in graph.slots.items())
    return found


# Bodies of loops and branches


class Iteration(NamedTuple):
    """A body that ran: its graph, what it was given, what it gave."""

    graph: Graph
    inputs: Sequence[Any]


class _Noting(Graph):
    """The graph of a body that notes how it is run."""

    def evaluate(self, inputs: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """As any graph."""
        noted: list[Iteration] = self.__dict__.setdefault("noted", [])
        noted.append(Iteration(self, list(inputs)))
        return super().evaluate(inputs)


def birth_within(computation: NodeRun) -> Found | None:
    """The first birth in the bodies of a node, whatever primitive it is: it runs graphs."""
    noting = {
        name: _Noting(x.inputs, x.outputs, x.slots, x.writes, x.titles)
        for name, x in computation.params.items()
        if isinstance(x, Graph)
    }
    try:
        with np.errstate(all="ignore"):
            computation.op.evaluate(computation.operands, {**computation.params, **noting})
    except Exception:
        return None
    for graph in noting.values():
        for iteration in graph.__dict__.get("noted", ()):
            for found in _births(iteration):
                return found
    return None


def _births(iteration: Iteration) -> Iterator[Found]:
    """Births in one run of a body; what came in belongs to an earlier one."""
    graph = iteration.graph
    values, refused = evaluated(graph, iteration.inputs, ())
    if refused is not None:
        return
    run = GraphRun(graph, values, leaves_of(graph))
    for reference in graph.outputs:
        found = run.search(reference)
        if found is not None and (found.leaf is None or found.leaf.kind == CONSTANT):
            yield found
