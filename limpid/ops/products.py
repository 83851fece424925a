"""Named products, each one einsum: tensordot, vecdot, dot, inner, outer, kron; and cross."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from string import ascii_letters
from typing import Any

import numpy as np

from limpid.differentiation.declaration import bilinear
from limpid.differentiation.elementwise import broadcast
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation, elementwise_relation
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import result_type
from limpid.graph.node import Spec
from limpid.graph.registry import operation
from limpid.ops.axes import normal_axis
from limpid.ops.contract import contract, matmul, operands
from limpid.ops.einsum import einsum
from limpid.ops.layout import permute_dims, reshape


@operation
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum of products over several axes at once.

    axes   a number n: the last n axes of `a` with the first n of `b`; or two sequences of axes
           (or two axes): those of `a` with those of `b`, in order

    The result has the remaining axes of `a`, then those of `b`. Raises ShapeError where the
    extents of a pair differ, ArgumentError for axes that aren't there.

    >>> import limpid
    >>> limpid.tensordot(limpid.tensor([1.0, 2.0]), limpid.tensor([3.0, 4.0]), axes=1)
    tensor(11.)
    """
    a, b = operands(a, b)
    left, right = _paired_axes(axes, len(a.shape), len(b.shape))
    for i, j in zip(left, right, strict=True):
        if a.shape[i] != b.shape[j]:
            raise ShapeError(
                f"tensordot: axis {i} of {a.shape} and axis {j} of {b.shape} differ in extent"
            )
    labels = _letters(len(a.shape) + len(b.shape))
    first, second = list(labels[: len(a.shape)]), list(labels[len(a.shape) :])
    for i, j in zip(left, right, strict=True):
        second[j] = first[i]
    free = [n for i, n in enumerate(first) if i not in left]
    free += [n for j, n in enumerate(second) if j not in right]
    spelled = f"{''.join(first)},{''.join(second)}->{''.join(free)}"
    return contract(a, b, subscripts=spelled)


def _paired_axes(axes: Any, *ranks: int) -> tuple[list[int], list[int]]:
    if isinstance(axes, int | np.integer):
        if not 0 <= axes <= min(ranks):
            raise ArgumentError(
                f"tensordot: axes={axes} must lie between 0 and the smaller rank, {min(ranks)}"
            )
        return list(range(ranks[0] - axes, ranks[0])), list(range(axes))
    if not isinstance(axes, tuple | list) or len(axes) != 2:
        raise ArgumentError(f"tensordot: axes must be a number or two sequences, not {axes!r}")
    sides = [side if isinstance(side, tuple | list) else (side,) for side in axes]
    left, right = (
        [normal_axis(axis, rank) for axis in side] for side, rank in zip(sides, ranks, strict=True)
    )
    if len(left) != len(right) or len(set(left)) < len(left) or len(set(right)) < len(right):
        raise ArgumentError(f"tensordot: axes {axes} do not pair axes one to one")
    return left, right


def _letters(count: int) -> str:
    if count > len(ascii_letters):
        raise ArgumentError(f"{count} axes together are more than the {len(ascii_letters)} allowed")
    return ascii_letters[:count]


