"""From a graph to values: a node by tracing its forward, else as contractions, else a call.

Loops and choices are programs within the program.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.compiler.program.bodies import Bodies, Body
from limpid.compiler.program.construction import Untraceable, cast, constant
from limpid.compiler.program.templates import Made, Template, likeness, template
from limpid.compiler.program.tracing import trace
from limpid.compiler.program.values import Value, mark, ordered
from limpid.errors import DeclarationError
from limpid.graph.dtype import dtype_of, result_type
from limpid.graph.graph import Graph
from limpid.graph.node import Node, Params, Spec
from limpid.ops.windows.contraction import lowered
from limpid.transforms.cond import cond_node as cond
from limpid.transforms.loop import scan


@dataclass(frozen=True)
class Program:
    """A graph as values, each of which knows the node that it serves."""

    inputs: tuple[Value, ...]  # the graph's inputs, then its slots
    outputs: tuple[Value, ...]  # the graph's outputs, then what is written to slots
    checks: tuple[tuple[Value, Node], ...]  # truths (0-d) that are false where a node would raise


def translate(graph: Graph) -> Program:
    """The graph's program."""
    inputs = [
        _input(node.outputs[0], number)
        for number, node in enumerate((*graph.inputs.values(), *graph.slots.values()))
    ]
    work = _Translation(graph, inputs)
    ends = [*graph.outputs, *graph.writes.values()]
    outputs = tuple(map(work.reference, ends))
    return Program(tuple(inputs), outputs, tuple(work.checks))


Found = dict[Node, tuple[Value, ...]]


class _Translation:
    """The values of a graph's nodes, and of graphs that nodes hold and that are put in place."""

    def __init__(self, graph: Graph, inputs: Sequence[Value]):
        self.checks: list[tuple[Value, Node]] = []
        self.templates: dict[Hashable, Template | None] = {}
        self.found = self.run(graph, inputs)

    def run(self, graph: Graph, inputs: Sequence[Value]) -> Found:
        """What each node of a graph makes."""
        leaves = (*graph.inputs.values(), *graph.slots.values())
        found: Found = {leaf: (x,) for leaf, x in zip(leaves, inputs, strict=True)}
        for node in graph.nodes:
            pairs = zip(node.inputs, node.indices, strict=True)
            operands = [_operand(found, x, i) for x, i in pairs]
            found[node] = self.node(node, operands)
            mark(found[node], node, range(len(found[node])))
        return found

    def reference(self, end: Any) -> Value:
        """What a reference of the graph stands for."""
        return _reference(self.found, end)

    def node(self, node: Node, operands: Sequence[Any]) -> tuple[Value, ...]:
        """What a node makes."""
        op: Any = node.op
        if op.inline is not None:
            body: Graph = node.params[op.inline]
            found = self.run(body, list(map(_as_value, operands)))
            return tuple(_reference(found, end) for end in body.outputs)
        values, truth = _nested(node, operands) or self._made(node, operands)
        if truth is not None:
            mark([truth], node, [None])
            self.checks.append((truth, node))
        return values

    def _made(self, node: Node, operands: Sequence[Any]) -> Made:
        """`_translated`, once for all nodes that are alike."""
        key = likeness(node, operands)
        known = None if key is None else self.templates.get(key)
        if known is not None:
            return known.made(operands)
        made = _translated(node, operands)
        if key is not None and key not in self.templates:
            self.templates[key] = template(made, operands)
        return made


def _input(spec: Spec, number: int) -> Value:
    return Value("input", spec.shape, spec.dtype.storage, params={"number": number})


def _reference(found: Found, end: Any) -> Value:
    return found[end[0]][end[1]] if isinstance(end, tuple) else constant(end)


def _operand(found: Found, x: Any, index: int) -> Any:
    """A value for what a node makes and for arrays; Python's numbers, which are weak, stay."""
    if isinstance(x, Node):
        return found[x][index]
    return constant(x) if isinstance(x, np.ndarray) else x


def _as_value(x: Any) -> Value:
    return x if isinstance(x, Value) else constant(x)


