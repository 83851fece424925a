"""What a picture of a recorded graph says: shapes, no values; bodies of loops within modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limpid.explanation.build import number_nodes, place
from limpid.explanation.drawing.content import Card, Content, Link, shape_text
from limpid.explanation.folding import Item
from limpid.explanation.names import name_nodes
from limpid.graph.graph import Graph, is_reference
from limpid.graph.node import Node

Made = tuple[tuple[str, int], ...]  # outputs of items that stand for a value; none: a constant


def content_of_graph(graph: Graph) -> Content:
    """The nodes of a recorded graph; a loop or a branch is a module with its body in it."""
    reader = _Reader()
    leaves = {node: name for name, node in (*graph.inputs.items(), *graph.slots.items())}
    reader.nodes(_Level([*leaves, *graph.nodes], leaves, "", "", {}))
    used = {link.source for link in reader.links}
    items = tuple(item for item in reader.items if not item.leaf or item.id in used)
    cards = {item.id: reader.cards[item.id] for item in items}
    return Content(items, cards, tuple(reader.links), reader.loops)


@dataclass
class _Level:
    """A graph, or one that a node of it holds.

    given   names of its leaves
    prefix  what ids of its nodes begin with
    inside  the scope that it is in
    made    what stands for values that no item of this level makes
    """

    order: Sequence[Node]
    given: dict[Node, str]
    prefix: str
    inside: str
    made: dict[tuple[Node, int], Made]

    def __post_init__(self) -> None:
        numbers = number_nodes(self.order)
        self.ids = {node: f"{self.prefix}{number}" for node, number in numbers.items()}
        self.names = {**name_nodes(numbers), **self.given}

    def value(self, node: Node, index: int) -> Made:
        """The outputs of items that stand for a value."""
        return self.made.get((node, index), ((self.ids[node], index),))

    def scope(self, node: Node) -> str:
        """The scope of a node; of a node in a body, that within the body."""
        own = node.scope.rpartition("[i]")[2].lstrip(".") if self.inside else node.scope
        return ".".join(part for part in (self.inside, own) if part)


class _Reader:
    def __init__(self) -> None:
        self.items: list[Item] = []
        self.cards: dict[str, Card] = {}
        self.links: list[Link] = []
        self.loops: dict[str, str] = {}

    def nodes(self, level: _Level) -> None:
        for node in level.order:
            bodies = {k: v for k, v in node.params.items() if isinstance(v, Graph)}
            if bodies:
                self._bodies(level, node, bodies)
            elif (node, 0) not in level.made:
                self._node(level, node)

    def _node(self, level: _Level, node: Node) -> None:
        id_, name, leaf = level.ids[node], level.names[node], not node.inputs
        sources = [
            source
            for x, k in zip(node.inputs, node.indices, strict=True)
            if isinstance(x, Node)
            for source in level.value(x, k)
        ]
        self.links += [Link(source, id_, output) for source, output in sources]
        inputs = tuple(source for source, _ in sources)
        kind = (tuple(node.outputs), place(node), len(node.inputs))
        owned = leaf and "." in name
        self.items.append(
            Item(id_, node.op.name, name, level.scope(node), inputs, kind, leaf, owned)
        )
        forward = None if node.origin is None else node.origin.node
        pair, of = (level.ids.get(forward, ""), level.names.get(forward)) if forward else ("", "")
        self.cards[id_] = Card(
            title=name,
            op="" if leaf else node.op.name,
            shape=shape_text(node.outputs[0].shape),
            pair=pair,
            note=f"backward of {of}" if pair else "",
            details=_details(node),
        )

    def _bodies(self, level: _Level, node: Node, bodies: dict[str, Graph]) -> None:
        """The graphs that a loop or a branch holds, in place of its node."""
        for key, body in bodies.items():
            leaves = list(body.inputs.values())
            word = node.op.name if len(bodies) == 1 else f"{node.op.name} {key}"
            mark = f"{word} {level.ids[node]}".replace(".", "/")
            inside = ".".join(part for part in (level.scope(node), mark) if part)
            times = node.params.get("length")
            self.loops[inside] = word if times is None else f"{word} ×{times}"
            given = _operands(level, node)[len(node.inputs) - len(leaves) :]
            inner = _Level(
                [*leaves, *body.nodes],
                dict(zip(leaves, body.inputs, strict=True)),
                f"{level.ids[node]}.{key}.",
                inside,
                {(leaf, 0): made for leaf, made in zip(leaves, given, strict=True)},
            )
            self.nodes(inner)
            for k, reference in enumerate(body.outputs):
                found = inner.value(*reference) if is_reference(reference) else ()
                level.made[node, k] = level.made.get((node, k), ()) + found


def _operands(level: _Level, node: Node) -> list[Made]:
    return [
        level.value(x, k) if isinstance(x, Node) else ()
        for x, k in zip(node.inputs, node.indices, strict=True)
    ]


def _details(node: Node) -> tuple[tuple[str, str], ...]:
    found = [("makes", ", ".join(map(repr, node.outputs)))]
    if node.scope:
        found.append(("module", node.scope))
    if place(node):
        found.append(("line", place(node)))
    return tuple(found)


__all__ = ["content_of_graph"]
