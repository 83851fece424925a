"""Running sums, products and the like along an axis, closed under differentiation.

What is running from the left forward runs from the right backward. The derivatives of running
products and log-sum-exps are first-order recurrences, hₜ = aₜ hₜ₋₁ + bₜ, and so are a recurrence's
own: no division by what may be zero, no exponential that may overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, linear, transpose
from limpid.differentiation.elementwise import broadcast
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation, along_relation
from limpid.graph.dtype import dtype_of, result_type
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.arithmetic import where
from limpid.ops.axes import normal_axis
from limpid.ops.elementary import exp
from limpid.ops.layout import broadcast_to, reshape
from limpid.ops.plain.functions import recurrence
from limpid.ops.precision import counted, floating, floats, widened
from limpid.tensor import Tensor, operand, to_array

NARROW = 16  # columns, up to which a recurrence runs on Python's floats


def _mixed(x: Spec, *others: Spec, axis: int, **params: Any) -> Relation:
    return along_relation(x.ndim, (axis,), "mixed", operands=1 + len(others))


def _run(accumulate: Callable[..., Array], x: Array, axis: int, reverse: bool) -> Array:
    """A running reduction from the left, or from the right."""
    if not reverse:
        return accumulate(x, axis)
    return np.flip(accumulate(np.flip(x, axis), axis), axis)


_cumsum: Primitive = linear(
    "cumsum",
    widened(lambda x, *, axis, reverse: _run(np.add.accumulate, x, axis, reverse)),
    transpose=lambda g, x, *, axis, reverse: _cumsum(g, axis=axis, reverse=not reverse),
    shape=lambda x, *, axis, reverse: Spec(x.shape, counted(x.dtype)),
    relation=_mixed,
    math=r"\sum_{j \le i} {x}_j",
)


def _shifted(x: Array, *, axis: int, by: int) -> Array:
    y = np.zeros_like(x)
    source, target = slice(None, -by or None), slice(by, None)
    if by < 0:
        source, target = slice(-by, None), slice(None, by)
    lead = (slice(None),) * axis
    y[(*lead, target)] = x[(*lead, source)]
    return y


shift: Primitive = linear(
    "shift",
    _shifted,
    transpose=lambda g, x, *, axis, by: shift(g, axis=axis, by=-by),
    shape=lambda x, *, axis, by: x,
    relation=lambda x, *, axis, by: along_relation(x.ndim, (axis,), "moved"),
    math="{x}_{i-n}",
)


def _recur(a: Array, b: Array, *, axis: int, reverse: bool) -> Array:
    h = np.empty(b.shape, np.result_type(a, b))
    step = -1 if reverse else 1
    a, b, out = (np.moveaxis(v, axis, 0)[::step] for v in (a, b, h))  # (n, …)
    if len(out) == 0:
        return h
    if out[0].size <= NARROW:
        for column in np.ndindex(out.shape[1:]):
            at = (slice(None), *column)
            out[at] = _recur_floats(a[at].tolist(), b[at].tolist())
        return h
    out[0] = b[0]
    for t in range(1, len(out)):
        np.multiply(a[t], out[t - 1], out=out[t])
        out[t] += b[t]
    return h


def _recur_plainly(a: Array, b: Array, *, axis: int, reverse: bool) -> Array:
    if not reverse:
        return recurrence(a, b, axis=axis)
    return np.flip(recurrence(np.flip(a, axis), np.flip(b, axis), axis=axis), axis)


def _recur_floats(a: list[float], b: list[float]) -> list[float]:
    """The same for one column, where a Python number costs less than an array of one."""
    h = b[0]
    found = [h]
    for factor, term in zip(a[1:], b[1:], strict=True):
        h = factor * h + term
        found.append(h)
    return found


def _before(x: Any, axis: int, reverse: bool) -> Any:
    """The neighbour that a running operation met one step earlier; 0 at the start."""
    return shift(x, axis=axis, by=-1 if reverse else 1)


def _behind(x: Any, axis: int, reverse: bool) -> Any:
    return _before(x, axis, not reverse)


def _recur_back(a: Any, g: Any, axis: int, reverse: bool) -> Any:
    """The recurrence's transpose: λₜ = gₜ + aₜ₊₁ λₜ₊₁."""
    return _recurrence(_behind(a, axis, reverse), g, axis=axis, reverse=not reverse)


