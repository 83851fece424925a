"""A graph: nodes in order, with named inputs, state slots, owned constants and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from limpid.errors import LINE, GraphError, LimpidError
from limpid.graph.node import Node, Spec, reachable
from limpid.graph.source import describe

Reference = tuple[Node, int] | Any  # an output of a node, or a constant


@dataclass(frozen=True)
class Graph:
    """A flat, ordered list of nodes. Forward and backward are of this one type.

    `inputs` and `slots` map names to leaf nodes; `writes` maps names of slots to the references
    whose values they take when the graph has run; `outputs` are references. A reference is a
    (node, output number) pair or a constant. `nodes` holds everything but the leaves, oldest
    first. `titles` say what the outputs are, for people; they may be left out.
    """

    inputs: Mapping[str, Node]
    outputs: tuple[Reference, ...]
    slots: Mapping[str, Node] = field(default_factory=dict)
    writes: Mapping[str, Reference] = field(default_factory=dict)
    titles: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = field(init=False)

    def __post_init__(self) -> None:
        leaves = set(self.inputs.values()) | set(self.slots.values())
        ends = [r[0] for r in (*self.outputs, *self.writes.values()) if is_reference(r)]
        nodes = reachable(ends, leaves)
        loose = [node for node in nodes if node.is_leaf and node not in leaves]
        if loose:
            raise GraphError(f"{loose[0]!r} is neither an input nor a slot of the graph")
        object.__setattr__(self, "nodes", tuple(n for n in nodes if n not in leaves))

    def evaluate(self, inputs: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Run on NumPy: (values of the outputs, new values of the slots). Writes nothing."""
        values: dict[Node, Any] = dict(zip(self.inputs.values(), inputs, strict=True))
        for node in self.slots.values():
            values[node] = node.op.evaluate((), {})
        try:
            for node in self.nodes:
                values[node] = node.op.evaluate(
                    [pick(values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)],
                    node.params,
                )
        except LimpidError as error:
            raise failure(error, node) from None
        results = [resolve(values, reference) for reference in self.outputs]
        return results, {name: resolve(values, r) for name, r in self.writes.items()}

    def names(self) -> dict[Node, str]:
        """A name for every node: those of inputs and slots, `v1`, `v2`, … for the others."""
        named = {node: name for name, node in (*self.inputs.items(), *self.slots.items())}
        names = _unlike(set(named.values()), "v")
        named.update((node, next(names)) for node in self.nodes)
        return named

    def constants(self) -> dict[str, Any]:
        """The arrays that the nodes own, as `c1`, `c2`, …, and those of graphs in their params."""
        found = self.own_constants()
        names = self.names()
        for node in self.nodes:
            for key, value in node.params.items():
                if isinstance(value, Graph):
                    inner = f"{names[node]}_{key}_"
                    found.update((inner + name, x) for name, x in value.constants().items())
        return found

    def own_constants(self) -> dict[str, Any]:
        """The arrays that the nodes own, as `c1`, `c2`, …, each once."""
        found: dict[int, Any] = {}
        for x in self._operands():
            if hasattr(x, "shape") and not isinstance(x, Node):
                found.setdefault(id(x), x)
        return dict(zip(_unlike({*self.inputs, *self.slots}, "c"), found.values()))

    def _operands(self) -> Iterator[Any]:
        for node in self.nodes:
            yield from node.inputs
        for reference in (*self.outputs, *self.writes.values()):
            if not is_reference(reference):
                yield reference

    def __str__(self) -> str:
        from limpid.graph.text import format_graph

        return format_graph(self).rstrip()

    def check(self) -> None:
        """Raise GraphError unless order, indices and specs are consistent."""
        seen = set(self.inputs.values()) | set(self.slots.values())
        for node in self.nodes:
            for x, i in zip(node.inputs, node.indices, strict=True):
                if isinstance(x, Node) and (x not in seen or i >= len(x.outputs)):
                    raise GraphError(f"{node!r} uses output {i} of {x!r} before it exists")
            expected = node.op.specs(input_specs(node), node.params)  # type: ignore[attr-defined]  # inner nodes hold primitives
            if tuple(expected) != tuple(node.outputs):
                raise GraphError(f"{node!r} should have outputs {expected}")
            for value in node.params.values():
                if isinstance(value, Graph):
                    value.check()
            seen.add(node)


def _unlike(taken: set[str], letter: str) -> Iterator[str]:
    """`v1`, `v2`, … without those that are taken."""
    return (name for name in (f"{letter}{i}" for i in count(1)) if name not in taken)


def failure(error: LimpidError, node: Node) -> LimpidError:
    """The error of a node that was evaluated: with its module's path, and its line in the program.

    What a node within a graph that this one holds has said already, stays.
    """
    if error.placed:
        return error
    reason = str(error).removesuffix(f" [{error.id}]").partition(LINE)[0]
    name: str = node.op.name
    where = f"{name} in {node.scope}" if node.scope else name
    at = f"{LINE}{describe(node.source)}" if node.source is not None else ""
    told = type(error)(f"{where}: {reason.removeprefix(f'{name}: ')}{at}")
    told.placed = True
    return told.with_traceback(error.__traceback__)


def is_reference(reference: Any) -> bool:
    """Whether this is a (node, output number) pair rather than a constant."""
    return isinstance(reference, tuple)


def pick(values: Mapping[Node, Any], x: Any, index: int) -> Any:
    """The value of an operand: of a node's output, or the constant itself."""
    if type(x) is not Node:
        return x
    value = values[x]
    return value[index] if type(value) is tuple else value


def resolve(values: Mapping[Node, Any], reference: Reference) -> Any:
    """The value of a reference."""
    return pick(values, *reference) if is_reference(reference) else reference


def input_specs(node: Node) -> list[Any]:
    """Specs of a node's operands; Python numbers stand for themselves."""
    from limpid.graph.dtype import dtype_of

    return [
        x.outputs[i]
        if isinstance(x, Node)
        else Spec(x.shape, dtype_of(x.dtype))
        if hasattr(x, "shape")
        else x
        for x, i in zip(node.inputs, node.indices, strict=True)
    ]
