"""Places: how far to the right each key of a row stands, given widths. places.js does the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

SWEEPS = 6
GAP = 18.0
THIN = 10.0  # the width of a place where a line passes


def place(
    rows: Sequence[Sequence[str]],
    ways: Sequence[Sequence[str]],
    width: Callable[[str], float],
) -> dict[str, float]:
    """The middle of each key, near those it is linked to, in the order of its row."""
    x: dict[str, float] = {}
    for row in rows:
        right = 0.0
        for key in row:
            x[key] = right + width(key) / 2
            right += width(key) + gap(key)
        for key in row:
            x[key] -= right / 2
    above, below = _neighbours(ways)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            _settle(row, above if down else below, x, width)
    return x


def gap(key: str) -> float:
    """The room to the right of a key."""
    return THIN if key[0] in ".<>" else GAP


Pull = tuple[str, float]  # a neighbour and a weight


def _neighbours(
    ways: Sequence[Sequence[str]],
) -> tuple[Mapping[str, list[Pull]], Mapping[str, list[Pull]]]:
    above: dict[str, list[Pull]] = {}
    below: dict[str, list[Pull]] = {}
    reached = {b for way in ways for b in way[1:]}
    for way in ways:
        for a, b in pairwise(way):
            weight = 8.0 if a[0] == "." and b[0] == "." else 1.0
            if a not in reached and a[0] != "<":
                weight = 0.02  # a weight or a constant beside the way
            above.setdefault(b, []).append((a, weight))
            below.setdefault(a, []).append((b, weight))
    return above, below


def _settle(
    row: Sequence[str],
    pulls: Mapping[str, list[Pull]],
    x: dict[str, float],
    width: Callable[[str], float],
) -> None:
    """The least squares to the neighbours that keep the order and the gaps of a row.

    Without gaps it is isotonic regression, by pooling adjacent violators; gaps are taken out
    before and put back after. Source: Barlow et al. 1972, Statistical Inference under Order
    Restrictions.
    """
    pools: list[tuple[float, float, int]] = []  # sum of weight × wish, sum of weights, how many
    offsets, offset, before = [], 0.0, ""
    for key in row:
        if before:
            offset += width(before) / 2 + gap(before) + width(key) / 2
        before = key
        offsets.append(offset)
        wish, weight = _wish(key, pulls, x)
        total, share, many = weight * (wish - offset), weight, 1
        while pools and pools[-1][0] / pools[-1][1] > total / share:
            t, s, n = pools.pop()
            total, share, many = total + t, share + s, many + n
        pools.append((total, share, many))
    settled = [total / share for total, share, many in pools for _ in range(many)]
    for key, value, offset in zip(row, settled, offsets, strict=True):
        x[key] = value + offset


def _wish(key: str, pulls: Mapping[str, list[Pull]], x: dict[str, float]) -> tuple[float, float]:
    """Where a key wants to be, and how much."""
    found = pulls.get(key)
    if not found:
        return x[key], 0.1
    total = weights = 0.0
    for neighbour, weight in found:
        total += weight * x[neighbour]
        weights += weight
    return total / weights, weights


__all__ = ["GAP", "THIN", "gap", "place"]
