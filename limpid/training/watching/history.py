"""Records of steps: kept as they come, taken apart when somebody looks, thinned with age."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from limpid.errors import ArgumentError
from limpid.files.durable import write_durably
from limpid.training.watching.wanted import Values

LIMIT = 1000  # records that are kept, if nothing else is said
ROOM, LEAST = 1 << 26, 16  # bytes of all records; as many of them there may be in any case
NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}  # JSON has no such numbers


class Records:
    """At most so many records. Of the older half of them every other one goes when they are full.

    So the latest ones are all there, and what lies further back is there at fewer steps; the first
    one always stays. What was found is kept as it came, and `make` makes the values of it when
    somebody asks. Records of many bytes are fewer.
    """

    def __init__(self, limit: int, make: Callable[[Any], Values]) -> None:
        self.limit, self._make = limit, make
        self._room = limit  # how many there can be, given how large they are
        self._records: list[tuple[int, Any]] = []
        self._made: dict[int, Values] = {}  # those that somebody has looked at

    def __len__(self) -> int:
        return len(self._records)

    def add(self, step: int, found: Any) -> None:
        """One more, the latest."""
        records = self._records
        records.append((step, found))
        if len(records) > self._room:
            self._thin()

    def fit(self, size: int) -> None:
        """Let records of so many bytes stay within what may be kept."""
        self._room = min(self._room, max(LEAST, ROOM // max(size, 1)))

    def _thin(self) -> None:
        records = self._records
        half = len(records) // 2
        records[:half] = records[:half:2]
        kept = {step for step, _ in records}
        self._made = {step: values for step, values in self._made.items() if step in kept}

    def values(self) -> dict[int, Values]:
        """All of them, by step."""
        return {step: self._values(step, found) for step, found in self._records}

    def last(self) -> Values:
        """The latest one."""
        return self._values(*self._records[-1]) if self._records else {}

    def _values(self, step: int, found: Any) -> Values:
        made = self._made.get(step)
        if made is None:
            made = self._made[step] = self._make(found)
        return made


def lines(history: dict[int, Values]) -> Iterator[str]:
    """A line of JSON for each step: {"step": …, "values": {name: {statistic: value}}}.

    Numbers that are not finite are "nan", "inf" and "-inf"; histograms are lists.
    """
    for step, values in history.items():
        plain = {name: {s: _plain(x) for s, x in found.items()} for name, found in values.items()}
        yield json.dumps({"step": step, "values": plain}, allow_nan=False)


def write(history: dict[int, Values], path: str | Path) -> None:
    """Write the lines to a file, as a whole or not at all."""
    write_durably(Path(path), "".join(f"{line}\n" for line in lines(history)).encode())


def load_history(path: str | Path) -> dict[int, Values]:
    """What `Watch.save` wrote, as `Watch.history` had it.

    Raises ArgumentError where a line is none that `save` writes.
    """
    found: dict[int, Values] = {}
    for number, text in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            found[int(line["step"])] = {
                name: {s: _read(x) for s, x in values.items()}
                for name, values in line["values"].items()
            }
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ArgumentError(f"{path}, line {number}: no record of a watch") from None
    return found


def _plain(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return x.tolist()
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x


def _read(x: Any) -> Any:
    if isinstance(x, list):
        return np.array(x)
    return NUMBERS[x] if isinstance(x, str) else x