_recurrence: Primitive = general(
    "linear_recurrence",
    _recur,
    vjp=[
        lambda g, h, a, b, *, axis, reverse: (
            _recur_back(a, g, axis, reverse) * _before(h, axis, reverse)
        ),
        transpose(lambda g, a, b, *, axis, reverse: _recur_back(a, g, axis, reverse)),
    ],
    jvp=[
        lambda da, h, a, b, *, axis, reverse: _recurrence(
            a, da * _before(h, axis, reverse), axis=axis, reverse=reverse
        ),
        None,
    ],
    shape=lambda a, b, *, axis, reverse: Spec(b.shape, result_type([a.dtype, b.dtype])),
    relation=_mixed,
    math="h_t = {a}_t h_{t-1} + {b}_t",
    native=_recur_plainly,
)


def _multiply_on(x: Array, *, axis: int, reverse: bool, exclusive: bool) -> Array:
    if not exclusive or not x.shape[axis]:
        return _run(np.multiply.accumulate, x, axis, reverse)
    y = np.ones_like(x, counted(dtype_of(x.dtype)).storage)
    lead = (slice(None),) * axis
    early, late = slice(None, -1), slice(1, None)
    if reverse:
        early, late = late, early
    y[(*lead, late)] = _run(np.multiply.accumulate, x[(*lead, early)], axis, reverse)
    return y


def _factors_before(x: Any, axis: int, reverse: bool) -> Any:
    return _cumprod(x, axis=axis, reverse=reverse, exclusive=True)


def _cumprod_vjp(g: Any, y: Any, x: Any, *, axis: int, reverse: bool, exclusive: bool) -> Any:
    if exclusive:  # yₜ = xₜ₋₁ yₜ₋₁
        later = _recurrence(x, g, axis=axis, reverse=not reverse)
        return y * _behind(later, axis, reverse)
    return _factors_before(x, axis, reverse) * _recur_back(x, g, axis, reverse)


def _cumprod_jvp(dx: Any, y: Any, x: Any, *, axis: int, reverse: bool, exclusive: bool) -> Any:
    if exclusive:
        a, b = _before(x, axis, reverse), _before(y * dx, axis, reverse)
    else:
        a, b = x, _factors_before(x, axis, reverse) * dx
    return _recurrence(a, b, axis=axis, reverse=reverse)


_cumprod: Primitive = general(
    "cumprod",
    _multiply_on,
    vjp=[_cumprod_vjp],
    jvp=[_cumprod_jvp],
    shape=lambda x, *, axis, reverse, exclusive: Spec(x.shape, counted(x.dtype)),
    relation=_mixed,
    math=r"\prod_{j \le i} {x}_j",
)


def _log_add_on(x: Array, *, axis: int, reverse: bool) -> Array:
    """In float64: the rounding of every step would stay, and grow with the logarithm."""
    x = floats(x)
    return _run(np.logaddexp.accumulate, x.astype(np.float64), axis, reverse).astype(x.dtype)


def _newest(y: Any, x: Any) -> Any:
    """The share of the newest element in a running log-sum-exp: p = exp(x − y); 0 in e^{−∞}."""
    return exp(x - where(y == -np.inf, 0, y))


