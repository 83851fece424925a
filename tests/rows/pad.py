"""Rows of limpid/ops/pad.py, nn/functional/padding.py and limpid/ops/triangle.py."""

import numpy as np

import limpid
from limpid.nn import functional as F
from tests.table import Row, normal


def padded(mode, torch_mode, widths=((0, 0), (2, 1)), shape=(2, 4)):
    """A row for a mode that repeats elements; PyTorch pads the last axes."""
    last = [width for width in reversed(widths) if any(width)]
    flat = tuple(n for width in last for n in width)

    def in_torch(t, x):
        return t.nn.functional.pad(x[None], flat, torch_mode)[0]

    torch = in_torch if torch_mode else None
    return Row("extend", lambda x: limpid.pad(x, widths, mode), (normal(*shape),),
               lambda x: np.pad(x, widths, NUMPY.get(mode, mode)), torch,
               label=f"pad {mode} {shape}")  # fmt: skip


def folded(g, widths, mode):
    """What comes to each element from all the places that it was repeated at."""
    shape = tuple(n - sum(width) for n, width in zip(g.shape, widths, strict=True))
    numbers = np.pad(np.arange(np.prod(shape)).reshape(shape), widths, mode)
    return np.bincount(numbers.ravel(), g.ravel()).reshape(shape)


def layer(shape, widths, mode="constant", value=None):
    """A row of PyTorch's pad: the last axis first, negative widths take away."""
    primitive = "pad" if mode == "constant" else "extend"
    return Row(primitive, lambda x: F.pad(x, widths, mode, value), (normal(*shape),), None,
               lambda t, x: t.nn.functional.pad(x, widths, mode, value),
               label=f"{shape} {widths} {mode}")  # fmt: skip


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
    padded("symmetric", None, ((5, 8),), (2,)),
    padded("wrap", None, ((7, 5), (0, 1)), (3, 2)),
    padded("edge", None, ((4, 3), (2, 0), (0, 5)), (1, 2, 3)),
    Row("add_back", lambda g: limpid.primitives["add_back"](g, widths=BOTH, mode="reflect"),
        (normal(6, 7),), lambda g: folded(g, BOTH, "reflect")),
    Row("add_back", lambda g: limpid.primitives["add_back"](g, widths=((4, 2),), mode="edge"),
        (normal(8),), lambda g: folded(g, ((4, 2),), "edge"), label="edge"),
    *(layer(shape, widths, mode) for mode in ("constant", "reflect", "replicate", "circular")
      for shape, widths in [
          ((2, 3, 4), (2, 1)), ((3, 4), (0, 3)), ((2, 3, 4), (-1, 2)), ((2, 3, 5), (-1, -2)),
          ((2, 3, 4, 5), (2, 1, 0, 3)), ((3, 4, 5), (1, 2, 3, 0)), ((2, 3, 4, 5), (-1, 1, 2, -2)),
          ((2, 1, 3, 4, 3), (1, 2, 0, 1, 2, 1)), ((1, 3, 4, 3), (2, 0, -1, 1, 1, -1)),
          ((0, 3, 4), (1, 2)),
      ]),
    layer((4,), (1, 2), value=2.5),
    layer((2, 3), (1, 0, 0, 2), value=-1.0),
    layer((2, 3, 4, 5), (1,) * 8),
    layer((2, 3, 0), (1, 1)),
    layer((2, 3, 4), (-2, -2)),
    layer((1, 2, 1), (3, 0), "replicate"),
    layer((1, 2, 3), (3, 3), "circular"),
    layer((1, 2, 4), (3, -3), "reflect"),
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
