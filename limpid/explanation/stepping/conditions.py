"""Conditions to stop at: "norm > 1e3", "nan", "grad norm < 1e-8", "value max >= 6"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.errors import ArgumentError
from limpid.explanation.reasons.causes import norm
from limpid.explanation.walk import Passage
from limpid.graph.node import Array

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
MEASURES: dict[str, Callable[[Array], float]] = {
    "norm": norm,
    "max": lambda x: float(np.max(x)) if x.size else 0.0,
    "min": lambda x: float(np.min(x)) if x.size else 0.0,
    "mean": lambda x: float(np.mean(x)) if x.size else 0.0,
    "zeros": lambda x: float(np.mean(x == 0)) if x.size else 0.0,  # the share of them
}
STATES: dict[str, Callable[[Array], bool]] = {
    "nan": lambda x: bool(np.any(np.isnan(x))),
    "inf": lambda x: bool(np.any(np.isinf(x))),
    "not finite": lambda x: not np.all(np.isfinite(x)),
}
PARTS = ("value", "grad", "upstream", "local", "downstream")
FORM = re.compile(
    rf"(?:({'|'.join(PARTS)})\s+)?(?:({'|'.join(STATES)})|({'|'.join(MEASURES)})\s*"
    r"(>=|<=|==|!=|>|<)\s*([-+.\w]+)(%?))"
)
Condition = Callable[[Array | None, Passage | None], bool]


def parse_condition(text: str) -> Condition:
    """A test of one step: of the value forward, or of the edge backward.

    Without a part, it is the value forward and the downstream backward; `grad` is the downstream.
    Raises ArgumentError for anything else.

    >>> import numpy as np
    >>> parse_condition("norm > 1e3")(np.full(4, 1000.0), None)
    True
    """
    found = FORM.fullmatch(" ".join(text.split()).lower())
    if found is None:
        raise ArgumentError(_help(text))
    part, state, measure, comparison, number, percent = found.groups()
    if state:
        test = STATES[state]
    else:
        try:
            limit = float(number) / (100 if percent else 1)
        except ValueError:
            raise ArgumentError(_help(text)) from None

        def test(x: Array) -> bool:
            return bool(COMPARE[comparison](MEASURES[measure](x), limit))

    def holds(value: Array | None, edge: Passage | None) -> bool:
        x = _part(part, value, edge)
        with np.errstate(all="ignore"):
            return x is not None and test(np.asarray(x))

    return holds


def _part(part: str | None, value: Array | None, edge: Passage | None) -> Any:
    """The array that a condition is about; None where this step has none."""
    if edge is None:
        return value if part in (None, "value") else None
    match part:
        case None | "grad" | "downstream":
            return edge.downstream
        case "upstream":
            return edge.arrived
        case "local":
            return edge.local
    return None


def _help(text: str) -> str:
    return (
        f"{text!r} is no condition: write nan, inf, not finite, or [{' | '.join(PARTS)}] "
        f"{' | '.join(MEASURES)}, a comparison and a number, as in `grad norm < 1e-8`, "
        "`zeros >= 90%`"
    )
