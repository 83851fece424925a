"""Joining tensors along an axis and taking them apart again: two families, one for an old axis
(concat and split), one for a new one (stack and unstack).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.relation import Relation, along_relation
from limpid.errors import ArgumentError, OperandError, ShapeError
from limpid.graph.dtype import result_type
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.graph.source import here
from limpid.ops.axes import normal_axis
from limpid.ops.index import get_item
from limpid.ops.layout import reshape
from limpid.tensor import Tensor, operand


def _joined(*xs: Spec, axis: int) -> Spec:
    first = xs[0].shape
    for number, x in enumerate(xs):
        if len(x.shape) != len(first):
            raise ShapeError(f"part {number} has {len(x.shape)} dimensions, part 0 {len(first)}")
        for i, (extent, wanted) in enumerate(zip(x.shape, first, strict=True)):
            if i != axis and extent != wanted:
                raise ShapeError(
                    f"part {number} has extent {extent} along axis {i}, part 0 has {wanted}; "
                    f"only axis {axis} may differ"
                )
    extent = sum(x.shape[axis] for x in xs)
    shape = (*first[:axis], extent, *first[axis + 1 :])
    return Spec(shape, result_type([x.dtype for x in xs]))


def _part_of_concat(g: Any, position: int, *xs: Any, axis: int) -> Any:
    start = sum(x.shape[axis] for x in xs[:position])
    return get_item(g, (slice(None),) * axis + (slice(start, start + xs[position].shape[axis]),))


_concat = linear(
    "concat",
    lambda *xs, axis: np.concatenate(xs, axis=axis),
    transpose=_part_of_concat,
    shape=_joined,
    relation=lambda *xs, axis: along_relation(xs[0].ndim, (axis,), "moved", operands=len(xs)),
    math=r"[{xs}]",
)


def _stacked(*xs: Spec, axis: int) -> Spec:
    first = xs[0].shape
    for number, x in enumerate(xs):
        if x.shape != first:
            raise ShapeError(f"part {number} has shape {x.shape}, part 0 has {first}")
    shape = (*first[:axis], len(xs), *first[axis:])
    return Spec(shape, result_type([x.dtype for x in xs]))


def _stack_relation(*xs: Spec, axis: int) -> Relation:
    labels = tuple(range(xs[0].ndim))
    return Relation((labels,) * len(xs), ((*labels[:axis], "part", *labels[axis:]),))


_stack = linear(
    "stack",
    lambda *xs, axis: np.stack(xs, axis=axis),
    transpose=lambda g, position, *xs, axis: get_item(g, (slice(None),) * axis + (position,)),
    shape=_stacked,
    relation=_stack_relation,
    math=r"[{xs}]",
)


def _split_shapes(x: Spec, *, sections: tuple[int, ...], axis: int) -> tuple[Spec, ...]:
    return tuple(Spec((*x.shape[:axis], n, *x.shape[axis + 1 :]), x.dtype) for n in sections)


def _split_relation(x: Spec, *, sections: tuple[int, ...], axis: int) -> Relation:
    labels = tuple(range(x.ndim))
    return Relation((labels,), (labels,) * len(sections), moved=frozenset((axis,)))


_split = linear(
    "split",
    lambda x, *, sections, axis: tuple(np.split(x, list(accumulate(sections))[:-1], axis=axis)),
    transpose=lambda g, x, *, sections, axis: _concat(*g, axis=axis),
    shape=_split_shapes,
    relation=_split_relation,
    numeric="any",
    outputs=2,  # or more
    math=r"\mathrm{split}({x})",
)


def _unstacked(x: Array, *, axis: int) -> tuple[Array, ...]:
    moved = np.moveaxis(x, axis, 0)
    return tuple([moved[i, ...] for i in range(len(moved))])


def _unstack_relation(x: Spec, *, axis: int) -> Relation:
    labels = tuple(range(x.ndim))
    part = labels[:axis] + labels[axis + 1 :]
    return Relation((labels,), (part,) * x.shape[axis], moved=frozenset((axis,)))


_unstack = linear(
    "unstack",
    _unstacked,
    transpose=lambda g, x, *, axis: _stack(*g, axis=axis),
    shape=lambda x, *, axis: (
        (Spec((*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype),) * x.shape[axis]
    ),
    relation=_unstack_relation,
    numeric="any",
    outputs=2,  # or more
    math=r"\mathrm{unstack}({x})",
)


def parts(xs: Any, name: str) -> list[Any]:
    """The tensors or arrays to be joined: a sequence, or one array whose rows are meant."""
    if isinstance(xs, Tensor | np.ndarray):
        return list(unstack(xs))
    if not isinstance(xs, Sequence) or isinstance(xs, str):
        raise OperandError(f"{name} takes a list or tuple of tensors, not {type(xs).__name__}")
    found = [operand(x) for x in xs]
    if not found:
        raise ArgumentError(f"{name} needs at least one tensor{here()}")
    return found


@operation
def concat(arrays: Any, axis: int | None = 0) -> Any:
    """Tensors one after the other along an axis they have; flattened first for axis None.

    Raises ShapeError, naming the part, unless they agree along all other axes.

    >>> import limpid
    >>> limpid.concat([limpid.tensor([1.0, 2.0]), limpid.tensor([3.0])])
    tensor([1., 2., 3.])
    """
    xs = parts(arrays, "concat")
    if axis is None:
        xs, axis = [reshape(x, (-1,)) for x in xs], 0
    rank = len(xs[0].shape)
    if not rank:
        raise ShapeError(f"0-d tensors can't be concatenated{here()}\nremedy: limpid.stack")
    return _concat(*xs, axis=normal_axis(axis, rank))


@operation
def stack(arrays: Any, axis: int = 0) -> Any:
    """Tensors of one shape side by side along a new axis.

    Raises ShapeError, naming the part, if the shapes differ.

    >>> import limpid
    >>> limpid.stack([limpid.tensor(1.0), limpid.tensor(2.0)])
    tensor([1., 2.])
    """
    xs = parts(arrays, "stack")
    return _stack(*xs, axis=normal_axis(axis, len(xs[0].shape) + 1))


@operation
def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The slices of a tensor along an axis, which goes away: what iterating gives.

    >>> import limpid
    >>> limpid.unstack(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]))
    (tensor([1., 2.]), tensor([3., 4.]))
    """
    x = operand(x)
    axis = normal_axis(axis, len(x.shape))
    if not x.shape[axis]:
        return ()
    if x.shape[axis] == 1:
        return (reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :])),)
    slices: tuple[Any, ...] = _unstack(x, axis=axis)
    return slices


