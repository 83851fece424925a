"""Rules as formulas: a rule is recorded on stand-ins, and the little graph is written out."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.kinds import General, Local, Transpose
from limpid.differentiation.rules import recorded_rule
from limpid.graph.node import Node
from limpid.tensor import Tensor

ATOM = 100  # binds tighter than any operator
PRECEDENCE = {"_ + _": 1, "_ - _": 1, "_ * _": 2, "_ / _": 2, "_ @ _": 2, "-_": 3, "_ ** _": 4}


def rule_formula(op: Any, operand: int, node: Node, names: list[str]) -> tuple[str, str]:
    """(the local derivative, the downstream) of one operand as formulas in g, y and the names."""
    derivative = op.derivative(operand)
    recorded = recorded_rule(op, operand, node)
    known = {recorded.upstream[0].node: "g"}
    known.update({y.node: "y" for y in recorded.outputs})
    if len(recorded.outputs) > 1:
        known.update({y.node: f"y{k + 1}" for k, y in enumerate(recorded.outputs)})
        known.update({g.node: f"g{k + 1}" for k, g in enumerate(recorded.upstream)})
    for x, name in zip(recorded.operands, names, strict=True):
        if isinstance(x, Tensor):
            known.setdefault(x.node, name)
    passed = formula(recorded.downstream, known)
    if isinstance(derivative, Local):
        local = derivative.rule if isinstance(derivative.rule, int) else recorded.local
        return formula(local, known), passed
    if isinstance(derivative, Transpose):
        return f"{op.name}ᵀ", passed
    assert isinstance(derivative, General)
    return f"∂{op.name}/∂{names[operand]}", passed


def formula(value: Any, known: dict[Any, str]) -> str:
    """A recorded value as text, down to the known nodes."""
    return _write(value, known)[0]


def _write(value: Any, known: dict[Any, str]) -> tuple[str, int]:
    if value is None:
        return "0", ATOM
    if not isinstance(value, Tensor):
        return _constant(value)
    node: Any = value.node
    if node in known:
        return known[node], strength_of(known[node])
    if node is None:
        return _constant(value.value)
    parts = [
        _write(Tensor(x, i, None) if isinstance(x, Node) else x, known)
        for x, i in zip(node.inputs, node.indices, strict=True)
    ]
    if node.op.math == "{x}":
        return parts[0]  # an identity is not worth a word
    text, strength = apply_label(node.op, parts, node.params)
    return (f"{text}[{value.index}]", ATOM) if len(node.outputs) > 1 else (text, strength)


def apply_label(op: Any, parts: list[tuple[str, int]], params: Any) -> tuple[str, int]:
    """The op on written operands: infix where its label is a pattern such as `_ + _`."""
    strength = PRECEDENCE.get(op.label, 0)
    if op.math == "{x}^T" and params.get("axes") == (1, 0):
        text, inner = parts[0]
        return (text if inner == ATOM else f"({text})") + "ᵀ", ATOM
    if not strength:
        written = [text for text, _ in parts]
        written += [f"{k}={v!r}" for k, v in params.items() if not hasattr(v, "nodes")]
        return f"{op.name}({', '.join(written)})", ATOM
    pieces = op.label.split("_")
    out = pieces[0]
    for k, ((text, inner), piece) in enumerate(zip(parts, pieces[1:], strict=True)):
        loose = inner < strength or (inner == strength and k > 0)
        out += (f"({text})" if loose else text) + piece
    return out, strength


def strength_of(text: str) -> int:
    """How tightly a written name holds together: an identifier does, a sub-expression may not."""
    return ATOM if text.replace(".", "_").replace("′", "").isidentifier() else 0


def _constant(value: Any) -> tuple[str, int]:
    if hasattr(value, "shape"):
        if value.size == 1:
            return f"{value.item():g}", ATOM
        return f"array{list(value.shape)}", ATOM
    text = (
        f"{value:g}"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else str(value)
    )
    return text, ATOM if not text.startswith("-") else 3
