"""Rows of limpid/ops/index.py and limpid/ops/gather.py."""

import numpy as np

import limpid
from tests.table import Row, integers, normal

MASK = np.array([[True, False, True, True], [False] * 4, [True, True, False, False]])
TWICE = np.array([2, 0, 2, 1, 2])


def item(key, torch=None, shape=(5, 3, 4), label=""):
    """A row of get_item for one key."""
    return Row(
        "get_item", lambda x: limpid.get_item(x, key), (normal(*shape),), lambda x: x[key],
        torch or (lambda t, x: x[key]), label=label or repr(key),
    )  # fmt: skip


def replaced(key, shape, value, label, torch=None):
    """A row of set_item for one key."""

    def oracle(x, v):
        x = x.copy()
        x[key] = v
        return x

    def in_torch(t, x, v):
        x = x.clone()
        x[key] = v
        return x

    return Row("set_item", lambda x, v: limpid.set_item(x, key, v),
               (normal(*shape), normal(*value)), oracle, torch or in_torch,
               label=label)  # fmt: skip


def scattered(x, indices, values, axis):
    """numpy.add.at along an axis."""
    x = x.copy()
    places = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    places[axis] = indices
    np.add.at(x, tuple(places), values)
    return x


ROWS = [
    item(2),
    item(-1, shape=(4,), label="last of a vector"),
    item((slice(1, 4), 2)),
    item((Ellipsis, slice(None, None, 2))),
    item((slice(None, None, -1), 0), lambda t, x: x.flip(0)[:, 0], label="negative step"),
    item((None, slice(None), None, 1)),
    item((slice(3, 1),), label="empty"),
    item(([0, 0, 4],), label="list with duplicates"),
    item(([0, 2], slice(None), [1, 3]), label="arrays apart"),
    item((1, slice(None), TWICE % 2), lambda t, x: x[1][:, TWICE % 2].T,
         label="integer and array apart"),
    item((slice(None), [[0, 2], [1, 1]], [3, 0]), label="arrays that broadcast"),
    item((np.array([True, False, True, True, False]),), label="mask of one axis"),
    item(MASK, shape=(3, 4), label="mask of all axes"),
    item((slice(None), MASK), label="mask of two axes"),
    item(True, label="true"),
    Row("get_item", lambda x, i: limpid.get_item(x, (slice(None), i)),
        (normal(2, 4), np.array(2)), lambda x, i: x[:, i], lambda t, x, i: x[:, i],
        label="0-d array"),
    Row("get_item", lambda x, i: limpid.take(x, i, axis=1), (normal(2, 4, 3), integers(-4, 4, 2)),
        lambda x, i: np.take(x, i, 1), lambda t, x, i: x[:, i], label="take"),
    Row("get_item", limpid.take, (normal(2, 4), integers(0, 8, 3)), np.take,
        lambda t, x, i: t.take(x, i), label="take from all"),
    Row("add_at", lambda g: limpid.primitives["add_at"](
        g, key=((1, None, 2), "..."), shape=(5, 3)), (normal(2, 3),),
        lambda g: np.stack([0 * g[0], g[0], 0 * g[0], g[1], 0 * g[0]]), label="slice"),
    Row("add_at", lambda g, i, j: limpid.primitives["add_at"](
        g, i, j, key=("array", "array"), shape=(5, 3, 40)),
        (normal(60, 40), integers(-5, 5, 60), integers(-3, 3, 60)),
        lambda g, i, j: scattered_pairs(g, i, j), label="many rows"),
    replaced(1, (3, 4), (4,), "row"),
    replaced((slice(None), 1), (3, 4), (), "number"),
    replaced((slice(2, None), None), (5, 3), (1, 1, 3), "broadcast"),
    replaced(2, (3, 4), (1, 1, 4), "leading ones"),
    replaced((slice(None, None, -2),), (5,), (3,), "negative step",
             lambda t, x, v: t.stack([v[2], x[1], v[1], x[3], v[0]])),
    replaced(MASK, (3, 4), (5,), "mask"),
    replaced(TWICE, (4, 2), (5, 2), "last wins",
             lambda t, x, v: t.stack([v[1], v[3], v[4], x[3]])),
    replaced(TWICE, (4, 2), (2,), "duplicates broadcast",
             lambda t, x, v: t.stack([v, v, v, x[3]])),
    Row("is_last", lambda i: limpid.primitives["is_last"](i, key=("array",), shape=(4, 1)),
        (TWICE,), lambda i: np.array([[False], [True], [False], [True], [True]]), order=0),
    Row("take_along_axis", lambda x, i: limpid.take_along_axis(x, i, axis=1),
        (normal(3, 4), integers(-4, 4, 3, 2)), lambda x, i: np.take_along_axis(x, i, 1),
        lambda t, x, i: t.take_along_dim(x, i % 4, 1)),
    Row("take_along_axis", lambda x, i: limpid.take_along_axis(x, i, axis=0),
        (normal(3, 1, 2), integers(0, 3, 5, 4, 1)), lambda x, i: np.take_along_axis(x, i, 0),
        lambda t, x, i: t.take_along_dim(x, i, 0), label="broadcast"),
    Row("take_along_axis", lambda x, i: limpid.take_along_axis(x, i, axis=None),
        (normal(3, 2), integers(0, 6, 4)), lambda x, i: x.reshape(-1)[i],
        lambda t, x, i: t.take_along_dim(x, i), label="of all"),
    Row("take_along_axis", lambda x, i: limpid.gather(x, 0, i),
        (normal(3, 4), integers(0, 3, 2, 3)), lambda x, i: np.take_along_axis(x[:, :3], i, 0),
        lambda t, x, i: t.gather(x, 0, i), label="gather"),
    Row("scatter_add", lambda x, v, i: limpid.scatter_add(x, i, v, axis=0),
        (normal(3, 2), normal(5, 2), integers(0, 3, 5, 2)),
        lambda x, v, i: scattered(x, i, v, 0), lambda t, x, v, i: t.scatter_add(x, 0, i, v)),
    Row("scatter_add", lambda v, i: limpid.primitives["scatter_add"](v, i, axis=1, extent=6),
        (normal(2, 4), integers(-6, 6, 2, 4)),
        lambda v, i: scattered(np.zeros((2, 6), v.dtype), i, v, 1), label="negative indices"),
    Row("one_hot", lambda i: limpid.one_hot(i, 4), (integers(0, 4, 2, 3),),
        lambda i: np.eye(4, dtype=np.float32)[i],
        lambda t, i: t.nn.functional.one_hot(i, 4).float(), order=0),
]  # fmt: skip


def scattered_pairs(g, i, j):
    """A loop."""
    out = np.zeros((5, 3, 40), g.dtype)
    for n in range(len(g)):
        out[i[n], j[n]] += g[n]
    return out
