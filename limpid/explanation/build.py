"""Building the record: the backward pass once more, with everything kept that it sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.differentiation.reverse import seed_for
from limpid.differentiation.rules import find_reads
from limpid.errors import AbstractError, ArgumentError, NoGradientError
from limpid.explanation.gates import gate
from limpid.explanation.names import constant_name, name_nodes
from limpid.explanation.quantity import Quantity
from limpid.explanation.record import Contribution, Edge, Explanation, FanOut, Step
from limpid.explanation.values import forward_values
from limpid.explanation.walk import Output, Pass, Passage, Walk
from limpid.graph.graph import input_specs
from limpid.graph.node import Array, Node, Spec, reachable
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
    """Writes down what a walk through the backward pass sees."""

    def __init__(self, given: Pass, wrt: Sequence[Node], written: bool = True):
        self.nodes, self.end = given.nodes, given.output
        self.walk = Walk(given, depending(self.nodes, wrt))
        self.ids = number_nodes(self.nodes)
        self.names = name_nodes(self.ids)
        from limpid.explanation.written import Rules, Unwritten  # with all of formulas

        self.rules = Rules(self.names, self.ids) if written else Unwritten()
        self.sources: dict[Output, list[str]] = {self.end: ["seed"]}  # of what has arrived

    def explanation(self) -> Explanation:
        edges = []
        for count, passage in enumerate(self.walk.passages(), 1):
            edges.append(self._edge(f"e{count}", passage))
            self.sources.setdefault(passage.to, []).append(f"e{count}")
        return Explanation(
            self.ids[self.end[0]],
            tuple(self._step(n) for n in self.nodes),
            tuple(edges),
            tuple(self._sum(x, parts) for x, parts in self.walk.arrived.items() if len(parts) > 1),
        )

    def _edge(self, name: str, passage: Passage) -> Edge:
        node, i, local = passage.node, passage.operand, passage.local
        op: Any = node.op
        operands = self.walk.operands(node)
        found = gate(op, i, local, operands, op.relation(input_specs(node), node.params))
        written = self.rules.edge(node, i)
        return Edge(
            id=name,
            node=self.ids[node],
            operand=i,
            to=self.ids[node.inputs[i]],
            output=node.indices[i],
            kind=found.kind,
            words=found.words + _left_out(passage),
            rule=written.text,
            latex=written.latex,
            local_rule=written.local_text,
            local_latex=written.local_latex,
            pattern=found.pattern + (", 0 where left out" if passage.absent else ""),
            structure=found.structure,
            upstreams=tuple(_quantity(g) for g in passage.upstream),
            local=_quantity(local),
            downstream=Quantity(passage.downstream),
            source=place(node),
            expression=expression(node),
            scope=node.scope,
        )

    def _step(self, node: Node) -> Step:
        value = self.walk.values[node]
        values = value if isinstance(value, tuple) else (value,)
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
            gradients=tuple(
                _quantity(self.walk.gradient((node, k))) for k in range(len(node.outputs))
            ),
            saved=saved_bytes(node),
            source=place(node),
            expression=expression(node),
            scope=node.scope,
        )

    def _sum(self, output: Output, parts: Sequence[Array]) -> FanOut:
        sizes = [float(np.abs(part).sum()) for part in parts]
        whole = sum(sizes)
        contributions = tuple(
            Contribution(source, Quantity(part), size / whole if whole else 1 / len(parts))
            for source, part, size in zip(self.sources[output], parts, sizes, strict=True)
        )
        return FanOut(
            self.ids[output[0]], contributions, Quantity(np.asarray(self.walk.gradient(output)))
        )


def _left_out(passage: Passage) -> str:
    if not passage.absent:
        return ""
    return f"; nothing passes where a safe choice left elements out, here {passage.absent}"


def _quantity(x: Any) -> Quantity | None:
    return None if x is None else Quantity(np.asarray(x))


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
