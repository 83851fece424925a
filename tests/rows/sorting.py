"""Rows of limpid/ops/sorting.py."""

import numpy as np

import limpid
from tests.table import Row, booleans, distinct, integers, normal


def descending(x: np.ndarray, axis: int) -> np.ndarray:
    return np.flip(np.sort(x, axis), axis)


def running(ufunc: np.ufunc, x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Values, and by comparison with each of them the first place where it is met."""
    values = ufunc.accumulate(x, axis)
    first = np.apply_along_axis(
        lambda v: np.argmax(v[None] == ufunc.accumulate(v)[:, None], 1), axis, x
    )
    return values, first


ROWS = [
    Row("sort", limpid.sort, (distinct(3, 5),), np.sort, lambda t, x: x.sort(-1)[0]),
    Row("sort", lambda x: limpid.sort(x, 0, descending=True), (distinct(5, 2),),
        lambda x: descending(x, 0), lambda t, x: x.sort(0, descending=True)[0]),
    Row("sort", lambda x: limpid.sort(x, None), (distinct(2, 3),), lambda x: np.sort(x, None),
        lambda t, x: x.flatten().sort()[0], label="flattened"),
    Row("sort", lambda x: limpid.sort(x, -2), (integers(0, 4, 3, 4, 2),), lambda x: np.sort(x, 1),
        order=0),
    Row("argsort", limpid.argsort, (integers(0, 3, 4, 6),),
        lambda x: np.argsort(x, kind="stable"), order=0),
    Row("argsort", lambda x: limpid.argsort(x, 0, descending=True), (distinct(6, 2),),
        lambda x: np.argsort(-x, 0), order=0),
    Row("topk", lambda x: limpid.topk(x, 3), (distinct(2, 6),),
        lambda x: (descending(x, 1)[:, :3], np.argsort(-x, 1)[:, :3]),
        lambda t, x: tuple(x.topk(3))),
    Row("topk", lambda x: limpid.topk(x, 2, 0, largest=False), (distinct(4, 3),),
        lambda x: (np.sort(x, 0)[:2], np.argsort(x, 0)[:2]),
        lambda t, x: tuple(x.topk(2, 0, largest=False))),
    Row("topk", lambda x: limpid.topk(x, 0), (distinct(3),),
        lambda x: (np.zeros(0), np.zeros(0)), label="none of them", order=0),
    Row("cummax", limpid.cummax, (distinct(7),), lambda x: running(np.maximum, x, 0),
        lambda t, x: tuple(x.cummax(0))),
    Row("cummax", lambda x: limpid.cummax(x, -2), (distinct(2, 5, 3),),
        lambda x: running(np.maximum, x, 1), lambda t, x: tuple(x.cummax(1))),
    Row("cummin", lambda x: limpid.cummin(x, 1), (distinct(3, 6),),
        lambda x: running(np.minimum, x, 1), lambda t, x: tuple(x.cummin(1))),
    Row("cummin", limpid.cummin, (integers(0, 4, 3, 6),), lambda x: running(np.minimum, x, 1),
        order=0),
    Row("argmax", limpid.argmax, (distinct(3, 4),), np.argmax, order=0),
    Row("argmax", lambda x: limpid.argmax(x, -1, True), (integers(0, 3, 4, 5),),
        lambda x: np.argmax(x, 1, keepdims=True), order=0),
    Row("argmin", lambda x: limpid.argmin(x, 0), (normal(3, 4),), lambda x: np.argmin(x, 0),
        order=0),
    Row("argmin", limpid.argmin, (booleans(5),), np.argmin, order=0),
]  # fmt: skip
