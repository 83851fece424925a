"""A gradient that is right in some elements and wrong in others: in which?"""

from __future__ import annotations

import numpy as np

from limpid.explanation.checking.evidence import Evidence
from limpid.explanation.checking.finding import Cause, entries
from limpid.graph.node import Array

MOST_NAMED = 6


def elements(e: Evidence) -> Cause | None:
    """Right for a good part of the elements, wrong for the others."""
    wrong, busy = _wrong(e), _busy(e)
    if not wrong.any() or (~wrong & busy).sum() < max(1, busy.sum() / 8):
        return None
    where = describe(wrong)
    zero = not np.any(np.array(e.found)[:, wrong])
    return Cause(
        "elements",
        f"it is wrong only {where}" + (", where it is 0" if zero else "") + _side(e, wrong),
        f"{entries(int(wrong.sum()))} of {wrong.size} differ, the others agree",
        "look at the slices, borders and conditions that choose these elements",
    )


def few_elements(e: Evidence) -> Cause | None:
    """Wrong for a few elements that are not those of one sign: a place says more than a cause."""
    wrong = _wrong(e)
    few = 0 < wrong.sum() <= wrong.size / 3 and not _side(e, wrong)
    return elements(e) if few else None


def _wrong(e: Evidence) -> Array:
    wrong = np.zeros(e.x.shape, bool)
    for found, right in zip(e.found, e.expected, strict=True):
        wrong |= ~e.agree(found, right)
    return wrong


def _busy(e: Evidence) -> Array:
    """Where the right gradient is not 0."""
    return np.asarray((np.abs(np.array(e.expected)) > 1e-9 * e.scale).any(0))


def describe(wrong: Array) -> str:
    """The places in words: a slice if they fill one, else the first of them."""
    indices = np.argwhere(wrong)
    sets = [np.unique(column) for column in indices.T]
    if wrong.ndim and np.prod([len(s) for s in sets]) == len(indices):
        parts = [_extent(s, n) for s, n in zip(sets, wrong.shape, strict=True)]
        border = all(
            len(s) == n or set(s.tolist()) <= {0, n - 1}
            for s, n in zip(sets, wrong.shape, strict=True)
        )
        return f"at [{', '.join(parts)}]" + (" (the border)" if border and len(indices) else "")
    named = ", ".join(str(tuple(int(i) for i in index)) for index in indices[:MOST_NAMED])
    return f"at {named}" + (" …" if len(indices) > MOST_NAMED else "")


def _extent(chosen: Array, length: int) -> str:
    if len(chosen) == length:
        return ":"
    first, last = int(chosen[0]), int(chosen[-1])
    if len(chosen) == 1:
        return str(first)
    steps = np.unique(np.diff(chosen))
    if len(steps) == 1:
        step = int(steps[0])
        return f"{first}:{last + 1}" + (f":{step}" if step > 1 else "")
    return "(" + ", ".join(map(str, chosen.tolist())) + ")"


def _side(e: Evidence, wrong: Array) -> str:
    """Whether the sign of the operand decides."""
    for sign, negative in (("negative", e.x < 0), ("positive", e.x > 0)):
        if negative.any() and np.array_equal(wrong, negative):
            return f": where {e.name} is {sign}"
    return ""
