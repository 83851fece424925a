"""Rows of limpid/ops/statistics.py."""

import numpy as np

import limpid
from tests.table import Row, Sample, away, distinct, integers, named, normal, uniform


def offset(distance: float, *shape: int) -> Sample:
    """Standard normal numbers, far from zero."""

    def sample(rng: np.random.Generator) -> np.ndarray:
        return rng.normal(size=shape) + distance

    return named(sample, f"{distance:g}+{shape}")


def _quantiles(method: str, q: float, *shape: int) -> Row:
    return Row(
        "quantile",
        lambda x: limpid.quantile(x, q, -1, method=method),
        (distinct(*shape),),
        lambda x: np.quantile(x, q, axis=-1, method=method),
        lambda t, x: t.quantile(x, q, -1, interpolation=method),
        label=f"{method}-{q}-{shape}",
    )


def _norms(ord: float) -> Row:
    return Row(
        "norm",
        lambda x: limpid.vector_norm(x, -1, ord=ord),
        (away(3, 4),),
        lambda x: np.linalg.norm(x, ord, -1),
        lambda t, x: t.linalg.vector_norm(x, ord, -1),
        order=1 if ord in (1, np.inf, -np.inf) else 2,
        label=f"order {ord}",
    )


ROWS = [
    Row("mean", limpid.mean, (normal(),), np.mean, lambda t, x: x.mean()),
    Row("mean", lambda x: limpid.mean(x, 1), (normal(2, 3, 4),), lambda x: x.mean(1),
        lambda t, x: x.mean(1)),
    Row("mean", lambda x: limpid.mean(x, (0, -1), True), (normal(2, 3, 4),),
        lambda x: x.mean((0, 2), keepdims=True), lambda t, x: x.mean((0, 2), keepdim=True)),
    Row("mean", lambda x: limpid.mean(x, 1), (normal(0, 3),), lambda x: x.mean(1), label="empty"),
    Row("var", limpid.var, (normal(7),), np.var, lambda t, x: x.var(correction=0)),
    Row("var", lambda x: limpid.var(x, -1, correction=1), (normal(3, 4),),
        lambda x: x.var(1, ddof=1), lambda t, x: x.var(1, correction=1)),
    Row("var", lambda x: limpid.var(x, (0, 2), keepdims=True), (offset(100, 2, 3, 4),),
        lambda x: x.var((0, 2), keepdims=True),
        lambda t, x: x.var((0, 2), correction=0, keepdim=True), dtypes=("float64",),
        value_tolerance=1e-10),
    Row("std", lambda x: limpid.std(x, 0), (normal(5, 2),), lambda x: x.std(0),
        lambda t, x: x.std(0, correction=0)),
    Row("std", lambda x: limpid.std(x, correction=1.5, keepdims=True), (normal(3, 4),),
        lambda x: x.std(ddof=1.5, keepdims=True)),
    Row("median", limpid.median, (distinct(7),), np.median, lambda t, x: x.median()),
    Row("median", lambda x: limpid.median(x, -1), (distinct(3, 4),), lambda x: np.median(x, 1),
        lambda t, x: x.quantile(0.5, 1)),
    Row("median", lambda x: limpid.median(x, (0, 1), True), (distinct(2, 3, 3),),
        lambda x: np.median(x, (0, 1), keepdims=True)),
    *[_quantiles(method, q, 3, n)
      for method in ("linear", "lower", "higher", "midpoint", "nearest")
      for q, n in ((0.3, 6), (0.5, 5))],
    Row("quantile", lambda x: limpid.quantile(x, (0.0, 0.4, 1.0), 1), (distinct(2, 7),),
        lambda x: np.quantile(x, (0, 0.4, 1), 1),
        lambda t, x: x.quantile(t.tensor([0, 0.4, 1], dtype=x.dtype), 1), label="several"),
    Row("quantile", lambda x: limpid.quantile(x, 0.7, (0, 2), True), (distinct(2, 3, 4),),
        lambda x: np.quantile(x, 0.7, (0, 2), keepdims=True), label="two axes"),
    *[_norms(order) for order in (1, 2, 3, 1.5, 0.5, -1, -2.5, np.inf, -np.inf)],
    Row("norm", lambda x: limpid.vector_norm(x, (0, 2), True), (normal(2, 3, 4),),
        lambda x: np.sqrt((x * x).sum((0, 2), keepdims=True)),
        lambda t, x: t.linalg.vector_norm(x, 2, (0, 2), keepdim=True)),
    Row("norm", limpid.norm, (normal(3, 4),), np.linalg.norm, lambda t, x: t.linalg.norm(x),
        label="all of a matrix"),
    Row("norm", lambda x: limpid.norm(x, "fro", (-1, 0)), (normal(2, 3, 4),),
        lambda x: np.linalg.norm(x, "fro", (2, 0)), lambda t, x: t.linalg.norm(x, "fro", (2, 0)),
        label="Frobenius"),
    Row("norm", lambda x: limpid.norm(x, 3), (uniform(-1, 1, 5),), lambda x: np.linalg.norm(x, 3),
        lambda t, x: t.linalg.norm(x, 3), label="of a vector"),
    Row("count_nonzero", lambda x: limpid.norm(x, 0, 1), (integers(-1, 2, 3, 5),),
        lambda x: np.count_nonzero(x, 1), order=0, label="norm of order 0", value_tolerance=0),
]  # fmt: skip
