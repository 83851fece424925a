"""Reductions over axes: sums, products, extremes and logic.

Every reduction is one primitive. A sum is linear; the others say how the result changes with each
element, its *slope*, from which both modes of differentiation follow.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, linear
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation, reduction_relation
from limpid.differentiation.rules import scale
from limpid.errors import ShapeError
from limpid.graph.dtype import DType, bool_, int64
from limpid.graph.node import Spec
from limpid.graph.registry import operation, operations
from limpid.graph.source import here
from limpid.ops.axes import normal_axes
from limpid.ops.cast import astype
from limpid.ops.cumulative import cumprod
from limpid.ops.layout import broadcast_to, reshape
from limpid.ops.precision import counted, floating, widened
from limpid.tensor import operand

Axes = tuple[int, ...]
LONG = 512  # rows from which on they are summed in blocks
BLOCK = 64


def reduced_shape(shape: tuple[int, ...], axis: Axes, keepdims: bool) -> tuple[int, ...]:
    """The shape with the given axes gone, or of extent 1."""
    return tuple(
        [1 if i in axis else extent for i, extent in enumerate(shape) if keepdims or i not in axis]
    )


def kept(y: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    """A result of reducing x, in a shape that broadcasts against x; a spec if it was not saved."""
    if isinstance(y, Spec) or keepdims or axis == tuple(range(len(axis))):  # leading axes broadcast
        return y
    return reshape(y, reduced_shape(x.shape, axis, True))


def expand_reduced(g: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    """Undo a reduction's shape: g repeated along the axes that were reduced away from x."""
    return broadcast_to(kept(g, x, axis, keepdims), x.shape)


def reduced_spec(dtype: Callable[[DType], DType]) -> Callable[..., Spec]:
    """The shape rule of a reduction whose result has this element type."""
    return lambda x, *, axis, keepdims, **params: Spec(
        reduced_shape(x.shape, axis, keepdims), dtype(x.dtype)
    )


def reduced_relation(x: Spec, *, axis: Axes, keepdims: bool, **params: Any) -> Relation:
    """The reduced axes contracted, the others mapped."""
    return reduction_relation(x.ndim, axis, keepdims)


def reduction(
    name: str,
    forward: Callable[..., Any],
    slope: Callable[..., Any],
    *,
    dtype: Callable[[DType], DType] = floating,
    **declared: Any,
) -> Primitive:
    """A primitive that reduces axes, by the slope of its result in each element.

    slope  `rule(y, x, *, axis, **params)` → dy/dx in the shape of x; y broadcasts against x
    """

    def vjp(g: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool, **params: Any) -> Any:
        y = kept(y, x, axis, keepdims)
        return scale(kept(g, x, axis, keepdims), slope(y, x, axis=axis, **params))

    def jvp(dx: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool, **params: Any) -> Any:
        y = kept(y, x, axis, keepdims)
        return sum(scale(dx, slope(y, x, axis=axis, **params)), axis=axis, keepdims=keepdims)

    return general(
        name,
        forward,
        vjp=[vjp],
        jvp=[jvp],
        shape=reduced_spec(dtype),
        relation=reduced_relation,
        **declared,
    )


def reduce_over(primitive: Primitive, x: Any, axis: Any, keepdims: Any, **params: Any) -> Any:
    """Call a reduction with the axes normalised."""
    x = operand(x)
    return primitive(x, axis=normal_axes(axis, len(x.shape)), keepdims=bool(keepdims), **params)


def reduce_some(primitive: Primitive, x: Any, axis: Any, keepdims: Any, **params: Any) -> Any:
    """The same where no elements have no result: ShapeError for an axis of extent 0."""
    x = operand(x)
    axes = normal_axes(axis, len(x.shape))
    if 0 in x.shape:
        for empty in axes:
            if x.shape[empty] == 0:
                raise ShapeError(
                    f"{primitive.name}: axis {empty} of shape {x.shape} has no elements, and "
                    f"there is no {primitive.name} of none{here()}"
                )
    return primitive(x, axis=axes, keepdims=bool(keepdims), **params)


def total(x: Any, *, axis: Axes, keepdims: Any) -> Any:
    """Σ x, without the loss of digits where NumPy adds many rows of float32 one after another.

    Here blocks of rows are, and their sums in float64. It costs a few per cent.
    """
    many = x.dtype.char == "f" and x.size >= LONG and _adds_rows(x.shape, axis)
    if many and type(x) is np.ndarray:  # native code adds up in double precision
        sums = _block_sums(x, builtins.max(axis, key=x.shape.__getitem__))
        return np.add.reduce(sums, axis=axis, keepdims=keepdims, dtype=np.float64).astype("f4")
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


def _adds_rows(shape: tuple[int, ...], axis: Axes) -> bool:
    """Whether many rows are added. Along the last axis NumPy adds in pairs, which is as good."""
    rows = 1
    for i in axis:
        rows *= shape[i]
    return rows >= LONG and len(shape) - 1 not in axis


def _block_sums(x: Any, axis: int) -> Any:
    """(…, n, …) → (…, ⌊n / BLOCK⌋ + 1, …) with the same sum along the axis; the rest is last."""
    lead, before, behind = (slice(None),) * axis, x.shape[:axis], x.shape[axis + 1 :]
    count = x.shape[axis] // BLOCK
    sums: Any = np.empty((*before, count + 1, *behind), x.dtype)
    whole, rest = x[(*lead, slice(count * BLOCK))], x[(*lead, slice(count * BLOCK, None))]
    whole = whole.reshape(*before, count, BLOCK, *behind)
    np.add.reduce(whole, axis=axis + 1, out=sums[(*lead, slice(-1))])
    np.add.reduce(rest, axis=axis, out=sums[(*lead, -1)])
    return sums


