"""Moving elements without changing them: reshape, broadcast, transpose, flip, roll."""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import prod
from operator import mul
from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.elementwise import broadcast
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Label, Relation, along_relation, elementwise_relation
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.node import Spec
from limpid.graph.registry import operation
from limpid.graph.source import here
from limpid.ops.axes import normal_axes, normal_axis, normal_shape
from limpid.ops.identity import identity
from limpid.tensor import Tensor, operand

Shape = tuple[int, ...]


def _reshape_relation(x: Spec, *, shape: Shape) -> Relation:
    """Both shapes cut row-major memory; each piece between two cuts has a label.

    (2, 6) → (4, 3) cuts at 2, 4 and 12: [a (b c)] → [(a b) c]. Where a cut does not divide the
    next one, as 2 and 3 in (2, 3) → (3, 2), the axes up to the next common cut are moved.
    """
    if not x.size:
        return Relation((_own("x", x.shape),), (_own("y", shape),), moved=frozenset())
    cuts = sorted({1, *accumulate(x.shape, mul), *accumulate(shape, mul)})
    common = sorted({1, *accumulate(x.shape, mul)} & {1, *accumulate(shape, mul)})
    uneven: set[int] = set()  # the pieces of groups that are not cut evenly
    for first, last in pairwise(common):
        inside = [i for i, cut in enumerate(cuts) if first <= cut < last]
        if any(cuts[i + 1] % cuts[i] for i in inside):
            uneven.update(inside)
    given, wanted = _pieces("x", x.shape, cuts, uneven), _pieces("y", shape, cuts, uneven)
    return Relation((given,), (wanted,), moved=frozenset(n for n in given if isinstance(n, str)))


def _own(side: str, shape: Shape) -> tuple[Label, ...]:
    return tuple(f"{side}{axis}" for axis in range(len(shape)))


def _pieces(side: str, shape: Shape, cuts: list[int], uneven: set[int]) -> tuple[Label, ...]:
    """The label of every axis: its piece, a tuple of several or of none, or its own if moved."""
    labels: list[Label] = []
    start = 1
    for axis, extent in enumerate(shape):
        pieces = tuple(i for i, cut in enumerate(cuts) if start <= cut < start * extent)
        own = bool(uneven.intersection(pieces))
        labels.append(f"{side}{axis}" if own else pieces[0] if len(pieces) == 1 else pieces)
        start *= extent
    return tuple(labels)


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


_flip: Primitive = linear(
    "flip",
    lambda x, *, axes: np.flip(x, axes),
    transpose=lambda g, x, *, axes: _flip(g, axes=axes),
    shape=lambda x, *, axes: x,
    relation=lambda x, *, axes: along_relation(x.ndim, axes, "moved"),
    numeric="any",
    math=r"\mathrm{flip}({x})",
)
_roll: Primitive = linear(
    "roll",
    lambda x, *, shifts, axes: np.roll(x, shifts, axes),
    transpose=lambda g, x, *, shifts, axes: _roll(g, shifts=tuple(-n for n in shifts), axes=axes),
    shape=lambda x, *, shifts, axes: x,
    relation=lambda x, *, shifts, axes: along_relation(x.ndim, axes, "moved"),
    numeric="any",
    math=r"\mathrm{roll}({x})",
)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def renamed(x: Any) -> Any:
    """The same value as another object, since `y += 1` rebinds y and must leave x alone."""
    if not isinstance(x, Tensor):
        return x
    if x.node is not None and x.is_leaf:
        return identity(x)
    same = Tensor(x.node, x.index, x._value)
    same.cut = x.cut
    return same


@operation
def reshape(x: Any, shape: Any) -> Any:
    """The same elements, in row-major order, in another shape; one extent may be −1.

    Raises ShapeError if the number of elements does not fit.

    >>> import limpid
    >>> limpid.reshape(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]), (-1,))
    tensor([1., 2., 3., 4.])
    """
    x = operand(x)
    wanted = normal_shape(shape, x.size)
    return renamed(x) if wanted == x.shape else _reshape(x, shape=wanted)


@operation
def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The axes from one to another made one; by default all of them.

    >>> import limpid
    >>> limpid.flatten(limpid.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    x = operand(x)
    shape = x.shape or (1,)
    first = normal_axis(start_dim, len(shape), "start_dim")
    last = normal_axis(end_dim, len(shape), "end_dim")
    if first > last:
        raise ArgumentError(f"start_dim {first} must not come after end_dim {last}")
    return reshape(x, (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :]))


@operation
def broadcast_to(x: Any, shape: Any) -> Any:
    """`x` repeated along new axes and along axes of extent 1, as NumPy broadcasts.

    Raises ShapeError if it can't be stretched to that shape.
    """
    x = operand(x)
    wanted = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if wanted == x.shape:
        return renamed(x)
    extra = len(wanted) - len(x.shape)
    if extra < 0 or any(a not in (1, b) for a, b in zip(x.shape, wanted[extra:], strict=True)):
        raise ShapeError(f"shape {x.shape} can't be broadcast to {wanted}{here()}")
    return _broadcast_to(x, shape=wanted)


@operation
def permute_dims(x: Any, axes: Any = None) -> Any:
    """The axes in another order; reversed when none is given.

    Raises ArgumentError unless `axes` is a permutation.
    """
    x = operand(x)
    rank = len(x.shape)
    order = tuple(normal_axis(a, rank) for a in axes) if axes is not None else None
    if order is None:
        order = tuple(range(rank))[::-1]
    if sorted(order) != list(range(rank)):
        raise ArgumentError(f"axes {axes} are not a permutation of {rank} dimensions{here()}")
    return renamed(x) if order == tuple(range(rank)) else _permute_dims(x, axes=order)


