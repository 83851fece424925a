"""Windows in plain steps: places of the windows as slices, and the way back by phases.

A place of the windows is one slice of the input, with the stride as its step. On the way back the
elements of the input fall into phases by their place modulo the stride; within a phase the same
places of the windows reach all elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from limpid.ops.plain.padding import padded
from limpid.ops.windows.geometry import Extents, Padding, output_extents, span

FEW = 16  # places of windows up to which they are looked at together, not axis by axis


class Side(NamedTuple):
    """Windows along one axis."""

    axis: int  # counted from the end: −1 is the last
    extent: int
    out: int
    kernel: int
    stride: int
    before: int  # padding
    dilation: int

    @property
    def after(self) -> int:
        """The padding that windows reach into at the end."""
        return max(self.reach - self.before - self.extent, 0)

    @property
    def reach(self) -> int:
        """How many elements all windows reach over, those of the padding included."""
        return (self.out - 1) * self.stride + span(self.kernel, self.dilation)

    @property
    def is_whole(self) -> bool:
        """Whether there is one window, the whole axis."""
        return self.kernel == self.extent and self.out == self.dilation == 1 and not self.before

    @property
    def is_apart(self) -> bool:
        """Whether windows lie beside each other, without common elements, in one piece each."""
        return self.dilation == 1 and self.stride >= self.kernel

    def tap(self, place: int) -> slice:
        """The elements at a place of the windows, on the padded axis."""
        start = place * self.dilation
        return slice(start, start + (self.out - 1) * self.stride + 1, self.stride)


def sides(
    spatial: Extents, kernel: Extents, stride: Extents, padding: Padding, dilation: Extents
) -> list[Side]:
    """The windows along each spatial axis."""
    out = output_extents(spatial, kernel, stride, padding, dilation)
    rank = len(spatial)
    before = [b for b, _ in padding]
    found = zip(spatial, out, kernel, stride, before, dilation, strict=True)
    return [Side(n - rank, *side) for n, side in enumerate(found)]


def spatial_shape(x: Any, rank: int) -> Extents:
    """The last extents."""
    return tuple(x.shape[x.ndim - rank :])


def surrounded(x: Any, ways: Sequence[Side], value: Any = 0) -> Any:
    """The input with the padding that windows reach into."""
    widths = [(0, 0)] * x.ndim
    for way in ways:
        widths[way.axis] = way.before, way.after
    return padded(x, value, widths=tuple(widths)) if any(map(any, widths)) else x


def at(x: Any, ways: Sequence[Side], parts: Sequence[Any]) -> Any:
    """Parts of the axes of windows."""
    key: list[Any] = [slice(None)] * x.ndim
    for way, part in zip(ways, parts, strict=True):
        key[way.axis] = part
    return x[tuple(key)]


def places(ways: Sequence[Side]) -> list[tuple[int, ...]]:
    """All places of the windows, row by row."""
    return list(product(*(range(way.kernel) for way in ways)))


def tap(x: Any, ways: Sequence[Side], place: Sequence[int]) -> Any:
    """The elements at one place of all windows, of a padded input."""
    return at(x, ways, [way.tap(k) for way, k in zip(ways, place, strict=True)])


def sums(x: Any, *, kernel: Extents, **window: Any) -> Any:
    """Sums over windows: (…, *W) → (…, *O)."""
    ways = sides(spatial_shape(x, len(kernel)), kernel, **window)
    if all(way.is_whole for way in ways):
        return np.add.reduce(x, axis=tuple(way.axis for way in ways), keepdims=True)
    x = surrounded(x, ways)
    if prod(kernel) <= FEW:
        return _total([tap(x, ways, place) for place in places(ways)])
    for way in reversed(ways):
        x = _sums_along(x, way)
    return x


def _total(parts: Sequence[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _sums_along(x: Any, way: Side) -> Any:
    if way.kernel <= FEW:
        return _total([tap(x, [way], (k,)) for k in range(way.kernel)])
    if way.stride == way.dilation == 1:
        return sums_of_neighbours(x, x.ndim + way.axis, way.kernel, way.out)
    return np.add.reduce(_seen(x, [way]), axis=-1)


def sums_of_neighbours(x: Any, axis: int, width: int, out: int) -> Any:
    """Sums of `width` neighbours: of pairs, of pairs of pairs, and so on."""
    lead = (slice(None),) * axis
    parts, start, size = [], 0, 1
    while True:
        if width & size:
            parts.append(x[(*lead, slice(start, start + out))])
            start += size
        if 2 * size > width:
            return _total(parts)
        x = x[(*lead, slice(None, -size))] + x[(*lead, slice(size, None))]
        size *= 2


def _seen(x: Any, ways: Sequence[Side]) -> Any:
    """Windows of a padded input as a view: (…, *O, *K)."""
    axes = tuple(x.ndim + way.axis for way in ways)
    seen = sliding_window_view(x, [span(way.kernel, way.dilation) for way in ways], axes)
    key: list[Any] = [slice(None)] * seen.ndim
    for n, (way, axis) in enumerate(zip(ways, axes, strict=True)):
        key[axis] = slice(None, (way.out - 1) * way.stride + 1, way.stride)
        key[x.ndim + n] = slice(None, None, way.dilation)
    return seen[tuple(key)]


def unfolded(x: Any, *, kernel: Extents, **window: Any) -> Any:
    """Every window as a column: (…, *W) → (…, *K, *O)."""
    rank, lead = len(kernel), x.ndim - len(kernel)
    ways = sides(spatial_shape(x, rank), kernel, **window)
    seen = _seen(surrounded(x, ways), ways)
    order = (*range(lead), *range(lead + rank, lead + 2 * rank), *range(lead, lead + rank))
    return seen.transpose(order)


# The way back


class Phase(NamedTuple):
    """Elements of an axis that lie side by side, and what reaches them.

    places  how many there are
    reads   places of the windows, and the window of each that reaches the first element, counted in
            a padded array of windows
    """

    made: slice
    places: int
    reads: tuple[tuple[int, int], ...]


def phases(way: Side) -> tuple[tuple[int, int], list[Phase]]:
    """The padding that windows need, and the phases that anything reaches."""
    found = []
    low, high = 0, way.out - 1
    for r in range(way.stride):
        first = -(-(way.before - r) // way.stride)  # the first q with r + S·q inside
        last = (way.before + way.extent - 1 - r) // way.stride
        shifts = [
            (k, (k * way.dilation - r) // way.stride)
            for k in range(way.kernel)
            if (k * way.dilation - r) % way.stride == 0
        ]
        if last < first or not shifts:
            continue
        low = min(low, *(first - c for _, c in shifts))
        high = max(high, *(last - c for _, c in shifts))
        start = r + way.stride * first - way.before
        count = last - first + 1
        made = slice(start, start + way.stride * (count - 1) + 1, way.stride)
        found.append(Phase(made, count, tuple((k, first - c) for k, c in shifts)))
    moved = [
        phase._replace(reads=tuple((k, first - low) for k, first in phase.reads)) for phase in found
    ]
    return (-low, high - way.out + 1), moved


Term = Callable[[tuple[int, ...], list[slice]], Any]  # of a place of the windows, and which windows


def spread(x: Any, ways: Sequence[Side], found: Sequence[Sequence[Phase]], term: Term) -> Any:
    """Sums of terms in `x`, which is zeros in the shape of the input."""
    for combination in product(*found):
        terms = []
        for reads in product(*(phase.reads for phase in combination)):
            windows = [
                slice(first, first + phase.places)
                for (_, first), phase in zip(reads, combination, strict=True)
            ]
            terms.append(term(tuple(k for k, _ in reads), windows))
        key: list[Any] = [slice(None)] * x.ndim
        for way, phase in zip(ways, combination, strict=True):
            key[way.axis] = phase.made
        x[tuple(key)] = _total(terms)
    return x


def zeros(g: Any, ways: Sequence[Side]) -> Any:
    """Zeros in the shape of the input, for g whose last axes are those of windows."""
    shape = list(g.shape)
    for way in ways:
        shape[way.axis] = way.extent
    return np.zeros_like(g, shape=shape)


def widened(g: Any, ways: Sequence[Side], widths: Sequence[tuple[int, int]]) -> Any:
    """Windows with zeros around."""
    every = [(0, 0)] * g.ndim
    for way, width in zip(ways, widths, strict=True):
        every[way.axis] = width
    return padded(g, 0, widths=tuple(every)) if any(map(any, every)) else g


def sums_input(g: Any, *, kernel: Extents, extents: Extents, **window: Any) -> Any:
    """The transpose of `sums`: (…, *O) → (…, *W)."""
    ways = sides(extents, kernel, **window)
    if all(way.is_apart for way in ways):
        return beside(g, ways, lambda wide, inside: wide if inside is None else wide * inside)
    if prod(kernel) <= FEW:
        return _spread_sums(g, ways)
    for way in ways:
        g = _spread_sums(g, [way])
    return g


def _spread_sums(g: Any, ways: Sequence[Side]) -> Any:
    found = [phases(way) for way in ways]
    wide = widened(g, ways, [widths for widths, _ in found])
    return spread(
        zeros(g, ways), ways, [ps for _, ps in found], lambda _, windows: at(wide, ways, windows)
    )


def beside(g: Any, ways: Sequence[Side], make: Callable[[Any, Any], Any]) -> Any:
    """Windows that are apart, put beside each other.

    make  takes g as (…, O, 1, O, 1, …) and, where strides are larger than kernels, which places
          (S, 1, S, …) are of the kernels; what it gives is stretched to (…, O, S, O, S, …)
    """
    lead = g.shape[: g.ndim - len(ways)]
    wide = g.reshape((*lead, *(n for way in ways for n in (way.out, 1))))
    inside: Any = None
    if any(way.stride > way.kernel for way in ways):
        inside = np.True_
        for n, way in enumerate(ways):
            own = np.arange(way.stride) < way.kernel
            inside = inside & own.reshape((-1, *(1,) * (2 * (len(ways) - 1 - n))))
    shape = (*lead, *(n for way in ways for n in (way.out, way.stride)))
    y = np.broadcast_to(make(wide, inside), shape)
    y = y.reshape((*lead, *(way.out * way.stride for way in ways)))
    return _cropped(y, ways)


def _cropped(y: Any, ways: Sequence[Side]) -> Any:
    """The places of the padded axis that are elements; 0 for those after the last window."""
    whole = [way.out * way.stride for way in ways]
    stops = [min(n, way.before + way.extent) for n, way in zip(whole, ways, strict=True)]
    parts = [slice(way.before, stop) for way, stop in zip(ways, stops, strict=True)]
    after = [(0, way.before + way.extent - stop) for way, stop in zip(ways, stops, strict=True)]
    return widened(at(y, ways, parts), ways, after)


def folded(g: Any, *, kernel: Extents, extents: Extents, **window: Any) -> Any:
    """The transpose of `unfolded`: (…, *K, *O) → (…, *W)."""
    rank = len(kernel)
    lead = g.ndim - 2 * rank
    ways = sides(extents, kernel, **window)
    if all(way.is_apart for way in ways):
        return _folded_beside(g, ways)
    if prod(kernel) <= FEW:
        return _folded_along(g, ways, lead)
    for n in range(rank - 1, -1, -1):  # the last K with the last O first
        g = _folded_along(g, ways[n : n + 1], lead + n)
    return g


def _folded_along(g: Any, ways: Sequence[Side], first: int) -> Any:
    """Some of the axes; `first` is the axis of the first of their places."""
    found = [phases(way) for way in ways]
    wide = widened(g, ways, [widths for widths, _ in found])
    lead = (slice(None),) * first

    def term(place: tuple[int, ...], windows: list[slice]) -> Any:
        return at(wide[(*lead, *place)], ways, windows)

    made = zeros(g[(*lead, *(0,) * len(ways))], ways)
    return spread(made, ways, [ps for _, ps in found], term)


def _folded_beside(g: Any, ways: Sequence[Side]) -> Any:
    """(…, *K, *O) → (…, O, S, O, S, …), the places beyond the kernels 0."""
    rank = len(ways)
    lead = g.ndim - 2 * rank
    pairs = [axis for n in range(rank) for axis in (lead + rank + n, lead + n)]
    y = g.transpose((*range(lead), *pairs))
    widths = [(0, 0)] * lead
    widths += [width for way in ways for width in ((0, 0), (0, way.stride - way.kernel))]
    y = padded(y, 0, widths=tuple(widths)) if any(map(any, widths)) else y
    y = y.reshape((*g.shape[:lead], *(way.out * way.stride for way in ways)))
    return _cropped(y, ways)
