"""Bands: axes that are linked through the program, and how they are cut into chunks and slots.

What is linked to the axis of a batch can be computed chunk after chunk: all that a chunk needs is
still in the cache, and several threads can each take some. How an axis is cut depends on shapes
alone, never on the number of threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from math import ceil
from typing import NamedTuple

from limpid.compiler.program.links import Link, index_along, links
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import VIEWS, base

SHARED = 200_000  # cycles from which on several threads share the work
GRAIN = 150  # cycles that a value should take in a slot, on average
SLOTS = 16  # parts that threads can take
CACHE = 1 << 20  # bytes that a chunk should need
BANDWIDTH = 10  # bytes in a cycle from beyond the cache
READING = 0.15  # of a slot's time that reading what is shared may take
PASSES = 3  # how often what a chunk computes is written and read again
MULTIPLY_ADDS = 32  # in a cycle
ELEMENTS = 2  # of maps and reductions in a cycle
LINE = 16  # elements that lie side by side: an axis that is innermost is not cut finer
SIDE_BY_SIDE = 64  # elements side by side from which on loops lose nothing


class Band(NamedTuple):
    """How a class of linked axes is cut.

    slots     parts that threads can take, each of `per_slot` chunks
    """

    number: int
    extent: int
    chunk: int
    slots: int

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return ceil(self.extent / self.chunk)

    @property
    def per_slot(self) -> int:
        """Chunks of a slot."""
        return ceil(self.chunks / self.slots)

    @property
    def is_whole(self) -> bool:
        """Whether it is not cut."""
        return self.chunk >= self.extent


def cycles(value: Value) -> float:
    """About how long a value takes."""
    if value.kind == "contract":
        return sum(part.multiply_adds() for part in value.params["parts"]) / MULTIPLY_ADDS
    if value.kind == "reduce":
        return value.operands[0].size / ELEMENTS
    return value.size / ELEMENTS


class Bands:
    """The classes of linked axes of a program.

    apart   values that count for nothing, and are cut as what they read is: what is only looked at
    rank    of each band: how many values it goes through, then how much work has to do with it. The
            batch goes through all layers, an axis of features through one. Both count less where a
            cut leaves little side by side in memory
    """

    def __init__(self, values: Iterable[Value], apart: Collection[Value] = ()):
        self.apart = frozenset(apart)
        self._parents: dict[tuple[Value, int], tuple[Value, int]] = {}
        self._links: dict[Value, list[Link]] = {}
        self.values = list(values)
        counted = [value for value in self.values if value not in self.apart]
        following = [value for value in self.values if value in self.apart]
        for value in counted:
            self._links[value] = links(value)
            for link in self._links[value]:
                self._unite(value, link)
        self._follow(following)
        self._numbers: dict[tuple[Value, int], int] = {}
        self.rank: dict[int, tuple[float, float]] = {}
        self._bands = self._measured([*counted, *following])
        for value in self.values:  # sums for each slot were made for a cut, which has to stay
            if "cut" in value.params:
                link, band = value.params["cut"]
                number = self._number_of(value, link)
                self._bands[number] = band._replace(number=number)

    def links(self, value: Value) -> list[Link]:
        """The links of a value."""
        return self._links[value]

    def _follow(self, apart: Iterable[Value]) -> None:
        """Let values apart have a part in bands; they link none that aren't linked without them."""
        for value in apart:
            self._links[value] = []
            for link in links(value):
                if len({self._find((value.operands[n], axis)) for n, axis in link.operands}) == 1:
                    self._links[value].append(link)
                    self._unite(value, link)

    def of(self, value: Value, axis: int) -> Band:
        """The band of an axis."""
        return self._bands[self._number(value, axis)]

    def band(self, value: Value, link: Link) -> Band:
        """The band of a link."""
        if link.output is not None:
            return self.of(value, link.output)
        number, axis = link.operands[0]
        return self.of(value.operands[number], axis)

    def lost(self, value: Value, link: Link) -> float:
        """Cycles by which reading what every chunk needs takes longer than a contraction itself.

        0 where that is little, or stays in the cache from chunk to chunk.
        """
        if value.kind != "contract":
            return 0.0
        with_it = {n for n, _ in link.operands}
        size = sum(
            x.size * x.dtype.itemsize for n, x in enumerate(value.operands) if n not in with_it
        )
        reading = size * self.band(value, link).chunks / BANDWIDTH
        lost = reading - cycles(value)
        return lost if size > CACHE / 2 and lost > SHARED else 0.0

    def chunks(self, value: Value) -> dict[str, int]:
        """How far the indices of a contraction run at once along which it is likely to be cut."""
        cut = [(link, self.band(value, link)) for link in self.links(value)]
        cut = [(link, band) for link, band in cut if not band.is_whole]
        most = max((self.rank[band.number] for _, band in cut), default=None)
        part = value.params["parts"][0]
        found = [(link, band) for link, band in cut if self.rank[band.number] == most]
        return {index_along(part, link): band.chunk for link, band in found}

    def _find(self, place: tuple[Value, int]) -> tuple[Value, int]:
        parents = self._parents
        while parents.setdefault(place, place) != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    def _unite(self, value: Value, link: Link) -> None:
        places = [(value.operands[number], axis) for number, axis in link.operands]
        if link.output is not None:
            places.append((value, link.output))
        for place in places[1:]:
            self._parents[self._find(place)] = self._find(places[0])

    def _number(self, value: Value, axis: int) -> int:
        root = self._find((value, axis))
        return self._numbers.setdefault(root, len(self._numbers))

    def _measured(self, values: Iterable[Value]) -> dict[int, Band]:
        extents: dict[int, int] = {}
        counts: dict[int, int] = defaultdict(int)
        through: dict[int, int] = defaultdict(int)  # values that share the axis with an operand
        work: dict[int, float] = defaultdict(float)
        local: dict[int, float] = defaultdict(float)  # bytes of an item
        shared: dict[int, float] = defaultdict(float)  # bytes that are read for each chunk
        inner: dict[int, float] = defaultdict(float)  # work on what lies along the axis
        readers: dict[tuple[int, Value], set[Value]] = defaultdict(set)  # of inputs
        for value in values:
            seen = set()
            for link in () if value in self.apart else self.links(value):
                number = self._number_of(value, link)
                self._add_readers(value, link, number, readers)
                if number not in seen and value.kind not in VIEWS:
                    seen.add(number)
                    work[number] += cycles(value)
                    counts[number] += 1
                    through[number] += link.output is not None and bool(link.operands)
                    inner[number] += cycles(value) * _is_innermost(value, link)
                    self._add_bytes(value, link, number, local, shared)
            for axis, extent in enumerate(value.shape):
                number = self._number(value, axis)
                extents[number] = max(extents.get(number, 1), extent)
        for (number, x), found_readers in readers.items():
            if len(found_readers) > 1:  # all but the first should find it in the cache
                local[number] += x.size * x.dtype.itemsize / max(extents[number], 1)
        shares = {n: inner[n] / work[n] if work[n] else 0.0 for n in extents}
        found = {
            n: _cut(n, extent, work[n], counts[n], local[n], shared[n], shares[n] > 0.5)
            for n, extent in extents.items()
        }
        for n, band in found.items():
            kept = 1 - shares[n] * (1 - min(band.chunk / SIDE_BY_SIDE, 1.0))
            self.rank[n] = kept * through[n], kept * work[n]
        return found

    def _number_of(self, value: Value, link: Link) -> int:
        if link.output is not None:
            return self._number(value, link.output)
        number, axis = link.operands[0]
        return self._number(value.operands[number], axis)

    def _add_readers(
        self,
        value: Value,
        link: Link,
        number: int,
        readers: dict[tuple[int, Value], set[Value]],
    ) -> None:
        """Which inputs of the program a value reads along a band."""
        for n, _ in link.operands:
            x = base(value.operands[n])
            if value.kind not in VIEWS and x.kind == "input":
                readers[number, x].add(value)

    def _add_bytes(
        self,
        value: Value,
        link: Link,
        number: int,
        local: dict[int, float],
        shared: dict[int, float],
    ) -> None:
        if value.kind != "contract":
            return
        if link.output is not None:
            local[number] += value.size / max(value.shape[link.output], 1) * value.dtype.itemsize
        with_it = {n for n, _ in link.operands}
        shared[number] += sum(
            x.size * x.dtype.itemsize for n, x in enumerate(value.operands) if n not in with_it
        )


