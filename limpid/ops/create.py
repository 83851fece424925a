"""Making tensors from nothing but a shape or a range."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import as_dtype, default_float, result_type
from limpid.graph.node import Array
from limpid.graph.registry import operation
from limpid.ops.cast import astype
from limpid.ops.layout import broadcast_to
from limpid.tensor import Tensor, asarray, operand, to_array


def _extents(shape: Any) -> tuple[int, ...]:
    given = shape if isinstance(shape, tuple | list) else (shape,)
    try:
        extents = tuple([int(extent.__index__()) for extent in given])
    except AttributeError:
        raise ArgumentError(f"a shape is an integer or several, not {shape!r:.40}") from None
    if min(extents, default=0) < 0:
        raise ShapeError(f"extents must be 0 or more, not {extents}")
    return extents


def _storage(dtype: Any) -> Any:
    return (default_float() if dtype is None else as_dtype(dtype)).storage


@operation
def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of zeros, of the default float type unless another is given.

    >>> import limpid
    >>> limpid.zeros((2, 2))
    tensor([[0., 0.],
            [0., 0.]])
    """
    return asarray(np.zeros(_extents(shape), _storage(dtype)))


@operation
def ones(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of ones, of the default float type unless another is given.

    >>> import limpid
    >>> limpid.ones(3)
    tensor([1., 1., 1.])
    """
    return asarray(np.ones(_extents(shape), _storage(dtype)))


@operation
def empty(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor to be filled later; zeros, so that nothing depends on what memory held before."""
    return zeros(shape, dtype)


@operation
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A tensor that holds one value everywhere; a gradient flows back to a tensor value.

    >>> import limpid
    >>> limpid.full((2,), 7.0)
    tensor([7., 7.])
    """
    extents = _extents(shape)
    if isinstance(fill_value, Tensor):
        return broadcast_to(fill_value if dtype is None else astype(fill_value, dtype), extents)
    return asarray(np.array(broadcast_to(to_array(fill_value, dtype), extents)))


def _of_kind(x: Any, array: Array) -> Any:
    """A tensor if x is one; plain arrays give plain arrays, as everywhere."""
    return Tensor(None, 0, array) if isinstance(x, Tensor) else array


def _like(x: Any, dtype: Any) -> tuple[Any, tuple[int, ...], Any]:
    x = operand(x)
    return x, x.shape, as_dtype(x.dtype if dtype is None else dtype).storage


@operation
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros in the shape and dtype of x: a tensor for a tensor, an array for an array.

    >>> import limpid
    >>> limpid.zeros_like(limpid.tensor([1.0, 2.0]))
    tensor([0., 0.])
    """
    x, shape, storage = _like(x, dtype)
    return _of_kind(x, np.zeros(shape, storage))


@operation
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones in the shape and dtype of x: a tensor for a tensor, an array for an array.

    >>> import limpid
    >>> limpid.ones_like(limpid.tensor([1.0, 2.0]))
    tensor([1., 1.])
    """
    x, shape, storage = _like(x, dtype)
    return _of_kind(x, np.ones(shape, storage))


@operation
def empty_like(x: Any, dtype: Any = None) -> Any:
    """As `zeros_like`; nothing depends on what memory held before."""
    return zeros_like(x, dtype)


@operation
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """One value everywhere in the shape and dtype of x; see `full`.

    >>> import limpid
    >>> limpid.full_like(limpid.tensor([1.0, 2.0]), 3)
    tensor([3., 3.])
    """
    x, shape, storage = _like(x, dtype)
    if isinstance(fill_value, Tensor):
        return broadcast_to(astype(fill_value, storage), shape)
    return _of_kind(x, np.array(broadcast_to(to_array(fill_value), shape), storage))


@operation
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tensor:
    """start, start + step, … up to but without stop; 0, 1, … for one argument.

    Integers give int64, floats the default float type. Raises ArgumentError for step 0.

    >>> import limpid
    >>> limpid.arange(3)
    tensor([0, 1, 2])
    """
    first, last = (0, start) if stop is None else (start, stop)
    numbers = [_number(n) for n in (first, last, step)]
    if not numbers[2]:
        raise ArgumentError("arange: the step must not be 0")
    wanted = result_type(numbers) if dtype is None else as_dtype(dtype)
    return asarray(np.arange(*numbers).astype(wanted.storage))


def _number(given: Any) -> Any:
    """A Python number; a tensor's value is read, which ends its gradient."""
    return given.item() if hasattr(given, "item") else given


@operation
def linspace(start: Any, stop: Any, num: int = 50, dtype: Any = None, endpoint: bool = True) -> Any:
    """Evenly spaced numbers from start to stop, both included unless endpoint is False.

    Gradients flow back to tensors given as start or stop.

    >>> import limpid
    >>> limpid.linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    if num < 0:
        raise ArgumentError(f"linspace: num must be 0 or more, not {num}")
    gaps = num - 1 if endpoint else num
    rank = max(len(getattr(x, "shape", ())) for x in (start, stop))
    share = (np.arange(num) / max(gaps, 1)).reshape((num,) + (1,) * rank)  # from 0 to 1
    if not isinstance(start, Tensor) and not isinstance(stop, Tensor):
        ends = np.asarray(start, np.float64), np.asarray(stop, np.float64)
        return asarray(np.linspace(*ends, num, endpoint).astype(_storage(dtype)))
    kind = next(x.dtype for x in (start, stop) if isinstance(x, Tensor))
    t = share.astype(_storage(dtype or kind))
    return start * (1 - t) + stop * t


@operation
def eye(rows: int, columns: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere.

    >>> import limpid
    >>> limpid.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    height, width = _extents((rows, rows if columns is None else columns))
    return asarray(np.eye(height, width, int(k), _storage(dtype)))
