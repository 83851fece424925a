"""Why there is no path at all: what was cut, frozen, replaced or never used."""

from __future__ import annotations

import ast
import linecache
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limpid.explanation.reasons.reason import Reason
from limpid.graph.context import Cut, cut_log
from limpid.graph.node import Leaf, Node, reachable
from limpid.graph.registry import operations
from limpid.graph.source import Location, describe, locate
from limpid.tensor import Tensor

FLAT = "a smooth function in its place; what is counted or compared has no derivative"
NUMBERS = "limpid operations on the tensor itself"
ASK_AGAIN = "limpid.why(p, lambda: …) with the loss as a function makes sure"
REMEDIES = {
    "detached": "leave out .detach() where the gradient should pass",
    "no_grad": "compute it outside of no_grad",
    "left": NUMBERS,
    "flat": FLAT,
    "replaced": "change the value of the leaf: `with limpid.no_grad(): p -= lr * p.grad`, "
    "limpid.assign, or an optimiser",
}


@dataclass
class Cuts:
    """What is known of where the graph was cut.

    kept  cuts of a run that was watched, with the nodes that were left
    """

    kept: list[tuple[Cut, Node]] = field(default_factory=list)
    watched: bool = False

    def behind(self, target: Node) -> list[Cut]:
        """The cuts of the watched run behind which the target lies, in the order of the program."""
        return [cut for cut, node in self.kept if target in set(reachable([node]))]


def of_tensor(p: Tensor) -> Reason | None:
    """Why this tensor can't receive a gradient, whatever the loss; None if it can."""
    node = p.node
    if node is not None and node.requires_grad and p.requires_grad:
        return None
    if p.cut is not None:
        return _cut_reason(p.cut, certain=True, itself=True)
    if p.dtype.kind != "float":
        text = f"it holds {p.dtype.name}: only float tensors have gradients"
        return Reason("none", "integer", text, remedy="limpid.astype(p, limpid.float32)")
    text = "requires_grad is False"
    where = _said(node.source) if node is not None else "an unknown line"
    remedy = "p.requires_grad = True before the loss is computed"
    return Reason("none", "frozen", f"{text}; it was made at {where}", remedy=remedy)


def computed(p: Tensor) -> Reason | None:
    """Whether .grad stays empty as this is no leaf: the result of an update, or of a formula."""
    node = p.node
    if node is None or node.is_leaf:
        return None
    name = rebound_name(node.source, any(map(_is_trained, node.inputs)))
    where = _said(node.source)
    if name is not None:
        text = (
            f"{name} was replaced at {where}: it is the result of a computation now, and "
            "gradients are left in .grad of leaves only"
        )
        return Reason("none", "replaced", text, _line(node.source), REMEDIES["replaced"])
    text = f"it was computed at {where}, and gradients are left in .grad of leaves only"
    remedy = ".retain_grad() before backward()"
    return Reason("none", "computed", text, _line(node.source), remedy)


def no_path(p: Tensor, loss: Tensor, cuts: Cuts) -> Reason:
    """Why the loss does not depend on the tensor."""
    assert p.node is not None
    entering = _entering(loss)
    if cuts.watched:
        behind = cuts.behind(p.node)
        linked = [cut for cut in behind if any(cut is other for other in entering)]
        if linked or behind:
            return _cut_reason((linked or behind)[0], certain=bool(linked))
        return _unused(p, loss, certain=True)
    known = [cut for cut in entering if _is_behind(cut, p.node)]
    if known:
        return _cut_reason(known[0], certain=True)
    unknown = [cut for cut in entering if cut.node is None or cut.node() is None]
    if unknown:
        return _uncertain(unknown)
    left = [cut for cut in cut_log.marks if _is_behind(cut, p.node)]
    return _cut_reason(left[-1], certain=False) if left else _unused(p, loss, certain=False)


def _entering(loss: Tensor) -> list[Cut]:
    """The cuts through which constants came into the graph of the loss, latest first."""
    if loss.cut is not None or loss.node is None:
        return _apart(loss.cut) if loss.cut is not None else []
    constants = {id(x): x for node in reachable([loss.node]) for x in _constants(node)}
    found: list[Cut] = []
    for array, cut in reversed(cut_log.links):
        held = array()
        if held is not None and constants.get(id(held)) is held:
            found += [part for part in _apart(cut) if not any(part is x for x in found)]
    numbers = {float(x) for x in constants.values() if np.size(x) == 1 and np.isfinite(x)}
    numbers |= {float(np.float32(x)) for x in numbers}
    left = [cut for cut in reversed(cut_log.marks) if _telling(cut.number) in numbers]
    return found + left


def _telling(number: Any) -> float | None:
    """A number by which one can recognise it: 0, 1 and small integers are anybody's."""
    is_number = isinstance(number, float | int) and number == number
    return None if not is_number or float(number).is_integer() else float(np.float32(number))


def _apart(cut: Cut) -> list[Cut]:
    """The cuts that met in this one, or it alone."""
    parts, waiting, seen = [], [cut], {id(cut)}
    while waiting:
        part = waiting.pop()
        if not part.all:
            parts.append(part)
        waiting += [x for x in part.all if id(x) not in seen]
        seen.update(map(id, part.all))
    return parts


def _constants(node: Node) -> list[Any]:
    """The arrays that a node begins with: its constant operands, or what a leaf was made of."""
    if isinstance(node.op, Leaf):
        return [node.op.storage.read()] if node.op.storage is not None else []
    return [x for x in node.inputs if isinstance(x, np.ndarray | float)]


