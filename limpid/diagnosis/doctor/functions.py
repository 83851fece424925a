"""Which functions nodes are, told from their kinds and by trying them: curved ones, flat ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.kinds import Constant, Local, Transpose
from limpid.differentiation.rules import recorded_rule
from limpid.graph.node import Node, reachable
from limpid.tensor import Tensor


def passes_on(kind: Any) -> bool:
    """Whether what comes from upstream goes on as it is."""
    return isinstance(kind, Local) and isinstance(kind.rule, int) and kind.rule == 1


def kinds(node: Node) -> list[Any]:
    """The kind of derivative of each operand."""
    op: Any = node.op
    return [op.derivative(i) for i in range(len(node.inputs))]


def only_moves(node: Node) -> bool:
    """Whether it is linear in its one operand and keeps the number of elements."""
    kind = kinds(node)[0]
    same = node.outputs[0].size == node.inputs[0].outputs[node.indices[0]].size
    moves = isinstance(kind, Transpose) or passes_on(kind)
    return moves and same if type(node.inputs[0]) is Node else False


def curved(node: Node) -> int | None:
    """The operand of an elementwise function of one computed value; None for other nodes."""
    all_kinds = kinds(node)
    if not all_kinds or not all(isinstance(k, Local | Constant) for k in all_kinds):
        return None
    computed = [i for i, x in enumerate(node.inputs) if type(x) is Node]
    if len(computed) != 1 or not node.inputs[computed[0]].requires_grad:
        return None
    kind = all_kinds[computed[0]]
    if not isinstance(kind, Local) or isinstance(kind.rule, int):
        return None
    return computed[0] if _reads_itself(node, computed[0]) else None


def _reads_itself(node: Node, number: int) -> bool:
    """Whether the local derivative depends on the operand."""
    rule = recorded_rule(node.op, number, node)
    if not isinstance(rule.local, Tensor) or rule.local.node is None:
        return False
    seen = set(reachable([rule.local.node]))
    own = [rule.operands[number], *rule.outputs]
    return any(isinstance(x, Tensor) and x.node in seen for x in own)


FAR = 40.0  # where functions that saturate are flat
FLAT = 2e-3  # of the steepest: 1/(1 + |x|)² is below that at 40


def squashes(op: Any, node: Node) -> bool:
    """Whether a function is steep somewhere and flat at both ends, as sigmoid and tanh are."""
    slopes = local_on(op, node, np.array([-FAR, *np.linspace(-3, 3, 25), FAR]))
    if slopes is None or not np.all(np.isfinite(slopes)):
        return False
    slopes = np.abs(slopes)
    return bool(slopes.max() > 0 and max(slopes[0], slopes[-1]) < FLAT * slopes.max())


def local_on(op: Any, node: Node, x: Any) -> Any:
    """The local derivative of a function of one value at these; None where it has others."""
    number = curved(node)
    if number is None or any(np.size(c) > 1 for c in node.inputs if type(c) is not Node):
        return None
    operands = [x if i == number else c for i, c in enumerate(node.inputs)]
    with np.errstate(all="ignore"):
        y = op.evaluate(operands, node.params)
        return np.asarray(op.derivative(number).rule(y, *operands, **node.params), np.float64)


def limits(node: Node) -> tuple[float, float]:
    """The values of a function far to the left and to the right."""
    number = curved(node)
    operands = [np.array([-FAR, FAR]) if i == number else c for i, c in enumerate(node.inputs)]
    op: Any = node.op
    low, high = np.asarray(op.evaluate(operands, node.params))
    return float(low), float(high)
