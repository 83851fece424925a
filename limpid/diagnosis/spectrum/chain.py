"""A graph as a chain of layers: cut wherever everything passes through one value.

A value is a cut if no way from the inputs to the outputs goes past it. Between two cuts lies a
piece that is not taken apart: one operation, or all that lies between a fan-out and where its
branches meet again, as in a residual block. A layer is a piece that mixes, and the pieces after it
that work element by element: its activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from limpid.diagnosis.spectrum.piece import Piece, Place
from limpid.diagnosis.spectrum.tracing import depending
from limpid.graph.node import Leaf, Node

MOST_NAMES = 4  # operations that name a layer


@dataclass(frozen=True, eq=False)
class Stage:
    """A layer: all of it, the piece that mixes (if it has one), and the activation after it."""

    name: str
    operations: tuple[str, ...]
    whole: Piece
    mixing: Piece | None
    activation: Piece | None


def chain_of(nodes: Sequence[Node], starts: Sequence[Place], ends: Sequence[Place]) -> list[Stage]:
    """The layers from the starts to the ends, in forward order."""
    pieces = pieces_between(nodes, starts, ends)
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups and piece.rearranges:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    taken: dict[str, int] = {}
    return [_stage(group, taken) for group in groups]


def pieces_between(
    nodes: Sequence[Node], starts: Sequence[Place], ends: Sequence[Place]
) -> list[Piece]:
    """The finest pieces, in forward order."""
    way = on_the_way(nodes, starts, ends)
    here = set(way)
    starts = [place for place in starts if place[0] in here]  # the others have no influence
    begin = {node for node, _ in starts}
    first = max(n for n, node in enumerate(way) if node in begin) + 1
    reach = _furthest_readers(way, begin, {node for node, _ in ends})
    forked = _forked(way)
    pieces: list[Piece] = []
    before, since = tuple(starts), 0
    furthest = max(reach[:first])  # the last reader of all that is older than the node
    for n in range(first, len(way)):
        if furthest <= n and way[n] not in forked:
            after: tuple[Place, ...] = ((way[n], 0),)
            pieces.append(_piece(before, after, way[since : n + 1], begin))
            before, since = after, n + 1
        furthest = max(furthest, reach[n])
    if set(before) != set(ends):
        pieces.append(_piece(before, tuple(ends), way[since:], begin))
    return pieces


def _forked(way: Sequence[Node]) -> set[Node]:
    """Nodes from which signals go on through other outputs than the first."""
    return {
        x
        for node in way
        for x, k in zip(node.inputs, node.indices, strict=True)
        if k and isinstance(x, Node)
    }


def _furthest_readers(way: Sequence[Node], begin: set[Node], end: set[Node]) -> list[int]:
    """For each node the place of the last one that reads it; ends are read after all."""
    position = {node: n for n, node in enumerate(way)}
    reach = list(range(len(way)))
    for n, node in enumerate(way):
        for x in () if node in begin else node.inputs:
            if isinstance(x, Node) and x in position:
                reach[position[x]] = n
    for node in end:
        reach[position[node]] = len(way)
    return reach


def _piece(
    start: tuple[Place, ...], end: tuple[Place, ...], nodes: Sequence[Node], begin: set[Node]
) -> Piece:
    return Piece(start, end, tuple(node for node in nodes if node not in begin))


def on_the_way(nodes: Sequence[Node], starts: Sequence[Place], ends: Sequence[Place]) -> list[Node]:
    """The nodes on ways with derivatives from the starts to the ends, oldest first."""
    active = depending(nodes, starts)
    begin = {node for node, _ in starts}
    wanted = {node for node, _ in ends}
    found = []
    for node in reversed(nodes):
        if node in wanted and node in active:
            found.append(node)
            if node not in begin:
                op: Any = node.op
                wanted.update(
                    x
                    for i, x in enumerate(node.inputs)
                    if isinstance(x, Node) and op.differentiable >> i & 1
                )
    return found[::-1]


def _stage(group: list[Piece], taken: dict[str, int]) -> Stage:
    first = group[0]
    nodes = tuple(node for piece in group for node in piece.nodes)
    whole = Piece(first.start, group[-1].end, nodes)
    name = name_of(first.nodes or nodes)
    taken[name] = taken.get(name, 0) + 1
    if taken[name] > 1:
        name = f"{name}#{taken[name]}"
    operations = tuple(dict.fromkeys(node.op.name for node in nodes))
    if first.rearranges:
        return Stage(name, operations, whole, None, whole)
    rest = group[1:]
    if not rest:
        return Stage(name, operations, whole, first, None)
    after = tuple(node for piece in rest for node in piece.nodes)
    activation = Piece(first.end, group[-1].end, after)
    plain = all(_passes(node) for node in after)
    return Stage(name, operations, whole, first, None if plain else activation)


def _passes(node: Node) -> bool:
    """Whether the node adds what does not depend on the signal, or moves numbers."""
    op: Any = node.op
    return bool(op.jointly_linear)


def name_of(nodes: Sequence[Node]) -> str:
    """The module that all of the nodes are in; else parameters they read, or what they do."""
    scopes = [node.scope.split(".") if node.scope else [] for node in nodes]
    alike = takewhile(lambda parts: len(set(parts)) == 1, zip(*scopes, strict=False))
    shared = ".".join(parts[0] for parts in alike)
    if shared:
        return shared
    labels = [
        x.op.label
        for node in nodes
        for x in node.inputs
        if isinstance(x, Node) and isinstance(x.op, Leaf) and x.op.label and x.requires_grad
    ]
    own = [label for label in dict.fromkeys(labels) if not label.startswith("input ")]
    return ", ".join((own or list(dict.fromkeys(n.op.name for n in nodes)))[:MOST_NAMES])
