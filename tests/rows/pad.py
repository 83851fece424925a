"""Rows of limpid/ops/pad.py and limpid/ops/triangle.py."""

import numpy as np

import limpid
from tests.table import Row, normal


def padded(mode, torch_mode, widths=((0, 0), (2, 1)), shape=(2, 4)):
    """A row for a mode that repeats elements; PyTorch pads the last axes."""
    last = [width for width in reversed(widths) if any(width)]
    flat = tuple(n for width in last for n in width)

    def in_torch(t, x):
        return t.nn.functional.pad(x[None], flat, torch_mode)[0]

    torch = in_torch if torch_mode else None
    return Row("get_item", lambda x: limpid.pad(x, widths, mode), (normal(*shape),),
               lambda x: np.pad(x, widths, NUMPY.get(mode, mode)), torch,
               label=f"pad {mode} {shape}")  # fmt: skip


NUMPY = {"replicate": "edge", "circular": "wrap"}
BOTH = ((1, 2), (2, 1))

ROWS = [
    Row("pad", lambda x: limpid.pad(x, ((1, 2), (0, 3))), (normal(2, 3),),
        lambda x: np.pad(x, ((1, 2), (0, 3))), lambda t, x: t.nn.functional.pad(x, (0, 3, 1, 2))),
    Row("pad", lambda x: limpid.pad(x, 1, constant_values=2.5), (normal(3),),
        lambda x: np.pad(x, 1, constant_values=2.5),
        lambda t, x: t.nn.functional.pad(x, (1, 1), value=2.5), label="with a number"),
    Row("pad", lambda x, v: limpid.pad(x, (2, 0), constant_values=v), (normal(2, 2), normal()),
        lambda x, v: np.pad(x, (2, 0), constant_values=v), label="with a tensor"),
    padded("reflect", "reflect"),
    padded("reflect", "reflect", BOTH, (3, 4)),
    padded("edge", "replicate"),
    padded("replicate", "replicate", BOTH, (3, 4)),
    padded("wrap", "circular"),
    padded("circular", "circular", BOTH, (3, 4)),
    padded("symmetric", None),
    padded("reflect", None, ((5, 4),), (3,)),
    Row("broadcast_to", lambda x: limpid.tile(x, (2, 1, 3)), (normal(2, 2),),
        lambda x: np.tile(x, (2, 1, 3)), lambda t, x: x.tile(2, 1, 3), label="tile"),
    Row("broadcast_to", lambda x: limpid.tile(x, 3), (normal(2, 2),), lambda x: np.tile(x, 3),
        lambda t, x: x.tile(3), label="tile once"),
    Row("broadcast_to", lambda x: limpid.repeat(x, 3, axis=1), (normal(2, 2),),
        lambda x: np.repeat(x, 3, 1), lambda t, x: x.repeat_interleave(3, 1), label="repeat"),
    Row("broadcast_to", lambda x: limpid.repeat(x, 2), (normal(2, 2),), lambda x: np.repeat(x, 2),
        lambda t, x: x.repeat_interleave(2), label="repeat all"),
    Row("get_item", lambda x: limpid.repeat(x, [2, 0, 1], axis=0), (normal(3, 2),),
        lambda x: np.repeat(x, [2, 0, 1], 0),
        lambda t, x: x.repeat_interleave(t.tensor([2, 0, 1]), 0), label="repeat each"),
    Row("tril", limpid.tril, (normal(2, 3, 4),), np.tril, lambda t, x: x.tril()),
    Row("tril", lambda x: limpid.tril(x, -1), (normal(3, 3),), lambda x: np.tril(x, -1),
        lambda t, x: x.tril(-1), label="below"),
    Row("triu", lambda x: limpid.triu(x, 1), (normal(3, 4),), lambda x: np.triu(x, 1),
        lambda t, x: x.triu(1)),
    Row("diagonal", limpid.diagonal, (normal(3, 4),), np.diagonal, lambda t, x: x.diagonal()),
    Row("diagonal", lambda x: limpid.diagonal(x, -1, 2, 0), (normal(3, 2, 4),),
        lambda x: np.diagonal(x, -1, 2, 0), lambda t, x: x.diagonal(-1, 2, 0), label="of a stack"),
    Row("diagonal", lambda x: limpid.diag(x, 1), (normal(3, 4),), lambda x: np.diag(x, 1),
        lambda t, x: x.diag(1), label="diag"),
    Row("diagonal", limpid.trace, (normal(3, 4),), np.trace, lambda t, x: x.diagonal().sum(),
        label="trace"),
    Row("from_diagonal", limpid.diag, (normal(3),), np.diag, lambda t, x: x.diag()),
    Row("from_diagonal", lambda x: limpid.diag(x, -2), (normal(3),), lambda x: np.diag(x, -2),
        lambda t, x: x.diag(-2), label="below"),
    Row("from_diagonal", lambda x: limpid.primitives["from_diagonal"](x, offset=1, shape=(2, 4)),
        (normal(3, 2),), lambda x: np.stack([np.eye(2, 4, 1) * np.r_[0, r, 0] for r in x]),
        label="wide"),
]  # fmt: skip
