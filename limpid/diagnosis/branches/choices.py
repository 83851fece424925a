"""Choices in a graph, and the ways that gradients take through it. No names are known here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from limpid.differentiation.kinds import CONSTANT, Local
from limpid.differentiation.rules import is_mask, recorded_rule
from limpid.graph.node import Node, reachable
from limpid.tensor import Tensor


class Ways:
    """The part of a graph that gradients go through, from some outputs.

    nodes     oldest first; without what has no gradient
    choosing  plain choices among them, each with the operands of which it takes some elements
    """

    def __init__(self, outputs: Iterable[Node]) -> None:
        ends = list(outputs)
        whole = reachable(ends)
        self.carrying = _carrying(whole)
        self.whole = whole
        self.nodes = self._reached(ends)
        self.readers: dict[Node, list[Node]] = {}
        for node in self.nodes:
            for i in self.operands(node):
                self.readers.setdefault(node.inputs[i], []).append(node)
        self._known: dict[tuple[Any, int], bool] = {}
        self.choosing: dict[Node, tuple[int, ...]] = {}
        for node in self.nodes:
            found = tuple(i for i in self.operands(node) if self._chooses(node, i))
            if found:
                self.choosing[node] = found

    def operands(self, node: Node) -> list[int]:
        """The operands that a gradient goes to from a node."""
        op: Any = node.op
        return [
            i
            for i, x in enumerate(node.inputs)
            if isinstance(x, Node)
            and x in self.carrying
            and op.differentiable >> i & 1
            and x.outputs[node.indices[i]].dtype.kind == "float"
        ]

    def choices_after(self, node: Node, discards: Callable[[Node, int], bool]) -> list[Node]:
        """The first choices that the values of a node come to and that discard some of them.

        discards  whether a choice does, of what comes as this operand
        """
        found, seen, stack = [], {node}, [node]
        while stack:
            at = stack.pop()
            for reader in self.readers.get(at, ()):
                if reader in seen:
                    continue
                seen.add(reader)
                taken = [i for i in self.choosing.get(reader, ()) if reader.inputs[i] is at]
                if any(discards(reader, i) for i in taken):
                    found.append(reader)
                else:
                    stack.append(reader)
        return found

    def _reached(self, ends: Sequence[Node]) -> list[Node]:
        reached = {node for node in ends if node in self.carrying}
        for node in reversed(self.whole):
            if node in reached and node.inputs:
                reached.update(node.inputs[i] for i in self.operands(node))
        return [node for node in self.whole if node in reached]

    def _chooses(self, node: Node, i: int) -> bool:
        op: Any = node.op
        derivative = op.derivative(i)
        if op.strong or not isinstance(derivative, Local) or isinstance(derivative.rule, int):
            return False
        if not any(op.masks(len(node.inputs))):
            return False
        key = op, i
        if key not in self._known:
            self._known[key] = _is_choice(node, i)
        return self._known[key]


def _is_choice(node: Node, i: int) -> bool:
    """Whether the local derivative is a mask that only operands without a derivative decide."""
    op: Any = node.op
    rule = recorded_rule(op, i, node)
    if not is_mask(rule.local) or not isinstance(rule.local, Tensor):
        return False
    read = set(reachable([rule.local.node]))
    differentiable = [x for k, x in enumerate(rule.operands) if op.derivative(k) is not CONSTANT]
    others = [*differentiable, *rule.outputs]
    return not any(isinstance(x, Tensor) and x.node in read for x in others)


def _carrying(nodes: Sequence[Node]) -> set[Node]:
    """The forward nodes with gradients; if none has any, those that some by what is given have."""
    found = {node for node in nodes if node.requires_grad and node.origin is None}
    if found:
        return found
    for node in nodes:
        if not node.inputs:
            carries = node.outputs[0].dtype.kind == "float"
        else:
            op: Any = node.op
            carries = any(
                op.differentiable >> i & 1 and isinstance(x, Node) and x in found
                for i, x in enumerate(node.inputs)
            )
        if carries:
            found.add(node)
    return found
