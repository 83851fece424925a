"""Normalising what people write for axes and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NoReturn

from limpid.errors import ArgumentError, ShapeError
from limpid.graph.source import here


def integer(given: Any, name: str, least: int = 0) -> int:
    """What must be an integer, as one; ArgumentError for anything else, or one below `least`."""
    try:
        number = index(given)
    except TypeError:
        number = least - 1
    if number < least or isinstance(given, bool):
        raise ArgumentError(f"{name} must be an integer from {least} on, not {given!r:.40}")
    return number


def normal_axis(axis: Any, rank: int, what: str = "axis") -> int:
    """A non-negative axis; ArgumentError when there is none such."""
    try:
        number = index(axis)
    except TypeError:
        raise ArgumentError(f"{what} must be an integer, not {axis!r}") from None
    if not -rank <= number < rank:
        raise ArgumentError(f"{what} {number} is out of range for {rank} dimensions{here()}")
    return number % rank if rank else 0


def normal_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """Sorted non-negative axes; all of them for None."""
    if axis is None:
        return tuple(range(rank))
    if type(axis) is int and -rank <= axis < rank:  # the usual case
        return (axis % rank,)
    given = axis if isinstance(axis, tuple | list) else (axis,)
    axes = tuple(sorted(normal_axis(a, rank) for a in given))
    if len(set(axes)) < len(axes):
        raise ArgumentError(f"axes {given} name an axis twice{here()}")
    return axes


def normal_shape(shape: Any, size: int) -> tuple[int, ...]:
    """A shape whose −1, if there is one, was computed from the size."""
    given: Sequence[Any] = shape if isinstance(shape, tuple | list) else (shape,)
    extents = [extent.__index__() for extent in given]
    known = 1
    for extent in extents:
        if extent >= 0:
            known *= extent
    if extents.count(-1) == 1:
        if (known == 0 and size) or (known and size % known):
            _refuse_shape(size, extents)
        extents[extents.index(-1)] = size // known if known else 0
    elif known != size or min(extents, default=0) < 0:
        _refuse_shape(size, extents)
    return tuple(extents)


def _refuse_shape(size: int, extents: list[int]) -> NoReturn:
    raise ShapeError(f"{size} elements can't be reshaped to {tuple(extents)}{here()}")
