"""From what a search has found to the record that people read."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.diagnosis.origin.computation import CONSTANT, STATE, Computation
from limpid.diagnosis.origin.edges import Edge
from limpid.diagnosis.origin.record import (
    FORWARD,
    INPUT,
    LOCAL,
    UPDATE,
    Element,
    Link,
    Origin,
)
from limpid.diagnosis.origin.search import Found, Place
from limpid.diagnosis.origin.words import operands_at, rule_of
from limpid.graph.node import Array
from limpid.graph.source import Location, locate

FEW = 5  # elements that are shown
THROWN_AWAY = (
    "; the forward pass throws that away, but the derivative that meets it does not: 0·∞ = NaN"
)


REMEDY = (
    "if a choice such as where leaves these elements out: where(…, safe=True), or choose before "
    "{} as well; docs/masked-branches.md"
)


def origin_of(
    found: Found, step: int, reached: str, *, writes: bool = False, note: str = ""
) -> Origin:
    """The record of a birth. `writes`: whether it is new state that it got to."""
    computation, k = found.place
    leaf = None if found.turned else found.leaf
    born = _born(found, writes)
    location = locate(leaf.source if leaf and leaf.source else computation.source)
    values = np.asarray(leaf.value if leaf else computation.outputs()[k])
    entries = found.entries if found.entries.shape == values.shape else ~np.isfinite(values)
    return Origin(
        producer=_producer(found, born),
        born=born,
        step=step,
        source=_place(location),
        line=_line(location),
        expression=_expression(location),
        scope=computation.scope,
        rule=rule_of(found) + (THROWN_AWAY if _is_thrown_away(found, born) else ""),
        elements=tuple(_elements(found, values, entries)),
        count=int(entries.sum()),
        size=int(values.size),
        reached=reached,
        chain=tuple(_chain(found.path)),
        note=note,
        remedy=_remedy(found, born, entries),
    )


def _born(found: Found, writes: bool) -> str:
    """Where it starts to matter: what a `where` throws away is not born before its derivative."""
    computation, leaf = found.place[0], found.leaf
    parts = [place[0].forward is not None for place in found.path]
    if leaf is not None and not found.turned and leaf.kind != CONSTANT:
        is_rate = leaf.kind == STATE and np.ndim(leaf.value) == 0 and computation.after
        return UPDATE if is_rate else INPUT
    if not any(parts) and writes and (computation.after or not computation.scope):
        return UPDATE
    return LOCAL if any(parts) else FORWARD


def _is_thrown_away(found: Found, born: str) -> bool:
    """Whether the forward pass does without what its derivative brings back."""
    return born == LOCAL and found.leaf is None and found.place[0].forward is None


def _remedy(found: Found, born: str, entries: Array) -> str:
    """What to do where a zero meets an infinity: masks make such zeros."""
    edge = found.place[0]
    meets = _is_thrown_away(found, born)
    if born == LOCAL and isinstance(edge, Edge) and entries.any():
        index = tuple(int(n) for n in np.argwhere(entries)[0])
        meets = edge.upstream_at(index) == 0
    return REMEDY.format(shown_name(edge)) if meets else ""


def _producer(found: Found, born: str) -> str:
    leaf = found.leaf
    if leaf is None or found.turned or leaf.kind == CONSTANT:
        return shown_name(found.place[0])
    return leaf.name or ("state" if leaf.kind == STATE else "input")


def _elements(found: Found, values: Array, entries: Array) -> Sequence[Element]:
    computation, k = found.place
    made = []
    for index in np.argwhere(entries)[:FEW]:
        place = tuple(int(n) for n in index)
        if found.leaf is not None and not found.turned:
            given: dict[str, float] = {}
        else:
            given = operands_at(computation, k, place)
        made.append(Element(place, float(values[place]), given))
    return made


def _chain(path: Sequence[Place]) -> Sequence[Link]:
    return [_link(computation, k) for computation, k in path]


def _link(computation: Computation, k: int) -> Link:
    part = "update" if computation.after else "forward"
    if computation.forward is not None:
        part = "backward"
    location = locate(computation.source)
    kind = kind_of(computation.outputs()[k])
    name = shown_name(computation)
    return Link(name, part, kind, _place(location), _expression(location), computation.scope)


def shown_name(computation: Computation) -> str:
    """The primitive; of a part of a backward pass, the one whose derivative it is."""
    if computation.forward is None:
        return computation.name
    return "sum" if computation.forward.is_leaf else str(computation.forward.op.name)


def kind_of(x: Any) -> str:
    """The worst of an array, in a word."""
    array = np.asarray(x)
    if np.isnan(array).any():
        return "NaN"
    bad = array[np.isinf(array)]
    if not bad.size:
        return ""
    return "inf" if (bad > 0).any() else "−inf"


def _place(location: Location | None) -> str:
    return "" if location is None else str(location)


def _line(location: Location | None) -> str:
    return "" if location is None else linecache.getline(location.file, location.line).strip()


def _expression(location: Location | None) -> str:
    return "" if location is None else location.text