_sum = linear(
    "sum",
    widened(total),
    transpose=lambda g, x, *, axis, keepdims: expand_reduced(g, x, axis, keepdims),
    shape=reduced_spec(counted),
    relation=reduced_relation,
    math=r"\sum {x}",
)


def _product_of_others(y: Any, x: Any, *, axis: Axes) -> Any:
    """For each element, the product of all others; no division, so zeros do no harm.

    Along one axis it is the product of those before it times the product of those behind it.
    """
    if not axis:
        return 1
    *outer, last = axis
    before = cumprod(x, last, exclusive=True)
    others = before * cumprod(x, last, exclusive=True, reverse=True)
    if outer:
        rows = prod(x, axis=last, keepdims=True)
        others = others * _product_of_others(y, rows, axis=tuple(outer))
    return others


_prod = reduction(
    "prod",
    lambda x, *, axis, keepdims: np.multiply.reduce(x, axis=axis, keepdims=keepdims),
    _product_of_others,
    dtype=counted,
    math=r"\prod {x}",
)


def share(x: Any, y: Any, axis: Axes) -> Any:
    """Weights that sum to 1, equal where x equals y, else 0; y broadcasts against x."""
    ties = astype(x == y, x.dtype)
    return ties / sum(ties, axis=axis, keepdims=True)


def _extreme(name: str, ufunc: np.ufunc) -> Primitive:
    return reduction(
        name,
        lambda x, *, axis, keepdims: ufunc.reduce(x, axis=axis, keepdims=keepdims),
        lambda y, x, *, axis: share(x, y, axis),
        dtype=lambda dtype: dtype,
        math=rf"\{name} {{x}}",
        kink="elements that tie share the gradient equally",
        gate="routes",
    )


_max = _extreme("max", np.maximum)
_min = _extreme("min", np.minimum)


def constant(name: str, forward: Callable[..., Any], dtype: DType, math: str) -> Primitive:
    """A reduction whose result is a truth value or a count: it has no derivative."""
    return general(
        name,
        forward,
        vjp=[None],
        shape=reduced_spec(lambda _: dtype),
        relation=reduced_relation,
        math=math,
        numeric="any",
    )


_any = constant(
    "any",
    lambda x, *, axis, keepdims: np.logical_or.reduce(x != 0, axis=axis, keepdims=keepdims),
    bool_,
    r"\bigvee {x}",
)
_all = constant(
    "all",
    lambda x, *, axis, keepdims: np.logical_and.reduce(x != 0, axis=axis, keepdims=keepdims),
    bool_,
    r"\bigwedge {x}",
)
_count_nonzero = constant(
    "count_nonzero",
    lambda x, *, axis, keepdims: np.add.reduce(
        x != 0, axis=axis, keepdims=keepdims, dtype=np.int64
    ),
    int64,
    r"\#\{{x} \ne 0\}",
)


@operation
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Σ x over some axes, or over all.

    Booleans are counted, and integers summed, in 64 bits. The sum of no elements is 0.

    >>> import limpid
    >>> limpid.sum(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.])
    """
    return reduce_over(_sum, x, axis, keepdims)


@operation
def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Π x over some axes, or over all.

    The gradient is the product of the other elements, right also where some are zero. The product
    of no elements is 1.

    >>> import limpid
    >>> x = limpid.tensor([2.0, 0.0, 5.0], requires_grad=True)
    >>> limpid.prod(x).backward(); x.grad
    tensor([ 0., 10.,  0.])
    """
    return reduce_over(_prod, x, axis, keepdims)


@operation
def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest element over some axes, or over all; NaN if there is one.

    Elements that tie share the gradient equally. Raises ShapeError for an axis without elements.

    >>> import limpid
    >>> x = limpid.tensor([1.0, 3.0, 3.0], requires_grad=True)
    >>> limpid.max(x).backward(); x.grad
    tensor([0. , 0.5, 0.5])
    """
    return reduce_some(_max, x, axis, keepdims)


@operation
def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest element over some axes, or over all; NaN if there is one.

    Elements that tie share the gradient equally. Raises ShapeError for an axis without elements.

    >>> import limpid
    >>> limpid.min(limpid.tensor([[4.0, 2.0], [3.0, 7.0]]), axis=1)
    tensor([2., 3.])
    """
    return reduce_some(_min, x, axis, keepdims)


amax, amin = max, min
operations.update(amax=max, amin=min)


@operation
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether any element is true (not zero); False for no elements.

    >>> import limpid
    >>> limpid.any(limpid.tensor([[0.0, 2.0], [0.0, 0.0]]), axis=1)
    tensor([ True, False])
    """
    return reduce_over(_any, x, axis, keepdims)


@operation
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements are true (not zero); True for no elements.

    >>> import limpid
    >>> limpid.all(limpid.tensor([[1.0, 2.0], [0.0, 3.0]]), axis=1)
    tensor([ True, False])
    """
    return reduce_over(_all, x, axis, keepdims)


@operation
def count_nonzero(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """How many elements are not zero; NaN is not zero.

    >>> import limpid
    >>> limpid.count_nonzero(limpid.tensor([0.0, 2.0, -1.0])).item()
    2
    """
    return reduce_over(_count_nonzero, x, axis, keepdims)
