"""Losses of a choice among classes: softmax cross-entropy, negative log-likelihood, hinge.

Each is one box. What its target means is read in `targets.py`.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, linear, transpose
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import DTypeError, ShapeError
from limpid.graph.node import Array, Spec
from limpid.graph.registry import primitives
from limpid.ops.arithmetic import where
from limpid.ops.layout import reshape
from limpid.ops.plain import classes
from limpid.ops.reduce import sum
from limpid.ops.softmax import log_softmax, softmax
from limpid.ops.targets import (
    check_target,
    dtype_name,
    less_target,
    read_classes,
    reduce_rows,
    row_weights,
    rows_of,
    target_distribution,
)

_softmax: Primitive = primitives["softmax"]  # what `softmax` calls when it knows the axes


def _loss_shape(x: Spec, target: Spec, *weight: Spec, axis: int, reduction: str, **_: Any) -> Spec:
    check_target(x, target, weight, axis)
    if target.dtype.kind != "int":
        raise DTypeError(f"class numbers must be integers, not {target.dtype.name}")
    return Spec(target.shape if reduction == "none" else (), x.dtype)


def _loss_relation(
    x: Spec, target: Spec, *weight: Spec, axis: int, reduction: str, **_: Any
) -> Relation:
    labels = tuple(range(x.ndim))
    kept = (*labels[:axis], *labels[axis + 1 :])
    output = kept if reduction == "none" else ()
    return Relation((labels, kept, *[("class",)] * len(weight)), (output,))


def _labels_valid(
    x: Any, target: Any, *weight: Any, axis: int, ignore_index: int | None, **_: Any
) -> Any:
    return classes.labels_valid(target, x.shape[axis], ignore_index)


def _along_classes(g: Any, x: Any, axis: int, reduction: str) -> Any:
    """A gradient of the loss with an axis of extent 1 for the classes."""
    if reduction != "none":
        return g
    return reshape(g, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))


def _reduced(losses: Any, axis: int, reduction: str) -> Any:
    """Terms summed as a loss sums them; a mean's divisor is in the terms already."""
    return sum(losses, axis=axis if reduction == "none" else None)


# Softmax cross-entropy


