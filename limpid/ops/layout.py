"""Moving elements without changing them: reshape, broadcast, transpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.relation import Relation, elementwise_relation
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.node import Spec
from limpid.graph.registry import operation
from limpid.ops.axes import normal_axis, normal_shape
from limpid.tensor import Tensor, to_array


def _reshape_relation(x: Spec, *, shape: tuple[int, ...]) -> Relation:
    """Axes split and merged, group by group, where a group is the least that keeps its size."""
    sides: tuple[list[Any], list[Any]] = ([], [])
    moved: list[int] = []
    for given, wanted in _groups(x.shape, shape):
        first = len(moved) + sum(map(len, sides))
        labels = tuple(range(first, first + max(len(given), len(wanted))))
        if len(given) == 1:
            sides[0].append(labels)
            sides[1].extend(labels)
        elif len(wanted) == 1:
            sides[0].extend(labels)
            sides[1].append(labels)
        else:  # several to several: every element moves within the group
            sides[0].extend(labels[: len(given)])
            sides[1].extend([labels[: len(given)]] + [()] * (len(wanted) - 1) if wanted else [])
            moved.extend(labels)
    return Relation((tuple(sides[0]),), (tuple(sides[1]),), moved=frozenset(moved))


def _groups(
    given: tuple[int, ...], wanted: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Runs of axes of both shapes with equal products."""
    i = j = 0
    while i < len(given) or j < len(wanted):
        start = i, j
        left, right = 1, 1
        while True:
            if left <= right and i < len(given):
                left, i = left * given[i], i + 1
            elif j < len(wanted):
                right, j = right * wanted[j], j + 1
            elif i < len(given):
                left, i = left * given[i], i + 1
            if left == right or (i == len(given) and j == len(wanted)):
                break
        yield given[start[0] : i], wanted[start[1] : j]


_reshape = linear(
    "reshape",
    lambda x, *, shape: np.reshape(x, shape),
    transpose=lambda g, x, *, shape: reshape(g, x.shape),
    shape=lambda x, *, shape: Spec(shape, x.dtype),
    relation=_reshape_relation,
    math=r"\mathrm{reshape}({x})",
)
_broadcast_to = linear(
    "broadcast_to",
    lambda x, *, shape: np.broadcast_to(x, shape),
    transpose=lambda g, x, *, shape: g,  # the engine sums over what was stretched
    shape=lambda x, *, shape: Spec(shape, x.dtype),
    relation=lambda x, *, shape: elementwise_relation([x.shape], shape),
    math=r"\mathrm{broadcast}({x})",
)


def _permuted(x: Spec, *, axes: tuple[int, ...]) -> Spec:
    return Spec(tuple(x.shape[axis] for axis in axes), x.dtype)


_permute_dims = linear(
    "permute_dims",
    lambda x, *, axes: np.transpose(x, axes),
    transpose=lambda g, x, *, axes: permute_dims(g, _inverse(axes)),
    shape=_permuted,
    relation=lambda x, *, axes: Relation((tuple(range(x.ndim)),), (axes,)),
    math="{x}^T",
)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


@operation
def reshape(x: Any, shape: Any) -> Any:
    """The same elements, in row-major order, in another shape; one extent may be −1.

    Raises ShapeError if the number of elements does not fit.

    >>> import limpid
    >>> limpid.reshape(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]), (-1,))
    tensor([1., 2., 3., 4.])
    """
    x = x if isinstance(x, Tensor) else to_array(x)
    wanted = normal_shape(shape, x.size)
    return x if wanted == x.shape else _reshape(x, shape=wanted)


@operation
def broadcast_to(x: Any, shape: Any) -> Any:
    """`x` repeated along new axes and along axes of extent 1, as NumPy broadcasts.

    Raises ShapeError if it can't be stretched to that shape.
    """
    x = x if isinstance(x, Tensor) else to_array(x)
    wanted = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if wanted == x.shape:
        return x
    extra = len(wanted) - len(x.shape)
    if extra < 0 or any(a not in (1, b) for a, b in zip(x.shape, wanted[extra:], strict=True)):
        raise ShapeError(f"shape {x.shape} can't be broadcast to {wanted}")
    return _broadcast_to(x, shape=wanted)


@operation
def permute_dims(x: Any, axes: Any = None) -> Any:
    """The axes in another order; reversed when none is given.

    Raises ArgumentError unless `axes` is a permutation.
    """
    x = x if isinstance(x, Tensor) else to_array(x)
    rank = len(x.shape)
    order = tuple(normal_axis(a, rank) for a in axes) if axes is not None else None
    if order is None:
        order = tuple(range(rank))[::-1]
    if sorted(order) != list(range(rank)):
        raise ArgumentError(f"axes {axes} are not a permutation of {rank} dimensions")
    return x if order == tuple(range(rank)) else _permute_dims(x, axes=order)


@operation
def matrix_transpose(x: Any) -> Any:
    """The last two axes swapped."""
    x = x if isinstance(x, Tensor) else to_array(x)
    rank = len(x.shape)
    if rank < 2:
        raise ShapeError(f"matrix_transpose needs at least 2 dimensions, not {rank}")
    return permute_dims(x, (*range(rank - 2), rank - 1, rank - 2))
