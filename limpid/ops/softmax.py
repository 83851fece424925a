"""Log-sum-exp and softmax: each shifts by the largest element, so that nothing overflows."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import general
from limpid.differentiation.relation import Relation, along_relation
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.arithmetic import where
from limpid.ops.axes import normal_axes
from limpid.ops.elementary import exp
from limpid.ops.precision import floating, floats, widened
from limpid.ops.reduce import Axes, reduce_over, reduced_shape, reduction, sum
from limpid.tensor import operand


def _mixed(x: Spec, *, axis: Axes) -> Relation:
    return along_relation(x.ndim, axis, "mixed")


def _floating(x: Spec, *, axis: Axes) -> Spec:
    return Spec(x.shape, floating(x.dtype))


def _largest(x: Array, axis: Axes) -> Array:
    if not x.size:
        return np.full(reduced_shape(x.shape, axis, True), -np.inf, x.dtype)
    return np.maximum.reduce(x, axis=axis, keepdims=True)


def _log_sum_exp(x: Array, *, axis: Axes, keepdims: bool) -> Array:
    x = floats(x)
    top = _largest(x, axis)
    shift = np.where(np.isfinite(top), top, 0)  # ∞ − ∞ would be NaN
    with np.errstate(divide="ignore", over="ignore"):  # log 0 = −∞ is meant
        y = np.log(np.add.reduce(np.exp(x - shift), axis=axis, keepdims=True)) + shift
    return y if keepdims else y.squeeze(axis)


_logsumexp = reduction(
    "logsumexp",
    widened(_log_sum_exp),
    lambda y, x, *, axis: exp(x - where(y == -np.inf, 0, y)),
    numeric="float",
    math=r"\log \sum e^{x}",
)


def _softmax_forward(x: Array, *, axis: Axes) -> Array:
    x = floats(x)
    y = np.exp(x - _largest(x, axis))
    y /= np.add.reduce(y, axis=axis, keepdims=True)
    return y


def _softmax_jacobian(v: Any, y: Any, x: Any, *, axis: Axes) -> Any:
    """Y ⊙ (v − Σ v ⊙ y): the Jacobian, which is symmetric, applied to v."""
    vy = v * y
    return vy - y * sum(vy, axis=axis, keepdims=True)


_softmax = general(
    "softmax",
    widened(_softmax_forward),
    vjp=[_softmax_jacobian],
    jvp=[_softmax_jacobian],
    shape=_floating,
    relation=_mixed,
    numeric="float",
    math=r"\mathrm{softmax}({x})",
)


def _log_softmax_forward(x: Array, *, axis: Axes) -> Array:
    x = floats(x)
    shifted = x - _largest(x, axis)
    return shifted - np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))


_log_softmax = general(
    "log_softmax",
    widened(_log_softmax_forward),
    vjp=[lambda g, y, x, *, axis: g - exp(y) * sum(g, axis=axis, keepdims=True)],
    jvp=[lambda dx, y, x, *, axis: dx - sum(exp(y) * dx, axis=axis, keepdims=True)],
    shape=_floating,
    relation=_mixed,
    numeric="float",
    math=r"\log \mathrm{softmax}({x})",
)


@operation
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Log Σ exp(x) over some axes, or over all, without overflow.

    The gradient is softmax(x). Elements of −∞ count for nothing and receive nothing; where all
    are −∞, or there are none, the result is −∞ and the gradient 0.

    >>> import limpid
    >>> limpid.logsumexp(limpid.tensor([1000.0, 1000.0]))
    tensor(1000.6932)
    """
    return reduce_over(_logsumexp, x, axis, keepdims)


@operation
def softmax(x: Any, axis: Any = -1) -> Any:
    """exp(x) / Σ exp(x): along an axis, or over several, or with `None` over all.

    Elements of −∞ become 0; where all are −∞ there is no distribution, and the result is NaN.

    >>> import limpid
    >>> limpid.softmax(limpid.tensor([1000.0, 1000.0, -1000.0]))
    tensor([0.5, 0.5, 0. ])
    """
    x = operand(x)
    return _softmax(x, axis=normal_axes(axis, len(x.shape)))


@operation
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """X − log Σ exp(x): along an axis, or over several, or with `None` over all.

    >>> import limpid
    >>> limpid.log_softmax(limpid.tensor([0.0, 1000.0]))
    tensor([-1000.,     0.])
    """
    x = operand(x)
    return _log_softmax(x, axis=normal_axes(axis, len(x.shape)))
