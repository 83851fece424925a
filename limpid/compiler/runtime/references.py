"""Whether anybody else has come to hold some objects."""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import Any

from limpid.compiler.machine.anatomy import KNOWN, Pairs, word


class References:
    """Objects, and how often each was held when this was made. The list is not copied."""

    def __init__(self, objects: list[Any]) -> None:
        self.objects = objects
        self._before = counts(objects)

    def unchanged(self) -> bool:
        """Whether all are held as often as then."""
        return counts(self.objects) == self._before

    def pairs(self) -> Pairs:
        """That they are, as it shows in memory."""
        places = map(id, self.objects)
        return [x for place, count in zip(places, self._before) for x in (place, count - _OWN)]

    def changed(self) -> set[int]:
        """The ids of those that are held more or less often."""
        now = zip(self.objects, counts(self.objects), self._before, strict=True)
        return {id(x) for x, count, then in now if count != then}


def counts(objects: Sequence[Any]) -> list[int]:
    """How often objects are held, as `getrefcount` sees it."""
    return list(map(getrefcount, objects))


_sample = [object()]
_OWN = counts(_sample)[0] - word(id(_sample[0])) if KNOWN else 0  # a call holds its argument, too
