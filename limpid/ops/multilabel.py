"""The hinge loss of several labels: each should lie a margin of 1 above all other classes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.graph.dtype import as_dtype
from limpid.graph.node import Array, Spec
from limpid.ops.reduce import sum
from limpid.ops.targets import reduce_rows, rows_of


def _check_labels(x: Any, target: Any) -> None:
    if len(x.shape) not in (1, 2) or x.shape != target.shape:
        raise ShapeError(
            f"scores have shape (N, C) or (C), and their labels, filled up with −1, the same; here "
            f"they are {x.shape} and {target.shape}"
        )
    if as_dtype(target.dtype).kind != "int":
        raise DTypeError(f"class numbers must be integers, not {target.dtype}")


def _labels(x: Array, target: Array) -> tuple[Array, Array, Array, Array]:
    """Scores (m, C), labels (m, C), which of them count (m, C), and which classes are labels."""
    _check_labels(x, target)
    axis = x.ndim - 1
    rows, labels = rows_of(x, axis), rows_of(target, axis).astype(np.int64)
    classes = rows.shape[1]
    wrong = labels[(labels < -1) | (labels >= classes)]
    if wrong.size:
        raise ArgumentError(
            f"the target holds class {wrong[0]}, but there are {classes} classes, numbered from 0"
        )
    counted = np.logical_and.accumulate(labels >= 0, axis=1)
    positive = np.zeros(rows.shape, bool)
    at, place = np.nonzero(counted)
    positive[at, labels[at, place]] = True
    return rows, labels, counted, positive


def _excesses(
    rows: Array, labels: Array, counted: Array, positive: Array
) -> Iterator[tuple[Array, Array, Array]]:
    """For the first, second … label: who has one, which, and by how much each class is too high."""
    for place in range(int(counted.sum(axis=1).max(initial=0))):
        at = np.flatnonzero(counted[:, place])
        label = labels[at, place]
        excess = np.maximum(1 - rows[at, label][:, None] + rows[at], 0)  # (n, C)
        excess[positive[at]] = 0
        yield at, label, excess


def _multilabel_hinge(x: Array, target: Array, *, reduction: str) -> Any:
    rows, *labels = _labels(x, target)
    losses = np.zeros(len(rows), rows.dtype)
    for at, _, excess in _excesses(rows, *labels):
        losses[at] += np.add.reduce(excess, axis=1)
    losses /= rows.shape[1] or 1
    return reduce_rows(losses, len(rows), reduction, x.shape[:-1])


def _violations(x: Array, target: Array) -> Array:
    rows, *labels = _labels(x, target)
    y = np.zeros_like(rows)
    for at, label, excess in _excesses(rows, *labels):
        violated = excess > 0
        y[at] += violated
        y[at, label] -= np.count_nonzero(violated, axis=1)
    return y.reshape(x.shape)


def _same(x: Spec, target: Spec) -> Spec:
    _check_labels(x, target)
    return x


# How many labels each class comes too close to; for a label, minus the number of such classes.
margin_violations = general(
    "margin_violations",
    _violations,
    vjp=[None, None],
    shape=_same,
    relation=lambda x, target: Relation(((*range(x.ndim - 1), "class"),) * 2, (_mixed(x.ndim),)),
    numeric="any",
    math=r"\#({x}_j > {x}_{{target}} - 1)",
)


def _mixed(rank: int) -> tuple[Any, ...]:
    return (*range(rank - 1), "result")


def _slope(x: Any, target: Any, reduction: str) -> Any:
    rows = prod(x.shape[:-1]) or 1
    return margin_violations(x, target) * (
        1.0 / ((x.shape[-1] or 1) * (rows if reduction == "mean" else 1))
    )


def _along_classes(g: Any, x: Any, reduction: str) -> Any:
    return g.reshape((*x.shape[:-1], 1)) if reduction == "none" else g


def _loss_shape(x: Spec, target: Spec, *, reduction: str) -> Spec:
    _check_labels(x, target)
    return Spec(x.shape[:-1] if reduction == "none" else (), x.dtype)


multilabel_hinge: Primitive = general(
    "multilabel_hinge",
    _multilabel_hinge,
    vjp=[
        lambda g, y, x, target, *, reduction: (
            _along_classes(g, x, reduction) * _slope(x, target, reduction)
        ),
        None,
    ],
    jvp=[
        lambda dx, y, x, target, *, reduction: sum(
            dx * _slope(x, target, reduction), axis=-1 if reduction == "none" else None
        ),
        None,
    ],
    shape=_loss_shape,
    relation=lambda x, target, *, reduction: Relation(
        ((*range(x.ndim - 1), "class"),) * 2,
        (tuple(range(x.ndim - 1)) if reduction == "none" else (),),
    ),
    numeric="any",
    math=r"\sum_{i, j} \max(0, 1 - {x}_{{target}_j} + {x}_i) / C",
    kink="0 at the margin",
)