def _is_behind(cut: Cut, target: Node) -> bool:
    node = cut.node() if cut.node is not None else None
    return node is not None and target in set(reachable([node]))


def _uncertain(cuts: list[Cut]) -> Reason:
    """What was behind these cuts is gone: one of them it must be, if it was used at all."""
    reason = _cut_reason(cuts[0], certain=False)
    others = ", ".join(_line(cut.source).rsplit("/", 1)[-1] for cut in cuts[1:4])
    text = reason.text + (f"; or at {others}" if others else "")
    remedy = f"{reason.remedy}; {ASK_AGAIN}"
    return Reason("none", reason.kind, text, reason.source, remedy, certain=False)


def _cut_reason(cut: Cut, certain: bool, itself: bool = False) -> Reason:
    where = _said(cut.source)
    name = rebound_name(cut.source, _is_trained(cut.node() if cut.node is not None else None))
    subject = "it carries no gradient" if itself else "no path"
    if name is not None and cut.how == "no_grad":
        text = (
            f"{name} was replaced at {where}: what it is now was computed under no_grad and "
            "requires no gradient"
        )
        return Reason("none", "replaced", text, _line(cut.source), REMEDIES["replaced"])
    kind, how = _kind(cut)
    text = f"{subject}: cut at {where} by {how}"
    return Reason("none", kind, text, _line(cut.source), REMEDIES[kind], certain=certain)


def _kind(cut: Cut) -> tuple[str, str]:
    """The kind of a cut, and how it is said."""
    if cut.how == "no_grad":
        return "no_grad", "no_grad"
    if cut.how == operations["stop_gradient"].name:  # type: ignore[attr-defined]  # a primitive
        return "detached", _chain(cut.source) or "detach"
    if not cut.how.isidentifier():  # `.item()`, `float()`
        return "left", cut.how
    return "flat", f"{cut.how}, whose derivative is zero everywhere"


def _chain(source: Any) -> str:
    """`.detach().numpy()` where that is what the line says."""
    location = locate(source)
    if location is None or location.end_column is None:
        return ""
    line = linecache.getline(location.file, location.end_line or location.line)
    rest = line.encode()[location.end_column :].decode(errors="replace")
    return ".detach().numpy()" if rest.startswith(".numpy()") else ".detach()"


def _unused(p: Tensor, loss: Tensor, certain: bool) -> Reason:
    text = "the loss does not depend on it: nothing that was computed from it was used"
    twin = _twin(p, loss)
    remedy = "use it in the forward, or leave it out"
    if twin:
        text = f"it was replaced or copied: the loss depends on another tensor called {twin}"
        remedy = "ask about that tensor, and give it to the optimiser"
        return Reason("none", "replaced", text, remedy=remedy)
    if isinstance(p.node, Node):
        text += f"; it was made at {_said(p.node.source)}"
    if not certain:  # numbers may have been taken out of the graph, and put in again
        remedy += f"; {ASK_AGAIN}"
    return Reason("none", "unused", text, remedy=remedy, certain=certain)


def _twin(p: Tensor, loss: Tensor) -> str:
    """The label of the tensor if the loss depends on another that bears it."""
    label = _label(p.node)
    if not label or loss.node is None:
        return ""
    same = (n for n in reachable([loss.node]) if n is not p.node and _label(n) == label)
    return label if next(same, None) is not None else ""


def _label(node: Node | None) -> str:
    return (node.op.label or "") if node is not None and isinstance(node.op, Leaf) else ""


def not_held(p: Tensor, optimizer: Any) -> Reason | None:
    """Whether an optimiser updates another tensor than this one."""
    held = [q for group in optimizer.param_groups for q in group["params"]]
    if any(q.storage is p.storage for q in held):
        return None
    label = _label(p.node)
    twin = [q for q in held if label and _label(q.node) == label]
    what = f"another tensor called {label}" if twin else f"{len(held)} others"
    text = f"the gradient arrives, but the optimiser does not hold this tensor: it holds {what}"
    remedy = "make the optimiser after the model is complete, or optimizer.add_param_group"
    return Reason("arrives", "optimizer", text, remedy=remedy)


def _is_trained(x: Any) -> bool:
    """Whether this is a leaf that requires a gradient."""
    return isinstance(x, Node) and x.is_leaf and x.requires_grad


def rebound_name(source: Any, was_leaf: bool) -> str | None:
    """`p` for the source of anything in `p = p - lr * p.grad`: a leaf's name, given to a result.

    was_leaf  whether it is known that a leaf went in; else `p.grad` must stand there
    """
    location = locate(source)
    if location is None:
        return None
    match _statement(location):
        case ast.Assign(targets=[ast.Name() | ast.Attribute() as target], value=value):
            name = ast.unparse(target)
        case _:
            return None
    parts = [ast.unparse(part) for part in ast.walk(value) if isinstance(part, type(target))]
    return name if name in parts and (was_leaf or f"{name}.grad" in ast.unparse(value)) else None


def _statement(location: Location) -> ast.stmt | None:
    """The statement on the lines of a location, where it stands alone on them."""
    last = location.end_line or location.line
    lines = [linecache.getline(location.file, n) for n in range(location.line, last + 1)]
    try:
        body = ast.parse("".join(lines).strip()).body
    except SyntaxError:
        return None
    return body[0] if len(body) == 1 else None


def _said(source: Any) -> str:
    """`net.py:31: h.detach()`: without the folder, which `Reason.source` has."""
    location = locate(source)
    text = describe(source)
    return text if location is None else text.removeprefix(os.path.dirname(location.file) + os.sep)


def _line(source: Any) -> str:
    location = locate(source)
    return str(location) if location else ""
