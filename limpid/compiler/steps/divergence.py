"""The first node of a compiled step that gives another value than it should."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat, zip_longest
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.steps.comparison import difference
from limpid.compiler.steps.places import same
from limpid.compiler.steps.preparation import prepare
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.rounding import Perturb, allowances
from limpid.errors import LimpidError
from limpid.graph.graph import Graph, pick
from limpid.graph.node import Array, Node
from limpid.graph.source import describe

Values = dict[Node, Any]  # an array, or a tuple of them


class Divergence(NamedTuple):
    """Which node differs first, for people; `compiled`: NumPy gives another value for it."""

    where: str = ""
    compiled: bool = False


def first_difference(
    recording: Recording, inputs: Sequence[Array], record: Callable[[], tuple[Recording, Any]]
) -> Divergence:
    """Which node differs first; nowhere, if no node alone does.

    The graph is run as the step runs it and node by node on NumPy. Where both agree, the function
    is recorded again, since it may compute something else by now: `record` gives that recording,
    and its inputs.
    """
    with np.errstate(all="ignore"):
        expected = _values(recording.graph, inputs, recording.state())
        found = _compiled(recording, inputs)
        nodes = recording.graph.nodes
        if any(_differ(expected[node], found[node]) for node in nodes):
            allowed = _allowances(recording, inputs)
            for node in nodes:
                reason = _differ(expected[node], found[node], allowed[node])
                if reason:
                    return Divergence(f"{_named(node)}: {reason} as NumPy computes it", True)
        try:
            again, given = record()
            now = _values(again.graph, given, again.state())
        except LimpidError:
            return Divergence()
    pairs = zip_longest(recording.graph.nodes, again.graph.nodes)
    for node, other in pairs:
        if node is None or other is None or not _alike(node, other):
            return Divergence(f"{_named(node)}, where the function now has {_named(other)}")
        reason = _differ(now[other], expected[node])
        if reason:
            return Divergence(f"{_named(node)}: {reason} as the function computes it now")
    return Divergence()


def _values(graph: Graph, inputs: Sequence[Array], state: Sequence[Array]) -> Values:
    """The values of all nodes on NumPy."""
    values: Values = dict(zip(graph.inputs.values(), inputs, strict=True))
    values.update(zip(graph.slots.values(), state, strict=True))
    for node in graph.nodes:
        operands = [pick(values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]
        values[node] = node.op.evaluate(operands, node.params)
    return values


def _compiled(recording: Recording, inputs: Sequence[Array]) -> Values:
    """The values of all nodes as the step computes them."""
    graph = recording.graph
    references = [(node, k) for node in graph.nodes for k in range(len(node.outputs))]
    whole = Graph(graph.inputs, (*graph.outputs, *references), graph.slots, graph.writes)
    outputs, _ = prepare(whole).run(inputs, recording.state())
    rest = iter(outputs[len(graph.outputs) :])
    return {node: _joined([next(rest) for _ in node.outputs]) for node in graph.nodes}


def _allowances(recording: Recording, inputs: Sequence[Array]) -> dict[Node, list[Any]]:
    """By how much the outputs of each node may differ."""
    graph, state = recording.graph, recording.state()

    def run(perturb: Perturb) -> dict[tuple[Node, int], Array]:
        values = _values(graph, [*map(perturb, inputs)], [*map(perturb, state)])
        return {(n, k): x for n in graph.nodes for k, x in enumerate(_arrays(values[n]))}

    found = allowances(run)
    return {node: [found[node, k] for k in range(len(node.outputs))] for node in graph.nodes}


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else tuple(parts)


def _arrays(value: Any) -> list[Array]:
    """The outputs of a node."""
    return [np.asarray(x) for x in (value if isinstance(value, tuple) else (value,))]


def _differ(expected: Any, found: Any, allowed: Iterable[Any] = repeat(0.0)) -> str:
    """How the values of a node differ."""
    reasons = map(difference, _arrays(expected), _arrays(found), allowed)
    return next(filter(None, reasons), "")


def _alike(node: Node, other: Node) -> bool:
    """Whether two nodes do the same with what they are given."""
    return (
        node.op.name == other.op.name
        and node.outputs == other.outputs
        and all(same(x, y) for x, y in _pairs(node, other))
    )


def _pairs(node: Node, other: Node) -> Iterator[tuple[Any, Any]]:
    for name in {**node.params, **other.params}:
        a, b = node.params.get(name), other.params.get(name)
        if not isinstance(a, Graph) or not isinstance(b, Graph):
            yield a, b


def _named(node: Node | None) -> str:
    """A node by its primitive, scope and line."""
    if node is None:
        return "nothing more"
    scope = f" in {node.scope}" if node.scope else ""
    return f"{node.op.name}{scope} at {describe(node.source)}"
