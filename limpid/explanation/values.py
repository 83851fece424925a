"""Forward values for an explanation: what the graph kept, and the rest computed again."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.saved import check_version
from limpid.errors import NoGradientError
from limpid.graph.graph import pick
from limpid.graph.node import Freed, Leaf, Node


def forward_values(nodes: list[Node]) -> dict[Node, Any]:
    """The value of every node (a tuple where it has several outputs), oldest first.

    The operations are deterministic (random ones store their counter), so a value computed again
    is bitwise the one that was.
    """
    values: dict[Node, Any] = {}
    for node in nodes:
        for x in node.inputs:
            if isinstance(x, Node) and not x.inputs:
                check_version(x, node)
        values[node] = _value(node, values, nodes)
    return values


def _value(node: Node, values: dict[Node, Any], nodes: list[Node]) -> Any:
    if not node.inputs:
        return _leaf_value(node, nodes)
    if isinstance(node.saved, tuple) and len(node.outputs) == 1 and node.saved[0] is not None:
        return node.saved[0]
    operands = [pick(values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]
    with np.errstate(all="ignore"):
        return node.op.evaluate(operands, node.params)


def _leaf_value(leaf: Node, nodes: list[Node]) -> Any:
    if isinstance(leaf.op, Leaf) and leaf.op.storage is not None:
        return leaf.op.storage.read()
    for node in nodes:  # an input of a transform: whoever saved it knows it
        if isinstance(node.saved, tuple) and not isinstance(node.saved, Freed):
            first = len(node.outputs)
            for i, x in enumerate(node.inputs):
                if x is leaf and node.saved[first + i] is not None:
                    return node.saved[first + i]
    raise NoGradientError(
        "the value of an input of a transform was not kept; explain a tensor made from "
        "limpid.tensor(value, requires_grad=True) instead"
    )
