"""What a picture says: the cards of nodes and the links between them, from a record or a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limpid.explanation.folding import Item
from limpid.explanation.outline import items_of
from limpid.explanation.quantity import Quantity
from limpid.explanation.record import Edge, Explanation, Step

FEW = 4  # numbers that a card shows; of larger arrays it shows the norm


@dataclass(frozen=True)
class Card:
    """What the box of a node says.

    saved    bytes kept for the backward pass
    pair     of a backward node: the id of the forward node that it belongs to
    note     what else is to be said
    details  pairs (word, text) of its record, for those who ask
    """

    title: str
    op: str
    shape: str
    value: str = ""
    gradient: str = ""
    saved: int = 0
    pair: str = ""
    note: str = ""
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Link:
    """A value that goes from one node into another, and the gradient that comes back.

    output   which output of the source
    gradient what comes back; None where nothing does
    """

    source: str
    target: str
    output: int = 0
    gradient: Quantity | None = None
    rule: str = ""


@dataclass(frozen=True)
class Content:
    """Everything that is to be drawn, without places."""

    items: tuple[Item, ...]
    cards: dict[str, Card]
    links: tuple[Link, ...]
    loops: dict[str, str] = field(default_factory=dict)  # titles of modules that are loops


def content_of_record(record: Explanation) -> Content:
    """The nodes of an explanation, with values and gradients."""
    ids = {step.id for step in record.steps}
    edges = {(edge.node, edge.operand): edge for edge in record.edges}
    links = []
    for step in record.steps:
        for i, x in enumerate(step.inputs):
            if x in ids:
                links.append(_link(x, step.id, edges.get((step.id, i))))
    rules: dict[str, list[Edge]] = {}
    for edge in record.edges:
        rules.setdefault(edge.node, []).append(edge)
    names = {step.id: step.name for step in record.steps}
    cards = {step.id: _card(step, rules.get(step.id, ()), names) for step in record.steps}
    return Content(items_of(record), cards, tuple(links))


def _link(source: str, target: str, edge: Edge | None) -> Link:
    if edge is None:
        return Link(source, target)
    return Link(source, target, edge.output, edge.downstream, edge.rule or edge.words)


def _card(step: Step, edges: Iterable[Edge], names: dict[str, str]) -> Card:
    value = brief(step.value)
    gradient = "" if step.gradient is None else brief(step.gradient)
    return Card(
        title=step.name,
        op="" if step.op == "input" else step.op,
        shape=shape_text(step.value.shape),
        value=value,
        gradient=gradient,
        saved=step.saved,
        details=tuple(_details(step, edges, names, value, gradient)),
    )


def _details(
    step: Step, edges: Iterable[Edge], names: dict[str, str], value: str, gradient: str
) -> Iterator[tuple[str, str]]:
    """The record of a node; where it has no formulas, as there are so many nodes, it is short."""
    if step.formula:
        if step.op != "input":
            yield "computes", step.formula
        yield "value", _outputs(step.values)
        if step.gradient is not None:
            yield "gradient", _outputs(step.gradients)
    else:
        yield "value", value
        if gradient:
            yield "gradient", gradient
    for edge in edges:
        told = f"{edge.rule} = {brief(edge.downstream)} ({edge.pattern})"
        yield f"→ {names[edge.to]}", told if edge.rule else edge.words
    if step.saved:
        yield "kept", f"{bytes_text(step.saved)} for the backward pass"
    if step.scope:
        yield "module", step.scope
    if step.source:
        yield "line", f"{step.source}: {step.expression}" if step.expression else step.source


def _outputs(found: Sequence[Quantity | None]) -> str:
    return ", ".join("0" if q is None else str(q) if q.is_small else brief(q) for q in found)


def brief(quantity: Quantity) -> str:
    """A number, a few numbers, or the norm of many."""
    x = quantity.array
    if not x.size:
        return "empty"
    if x.size <= FEW:
        text = ", ".join(f"{v:.4g}" for v in x.ravel().tolist())
        return text if not x.shape else f"[{text}]"
    bad = 0 if x.dtype.kind != "f" else int(x.size - np.count_nonzero(np.isfinite(x)))
    return f"norm {norm(x):.3g}" + (f", {bad} not finite" if bad else "")


def norm(x: Any) -> float:
    """The Euclidean norm, in float64, also where squares are too large or too small for it.

    >>> norm([3.0, 4.0]), norm([2e200]), norm([5e-200])
    (5.0, 2e+200, 5e-200)
    """
    flat = np.asarray(x, np.float64).ravel()
    square = float(flat @ flat)
    if 1e-200 < square < 1e200 or not flat.size:
        return square**0.5
    largest = float(np.abs(flat).max())
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(flat / largest))


def bytes_text(count: float) -> str:
    """Bytes as people say them.

    >>> bytes_text(512), bytes_text(4096), bytes_text(3 * 2**20)
    ('512 B', '4 KiB', '3 MiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}" if count < 1000 else f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"


def shape_text(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


__all__ = [
    "Card",
    "Content",
    "Link",
    "brief",
    "bytes_text",
    "content_of_record",
    "norm",
    "shape_text",
]
