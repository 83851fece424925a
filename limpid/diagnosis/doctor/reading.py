"""What rules ask of a recording besides its parts: modes, targets, shapes that spread."""

from __future__ import annotations

from typing import Any

from limpid.compiler.steps.names import mentioned
from limpid.compiler.steps.trail import Return
from limpid.diagnosis.doctor.facts import ModeFacts
from limpid.diagnosis.doctor.functions import curved, limits, squashes
from limpid.diagnosis.doctor.operators import SIGN_TARGETS, TARGET_RANGES
from limpid.diagnosis.doctor.structure import Structure, operand
from limpid.graph.graph import is_reference
from limpid.graph.node import Node, reachable
from limpid.graph.source import describe


def is_probability(node: Node) -> bool:
    """Whether a node is a function that goes from 0 to 1, as the sigmoid does."""
    if curved(node) is None or not squashes(node.op, node):
        return False
    low, high = limits(node)
    return abs(low) < 1e-3 and abs(high - 1) < 1e-3


def restricted(structure: Structure) -> list[tuple[Node, Any, tuple[float, float, bool]]]:
    """Losses whose target may hold certain numbers only: (node, target, (low, high, no others))."""
    found: list[tuple[Node, Any, tuple[float, float, bool]]] = []
    for node in structure.behind:
        if node.origin is not None or node.is_leaf:
            continue
        name = node.op.name
        if name in TARGET_RANGES:
            number, low, high = TARGET_RANGES[name]
            found.append((node, operand(node, number), (low, high, False)))
        elif name in SIGN_TARGETS:
            found.append((node, operand(node, SIGN_TARGETS[name]), (-1.0, 1.0, True)))
    return found


def modes(structure: Structure) -> list[ModeFacts]:
    """Modules whose forward asks for their mode, for each call of them."""
    trail = structure.recording.trail
    behind = set(structure.behind)
    found = []
    calls = [r for r in trail.returns if r.leaves]
    for number, returned in enumerate(calls):
        code = getattr(getattr(returned.kind, "forward", None), "__code__", None)
        if code is None or "training" not in mentioned(code):
            continue
        nodes = [x[0] for _, x in returned.leaves if is_reference(x)]
        outer = next((r for r in calls[number:] if _is_outermost(r)), returned)
        found.append(
            ModeFacts(
                returned.module, returned.kind.__name__, returned.training,
                any(n.requires_grad for n in nodes) and any(n in behind for n in nodes),
                outer.training == returned.training,
                any(n in behind for n in nodes),
                _is_trained(structure, returned),
                _is_frozen(structure, returned.module),
                describe(returned.source).rsplit("/", 1)[-1],
            )
        )  # fmt: skip
    return found


def _is_outermost(returned: Return) -> bool:
    """Whether no other module called it: it has no path, and is called by its class."""
    return not returned.scope and returned.module == returned.kind.__name__


def _is_trained(structure: Structure, call: Return) -> bool:
    """Whether the same module is elsewhere gone through by a gradient."""
    behind = set(structure.behind)
    for returned in structure.recording.trail.returns:
        nodes = [x[0] for _, x in returned.leaves if is_reference(x)]
        same = (returned.module, returned.kind) == (call.module, call.kind)
        if same and any(n.requires_grad and n in behind for n in nodes):
            return True
    return False


def _is_frozen(structure: Structure, module: str) -> bool:
    """Whether a module has parameters, and none of them is trained or written."""
    own = [held for held in structure.parameters if held.name.startswith(f"{module}.")]
    return bool(own) and not any(h.trainable or h.node in structure.written for h in own)


def crossed(structure: Structure) -> dict[str, str]:
    """Lines where a prediction (n, 1) meets a target (n): every one with every other."""
    found = {}
    for node in structure.behind:
        if node.is_leaf or node.origin is not None or len(node.inputs) < 2:
            continue
        a, b = node.inputs[:2]
        if type(a) is not Node or type(b) is not Node or structure.recording is None:
            continue
        one, two = a.outputs[node.indices[0]].shape, b.outputs[node.indices[1]].shape
        if not spreads(one, two) or node.outputs[0].shape != (max(*one, 1), max(*two, 1)):
            continue
        computed = [any(n.requires_grad for n in reachable([x])) for x in (a, b)]
        if sum(computed) == 1 and structure.data_only(a if computed[1] else b):
            found[place(node)] = f"{one} with {two} gives {node.outputs[0].shape}"
    return found


def spreads(one: tuple[int, ...], two: tuple[int, ...]) -> bool:
    """Whether shapes (n, 1) and (n) or (1, n) meet, with n above 1."""
    shapes = sorted((one, two), key=lambda s: (len(s), s[0] if s else 0))
    flat, column = shapes
    if len(column) != 2:
        return False
    if len(flat) == 1:
        return column == (flat[0], 1) and flat[0] > 1
    return len(flat) == 2 and flat[0] == 1 and column == (flat[1], 1) and flat[1] > 1


def place(node: Node | None) -> str:
    """The line of a node, with its text."""
    return describe(node.source).rsplit("/", 1)[-1] if node is not None else ""
