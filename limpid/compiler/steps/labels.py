"""What the values in a recording are called, so that a person can ask for them.

Values have names of five sorts; where one sort has no value of a name, the next is asked:

    modules    what a module returns, by its path: "fc1", "blocks.0", "lstm[0]"
    results    what the function returns, by its place in there: "result", "result.0"
    variables  what a line assigns to a variable, in the scope of its module: "loss", "attention.q"
    inside     all else, by module and primitive: "fc1.linear"
    arguments  "x", "batch_x"

What has the same name again is numbered in the order of the program: "fc1", "fc1#2". A line that
runs several times names the last value. A gradient that a second backward pass brings is "fc1@2".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from limpid.compiler.steps.trail import Return, Trail
from limpid.graph.graph import Graph, Reference, is_reference
from limpid.graph.node import Node
from limpid.graph.registry import primitives
from limpid.graph.source import Source, target_name

VALUES, GRADIENTS, STATE, NEW, UPDATE = "", "grad", "state", "new", "update"
Named = dict[str, Reference]


class Sort(NamedTuple):
    """Values that are named in the same way."""

    title: str
    values: Named


Labels = dict[str, list[Sort]]  # for each kind of value, sorts in the order in which they are asked


def label(trail: Trail, graph: Graph) -> Labels:
    """All names in a recording."""
    slots = {**graph.slots, **trail.slots}
    known = _computable(trail.nodes, {*graph.inputs.values(), *slots.values()})
    forward = [node for node in trail.nodes if node.origin is None and not node.is_leaf]
    values = [
        Sort("modules", _numbered(_of_modules(trail.returns))),
        Sort("results", dict(trail.results)),
        Sort("variables", _numbered(_of_variables(trail, graph, forward))),
        Sort("values inside", _numbered(_of_nodes(forward))),
        Sort("arguments", {name: (node, 0) for name, node in graph.inputs.items()}),
    ]
    leaves = {node: name for name, node in (*slots.items(), *graph.inputs.items())}
    gradients = [Sort("parameters and inputs", dict(_of_leaves(trail, leaves)))]
    gradients += [Sort(sort.title, dict(_upstream(trail, sort.values))) for sort in values]
    found = {
        VALUES: values,
        GRADIENTS: gradients,
        STATE: [Sort("state", {name: (node, 0) for name, node in slots.items()})],
        NEW: [Sort("state that is written", dict(graph.writes))],
    }
    return {
        kind: [Sort(title, _within_reach(named, known)) for title, named in sorts]
        for kind, sorts in found.items()
    }


def _computable(nodes: Sequence[Node], known: set[Node]) -> set[Node]:
    """The nodes that follow from these leaves, and the leaves."""
    for node in nodes:
        if not node.is_leaf and all(x in known for x in node.inputs if type(x) is Node):
            known.add(node)
    return known


def _within_reach(named: Named, known: set[Node]) -> Named:
    return {name: x for name, x in named.items() if not is_reference(x) or x[0] in known}


def _numbered(pairs: Iterable[tuple[str, str, Reference]]) -> Named:
    """(name, place within what has the name, value) as names that differ."""
    count: Counter[str] = Counter()
    named: Named = {}
    for name, place, value in pairs:
        count[name + place] += 1
        number = count[name + place]
        named[f"{name}#{number}{place}" if number > 1 else name + place] = value
    return named


def _of_modules(returns: Sequence[Return]) -> Iterator[tuple[str, str, Reference]]:
    for returned in returns:
        for path, value in returned.leaves:
            yield returned.module, brackets(path), value


def brackets(path: str) -> str:
    """`1.h` as `[1][h]`."""
    return "".join(f"[{part}]" for part in path.split(".")) if path else ""


def _of_nodes(nodes: Sequence[Node]) -> Iterator[tuple[str, str, Reference]]:
    for node in nodes:
        name = _within(node.scope, node.op.name)
        for index in range(len(node.outputs)):
            yield name, f"[{index}]" if len(node.outputs) > 1 else "", (node, index)


def _within(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name


# Variables


def _of_variables(
    trail: Trail, graph: Graph, forward: Sequence[Node]
) -> list[tuple[str, str, Reference]]:
    """What lines assign, in the order in which it was computed."""
    calls = {call.source: call for call in trail.returns if call.leaves}
    nodes: dict[Source, list[Node]] = defaultdict(list)
    for node in forward:
        if node.source is not None and node.source not in calls:
            nodes[node.source].append(node)
    written = set(filter(is_reference, graph.writes.values()))
    used = set(_used(trail))
    found: list[tuple[int, str, str, Reference]] = []
    for source, call in calls.items():
        name = target_name(source)
        for path, value in call.leaves if name else ():
            found.append((value[0].number, _within(call.scope, name or ""), brackets(path), value))
    for source, made in nodes.items():
        name = target_name(source)
        value = _last(made, written, used) if name else None
        if value is not None:
            found.append((value[0].number, _within(value[0].scope, name or ""), "", value))
    found.sort(key=lambda entry: entry[0])
    return [entry[1:] for entry in found]


def _used(trail: Trail) -> Iterator[Reference]:
    for node in trail.nodes:
        yield from ((x, i) for x, i in zip(node.inputs, node.indices) if type(x) is Node)
    yield from (value for _, value in trail.results if is_reference(value))


def _last(nodes: Sequence[Node], written: set[Reference], used: set[Reference]) -> Reference | None:
    """The value of an expression: the last that none of its own nodes reads, and no slot takes."""
    read = {(x, i) for n in nodes for x, i in zip(n.inputs, n.indices) if type(x) is Node}
    made = [(n, k) for n in nodes for k in range(len(n.outputs))]
    ends = [value for value in made if value not in read and value not in written]
    ends = [value for value in ends if value in used] or ends
    if not ends:
        return None
    last = ends[-1][0]
    return next(value for value in ends if value[0] is last)


# Gradients


def _of_leaves(trail: Trail, names: dict[Node, str]) -> Iterator[tuple[str, Reference]]:
    """Gradients of state and inputs: what was last in `.grad`, else what a transform found."""
    arrived: dict[Node, list[Reference]] = {node: [] for node in names}
    for (node, _), gradients in trail.upstream.items():
        for leaf in (node, *_stands_for(node)):
            if leaf in arrived:
                arrived[leaf] += gradients
    for leaf, name in names.items():
        kept = trail.gradients.get(leaf)
        yield from _passes(name, arrived[leaf] if kept is None else [kept])


def _stands_for(node: Node) -> Iterator[Node]:
    """The leaf that a transform differentiates by a node of its own."""
    if node.op is primitives["identity"] and type(node.inputs[0]) is Node:
        yield node.inputs[0]


def _upstream(trail: Trail, values: Named) -> Iterator[tuple[str, Reference]]:
    for name, value in values.items():
        if is_reference(value):
            yield from _passes(name, trail.upstream.get(value, ()))


def _passes(name: str, gradients: Sequence[Reference]) -> Iterator[tuple[str, Reference]]:
    for number, gradient in enumerate(gradients, 1):
        yield f"{name}@{number}" if number > 1 else name, gradient
