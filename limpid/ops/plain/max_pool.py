"""Max pooling in plain steps: one place of the windows after another may win."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from limpid.ops.plain.functions import lowest, scatter_along, scatter_max
from limpid.ops.plain.windows import (
    FEW,
    Side,
    at,
    beside,
    phases,
    places,
    sides,
    spatial_shape,
    spread,
    surrounded,
    tap,
    widened,
    zeros,
)
from limpid.ops.windows.geometry import Extents


def numbers_type(kernel: Extents) -> np.dtype[Any]:
    """The smallest type for the number of a place within the kernel."""
    return np.min_scalar_type(prod(kernel) - 1)


def largest(x: Any, *, kernel: Extents, **window: Any) -> tuple[Any, Any]:
    """The largest of every window and its place: (…, *W) → (…, *O), (…, *O)."""
    rank, kind = len(kernel), numbers_type(kernel)
    ways = sides(spatial_shape(x, rank), kernel, **window)
    if all(way.is_whole for way in ways):
        return _largest_of_all(x, rank, kind)
    if prod(kernel) <= FEW:
        return _challenged(x, None, ways, [_number(place, ways) for place in places(ways)], kind)
    y, winner = x, None
    for n in range(rank - 1, -1, -1):
        base = prod(kernel[n + 1 :])
        numbers = [k * base for k in range(kernel[n])]
        y, winner = _challenged(y, winner, ways[n : n + 1], numbers, kind)
    return y, winner


def _number(place: Sequence[int], ways: Sequence[Side]) -> int:
    """The number of a place of the kernel, counted row by row."""
    number = 0
    for k, way in zip(place, ways, strict=True):
        number = number * way.kernel + k
    return number


def _largest_of_all(x: Any, rank: int, kind: Any) -> tuple[Any, Any]:
    """The largest of all elements: the first of several equal ones, of several NaN the last."""
    axes = tuple(range(x.ndim - rank, x.ndim))
    lead = x.shape[: x.ndim - rank]
    flat = x.reshape((*lead, prod(x.shape[x.ndim - rank :])))
    winner = np.argmax(flat, axis=-1)
    if x.dtype.kind == "f":
        order = np.arange(flat.shape[-1])
        last = np.maximum.reduce(np.where(flat != flat, order, -1), axis=-1)
        winner = np.where(last >= 0, last, winner)
    shape = (*lead, *(1,) * rank)
    y = np.maximum.reduce(x, axis=axes, keepdims=True)
    return y, winner.astype(kind).reshape(shape)


def _challenged(
    x: Any, winner: Any, ways: Sequence[Side], numbers: Sequence[int], kind: Any
) -> tuple[Any, Any]:
    """Of elements at the same place in all windows, each pass lets the larger stay.

    winner   the numbers that elements have already; None if they have none
    numbers  of the places, row by row: what is added to them
    """
    wide = surrounded(x, ways, lowest(x.dtype))
    known = None if winner is None else surrounded(winner, ways)
    y: Any = None
    made: Any = None
    for place, number in zip(places(ways), numbers, strict=True):
        new = tap(wide, ways, place)
        here: Any = kind.type(number)
        if known is not None:
            here = tap(known, ways, place) + here
        fresh = _fresh(ways, place)
        if y is None:
            y, made = new, here if known is not None else np.full_like(new, number, kind)
            if fresh.all():
                continue
        better = new > y
        if x.dtype.kind == "f":
            better = better | (new != new)
        if fresh.any():
            better = better | fresh
        y, made = np.where(better, new, y), np.where(better, here, made)
    return y, made


def _fresh(ways: Sequence[Side], place: Sequence[int]) -> Any:
    """Which windows have no element at an earlier place: (O, O, …) for the axes of windows.

    So what is first looked at wins, even if it is −∞ and no larger than the padding.
    """
    rank = -ways[0].axis
    fresh: Any = np.ones((1,) * rank, bool)
    for way, k in zip(ways, place, strict=True):
        begin = np.arange(way.out) * way.stride - way.before
        first = np.maximum(-(begin // way.dilation), 0)  # the first place inside
        own = first == k
        fresh = fresh & own.reshape((-1, *(1,) * (-1 - way.axis)))
    return fresh


def positions(winner: Any, *, kernel: Extents, extents: Extents, **window: Any) -> Any:
    """Row-major places of winners among the elements of all spatial axes."""
    ways = sides(extents, kernel, **window)
    total: Any = 0
    rest = winner.astype(np.int64)
    for n, way in reversed(list(enumerate(ways))):
        k = rest if n == 0 else rest % way.kernel
        rest = rest // way.kernel if n else rest
        begin = np.arange(way.out) * way.stride - way.before
        begin = begin.reshape((-1, *(1,) * (len(ways) - 1 - n)))
        total = total + (k * way.dilation + begin) * prod(extents[n + 1 :])
    return total


def picked(x: Any, winner: Any, *, kernel: Extents, **window: Any) -> Any:
    """The elements that are winners: (…, *W) → (…, *O)."""
    rank = len(kernel)
    lead, extents = x.shape[: x.ndim - rank], spatial_shape(x, rank)
    at_places = positions(winner, kernel=kernel, extents=extents, **window)
    flat = at_places.reshape((*lead, prod(winner.shape[winner.ndim - rank :])))
    y = np.take_along_axis(x.reshape((*lead, prod(extents))), flat, axis=len(lead))
    return y.reshape(winner.shape)


def put(g: Any, winner: Any, *, kernel: Extents, extents: Extents, **window: Any) -> Any:
    """The transpose of `picked`: g added where winners are, (…, *O) → (…, *W)."""
    ways = sides(extents, kernel, **window)
    if all(way.is_apart for way in ways):
        return _put_beside(g, winner, ways)
    if prod(kernel) <= FEW:
        return _put_by_phases(g, winner, ways)
    rank = len(kernel)
    lead, count = g.shape[: g.ndim - rank], prod(g.shape[g.ndim - rank :])
    at_places = positions(winner, kernel=kernel, extents=extents, **window)
    values, index = g.reshape((*lead, count)), at_places.reshape((*lead, count))
    y = scatter_along(values, index, axis=len(lead), extent=prod(extents))
    return y.reshape((*lead, *extents))


def _put_beside(g: Any, winner: Any, ways: Sequence[Side]) -> Any:
    numbers: Any = np.zeros((), np.int64)
    for n, way in enumerate(ways):
        own = np.minimum(np.arange(way.stride), way.kernel - 1)
        numbers = numbers * way.kernel + own.reshape((-1, *(1,) * (2 * (len(ways) - 1 - n))))
    numbers = numbers.astype(winner.dtype)
    lead = winner.shape[: winner.ndim - len(ways)]
    wide = winner.reshape((*lead, *(n for way in ways for n in (way.out, 1))))

    def make(given: Any, inside: Any) -> Any:
        chosen = wide == numbers
        return np.where(chosen if inside is None else chosen & inside, given, 0)

    return beside(g, ways, make)


def _put_by_phases(g: Any, winner: Any, ways: Sequence[Side]) -> Any:
    found = [phases(way) for way in ways]
    widths = [width for width, _ in found]
    given, won = widened(g, ways, widths), widened(winner, ways, widths)

    def term(place: tuple[int, ...], windows: list[slice]) -> Any:
        chosen = at(won, ways, windows) == won.dtype.type(_number(place, ways))
        return np.where(chosen, at(given, ways, windows), 0)

    return spread(zeros(g, ways), ways, [ps for _, ps in found], term)


# Unpooling


def unpooled(x: Any, indices: Any, *, extents: Extents) -> Any:
    """Values at given places, of those at one place the last: (…, *O) → (…, *W)."""
    given, last, _ = _last(x, indices, extents)
    y = np.take_along_axis(given, np.maximum(last, 0), axis=1)
    y = np.where(last >= 0, y, 0)
    return y.reshape((*x.shape[: x.ndim - len(extents)], *extents))


def unpooled_back(g: Any, indices: Any, *, extents: Extents) -> Any:
    """Its transpose: what is at the places, 0 for values that are not the last."""
    places, last, numbers = _last(indices, indices, extents)
    rows = g.reshape((places.shape[0], prod(extents)))
    found = np.take_along_axis(rows, places, axis=1)
    kept = np.take_along_axis(last, places, axis=1) == numbers
    return np.where(kept, found, 0).reshape(indices.shape)


def _last(x: Any, indices: Any, extents: Extents) -> tuple[Any, Any, Any]:
    """x in rows, the number of each place's last value (−1 if there is none), and all numbers."""
    rank = len(extents)
    lead = indices.ndim - rank
    shape = prod(indices.shape[:lead]), prod(indices.shape[lead:])
    numbers = np.arange(shape[1])
    every = np.broadcast_to(numbers, shape)
    places = indices.reshape(shape)
    last = scatter_max(every, places, axis=1, extent=prod(extents), fill=-1)
    return x.reshape(shape), last, numbers
