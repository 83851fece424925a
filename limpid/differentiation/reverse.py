"""Reverse mode: upstream × local = downstream, from the newest node to the oldest.

One loop serves numbers and recording: given arrays the rules compute, given tensors they record
a backward graph whose nodes carry as origin the forward node, the argument and the role.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import ref

import numpy as np

from limpid.differentiation.absence import Absence, Marks, absence_in, are_finite
from limpid.differentiation.rules import downstream, fit, scale, select
from limpid.differentiation.saved import checked, saved_tensors, saved_values, zeros
from limpid.errors import NoGradientError, SeedError
from limpid.graph.context import context, is_grad_enabled
from limpid.graph.node import Freed, Leaf, Node, Origin, reachable
from limpid.graph.registry import operation, operations
from limpid.graph.source import capture, describe
from limpid.tensor import Tensor, kept_gradients, to_array

ndarray = np.ndarray
Gradients = dict[Node, Any]  # node → gradient, or a list of them where it has several outputs


def reverse(
    outputs: Sequence[Tensor],
    seeds: Sequence[Any],
    wanted: Sequence[Node] | None,
    recording: bool,
    since: int = 0,
    marks: Marks | None = None,
) -> tuple[Gradients, list[Node]]:
    """Gradients of Σ seed·output at the wanted nodes, or at all leaves when wanted is None.

    Seeds are arrays, and so are the gradients; tensors, both, when recording. What was made before
    node number `since` is constant. Also returned are the nodes that were passed through. A pass
    within another one is given marks of its outputs (see `absence.py`), and adds those of nodes.
    """
    nodes = reachable([y.node for y in outputs], wanted or (), since)
    active = None if wanted is None else _depending(nodes, wanted)
    gradients: Gradients = {}
    for y, seed in zip(outputs, seeds, strict=True):
        if y.node is not None and (active is None or y.node in active):
            _accumulate(gradients, y.node, y.index, seed)
    absence = absence_in(nodes, ((y.node, y.index) for y in outputs), recording, marks)
    ends = set(wanted or ())
    if absence is None or recording or marks is not None:
        finished = _go_back(nodes, gradients, ends, active, recording, absence)
    else:
        finished = _go_back_twice(nodes, gradients, ends, active, absence)
    if not recording and (tracer := context.state.tracer) is not None:
        tracer.passed(nodes, outputs, seeds, active, finished)
    return finished, nodes


def _go_back_twice(
    nodes: Sequence[Node],
    gradients: Gradients,
    ends: set[Node],
    active: set[Node] | None,
    absence: Absence,
) -> Gradients:
    """Without marks, which change no bit of what is finite; with them only if something is not."""
    with np.errstate(all="ignore"):  # what is not finite may be absent
        once = {node: list(g) if type(g) is list else g for node, g in gradients.items()}
        finished = _go_back(nodes, once, ends, active, False, None)
        if not are_finite(finished.values()):
            finished = _go_back(nodes, gradients, ends, active, False, absence)
    return finished


def _go_back(
    nodes: Sequence[Node],
    gradients: Gradients,
    ends: set[Node],
    active: set[Node] | None,
    recording: bool,
    absence: Absence | None,
) -> Gradients:
    """Through the nodes, from the given gradients to those at the ends."""
    finished: Gradients = {}
    trail = context.state.trail if recording else None
    for node in reversed(nodes):
        if node not in gradients:
            continue
        g = gradients.pop(node)
        if trail is not None:
            trail.note_gradient(node, g)
        if not node.inputs or node in ends:
            finished[node] = g
            continue
        if node.retained is not None:
            finished[node] = g
        if recording:
            _pull_recording(node, g, gradients, active, absence)
        elif absence is not None:
            _pull(node, g, gradients, active, saved_values(node), False, absence)
        elif (rules := node.op.local_rules) is not None and not node.params:  # type: ignore[attr-defined]  # ops of inner nodes are primitives
            _pull_elementwise(node, g, gradients, active, rules)
        else:
            _pull(node, g, gradients, active, saved_values(node))
    return finished


def _depending(nodes: Iterable[Node], wanted: Iterable[Node]) -> set[Node]:
    """The nodes that depend on a wanted one and carry gradients."""
    active = set(wanted)
    for node in nodes:
        if node.requires_grad:
            for parent in node.inputs:
                if type(parent) is Node and parent in active:
                    active.add(node)
                    break
    return active


def _pull_elementwise(
    node: Node, g: Any, gradients: Gradients, active: set[Node] | None, rules: tuple[Any, ...]
) -> None:
    """Numbers through an elementwise node: the same as `_pull`, without its generality."""
    saved = node.saved
    if type(saved) is not tuple:
        saved = checked(node)
    for i, parent in enumerate(node.inputs):
        if type(parent) is not Node:
            continue
        if not parent.inputs:
            _notice_writes(parent.op, node)
        if not parent.requires_grad or (active is not None and parent not in active):
            continue
        outputs, index = parent.outputs, node.indices[i]
        spec = outputs[index]
        if len(outputs) > 1 and spec.dtype.kind != "float":
            continue  # indices that came along with values
        rule = rules[i]
        if type(rule) is not int:
            local = rule(*saved)
            if type(local) is ndarray and local.dtype.kind == "b":
                passed = select(g, local) if type(g) is ndarray else scale(g, local)
            else:
                passed = g * local
        elif rule:
            passed = g if rule == 1 else -g
        else:
            continue
        if passed.shape != spec.shape or passed.dtype is not spec.dtype.storage:
            passed = fit(passed, spec, node.op)
        _accumulate(gradients, parent, index, passed)


def _notice_writes(leaf: Any, node: Node) -> None:
    """If the leaf was assigned to since the node was made: does the node need the old value?"""
    storage = leaf.storage if type(leaf) is Leaf else None
    if storage is not None and storage.version > node.number:
        checked(node)


def _pull_recording(
    node: Node,
    g: Any,
    gradients: Gradients,
    active: set[Node] | None,
    absence: Absence | None,
) -> None:
    """Tensors through a node: what the rules compute becomes nodes with an origin."""
    state = context.state
    before = state.scope, state.origin, state.origin_source
    state.scope, state.origin_source = node.scope, node.source
    try:
        _pull(node, g, gradients, active, saved_tensors(node), True, absence)
    finally:
        state.scope, state.origin, state.origin_source = before


def _pull(
    node: Node,
    g: Any,
    gradients: Gradients,
    active: set[Node] | None,
    values: tuple[list[Any], Any],
    recording: bool = False,
    absence: Absence | None = None,
) -> None:
    """Send the gradient of one node on to its inputs."""
    op: Any = node.op
    operands, y = values
    if len(node.outputs) > 1 and not op.partial_upstream:
        g = _complete(g, node, recording)
    needed = [
        i
        for i, parent in enumerate(node.inputs)
        if type(parent) is Node
        and parent.requires_grad
        and (active is None or parent in active)
        and op.differentiable >> i & 1
        and (len(parent.outputs) == 1 or parent.outputs[node.indices[i]].dtype.kind == "float")
    ]
    crossing = None
    if absence is not None and needed:
        if recording:
            context.state.origin = Origin(node, needed[0], "edge")
        crossing = absence.crossing(node, operands, y)
        operands, y = crossing.operands, crossing.y
    shares: Any = None
    if op.vjp_all is not None and needed:
        if recording:
            context.state.origin = Origin(node, needed[0], "edge")
        if crossing is not None:
            shares = crossing.shares(needed, g)
        else:
            shares = op.vjp_all(needed, g, y, *operands, **node.params)
    for i in needed:
        if recording:
            context.state.origin = Origin(node, i, "edge")
        passed = shares[i] if shares else downstream(op, i, g, y, operands, node.params)
        if passed is not None:
            parent, index = node.inputs[i], node.indices[i]
            spec = parent.outputs[index]
            dtype = passed.dtype  # of a tensor a DType, of an array NumPy's
            same = dtype is spec.dtype or dtype is spec.dtype.storage
            if crossing is not None:
                passed = crossing.passed(i, passed)
            elif not same or passed.shape != spec.shape:
                passed = fit(passed, spec, op)
            _accumulate(gradients, parent, index, passed)


def _accumulate(gradients: Gradients, node: Any, index: int, g: Any) -> None:
    """Add one contribution; the sum at a fan-out is a node of its own when recording."""
    if len(node.outputs) > 1:
        parts = gradients.setdefault(node, [None] * len(node.outputs))
        parts[index] = g if parts[index] is None else _sum(parts[index], g, node)
        return
    held = gradients.get(node)
    gradients[node] = g if held is None else _sum(held, g, node)


def _sum(held: Any, g: Any, node: Node) -> Any:
    if isinstance(g, Tensor) and context.state.origin is not None:
        context.state.origin = Origin(node, 0, "sum")
    return held + g


def _complete(parts: list[Any], node: Node, recording: bool) -> tuple[Any, ...]:
    """Upstream for every output: zeros where nothing came."""
    return tuple(
        zeros(spec, recording) if g is None else g
        for g, spec in zip(parts, node.outputs, strict=True)
    )


@operation
def backward(
    output: Tensor, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
) -> None:
    """`Tensor.backward`: leave gradients in `.grad` of the leaves."""
    if not output.requires_grad or output.node is None:
        raise NoGradientError(_why_none(output))
    state = context.state
    recording = create_graph or state.recorder is not None
    seed = seed_for(output, gradient, recording)
    if state.passes is not None:
        state.passes.reverse += 1
    state.differentiated = ref(output)
    before = state.grad_enabled
    if recording and not create_graph:  # what is left in .grad is constant, as it is when eager
        state.grad_enabled = False
        seed = operations["stop_gradient"](seed) if seed.requires_grad else seed
    try:
        found, nodes = reverse([output], [seed], None, recording)
        _leave(found)
    finally:
        state.grad_enabled = before
    if not (retain_graph or recording):
        _free(nodes)


def _leave(found: Gradients) -> None:
    """Add gradients to the `.grad` of leaves, and of tensors that keep theirs."""
    for node, g in found.items():
        if node.is_leaf:
            if node.requires_grad:
                _add_to_grad(node, 0, g)
        elif node.retained is not None:
            parts = g if len(node.outputs) > 1 else [g]
            for index in [k for k in node.retained if parts[k] is not None]:
                _add_to_grad(node, index, parts[index])


def _add_to_grad(node: Node, index: int, g: Any) -> None:
    kept = kept_gradients(node)
    if kept is None:
        kept = node.retained = {}
    held = kept.get(index)
    # A tensor of its own: `p.grad *= 2` rebinds it, and the same g may go to others.
    if type(g) is ndarray:
        made = Tensor(None, 0, g)
    else:
        recorded = isinstance(g, Tensor)
        made = Tensor(g.node, g.index, g._value) if recorded else Tensor(None, 0, np.asarray(g))
    kept[index] = made if held is None else held + made


def _free(nodes: list[Node]) -> None:
    """Let go of the saved values, so that memory returns; leave word of who did it."""
    freed = Freed(capture())
    for node in nodes:
        if node.inputs:
            node.saved = freed


def seed_for(output: Tensor, gradient: Any, recording: bool) -> Any:
    """The upstream gradient of an output: what was given, or 1 for a scalar."""
    spec = output.spec
    if gradient is None:
        if spec.size != 1:
            raise SeedError(
                f"backward() from {spec}, which is not a scalar, needs to know the upstream "
                "gradient\nremedy: reduce it first (limpid.sum, limpid.mean) or pass gradient=…"
            )
        ones = np.ones(spec.shape, spec.dtype.storage)
        return Tensor(None, 0, ones) if recording else ones
    given = gradient
    if not isinstance(given, Tensor):  # its owner may write into it, and into what came of it
        given = Tensor(None, 0, np.array(to_array(gradient)))
    if given.shape != spec.shape:
        raise SeedError(
            f"the upstream gradient has shape {given.shape} but the output has shape {spec.shape}"
        )
    if given.dtype is not spec.dtype:
        given = operations["astype"](given, spec.dtype)
    return given if recording else given.value


def _why_none(output: Tensor) -> str:
    if output.cut is not None:
        return (
            f"this tensor carries no gradient: the graph was cut by {output.cut.how} at "
            f"{describe(output.cut.source)}"
        )
    if not is_grad_enabled() and output.is_leaf:
        return "this tensor carries no gradient: recording is off (no_grad) and nothing was made"
    return (
        "this tensor carries no gradient: nothing it was computed from has requires_grad=True\n"
        "remedy: limpid.tensor(value, requires_grad=True), or use limpid.grad"
    )
