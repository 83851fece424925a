"""Losses of a choice among classes in plain steps, along the axis that the classes are on.

No scores are moved: a label becomes an axis of extent 1 where the classes are, and what concerns
the chosen class only is told from the others by comparing numbers.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from limpid.graph.dtype import as_dtype


class Rows(NamedTuple):
    """What labels say, all with an axis of extent 1 for the classes."""

    index: Any  # the class; any where the row does not count
    counted: Any  # which rows count; None if all do
    weights: Any  # of the rows; None if all are 1 or 0
    total: Any  # the sum of the weights: a number, or an array ()


def labels_valid(target: Any, classes: int, ignore_index: int | None) -> Any:
    """Whether all labels are numbers of classes, or to be ignored."""
    index = target.astype(np.int64)
    found = (index >= 0) & (index < classes)
    if ignore_index is not None:
        found = found | (index == ignore_index)
    return found.all()


def _rows(
    target: Any, weight: tuple[Any, ...], axis: int, ignore_index: int | None, dtype: Any
) -> Rows:
    index = np.expand_dims(target, axis).astype(np.int64)
    counted = None if ignore_index is None else index != ignore_index
    if counted is not None:
        index = np.where(counted, index, 0)
    if not weight:
        if counted is None:
            return Rows(index, None, None, target.size)
        return Rows(index, counted, None, counted.sum(dtype=np.int64).astype(dtype))
    weights = np.take(weight[0].astype(dtype), index, 0)
    if counted is not None:
        weights = weights * counted
    return Rows(index, counted, weights, weights.sum())


def _divisor(total: Any) -> Any:
    """What a mean is divided by: NaN where nothing counts."""
    if type(total) is int:
        return total or np.nan
    return np.where(total == 0, total.dtype.type(np.nan), total)


def _reduced(losses: Any, total: Any, reduction: str, shape: tuple[int, ...]) -> Any:
    if reduction == "none":
        return losses.reshape(shape)
    summed = losses.sum()
    return summed / _divisor(total) if reduction == "mean" else summed


def _along(x: Any, rank: int, axis: int) -> Any:
    """A vector along the axis of the classes."""
    return x.reshape((*(1,) * axis, x.shape[0], *(1,) * (rank - axis - 1)))


def _is_chosen(index: Any, classes: int, axis: int) -> Any:
    """Which class a label names, among all of them."""
    numbers = np.arange(classes, dtype=np.int32)  # lanes as wide as those of most scores
    return index.astype(np.int32) == _along(numbers, index.ndim, axis)


def cross_entropy(
    x: Any,
    target: Any,
    *weight: Any,
    axis: int,
    ignore_index: int | None,
    label_smoothing: float,
    reduction: str,
) -> Any:
    """Softmax cross-entropy."""
    classes = x.shape[axis]
    rows = _rows(target, weight, axis, ignore_index, x.dtype)
    largest = np.maximum.reduce(x, axis=axis, keepdims=True)
    shifted = x - largest
    log_sum = np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))
    losses = log_sum - (np.take_along_axis(x, rows.index, axis) - largest)
    if rows.weights is not None:
        losses = np.where(rows.weights == 0, 0, losses * rows.weights)
    elif rows.counted is not None:
        losses = np.where(rows.counted, losses, 0)
    if label_smoothing:
        spread = log_sum - shifted
        if weight:
            spread = spread * _along(weight[0].astype(x.dtype), x.ndim, axis)
        spread = np.add.reduce(spread, axis=axis, keepdims=True)
        if rows.counted is not None:
            spread = np.where(rows.counted, spread, 0)
        losses = (1.0 - label_smoothing) * losses + (label_smoothing / classes) * spread
    return _reduced(losses, rows.total, reduction, target.shape)


def nll(
    x: Any, target: Any, *weight: Any, axis: int, ignore_index: int | None, reduction: str
) -> Any:
    """Negative log-likelihood."""
    rows = _rows(target, weight, axis, ignore_index, x.dtype)
    losses = -np.take_along_axis(x, rows.index, axis)
    if rows.weights is not None:
        losses = np.where(rows.weights == 0, 0, losses * rows.weights)
    elif rows.counted is not None:
        losses = np.where(rows.counted, losses, 0)
    return _reduced(losses, rows.total, reduction, target.shape)


def soft_cross_entropy(x: Any, q: Any, *, axis: int, reduction: str) -> Any:
    """Cross-entropy against a distribution."""
    shifted = x - np.maximum.reduce(x, axis=axis, keepdims=True)
    log_sum = np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))
    losses = np.add.reduce(q * (log_sum - shifted), axis=axis, keepdims=True)
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return _reduced(losses, prod(shape), reduction, shape)


def multi_hinge(
    x: Any, target: Any, *, p: int, margin: float, average: bool, reduction: str
) -> Any:
    """The multi-class hinge loss."""
    axis, classes = x.ndim - 1, x.shape[-1]
    index = np.expand_dims(target, axis).astype(np.int64)
    excess = np.maximum(x - np.take_along_axis(x, index, axis) + margin, 0)
    excess = np.where(_is_chosen(index, classes, axis), 0, excess)
    losses = np.add.reduce(excess if p == 1 else excess * excess, axis=axis, keepdims=True)
    if average:
        losses = losses / classes
    return _reduced(losses, target.size, reduction, target.shape)


class Shares(NamedTuple):
    """The distribution q of each row: `chosen` at its class, and `smooth` times the class weights.

    Numbers, or arrays with an axis of extent 1 for the classes.
    """

    rows: Rows
    chosen: Any
    smooth: Any


def _shares(
    target: Any,
    weight: tuple[Any, ...],
    axis: int,
    classes: int,
    ignore_index: int | None,
    label_smoothing: float,
    reduction: str,
    dtype: Any,
) -> Shares:
    rows = _rows(target, weight, axis, ignore_index, dtype)
    divisor = _divisor(rows.total) if reduction == "mean" else 1
    share: Any = 1.0 - label_smoothing
    smooth: Any = 0.0
    chosen = (share if rows.weights is None else share * rows.weights) / divisor
    if label_smoothing:
        smooth = (label_smoothing / classes) / divisor
    if rows.counted is not None:
        zero = np.zeros((), dtype)
        chosen = np.where(rows.counted, chosen, zero)
        smooth = np.where(rows.counted, smooth, zero) if label_smoothing else 0.0
    return Shares(rows, chosen, smooth)


def _distribution(
    shares: Shares, weight: tuple[Any, ...], classes: int, axis: int, dtype: Any
) -> Any:
    index = shares.rows.index
    zero = np.zeros((), dtype)
    q = np.where(_is_chosen(index, classes, axis), shares.chosen, zero)
    if type(shares.smooth) is float and not shares.smooth:
        return q
    smooth = shares.smooth
    return q + (smooth * _along(weight[0].astype(dtype), index.ndim, axis) if weight else smooth)


def target_distribution(
    target: Any,
    *weight: Any,
    classes: int,
    axis: int,
    ignore_index: int | None,
    label_smoothing: float,
    reduction: str,
    dtype: str,
) -> Any:
    """The distribution that labels stand for."""
    kind = as_dtype(dtype).storage
    how = axis, classes, ignore_index, label_smoothing, reduction, kind
    return _distribution(_shares(target, weight, *how), weight, classes, axis, kind).astype(kind)


def less_target(
    p: Any,
    target: Any,
    *weight: Any,
    axis: int,
    ignore_index: int | None,
    label_smoothing: float,
    reduction: str,
) -> Any:
    """s·p − q for probabilities p, where s = Σ q; 0 in rows that do not count."""
    classes, kind = p.shape[axis], p.dtype
    how = axis, classes, ignore_index, label_smoothing, reduction, kind
    shares = _shares(target, weight, *how)
    q = _distribution(shares, weight, classes, axis, kind)
    if not weight and not label_smoothing:
        y = p * shares.chosen - q
        return y if shares.rows.counted is None else np.where(shares.rows.counted, y, 0)
    whole = weight[0].astype(kind).sum() if weight else classes
    total = shares.chosen + shares.smooth * whole if label_smoothing else shares.chosen
    return np.where(total == 0, -q, total * p - q)
