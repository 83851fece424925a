"""Picking elements: sorting, the largest few, running extremes, positions of extremes.

What returns indices routes the gradient to them, each to one element: forward gathers, backward
scatters. Of elements that tie, the first is picked. NaN counts as larger than any number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation, along_relation
from limpid.errors import ArgumentError
from limpid.graph.dtype import int64
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.axes import normal_axis
from limpid.ops.cumulative import along
from limpid.ops.gather import scatter_along_axis, take_along_axis
from limpid.ops.reduce import constant, reduce_some
from limpid.tensor import operand


def _mixed(x: Spec, *, axis: int, **params: Any) -> Relation:
    return along_relation(x.ndim, (axis,), "mixed", outputs=2)


def _values_and_indices(x: Spec, **params: Any) -> tuple[Spec, Spec]:
    return x, Spec(x.shape, int64)


def selection(
    name: str,
    forward: Callable[..., tuple[Array, Array]],
    *,
    shape: Callable[..., tuple[Spec, Spec]] = _values_and_indices,
    relation: Callable[..., Relation] = _mixed,
    **declared: Any,
) -> Primitive:
    """A primitive (values, indices) of one operand, with values = x[indices] along `axis`."""

    def vjp(g: Any, y: Any, x: Any, *, axis: int, **params: Any) -> Any:
        return scatter_along_axis(g[0], y[1], axis, x.shape[axis])

    def jvp(dx: Any, y: Any, x: Any, *, axis: int, **params: Any) -> Any:
        return take_along_axis(dx, y[1], axis), None  # the indices have no tangent

    return general(
        name,
        forward,
        vjp=[vjp],
        jvp=[jvp],
        shape=shape,
        relation=relation,
        outputs=2,
        gate="routes",
        **declared,
    )


def _order(x: Array, *, axis: int, descending: bool) -> Array:
    """Indices that sort; elements that tie stay in their order either way."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    backwards = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(backwards, axis)


def _sorted(x: Array, *, axis: int, descending: bool) -> tuple[Array, Array]:
    order = _order(x, axis=axis, descending=descending)
    return np.take_along_axis(x, order, axis), order


def _top(x: Array, *, k: int, axis: int, largest: bool) -> tuple[Array, Array]:
    order = _order(x, axis=axis, descending=largest)
    first = order[(*(slice(None),) * axis, slice(k))]
    return np.take_along_axis(x, first, axis), first


def _top_specs(x: Spec, *, k: int, axis: int, largest: bool) -> tuple[Spec, Spec]:
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    return Spec(shape, x.dtype), Spec(shape, int64)


def _top_relation(x: Spec, *, k: int, axis: int, largest: bool) -> Relation:
    labels = tuple(range(x.ndim))
    made = (*labels[:axis], "k", *labels[axis + 1 :])
    return Relation((labels,), (made, made))


def _running(ufunc: np.ufunc, beats: Callable[[Array, Array], Array]) -> Callable[..., Any]:
    """Running extremes, and where each was met first."""

    def forward(x: Array, *, axis: int) -> tuple[Array, Array]:
        values = ufunc.accumulate(x, axis)
        lead = (slice(None),) * axis
        new = np.zeros_like(x, bool)  # whether an element beats all before it
        before, here = values[(*lead, slice(None, -1))], x[(*lead, slice(1, None))]
        new[(*lead, slice(1, None))] = beats(here, before) | ((here != here) & (before == before))
        places = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
        return values, np.maximum.accumulate(np.where(new, places, 0), axis)

    return forward


TIES = "of elements that tie, the first receives the gradient"

_sort = selection("sort", _sorted, math=r"\mathrm{sort}({x})", kink=TIES)
_argsort = general(
    "argsort",
    _order,
    vjp=[None],
    shape=lambda x, **params: Spec(x.shape, int64),
    relation=lambda x, *, axis, **params: along_relation(x.ndim, (axis,), "mixed"),
    math=r"\mathrm{argsort}({x})",
)
_topk = selection(
    "topk",
    _top,
    shape=_top_specs,
    relation=_top_relation,
    math=r"\mathrm{top}_k({x})",
    kink=TIES,
)
_cummax = selection(
    "cummax", _running(np.maximum, np.greater), math=r"\max_{j \le i} {x}_j", kink=TIES
)
_cummin = selection(
    "cummin", _running(np.minimum, np.less), math=r"\min_{j \le i} {x}_j", kink=TIES
)


