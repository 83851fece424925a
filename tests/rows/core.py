"""Rows of cast, layout, reduce, contract and index: what the engine itself needs."""

import numpy as np

import limpid
from tests.table import Row, integers, normal

ROWS = [
    Row("identity", limpid.primitives["identity"], (normal(3),),
        lambda x: x),
    Row("cast", lambda x: limpid.astype(x, "float32"), (normal(3, 2),),
        lambda x: x.astype("f4"), order=0, dtypes=("float64",)),
    Row("truncate", lambda x: limpid.astype(x, limpid.int64), (normal(3, 2),),
        lambda x: x.astype(np.int64), order=0),
    Row("stop_gradient", limpid.stop_gradient, (normal(3),), lambda x: x, order=0),
    Row("reshape", lambda x: limpid.reshape(x, (4, -1)), (normal(2, 6),),
        lambda x: x.reshape(4, 3), lambda t, x: x.reshape(4, 3)),
    Row("reshape", lambda x: limpid.reshape(x, (2, 3, 4)), (normal(6, 4),),
        lambda x: x.reshape(2, 3, 4), lambda t, x: x.reshape(2, 3, 4)),
    Row("broadcast_to", lambda x: limpid.broadcast_to(x, (2, 3, 4)), (normal(3, 1),),
        lambda x: np.broadcast_to(x, (2, 3, 4)), lambda t, x: t.broadcast_to(x, (2, 3, 4))),
    Row("permute_dims", lambda x: limpid.permute_dims(x, (2, 0, 1)), (normal(2, 3, 4),),
        lambda x: x.transpose(2, 0, 1), lambda t, x: x.permute(2, 0, 1)),
    Row("sum", lambda x: limpid.sum(x, axis=1), (normal(2, 3, 4),), lambda x: x.sum(1),
        lambda t, x: x.sum(1)),
    Row("sum", lambda x: limpid.sum(x, axis=(0, -1), keepdims=True), (normal(2, 3, 4),),
        lambda x: x.sum((0, 2), keepdims=True), lambda t, x: x.sum((0, 2), keepdim=True)),
    Row("matmul", limpid.matmul, (normal(3, 4), normal(4, 2)), np.matmul,
        lambda t, a, b: t.matmul(a, b)),
    Row("matmul", limpid.matmul, (normal(2, 1, 3, 4), normal(5, 4, 2)), np.matmul,
        lambda t, a, b: t.matmul(a, b)),
    Row("matmul", limpid.matmul, (normal(4), normal(4)), np.matmul, lambda t, a, b: t.matmul(a, b)),
    Row("matmul", limpid.matmul, (normal(3, 4), normal(4)), np.matmul,
        lambda t, a, b: t.matmul(a, b)),
    Row("matmul", limpid.matmul, (normal(4), normal(2, 4, 3)), np.matmul,
        lambda t, a, b: t.matmul(a, b)),
    Row("get_item", lambda x: limpid.get_item(x, (slice(None, None, -2), 1)), (normal(5, 3),),
        lambda x: x[::-2, 1], lambda t, x: x.flip(0)[::2, 1]),
    Row("get_item", lambda x, i: limpid.get_item(x, (i, slice(1, None))),
        (normal(5, 3), integers(-5, 5, 2, 4)), lambda x, i: x[i, 1:], lambda t, x, i: x[i, 1:]),
    Row("add_at", lambda g, i: limpid.primitives["add_at"](
        g, i, key=("array",), shape=(5, 3)), (normal(4, 3), integers(0, 5, 4))),
    Row("set_item", lambda x, v: limpid.set_item(x, (slice(None), 0), v), (normal(3, 4), normal(3)),
        lambda x, v: np.concatenate([v[:, None], x[:, 1:]], 1)),
]  # fmt: skip