@operation
def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    """Dot products of vectors along an axis; the other axes broadcast.

    axis  which axis holds the vectors, in the broadcast shape

    Raises ShapeError where the vectors differ in length or the rest does not broadcast.

    >>> import limpid
    >>> limpid.vecdot(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]), limpid.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    x1, x2 = operands(x1, x2)
    if not x1.shape or not x2.shape:
        raise ShapeError(f"vecdot: operands of shapes {x1.shape} and {x2.shape} hold no vectors")
    rank = max(len(x1.shape), len(x2.shape))
    x1, x2 = (_vectors_last(x, normal_axis(axis, rank) - rank) for x in (x1, x2))
    if x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(f"vecdot: vectors of lengths {x1.shape[-1]} and {x2.shape[-1]}")
    return einsum("...a,...a->...", x1, x2)


def _vectors_last(x: Any, axis: int) -> Any:
    """The axis, counted from the end, moved to the end."""
    rank = len(x.shape)
    if -axis > rank:
        raise ShapeError(f"axis {axis} is not in an operand of shape {x.shape}")
    at = rank + axis
    return permute_dims(x, (*range(at), *range(at + 1, rank), at))


@operation
def dot(a: Any, b: Any) -> Any:
    """NumPy's dot: the last axis of `a` with the second to last of `b` (the only one of a vector).

    The product where an operand is 0-d. With more than two dimensions all pairs of matrices are
    multiplied, other than in `matmul`.

    >>> import limpid
    >>> limpid.dot(limpid.tensor([1.0, 2.0]), limpid.tensor([3.0, 4.0]))
    tensor(11.)
    """
    a, b = operands(a, b)
    if not a.shape or not b.shape:
        return a * b
    if len(a.shape) <= 2 and len(b.shape) <= 2:
        return matmul(a, b)
    return tensordot(a, b, ([-1], [-2 if len(b.shape) > 1 else 0]))


@operation
def inner(a: Any, b: Any) -> Any:
    """NumPy's inner product: the last axis of `a` with the last axis of `b`.

    >>> import limpid
    >>> limpid.inner(limpid.tensor([1.0, 2.0]), limpid.tensor([[3.0, 4.0], [5.0, 6.0]]))
    tensor([11., 17.])
    """
    a, b = operands(a, b)
    return tensordot(a, b, ([-1], [-1])) if a.shape and b.shape else a * b


@operation
def outer(a: Any, b: Any) -> Any:
    """All products of two elements, a[i] · b[j]; operands are flattened first, as in NumPy.

    >>> import limpid
    >>> limpid.outer(limpid.tensor([1.0, 2.0]), limpid.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    a, b = (reshape(x, (x.size,)) for x in operands(a, b))
    return contract(a, b, subscripts="a,b->ab")


@operation
def kron(a: Any, b: Any) -> Any:
    """Kronecker product: `b` in the place of every element of `a`, times that element.

    The operand of fewer dimensions gets leading ones; every extent is the product of the two.

    >>> import limpid
    >>> limpid.kron(limpid.tensor([1.0, 2.0]), limpid.tensor([1.0, 1.0]))
    tensor([1., 1., 2., 2.])
    """
    a, b = operands(a, b)
    rank = max(len(a.shape), len(b.shape))
    a, b = (reshape(x, (1,) * (rank - len(x.shape)) + x.shape) for x in (a, b))
    labels = _letters(2 * rank)
    first, second = labels[:rank], labels[rank:]
    mixed = "".join(i + j for i, j in zip(first, second, strict=True))
    y = contract(a, b, subscripts=f"{first},{second}->{mixed}")
    return reshape(y, tuple(map(prod, zip(a.shape, b.shape, strict=True))))


def _crossed(a: Any, b: Any) -> Any:
    x, y, z = (a[..., i] for i in range(3))
    u, v, w = (b[..., i] for i in range(3))
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)


def _cross_shape(a: Spec, b: Spec) -> Spec:
    _check_three(a.shape, b.shape)
    return Spec(broadcast(a.shape, b.shape), result_type([a.dtype, b.dtype]))


def _check_three(*shapes: Sequence[int]) -> None:
    if any(shape[-1:] != (3,) for shape in shapes):
        raise ShapeError(f"cross products are of vectors of 3 elements, not of shapes {shapes}")


def _cross_relation(a: Spec, b: Spec) -> Relation:
    out = broadcast(a.shape, b.shape)
    mapped = elementwise_relation([a.shape, b.shape], out)
    return Relation(mapped.operands, mapped.outputs, mixed=frozenset({len(out) - 1}))


_cross: Primitive = bilinear(
    "cross",
    lambda a, b: np.cross(a, b),
    native=_crossed,
    transpose=[lambda g, a, b: _cross(b, g), lambda g, a, b: _cross(g, a)],
    shape=_cross_shape,
    relation=_cross_relation,
    math=r"{a} \times {b}",
)


@operation
def cross(x1: Any, x2: Any, axis: int = -1) -> Any:
    """Cross products of vectors of 3 elements along an axis; the other axes broadcast.

    Raises ShapeError where that axis does not have 3 elements.

    >>> import limpid
    >>> limpid.cross(limpid.tensor([1.0, 0.0, 0.0]), limpid.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    x1, x2 = operands(x1, x2)
    rank = max(len(x1.shape), len(x2.shape))
    from_end = normal_axis(axis, rank) - rank
    x1, x2 = (_vectors_last(x, from_end) for x in (x1, x2))
    _check_three(x1.shape, x2.shape)
    y = _cross(x1, x2)
    at = rank + from_end
    return permute_dims(y, (*range(at), rank - 1, *range(at, rank - 1)))