def _position(name: str, find: Callable[..., Any], math: str) -> Primitive:
    """Where an extreme is: an index along one axis, or among all."""

    def forward(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Any:
        one = axis[0] if len(axis) == 1 else None
        return find(x, axis=one, keepdims=keepdims)

    return constant(name, forward, int64, math)


_argmax = _position("argmax", np.argmax, r"\arg\max {x}")
_argmin = _position("argmin", np.argmin, r"\arg\min {x}")


@operation
def sort(x: Any, axis: Any = -1, *, descending: bool = False, stable: bool = True) -> Any:
    """The elements in order along an axis; with `axis=None`, of all of x flattened.

    Always stable. NaN comes last, or first when descending.

    >>> import limpid
    >>> x = limpid.tensor([3.0, 1.0, 2.0], requires_grad=True)
    >>> y = limpid.sort(x); y
    tensor([1., 2., 3.], requires_grad=True)
    >>> y[0].backward(); x.grad
    tensor([0., 1., 0.])
    """
    x, axis = along(x, axis)
    return _sort(x, axis=axis, descending=bool(descending))[0]


@operation
def argsort(x: Any, axis: Any = -1, *, descending: bool = False, stable: bool = True) -> Any:
    """The indices that sort x along an axis; with `axis=None`, x flattened. Always stable.

    >>> import limpid
    >>> limpid.argsort(limpid.tensor([3.0, 1.0, 2.0]), descending=True)
    tensor([0, 2, 1])
    """
    x, axis = along(x, axis)
    return _argsort(x, axis=axis, descending=bool(descending))


@operation
def topk(x: Any, k: int, axis: int = -1, *, largest: bool = True) -> tuple[Any, Any]:
    """The k largest elements along an axis in falling order, and their indices.

    largest  False: the k smallest, in rising order

    The gradient goes to the elements that were picked; of those that tie, to the first. Raises
    ArgumentError if the axis has fewer than k elements.

    >>> import limpid
    >>> limpid.topk(limpid.tensor([3.0, 1.0, 2.0]), 2)
    (tensor([3., 2.]), tensor([0, 2]))
    """
    x = operand(x)
    axis = normal_axis(axis, len(x.shape))
    count = normal_count(k)
    if not 0 <= count <= x.shape[axis]:
        raise ArgumentError(f"topk: k={k}, but axis {axis} has {x.shape[axis]} elements")
    return _topk(x, k=count, axis=axis, largest=bool(largest))


def normal_count(k: Any) -> int:
    """A Python int; ArgumentError for what is no integer."""
    try:
        return int(k.__index__())
    except AttributeError:
        raise ArgumentError(f"k must be an integer, not {k!r}") from None


@operation
def cummax(x: Any, axis: int = -1) -> tuple[Any, Any]:
    """The largest element so far along an axis, and the index where it was met first.

    The gradient goes to that element. From a NaN on all values are NaN.

    >>> import limpid
    >>> limpid.cummax(limpid.tensor([1.0, 3.0, 2.0, 3.0]))
    (tensor([1., 3., 3., 3.]), tensor([0, 1, 1, 1]))
    """
    x, axis = along(x, axis)
    return _cummax(x, axis=axis)


@operation
def cummin(x: Any, axis: int = -1) -> tuple[Any, Any]:
    """The smallest element so far along an axis, and the index where it was met first.

    The gradient goes to that element. From a NaN on all values are NaN.

    >>> import limpid
    >>> limpid.cummin(limpid.tensor([2.0, 3.0, 1.0]))
    (tensor([2., 2., 1.]), tensor([0, 0, 2]))
    """
    x, axis = along(x, axis)
    return _cummin(x, axis=axis)


@operation
def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The index of the first largest element along an axis, or among all in row-major order.

    A NaN counts as the largest. Raises ShapeError for an axis without elements.

    >>> import limpid
    >>> limpid.argmax(limpid.tensor([[4.0, 2.0], [3.0, 7.0]]), axis=1)
    tensor([0, 1])
    """
    return reduce_some(_argmax, x, _one_axis("argmax", axis), keepdims)


@operation
def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The index of the first smallest element along an axis, or among all in row-major order.

    A NaN counts as the smallest. Raises ShapeError for an axis without elements.

    >>> import limpid
    >>> limpid.argmin(limpid.tensor([4.0, 2.0, 2.0])).item()
    1
    """
    return reduce_some(_argmin, x, _one_axis("argmin", axis), keepdims)


def _one_axis(name: str, axis: Any) -> Any:
    if isinstance(axis, tuple | list):
        raise ArgumentError(f"{name} takes one axis or None, not {axis}")
    return axis
