"""Rows of limpid/ops/sparse.py and limpid/ops/lookup.py, and of the layers made of them."""

import numpy as np

import limpid
from limpid.nn import functional as F
from tests.table import Row, distinct, integers, normal, positive

primitive = limpid.primitives
EQUAL = np.repeat(np.arange(4), 3)  # rows of S with three elements each
SORTED = np.array([0, 0, 1, 3, 3, 3, 3, 4])
ABSENT = np.array([2, -1, 0, 5, -1, 1])
PADDED = np.array([[0, 5, 2], [3, 3, -1], [-1, -1, -1], [1, 6, 4]])
BAG = np.array([4, 1, 1, 6, 0, 2, 4, 4, 3])
OFFSETS = np.array([0, 3, 3, 4])  # one bag is empty
SIZES = np.array([2, 0, 4, 3])


def matrix(values, rows, columns, shape):
    """S itself, by a loop."""
    s = np.zeros(shape, values.dtype)
    for v, i, j in zip(values, rows, columns, strict=True):
        if i >= 0 and j >= 0:
            s[i, j] += v
    return s


def torch_places(t, values, dense, rows, columns, extent):
    """Element by element; PyTorch's sparse products have no second derivative."""
    present = values * t.tensor((rows >= 0) & (columns >= 0))
    terms = dense[t.tensor(columns).clamp(min=0)] * present[:, None]
    out = t.zeros(extent, dense.shape[1], dtype=dense.dtype)
    return out.index_add(0, t.tensor(rows).clamp(min=0), terms)


def product(rows, columns, extent, width, label, count=7):
    """A row of sparse_matmul."""
    return Row(
        "sparse_matmul",
        lambda v, d: primitive["sparse_matmul"](v, d, rows, columns, extent=extent),
        (normal(len(rows)), normal(count, width)),
        lambda v, d: matrix(v, rows, columns, (extent, count)) @ d,
        lambda t, v, d: torch_places(t, v, d, rows, columns, extent),
        label=label,
    )  # fmt: skip


def sampled(rows, columns, label):
    """A row of sampled_matmul."""
    present = (rows >= 0) & (columns >= 0)
    return Row(
        "sampled_matmul", lambda a, b: primitive["sampled_matmul"](a, b, rows, columns),
        (normal(6, 3), normal(7, 3)), lambda a, b: (a @ b.T)[rows, columns] * present,
        lambda t, a, b: (a @ b.T)[t.tensor(rows), t.tensor(columns)] * t.tensor(present),
        label=label,
    )  # fmt: skip


def bags(index, offsets=None, count=None):
    """The rows of each bag."""
    if offsets is None:
        return list(index)
    return np.split(index, offsets[1:])


def bag(mode, index, offsets=None, padding=None, label="", **options):
    """A row of embedding_bag without weights of its own."""
    reduce = {"sum": np.sum, "mean": np.mean, "max": np.max}[mode]

    def oracle(w):
        kept = [[i for i in one if i != padding] for one in bags(index, offsets)]
        return np.stack([reduce(w[one], axis=0) if one else 0 * w[0] for one in kept])

    def theirs(t, w):
        given = None if offsets is None else t.tensor(offsets)
        return t.nn.functional.embedding_bag(
            t.tensor(index), w, given, mode=mode, padding_idx=padding, **options
        )

    return Row("bag_argmax" if mode == "max" else "sparse_matmul",
               lambda w: F.embedding_bag(
                   index, w, offsets, mode=mode, padding_idx=padding, **options),
               (distinct(7, 5),), oracle, theirs, label=f"{mode} of {label}")  # fmt: skip


def dense(index, values, count):
    """The rows that padded elements stand for."""
    lead = index.shape[:-1]
    rows = np.repeat(np.arange(int(np.prod(lead))), index.shape[-1])
    return matrix(values.reshape(-1), rows, index.reshape(-1), (int(np.prod(lead)), count))


def torch_padded(t, index, values, w):
    """The gathered columns of the weight, weighted."""
    kept = values * t.tensor(index >= 0)
    return (kept[..., None] * w.T[t.tensor(index).clamp(min=0)]).sum(-2)


def normalised(values, keys, largest, shift):
    """Value by value."""
    y = np.zeros_like(values)
    for m, (v, c) in enumerate(zip(values, keys, strict=True)):
        y[m] = (np.sign(v) if abs(v) > largest[c] else v / (largest[c] or 1)) + shift[c]
    return y


def torch_index(t, values, w, b, keys, sizes):
    """One row after the other."""
    rows = t.split(w[t.tensor(keys)] * values[:, None], sizes.tolist())
    return t.stack([row.sum(0) for row in rows]) + b


LARGEST = np.array([0.3, 2.0, 0.0, 1.0, 5.0, 0.7, 0.9])

