"""The edges of an eager backward pass, as computations to search in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from limpid.diagnosis.origin.computation import Leaf, Maker, has_fault
from limpid.diagnosis.origin.edges import Edge, Sum
from limpid.diagnosis.origin.events import Events
from limpid.differentiation.absence import absence_in
from limpid.explanation.values import forward_values
from limpid.explanation.walk import Output, Pass, Passage, Walk, complete
from limpid.graph.graph import pick
from limpid.graph.node import Node, next_number
from limpid.tensor import Tensor


def values_of(node: Node) -> tuple[list[Any], Any]:
    """Operands and outputs as far as rules read them; constants are there in any case."""
    count = len(node.outputs)
    saved = node.saved if isinstance(node.saved, tuple) else (None,) * (count + len(node.inputs))
    operands = [
        v if v is not None else x.outputs[i] if isinstance(x, Node) else x
        for x, i, v in zip(node.inputs, node.indices, saved[count:], strict=True)
    ]
    made = [spec if v is None else v for spec, v in zip(node.outputs, saved)]
    return operands, made[0] if count == 1 else tuple(made)


class _Saved(dict[Node, Any]):
    """What nodes saved of their outputs, read when it is asked for."""

    def __missing__(self, node: Node) -> Any:
        return values_of(node)[1]


class TracedPass(Walk):
    """A backward pass once more, with what brought each gradient."""

    def __init__(
        self,
        nodes: Sequence[Node],
        outputs: Sequence[Tensor],
        seeds: Sequence[Any],
        active: Collection[Node] | None,
        events: Events,
    ) -> None:
        assert outputs[0].node is not None
        end = outputs[0].node, outputs[0].index
        super().__init__(Pass(nodes, end, _Saved(), seeds[0]), active)
        self.absence = absence_in(nodes, ((y.node, y.index) for y in outputs), False)
        self._events = events
        self._parts: dict[Output, list[tuple[Any, Maker]]] = {}
        self.arrived = {}
        for y, seed in zip(outputs, seeds, strict=True):
            if y.node is not None:
                self._arrive((y.node, y.index), seed, Leaf("input", "the upstream gradient", seed))
        self._forward: dict[Node, Any] | None = None

    def run(self) -> None:
        """Go through all of it."""
        for passage in self.passages():
            edge = self._edge(passage)
            self._parts.setdefault(passage.to, []).append((passage.downstream, (edge, 0)))

    def maker(self, output: Output) -> Maker | None:
        """What made the whole gradient of an output."""
        parts = self._parts.get(output, [])
        if len(parts) < 2:
            return parts[0][1] if parts else None
        return Sum(output[0], parts, next_number()), 0

    def operands(self, node: Node) -> list[Any]:
        """As far as its rules read them."""
        return values_of(node)[0]

    def _arrive(self, output: Output, g: Any, maker: Maker) -> None:
        self.arrived.setdefault(output, []).append(g)
        self._parts.setdefault(output, []).append((g, maker))

    def _edge(self, passage: Passage) -> Edge:
        node = passage.node
        operands, y = values_of(node)
        op: Any = node.op
        makers: list[Maker | None] = [
            self.maker((node, k)) if has_fault(g) else None for k, g in enumerate(passage.upstream)
        ]
        upstream = passage.upstream if op.partial_upstream else complete(passage.upstream, node)
        for x in (*(y if isinstance(y, tuple) else (y,)), *operands):
            makers.append(self._forward_maker(x) if has_fault(x) else None)
        values = upstream, y, operands
        edge = Edge(node, passage.operand, values, makers, next_number(), lambda: self._known(node))
        if self.absence is not None:
            edge.hush(passage.downstream)
        return edge

    def _forward_maker(self, x: Any) -> Maker:
        found = self._events.find(x)
        return Leaf("value", "", x) if found is None else found

    def _known(self, node: Node) -> Sequence[Any]:
        """The operands of a node, computed again where nobody saved them."""
        if self._forward is None:
            try:
                with np.errstate(all="ignore"):
                    self._forward = forward_values(list(self.nodes))
            except Exception:
                self._forward = {}  # of a transform, whose inputs nobody kept
        try:
            return [
                pick(self._forward, x, i) for x, i in zip(node.inputs, node.indices, strict=True)
            ]
        except KeyError:
            return self.operands(node)
