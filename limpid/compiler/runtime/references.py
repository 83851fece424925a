"""Whether anybody else has come to hold some objects."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_int64
from sys import getrefcount
from typing import Any

import numpy as np

from limpid.compiler.machine.loading import address
from limpid.compiler.runtime.team import same_function


class References:
    """Objects, and how often each was held when this was made. The list is not copied."""

    def __init__(self, objects: list[Any]) -> None:
        self.objects = objects
        self._count = len(self.objects)
        if not _LIES_FIRST:
            self._before = counts(self.objects)
            return
        self._same = same_function()
        self._ids = np.array([*map(id, self.objects)], np.int64)
        self._words = np.array([count - _OWN for count in counts(self.objects)], np.int64)
        self._places = address(self._ids), address(self._words)

    def unchanged(self) -> bool:
        """Whether all are held as often as then."""
        if _LIES_FIRST:
            return bool(self._same(*self._places, self._count))
        return counts(self.objects) == self._before

    def changed(self) -> set[int]:
        """The ids of those that are held more or less often."""
        before = [int(x) + _OWN for x in self._words] if _LIES_FIRST else self._before
        now = zip(self.objects, counts(self.objects), before, strict=True)
        return {id(x) for x, count, then in now if count != then}


def counts(objects: Sequence[Any]) -> list[int]:
    """How often objects are held, as `getrefcount` sees it."""
    return list(map(getrefcount, objects))


def _word(place: int) -> int:
    return int(c_int64.from_address(place).value)


# CPython keeps the number in the first word of an object; a call holds its argument once more.
_sample = [object()]
_place = id(_sample[0])
_OWN = counts(_sample)[0] - _word(_place)
_more = _sample * 2  # held twice more
_LIES_FIRST = counts(_sample)[0] == _word(_place) + _OWN and _OWN in (1, 2)
