"""Rows of limpid/ops/contract.py and products.py."""

import numpy as np

import limpid
from tests.table import Row, integers, normal


def _matmul(*samples: object, label: str = "") -> Row:
    return Row("matmul", limpid.matmul, samples, np.matmul, lambda t, a, b: t.matmul(a, b),
               label=label)  # fmt: skip


ROWS = [
    _matmul(normal(2, 3, 4), normal(4, 2), label="batch on the left only"),
    _matmul(normal(3, 4), normal(2, 4, 5), label="batch on the right only"),
    _matmul(normal(2, 3, 4), normal(4), label="batch by vector"),
    _matmul(normal(4), normal(4, 3), label="vector by matrix"),
    _matmul(normal(1, 3, 4), normal(5, 4, 2), label="stretched batch"),
    _matmul(normal(0, 4), normal(4, 3), label="no rows"),
    _matmul(normal(2, 3, 0), normal(0, 4), label="no inner elements"),
    _matmul(normal(2, 0, 4), normal(4), label="no rows by vector"),
    Row("matmul", lambda a, i: limpid.matmul(a, i), (normal(2, 3), integers(-3, 4, 3, 2)),
        lambda a, i: a @ i, lambda t, a, i: t.matmul(a, i.to(a.dtype)), label="integers"),
    Row("matmul", lambda a: limpid.matmul(limpid.matrix_transpose(a), a), (normal(2, 3, 4),),
        lambda a: a.swapaxes(1, 2) @ a, lambda t, a: t.matmul(a.mT, a), label="Gram"),
    Row("einsum", limpid.outer, (normal(3), normal(2, 2)), np.outer,
        lambda t, a, b: t.outer(a, b.reshape(-1)), label="outer"),
    Row("einsum", limpid.kron, (normal(2, 3), normal(4)), np.kron,
        lambda t, a, b: t.kron(a, b), label="kron"),
    Row("einsum", limpid.kron, (normal(2), normal(2, 1, 3)), np.kron,
        lambda t, a, b: t.kron(a, b), label="kron of unequal ranks"),
    Row("einsum", limpid.tensordot, (normal(2, 3, 4), normal(3, 4, 2)), np.tensordot,
        lambda t, a, b: t.tensordot(a, b, 2), label="tensordot"),
    Row("einsum", lambda a, b: limpid.tensordot(a, b, ([0, -1], [1, 0])),
        (normal(2, 3, 4), normal(4, 2, 5)), lambda a, b: np.tensordot(a, b, ([0, 2], [1, 0])),
        lambda t, a, b: t.tensordot(a, b, ([0, 2], [1, 0])), label="tensordot of pairs"),
    Row("einsum", lambda a, b: limpid.tensordot(a, b, 0), (normal(2), normal(3, 2)),
        lambda a, b: np.tensordot(a, b, 0), lambda t, a, b: t.tensordot(a, b, 0),
        label="tensordot of no axes"),
    Row("einsum", limpid.vecdot, (normal(5, 1, 4), normal(3, 4)), np.vecdot,
        lambda t, a, b: t.linalg.vecdot(a, b), label="vecdot"),
    Row("einsum", lambda a, b: limpid.vecdot(a, b, axis=-2), (normal(4, 3), normal(2, 4, 1)),
        lambda a, b: (a * b).sum(-2), lambda t, a, b: t.linalg.vecdot(a, b, dim=-2),
        label="vecdot along an axis"),
    Row("einsum", limpid.dot, (normal(2, 3, 4), normal(5, 4, 2)), np.dot, label="dot"),
    Row("matmul", limpid.dot, (normal(3, 4), normal(4)), np.dot, label="dot of matrices"),
    Row("einsum", limpid.inner, (normal(2, 4), normal(3, 4)), np.inner,
        lambda t, a, b: t.inner(a, b), label="inner"),
    Row("cross", limpid.cross, (normal(4, 3), normal(4, 3)), np.cross,
        lambda t, a, b: t.linalg.cross(a, b)),
    Row("cross", limpid.cross, (normal(2, 1, 3), normal(4, 3)), np.cross,
        lambda t, a, b: t.linalg.cross(a, b[None])),
    Row("cross", lambda a, b: limpid.cross(a, b, axis=0), (normal(3, 4), normal(3, 4)),
        lambda a, b: np.cross(a, b, axis=0), lambda t, a, b: t.linalg.cross(a, b, dim=0),
        label="along an axis"),
]  # fmt: skip