@operation
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """A tensor cut into a number of equal parts, or before each of the given indices.

    Raises ShapeError if the extent can't be divided equally.

    >>> import limpid
    >>> limpid.split(limpid.tensor([1.0, 2.0, 3.0]), [1])
    [tensor([1.]), tensor([2., 3.])]
    """
    x = operand(x)
    axis = normal_axis(axis, len(x.shape))
    sections = _sections(indices_or_sections, x.shape[axis])
    if len(sections) == 1:
        return [x]
    return list(_split(x, sections=sections, axis=axis))


def _sections(given: Any, extent: int) -> tuple[int, ...]:
    """The extents of the parts."""
    if hasattr(given, "__index__") and not getattr(given, "shape", ()):
        count = given.__index__()
        if count < 1:
            raise ArgumentError(f"a tensor can't be split into {count} parts")
        if extent % count:
            raise ShapeError(f"extent {extent} can't be split into {count} equal parts{here()}")
        return (extent // count,) * count
    cuts = [0, *(slice(i.__index__()).indices(extent)[1] for i in given), extent]
    return tuple(max(b - a, 0) for a, b in pairwise(cuts))


def _at_least(x: Any, rank: int) -> Any:
    """Extents of 1 in front until there are `rank` dimensions."""
    return reshape(x, (1,) * (rank - len(x.shape)) + x.shape) if len(x.shape) < rank else x


@operation
def vstack(arrays: Any) -> Any:
    """Rows below one another: vectors count as one row; `concat` along axis 0."""
    return concat([_at_least(x, 2) for x in parts(arrays, "vstack")], axis=0)


@operation
def hstack(arrays: Any) -> Any:
    """Columns beside one another: `concat` along axis 1, along axis 0 for vectors."""
    xs = [_at_least(x, 1) for x in parts(arrays, "hstack")]
    return concat(xs, axis=0 if len(xs[0].shape) == 1 else 1)


@operation
def dstack(arrays: Any) -> Any:
    """Along a third axis: a vector (n) counts as (1, n, 1), a matrix (m, n) as (m, n, 1)."""
    xs = [_at_least(x, 2) for x in parts(arrays, "dstack")]
    return concat([x if len(x.shape) > 2 else reshape(x, (*x.shape, 1)) for x in xs], axis=2)


@operation
def column_stack(arrays: Any) -> Any:
    """Vectors as columns, and matrices, beside one another."""
    xs = [x if len(x.shape) > 1 else reshape(x, (-1, 1)) for x in parts(arrays, "column_stack")]
    return concat(xs, axis=1)
