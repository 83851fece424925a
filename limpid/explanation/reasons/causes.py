"""Why one edge passes nothing, or little: from its kind and its numbers, never from its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.differentiation.kinds import General, Local, Transpose
from limpid.differentiation.relation import structure
from limpid.differentiation.rules import downstream, is_mask, recorded_rule
from limpid.explanation.walk import Passage, Walk, complete
from limpid.graph.graph import input_specs
from limpid.graph.node import Array, Node, reachable
from limpid.tensor import Tensor

MASK, SATURATED, FACTOR = "mask", "saturated", "zero factor"
ROUTED, UNDERFLOW, CANCELS = "routed", "underflow", "cancels"


def cause_of(edge: Passage, walk: Walk) -> str:
    """The kind of an edge's cause, given that it passes little or nothing of what arrives."""
    op: Any = edge.node.op
    derivative = op.derivative(edge.operand)
    if op.gate == "routes":
        return ROUTED
    if isinstance(derivative, Local):
        return _elementwise_cause(edge, walk)
    if underflows(edge, walk):
        return UNDERFLOW
    if isinstance(derivative, Transpose):
        return _linear_cause(edge, walk, derivative)
    assert isinstance(derivative, General)
    if zero_operand(edge, walk) is not None:
        return FACTOR
    return SATURATED


def _elementwise_cause(edge: Passage, walk: Walk) -> str:
    local = edge.local
    if isinstance(local, int):
        return CANCELS  # ± what arrives, summed over what was broadcast
    if is_mask(local):
        return MASK
    arrived = np.broadcast_to(edge.arrived, np.broadcast_shapes(edge.arrived.shape, local.shape))
    met = np.broadcast_to(local, arrived.shape)[arrived != 0]
    if met.any():
        if not (arrived * local).any() or underflows(edge, walk):
            return UNDERFLOW
        if _is_sum_small(edge, np.abs(arrived * local)):
            return CANCELS
    return SATURATED if reads_itself(edge) else FACTOR


def reads_itself(edge: Passage) -> bool:
    """Whether the local derivative depends on the operand it belongs to, and on it alone."""
    recorded = recorded_rule(edge.node.op, edge.operand, edge.node)
    if not isinstance(recorded.local, Tensor) or recorded.local.node is None:
        return False
    seen = set(reachable([recorded.local.node]))
    others = [x.node for k, x in enumerate(recorded.operands) if k != edge.operand and _is_node(x)]
    own = [recorded.operands[edge.operand], *recorded.outputs]
    return any(x.node in seen for x in own) and not any(node in seen for node in others)


def _is_node(x: Any) -> bool:
    return isinstance(x, Tensor) and x.node is not None


def _linear_cause(edge: Passage, walk: Walk, derivative: Transpose) -> str:
    magnitudes = passed_by(edge, walk, [None if g is None else np.abs(g) for g in edge.upstream])
    if not derivative.joint:
        operands = [_magnitude(x) for x in walk.operands(edge.node)]
        magnitudes = passed_by(
            edge, walk, [None if g is None else np.abs(g) for g in edge.upstream], operands
        )
        return CANCELS if magnitudes.any() and _is_sum_small(edge, magnitudes) else FACTOR
    if magnitudes.any() and _is_sum_small(edge, magnitudes):
        return CANCELS
    return ROUTED if is_selection(edge) else FACTOR


def is_selection(edge: Passage) -> bool:
    """Whether the edge only moves elements."""
    op: Any = edge.node.op
    relation = op.relation(input_specs(edge.node), edge.node.params)
    return structure(relation, edge.operand) in ("selection", "diagonal")


def _is_sum_small(edge: Passage, magnitudes: Array) -> bool:
    """Whether what is passed on is small because terms of opposite sign meet."""
    return bool(norm(edge.downstream) < 1e-6 * norm(np.asarray(magnitudes)))


def passed_by(
    edge: Passage, walk: Walk, upstream: list[Any], operands: list[Any] | None = None
) -> Array:
    """What the rule of this edge makes of another upstream, or of other operands."""
    node, op = edge.node, edge.node.op
    g: Any = tuple(upstream)
    if not op.partial_upstream:  # type: ignore[attr-defined]  # a primitive
        g = complete(g, node)
    g = g if len(g) > 1 else g[0]
    operands = walk.operands(node) if operands is None else operands
    with np.errstate(all="ignore"):
        passed = downstream(op, edge.operand, g, walk.values[node], operands, node.params)
    return np.asarray(passed)


def underflows(edge: Passage, walk: Walk) -> bool:
    """Whether the rule gives more than was passed on when it is computed in double precision."""
    dtype, op = edge.downstream.dtype, edge.node.op
    if dtype == np.float64 or op.vjp_all is not None:  # type: ignore[attr-defined]  # a primitive
        return False  # a rule of the user's is not run again
    upstream = [None if g is None else g.astype(np.float64) for g in edge.upstream]
    if isinstance(edge.local, np.ndarray):
        wide = np.asarray(upstream[0]) * edge.local.astype(np.float64)
        return _lost(edge.downstream, wide)
    operands = [_wide(x) for x in walk.operands(edge.node)]
    if not edge.node.params.get("dtype"):
        return _lost(edge.downstream, passed_by(edge, walk, upstream, operands))
    return _lost(edge.downstream, edge.arrived)  # a cast: what arrives is what should be passed


def _lost(passed: Array, wide: Array) -> bool:
    """Whether most of what should be passed is below what the type can hold."""
    tiny = np.finfo(passed.dtype).tiny
    wide = np.abs(wide)
    return bool(wide.any() and wide.max() < tiny and norm(passed) < 0.5 * norm(wide))


def _wide(x: Any) -> Any:
    is_float = isinstance(x, np.ndarray) and x.dtype.kind == "f"
    return x.astype(np.float64) if is_float else x


def _magnitude(x: Any) -> Any:
    is_number = isinstance(x, np.ndarray | float | int) and not isinstance(x, bool)
    return np.abs(x) if is_number else x


def zero_operand(edge: Passage, walk: Walk) -> int | None:
    """The number of another operand that is zero everywhere; None if there is none."""
    for k, x in enumerate(walk.operands(edge.node)):
        if k != edge.operand and _is_float(x) and np.size(x) and not np.any(x):
            return k
    return None


def _is_float(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


def norm(x: Array) -> float:
    """‖x‖ in double precision, without overflow; NaN where x holds one."""
    wide = np.abs(np.asarray(x, np.float64))
    largest = wide.max(initial=0.0)
    if not largest or not np.isfinite(largest):
        return float(largest)
    return float(largest * np.sqrt(np.sum((wide / largest) ** 2)))


def depending(nodes: Sequence[Node], on: Node) -> set[Node]:
    """The nodes that depend on one of them, itself among them."""
    found = {on}
    for node in nodes:
        if any(isinstance(x, Node) and x in found for x in node.inputs):
            found.add(node)
    return found
