"""Normalising what people write for axes and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from limpid.errors import ArgumentError, ShapeError
from limpid.graph.source import capture, describe


def normal_axis(axis: Any, rank: int, what: str = "axis") -> int:
    """A non-negative axis; ArgumentError when there is none such."""
    try:
        index = axis.__index__()
    except AttributeError:
        raise ArgumentError(f"{what} must be an integer, not {axis!r}") from None
    if not -rank <= index < rank:
        raise ArgumentError(
            f"{what} {index} is out of range for {rank} dimensions, at {describe(capture())}"
        )
    return int(index % rank) if rank else 0


def normal_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """Sorted non-negative axes; all of them for None."""
    if axis is None:
        return tuple(range(rank))
    if type(axis) is int and -rank <= axis < rank:  # the usual case
        return (axis % rank,)
    given = axis if isinstance(axis, tuple | list) else (axis,)
    axes = tuple(sorted(normal_axis(a, rank) for a in given))
    if len(set(axes)) < len(axes):
        raise ArgumentError(f"axes {given} name an axis twice, at {describe(capture())}")
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
    raise ShapeError(
        f"{size} elements can't be reshaped to {tuple(extents)}, at {describe(capture())}"
    )