@operation
def matrix_transpose(x: Any) -> Any:
    """The last two axes swapped."""
    x = operand(x)
    rank = len(x.shape)
    if rank < 2:
        raise ShapeError(f"matrix_transpose needs at least 2 dimensions, not {rank}")
    return permute_dims(x, (*range(rank - 2), rank - 1, rank - 2))


@operation
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes swapped.

    >>> import limpid
    >>> limpid.swapaxes(limpid.tensor([[1.0, 2.0]]), 0, 1).shape
    (2, 1)
    """
    x = operand(x)
    order = list(range(len(x.shape)))
    a, b = normal_axis(axis1, len(order)), normal_axis(axis2, len(order))
    order[a], order[b] = b, a
    return permute_dims(x, order)


@operation
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Some axes moved to other places; the others stay in order.

    Raises ArgumentError unless as many places as axes are given, each once.

    >>> import limpid
    >>> limpid.moveaxis(limpid.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = operand(x)
    rank = len(x.shape)
    sources, places = _each_once(source, rank), _each_once(destination, rank)
    if len(sources) != len(places):
        raise ArgumentError(f"{len(sources)} axes can't be moved to {len(places)} places")
    order = [axis for axis in range(rank) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, order)


def _each_once(axis: Any, rank: int) -> list[int]:
    given = axis if isinstance(axis, tuple | list) else (axis,)
    axes = [normal_axis(a, rank) for a in given]
    if len(set(axes)) < len(axes):
        raise ArgumentError(f"axes {given} name an axis twice")
    return axes


@operation
def expand_dims(x: Any, axis: Any) -> Any:
    """New axes of extent 1, at these places of the result.

    >>> import limpid
    >>> limpid.expand_dims(limpid.tensor([1.0, 2.0]), -1).shape
    (2, 1)
    """
    x = operand(x)
    count = len(axis) if isinstance(axis, tuple | list) else 1
    new = normal_axes(axis, len(x.shape) + count)
    rest = iter(x.shape)
    return reshape(x, tuple(1 if i in new else next(rest) for i in range(len(x.shape) + count)))


@operation
def squeeze(x: Any, axis: Any = None) -> Any:
    """Without some axes of extent 1, or without all of them.

    Raises ShapeError for an axis of another extent.

    >>> import limpid
    >>> limpid.squeeze(limpid.zeros((1, 3, 1)), 0).shape
    (3, 1)
    """
    x = operand(x)
    if axis is None:
        return reshape(x, tuple(extent for extent in x.shape if extent != 1))
    axes = normal_axes(axis, len(x.shape))
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(f"axis {a} has extent {x.shape[a]}, only 1 can be squeezed{here()}")
    return reshape(x, tuple(extent for a, extent in enumerate(x.shape) if a not in axes))


@operation
def broadcast_arrays(*arrays: Any) -> list[Any]:
    """All of them stretched to the shape that they have together.

    >>> import limpid
    >>> [t.shape for t in limpid.broadcast_arrays(limpid.zeros((2, 1)), limpid.zeros(3))]
    [(2, 3), (2, 3)]
    """
    xs = [operand(x) for x in arrays]
    shape = broadcast(*(x.shape for x in xs))
    return [broadcast_to(x, shape) for x in xs]


@operation
def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    """Coordinates of a grid from those of its axes.

    indexing  "xy": the first array runs along axis 1, the second along axis 0; "ij": in order

    >>> import limpid
    >>> limpid.meshgrid(limpid.tensor([1, 2, 3]), limpid.tensor([4, 5]))[1]
    tensor([[4, 4, 4],
            [5, 5, 5]])
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f'indexing is "xy" or "ij", not {indexing!r}')
    xs = [operand(x) for x in arrays]
    places = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        places[:2] = [1, 0]
    spread = [
        reshape(x, tuple(-1 if i == place else 1 for i in range(len(xs))))
        for x, place in zip(xs, places, strict=True)
    ]
    return broadcast_arrays(*spread)


@operation
def flip(x: Any, axis: Any = None) -> Any:
    """The elements in reverse order along some axes, or along all.

    >>> import limpid
    >>> limpid.flip(limpid.tensor([1, 2, 3]))
    tensor([3, 2, 1])
    """
    x = operand(x)
    return _flip(x, axes=normal_axes(axis, len(x.shape)))


@operation
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """The elements shifted along some axes; what leaves at the end comes in at the start.

    With axis None all elements are shifted in a row. Several shifts for one axis add up.

    >>> import limpid
    >>> limpid.roll(limpid.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    x = operand(x)
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), x.shape)
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    shifts = shift if isinstance(shift, tuple | list) else (shift,) * len(axes)
    if len(axes) == 1:
        axes = tuple(axes) * len(shifts)
    if len(shifts) != len(axes):
        raise ArgumentError(f"{len(shifts)} shifts for {len(axes)} axes")
    total: dict[int, int] = {}
    for n, a in zip(shifts, axes, strict=True):
        a = normal_axis(a, len(x.shape))
        total[a] = total.get(a, 0) + n.__index__()
    return _roll(x, shifts=tuple(total.values()), axes=tuple(total))


@operation
def copy(x: Any) -> Any:
    """The same value under a new name: writing to one of the two leaves the other as it was."""
    return renamed(x) if isinstance(x, Tensor) else np.array(x)
