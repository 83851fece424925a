"""Repeated blocks in a sequence: the same numbers again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

LONGEST = 400  # the longest block that is looked for

Run = tuple[int, int, int]  # start, length of a block, how often it is there


def find_repeats(
    numbers: Sequence[int], counts: Callable[[int, int, int], bool] | None = None
) -> Iterator[Run]:
    """Runs of equal blocks, from left to right, without overlap.

    Of those that begin at one place, the one that covers most; of these the shortest block.
    `counts(start, length, times)` says whether a run is wanted.

    >>> list(find_repeats([7, 1, 2, 1, 2, 1, 2, 9]))
    [(1, 2, 3)]
    """
    found = _candidates(np.asarray(numbers, np.int64))
    end = 0
    for start in range(len(numbers)):
        if start < end or start not in found:
            continue
        for period, times in found[start]:
            if counts is None or counts(start, period, times):
                end = start + period * times
                yield start, period, times
                break


def _candidates(numbers: np.ndarray[Any, Any]) -> dict[int, list[tuple[int, int]]]:
    """For each start the (length, times) of runs, those that cover most first."""
    found: dict[int, list[tuple[int, int]]] = {}
    covered = np.zeros(len(numbers), np.int64)
    for period in range(1, min(LONGEST, len(numbers) // 2) + 1):
        times = _matching(numbers[:-period] == numbers[period:]) // period + 1
        better = (times > 1) & (times * period > covered[: len(times)])
        covered[: len(times)][better] = (times * period)[better]
        for start in np.flatnonzero(better):
            found.setdefault(int(start), []).append((period, int(times[start])))
    for runs in found.values():
        runs.sort(key=lambda run: (-run[0] * run[1], run[0]))
    return found


def _matching(equal: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """For each place, how many are true from there on without a gap."""
    places = np.arange(len(equal))
    ends = np.where(equal, len(equal), places)[::-1]
    return np.minimum.accumulate(ends)[::-1] - places


__all__ = ["find_repeats"]
