"""Contractions as loops: products that are summed, or not even that, for what the kernel wastes.

The kernel wants an index of one operand and the output, and enough rows. Inner and outer products
of vectors, matrices with vectors, and convolutions of few channels in each group are maps and
reductions of views, along whose axes the indices of the contraction run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from limpid.compiler.program.construction import filled
from limpid.compiler.program.padding import Margins, margins, widened
from limpid.compiler.program.values import Shape, Value
from limpid.compiler.program.views import locate, packed, reshaped
from limpid.ops.windows.contraction import Access, Axis, Contraction, reads, without_ones

REUSED = 4  # how often an element is read, at least, where a copy in another order pays

Order = tuple[int, ...]
Pad = Callable[[Value, Margins], Value]
Pack = Callable[[Value, Order], Value]


class Written(NamedTuple):
    """What a part writes along one axis of the output: at start + step · i for i below an extent.

    names  the indices that follow on from one another there, slowest first
    """

    names: tuple[str, ...]
    start: int
    extent: int
    step: int


def as_loops(value: Value, pad: Pad, pack: Pack, fixed: bool) -> Value | None:
    """A contraction as maps and reductions; None if its parts lie in the output in no simple way.

    pad    makes a copy with margins of zeros
    pack   makes a copy in another order
    fixed  whether the result has to be row-major
    """
    parts = [without_ones(p) for p in value.params["parts"] if p.multiply_adds()]
    if not parts:
        return filled(value.shape, value.dtype, 0)
    written = [_written(part) for part in parts]
    operands = [_cast(x, value) for x in value.operands]
    for side in (0, 1):
        around = margins(parts, side)
        if any(low or high for low, high in around):
            operands[side] = pad(operands[side], around)
            parts = [widened(part, side, around) for part in parts]
    operands = _side_by_side(parts, operands, pack)
    pieces, places = [], []
    for part, axes in zip(parts, written, strict=True):
        if axes is None:
            return None
        pieces.append(_product(part, axes, operands, fixed))
        places.append((tuple(a.start for a in axes), tuple(a.step for a in axes)))
    return _together(value, pieces, places, fixed)


def _cast(x: Value, value: Value) -> Value:
    if x.dtype == value.dtype:
        return x
    return Value("map", x.shape, value.dtype, (x,), {"function": "cast"})


# The output


def _written(part: Contraction) -> list[Written] | None:
    """What a part writes along each axis; None if its indices leave gaps or meet."""
    found = [_along(axis, part) for axis in part.output]
    names = [name for axis in part.output for name, _ in axis.terms]
    known = [axis for axis in found if axis is not None]
    return known if len(known) == len(found) and len(set(names)) == len(names) else None


def _along(axis: Axis, part: Contraction) -> Written | None:
    terms = sorted(axis.terms, key=lambda term: -term[1])
    step, count = terms[-1][1] if terms else 1, 1
    for name, coefficient in reversed(terms):
        if coefficient != step * count or step < 1:
            return None
        count *= part.extent(name)
    return Written(tuple(name for name, _ in terms), axis.offset, count, step)


def _together(value: Value, pieces: list[Value], places: list[Any], fixed: bool) -> Value:
    """The output from what its parts write."""
    if len(pieces) == 1 and pieces[0].shape == value.shape:
        return pieces[0]
    full = sum(piece.size for piece in pieces) == value.size
    params = {"places": tuple(places), "fill": None if full else 0}
    order = None if fixed else _order(locate(pieces[0]).strides)
    return Value("join", value.shape, value.dtype, tuple(pieces), params, order)


# Products and sums


def _product(
    part: Contraction, axes: Sequence[Written], operands: Sequence[Value], fixed: bool
) -> Value:
    """What a part computes, with one axis for each of the output."""
    assert part.right is not None
    kept = [name for axis in axes for name in axis.names]
    names = [*kept, *(i.name for i in part.indices if i.name not in kept)]
    shape = tuple(part.extent(name) for name in names)
    views = tuple(
        _view(x, access, names, shape)
        for x, access in zip(operands, (part.left, part.right), strict=True)
    )
    made = Value("map", shape, views[0].dtype, views, {"function": "multiply"})
    wanted = tuple(axis.extent for axis in axes)
    order = None if fixed else _order(locate(views[_larger(operands)]).strides[: len(kept)])
    if reshaped(shape[: len(kept)], packed(shape[: len(kept)], order), wanted) is None:
        order = None
    if len(names) > len(kept):
        params = {"function": "add", "axes": tuple(range(len(kept), len(names)))}
        made = Value("reduce", shape[: len(kept)], made.dtype, (made,), params)
    made = replace(made, order=order)
    return made if made.shape == wanted else Value("reshape", wanted, made.dtype, (made,))


def _view(x: Value, access: Access, names: list[str], shape: Shape) -> Value:
    """An operand with an axis for each index, of extent 1 where it does not depend on it."""
    full = tuple(n if name in reads(access) else 1 for name, n in zip(names, shape, strict=True))
    if not _is_plain(access, dict(zip(names, shape, strict=True))):
        places = tuple((a.offset, tuple((names.index(n), c) for n, c in a.terms)) for a in access)
        return Value("affine", full, x.dtype, (x,), {"places": places})
    numbers = [names.index(axis.terms[0][0]) if axis.terms else -1 for axis in access]
    order = tuple(sorted(range(len(access)), key=lambda axis: numbers[axis]))
    if order != tuple(range(len(access))):
        x = Value("permute", tuple(x.shape[n] for n in order), x.dtype, (x,), {"axes": order})
    return x if x.shape == full else Value("reshape", full, x.dtype, (x,))


def _is_plain(access: Access, extents: dict[str, int]) -> bool:
    """Whether each axis is an index of its own from end to end, or has one element."""
    for axis in access:
        ends = 1
        for name, step in axis.terms:
            ends = extents[name] if step == 1 else 0
        if axis.offset or len(axis.terms) > 1 or ends != axis.extent:
            return False
    return len(reads(access)) == sum(len(axis.terms) for axis in access)


# Orders in memory


def _larger(operands: Sequence[Value]) -> int:
    return int(operands[1].size > operands[0].size)


def _order(strides: Sequence[int]) -> Order | None:
    """Axes by their strides, long ones first; those of stride 0 stay behind the one before."""
    keys, last = [], max(map(abs, strides), default=0)
    for stride in strides:
        last = abs(stride) or last
        keys.append(-last)
    order = tuple(sorted(range(len(keys)), key=lambda axis: keys[axis]))
    return None if order == tuple(range(len(keys))) else order


def _side_by_side(parts: Sequence[Contraction], operands: list[Value], pack: Pack) -> list[Value]:
    """The operands; a small one is copied so that it lies along memory as the large one does."""
    side = _larger(operands)
    large, small = operands[side], operands[1 - side]
    accesses = [(part.left, part.right or ())[:: 1 - 2 * side] for part in parts]
    strides = locate(large).strides
    lanes = {
        name
        for axis, stride in zip(accesses[0][0], strides, strict=True)
        for name, step in axis.terms
        if stride == 1 and step == 1
    }
    apart = [
        n
        for n, (axis, stride) in enumerate(zip(accesses[0][1], locate(small).strides, strict=True))
        if stride > 1 and {name for name, _ in axis.terms} == lanes
    ]
    if len(apart) != 1 or sum(p.multiply_adds() for p in parts) < REUSED * small.size:
        return operands
    order = sorted(range(len(small.shape)), key=lambda axis: -abs(locate(small).strides[axis]))
    moved = pack(small, (*(n for n in order if n != apart[0]), apart[0]))
    return [moved, large] if side else [large, moved]
