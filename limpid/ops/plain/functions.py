"""What NumPy has no function for. Arrays that are traced have their own way of doing it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from limpid.graph.node import Array

F = TypeVar("F", bound=Callable[..., Any])
ADD_AT: Any = np.add.at
MAX_AT: Any = np.maximum.at


def traceable(function: F) -> F:
    """A function of arrays that asks its operands first, by the protocol of NumPy's own."""

    @wraps(function)
    def asking(*operands: Any, **params: Any) -> Any:
        for x in operands:
            if not isinstance(x, np.ndarray) and hasattr(x, "__array_function__"):
                return x.__array_function__(asking, (type(x),), operands, params)
        return function(*operands, **params)

    return asking  # type: ignore[return-value]  # the same signature


def array_of(x: Any) -> Any:
    """An array as it is; a number as an array."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def lowest(dtype: Any) -> Any:
    """No element is less."""
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def inside(index: Any, extent: int) -> Any:
    """Whether all indices are within an axis, counted from its start or from its end."""
    index = index.astype(np.int64)
    return ((index >= -extent) & (index < extent)).all()


def between(index: Any, low: int, high: int) -> Any:
    """Whether all integers are at least `low` and less than `high`."""
    index = index.astype(np.int64)
    return ((index >= low) & (index < high)).all()


@traceable
def scatter_add(g: Array, index: Array, *, axis: int, extent: int) -> Array:
    """The transpose of `np.take(x, index, axis)`: zeros, to which the slices of g are added."""
    shape = (*g.shape[:axis], extent, *g.shape[axis + index.ndim :])
    y = np.zeros(shape, g.dtype)
    ADD_AT(y, (*(slice(None),) * axis, index), g)
    return y


@traceable
def scatter_along(g: Array, index: Array, *, axis: int, extent: int) -> Array:
    """The transpose of `np.take_along_axis(x, index, axis)`."""
    y = np.zeros((*g.shape[:axis], extent, *g.shape[axis + 1 :]), g.dtype)
    ADD_AT(y, _places(index, axis), g)
    return y


@traceable
def scatter_max(g: Array, index: Array, *, axis: int, extent: int, fill: Any) -> Array:
    """The largest of what `scatter_along` would add; a number where there is nothing."""
    y = np.full((*g.shape[:axis], extent, *g.shape[axis + 1 :]), fill, g.dtype)
    MAX_AT(y, _places(index, axis), g)
    return y


def _places(index: Array, axis: int) -> tuple[Any, ...]:
    """Indices along an axis as those of all axes."""
    places: list[Any] = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    places[axis] = index
    return tuple(places)


@traceable
def recurrence(a: Array, b: Array, *, axis: int) -> Array:
    """h[i] = a[i] · h[i − 1] + b[i] along an axis, from h = 0."""
    h = np.empty(b.shape, np.result_type(a, b))
    a, b, out = (np.moveaxis(x, axis, 0) for x in (a, b, h))  # (n, …)
    for i in range(len(out)):
        out[i] = a[i] * out[i - 1] + b[i] if i else b[i]
    return h
