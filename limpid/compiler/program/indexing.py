"""Indexing values by NumPy's keys: reading, writing, and adding where indices may meet.

Keys are of integers, slices, None, an ellipsis, and values that are arrays of integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.program.construction import (
    Range,
    Untraceable,
    broadcast,
    cast,
    constant,
    filled,
    gathered,
    joined,
    mapped,
    number_in,
    permuted,
    reshaped,
    scattered,
    scattered_max,
    sliced,
    within,
)
from limpid.compiler.program.values import Shape, Value

MOST = 64  # pieces that writing may lead to


class Key(NamedTuple):
    """A key taken apart."""

    ranges: tuple[Range, ...]  # for each axis; whole where there is an array
    arrays: tuple[tuple[int, Value], ...]  # axes and indices
    kept: tuple[int, ...]  # the other axes that are in the result
    before: int  # how many of these come before the axes that arrays make
    block: Shape  # the axes that arrays make
    shape: Shape  # of the result


def take_apart(key: Any, shape: Shape) -> Key:
    """The key of `x[key]` for x of this shape; raises Untraceable."""
    parts = _written_out(key, len(shape))
    advanced = any(isinstance(part, Value) for part in parts)
    ranges: list[Range] = []
    arrays: list[tuple[int, Value]] = []
    kept: list[int] = []
    found: list[int] = []  # extents of the result but for those that arrays make
    starts: list[tuple[int, int]] = []  # where runs of arrays start, in `kept` and in `found`
    inside = False
    for part in parts:
        if part is None or part is ...:
            found += [1] if part is None else []
            inside = False
            continue
        axis = len(ranges)
        if isinstance(part, slice):
            start, stop, step = part.indices(shape[axis])
            count = len(range(start, stop, step))
            ranges.append((start, count, step))
            kept.append(axis)
            found.append(count)
            inside = False
        elif advanced:
            index = part
            if not isinstance(part, Value):
                index = constant(np.int64(_inside(part, shape[axis])))
            if not inside:
                starts.append((len(kept), len(found)))
            inside = True
            arrays.append((axis, index))
            ranges.append((0, shape[axis], 1))
        else:
            ranges.append((_inside(part, shape[axis]), 1, 1))
    before, place = starts[0] if len(starts) == 1 else (0, 0)
    block = np.broadcast_shapes(*(index.shape for _, index in arrays))
    made = (*found[:place], *block, *found[place:])
    return Key(tuple(ranges), tuple(arrays), tuple(kept), before, block, made)


def _written_out(key: Any, rank: int) -> list[Any]:
    """The parts of a key, with slices for what an ellipsis stands for, which stays in front."""
    given = key if isinstance(key, tuple) else (key,)
    for part in given:
        known = isinstance(part, int | np.integer | slice | Value) or part is None or part is ...
        if not known or isinstance(part, bool):
            raise Untraceable(f"an index that is {type(part).__name__}")
        if isinstance(part, Value) and part.dtype.kind not in "iu":
            raise Untraceable("an index that is a mask")
    used = sum(part is not None and part is not ... for part in given)
    if used > rank:
        raise Untraceable("too many indices")
    whole = [slice(None)] * (rank - used)
    parts: list[Any] = []
    for part in given if any(part is ... for part in given) else (*given, ...):
        parts += [..., *whole] if part is ... else [part]
    return parts


def _inside(index: Any, extent: int) -> int:
    if not -extent <= index < extent:
        raise Untraceable("an index out of range")
    return int(index) % extent


def item(x: Value, key: Any) -> Value:
    """`x[key]`."""
    k = take_apart(key, x.shape)
    y = sliced(x, k.ranges)
    if not k.arrays:
        return reshaped(y, k.shape)
    order, extents = _order(k), y.shape
    y = permuted(y, order)
    lead = y.shape[: k.before]
    merged = prod(extents[axis] for axis, _ in k.arrays)
    y = reshaped(y, (*lead, merged, *y.shape[k.before + len(k.arrays) :]))
    return reshaped(gathered(y, _flat(k, extents), k.before), k.shape)


def _order(k: Key) -> tuple[int, ...]:
    """The axes with those of arrays side by side, where the axes that these make will be."""
    return (*k.kept[: k.before], *(axis for axis, _ in k.arrays), *k.kept[k.before :])


def _flat(k: Key, extents: Shape) -> Value:
    """The indices of all arrays as one, into the row-major places of their axes."""
    total: Any = None
    for axis, index in k.arrays:
        index = within(index, extents[axis])
        if total is not None:
            total = mapped("multiply", [total, constant(np.int64(extents[axis]))], np.int64)
            index = mapped("add", [total, index], np.int64)
        total = index
    return broadcast(total, k.block)


def replaced(x: Value, key: Any, value: Value) -> Value:
    """What x is after `x[key] = value`."""
    k = take_apart(key, x.shape)
    value = _spread(cast(value, x.dtype), k.shape)
    return _placed(x, _written_at(x, value, k) if k.arrays else value, k)


def _written_at(x: Value, value: Value, k: Key) -> Value:
    """What the key's ranges name with a value at the indices of arrays: where they meet, the last.

    Each place asks for the number of the last index that names it, and takes what that writes.
    """
    y = permuted(sliced(x, k.ranges), _order(k))
    lead, rest = y.shape[: k.before], y.shape[k.before + len(k.arrays) :]
    extents = tuple(count for _, count, _ in k.ranges)
    places, count = prod(extents[axis] for axis, _ in k.arrays), prod(k.block)
    numbers = constant(np.arange(count))
    index = reshaped(_flat(k, extents), (count,))
    last = scattered_max(numbers, index, 0, places, -1)
    named = mapped("greater_equal", [last, constant(np.int64(0))], bool)
    given = reshaped(value, (*lead, count, *rest))
    given = gathered(given, within(last, count), k.before)
    named = reshaped(named, (places, *(1,) * len(rest)))
    held = reshaped(y, (*lead, places, *rest))
    made = reshaped(mapped("where", [named, given, held], x.dtype), y.shape)
    return permuted(made, tuple(map(int, np.argsort(_order(k)))))


def added(x: Value, key: Any, g: Value) -> Value:
    """What x is after `np.add.at(x, key, g)`."""
    k = take_apart(key, x.shape)
    g = _spread(cast(g, x.dtype), k.shape)
    if k.arrays:
        g = _unread(g, k, x.shape)
    zeros = filled(x.shape, x.dtype, 0)
    made = _placed(zeros, g, k)
    return made if number_in(x) == 0 else mapped("add", [x, made], x.dtype)


def _unread(g: Value, k: Key, shape: Shape) -> Value:
    """g added up at the indices of arrays, in the extents that the key's ranges have."""
    extents = tuple(count for _, count, _ in k.ranges)
    order = _order(k)
    moved = tuple(extents[axis] for axis in order)
    lead, rest = moved[: k.before], moved[k.before + len(k.arrays) :]
    g = reshaped(g, (*lead, *k.block, *rest))
    merged = prod(extents[axis] for axis, _ in k.arrays)
    g = reshaped(scattered(g, _flat(k, extents), k.before, merged), moved)
    return permuted(g, tuple(map(int, np.argsort(order))))


