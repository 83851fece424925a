"""Rows of limpid/ops/cumulative.py."""

from typing import Any

import numpy as np

import limpid
from tests.rows.reduce import with_zeros
from tests.table import Row, integers, normal, positive, uniform

shift = limpid.primitives["shift"]


def backwards(accumulate: Any, axis: int) -> Any:
    """A running operation from the right."""
    return lambda x: np.flip(accumulate(np.flip(x, axis), axis=axis), axis)


def exclusive(x: np.ndarray, axis: int) -> np.ndarray:
    ones = np.ones_like(np.take(x, [0], axis))
    shorter = np.take(x, range(x.shape[axis] - 1), axis)
    return np.cumprod(np.concatenate([ones, shorter], axis), axis)


def recurrence(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    h = np.zeros(b.shape)
    for t in range(b.shape[-1]):
        h[..., t] = b[..., t] + (a[..., t] * h[..., t - 1] if t else 0)
    return h


def torch_recurrence(t: Any, a: Any, b: Any) -> Any:
    h = [b[..., 0]]
    for n in range(1, b.shape[-1]):
        h.append(a[..., n] * h[-1] + b[..., n])
    return t.stack(h, -1)


ROWS = [
    Row("cumsum", limpid.cumsum, (normal(3, 4),), np.cumsum, lambda t, x: x.flatten().cumsum(0)),
    Row("cumsum", lambda x: limpid.cumsum(x, -2), (normal(2, 3, 4),), lambda x: x.cumsum(1),
        lambda t, x: x.cumsum(1)),
    Row("cumsum", lambda x: limpid.cumsum(x, 1, reverse=True), (normal(2, 5),),
        backwards(np.cumsum, 1), lambda t, x: x.flip(1).cumsum(1).flip(1), label="reverse"),
    Row("cumsum", limpid.cumsum, (normal(0),), np.cumsum),
    Row("cumsum", lambda x: limpid.cumsum(x, 0), (integers(0, 9, 3, 2),), lambda x: x.cumsum(0),
        order=0),
    Row("shift", lambda x: shift(x, axis=1, by=1), (normal(2, 4, 3),),
        lambda x: np.concatenate([np.zeros((2, 1, 3)), x[:, :-1]], 1)),
    Row("shift", lambda x: shift(x, axis=0, by=-2), (normal(5),),
        lambda x: np.concatenate([x[2:], np.zeros(2)])),
    Row("shift", lambda x: shift(x, axis=0, by=7), (normal(5),), lambda x: np.zeros(5), order=0,
        label="all out"),
    Row("linear_recurrence", limpid.linear_recurrence, (normal(5), normal(5)), recurrence,
        torch_recurrence),
    Row("linear_recurrence", limpid.linear_recurrence, (normal(20, 4), normal(20, 4)), recurrence,
        torch_recurrence),
    Row("linear_recurrence", lambda a, b: limpid.linear_recurrence(a, b, 0, reverse=True),
        (normal(4, 20), normal(4, 20)), lambda a, b: recurrence(a[::-1].T, b[::-1].T).T[::-1],
        lambda t, a, b: torch_recurrence(t, a.flip(0).T, b.flip(0).T).T.flip(0), label="reverse"),
    Row("linear_recurrence", limpid.linear_recurrence, (normal(3, 1), normal(4)),
        lambda a, b: recurrence(*np.broadcast_arrays(a, b)),
        lambda t, a, b: torch_recurrence(t, *t.broadcast_tensors(a, b))),
    Row("cumprod", limpid.cumprod, (positive(2, 3),), np.cumprod,
        lambda t, x: x.flatten().cumprod(0)),
    Row("cumprod", lambda x: limpid.cumprod(x, -1), (with_zeros(1, 4, 6, 8, 9),),
        lambda x: x.cumprod(1), lambda t, x: x.cumprod(1)),
    Row("cumprod", lambda x: limpid.cumprod(x, 1, reverse=True), (normal(2, 3, 4),),
        backwards(np.cumprod, 1), lambda t, x: x.flip(1).cumprod(1).flip(1), label="reverse"),
    Row("cumprod", lambda x: limpid.cumprod(x, 1, exclusive=True), (with_zeros(1, 4, 6, 11),),
        lambda x: exclusive(x, 1), label="exclusive",
        torch=lambda t, x: t.cat([t.ones_like(x[:, :1]), x[:, :-1]], 1).cumprod(1)),
    Row("cumprod", lambda x: limpid.cumprod(x, 0, exclusive=True, reverse=True), (normal(4, 3),),
        lambda x: exclusive(x[::-1], 0)[::-1], label="exclusive, reverse"),
    Row("cumprod", lambda x: limpid.cumprod(x, 0, exclusive=True), (normal(0, 3),), lambda x: x,
        label="empty"),
    Row("logcumsumexp", limpid.logcumsumexp, (normal(6),), np.logaddexp.accumulate,
        lambda t, x: x.logcumsumexp(0)),
    Row("logcumsumexp", lambda x: limpid.logcumsumexp(x, 1), (uniform(-300, 300, 2, 5, 9),),
        lambda x: np.logaddexp.accumulate(x, 1), lambda t, x: x.logcumsumexp(1), label="wide"),
    Row("logcumsumexp", lambda x: limpid.logcumsumexp(x, 0, reverse=True), (normal(4, 3),),
        backwards(np.logaddexp.accumulate, 0), lambda t, x: x.flip(0).logcumsumexp(0).flip(0),
        label="reverse"),
]  # fmt: skip
