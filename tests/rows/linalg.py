"""Rows of limpid/ops/linalg. Plain vectors are differentiated, too: their signs don't jump."""

from typing import Any

import numpy as np
import scipy.linalg

import limpid
from limpid import linalg
from tests.table import Row, Sample, integers, invertible, named, normal, symmetric_positive


def independent(*shape: int) -> Sample:
    """Matrices whose rows, or columns, are far from dependent."""

    def sample(rng: np.random.Generator) -> np.ndarray:
        return rng.normal(size=shape) + 3 * np.eye(*shape[-2:])

    return named(sample, "x".join(map(str, shape)))


def symmetric(x: Any) -> Any:
    """What symmetric factorisations are functions of; so finite differences see both triangles."""
    return 0.5 * (x + x.mT)


def _inverted(t: Any, x: Any) -> Any:
    return t.linalg.inv(x)


def _triangular(lower: bool, transpose: bool, unit_diagonal: bool, *samples: Sample) -> Row:
    how = {"lower": lower, "transpose": transpose, "unit_diagonal": unit_diagonal}

    def reference(a: Any, b: Any) -> Any:
        return scipy.linalg.solve_triangular(
            a, b, trans=int(transpose), lower=lower, unit_diagonal=unit_diagonal
        )

    def torch(t: Any, a: Any, b: Any) -> Any:
        triangle = t.tril(a) if lower else t.triu(a)
        return t.linalg.solve_triangular(
            triangle.mT if transpose else triangle,
            b,
            upper=lower == transpose,
            unitriangular=unit_diagonal,
        )

    named = "-".join(name for name, chosen in how.items() if chosen) or "upper"
    return Row(
        "solve_triangular",
        lambda a, b: linalg.solve_triangular(a, b, **how),
        samples,
        reference,
        torch,
        label=named,
    )


def _norm(order: Any, *shape: int, twice: bool = True) -> Row:
    return Row(
        "norm" if order == "fro" else "svdvals" if order in ("nuc", 2, -2) else "abs",
        lambda x: linalg.matrix_norm(x, ord=order),
        (normal(*shape),),
        lambda x: np.linalg.matrix_norm(x, ord=order),
        lambda t, x: t.linalg.matrix_norm(x, order),
        order=2 if twice else 1,
        label=f"matrix norm {order}",
    )


def _squared(u: Any, s: Any, vh: Any) -> tuple[Any, Any, Any]:
    """Without the signs, which other libraries choose otherwise."""
    return u * u, s, vh * vh


