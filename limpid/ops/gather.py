"""Gathering along an axis and its transpose, scatter-add; one-hot codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, linear
from limpid.differentiation.relation import Relation, along_relation
from limpid.errors import ArgumentError, IndexingError, ShapeError
from limpid.graph.dtype import as_dtype, default_float
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.graph.source import here
from limpid.ops.arithmetic import add
from limpid.ops.axes import normal_axis
from limpid.ops.index import get_item
from limpid.ops.key import range_error
from limpid.ops.layout import broadcast_to, reshape
from limpid.ops.plain.functions import between, inside, scatter_along
from limpid.tensor import Tensor, operand


def _places(indices: Array, axis: int) -> tuple[Array, ...]:
    """One array of indices for every axis: the given ones for `axis`, its own place for others."""
    rank = indices.ndim
    return tuple(
        [
            indices if i == axis else np.arange(n).reshape((n,) + (1,) * (rank - 1 - i))
            for i, n in enumerate(indices.shape)
        ]
    )


def _gather(x: Array, indices: Array, *, axis: int) -> Array:
    try:
        return x[_places(indices, axis)]
    except IndexError:
        raise _range_error(indices, axis, x.shape) from None


def _range_error(indices: Array, axis: int, shape: tuple[int, ...]) -> IndexingError:
    wrong = indices[(indices < -shape[axis]) | (indices >= shape[axis])]
    return range_error(wrong.flat[0], axis, shape)


_take_along_axis = linear(
    "take_along_axis",
    _gather,
    transpose=[
        lambda g, x, indices, *, axis: scatter_along_axis(g, indices, axis, x.shape[axis]),
        None,
    ],
    shape=lambda x, indices, *, axis: Spec(indices.shape, x.dtype),
    relation=lambda x, indices, *, axis: along_relation(x.ndim, (axis,), "moved", operands=2),
    numeric="any",
    math="{x}[{indices}]",
    native=lambda x, indices, *, axis: np.take_along_axis(x, indices, axis),
    valid=lambda x, indices, *, axis: inside(indices, x.shape[axis]),
)


def _scatter(values: Array, indices: Array, *, axis: int, extent: int) -> Array:
    shape = _extended(values.shape, axis, extent)
    out = np.zeros(shape, values.dtype)
    if values.size:
        wrapped = indices.astype(np.intp) % extent if extent else indices
        if ((indices < -extent) | (indices >= extent)).any():
            raise _range_error(indices, axis, shape)
        flat = np.ravel_multi_index(_places(wrapped, axis), shape)
        np.add.at(out.reshape(-1), flat.reshape(-1), values.reshape(-1))
    return out


def _extended(shape: tuple[int, ...], axis: int, extent: int) -> tuple[int, ...]:
    return (*shape[:axis], extent, *shape[axis + 1 :])


_scatter_add = linear(
    "scatter_add",
    _scatter,
    transpose=[
        lambda g, values, indices, *, axis, extent: _take_along_axis(g, indices, axis=axis),
        None,
    ],
    shape=lambda values, indices, *, axis, extent: Spec(
        _extended(values.shape, axis, extent), values.dtype
    ),
    relation=lambda values, indices, *, axis, extent: along_relation(
        values.ndim, (axis,), "mixed", operands=2
    ),
    numeric="any",
    math=r"\mathrm{scatter}({values})",
    native=lambda values, indices, *, axis, extent: scatter_along(
        values, indices, axis=axis, extent=extent
    ),
    valid=lambda values, indices, *, axis, extent: inside(indices, extent),
)


def scatter_along_axis(values: Any, indices: Any, axis: int, extent: int) -> Any:
    """Zeros of this extent along an axis with values added at indices of the same shape."""
    return _scatter_add(values, indices, axis=axis, extent=extent)


def _codes(indices: Array, *, classes: int, dtype: str) -> Array:
    wrong = indices[(indices < 0) | (indices >= classes)]
    if wrong.size:
        raise IndexingError(f"class {wrong.flat[0]} is out of range for {classes} classes{here()}")
    return (indices[..., None] == np.arange(classes)).astype(as_dtype(dtype).storage)


_one_hot = general(
    "one_hot",
    _codes,
    vjp=[None],
    shape=lambda indices, *, classes, dtype: Spec((*indices.shape, classes), as_dtype(dtype)),
    relation=lambda indices, *, classes, dtype: Relation(
        (tuple(range(indices.ndim)),), (tuple(range(indices.ndim + 1)),)
    ),
    numeric="any",
    math=r"e_{{indices}}",
    native=lambda indices, *, classes, dtype: (
        indices[..., None].astype(np.int64) == np.arange(classes)
    ).astype(as_dtype(dtype).storage),
    valid=lambda indices, *, classes, dtype: between(indices, 0, classes),
)


@operation
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The slices of x at some indices along an axis; of all elements in a row for axis None.

    Indices of shape (k, …) take the place of the axis; negative ones count from the end.
    Raises IndexingError for an index that is out of range or not an integer.

    >>> import limpid
    >>> limpid.take(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]), [1, 0], axis=1)
    tensor([[2., 1.],
            [4., 3.]])
    """
    x = operand(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normal_axis(axis, len(x.shape))
    return get_item(x, (slice(None),) * axis + (_integers(indices),))


def _integers(indices: Any) -> Any:
    """Indices as an array or tensor of integers; masks are not meant here."""
    given = operand(indices)
    if given.size == 0 and not isinstance(indices, Tensor | np.ndarray):
        return np.zeros(given.shape, np.intp)  # an empty list
    if as_dtype(given.dtype).kind != "int":
        raise IndexingError(
            f"indices must be integers, not {given.dtype}{here()}\n"
            "remedy: limpid.astype(indices, limpid.int64)"
        )
    return given


@operation
def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Any:
    """For every place of `indices`, the element of x there, but at that index along the axis.

    y[i, j] = x[indices[i, j], j] for axis 0. The other axes broadcast. With what `argsort` or
    `argmax` (keepdims) return it gives the sorted or the largest elements. axis=None takes all
    elements in a row. Raises ShapeError if the ranks differ, IndexingError for an index out of
    range.

    >>> import limpid
    >>> x = limpid.tensor([[5.0, 7.0], [9.0, 8.0]])
    >>> limpid.take_along_axis(x, limpid.tensor([[1], [0]]), axis=1)
    tensor([[7.],
            [9.]])
    """
    x = operand(x)
    indices = _integers(indices)
    if axis is None:
        x, indices, axis = reshape(x, (-1,)), reshape(indices, (-1,)), 0
    axis = _common_axis(x, indices, axis)
    if x.shape[:axis] != indices.shape[:axis] or x.shape[axis + 1 :] != indices.shape[axis + 1 :]:
        x, indices = _aligned(x, indices, axis)
    return _take_along_axis(x, indices, axis=axis)


def _common_axis(x: Any, indices: Any, axis: int) -> int:
    rank = len(x.shape)
    if rank != len(indices.shape) or not rank:
        raise ShapeError(
            f"indices of shape {indices.shape} must have as many dimensions as x, which has "
            f"shape {x.shape}, and at least one"
        )
    return normal_axis(axis, rank)


def _aligned(x: Any, indices: Any, axis: int) -> tuple[Any, Any]:
    """Both broadcast to each other, but for the axis."""
    try:
        common = np.broadcast_shapes(_extended(x.shape, axis, 1), _extended(indices.shape, axis, 1))
    except ValueError:
        raise ShapeError(
            f"x of shape {x.shape} and indices of shape {indices.shape} do not broadcast "
            f"together apart from axis {axis}"
        ) from None
    return (
        broadcast_to(x, _extended(common, axis, x.shape[axis])),
        broadcast_to(indices, _extended(common, axis, indices.shape[axis])),
    )


@operation
def gather(x: Any, axis: int, index: Any) -> Any:
    """PyTorch's gather: `take_along_axis` where `index` may be smaller than x along other axes.

    y[i, j] = x[index[i, j], j] for axis 0, over the places (i, j) of `index`. Nothing broadcasts.
    Raises ShapeError if index is larger than x along another axis.

    >>> import limpid
    >>> limpid.gather(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]), 0, limpid.tensor([[1]]))
    tensor([[3.]])
    """
    x = operand(x)
    index = _integers(index)
    axis = _common_axis(x, index, axis)
    limits = _extended(x.shape, axis, index.shape[axis])
    if any(n > limit for n, limit in zip(index.shape, limits, strict=True)):
        raise ShapeError(
            f"index of shape {index.shape} reaches beyond x of shape {x.shape} along an axis "
            f"other than {axis}"
        )
    if limits != index.shape:
        corner = [slice(n) for n in index.shape]
        corner[axis] = slice(None)
        x = get_item(x, tuple(corner))
    return _take_along_axis(x, index, axis=axis)


@operation
def scatter_add(x: Any, indices: Any, values: Any, axis: int = -1) -> Any:
    """Add values to x at indices along an axis; what meets at one place adds up.

    y = x; y[indices[i, j], j] += values[i, j] for axis 0. `indices` has the shape of `values`,
    which is that of x but for the axis. Linear in x and in values; the transpose is
    `take_along_axis`. Raises ShapeError, IndexingError.

    >>> import limpid
    >>> limpid.scatter_add(limpid.zeros(3), limpid.tensor([0, 0, 2]), limpid.ones(3))
    tensor([2., 0., 1.])
    """
    x = operand(x)
    values = operand(values)
    indices = _integers(indices)
    axis = _common_axis(x, indices, axis)
    if values.shape != indices.shape:
        values = broadcast_to(values, indices.shape)
    if _extended(values.shape, axis, x.shape[axis]) != x.shape:
        raise ShapeError(
            f"values of shape {values.shape} can't be added to x of shape {x.shape} along axis "
            f"{axis}: the other axes must agree"
        )
    return add(x, _scatter_add(values, indices, axis=axis, extent=x.shape[axis]))


@operation
def one_hot(indices: Any, num_classes: int | None = None, dtype: Any = None) -> Any:
    """1 at the place of each class, 0 elsewhere: shape (…) becomes (…, num_classes). No gradient.

    num_classes  by default the largest index plus 1, which reads the values
    dtype        by default the default float type

    Raises IndexingError for an index outside [0, num_classes).

    >>> import limpid
    >>> limpid.one_hot(limpid.tensor([0, 2]), 3)
    tensor([[1., 0., 0.],
            [0., 0., 1.]])
    """
    indices = _integers(indices)
    if num_classes is None:
        values = indices.value if isinstance(indices, Tensor) else indices
        num_classes = int(values.max(initial=-1)) + 1
    if num_classes < 0:
        raise ArgumentError(f"num_classes must be 0 or more, not {num_classes}")
    wanted = default_float() if dtype is None else as_dtype(dtype)
    return _one_hot(indices, classes=int(num_classes), dtype=wanted.name)
