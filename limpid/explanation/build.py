"""Building the record: the backward pass once more, with everything kept that it sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.differentiation.kinds import General, Local, Transpose
from limpid.differentiation.relation import Relation, atoms, structure
from limpid.differentiation.reverse import seed_for
from limpid.differentiation.rules import downstream, fit, is_mask
from limpid.errors import AbstractError, NoGradientError
from limpid.explanation.formula import apply_label, rule_formula, strength_of
from limpid.explanation.names import name_nodes
from limpid.explanation.record import Contribution, Edge, Explanation, FanOut, Quantity, Step
from limpid.explanation.values import forward_values
from limpid.graph.graph import input_specs, pick
from limpid.graph.node import Node, reachable
from limpid.graph.source import locate
from limpid.tensor import Tensor


def explain(output: Tensor, gradient: Any = None) -> Explanation:
    """Every edge of the backward pass of an output, as data.

    For each edge: upstream × local = downstream, the rule as a formula, the gate pattern, the
    structure of the Jacobian (never formed), and the user's line. Values that the graph has not
    kept are computed again from its leaves. `gradient` is the upstream of the output; 1 for a
    scalar.

    Raises NoGradientError for an output without a graph, OverwrittenError if a slot has been
    assigned to since.

    >>> import limpid
    >>> x, y, z = (limpid.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    >>> record = limpid.explain((x + y) * z)
    >>> record["x"].gradient.array.item(), record.edges_into("x")[0].pattern
    (-4.0, 'distributes')
    """
    if not isinstance(output, Tensor) or output.node is None or not output.requires_grad:
        raise NoGradientError(
            "explain needs a tensor that was computed from something with requires_grad=True"
        )
    if output._value is None:
        raise AbstractError("explain needs values; a recorded graph has none until it runs")
    return _Builder(output, seed_for(output, gradient, False)).explanation()


class _Builder:
    def __init__(self, output: Tensor, seed: Any):
        assert output.node is not None
        self.output, self.seed = output, seed
        self.nodes = reachable([output.node])
        self.values = forward_values(self.nodes)
        self.ids = self._ids()
        self.names = name_nodes(self.ids)
        self.arrived: dict[tuple[Node, int], list[tuple[str, Any]]] = {}
        self.edges: list[Edge] = []

    def _ids(self) -> dict[Node, str]:
        counts = {"x": 0, "v": 0}
        ids = {}
        for node in self.nodes:
            letter = "v" if node.inputs else "x"
            counts[letter] += 1
            ids[node] = f"{letter}{counts[letter]}"
        return ids

    def explanation(self) -> Explanation:
        node = self.output.node
        assert node is not None
        self.arrived[node, self.output.index] = [("seed", self.seed)]
        for node in reversed(self.nodes):
            if node.inputs and node.requires_grad:
                self._explain_node(node)
        return Explanation(
            self.ids[self.output.node],  # type: ignore[index]  # checked above
            tuple(self._step(n) for n in self.nodes),
            tuple(self.edges),
            tuple(self._sums()),
        )

    def _total(self, node: Node, index: int) -> Any:
        parts = self.arrived.get((node, index))
        if parts is None:
            return None
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
            if not isinstance(parent, Node) or not parent.requires_grad:
                continue
            if not op.differentiable >> i & 1:
                continue
            passed = downstream(op, i, g, y, operands, node.params)
            if passed is None:
                continue
            index = node.indices[i]
            passed = np.asarray(fit(passed, parent.outputs[index], op))
            edge = self._edge(node, i, upstream[0], passed, y, operands)
            self.edges.append(edge)
            self.arrived.setdefault((parent, index), []).append((edge.id, passed))

    def _edge(
        self, node: Node, i: int, g: Any, passed: Any, y: Any, operands: Sequence[Any]
    ) -> Edge:
        op: Any = node.op
        derivative = op.derivative(i)
        local = None
        if isinstance(derivative, Local):
            rule = derivative.rule
            local = rule if isinstance(rule, int) else rule(y, *operands, **node.params)
        names = self._operand_names(node)
        local_rule, rule_text = rule_formula(op, i, node, names)
        relation = op.relation(input_specs(node), node.params)
        parent = node.inputs[i]
        return Edge(
            id=f"e{len(self.edges) + 1}",
            node=self.ids[node],
            operand=i,
            to=self.ids[parent],
            kind=_kind(derivative),
            rule=rule_text,
            pattern=pattern(op, i, local, operands, relation),
            structure=structure(relation, i, 0),
            upstream=Quantity(np.asarray(g)),
            local=None if local is None else Quantity(np.asarray(local)),
            local_rule=local_rule,
            downstream=Quantity(passed),
            source=_place(node),
            scope=node.scope,
        )

    def _operand_names(self, node: Node) -> list[str]:
        return [self.names[x] if isinstance(x, Node) else _constant_name(x) for x in node.inputs]

    def _step(self, node: Node) -> Step:
        value = self.values[node]
        total = self._total(node, 0)
        parts = [(name, strength_of(name)) for name in self._operand_names(node)]
        formula = apply_label(node.op, parts, node.params)[0] if node.inputs else self.names[node]
        return Step(
            id=self.ids[node],
            op=node.op.name,
            name=self.names[node],
            formula=formula,
            inputs=tuple(
                self.ids[x] if isinstance(x, Node) else _constant_name(x) for x in node.inputs
            ),
            value=Quantity(np.asarray(value[0] if isinstance(value, tuple) else value)),
            gradient=None if total is None else Quantity(np.asarray(total)),
            source=_place(node),
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


def _kind(derivative: Any) -> str:
    if isinstance(derivative, Local):
        return "elementwise"
    return "linear" if isinstance(derivative, Transpose) else "general"


def pattern(op: Any, i: int, local: Any, operands: Sequence[Any], relation: Relation) -> str:
    """How the gate behaves, from its declaration: no names of operations are known here."""
    derivative = op.derivative(i)
    if op.gate:
        return str(op.gate)
    if isinstance(derivative, Local):
        return _elementwise_pattern(op, i, local, operands)
    if isinstance(derivative, Transpose):
        if not derivative.joint:
            return "swaps and multiplies"
        return _linear_pattern(relation, i)
    assert isinstance(derivative, General)
    return "multiplies by the local Jacobian"


def _linear_pattern(relation: Relation, i: int) -> str:
    """What the transpose does, from where elements go."""
    given, made = set(atoms(relation.operands[i])), set(atoms(relation.outputs[0]))
    if structure(relation, i) in ("diagonal", "selection"):
        return "adds" if made - given else "routes"
    return "applies the transpose" if relation.mixed else "distributes"


def _elementwise_pattern(op: Any, i: int, local: Any, operands: Sequence[Any]) -> str:
    if isinstance(local, int):
        sign = "" if local == 1 else ", sign flipped"
        return f"distributes{sign}" if len(operands) > 1 else f"passes on{sign}"
    if is_mask(local):
        return "routes"
    others = [x for k, x in enumerate(operands) if k != i]
    if len(operands) == 2 and others and local is others[0]:
        return "swaps and multiplies"
    return "multiplies by the local"


def _constant_name(x: Any) -> str:
    if hasattr(x, "shape"):
        return f"{x.item():g}" if x.size == 1 else f"array{list(x.shape)}"
    return f"{x:g}" if isinstance(x, float) else str(x)


def _place(node: Node) -> str:
    location = locate(node.source)
    return str(location) if location else ""