ROWS = [
    Row("inv", linalg.inv, (invertible(4, 4),), np.linalg.inv, _inverted),
    Row("inv", linalg.inv, (invertible(2, 3, 3),), np.linalg.inv, _inverted),
    Row("inv", linalg.inv, (normal(2, 0, 0),), np.linalg.inv, label="empty"),
    Row("solve", linalg.solve, (invertible(4, 4), normal(4, 2)), np.linalg.solve,
        lambda t, a, b: t.linalg.solve(a, b)),
    Row("solve", linalg.solve, (invertible(4, 4), normal(4)), np.linalg.solve,
        lambda t, a, b: t.linalg.solve(a, b)),
    Row("solve", linalg.solve, (invertible(2, 1, 3, 3), normal(4, 3, 2)), np.linalg.solve,
        lambda t, a, b: t.linalg.solve(a, b)),
    Row("solve", linalg.solve, (invertible(2, 3, 3), normal(3)), np.linalg.solve,
        label="one vector, many matrices"),
    Row("solve", linalg.solve, (invertible(3, 3), normal(2, 3, 2)), np.linalg.solve,
        lambda t, a, b: t.linalg.solve(a, b), label="one matrix, many sides"),
    *[
        _triangular(lower, transpose, unit, invertible(4, 4), normal(4, 2))
        for lower in (False, True) for transpose in (False, True) for unit in (False, True)
    ],
    Row("solve_triangular", lambda a, b: linalg.solve_triangular(a, b, lower=True),
        (invertible(2, 1, 3, 3), normal(4, 3, 2)),
        lambda a, b: np.linalg.solve(np.tril(a), b),
        lambda t, a, b: t.linalg.solve_triangular(t.tril(a), b, upper=False), label="batches"),
    Row("solve_triangular", lambda a, b: linalg.solve_triangular(a, b, transpose=True),
        (invertible(2, 3, 3), normal(3)),
        lambda a, b: np.linalg.solve(np.tril(a.swapaxes(1, 2)), b), label="one vector"),
    Row("det", linalg.det, (invertible(4, 4),), np.linalg.det, lambda t, x: t.linalg.det(x)),
    Row("det", linalg.det, (normal(3, 2, 2),), np.linalg.det, lambda t, x: t.linalg.det(x)),
    Row("det", linalg.det, (normal(2, 1, 1),), np.linalg.det, lambda t, x: t.linalg.det(x)),
    Row("cofactor", limpid.primitives["cofactor"], (invertible(2, 3, 3),),
        lambda x: np.linalg.det(x)[:, None, None] * np.linalg.inv(x).swapaxes(1, 2),
        lambda t, x: t.linalg.det(x)[:, None, None] * t.linalg.inv(x).mT),
    Row("slogdet", linalg.slogdet, (invertible(4, 4),), np.linalg.slogdet,
        lambda t, x: t.linalg.slogdet(x)),
    Row("slogdet", linalg.slogdet, (normal(3, 2, 2),), np.linalg.slogdet,
        lambda t, x: t.linalg.slogdet(x)),
    Row("cholesky", lambda x: linalg.cholesky(symmetric(x)), (symmetric_positive(4, 4),),
        np.linalg.cholesky, lambda t, x: t.linalg.cholesky(symmetric(x))),
    Row("cholesky", lambda x: linalg.cholesky(symmetric(x), upper=True),
        (symmetric_positive(2, 3, 3),), lambda x: np.linalg.cholesky(x, upper=True),
        lambda t, x: t.linalg.cholesky(symmetric(x), upper=True), label="upper"),
    *[
        Row("qr", linalg.qr, (independent(*shape),), np.linalg.qr)
        for shape in ((4, 4), (5, 3), (2, 3, 4), (2, 1), (1, 2))
    ],
    Row("qr", lambda x: linalg.qr(x, mode="complete"), (independent(3, 4),),
        lambda x: np.linalg.qr(x, mode="complete"), label="complete"),
    Row("qr", lambda x: [y * y for y in linalg.qr(x)], (independent(2, 4, 3),),
        lambda x: [y * y for y in np.linalg.qr(x)],
        lambda t, x: [y * y for y in t.linalg.qr(x)], label="squared"),
    Row("eigh", lambda x: linalg.eigh(symmetric(x)), (symmetric_positive(4, 4),), np.linalg.eigh),
    Row("eigh", lambda x: linalg.eigh(symmetric(x)), (symmetric_positive(2, 3, 3),),
        np.linalg.eigh, label="batch"),
    Row("eigh", lambda x: [y * y for y in linalg.eigh(symmetric(x))], (normal(2, 3, 3),),
        lambda x: [y * y for y in np.linalg.eigh(symmetric(x))],
        lambda t, x: [y * y for y in t.linalg.eigh(symmetric(x))], label="squared"),
    Row("eigvalsh", lambda x: linalg.eigvalsh(symmetric(x)), (normal(2, 3, 3),),
        lambda x: np.linalg.eigvalsh(symmetric(x)),
        lambda t, x: t.linalg.eigvalsh(symmetric(x))),
    *[
        Row("svd", lambda x: linalg.svd(x, full_matrices=False), (normal(*shape),),
            lambda x: np.linalg.svd(x, full_matrices=False), label=f"plain {shape}")
        for shape in ((3, 3), (4, 2), (2, 3, 4))
    ],
    *[
        Row("svd", lambda x: _squared(*linalg.svd(x, full_matrices=False)), (normal(*shape),),
            lambda x: _squared(*np.linalg.svd(x, full_matrices=False)),
            lambda t, x: _squared(*t.linalg.svd(x, full_matrices=False)),
            label=f"squared {shape}")
        for shape in ((4, 4), (5, 3), (2, 2, 4))
    ],
    Row("svd", linalg.svd, (normal(3, 3),), np.linalg.svd, label="full"),
    *[
        Row("svdvals", linalg.svdvals, (normal(*shape),), np.linalg.svdvals,
            lambda t, x: t.linalg.svdvals(x))
        for shape in ((4, 4), (2, 4, 2), (2, 4))
    ],
    *[
        Row("pinv", linalg.pinv, (independent(*shape),), np.linalg.pinv,
            lambda t, x: t.linalg.pinv(x))
        for shape in ((3, 3), (4, 2), (2, 2, 3))
    ],
    Row("pinv", lambda a, b: linalg.pinv(a @ b, rtol=1e-9), (normal(4, 2), normal(2, 3)),
        lambda a, b: np.linalg.pinv(a @ b, rtol=1e-9),
        lambda t, a, b: t.linalg.pinv(a @ b, rtol=1e-9), label="rank 2", dtypes=("float64",)),
    *[
        Row("pinv", lambda a, b: linalg.lstsq(a, b)[:2], (normal(5, 3), normal(*shape)),
            lambda a, b: [np.linalg.lstsq(a, b)[0], np.atleast_1d(np.linalg.lstsq(a, b)[1])],
            lambda t, a, b: [t.linalg.pinv(a) @ b, ((b - a @ t.linalg.pinv(a) @ b) ** 2).sum(
                0, keepdim=b.ndim == 1)], label=f"lstsq {shape}")
        for shape in ((5,), (5, 2))
    ],
    Row("pinv", lambda a, b: linalg.lstsq(a, b).x, (normal(2, 2, 4), normal(2, 2, 3)),
        lambda a, b: np.stack([np.linalg.lstsq(x, y)[0] for x, y in zip(a, b, strict=True)]),
        lambda t, a, b: t.linalg.pinv(a) @ b, label="lstsq, the shortest of many"),
    *[
        Row("matmul" if abs(n) > 1 else "inv" if n < 0 else "where",
            lambda x, n=n: linalg.matrix_power(x, n), (invertible(2, 3, 3),),
            lambda x, n=n: np.linalg.matrix_power(x, n),
            lambda t, x, n=n: t.linalg.matrix_power(x, n), label=f"matrix power {n}")
        for n in (-3, -1, 0, 2, 5)
    ],
    Row("matrix_rank", linalg.matrix_rank, (normal(2, 3, 4),), np.linalg.matrix_rank, order=0),
    Row("matrix_rank", linalg.matrix_rank, (integers(0, 1, 3, 3),), np.linalg.matrix_rank, order=0),
    *[_norm(order, 3, 4) for order in ("fro", "nuc", 2, -2)],
    *[_norm(order, 3, 4, twice=False) for order in (1, -1, np.inf, -np.inf)],
    Row("svdvals", lambda x: linalg.norm(x, 2, axis=(2, 0), keepdims=True), (normal(3, 2, 4),),
        lambda x: np.linalg.norm(x, 2, axis=(2, 0), keepdims=True),
        lambda t, x: t.linalg.norm(x, 2, (2, 0), keepdim=True), label="norm of two axes"),
    Row("diagonal", lambda x: linalg.trace(x, offset=-1), (normal(2, 3, 4),),
        lambda x: np.linalg.trace(x, offset=-1),
        lambda t, x: x.diagonal(-1, -2, -1).sum(-1), label="trace of the last axes"),
]  # fmt: skip
