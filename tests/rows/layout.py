"""Rows of limpid/ops/layout.py; more are in core.py."""

import numpy as np

import limpid
from tests.table import Row, normal

ROWS = [
    Row("reshape", lambda x: limpid.reshape(x, (3, 0, 2)), (normal(0, 4),),
        lambda x: x.reshape(3, 0, 2), lambda t, x: x.reshape(3, 0, 2), label="no elements"),
    Row("reshape", lambda x: limpid.reshape(x, ()), (normal(1, 1),), lambda x: x.reshape(()),
        lambda t, x: x.reshape(()), label="to 0-d"),
    Row("reshape", lambda x: limpid.reshape(x, (4, 3)), (normal(2, 6),),
        lambda x: x.reshape(4, 3), lambda t, x: x.reshape(4, 3), label="regrouped"),
    Row("reshape", lambda x: limpid.expand_dims(x, (0, -1)), (normal(2, 3),),
        lambda x: np.expand_dims(x, (0, -1)), lambda t, x: x[None, ..., None], label="expand_dims"),
    Row("reshape", limpid.squeeze, (normal(1, 3, 1),), np.squeeze, lambda t, x: x.squeeze(),
        label="squeeze"),
    Row("reshape", lambda x: limpid.squeeze(x, -1), (normal(1, 3, 1),),
        lambda x: np.squeeze(x, -1), lambda t, x: x.squeeze(-1), label="squeeze one"),
    Row("permute_dims", lambda x: limpid.moveaxis(x, (0, -1), (2, 0)), (normal(2, 3, 4, 5),),
        lambda x: np.moveaxis(x, (0, -1), (2, 0)), lambda t, x: x.movedim((0, -1), (2, 0)),
        label="moveaxis"),
    Row("permute_dims", lambda x: limpid.swapaxes(x, 0, -1), (normal(2, 3, 4),),
        lambda x: np.swapaxes(x, 0, -1), lambda t, x: x.swapaxes(0, -1), label="swapaxes"),
    Row("permute_dims", limpid.matrix_transpose, (normal(2, 3, 4),),
        lambda x: np.swapaxes(x, -1, -2), lambda t, x: x.mT, label="matrix_transpose"),
    Row("broadcast_to", lambda a, b: tuple(limpid.broadcast_arrays(a, b)),
        (normal(2, 1), normal(3)), lambda a, b: tuple(np.broadcast_arrays(a, b)),
        lambda t, a, b: t.broadcast_tensors(a, b)),
    Row("broadcast_to", lambda a, b: tuple(limpid.meshgrid(a, b)), (normal(2), normal(3)),
        lambda a, b: tuple(np.meshgrid(a, b)),
        lambda t, a, b: t.meshgrid(a, b, indexing="xy"), label="meshgrid"),
    Row("broadcast_to", lambda a, b, c: tuple(limpid.meshgrid(a, b, c, indexing="ij")),
        (normal(2), normal(3), normal(1)),
        lambda a, b, c: tuple(np.meshgrid(a, b, c, indexing="ij")),
        lambda t, a, b, c: t.meshgrid(a, b, c, indexing="ij"), label="meshgrid ij"),
    Row("flip", limpid.flip, (normal(2, 3),), np.flip, lambda t, x: x.flip(0, 1)),
    Row("flip", lambda x: limpid.flip(x, -1), (normal(2, 3),), lambda x: np.flip(x, -1),
        lambda t, x: x.flip(-1), label="last axis"),
    Row("roll", lambda x: limpid.roll(x, 2), (normal(2, 3),), lambda x: np.roll(x, 2),
        lambda t, x: x.roll(2)),
    Row("roll", lambda x: limpid.roll(x, (1, -2), (0, 1)), (normal(3, 4),),
        lambda x: np.roll(x, (1, -2), (0, 1)), lambda t, x: x.roll((1, -2), (0, 1)), label="two"),
    Row("roll", lambda x: limpid.roll(x, (1, 1), 0), (normal(3, 2),),
        lambda x: np.roll(x, (1, 1), 0), lambda t, x: x.roll(2, 0), label="one axis twice"),
]  # fmt: skip