def _logcumsumexp_vjp(g: Any, y: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    p = _newest(y, x)
    return p * _recur_back(1 - p, g, axis, reverse)


def _logcumsumexp_jvp(dx: Any, y: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    p = _newest(y, x)  # dyₜ = (1 − pₜ) dyₜ₋₁ + pₜ dxₜ
    return _recurrence(1 - p, p * dx, axis=axis, reverse=reverse)


_logcumsumexp = general(
    "logcumsumexp",
    _log_add_on,
    vjp=[_logcumsumexp_vjp],
    jvp=[_logcumsumexp_jvp],
    shape=lambda x, *, axis, reverse: Spec(x.shape, floating(x.dtype)),
    relation=_mixed,
    numeric="float",
    math=r"\log \sum_{j \le i} e^{{x}_j}",
)


def along(x: Any, axis: Any) -> tuple[Any, int]:
    """X and one axis of it; flattened where no axis is given, as in NumPy."""
    x = operand(x)
    if axis is None:
        return reshape(x, (-1,)), 0
    return x, normal_axis(axis, len(x.shape))


@operation
def cumsum(x: Any, axis: Any = None, *, reverse: bool = False) -> Any:
    """yᵢ = Σ xⱼ over j ≤ i along an axis; over j ≥ i in reverse. Without an axis x is flattened.

    >>> import limpid
    >>> limpid.cumsum(limpid.tensor([1.0, 2.0, 3.0]))
    tensor([1., 3., 6.])
    """
    x, axis = along(x, axis)
    return _cumsum(x, axis=axis, reverse=bool(reverse))


@operation
def cumprod(x: Any, axis: Any = None, *, reverse: bool = False, exclusive: bool = False) -> Any:
    """yᵢ = Π xⱼ over j ≤ i along an axis; over j ≥ i in reverse. Without an axis x is flattened.

    exclusive  leave out j = i, so that the first product is the empty one, 1

    The gradient is right also where some elements are zero.

    >>> import limpid
    >>> limpid.cumprod(limpid.tensor([2.0, 0.0, 3.0]))
    tensor([2., 0., 0.])
    >>> limpid.cumprod(limpid.tensor([2.0, 5.0, 3.0]), exclusive=True)
    tensor([ 1.,  2., 10.])
    """
    x, axis = along(x, axis)
    return _cumprod(x, axis=axis, reverse=bool(reverse), exclusive=bool(exclusive))


@operation
def logcumsumexp(x: Any, axis: Any = None, *, reverse: bool = False) -> Any:
    """yᵢ = log Σ exp(xⱼ) over j ≤ i along an axis, without overflow.

    Where all elements so far are −∞, so is the result, and it passes no gradient on.

    >>> import limpid
    >>> limpid.logcumsumexp(limpid.tensor([1000.0, 1000.0]))
    tensor([1000.    , 1000.6932])
    """
    x, axis = along(x, axis)
    return _logcumsumexp(x, axis=axis, reverse=bool(reverse))


@operation
def linear_recurrence(a: Any, b: Any, axis: Any = -1, *, reverse: bool = False) -> Any:
    """hₜ = aₜ hₜ₋₁ + bₜ along an axis, from h = 0; hₜ = aₜ hₜ₊₁ + bₜ in reverse.

    Moving averages, discounted returns, linear state spaces. Other axes broadcast.

    >>> import limpid
    >>> limpid.linear_recurrence(0.5, limpid.tensor([1.0, 1.0, 1.0]))
    tensor([1.  , 1.5 , 1.75])
    """
    a, b = _together(a, b), _together(b, a)
    shape = broadcast(a.shape, b.shape)
    axis = normal_axis(axis, len(shape))
    a, b = broadcast_to(a, shape), broadcast_to(b, shape)
    return _recurrence(a, b, axis=axis, reverse=bool(reverse))


def _together(x: Any, other: Any) -> Any:
    """An array or tensor; a Python number takes the type of the float array that it meets."""
    if isinstance(x, Tensor):
        return x
    floating_point = getattr(getattr(other, "dtype", None), "kind", None) in ("f", "float")
    weak = isinstance(x, float | int) and not isinstance(x, np.generic)
    return to_array(x, other.dtype if weak and floating_point else None)
