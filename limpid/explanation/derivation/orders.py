"""The two orders of the chain rule: what a derivative costs forward and in reverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from limpid.graph.node import Node
from limpid.ops.windows.contraction import lowered


@dataclass(frozen=True)
class Orders:
    """Multiply-adds, or elements, of all products with local derivatives.

    forward  one pass for each number of the inputs
    reverse  one pass for each number of the output
    """

    inputs: int
    outputs: int
    forward: int
    reverse: int

    def __str__(self) -> str:
        cheaper = "reverse" if self.reverse <= self.forward else "forward"
        times = max(self.forward, self.reverse) / max(min(self.forward, self.reverse), 1)
        return (
            f"forward mode: {_count(self.inputs, 'pass')}, one for each number of the inputs, "
            f"{self.forward:,} multiplications\n"
            f"reverse mode: {_count(self.outputs, 'pass')}, one for each number of the output, "
            f"{self.reverse:,} multiplications\n"
            f"{cheaper} is {times:,.3g} times as cheap"
        )

    def to_json(self) -> dict[str, Any]:
        """The same as data."""
        return asdict(self)


def orders(nodes: Sequence[Node], output: Node, wrt: Sequence[Node]) -> Orders:
    """What both modes cost for ∂output/∂wrt."""
    active = set(wrt)
    forward = reverse = 0
    for node in nodes:
        through = [x for x in node.inputs if isinstance(x, Node) and x in active]
        if through:
            active.add(node)
            forward += _work(node) * len(through)
            reverse += _work(node) * len(through)
    inputs = sum(node.outputs[0].size for node in wrt)
    outputs = output.outputs[0].size
    return Orders(inputs, outputs, inputs * forward, outputs * reverse)


def _work(node: Node) -> int:
    """Multiply-adds of a contraction, else elements."""
    parts = lowered(node)
    if parts:
        return sum(part.multiply_adds() for part in parts)
    return max([*(spec.size for spec in node.outputs), 1])


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 'es'}"
