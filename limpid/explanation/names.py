"""Names of nodes: the user's own where they can be told."""

from __future__ import annotations

from collections import Counter
from typing import Any

from limpid.graph.node import Leaf, Node
from limpid.graph.source import locate, operand_names, target_name

LONGEST = 40
PRIMES = 3  # x, x′, x′′ and x′′′ can be told apart; further nodes called x go by their ids


def name_nodes(ids: dict[Node, str]) -> dict[Node, str]:
    """A distinct name for every node: a label, the user's spelling, or its id."""
    nodes = list(ids)
    proposed: dict[Node, str] = {}
    for node in nodes:
        spelled = operand_names(node.source, len(node.inputs), node.op.name) if node.inputs else []
        for x, name in zip(node.inputs, spelled, strict=False):
            if isinstance(x, Node) and not x.inputs and name and name.isidentifier():
                proposed.setdefault(x, name)
    for node in nodes:
        if isinstance(node.op, Leaf) and node.op.label:
            proposed[node] = node.op.label
    sources = Counter(node.source for node in nodes if node.inputs and node.source)
    for node in nodes:
        if node.inputs and node.source and sources[node.source] == 1:
            location = locate(node.source)
            text = target_name(node.source) or " ".join(location.text.split()) if location else ""
            if text and len(text) <= LONGEST and location and location.column is not None:
                proposed.setdefault(node, text)
    return _distinct(ids, proposed)


def _distinct(ids: dict[Node, str], proposed: dict[Node, str]) -> dict[Node, str]:
    names: dict[Node, str] = {}
    taken: set[str] = set()
    for node, id_ in ids.items():
        name = proposed.get(node) or id_
        marked = next((n for k in range(PRIMES + 1) if (n := name + k * "′") not in taken), id_)
        while marked in taken:  # somebody else's name looks like an id
            marked += "′"
        taken.add(marked)
        names[node] = marked
    return names


def constant_name(x: Any) -> str:
    """A number as it is, an array by its shape."""
    if hasattr(x, "shape"):
        return f"{x.item():g}" if x.size == 1 else f"array{list(x.shape)}"
    return f"{x:g}" if isinstance(x, float) else str(x)
