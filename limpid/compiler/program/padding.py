"""Padding of contractions: margins of zeros around operands, so that no address lies outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from limpid.compiler.contraction.borders import pieces
from limpid.compiler.contraction.lanes import Choice, work
from limpid.compiler.program.values import Value
from limpid.ops.windows.contraction import Access, Contraction, bounds

Margins = tuple[tuple[int, int], ...]  # zeros before and after, along each axis


def margins(parts: Sequence[Contraction], side: int) -> Margins:
    """What all parts together read of an operand beyond its ends; side 0 is the left one."""
    found = [_beyond(_operand(part, side), part) for part in parts]
    return tuple((max(n for n, _ in axis), max(n for _, n in axis)) for axis in zip(*found))


def _beyond(access: Access, part: Contraction) -> list[tuple[int, int]]:
    extents = {i.name: i.extent for i in part.indices}
    ends = [bounds(axis, extents) for axis in access]
    return [(max(0, -low), max(0, high - a.extent)) for a, (low, high) in zip(access, ends)]


def _operand(part: Contraction, side: int) -> Access:
    assert part.right is not None
    return part.right if side else part.left


def widened(part: Contraction, side: int, around: Margins) -> Contraction:
    """A part whose operand has these margins."""
    axes = tuple(
        replace(axis, extent=axis.extent + low + high, offset=axis.offset + low)
        for axis, (low, high) in zip(_operand(part, side), around, strict=True)
    )
    return replace(part, right=axes) if side else replace(part, left=axes)


def with_margins(x: Value, around: Margins) -> Value:
    """A copy with zeros around it."""
    shape = tuple(n + low + high for n, (low, high) in zip(x.shape, around, strict=True))
    places = ((tuple(low for low, _ in around), (1,) * len(shape)),)
    return Value("join", shape, x.dtype, (x,), {"places": places, "fill": 0})


def work_of_cuts(parts: Sequence[Contraction], choice: Choice, width: int, rows: int) -> float:
    """How many more multiply-adds the kernel does where borders are cut; inf if they can't be."""
    more = 0.0
    for part in parts:
        found = pieces(part)
        if found is None:
            return inf
        apart = sum(work(p.contraction, choice, width, rows) for p in found if not p.empty)
        more += apart - work(part, choice, width, rows)
    return more
