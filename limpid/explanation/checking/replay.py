"""A graph of the same function, whose backward pass can be run with one thing changed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.rules import downstream, fit
from limpid.explanation.checking.subject import Subject, Trace
from limpid.explanation.values import forward_values
from limpid.graph.graph import pick
from limpid.graph.node import Array, Node, reachable
from limpid.graph.source import locate
from limpid.transforms.point import Vector


class Edge(NamedTuple):
    """One operand of one node."""

    node: Node
    i: int


class Passing(NamedTuple):
    """What meets at an edge."""

    edge: Edge
    g: Any
    y: Any
    operands: list[Any]

    def passed(self, **changes: Any) -> Any:
        """What the rule gives, with some of these changed."""
        at = self._replace(**changes)
        return downstream(at.edge.node.op, at.edge.i, at.g, at.y, at.operands, at.edge.node.params)


Change = Callable[[Passing], Any]  # what passes along a changed edge; None for nothing


class Bridge(NamedTuple):
    """From a value straight to one below it, with another local derivative."""

    above: Node
    below: Node
    local: Any
    first: int  # the first operand of `above` that carries a gradient


class Replay:
    """The backward pass of a trace, as often as wanted."""

    def __init__(self, trace: Trace, source: Subject) -> None:
        self.trace, self.source = trace, source
        self.nodes = reachable([y.node for y in trace.outputs])
        self.values = forward_values(self.nodes)
        self.needed = self._needed()
        self.edges = [
            Edge(node, i)
            for node in reversed(self.nodes)
            if node.requires_grad
            for i, parent in enumerate(node.inputs)
            if isinstance(parent, Node) and self._passes(node, i, parent)
        ]
        self.quiet: set[Any] = set()
        self.quiet = self._find_quiet()

    def _passes(self, node: Any, i: int, parent: Node) -> bool:
        return parent in self.needed and bool(node.op.differentiable >> i & 1)

    def _needed(self) -> set[Any]:
        """Nodes that depend on an input."""
        found: set[Any] = set(self.trace.inputs)
        for node in self.nodes:
            if any(x in found for x in node.inputs if isinstance(x, Node)):
                found.add(node)
        return found

    def uses(self, node: Any) -> int:
        """How many edges lead to a node."""
        return sum(edge.node.inputs[edge.i] is node for edge in self.edges)

    def operands(self, node: Node) -> list[Any]:
        """The values of what a node takes."""
        return [pick(self.values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]

    def pull(
        self,
        gs: Vector,
        changed: Collection[Edge] = (),
        change: Change = Passing.passed,
        bridge: Bridge | None = None,
    ) -> Vector:
        """The gradients of the inputs, with what passes along some edges changed."""
        arrived = self.arrivals(gs, changed, change, bridge)
        return [self._arrived(arrived, node) for node in self.trace.inputs]

    def arrivals(
        self,
        gs: Vector,
        changed: Collection[Edge] = (),
        change: Change = Passing.passed,
        bridge: Bridge | None = None,
    ) -> dict[Any, Any]:
        """The gradient that arrives at every output of every node."""
        arrived: dict[Any, Any] = {}
        for y, g in zip(self.trace.outputs, gs, strict=True):
            _add(arrived, (y.node, y.index), g)
        for edge in self.edges:
            node, i = edge
            g = self._upstream(arrived, node)
            if g is None:
                continue
            if bridge is not None and node is bridge.above:
                if i == bridge.first:
                    _add(arrived, (bridge.below, 0), np.asarray(bridge.local * g))
                continue
            passing = Passing(edge, g, self.values[node], self.operands(node))
            passed = change(passing) if edge in changed else passing.passed()
            parent, index = node.inputs[i], node.indices[i]
            if passed is not None and (parent, index) not in self.quiet:
                fitted = fit(np.asarray(passed), parent.outputs[index], node.op)
                _add(arrived, (parent, index), np.asarray(fitted))
        return arrived

    def _find_quiet(self) -> set[Any]:
        """Values at which all contributions cancel, such as a maximum that is only taken off.

        People leave these out, and rightly.
        """
        rng = np.random.default_rng(1)
        gs = [np.asarray(rng.normal(size=y.shape)) for y in self.trace.outputs]
        arrived = self.arrivals(gs)
        largest = max((np.abs(g).max(initial=0) for g in arrived.values()), default=0.0)
        inputs = {(node, 0) for node in self.trace.inputs}
        return {
            key
            for key, g in arrived.items()
            if key not in inputs and np.abs(g).max(initial=0) <= 1e-12 * largest
        }

    def _upstream(self, arrived: dict[Any, Any], node: Node) -> Any:
        parts = [arrived.get((node, k)) for k in range(len(node.outputs))]
        if all(p is None for p in parts):
            return None
        full = [
            np.zeros(s.shape, s.dtype.storage) if p is None else p
            for p, s in zip(parts, node.outputs, strict=True)
        ]
        return full[0] if len(full) == 1 else tuple(full)

    def _arrived(self, arrived: dict[Any, Any], node: Node) -> Array:
        g = arrived.get((node, 0))
        return np.zeros(node.outputs[0].shape) if g is None else np.asarray(g)


def _add(arrived: dict[Any, Any], key: Any, g: Any) -> None:
    arrived[key] = arrived[key] + g if key in arrived else g


def place(node: Node) -> str:
    """Where a node comes from in the user's program."""
    found = locate(node.source)
    return f"{node.op.name} ({found})" if found else str(node.op.name)
