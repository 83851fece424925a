"""Rows: the parts of a group as layers, in an order with few crossings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from limpid.errors import MissingLibraryError

DUMMIES = 2000  # places in rows that lines may take up in one group; longer lines are cut
SWEEPS = 24
WIDEST = 400  # keys in a row, above which the library takes seconds

Key = str  # a part of a group, a port of it or a place where a line passes a row


@dataclass(frozen=True)
class Rows:
    """The rows of a group from top to bottom, and its lines.

    ways  for each line the keys that it passes, one in each row
    cut   numbers of the lines that are too long to be drawn: they get a mark at their end
    """

    rows: tuple[tuple[Key, ...], ...]
    ways: tuple[tuple[Key, ...], ...]
    cut: frozenset[int] = frozenset()


def library() -> Any:
    """igraph, which finds orders of rows with few crossings."""
    try:
        import igraph
    except ImportError:
        raise MissingLibraryError(
            "drawing needs igraph\nremedy: pip install 'limpid[draw]'"
        ) from None
    return igraph


def arrange(
    parts: Sequence[Key],
    lines: Sequence[tuple[Key, Key]],
    first: Collection[Key] = (),
    last: Collection[Key] = (),
) -> Rows:
    """Parts, which come after what they depend on, in rows; `first` and `last` at the borders.

    Everything is below what it depends on, and what depends on nothing as low as it can be.
    """
    rows = _levels(parts, lines, first, last)
    ways, cut, dummies = _ways(lines, rows)
    placed: list[list[Key]] = [[] for _ in range(max(rows.values(), default=-1) + 1)]
    for key in (*first, *parts, *(f"~{k}" for k in sorted(cut)), *last):
        placed[rows[key]].append(key)
    for key, row in dummies:
        placed[row].append(key)
    return Rows(_ordered(placed, ways), tuple(ways), frozenset(cut))


def _levels(
    parts: Sequence[Key],
    lines: Sequence[tuple[Key, Key]],
    first: Collection[Key],
    last: Collection[Key],
) -> dict[Key, int]:
    """The row of each part."""
    before: dict[Key, list[Key]] = {}
    after: dict[Key, list[Key]] = {}
    for source, target in lines:
        before.setdefault(target, []).append(source)
        after.setdefault(source, []).append(target)
    rows = dict.fromkeys(first, 0)
    for part in parts:
        rows[part] = max((rows[x] + 1 for x in before.get(part, ())), default=0)
    low = max(rows.values(), default=-1) + 1
    rows.update(dict.fromkeys(last, low))
    for part in reversed(parts):
        if part not in before and part in after:
            rows[part] = max(0, min(rows[x] for x in after[part]) - 1)
    return rows


def _ways(
    lines: Sequence[tuple[Key, Key]], rows: dict[Key, int]
) -> tuple[list[tuple[Key, ...]], list[int], list[tuple[Key, int]]]:
    """The way of each line, those that are cut, and the places that lines take in rows."""
    spans = [rows[target] - rows[source] - 1 for source, target in lines]
    cut, taken = set(), 0
    for k in sorted(range(len(lines)), key=spans.__getitem__):
        taken += spans[k]
        if taken > DUMMIES and spans[k] > 1:
            cut.add(k)
    ways: list[tuple[Key, ...]] = []
    dummies = []
    for k, (source, target) in enumerate(lines):
        if k in cut:
            rows[f"~{k}"] = rows[target] - 1
            ways.append((f"~{k}", target))
            continue
        passed = [(f".{k}.{row}", row) for row in range(rows[source] + 1, rows[target])]
        dummies += passed
        ways.append((source, *(key for key, _ in passed), target))
    return ways, sorted(cut), dummies


def _ordered(rows: list[list[Key]], ways: Sequence[Sequence[Key]]) -> tuple[tuple[Key, ...], ...]:
    """The keys of each row from left to right."""
    if all(len(row) < 2 for row in rows):
        return tuple(map(tuple, rows))
    keys = [key for row in rows for key in row]
    if max(map(len, rows)) > WIDEST:
        return _by_means(rows, ways)
    number = {key: i for i, key in enumerate(keys)}
    levels = [level for level, row in enumerate(rows) for _ in row]
    steps = {(number[a], number[b]) for way in ways for a, b in pairwise(way)}
    graph = library().Graph(len(keys), sorted(steps), directed=True)
    places = graph.layout_sugiyama(layers=levels, maxiter=SWEEPS).coords
    return tuple(tuple(sorted(row, key=lambda key: places[number[key]][0])) for row in rows)


def _by_means(rows: list[list[Key]], ways: Sequence[Sequence[Key]]) -> tuple[tuple[Key, ...], ...]:
    """Each row in the order of the mean places of what it is linked to, above and below in turn.

    Source: Sugiyama et al. 1981, Methods for Visual Understanding of Hierarchical System
    Structures.
    """
    linked: dict[Key, tuple[list[Key], list[Key]]] = {k: ([], []) for row in rows for k in row}
    for way in ways:
        for a, b in pairwise(way):
            linked[a][1].append(b)
            linked[b][0].append(a)
    place = {key: i / len(row) for row in rows for i, key in enumerate(row)}
    for sweep in range(4):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            means = {key: _mean(linked[key][sweep % 2], place, place[key]) for key in row}
            row.sort(key=means.__getitem__)
            place.update((key, i / len(row)) for i, key in enumerate(row))
    return tuple(map(tuple, rows))


def _mean(keys: Sequence[Key], place: dict[Key, float], otherwise: float) -> float:
    return sum(place[key] for key in keys) / len(keys) if keys else otherwise


__all__ = ["Rows", "arrange", "library"]
