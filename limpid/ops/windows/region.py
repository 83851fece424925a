"""The part of an array that some indices read, with zeros around it where it has none."""

from __future__ import annotations

import threading
from math import prod
from typing import Any, NamedTuple

import numpy as np

from limpid.graph.node import Array
from limpid.ops.windows.contraction import Access, bounds

Layout = tuple[tuple[int, ...], int]  # strides and itemsize, in bytes
Slices = tuple[slice, ...]

KEPT = 1 << 24  # bytes of padded and gathered blocks that a thread keeps


class Padded(NamedTuple):
    """Zeros around what is read of an array."""

    extents: tuple[int, ...]  # slowest axis first, as the array has them in memory
    order: tuple[int, ...]  # of these axes to those of the array
    place: tuple[tuple[int, int], ...]  # of what is read, along each axis of the array


class Region(NamedTuple):
    """What is read of an array, and where all indices are 0."""

    inside: Slices
    padded: Padded | None
    first: Slices

    def of(self, array: Array, scratch: dict[object, Array]) -> Array:
        """The array from the place where all indices are 0, padded if need be."""
        read: Any = (*self.inside, ...)  # with an ellipsis even a 0-d array gives a view
        inside: Array = array[read]
        if self.padded is None:
            start: Any = (*self.first, ...)
            return inside[start]
        key = self.padded, array.dtype
        buffer = scratch.get(key)
        if buffer is None:
            buffer = np.zeros(self.padded.extents, array.dtype).transpose(self.padded.order)
            scratch[key] = buffer
        buffer[tuple([slice(*ends) for ends in self.padded.place])] = inside
        return buffer[self.first]


class Scratch(threading.local):
    """Memory of one thread for padded and gathered blocks, kept from call to call.

    New memory costs more than what is copied into it. The zeros around a padded block stay.
    """

    def __init__(self) -> None:
        self.left: dict[object, Array] = {}
        self.right: dict[object, Array] = {}

    def trim(self) -> None:
        """Give everything back if it is more than a few blocks."""
        for kept in (self.left, self.right):
            if sum(buffer.nbytes for buffer in kept.values()) > KEPT:
                kept.clear()


scratch = Scratch()


def region(
    access: Access, layout: Layout, extents: dict[str, int], innermost: int | None = None
) -> tuple[Region, tuple[int, ...]]:
    """What an access reads of an array of this layout, and the strides that it is read with.

    innermost  the axis that stays innermost if padding makes a copy
    """
    ends = [bounds(axis, extents) for axis in access]
    inside = tuple(
        slice(min(max(low, 0), axis.extent), max(min(high, axis.extent), 0))
        for axis, (low, high) in zip(access, ends)
    )
    padded, strides = None, layout[0]
    if any((s.start, s.stop) != end for s, end in zip(inside, ends)):
        padded, strides = _surrounded(ends, inside, layout, innermost)
    first = tuple(slice(axis.offset - low, None) for axis, (low, _) in zip(access, ends))
    return Region(inside, padded, first), strides


def _surrounded(
    ends: list[tuple[int, int]], inside: Slices, layout: Layout, innermost: int | None
) -> tuple[Padded, tuple[int, ...]]:
    """Room for what lies between the ends, and its strides: axes in the order of the array's."""
    strides, size = layout
    order = sorted(range(len(ends)), key=lambda axis: (axis == innermost, -strides[axis]))
    extents = tuple(ends[axis][1] - ends[axis][0] for axis in order)
    place = tuple((s.start - low, max(s.stop, s.start) - low) for s, (low, _) in zip(inside, ends))
    back = tuple(sorted(range(len(ends)), key=order.__getitem__))
    packed = [size * prod(extents[i + 1 :]) for i in range(len(ends))]
    return Padded(extents, back, place), tuple(packed[i] for i in back)


def steps(access: Access, strides: tuple[int, ...]) -> dict[str, int]:
    """How many bytes further along an array the next value of each index leads."""
    found: dict[str, int] = {}
    for axis, stride in zip(access, strides):
        for name, coefficient in axis.terms:
            found[name] = found.get(name, 0) + coefficient * stride
    return found
