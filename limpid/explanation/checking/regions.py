"""Element by element parts of a graph, such as 1 / (1 + exp(−x)), seen as one operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.kinds import Local
from limpid.explanation.checking.evidence import Evidence
from limpid.explanation.checking.factors import formulas_in
from limpid.explanation.checking.finding import Cause
from limpid.explanation.checking.replay import Bridge, Edge, Passing, Replay, place
from limpid.graph.node import Array, Node

MULTIPLY = "multiply the upstream gradient by every factor of the local derivative"


class Region(NamedTuple):
    """y depends on x, and on nothing else, element by element: dy/dx = local."""

    above: Node
    below: Node
    first: int
    x: Array
    y: Array
    local: Array


def in_region(e: Evidence, replay: Replay) -> Cause | None:
    """A wrong local derivative of such a part."""
    for region in regions(replay):
        for name, statement, remedy, local in _mistakes(region):
            bridge = Bridge(region.above, region.below, local, region.first)
            if e.fits(replay.pull(gs, bridge=bridge)[e.k] for gs in e.upstream):
                return Cause(
                    name,
                    f"{statement} in what ends in {place(region.above)}",
                    "with this one change the right backward pass gives the analytic gradient",
                    remedy,
                )
    return None


def regions(replay: Replay) -> Iterator[Region]:
    """Every value with every value below it that it depends on element by element."""
    by_node: dict[Node, list[Edge]] = {}
    for edge in replay.edges:
        by_node.setdefault(edge.node, []).append(edge)
    for above in by_node:
        if len(above.outputs) == 1:
            yield from _below(replay, above, by_node)


def _below(replay: Replay, above: Node, by_node: dict[Node, list[Edge]]) -> Iterator[Region]:
    shape = above.outputs[0].shape
    reached: dict[Node, Any] = {above: np.ones(shape)}
    while reached:
        node = max(reached, key=lambda n: n.number)
        edges = by_node.get(node, [])
        local = reached.pop(node)
        if not edges or not all(_by_element(edge, shape) for edge in edges):
            return
        for edge in edges:
            parent: Any = edge.node.inputs[edge.i]
            at = Passing(edge, local, replay.values[node], replay.operands(node))
            passed = at.passed()
            if passed is not None:
                reached[parent] = reached.get(parent, 0) + np.asarray(passed)
        if len(reached) == 1:
            below, total = next(iter(reached.items()))
            x, y = (np.asarray(replay.values[n]) for n in (below, above))
            yield Region(above, below, by_node[above][0].i, x, y, np.asarray(total))


def _by_element(edge: Edge, shape: tuple[int, ...]) -> bool:
    node, parent = edge.node, edge.node.inputs[edge.i]
    same = node.outputs[0].shape == shape and isinstance(parent, Node)
    derivative = node.op.derivative(edge.i)  # type: ignore[attr-defined]
    return (
        same
        and isinstance(derivative, Local)
        and len(parent.outputs) == 1
        and parent.outputs[0].shape == shape
    )


def _mistakes(region: Region) -> Iterator[tuple[str, str, str, Any]]:
    local, x, y = region.local, region.x, region.y
    yield "chain", "the local derivative is left out", MULTIPLY, np.ones_like(local)
    values = np.unique(local.round(9))
    if len(values) == 2:
        remedy = "pass the gradient where the value passed"
        yield "mask", "the mask is from the wrong side", remedy, values.sum() - local
    with np.errstate(all="ignore"):
        for words, wrong in formulas_in(y, local, x):
            yield ("input for output", f"the input is used where the output is needed ({words})",
                   "keep the output in the forward pass", wrong)  # fmt: skip
        for words, wrong in formulas_in(x, local, y):
            yield ("output for input", f"the output is used where the input is needed ({words})",
                   "keep the input in the forward pass", wrong)  # fmt: skip
        for name, factor in (("y", y), ("1 − y", 1 - y), ("1 + y", 1 + y), ("x", x)):
            if np.ptp(factor) > 0:
                yield "chain", f"the factor {name} is left out", MULTIPLY, local / factor
        yield "chain", "the local derivative is there twice", "once is enough", local * local
