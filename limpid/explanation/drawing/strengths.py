"""How strong gradients are, in five steps that pictures show by width and colour."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import isfinite, log10

STEPS = (-0.5, -1.5, -3.0, -5.0)  # powers of ten of the largest, below which a step ends


def classify(strength: float | None, largest: float) -> str:
    """`5` for norms near the largest down to `1`, `0` for zero, `n` for no number, `` for none.

    >>> [classify(x, 2.0) for x in (None, 0.0, 1e-9, 0.01, 1.5, float("nan"))]
    ['', '0', '1', '3', '5', 'n']
    """
    if strength is None:
        return ""
    if not isfinite(strength):
        return "n"
    if strength == 0 or not largest:
        return "0"
    power = log10(strength) - log10(largest)
    return str(5 - sum(power < step for step in STEPS))


def find_largest(strengths: Iterable[float | None]) -> float:
    """The largest finite norm; 0 without any."""
    return max((s for s in strengths if s is not None and isfinite(s)), default=0.0)


def legend(largest: float) -> list[tuple[str, str]]:
    """(class, words) from the strongest down, with the norms at which steps end.

    >>> legend(2.0)[0]
    ('5', '∂ from 0.632 to 2')
    """
    if not largest:
        return []
    ends = [largest, *(largest * 10**step for step in STEPS)]
    found = [
        (str(5 - i), f"∂ from {low:.3g} to {high:.3g}")
        for i, (high, low) in enumerate(pairwise(ends))
    ]
    return [*found, ("1", f"∂ below {ends[-1]:.3g}")]


__all__ = ["classify", "find_largest", "legend"]
