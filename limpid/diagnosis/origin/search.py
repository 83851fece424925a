"""From something that is not finite back to what made it so.

For each computation on the way the question is put to the computation itself: it is done again with
finite numbers in the place of those operands that are not. What is still not finite it has made
itself; the rest came through the operand that alone brings it about. So nothing needs to be known
of any primitive: a `where` that threw a NaN away does not lead to it, a sum leads to all its terms.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from limpid.diagnosis.origin.computation import (
    CONSTANT,
    Computation,
    Leaf,
    Maker,
    as_tuple,
    faults,
    has_fault,
)
from limpid.graph.node import Array

FILLS = (1.0, 0.5, 2.0)  # finite numbers; one of them is in the domain of anything
TRIES = 24  # single elements of an operand that are tried
MOST = 20_000  # computations that are looked at

Place = tuple[Computation, int]


@dataclass(frozen=True, eq=False)
class Found:
    """A birth. Of a leaf `place` is the computation that read it first.

    entries  which elements of the output (of the leaf, if there is one)
    turned   whether infinities that were meant became NaN here
    meant    whether they were put there on purpose, and stayed infinities
    path     from the birth to where the search began
    """

    place: Place
    entries: Array
    leaf: Leaf | None = None
    operand: int = 0  # of the place, which is the leaf
    turned: bool = False
    path: Sequence[Place] = field(default=())
    meant: bool = False

    @property
    def time(self) -> float:
        """When it was there; what came in was there first."""
        return -1.0 if self.leaf is not None and not self.turned else self.place[0].number


def search(start: Place, entries: Array | None = None) -> Found | None:
    """The first birth on the ways that lead here; None if everything is finite."""
    wanted = faults(start[0].outputs()[start[1]]) if entries is None else entries
    return _Search(start, wanted).first() if wanted.any() else None


class _Search:
    def __init__(self, start: Place, entries: Array) -> None:
        self._wanted: dict[Place, Array] = {start: entries}
        self._next: dict[Place, Place] = {}  # where what was made is read, towards the start
        self._heap: list[tuple[float, int, Place]] = []
        self._count = 0
        self._births: list[Found] = []
        self._meant: list[Found] = []
        self._turned: set[Place] = set()
        self._push(start)

    def first(self) -> Found | None:
        """The earliest birth; one that was meant only if there is no other."""
        for _ in range(MOST):
            if not self._heap:
                break
            place = heapq.heappop(self._heap)[2]
            self._look(place, self._wanted.pop(place))
        if self._births:
            found = min(self._births, key=lambda birth: birth.time)
            return self._with_path(found)
        if self._meant:
            return self._where_it_turned(min(self._meant, key=lambda birth: birth.time))
        return None

    def _push(self, place: Place) -> None:
        self._count += 1
        heapq.heappush(self._heap, (-place[0].number, self._count, place))

    def _look(self, place: Place, entries: Array) -> None:
        """Is it born here, or where does it come from?"""
        computation, k = place
        trial = Trial(computation, k)
        if not trial.bad:
            self._born(place, entries, computation.creates)
            return
        own = entries & trial.own()
        if own.any():
            self._born(place, own)
        rest = entries & ~own
        shares = dict(trial.shares(rest)) if rest.any() else {}
        if own.any():  # perhaps it would have come through an operand all the same
            for i, part in trial.shares_alone(own):
                shares[i] = shares[i] | part if i in shares else part
        makers = computation.makers()
        if _turns(computation, k, rest, shares):
            self._turned.add(place)
        for i, part in shares.items():
            self._follow(place, i, makers[i], part)

    def _follow(self, place: Place, i: int, maker: Maker | None, part: Array) -> None:
        if maker is None:
            maker = Leaf(CONSTANT, "", place[0].operands[i])
        if isinstance(maker, Leaf):
            found = Found(place, part, maker, i)
            (self._meant if maker.is_meant else self._births).append(found)
            return
        made = maker[0].outputs()[maker[1]]
        if np.shape(made) != part.shape:  # NumPy has done something in between
            part = faults(made)
        if maker in self._wanted:
            self._wanted[maker] = self._wanted[maker] | part
        else:
            self._wanted[maker] = part
            self._next.setdefault(maker, place)
            self._push(maker)

    def _born(self, place: Place, entries: Array, created: bool = False) -> None:
        found = Found(place, entries)
        if created and not np.isnan(np.asarray(place[0].outputs()[place[1]])).any():
            self._meant.append(found)  # such as `full(-inf)`
        else:
            self._births.append(found)

    def _where_it_turned(self, meant: Found) -> Found:
        """Infinities that were meant: the fault is where they became NaN.

        If they did not, it is where they met more than one element: in a softmax, a loss.
        """
        path = list(self._way(meant.place))
        turned = [place for place in path if place in self._turned]
        for place in turned or [place for place in path if place[0].is_general]:
            found = replace(meant, place=place, turned=True, meant=not turned)
            output = place[0].outputs()[place[1]]
            entries = np.isnan(np.asarray(output)) if turned else faults(output)
            return replace(found, entries=entries, path=path[path.index(place) :])
        return replace(self._with_path(meant), meant=True)

    def _with_path(self, found: Found) -> Found:
        return replace(found, path=list(self._way(found.place)))

    def _way(self, place: Place) -> Iterator[Place]:
        at: Place | None = place
        while at is not None:
            yield at
            at = self._next.get(at)


def _turns(computation: Computation, k: int, entries: Array, shares: dict[int, Array]) -> bool:
    """Whether infinities became NaN."""
    if not np.isnan(np.asarray(computation.outputs()[k])[entries]).any():
        return False
    read = (np.asarray(computation.operands[i])[part] for i, part in shares.items())
    return not any(np.isnan(x).any() for x in read)


class Trial:
    """A computation done again, with other operands."""

    def __init__(self, computation: Computation, k: int) -> None:
        self._computation, self._k = computation, k
        self._operands = list(computation.operands)
        self.bad = [i for i, x in enumerate(self._operands) if has_fault(x)]
        self._fill = FILLS[0]
        self._shape = np.shape(computation.outputs()[k])

    def own(self) -> Array:
        """Elements that are not finite whatever finite numbers the operands are given."""
        best: Array | None = None
        for fill in FILLS:
            found = self._faults(dict.fromkeys(self.bad), fill)
            if found is None:
                return np.zeros(self._shape, bool)  # it takes nothing but what it had
            if best is None or found.sum() < best.sum():
                self._fill = fill
            best = found if best is None else best & found
            if not best.any():
                break
        assert best is not None
        return best

    def shares(self, entries: Array) -> Iterator[tuple[int, Array]]:
        """Operands that alone bring these elements about, and with which of theirs."""
        found = []
        for i in self.bad:
            others = {j: None for j in self.bad if j != i}
            alone = self._faults(others, self._fill)
            matter = entries if alone is None else entries & alone
            if matter.any():
                found.append((i, self._within(i, matter)))
        yield from found or [(i, faults(self._operands[i])) for i in self.bad]

    def shares_alone(self, entries: Array) -> Iterator[tuple[int, Array]]:
        """Operands that would bring these about if all else were harmless."""
        for i in self.bad:
            given = [_calm(x, j == i, self._fill) for j, x in enumerate(self._operands)]
            found = self._faults_of(given)
            if found is not None and (found & entries).any():
                yield i, self._within(i, found & entries)

    def _within(self, i: int, entries: Array) -> Array:
        """Elements of an operand that bring these about."""
        x = np.asarray(self._operands[i])
        bad = faults(x)
        if bad.sum() == 1:
            return bad
        if self._computation.is_elementwise(self._k):
            return bad & _narrowed(entries, x.shape)
        tried = np.flatnonzero(bad)
        some = tried[np.linspace(0, len(tried) - 1, min(TRIES, len(tried))).astype(int)]
        one_by_one = [n for n in some if self._matters(i, [n], entries)]
        if len(one_by_one) == len(some):
            return bad
        if not one_by_one:
            one_by_one = self._halves(i, tried, entries)
        chosen = np.zeros(x.size, bool)
        chosen[one_by_one] = True
        return chosen.reshape(x.shape) if one_by_one else bad

    def _halves(self, i: int, some: Array, entries: Array) -> list[Any]:
        """One element that matters, by halving."""
        while len(some) > 1:
            half = some[: len(some) // 2]
            if self._matters(i, half, entries):
                some = half
            elif self._matters(i, some[len(half) :], entries):
                some = some[len(half) :]
            else:
                return list(some)  # they matter together only
        return list(some)

    def _matters(self, i: int, elements: Any, entries: Array) -> bool:
        """Whether these elements of an operand alone bring about one of the entries."""
        kept: dict[int, Any] = dict.fromkeys(self.bad)
        kept[i] = elements
        found = self._faults(kept, self._fill)
        return found is None or bool((found & entries).any())

    def _faults(self, replaced: dict[int, Any], fill: float) -> Array | None:
        """What is not finite with these operands replaced, but for the elements that are kept.

        None if the computation refuses such operands.
        """
        given = list(self._operands)
        for i, kept in replaced.items():
            given[i] = _filled(given[i], kept, fill)
        return self._faults_of(given)

    def _faults_of(self, given: list[Any]) -> Array | None:
        """What is not finite for these operands."""
        try:
            with np.errstate(all="ignore"):
                made = as_tuple(self._computation.evaluate(given))[self._k]
        except Exception:
            return None  # a matrix that has no inverse, a function of the user's that checks
        found = faults(made)
        return found if found.shape == self._shape else None


def _filled(x: Any, kept: Any, fill: float) -> Any:
    if not isinstance(x, np.ndarray):
        return type(x)(fill)
    made = np.array(x)
    bad = faults(x)
    if kept is not None:
        bad.reshape(-1)[kept] = False
    made[bad] = fill
    return made


def _calm(x: Any, keeps_faults: bool, fill: float) -> Any:
    """An operand in which everything is harmless, but for its faults if they are to be kept."""
    array = np.asarray(x) if isinstance(x, np.ndarray | np.generic | float) else None
    if array is None or array.dtype.kind != "f":
        return x
    made = np.full_like(array, fill)
    if keeps_faults:
        bad = faults(array)
        made[bad] = array[bad]
    return made


def _narrowed(entries: Array, shape: tuple[int, ...]) -> Array:
    """A mask over the output of a broadcast as one over an operand of this shape."""
    extra = entries.ndim - len(shape)
    made = np.asarray(entries.any(axis=tuple(range(extra))) if extra else entries)
    axes = tuple(a for a, n in enumerate(shape) if n == 1 and made.shape[a] != 1)
    return np.asarray(made.any(axis=axes, keepdims=True) if axes else made)