ROWS = [
    product(EQUAL, integers(0, 7, 12)(np.random.default_rng(0)), 4, 5, "equal rows"),
    product(SORTED, np.array([6, 0, 0, 1, 2, 2, 3, 0]), 6, 2, "rows in order"),
    product(np.array([3, 0, 3, 1, 3]), np.array([1, 1, 0, 6, 1]), 5, 4, "any order"),
    product(ABSENT, np.array([0, 1, 2, 3, 4, -1]), 6, 3, "absent"),
    product(np.zeros(0, int), np.zeros(0, int), 2, 3, "nothing"),
    product(EQUAL, EQUAL, 4, 0, "no width"),
    product(np.arange(4), np.arange(4), 4, 1, "one column"),
    sampled(ABSENT, np.array([0, 1, 2, 3, 4, -1]), "absent"),
    sampled(np.zeros(0, int), np.zeros(0, int), "nothing"),
    Row("row_numbers", lambda n: primitive["row_numbers"](n, count=9), (SIZES,),
        lambda n: np.array([0, 0, 2, 2, 2, 2, 3, 3, 3]), order=0),
    Row("occurrences", lambda i: primitive["occurrences"](i, count=8), (PADDED,),
        lambda i: np.array([1, 1, 1, 2, 1, 1, 1, 0]), order=0),
    Row("scale_gradient", primitive["scale_gradient"], (normal(3, 2), positive(3, 1)),
        lambda x, factor: x, order=0),
    Row("largest_at", primitive["largest_at"], (normal(5), np.array([0, 2, 2, -1, 0]), normal(5)),
        lambda x, i, v: np.array(
            [max(x[0], v[0], v[4]), x[1], max(x[2], v[1], v[2]), x[3], x[4]]), order=0),
    Row("bag_argmax",
        lambda x: primitive["bag_argmax"](x, np.array([0, 0, 2]), np.array([4, 1, -1]), count=3),
        (np.array([[0.0, 1.0]] * 4 + [[2.0, 0.5]]),),
        lambda x: np.array([[4, 1], [-1, -1], [-1, -1]]), order=0),
    *[
        bag(mode, index, offsets, padding, label)
        for mode in ("sum", "mean", "max")
        for index, offsets, padding, label in (
            (BAG.reshape(3, 3), None, None, "equal bags"),
            (BAG, OFFSETS, None, "bags"),
            (BAG, OFFSETS, 4, "bags with padding"),
            (BAG[3:4], np.array([0]), None, "one bag"),
        )
    ],
    Row("sparse_matmul",
        lambda w, f: F.embedding_bag(BAG, w, OFFSETS, mode="sum", per_sample_weights=f),
        (normal(7, 2), normal(9)),
        lambda w, f: np.stack([
            f[:3] @ w[BAG[:3]], 0 * w[0], f[3] * w[BAG[3]], f[4:] @ w[BAG[4:]]]),
        lambda t, w, f: torch_places(t, f, w, np.repeat([0, 2, 3], [3, 1, 5]), BAG, 4),
        label="bags with factors"),
    Row("sparse_matmul", lambda v, w, b: F.sparse_linear(PADDED, v, w, b),
        (normal(4, 3), normal(2, 7), normal(2)),
        lambda v, w, b: dense(PADDED, v, 7) @ w.T + b,
        lambda t, v, w, b: torch_padded(t, PADDED, v, w) + b, label="linear, padded"),
    Row("sparse_matmul", lambda v, w: F.sparse_linear(PADDED[3], v, w), (normal(3), normal(2, 7)),
        lambda v, w: (dense(PADDED[3:], v, 7) @ w.T)[0],
        lambda t, v, w: torch_padded(t, PADDED[3], v, w), label="linear, one row"),
    Row("sparse_matmul",
        lambda v, w, b: F.sparse_linear(np.stack([BAG % 4, BAG]), v, w, b, rows=5),
        (normal(9), normal(2, 7), normal(2)),
        lambda v, w, b: matrix(v, BAG % 4, BAG, (5, 7)) @ w.T + b,
        lambda t, v, w, b: torch_places(t, v, w.T, BAG % 4, BAG, 5) + b, label="linear, places"),
    Row("sparse_matmul", lambda v, w, b: F.index_linear(BAG % 7, v, SIZES, w, b),
        (normal(9), normal(7, 3), normal(3)),
        lambda v, w, b: matrix(v, np.repeat(np.arange(4), SIZES), BAG, (4, 7)) @ w + b,
        lambda t, v, w, b: torch_index(t, v, w, b, BAG, SIZES), label="index linear"),
    Row("sparse_matmul",
        lambda v, w, s: F.index_linear(BAG, v, None, w, None, LARGEST.astype(v.dtype), s),
        (normal(9), normal(7, 3), normal(7)),
        lambda v, w, s: normalised(v, BAG, LARGEST, s) @ w[BAG], label="index linear, normalised"),
    Row("get_item", lambda w: F.embedding(BAG.reshape(3, 3), w), (normal(7, 2),),
        lambda w: w[BAG.reshape(3, 3)],
        lambda t, w: t.nn.functional.embedding(t.tensor(BAG.reshape(3, 3)), w), label="lookup"),
]  # fmt: skip