def _spread(value: Value, shape: Shape) -> Value:
    """What is written, in the shape of the place; NumPy lets it have further axes of extent 1."""
    while len(value.shape) > len(shape) and value.shape[0] == 1:
        value = reshaped(value, value.shape[1:])
    if np.broadcast_shapes(value.shape, shape) != shape:
        raise Untraceable("what is written does not fit")
    return broadcast(value, shape)


def _placed(x: Value, value: Value, k: Key) -> Value:
    """`value` in place of what the key's ranges name."""
    value = reshaped(value, tuple(count for _, count, _ in k.ranges))
    ranges, turns = [], []
    for start, count, step in k.ranges:
        back = step < 0
        ranges.append((start + step * (count - 1), count, -step) if back else (start, count, step))
        turns.append((count - 1, count, -1) if back else (0, count, 1))
    return _overlaid(x, sliced(value, turns), ranges)


def _overlaid(x: Value, piece: Value, ranges: Sequence[Range]) -> Value:
    if not piece.size:
        return x
    ranges = tuple((start, n, step if n > 1 else 1) for start, n, step in ranges)
    if piece.size == x.size:
        return piece
    pieces, regions, fill = [x], [], number_in(x)
    if fill is not None:
        pieces = []
    elif x.kind == "join" and x.params["fill"] is not None:
        regions, fill = _regions(x), x.params["fill"]
        pieces = list(x.operands)
        if ranges in regions:  # written once more
            del pieces[regions.index(ranges)]
            regions.remove(ranges)
        if any(_meet(ranges, region) for region in regions):
            pieces, fill = [x], None
    if fill is None:
        regions = list(_others(ranges, x.shape))
        if len(regions) > MOST:
            raise Untraceable("an array is written to in many places")
        pieces = [sliced(x, region) for region in regions]
    places = [_place(region) for region in (*regions, ranges)]
    return joined([*pieces, piece], places, x.shape, x.dtype, fill)


def _place(region: Sequence[Range]) -> tuple[Shape, Shape]:
    return tuple(start for start, _, _ in region), tuple(step for _, _, step in region)


def _regions(x: Value) -> list[tuple[Range, ...]]:
    """Where the pieces of a join are."""
    return [
        tuple(zip(starts, piece.shape, steps, strict=True))
        for piece, (starts, steps) in zip(x.operands, x.params["places"], strict=True)
    ]


def _meet(a: Sequence[Range], b: Sequence[Range]) -> bool:
    """Whether two regions may have an element in common."""
    for (first, n, s), (other, m, t) in zip(a, b, strict=True):
        apart = first + s * (n - 1) < other or other + t * (m - 1) < first
        if apart or (first - other) % gcd(s, t):
            return False
    return True


def _others(ranges: Sequence[Range], shape: Shape) -> Iterator[tuple[Range, ...]]:
    """Regions that hold, together, all elements outside of one."""
    whole = [(0, extent, 1) for extent in shape]
    for axis, (start, count, step) in enumerate(ranges):
        last = start + step * (count - 1)
        beside = [(0, start, 1), (last + 1, shape[axis] - last - 1, 1)]
        beside += [(start + phase, count - 1, step) for phase in range(1, step)]
        for other in beside:
            if other[1]:
                yield (*ranges[:axis], other, *whole[axis + 1 :])
