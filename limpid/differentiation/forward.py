"""Forward mode: tangents pushed through the nodes of a graph, oldest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limpid.differentiation.kinds import General, Local, Transpose
from limpid.differentiation.reverse import reverse
from limpid.differentiation.rules import downstream, scale
from limpid.differentiation.saved import saved_tensors, saved_values, zeros
from limpid.graph.context import context, enable_grad
from limpid.graph.node import NO_PARAMS, Leaf, Node, Origin, Spec, reachable
from limpid.graph.registry import operations
from limpid.tensor import Tensor


def push_forward(
    outputs: Sequence[Tensor], tangents: Mapping[Node, Any], recording: bool, since: int = 0
) -> list[Any]:
    """The tangent of each output, None where it depends on no input with a tangent.

    What was made before node number `since` is constant.
    """
    known: dict[Node, Any] = dict(tangents)
    before = context.state.scope, context.state.origin, context.state.origin_source
    try:
        for node in reachable([y.node for y in outputs], list(tangents), since):
            if node not in known and node.inputs and node.requires_grad:
                pushed = _push(node, known, recording)
                if pushed is not None:
                    known[node] = pushed
    finally:
        context.state.scope, context.state.origin, context.state.origin_source = before
    return [_pick(known, y.node, y.index) for y in outputs]


def _pick(known: Mapping[Node, Any], node: Node | None, index: int) -> Any:
    tangent = known.get(node) if node is not None else None
    return tangent[index] if isinstance(tangent, tuple) else tangent


def _push(node: Node, known: Mapping[Node, Any], recording: bool) -> Any:
    """The tangent of one node from those of its inputs; a tuple where it has several outputs."""
    op: Any = node.op
    dxs: dict[int, Any] = {}
    for i, parent in enumerate(node.inputs):
        if type(parent) is Node and op.differentiable >> i & 1:
            dx = _pick(known, parent, node.indices[i])
            if dx is not None:
                dxs[i] = dx
    if not dxs:
        return None
    if recording:
        context.state.scope, context.state.origin_source = node.scope, node.source
        values = saved_tensors(node)
        context.state.origin = Origin(node, min(dxs), "edge")
    else:
        values = saved_values(node)
    if op.jvp_all is not None:
        total = op.jvp_all(dxs, values[1], *values[0], **node.params)
    else:
        total = _push_each(node, dxs, values, recording)
    if isinstance(total, tuple):
        return tuple(map(_fit, total, node.outputs))
    return None if total is None else _fit(total, node.outputs[0])


def _push_each(
    node: Node, dxs: dict[int, Any], values: tuple[list[Any], Any], recording: bool
) -> Any:
    """The sum of what comes through each operand; operands that are jointly linear count as one."""
    op: Any = node.op
    operands, y = values
    total: Any = None
    joint = [i for i in dxs if getattr(op.derivative(i), "joint", False)]
    if joint:
        if recording:
            context.state.origin = Origin(node, joint[0], "edge")
        total = _joint(op, node, operands, {i: dxs[i] for i in joint}, recording)
    for i, dx in dxs.items():
        if i in joint:
            continue
        if recording:
            context.state.origin = Origin(node, i, "edge")
        share = _along(op, node, i, dx, y, operands, recording)
        total = share if total is None else _add(total, share)
    return total


def _joint(op: Any, node: Node, operands: list[Any], dxs: dict[int, Any], recording: bool) -> Any:
    """Linear in all its linear operands together: the primitive applied to the tangents."""
    arguments = list(operands)
    for i, x in enumerate(operands):
        if i in dxs:
            arguments[i] = dxs[i]
        elif getattr(op.derivative(i), "joint", False):
            parent = node.inputs[i]
            spec = parent.outputs[node.indices[i]] if type(parent) is Node else None
            arguments[i] = zeros(spec, recording) if spec is not None else x * 0
    return op(*arguments, **node.params)


def _along(
    op: Any, node: Node, i: int, dx: Any, y: Any, operands: list[Any], recording: bool
) -> Any:
    """The share of the tangent of y that comes through operand i."""
    derivative = op.derivative(i)
    if isinstance(derivative, Local):
        rule = derivative.rule
        if isinstance(rule, int):
            return dx if rule == 1 else -dx
        return scale(dx, rule(y, *operands, **node.params), op.strong)
    if isinstance(derivative, Transpose):
        arguments = list(operands)
        arguments[i] = dx
        return op(*arguments, **node.params)
    assert isinstance(derivative, General)
    if derivative.jvp is not None:
        position = op.position(i)
        return derivative.jvp(dx, y, *position, *operands, **node.params)
    return _transposed_vjp(op, node, i, dx, y, operands, recording)


def _transposed_vjp(
    op: Any, node: Node, i: int, dx: Any, y: Any, operands: list[Any], recording: bool
) -> Any:
    """The VJP is linear in g; its transpose applied to dx is the JVP."""
    abstract = node.saved is None
    with enable_grad():
        g = tuple(_fresh(spec, abstract) for spec in node.outputs)
        passed = downstream(op, i, g if len(g) > 1 else g[0], y, operands, node.params)
        found, _ = reverse([passed], [dx], [t.node for t in g if t.node], recording)
    tangents = tuple(
        zeros(spec, recording) if t.node is None or found.get(t.node) is None else found[t.node]
        for t, spec in zip(g, node.outputs, strict=True)
    )
    return tangents if len(tangents) > 1 else tangents[0]


def _fresh(spec: Spec, abstract: bool) -> Tensor:
    """A leaf that requires a gradient; its value (which can't matter) is zero."""
    node = Node(Leaf(), (), (), NO_PARAMS, (spec,), "", None, None, True)
    return Tensor(node, 0, None if abstract else zeros(spec))


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, tuple):
        return tuple(map(_add, a, b))
    return b if a is None else a if b is None else a + b


def _fit(tangent: Any, spec: Spec) -> Any:
    """A tangent has the shape and dtype of its output; an output of indices has none."""
    if tangent is None:
        return None
    if tangent.shape != spec.shape:
        tangent = operations["broadcast_to"](tangent, spec.shape)
    if tangent.dtype != spec.dtype:
        tangent = operations["astype"](tangent, spec.dtype)
    return tangent
