"""The backward pass once more, one node at a time, with everything kept that it sees."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.differentiation.absence import absence_in
from limpid.differentiation.kinds import Local
from limpid.differentiation.rules import downstream, fit
from limpid.differentiation.saved import zeros
from limpid.explanation.values import forward_values
from limpid.graph.graph import pick
from limpid.graph.node import Array, Node, reachable
from limpid.tensor import Tensor

Output = tuple[Node, int]  # a node and the number of one of its outputs


@dataclass(frozen=True)
class Pass:
    """A forward pass in numbers, and where the backward pass of it begins.

    totals  gradients of outputs of nodes, where they are known from elsewhere; else they are the
            sums of what edges bring
    """

    nodes: Sequence[Node]
    output: Output
    values: Mapping[Node, Any]
    seed: Any
    totals: Mapping[Output, Any] | None = None


@dataclass(frozen=True, eq=False)
class Passage:
    """What one node passes to one of its operands: upstream × local = downstream."""

    node: Node
    operand: int
    to: Output
    upstream: tuple[Array | None, ...]  # for each output of the node
    local: Any  # an array, ±1, or None where there is no elementwise local
    downstream: Array
    absent: int = 0  # elements through which nothing passes, since a safe choice left them out

    @property
    def arrived(self) -> Array:
        """The upstream of the node's first output that has one."""
        return next(g for g in self.upstream if g is not None)


class Walk:
    """Goes backward through a pass as the engine does, and changes nothing.

    active  the nodes that it goes to; without it all that have gradients
    """

    def __init__(self, given: Pass, active: Collection[Node] | None = None) -> None:
        self.nodes, self.end, self.values = given.nodes, given.output, given.values
        self.totals = given.totals or {}
        self.active = active
        self.arrived: dict[Output, list[Array]] = {self.end: [given.seed]}
        self.absence = absence_in(given.nodes, [self.end], False)
        self.blocked: list[tuple[Node, int]] = []  # operands for which a rule gave None

    def passages(self) -> Iterator[Passage]:
        """Every edge in backward order. What a node passes on is computed when it is its turn."""
        for node in reversed(self.nodes):
            if node.inputs and self.reaches(node):
                yield from self.through(node)

    def reaches(self, node: Node) -> bool:
        """Whether gradients of this node are asked for."""
        return node.requires_grad if self.active is None else node in self.active

    def gradient(self, output: Output) -> Array | None:
        """The sum of what has arrived, added as the engine adds; None before anything has."""
        parts = self.arrived.get(output)
        if parts and output in self.totals:  # of a compiled step, whose numbers these are
            return self.totals[output]
        return added(parts or [])

    def operands(self, node: Node) -> list[Any]:
        """The values of a node's operands."""
        return [pick(self.values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]

    def through(self, node: Node) -> list[Passage]:
        """The edges of the next node. If a rule raises, nothing has been passed on."""
        op: Any = node.op
        totals = tuple(self.gradient((node, k)) for k in range(len(node.outputs)))
        if all(g is None for g in totals):
            return []
        g: Any = totals if op.partial_upstream else complete(totals, node)
        g = g if len(totals) > 1 else g[0]
        operands, y = self.operands(node), self.values[node]
        needed = [i for i, x in enumerate(node.inputs) if receives(node, i) and self.reaches(x)]
        found = []
        with np.errstate(all="ignore"):
            crossing = None
            if self.absence is not None and needed:
                crossing = self.absence.crossing(node, operands, y)
                operands, y = crossing.operands, crossing.y
            shares = None
            if op.vjp_all is not None and needed:  # one call serves all operands, as in the engine
                given = (needed, g, y, *operands)
                shares = (
                    op.vjp_all(*given, **node.params)
                    if crossing is None
                    else crossing.shares(needed, g)
                )
            for i in needed:
                local = local_of(op, i, y, operands, node.params)
                passed = shares[i] if shares else downstream(op, i, g, y, operands, node.params)
                if passed is None:
                    self.blocked.append((node, i))
                else:
                    to = node.inputs[i], node.indices[i]
                    if crossing is not None:
                        passed = np.asarray(crossing.passed(i, passed))
                    else:
                        passed = np.asarray(fit(passed, to[0].outputs[to[1]], op))
                    absent = 0 if crossing is None else crossing.absent
                    found.append(Passage(node, i, to, totals, local, passed, absent))
        for passage in found:
            self.arrived.setdefault(passage.to, []).append(passage.downstream)
        return found


def walk_from(output: Tensor, seed: Array) -> Walk:
    """The walk from a tensor that was computed. Raises OverwrittenError if values are gone."""
    assert output.node is not None
    nodes = reachable([output.node])
    return Walk(Pass(nodes, (output.node, output.index), forward_values(nodes), seed))


def receives(node: Node, operand: int) -> bool:
    """Whether a gradient goes from this node to this operand at all."""
    parent, op = node.inputs[operand], node.op
    if not isinstance(parent, Node) or not parent.requires_grad:
        return False
    if not op.differentiable >> operand & 1:  # type: ignore[attr-defined]  # a primitive
        return False
    return parent.outputs[node.indices[operand]].dtype.kind == "float"


def local_of(op: Any, i: int, y: Any, operands: list[Any], params: Any) -> Any:
    """The local derivative where it is an array or a number."""
    derivative = op.derivative(i)
    if not isinstance(derivative, Local):
        return None
    rule = derivative.rule
    return rule if isinstance(rule, int) else np.asarray(rule(y, *operands, **params))


def complete(totals: tuple[Array | None, ...], node: Node) -> tuple[Array, ...]:
    """Upstream for every output: zeros where nothing came."""
    return tuple(
        zeros(spec) if g is None else g for g, spec in zip(totals, node.outputs, strict=True)
    )


def added(parts: list[Array]) -> Array | None:
    """The sum, from the first to the last."""
    total: Any = parts[0] if parts else None
    for part in parts[1:]:
        total = total + part
    return None if total is None else np.asarray(total)