def _is_innermost(value: Value, link: Link) -> bool:
    """Whether elements along a link lie side by side in the value, or in what it reduces."""
    x, axis = value, link.output
    if axis is None:
        number, axis = link.operands[0]
        x = value.operands[number]
    long = [n for n in x.order or range(len(x.shape)) if x.shape[n] != 1]
    return bool(long) and long[-1] == axis


def _cut(
    number: int,
    extent: int,
    work: float,
    count: int,
    local: float,
    shared: float,
    innermost: bool = False,
) -> Band:
    """How an axis is cut; whole if that is little work.

    count      of values
    local      bytes of an item that its chunk writes and reads
    shared     bytes that every chunk reads
    innermost  whether most of it lies side by side along the axis
    """
    if work < SHARED or extent < 2:
        return Band(number, extent, max(extent, 1), 1)
    worth = max(SHARED / 4, count * GRAIN)  # cycles that are worth a slot
    if work < 2 * worth:
        return Band(number, extent, max(extent, 1), 1)
    read = shared / (BANDWIDTH * READING * work)  # slots for which reading takes too long
    unit = LINE if innermost else 1
    least = max(ceil(extent * worth / work), min(ceil(extent * read), extent), unit)
    slots = SLOTS
    while slots > 1 and extent / slots < least:
        slots //= 2
    share = ceil(extent / slots)
    best = min(range(share.bit_length() + 1), key=lambda n: (_moved(share, n, local, shared), n))
    chunk = ceil(ceil(share / min(2**best, share)) / unit) * unit
    return Band(number, extent, chunk, slots if ceil(extent / chunk) >= slots else 1)


def _moved(share: int, halvings: int, local: float, shared: float) -> float:
    """Bytes from beyond the cache for each item, if a slot is cut in halves so often."""
    chunk = ceil(share / 2**halvings)
    return shared / chunk + PASSES * max(0.0, local - CACHE / chunk)
