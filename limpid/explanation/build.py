"""Building the record: the backward pass once more, with everything kept that it sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.differentiation.kinds import Local
from limpid.differentiation.reverse import seed_for
from limpid.differentiation.rules import downstream, find_reads, fit
from limpid.errors import AbstractError, ArgumentError, NoGradientError
from limpid.explanation.gates import gate
from limpid.explanation.names import constant_name, name_nodes
from limpid.explanation.quantity import Quantity
from limpid.explanation.record import Contribution, Edge, Explanation, FanOut, Step
from limpid.explanation.values import forward_values
from limpid.graph.graph import input_specs, pick
from limpid.graph.node import Node, Spec, reachable
from limpid.graph.source import locate
from limpid.tensor import Tensor


def explain(
    output: Tensor, gradient: Any = None, *, wrt: Any = None, at: Any = None
) -> Explanation:
    """Every edge of the backward pass of an output, as data.

    For each edge: upstream × local = downstream, the rule as a formula and in words, the gate
    pattern, the structure of the Jacobian (never formed), and the user's line. Values that the
    graph has not kept are computed again from its leaves.

    gradient  the upstream of the output; 1 for a scalar
    wrt       a tensor, or several: only edges on the ways to them
    at        a name or an id of a node, or several: only the edges of these nodes

    Raises NoGradientError for an output without a graph, ArgumentError if it does not depend on
    `wrt`, OverwrittenError if a slot has been assigned to since.

    >>> import limpid
    >>> x, y, z = (limpid.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    >>> record = limpid.explain((x + y) * z)
    >>> record["x"].gradient.array.item(), record.edges_into("x")[0].pattern
    (-4.0, 'distributes')
    """
    made = _pass(output, gradient)
    return explain_pass(made, wanted_nodes(made.nodes, wrt), at)


def record_numbers(output: Tensor, gradient: Any = None, formulas: int = 300) -> Explanation:
    """The same for the whole graph; without formulas if it has more nodes than `formulas`.

    Formulas take most of the time, and nobody reads thousands of them.
    """
    made = _pass(output, gradient)
    return _Builder(made, (), len(made.nodes) <= formulas).explanation()


def _pass(output: Any, gradient: Any) -> Pass:
    """The pass that an eager tensor comes from."""
    if not isinstance(output, Tensor) or output.node is None or not output.requires_grad:
        raise NoGradientError(
            "explain needs a tensor that was computed from something with requires_grad=True"
        )
    if output._value is None:
        raise AbstractError("explain needs values; a recorded graph has none until it runs")
    nodes = reachable([output.node])
    seed = seed_for(output, gradient, False)
    return Pass(nodes, (output.node, output.index), forward_values(nodes), seed)


@dataclass(frozen=True)
class Pass:
    """A forward pass in numbers, and where the backward pass of it begins.

    totals  gradients of outputs of nodes, where they are known from elsewhere; else they are the
            sums of what edges bring
    """

    nodes: Sequence[Node]
    output: tuple[Node, int]
    values: Mapping[Node, Any]
    seed: Any
    totals: Mapping[tuple[Node, int], Any] | None = None


def explain_pass(given: Pass, wrt: Sequence[Node], at: Any) -> Explanation:
    """The record of a pass; `wrt` and `at` as `explain` has them."""
    found = _Builder(given, wrt).explanation()
    names = [at] if isinstance(at, str) else list(at or ())
    return found.at(names) if names else found


def wanted_nodes(nodes: Sequence[Node], wrt: Any) -> list[Node]:
    """The nodes of tensors that are given; raises ArgumentError for those that are not there."""
    given = [] if wrt is None else list(wrt) if isinstance(wrt, list | tuple) else [wrt]
    there = set(nodes)
    for x in given:
        if not isinstance(x, Tensor) or x.node not in there:
            raise ArgumentError("wrt: the output does not depend on it")
    return [x.node for x in given]


class _Builder:
    def __init__(self, given: Pass, wrt: Sequence[Node], written: bool = True):
        self.given, self.nodes, self.values = given, given.nodes, given.values
        self.active = depending(self.nodes, wrt)
        self.ids = number_nodes(self.nodes)
        self.names = name_nodes(self.ids)
        from limpid.explanation.written import Rules, Unwritten  # with all of formulas

        self.rules = Rules(self.names, self.ids) if written else Unwritten()
        self.arrived: dict[tuple[Node, int], list[tuple[str, Any]]] = {}
        self.edges: list[Edge] = []

    def explanation(self) -> Explanation:
        self.arrived[self.given.output] = [("seed", self.given.seed)]
        for node in reversed(self.nodes):
            if node.inputs and node in self.active:
                self._explain_node(node)
        return Explanation(
            self.ids[self.given.output[0]],
            tuple(self._step(n) for n in self.nodes),
            tuple(self.edges),
            tuple(self._sums()),
        )

    def _total(self, node: Node, index: int) -> Any:
        parts = self.arrived.get((node, index))
        if parts is None:
            return None
        if self.given.totals is not None and (node, index) in self.given.totals:
            return self.given.totals[node, index]
        total = parts[0][1]
        for _, part in parts[1:]:
            total = total + part
        return total

    def _explain_node(self, node: Node) -> None:
        op: Any = node.op
        totals = [self._total(node, k) for k in range(len(node.outputs))]
        if all(t is None for t in totals):
            return
        upstream = tuple(
            np.zeros(s.shape, s.dtype.storage) if t is None else t
            for t, s in zip(totals, node.outputs, strict=True)
        )
        g: Any = tuple(totals) if op.partial_upstream else upstream
        g = g if len(upstream) > 1 else g[0]
        y = self.values[node]
        operands = [pick(self.values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]
        for i, parent in enumerate(node.inputs):
            if not isinstance(parent, Node) or parent not in self.active:
                continue
            if not op.differentiable >> i & 1:
                continue
            passed = downstream(op, i, g, y, operands, node.params)
            if passed is None:
                continue
            index = node.indices[i]
            passed = np.asarray(fit(passed, parent.outputs[index], op))
            edge = self._edge(node, i, totals, passed, y, operands)
            self.edges.append(edge)
            self.arrived.setdefault((parent, index), []).append((edge.id, passed))

    def _edge(
        self,
        node: Node,
        i: int,
        totals: Sequence[Any],
        passed: Any,
        y: Any,
        operands: Sequence[Any],
    ) -> Edge:
        op: Any = node.op
        derivative = op.derivative(i)
        local = None
        if isinstance(derivative, Local):
            rule = derivative.rule
            local = rule if isinstance(rule, int) else rule(y, *operands, **node.params)
        found = gate(op, i, local, operands, op.relation(input_specs(node), node.params))
        written = self.rules.edge(node, i)
        return Edge(
            id=f"e{len(self.edges) + 1}",
            node=self.ids[node],
            operand=i,
            to=self.ids[node.inputs[i]],
            output=node.indices[i],
            kind=found.kind,
            words=found.words,
            rule=written.text,
            latex=written.latex,
            local_rule=written.local_text,
            local_latex=written.local_latex,
            pattern=found.pattern,
            structure=found.structure,
            upstreams=tuple(None if t is None else Quantity(np.asarray(t)) for t in totals),
            local=None if local is None else Quantity(np.asarray(local)),
            downstream=Quantity(passed),
            source=place(node),
            expression=expression(node),
            scope=node.scope,
        )

    def _step(self, node: Node) -> Step:
        value = self.values[node]
        values = value if isinstance(value, tuple) else (value,)
        totals = [self._total(node, k) for k in range(len(node.outputs))]
        text, latex = self.rules.step(node)
        return Step(
            id=self.ids[node],
            op=node.op.name,
            name=self.names[node],
            formula=text,
            latex=latex,
            inputs=tuple(
                self.ids[x] if isinstance(x, Node) else constant_name(x) for x in node.inputs
            ),
            values=tuple(Quantity(np.asarray(v)) for v in values),
            gradients=tuple(None if t is None else Quantity(np.asarray(t)) for t in totals),
            saved=saved_bytes(node),
            source=place(node),
            expression=expression(node),
            scope=node.scope,
        )

    def _sums(self) -> list[FanOut]:
        found = []
        for (node, index), parts in self.arrived.items():
            if len(parts) > 1:
                sizes = [float(np.abs(p).sum()) for _, p in parts]
                whole = sum(sizes)
                contributions = tuple(
                    Contribution(
                        edge, Quantity(np.asarray(p)), size / whole if whole else 1 / len(parts)
                    )
                    for (edge, p), size in zip(parts, sizes, strict=True)
                )
                total = Quantity(np.asarray(self._total(node, index)))
                found.append(FanOut(self.ids[node], contributions, total))
        return found


def number_nodes(nodes: Sequence[Node]) -> dict[Node, str]:
    """`x1`, `x2`, … for leaves, `v1`, … for the others, oldest first.

    What is computed without a gradient is `c1`, …: only recorded graphs have such nodes, and all
    others are called as they are in eager ones.
    """
    counts = {"x": 0, "v": 0, "c": 0}
    ids = {}
    for node in nodes:
        letter = "x" if not node.inputs else "v" if node.requires_grad else "c"
        counts[letter] += 1
        ids[node] = f"{letter}{counts[letter]}"
    return ids


def depending(nodes: Sequence[Node], wrt: Sequence[Node]) -> set[Node]:
    """The nodes on the ways from some, or from all with which gradients begin."""
    found = set(wrt) or {n for n in nodes if n.requires_grad and not _inherits(n)}
    for node in nodes:
        if node.requires_grad and any(isinstance(x, Node) and x in found for x in node.inputs):
            found.add(node)
    return found


def _inherits(node: Node) -> bool:
    """Whether a node has gradients because its inputs have; those of a transform begin with it."""
    return any(isinstance(x, Node) and x.requires_grad for x in node.inputs)


def saved_bytes(node: Node) -> int:
    """Bytes of what the rules of a node read of its values: that is kept for the backward pass."""
    op: Any = node.op
    if not node.inputs or not node.requires_grad:
        return 0
    specs = input_specs(node)
    needed = sum(
        1 << i for i, x in enumerate(node.inputs) if isinstance(x, Node) and x.requires_grad
    )
    if op.jointly_linear:
        read = op.constant_reads(len(node.outputs), len(specs))
    else:
        read = find_reads(op, specs, node.params, needed & op.differentiable)
    values = [*node.outputs, *specs]
    return sum(
        x.size * x.dtype.storage.itemsize
        for x, is_read in zip(values, read, strict=True)
        if is_read and isinstance(x, Spec)
    )


def place(node: Node) -> str:
    """`file:line` of a node."""
    location = locate(node.source)
    return str(location) if location else ""


def expression(node: Node) -> str:
    """What stands there."""
    location = locate(node.source)
    return " ".join(location.text.split()) if location else ""
