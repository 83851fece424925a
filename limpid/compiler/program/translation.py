"""From a graph to values: a node by tracing its forward, else as contractions, else a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.compiler.program.tracing import Traced, Untraceable, cast, trace
from limpid.compiler.program.values import Value
from limpid.graph.dtype import dtype_of, result_type
from limpid.graph.graph import Graph
from limpid.graph.node import Node, Spec
from limpid.ops.windows.contraction import lowered


@dataclass(frozen=True)
class Program:
    """A graph as values. `sources` says which node a value first served."""

    inputs: tuple[Value, ...]  # the graph's inputs, then its slots
    outputs: tuple[Value, ...]  # the graph's outputs, then what is written to slots
    sources: dict[Value, Node]


def translate(graph: Graph) -> Program:
    """The graph's program."""
    found: dict[Node, tuple[Value, ...]] = {}
    inputs: list[Value] = []
    for node in (*graph.inputs.values(), *graph.slots.values()):
        value = _input(node.outputs[0], len(inputs))
        found[node] = (value,)
        inputs.append(value)
    sources: dict[Value, Node] = {}
    for node in graph.nodes:
        operands = [_operand(found, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]
        found[node] = _translated(node, operands)
        for value in found[node]:
            sources.setdefault(value, node)
    ends = [*graph.outputs, *graph.writes.values()]
    outputs = tuple(_reference(found, end) for end in ends)
    return Program(tuple(inputs), outputs, sources)


def _input(spec: Spec, number: int) -> Value:
    return Value("input", spec.shape, spec.dtype.storage, params={"number": number})


def _constant(x: Any) -> Value:
    array = np.asarray(x)
    return Value("constant", array.shape, array.dtype, params={"array": array})


def _reference(found: dict[Node, tuple[Value, ...]], end: Any) -> Value:
    return found[end[0]][end[1]] if isinstance(end, tuple) else _constant(end)


def _operand(found: dict[Node, tuple[Value, ...]], x: Any, index: int) -> Any:
    """A value for what a node makes and for arrays; Python's numbers, which are weak, stay."""
    if isinstance(x, Node):
        return found[x][index]
    return _constant(x) if isinstance(x, np.ndarray) else x


def _translated(node: Node, operands: Sequence[Any]) -> tuple[Value, ...]:
    specs = node.outputs
    op: Any = node.op
    unified = _unified(op, operands)
    try:
        made = trace(op.native or op.forward, unified, node.params)
    except Untraceable:
        made = ()
    if _fits(made, specs):
        return made
    parts = lowered(node)
    values = tuple(x if isinstance(x, Value) else _constant(x) for x in unified if parts)
    if len(specs) == 1 and len(values) == 2 and parts and all(p.right for p in parts):
        params = {"parts": parts}
        return (Value("contract", specs[0].shape, specs[0].dtype.storage, values, params),)
    values = tuple(x if isinstance(x, Value) else _constant(x) for x in operands)
    return tuple(
        Value(
            "call",
            spec.shape,
            spec.dtype.storage,
            values,
            {"primitive": op, "params": node.params, "number": number},
        )
        for number, spec in enumerate(specs)
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
        return cast(Traced(x), target).value
    return int(x) if isinstance(x, bool) and target.kind != "b" else x


def _fits(made: Sequence[Value], specs: Sequence[Spec]) -> bool:
    return len(made) == len(specs) and all(
        value.shape == spec.shape and value.dtype == spec.dtype.storage
        for value, spec in zip(made, specs)
    )