def _cross_entropy(
    x: Array,
    target: Array,
    *weight: Array,
    axis: int,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Any:
    check_target(x, target, weight, axis)
    rows = rows_of(x, axis)
    count = rows.shape[1]
    index, weights, total = row_weights(target, weight, count, ignore_index, x.dtype)
    shifted = rows - np.maximum.reduce(rows, axis=1, keepdims=True)
    log_sum = np.log(np.add.reduce(np.exp(shifted), axis=1))
    losses = log_sum - shifted[np.arange(index.size), index]
    if weights is not None:
        losses = np.where(weights == 0, 0, losses * weights)  # ignored rows may hold NaN
    if label_smoothing:
        spread = log_sum[:, None] - shifted
        spread = spread @ weight[0].astype(x.dtype) if weight else np.add.reduce(spread, axis=1)
        valid = read_classes(target, count, ignore_index)[1]
        spread = spread if valid is None else np.where(valid, spread, 0)
        losses = (1.0 - label_smoothing) * losses + (label_smoothing / count) * spread
    return reduce_rows(losses, total, reduction, target.shape)


def _slope(x: Any, target: Any, *weight: Any, axis: int, **params: Any) -> Any:
    """Derivative of each row's share of the loss by the scores: Σq·softmax(x) − q."""
    return less_target(_softmax(x, axis=(axis,)), target, *weight, axis=axis, **params)


cross_entropy: Primitive = general(
    "cross_entropy",
    _cross_entropy,
    vjp=[
        lambda g, y, x, target, *weight, axis, reduction, **params: (
            _along_classes(g, x, axis, reduction)
            * _slope(x, target, *weight, axis=axis, reduction=reduction, **params)
        ),
        None,
        None,
    ],
    jvp=[
        lambda dx, y, x, target, *weight, axis, reduction, **params: _reduced(
            dx * _slope(x, target, *weight, axis=axis, reduction=reduction, **params),
            axis,
            reduction,
        ),
        None,
        None,
    ],
    shape=_loss_shape,
    relation=_loss_relation,
    math=r"-\log \mathrm{softmax}({x})_{{target}}",
    numeric="any",
    native=classes.cross_entropy,
    valid=_labels_valid,
)


# Cross-entropy against a distribution


def _soft_cross_entropy(x: Array, q: Array, *, axis: int, reduction: str) -> Any:
    _check_soft(x, q)
    rows, weights = rows_of(x, axis), rows_of(q, axis)
    shifted = rows - np.maximum.reduce(rows, axis=1, keepdims=True)
    log_sum = np.log(np.add.reduce(np.exp(shifted), axis=1, keepdims=True))
    losses = np.add.reduce(weights * (log_sum - shifted), axis=1)
    return reduce_rows(losses, len(rows), reduction, (*x.shape[:axis], *x.shape[axis + 1 :]))


def _check_soft(x: Any, q: Any) -> None:
    if x.shape != q.shape:
        raise ShapeError(f"scores have shape {x.shape} but class probabilities {q.shape}")


def _soft_shape(x: Spec, q: Spec, *, axis: int, reduction: str) -> Spec:
    _check_soft(x, q)
    kept = (*x.shape[:axis], *x.shape[axis + 1 :])
    return Spec(kept if reduction == "none" else (), x.dtype)


def _soft_relation(x: Spec, q: Spec, *, axis: int, reduction: str) -> Relation:
    labels = tuple(range(x.ndim))
    output = (*labels[:axis], *labels[axis + 1 :]) if reduction == "none" else ()
    return Relation((labels, labels), (output,))


def _upstream(g: Any, x: Any, axis: int, reduction: str) -> Any:
    """The gradient of each row's loss, with an axis of extent 1 for the classes."""
    if reduction == "mean":
        return g * (1.0 / (prod(x.shape[:axis] + x.shape[axis + 1 :]) or 1))
    return _along_classes(g, x, axis, reduction)


soft_cross_entropy: Primitive = general(
    "soft_cross_entropy",
    _soft_cross_entropy,
    vjp=[
        lambda g, y, x, q, *, axis, reduction: (
            _upstream(g, x, axis, reduction)
            * (sum(q, axis=axis, keepdims=True) * softmax(x, axis=axis) - q)
        ),
        transpose(
            lambda g, x, q, *, axis, reduction: (
                -_upstream(g, x, axis, reduction) * log_softmax(x, axis=axis)
            )
        ),
    ],
    shape=_soft_shape,
    relation=_soft_relation,
    math=r"-\sum {q} \log \mathrm{softmax}({x})",
    numeric="float",
    native=classes.soft_cross_entropy,
)


# Negative log-likelihood: linear in the log-probabilities


def _nll(
    x: Array, target: Array, *weight: Array, axis: int, ignore_index: int | None, reduction: str
) -> Any:
    check_target(x, target, weight, axis)
    rows = rows_of(x, axis)
    index, weights, total = row_weights(target, weight, rows.shape[1], ignore_index, x.dtype)
    losses = -rows[np.arange(index.size), index]
    if weights is not None:
        losses = np.where(weights == 0, 0, losses * weights)
    return reduce_rows(losses, total, reduction, target.shape)


nll: Primitive = linear(
    "nll",
    _nll,
    transpose=[
        lambda g, x, target, *weight, axis, ignore_index, reduction: (
            -_along_classes(g, x, axis, reduction)
            * target_distribution(
                target,
                *weight,
                classes=x.shape[axis],
                axis=axis,
                ignore_index=ignore_index,
                label_smoothing=0.0,
                reduction=reduction,
                dtype=dtype_name(x.dtype),
            )
        ),
        None,
        None,
    ],
    shape=_loss_shape,
    relation=_loss_relation,
    math="-{x}_{{target}}",
    numeric="any",
    native=classes.nll,
    valid=_labels_valid,
)


# Multi-class hinge


def _multi_hinge(
    x: Array, target: Array, *, p: int, margin: float, average: bool, reduction: str
) -> Any:
    axis = x.ndim - 1
    check_target(x, target, (), axis)
    rows = rows_of(x, axis)
    index, _ = read_classes(target, rows.shape[1], None)
    each = np.arange(index.size)
    excess = rows - rows[each, index][:, None] + margin  # (m, classes)
    np.maximum(excess, 0, out=excess)
    excess[each, index] = 0
    losses = np.add.reduce(excess if p == 1 else excess * excess, axis=1)
    if average:
        losses = losses / rows.shape[1]
    return reduce_rows(losses, len(rows), reduction, target.shape)


def _hinge_slope(
    x: Any, target: Any, *, p: int, margin: float, average: bool, reduction: str
) -> Any:
    """1 for each class over the margin (p = 1), minus their number at the target class."""
    axis = x.ndim - 1
    chosen = target_distribution(
        target,
        classes=x.shape[axis],
        axis=axis,
        ignore_index=None,
        label_smoothing=0.0,
        reduction="none",
        dtype=dtype_name(x.dtype),
    )
    excess = x - sum(x * chosen, axis=axis, keepdims=True) + margin
    active = where(excess > 0, (1 if p == 1 else 2 * excess) * (1 - chosen), 0)
    slope = active - chosen * sum(active, axis=axis, keepdims=True)
    rows = prod(x.shape[:axis]) or 1
    divisor = (x.shape[axis] if average else 1) * (rows if reduction == "mean" else 1)
    return slope * (1.0 / divisor)


multi_hinge: Primitive = general(
    "multi_hinge",
    _multi_hinge,
    vjp=[
        lambda g, y, x, target, **params: (
            _along_classes(g, x, x.ndim - 1, params["reduction"])
            * _hinge_slope(x, target, **params)
        ),
        None,
    ],
    jvp=[
        lambda dx, y, x, target, **params: _reduced(
            dx * _hinge_slope(x, target, **params), x.ndim - 1, params["reduction"]
        ),
        None,
    ],
    shape=lambda x, target, **params: _loss_shape(x, target, axis=x.ndim - 1, **params),
    relation=lambda x, target, **params: _loss_relation(x, target, axis=x.ndim - 1, **params),
    math=r"\sum_{j \ne {target}} \max(0, {x}_j - {x}_{{target}} + 1)",
    kink="0 where a score lies exactly at the margin",
    numeric="any",
    native=classes.multi_hinge,
    valid=lambda x, target, **params: classes.labels_valid(target, x.shape[-1], None),
)