def _nested(node: Node, operands: Sequence[Any]) -> Made | None:
    """What a loop or a choice makes, and whether all within was valid; None if it is neither.

    Also None if there are calls within, which only NumPy can do.
    """
    given = tuple(map(_as_value, operands))
    if node.op is scan:
        loop = {name: node.params[name] for name in ("closed", "carried", "length", "reverse")}
        programs = [(translate(node.params["body"]), loop)]
    elif node.op is cond:
        closed = {"closed": len(operands) - 1}
        programs = [(translate(node.params[name]), closed) for name in ("true", "false")]
    else:
        return None
    is_checked = any(program.checks for program, _ in programs)
    bodies = Bodies(
        tuple(
            Body((*program.outputs, *[_all(program.checks)] * is_checked), **how)
            for program, how in programs
        )
    )
    if any(v.kind == "call" for body in bodies.bodies for v in ordered(body.ends)):
        return None
    made = bodies.values(given)
    if not is_checked:
        return made, None
    truth = made[-1]
    settings = {"function": "logical_and", "axes": tuple(range(len(truth.shape)))}
    return made[:-1], Value("reduce", (), truth.dtype, (truth,), settings) if truth.shape else truth


def _all(checks: Sequence[tuple[Value, Node]]) -> Value:
    """Whether all truths hold."""
    found = constant(np.array(True))
    for truth, _ in checks:
        found = Value("map", (), found.dtype, (found, truth), {"function": "logical_and"})
    return found


def _translated(node: Node, operands: Sequence[Any]) -> Made:
    """What a node makes, and the truth that says whether its operands are valid."""
    op: Any = node.op
    unified = _unified(op, operands)
    try:
        made = trace(op.native or op.forward, unified, node.params)
        if _fits(made, node.outputs):
            return made, _truth(op, unified, node.params)
    except Untraceable:
        pass
    return _contraction(node, unified) or _call(node, operands), None


def _truth(op: Any, operands: Sequence[Any], params: Params) -> Value | None:
    """Whether the forward takes these values; None if it takes all."""
    if op.valid is None:
        return None
    (truth,) = trace(op.valid, operands, params)
    if truth.shape or truth.dtype != bool:
        raise DeclarationError(f"{op.name}: valid= must give one truth, not {truth}")
    return None if truth.kind == "constant" and truth.params["array"] else truth


def _contraction(node: Node, operands: Sequence[Any]) -> tuple[Value, ...] | None:
    parts = lowered(node)
    if len(node.outputs) > 1 or len(operands) != 2 or not all(p.right for p in parts):
        return None
    (spec,) = node.outputs
    values = tuple(map(_as_value, operands))
    params = {"parts": parts}
    made = Value("contract", spec.shape, spec.dtype.storage, values, params)
    return (made,) if parts else None


def _call(node: Node, operands: Sequence[Any]) -> tuple[Value, ...]:
    values = tuple(map(_as_value, operands))
    return tuple(
        Value(
            "call",
            spec.shape,
            spec.dtype.storage,
            values,
            {"primitive": node.op, "params": node.params, "number": number},
        )
        for number, spec in enumerate(node.outputs)
    )


def _unified(op: Any, operands: Sequence[Any]) -> list[Any]:
    """The operands in their common type, as eager has them."""
    if op.numeric == "any":
        return list(operands)
    masks = op.masks(len(operands))
    pairs = list(zip(operands, masks, strict=True))
    typed = [dtype_of(x.dtype) if isinstance(x, Value) else x for x, mask in pairs if not mask]
    if not typed:
        return list(operands)
    target = result_type(typed, float_only=op.numeric == "float").storage
    return [x if mask else _cast(x, target) for x, mask in pairs]


def _cast(x: Any, target: np.dtype[Any]) -> Any:
    if isinstance(x, Value):
        return cast(x, target)
    return int(x) if isinstance(x, bool) and target.kind != "b" else x


def _fits(made: Sequence[Value], specs: Sequence[Spec]) -> bool:
    return len(made) == len(specs) and all(
        value.shape == spec.shape and value.dtype == spec.dtype.storage
        for value, spec in zip(made, specs)
    )
