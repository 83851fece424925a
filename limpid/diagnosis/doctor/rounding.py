"""Where a computation gives 0 only because its type has nothing smaller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.compiler.steps.replay import Kept
from limpid.diagnosis.origin.graphs import evaluated
from limpid.graph.graph import pick
from limpid.graph.node import Node, reachable


def first_underflow(call: Kept, losses: Sequence[tuple[Node, int]]) -> Node | None:
    """The first node of the forward pass that is 0 everywhere, and would not be in float64."""
    graph = call.recording.graph
    values, _ = evaluated(graph, call.inputs, call.state[: len(graph.slots)])
    for node in reachable([node for node, _ in losses]):
        y = values.get(node)
        if node.inputs and node in values and _is_zero(y):
            operands = [pick(values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]
            if not all(_is_zero(x) for x in operands) and not _is_zero(_wider(node, operands)):
                return node
    return None


def _wider(node: Node, operands: list[Any]) -> Any:
    op: Any = node.op
    wide = [x.astype(np.float64) if _is_float(x) else x for x in operands]
    try:
        with np.errstate(all="ignore"):
            return op.evaluate(wide, node.params)
    except Exception:  # whatever is only there for float32 has no wider result to compare with
        return np.zeros(1)


def _is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _is_zero(x: Any) -> bool:
    return _is_float(x) and x.size > 0 and not x.any()
