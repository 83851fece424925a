"""Rows of limpid/ops/join.py."""

import numpy as np

import limpid
from tests.table import Row, normal

ROWS = [
    Row("concat", lambda a, b: limpid.concat([a, b]), (normal(2, 3), normal(4, 3)),
        lambda a, b: np.concatenate([a, b]), lambda t, a, b: t.cat([a, b])),
    Row("concat", lambda a, b, c: limpid.concat((a, b, c), axis=-1),
        (normal(2, 1), normal(2, 0), normal(2, 3)), lambda a, b, c: np.concatenate([a, b, c], 1),
        lambda t, a, b, c: t.cat([a, b, c], 1), label="three, one empty"),
    Row("concat", lambda a: limpid.concat([a, a], axis=None), (normal(2, 2),),
        lambda a: np.concatenate([a, a], None), lambda t, a: t.cat([a.ravel(), a.ravel()]),
        label="one twice, flat"),
    Row("stack", lambda a, b: limpid.stack([a, b]), (normal(3), normal(3)),
        lambda a, b: np.stack([a, b]), lambda t, a, b: t.stack([a, b])),
    Row("stack", lambda a, b: limpid.stack([a, b], axis=-1), (normal(2, 3), normal(2, 3)),
        lambda a, b: np.stack([a, b], -1), lambda t, a, b: t.stack([a, b], -1), label="last axis"),
    Row("stack", lambda a, b: limpid.stack([a, b]), (normal(), normal()),
        lambda a, b: np.stack([a, b]), lambda t, a, b: t.stack([a, b]), label="numbers"),
    Row("split", lambda x: tuple(limpid.split(x, 3, axis=1)), (normal(2, 6),),
        lambda x: tuple(np.split(x, 3, 1)), lambda t, x: x.split(2, 1)),
    Row("split", lambda x: tuple(limpid.split(x, [1, 3])), (normal(4, 2),),
        lambda x: tuple(np.split(x, [1, 3])), lambda t, x: x.tensor_split((1, 3)), label="at"),
    Row("split", lambda x: limpid.split(x, [1, 3])[1], (normal(4, 2),),
        lambda x: x[1:3], lambda t, x: x[1:3], label="one part used"),
    Row("unstack", limpid.unstack, (normal(3, 2),), lambda x: tuple(x), lambda t, x: x.unbind()),
    Row("unstack", lambda x: limpid.unstack(x, axis=-1), (normal(2, 3),), lambda x: tuple(x.T),
        lambda t, x: x.unbind(-1), label="last axis"),
    Row("unstack", limpid.unstack, (normal(3),), lambda x: tuple(map(np.asarray, x)),
        lambda t, x: x.unbind(), label="vector"),
    Row("concat", lambda a, b: limpid.vstack([a, b]), (normal(3), normal(2, 3)),
        lambda a, b: np.vstack([a, b]), lambda t, a, b: t.vstack([a, b]), label="vstack"),
    Row("concat", lambda a, b: limpid.hstack([a, b]), (normal(2, 1), normal(2, 3)),
        lambda a, b: np.hstack([a, b]), lambda t, a, b: t.hstack([a, b]), label="hstack"),
    Row("concat", lambda a, b: limpid.hstack([a, b]), (normal(2), normal(3)),
        lambda a, b: np.hstack([a, b]), lambda t, a, b: t.hstack([a, b]), label="hstack vectors"),
    Row("concat", lambda a, b: limpid.dstack([a, b]), (normal(2), normal(1, 2)),
        lambda a, b: np.dstack([a, b]), lambda t, a, b: t.dstack([a, b]), label="dstack"),
    Row("concat", lambda a, b: limpid.column_stack([a, b]), (normal(2), normal(2, 3)),
        lambda a, b: np.column_stack([a, b]), lambda t, a, b: t.column_stack([a, b]),
        label="column_stack"),
]  # fmt: skip
