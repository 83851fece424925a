"""What nodes make, found once for nodes that are alike: layers of a network, numbers of a sum."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.program.values import Value, ordered
from limpid.compiler.program.views import VIEWS
from limpid.graph.node import Node

# Of operands of these kinds only shape and type decide what comes of them.
OPAQUE = frozenset(
    {
        "input", "map", "reduce", "accumulate", "gather", "take_along", "scatter_add",
        "scatter_along", "scatter_max", "contract", "nested", "call",
    }
)  # fmt: skip
SHOWN = (float, np.generic, tuple)  # 0.0 and −0.0 are equal, but they are not the same
NUMBERS = (bool, int, float)

Step = tuple[Value, tuple[int, ...]]  # a value like this one, and where its operands are found
Made = tuple[tuple[Value, ...], Value | None]  # results, and the truth of the operands


class Template(NamedTuple):
    """The values between operands, with what they show, and results.

    known    constants, which all that are alike share
    steps    the other values. Operands are counted from the node's on, then constants, then steps
    results  where the results are
    truth    where it is; None if there is none
    """

    known: tuple[Value, ...]
    steps: tuple[Step, ...]
    results: tuple[int, ...]
    truth: int | None

    def made(self, operands: Sequence[Any]) -> Made:
        """What comes of other operands."""
        found = [*shown(operands), *self.known]
        for like, numbers in self.steps:
            given = tuple([found[n] for n in numbers])
            found.append(Value(like.kind, like.shape, like.dtype, given, like.params, like.order))
        truth = None if self.truth is None else found[self.truth]
        return tuple([found[n] for n in self.results]), truth


def template(made: Made, operands: Sequence[Any]) -> Template | None:
    """The template of what was made; None where there are calls, which belong to their node."""
    results, truth = made
    operands = shown(operands)
    given = {x: n for n, x in reversed([*enumerate(operands)]) if isinstance(x, Value)}
    ends = results if truth is None else (*results, truth)
    values = [v for v in ordered(ends, given) if v not in given]
    if any(v.kind in ("call", "nested", "input") for v in values):
        return None
    known = [v for v in values if v.kind == "constant"]
    steps = [v for v in values if v.kind != "constant"]
    number = given | {v: n for n, v in enumerate((*known, *steps), len(operands))}
    return Template(
        tuple(known),
        tuple((v, tuple(number[x] for x in v.operands)) for v in steps),
        tuple(number[v] for v in results),
        None if truth is None else number[truth],
    )


def exact(params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Parameters such that only the very same are equal."""
    return tuple(
        [(name, type(x), repr(x) if isinstance(x, SHOWN) else x) for name, x in params.items()]
    )


def shown(operands: Sequence[Any]) -> list[Any]:
    """The operands, and after them what those that are views show."""
    found = list(operands)
    for x in found:  # which grows
        if isinstance(x, Value) and x.kind in VIEWS:
            found += x.operands
    return found


def likeness(node: Node, operands: Sequence[Any]) -> Hashable | None:
    """The same for nodes that are alike; None if this one is like no other."""
    seen: dict[Value, int] = {}
    forms: list[Hashable] = []
    for x in shown(operands):
        if isinstance(x, Value):
            view = (x.kind, *x.params.items()) if x.kind in VIEWS else None
            if view is None and x.kind not in OPAQUE:
                return None
            forms.append((seen.setdefault(x, len(seen)), x.shape, x.dtype, view))
        elif type(x) in NUMBERS:
            forms.append((type(x), repr(x)))
        else:
            return None
    key = node.op, exact(node.params), node.outputs, tuple(forms)
    try:
        hash(key)
    except TypeError:
        return None
    return key
