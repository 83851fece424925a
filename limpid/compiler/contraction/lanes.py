"""Which index of a contraction becomes the lanes of vectors, and what is copied for it.

The kernel wants lanes side by side in one operand, B, and in the output, C; the other operand, A,
may lie as it likes. An array that has the lanes apart is copied into another order first: weights
nearly always, images hardly ever. Or lanes are terms of the sum, side by side in both operands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, inf, prod
from types import MappingProxyType
from typing import NamedTuple

from limpid.compiler.contraction.dots import SIDE
from limpid.compiler.contraction.product import OUTERS
from limpid.ops.windows.contraction import Access, Contraction, reads
from limpid.ops.windows.region import Layout

Order = tuple[int, ...]

MOVED = 100  # how many multiply-adds take as long as moving one element
WINDOWED = 1.15  # how much more lanes along windows cost: what follows is done in odd strides
THIN = 2.5  # the same for lanes that are terms of the sum: loops do as well with single columns
PUT_TOGETHER = 300  # what it costs to add up the lanes of a sum, in multiply-adds
WASTE = 6  # a kernel that would do so many times the work is not used


class Choice(NamedTuple):
    """Which index becomes the lanes, and what has to be copied into another order for it."""

    lane: str
    swapped: bool  # whether B is the left operand
    order: Order | None  # of B's axes, slowest first; None where it is used as it lies
    out: Order | None  # of the output's axes
    sums: bool = False  # whether lanes are terms of the sum

    def accesses(self, part: Contraction) -> tuple[Access, Access, Access]:
        """How A, B and C are addressed."""
        assert part.right is not None
        if self.swapped:
            return part.right, part.left, part.output
        return part.left, part.right, part.output

    def layouts(self, whole: Contraction, given: Sequence[Layout]) -> tuple[Layout, ...]:
        """The layouts of A, B and C after copying, from those of left, right and output."""
        left, right, out = given
        a, b = (right, left) if self.swapped else (left, right)
        _, access_b, access_c = self.accesses(whole)
        return a, _laid_out(access_b, b, self.order), _laid_out(access_c, out, self.out)


def choose(
    contraction: Contraction,
    layouts: Sequence[Layout],
    width: int,
    rows: int,
    moved: float = MOVED,
    written: float = MOVED,
    chunks: Mapping[str, int] = MappingProxyType({}),
    steady: Sequence[bool] = (False, False),
    sums: bool = False,
) -> Choice | None:
    """The index that costs least as lanes; None if the kernel would waste too much.

    width  lanes of a vector
    rows   rows of a tile
    moved  how many multiply-adds take as long as moving one element of an operand
    written  as many for an element of the output that does not lie as it should
    chunks how far an index runs at once that is cut
    steady whether left and right are the same again and again, so that their copies cost nothing
    sums   whether lanes may be terms of the sum
    """
    best, least = None, inf
    for index in contraction.indices:
        choice = along(contraction, layouts, index.name)
        if choice is None or choice.sums > sums:
            continue
        of_b = 0 if steady[0 if choice.swapped else 1] else moved
        cost = _cost(contraction, choice, width, rows, of_b, written)
        if index.name in chunks:
            cost *= _filled(chunks[index.name], width)
        if choice.sums:
            if cost > THIN * contraction.multiply_adds():
                continue
            times = prod(ceil(contraction.extent(name) / n) for name, n in chunks.items())
            cost += times * PUT_TOGETHER * prod(axis.extent for axis in contraction.output)
        if cost < least:
            best, least = choice, cost
    return best


def along(contraction: Contraction, layouts: Sequence[Layout], name: str) -> Choice | None:
    """An index as lanes, if it is in the output and in one operand and leads through memory."""
    assert contraction.right is not None
    in_left, in_right = (name in reads(a) for a in (contraction.left, contraction.right))
    if in_left and in_right and name not in reads(contraction.output):
        pairs = (contraction.left, layouts[0]), (contraction.right, layouts[1])
        beside = all(_order_for(access, layout, name) is None for access, layout in pairs)
        return Choice(name, False, None, None, sums=True) if beside else None
    if in_left == in_right or name not in reads(contraction.output):
        return None
    access, layout = (contraction.left, layouts[0]) if in_left else (contraction.right, layouts[1])
    order = _order_for(access, layout, name)
    out = _order_for(contraction.output, layouts[2], name)
    return None if order == () or out == () else Choice(name, in_left, order, out)


def _order_for(access: Access, layout: Layout, name: str) -> Order | None:
    """The order of axes that puts an index side by side; None if it is so, () if none does."""
    strides, size = layout
    axis, *more = [n for n, a in enumerate(access) if name in dict(a.terms)]
    if more or dict(access[axis].terms)[name] != 1:
        return ()
    if strides[axis] == size:
        return None
    slowest_first = sorted(range(len(access)), key=lambda n: -strides[n])
    return (*(n for n in slowest_first if n != axis), axis)


def _cost(
    contraction: Contraction, choice: Choice, width: int, rows: int, of_b: float, of_c: float
) -> float:
    """What the kernel does, half-filled tiles and copies included, in multiply-adds.

    of_b, of_c   what moving one element of them costs
    """
    done = work(contraction, choice, width, rows)
    _, b, c = choice.accesses(contraction)
    loops = [i for i in contraction.indices if i.extent > 1 and i.name in reads(b) & reads(c)]
    if done > WASTE * contraction.multiply_adds() or len(loops) > OUTERS + 1:
        return inf  # it wastes too much, or there are more loops than the kernel has
    if any(len(a.terms) > 1 and choice.lane in dict(a.terms) for a in b):
        done *= WINDOWED
    copies = (b, choice.order, of_b), (c, choice.out, of_c)
    return done + sum(cost * prod(x.extent for x in y) for y, order, cost in copies if order)


def work(contraction: Contraction, choice: Choice, width: int, rows: int) -> float:
    """How many multiply-adds the kernel does, those of half-filled tiles included."""
    extents = {i.name: i.extent for i in contraction.indices}
    a, b, c = choice.accesses(contraction)
    count = prod(extents[n] for n in (reads(a) & reads(c)) - reads(b))
    if choice.sums:
        columns = prod(extents[n] for n in (reads(b) & reads(c)) - reads(a))
        sides = _filled(count, SIDE) * _filled(columns, SIDE)
        return contraction.multiply_adds() * _filled(extents[choice.lane], width) * sides
    waste = _filled(extents[choice.lane], width) * _filled(count, rows)
    return contraction.multiply_adds() * waste


def _filled(count: int, unit: int) -> float:
    """How many times the work is done if it comes in units."""
    return ceil(count / unit) * unit / count


def _laid_out(access: Access, given: Layout, order: Order | None) -> Layout:
    """The layout of a copy with its axes in this order."""
    if order is None:
        return given
    strides, step = [0] * len(access), given[1]
    for axis in reversed(order):
        strides[axis] = step
        step *= access[axis].extent
    return tuple(strides), given[1]
