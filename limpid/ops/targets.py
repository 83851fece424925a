"""Targets that name a class: reading them, and the distribution that they stand for.

Class numbers and class weights are constant operands of a loss. What they mean for its sum is a
matrix `q` of the shape of the scores: the loss is Σ q·(−log p), where q holds the weights, the
smoothing and, for a mean, the divisor.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.graph.dtype import as_dtype
from limpid.graph.node import Array, Spec
from limpid.ops.plain import classes as plain
from limpid.ops.reduce import sum

_UNSIGNED: dict[int, Any] = {n: np.dtype(f"u{n}") for n in (1, 2, 4, 8)}


# Reading targets: what scores, class numbers and weights are on NumPy


def rows_of(x: Array, axis: int) -> Array:
    """Scores with the classes last and all else as one axis: (m, classes)."""
    if x.ndim == 2 and axis == 1:
        return x
    shape = x.shape
    x = np.moveaxis(x, axis, -1)
    return x.reshape(prod(shape[:axis] + shape[axis + 1 :]), shape[axis])


def unrows(rows: Array, shape: tuple[int, ...], axis: int) -> Array:
    """The inverse of `rows_of` for scores of this shape."""
    return np.moveaxis(rows.reshape(*shape[:axis], *shape[axis + 1 :], shape[axis]), -1, axis)


def read_classes(
    target: Array, classes: int, ignore_index: int | None
) -> tuple[Array, Array | None]:
    """Class numbers (m,), and which of them count; None if all do."""
    index = target.reshape(-1)
    if index.dtype.kind not in "iu":
        raise DTypeError(f"class numbers must be integers, not {target.dtype}")
    if not index.size:
        return index, None
    largest = np.maximum.reduce(index.view(_UNSIGNED[index.itemsize]))  # negative ones are huge
    if largest < classes and (ignore_index is None or not 0 <= ignore_index < classes):
        return index, None
    counted = index != ignore_index if ignore_index is not None else np.ones(index.shape, bool)
    wrong = index[counted & ((index < 0) | (index >= classes))]
    if wrong.size:
        raise ArgumentError(
            f"the target holds class {wrong[0]}, but there are {classes} classes, numbered from 0"
            f"\nremedy: check the labels and the width of the last layer"
        )
    return np.where(counted, index, 0), counted


def row_weights(
    target: Array, weight: tuple[Array, ...], classes: int, ignore_index: int | None, dtype: Any
) -> tuple[Array, Array | None, Any]:
    """Class numbers, the weight of each row (None: all 1) and the sum of the weights."""
    index, counted = read_classes(target, classes, ignore_index)
    if not weight:
        if counted is None:
            return index, None, index.size
        return index, counted.astype(dtype), int(np.count_nonzero(counted))
    weights = weight[0].astype(dtype, copy=False)[index]
    if counted is not None:
        weights = weights * counted
    return index, weights, float(weights.sum())


def reduce_rows(losses: Array, total: Any, reduction: str, shape: tuple[int, ...]) -> Any:
    """The loss of each row reduced, or in the shape of the target."""
    if reduction == "none":
        return losses.reshape(shape)
    summed = np.add.reduce(losses)
    if reduction == "sum":
        return summed
    return summed / total if total else summed * np.nan  # the mean of nothing


def check_target(x: Any, target: Any, weight: Any, axis: int) -> None:
    """Raise ShapeError unless target and weight fit the scores."""
    shape = x.shape
    expected = shape[:1] if len(shape) == 2 and axis else (*shape[:axis], *shape[axis + 1 :])
    if target.shape != expected:
        raise ShapeError(
            f"scores of shape {x.shape} have their {x.shape[axis]} classes on axis {axis}, so the "
            f"class numbers must have shape {expected}, not {target.shape}"
        )
    if not x.shape[axis]:
        raise ShapeError(f"scores of shape {x.shape} have no classes on axis {axis}")
    if weight and weight[0].shape != (x.shape[axis],):
        raise ShapeError(f"there are {x.shape[axis]} classes but weights of {weight[0].shape}")


# The distribution that a target stands for


def _distribution(
    target: Array,
    *weight: Array,
    classes: int,
    axis: int,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    dtype: str,
) -> Array:
    storage = as_dtype(dtype).storage
    index, weights, total = row_weights(target, weight, classes, ignore_index, storage)
    counted = read_classes(target, classes, ignore_index)[1]
    rows = np.arange(index.size) if counted is None else np.flatnonzero(counted)
    divisor = (total or np.nan) if reduction == "mean" else 1
    share: Any = 1.0 - label_smoothing
    q = np.zeros((index.size, classes), storage)
    q[rows, index[rows]] = (share if weights is None else share * weights[rows]) / divisor
    if label_smoothing:
        smooth: Any = weight[0].astype(storage) if weight else np.ones(classes, storage)
        q[rows] += smooth * (label_smoothing / classes) / divisor
    return unrows(q, (*target.shape[:axis], classes, *target.shape[axis:]), axis)


target_distribution: Primitive = general(
    "target_distribution",
    _distribution,
    vjp=[None, None],
    shape=lambda target, *weight, classes, axis, dtype, **_: Spec(
        (*target.shape[:axis], classes, *target.shape[axis:]), as_dtype(dtype)
    ),
    relation=lambda target, *weight, axis, **_: Relation(
        (tuple(range(target.ndim)), *[("class",)] * len(weight)),
        ((*range(axis), "class", *range(axis, target.ndim)),),
    ),
    math="q({target})",
    numeric="any",
    native=plain.target_distribution,
    valid=lambda target, *weight, classes, ignore_index, **_: plain.labels_valid(
        target, classes, ignore_index
    ),
)


def dtype_name(dtype: Any) -> str:
    return as_dtype(dtype).name


# Probabilities less the target


def _less_target(
    p: Array,
    target: Array,
    *weight: Array,
    axis: int,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Array:
    if weight or label_smoothing:
        q = _distribution(
            target,
            *weight,
            classes=p.shape[axis],
            axis=axis,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
            dtype=p.dtype.name,
        )
        share = np.add.reduce(q, axis=axis, keepdims=True)
        return np.where(share == 0, -q, share * p - q)  # ignored rows may hold NaN
    rows = rows_of(p, axis)
    index, counted, total = row_weights(target, (), rows.shape[1], ignore_index, p.dtype)
    factor: Any = 1.0 if reduction != "mean" else 1.0 / total if total else np.nan
    y = rows * factor
    y[np.arange(index.size), index] -= p.dtype.type(factor)
    if counted is not None:
        y[counted == 0] = 0
    return y if rows is p else unrows(y, p.shape, axis)


# s·p − q for probabilities p, where s = Σq: the derivative of each row's loss by its scores.
less_target: Primitive = general(
    "less_target",
    _less_target,
    vjp=[
        lambda g, y, p, target, *weight, axis, **params: (
            g * _shares(p, target, *weight, axis=axis, **params)
        ),
        None,
        None,
    ],
    jvp=[
        lambda dp, y, p, target, *weight, axis, **params: (
            dp * _shares(p, target, *weight, axis=axis, **params)
        ),
        None,
        None,
    ],
    shape=lambda p, target, *weight, **params: p,
    relation=lambda p, target, *weight, axis, **params: Relation(
        (tuple(range(p.ndim)), _without(axis, p.ndim), *[("class",)] * len(weight)),
        (tuple(range(p.ndim)),),
    ),
    math="{p} - q({target})",
    numeric="any",
    native=plain.less_target,
    valid=lambda p, target, *weight, axis, ignore_index, **_: plain.labels_valid(
        target, p.shape[axis], ignore_index
    ),
)


def _shares(p: Any, target: Any, *weight: Any, axis: int, **params: Any) -> Any:
    """s = Σq of each row, with an axis of extent 1 for the classes."""
    q = target_distribution(
        target, *weight, classes=p.shape[axis], axis=axis, dtype=dtype_name(p.dtype), **params
    )
    return sum(q, axis=axis, keepdims=True)


def _without(axis: int, rank: int) -> tuple[int, ...]:
    return (*range(axis), *range(axis + 1, rank))
