"""Normalising what people write for axes and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from limpid.errors import ArgumentError, ShapeError


def normal_axis(axis: Any, rank: int, what: str = "axis") -> int:
    """A non-negative axis; ArgumentError when there is none such."""
    try:
        index = axis.__index__()
    except AttributeError:
        raise ArgumentError(f"{what} must be an integer, not {axis!r}") from None
    if not -rank <= index < rank:
        raise ArgumentError(f"{what} {index} is out of range for {rank} dimensions")
    return int(index % rank) if rank else 0


def normal_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """Sorted non-negative axes; all of them for None."""
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, tuple | list) else (axis,)
    axes = tuple(sorted(normal_axis(a, rank) for a in given))
    if len(set(axes)) < len(axes):
        raise ArgumentError(f"axes {given} name an axis twice")
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
            raise ShapeError(f"{size} elements can't be reshaped to {tuple(extents)}")
        extents[extents.index(-1)] = size // known if known else 0
    elif known != size or min(extents, default=0) < 0:
        raise ShapeError(f"{size} elements can't be reshaped to {tuple(extents)}")
    return tuple(extents)
