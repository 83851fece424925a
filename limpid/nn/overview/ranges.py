"""Ranges of elements along an axis that move along with an index: what an element depends on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, floor, gcd, lcm

MOST = 64  # phases that are told apart
Ends = tuple[Fraction, Fraction]
Phases = tuple[Ends | None, ...]


@dataclass(frozen=True)
class Range:
    """The elements from stride·o + low to stride·o + high, for the index o along an axis.

    axis    which one; None where the range is the same for all elements
    phases  (low, high) for o ≡ 0, 1, … modulo their number; None where nothing is read
    merged  the axis is made of several, so o is not its index alone
    slid    a window was moved along, so the axis is a spatial one
    """

    axis: int | None
    stride: Fraction
    phases: Phases
    merged: bool = False
    slid: bool = field(default=False, compare=False)

    @property
    def is_plain(self) -> bool:
        """Whether element o is what is read for o."""
        return self.axis is not None and self.stride == 1 and self.phases == (NOWHERE_ELSE,)

    @property
    def low(self) -> Fraction:
        """The least of all phases."""
        return min(e[0] for e in self.phases if e is not None)

    @property
    def high(self) -> Fraction:
        """The greatest of all phases."""
        return max(e[1] for e in self.phases if e is not None)

    @property
    def size(self) -> int:
        """How many elements it holds, where they are most."""
        found = []
        for o, ends in enumerate(self.phases):
            if ends is not None:
                first, last = ceil(self.stride * o + ends[0]), floor(self.stride * o + ends[1])
                found.append(last - first + 1)
        return max(found)


NOWHERE_ELSE: Ends = (Fraction(0), Fraction(0))


def whole(extent: int) -> Range:
    """All elements of an axis."""
    return Range(None, Fraction(0), ((Fraction(0), Fraction(max(extent - 1, 0))),))


def plain(axis: int) -> Range:
    """Element o for index o."""
    return Range(axis, Fraction(1), (NOWHERE_ELSE,))


def phased(axis: int, stride: Fraction, period: int, ends: Mapping[int, Ends]) -> Range:
    """A range by its phases, of which those that read nothing are left out."""
    return _merged(Range(axis, stride, tuple(ends.get(o) for o in range(period))))


def union(a: Range, b: Range, extent: int) -> Range:
    """A range that holds both; where they do not move alike, all of the axis."""
    slid = a.slid or b.slid
    if (a.axis, a.stride, a.merged) != (b.axis, b.stride, b.merged):
        return replace(whole(extent), slid=slid)
    period = lcm(len(a.phases), len(b.phases))
    phases = tuple(
        _both(a.phases[o % len(a.phases)], b.phases[o % len(b.phases)]) for o in range(period)
    )
    return _merged(replace(a, phases=phases, slid=slid))


def through(seen: Range, read: Range, extent: int) -> Range:
    """What is seen of an axis (of this extent) through a node that reads the value so."""
    if seen.axis is None:
        return seen
    if read.is_plain:
        return replace(seen, axis=read.axis, merged=seen.merged or read.merged)
    if seen.merged:
        return whole(extent)
    if read.axis is None:
        ends = _covered(seen, read.low, read.high)
        if ends is None:
            return whole(extent)
        low, high = max(ends[0], Fraction(0)), min(ends[1], Fraction(max(extent - 1, 0)))
        return Range(None, Fraction(0), ((low, max(low, high)),))
    stride = seen.stride * read.stride
    period = _period(seen, read)
    if period > MOST:
        seen, read = _blurred(seen), _blurred(read)
        period = 1
    phases = []
    for o in range(period):
        ends = read.phases[o % len(read.phases)]
        found = ends and _covered(seen, read.stride * o + ends[0], read.stride * o + ends[1])
        phases.append(found and (found[0] - stride * o, found[1] - stride * o))
    if not any(phases):
        return whole(extent)
    return _merged(Range(read.axis, stride, tuple(phases)))


def _period(seen: Range, read: Range) -> int:
    """After how many indices both have the same phases again."""
    steps, count = read.stride, len(seen.phases)
    again = steps.denominator * (count // gcd(steps.numerator, count))
    return lcm(len(read.phases), again)


def _covered(seen: Range, low: Fraction, high: Fraction) -> Ends | None:
    """What is seen by the elements from low to high together."""
    count = len(seen.phases)
    if count == 1 and seen.phases[0] is not None:
        ends = (seen.stride * low, seen.stride * high)
        return min(ends) + seen.phases[0][0], max(ends) + seen.phases[0][1]
    first, last = ceil(low), floor(high)
    outer = {
        *range(first, min(first + count, last + 1)),
        *range(max(first, last - count), last + 1),
    }
    found: Ends | None = None
    for j in outer:
        ends = seen.phases[j % count]
        if ends is not None:
            found = _both(found, (seen.stride * j + ends[0], seen.stride * j + ends[1]))
    return found


def _both(a: Ends | None, b: Ends | None) -> Ends | None:
    if a is None or b is None:
        return a or b
    return min(a[0], b[0]), max(a[1], b[1])


def _blurred(of: Range) -> Range:
    """The range without phases: one that holds them all."""
    return replace(of, phases=((of.low, of.high),))


def _merged(of: Range) -> Range:
    """The range with as few phases as say the same."""
    same: Iterable[Ends | None] = set(of.phases)
    return replace(of, phases=of.phases[:1]) if len(set(same)) == 1 else of
