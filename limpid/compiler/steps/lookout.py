"""Looking at places outside on every call: at those that show in memory in one native call."""

from __future__ import annotations

from collections.abc import Iterable

from limpid.compiler.machine.anatomy import Pairs
from limpid.compiler.runtime.words import Words, words_tell
from limpid.compiler.steps.places import Place

TRIES = 8  # to find the words of a place


class Lookout:
    """Places, and whether all of them hold what they held.

    Where the words that show it are other ones, Python looks: a number may be equal, a list may
    lie elsewhere. Python always looks at places that show nothing, or other words time and again.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        can_show = words_tell()
        self._shown: dict[Place, Pairs] = {place: [] for place in places} if can_show else {}
        self._others = [] if can_show else list(places)
        self._tries = dict.fromkeys(self._shown, TRIES)
        self._words: Words | None = None

    def holds(self) -> bool:
        """Whether nothing has changed."""
        if self._shown and (self._words is None or not self._words.unchanged()):
            if not all(place.holds() for place in self._shown):
                return False
            self._find()
        return not self._others or all(place.holds() for place in self._others)

    def _find(self) -> None:
        """Find the words again of places that show others."""
        for place, pairs in list(self._shown.items()):
            if not pairs or not Words(pairs).unchanged():
                found = place.pairs()
                self._tries[place] -= 1
                if found is None or not Words(found).unchanged() or not self._tries[place]:
                    del self._shown[place]
                    self._others.append(place)
                else:
                    self._shown[place] = found
        self._words = Words([word for pairs in self._shown.values() for word in pairs])
