"""Rows of limpid/ops/reduce.py; those of `sum` are in core.py."""

import numpy as np

import limpid
from tests.table import Row, Sample, booleans, distinct, integers, named, normal, positive


def with_zeros(*places: int) -> Sample:
    """A 3 × 4 matrix with zeros at some places."""

    def sample(rng: np.random.Generator) -> np.ndarray:
        x = rng.uniform(0.5, 2.0, size=(3, 4)) * rng.choice([-1.0, 1.0], size=(3, 4))
        x.flat[list(places)] = 0.0
        return x

    return named(sample, f"zeros at {places}")


def ties(rng: np.random.Generator) -> np.ndarray:
    return np.array([[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0]])


ROWS = [
    Row("sum", limpid.sum, (integers(-5, 5, 3, 4),), np.sum, order=0),
    Row("sum", lambda x: limpid.sum(x, 0), (booleans(3, 4),), lambda x: x.sum(0), order=0),
    Row("sum", lambda x: limpid.sum(x, axis=()), (normal(2, 3),), lambda x: x, label="no axis"),
    Row("sum", limpid.sum, (normal(0, 3),), np.sum, label="empty"),
    Row("sum", lambda x: limpid.sum(x, axis=0), (normal(5000, 2),), lambda x: x.sum(0),
        lambda t, x: x.sum(0), label="long", tolerance=1e-5),
    Row("prod", limpid.prod, (positive(5),), np.prod, lambda t, x: x.prod()),
    Row("prod", limpid.prod, (positive(),), np.prod, lambda t, x: x.prod()),
    Row("prod", lambda x: limpid.prod(x, -2), (positive(2, 3, 4),), lambda x: x.prod(1),
        lambda t, x: x.prod(1)),
    Row("prod", lambda x: limpid.prod(x, (0, -1), keepdims=True), (positive(2, 3, 4),),
        lambda x: x.prod((0, 2), keepdims=True),
        lambda t, x: x.prod(0, keepdim=True).prod(2, keepdim=True)),
    Row("prod", lambda x: limpid.prod(x, 1), (with_zeros(2),), lambda x: x.prod(1),
        lambda t, x: x.prod(1)),
    Row("prod", lambda x: limpid.prod(x, 1), (with_zeros(0, 3, 5, 6, 7),), lambda x: x.prod(1),
        lambda t, x: x.prod(1)),
    Row("prod", limpid.prod, (with_zeros(7),), np.prod, lambda t, x: x.prod()),
    Row("prod", lambda x: limpid.prod(x, axis=()), (normal(2, 3),), lambda x: x, label="no axis"),
    Row("prod", lambda x: limpid.prod(x, 0), (normal(0, 3),), lambda x: x.prod(0), label="empty"),
    Row("max", limpid.max, (distinct(7),), np.max, lambda t, x: x.amax()),
    Row("max", lambda x: limpid.max(x, -1), (distinct(3, 4),), lambda x: x.max(1),
        lambda t, x: x.amax(1)),
    Row("max", lambda x: limpid.max(x, (0, 2), True), (distinct(2, 3, 4),),
        lambda x: x.max((0, 2), keepdims=True), lambda t, x: x.amax((0, 2), keepdim=True)),
    Row("max", lambda x: limpid.max(x, 1), (integers(0, 9, 3, 4),), lambda x: x.max(1), order=0),
    Row("max", lambda x: limpid.max(x, axis=()), (normal(2, 3),), lambda x: x, label="no axis"),
    Row("max", lambda x: limpid.max(x, 1), (normal(0, 3),), lambda x: x.max(1), label="empty"),
    Row("min", lambda x: limpid.min(x, -2), (distinct(3, 4),), lambda x: x.min(0),
        lambda t, x: x.amin(0)),
    Row("min", lambda x: limpid.min(x, keepdims=True), (distinct(3, 4),),
        lambda x: x.min(keepdims=True), lambda t, x: x.amin((0, 1), keepdim=True)),
    Row("any", lambda x: limpid.any(x, (0, 2)), (booleans(2, 3, 2),), lambda x: x.any((0, 2)),
        order=0),
    Row("any", limpid.any, (normal(3),), np.any, order=0),
    Row("all", lambda x: limpid.all(x, -1, True), (booleans(3, 2),),
        lambda x: x.all(1, keepdims=True), order=0),
    Row("all", limpid.all, (integers(0, 2, 3),), np.all, order=0),
    Row("count_nonzero", lambda x: limpid.count_nonzero(x, 1), (integers(-1, 2, 3, 8),),
        lambda x: np.count_nonzero(x, 1), order=0),
    Row("count_nonzero", limpid.count_nonzero, (with_zeros(1, 5, 6),), np.count_nonzero, order=0),
]  # fmt: skip
