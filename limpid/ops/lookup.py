"""What lookups in a table need: how often a row is asked for, bags of rows, largest values."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, linear
from limpid.differentiation.relation import Relation, elementwise_relation
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import int64
from limpid.graph.node import Array, Spec
from limpid.ops.plain import lookup as plain
from limpid.ops.plain.functions import between
from limpid.ops.sparse import check_places, chunks, run_starts


def _row_numbers(sizes: Array, *, count: int) -> Array:
    if sizes.size and sizes.min() < 0:
        raise ArgumentError(f"sizes must not be negative, but one is {sizes.min()}")
    if sizes.sum() != count:
        raise ArgumentError(f"sizes add up to {sizes.sum()}, but there are {count} items")
    return np.repeat(np.arange(len(sizes)), sizes)


# 0, 0, 0, 1, 2, 2 for sizes 3, 1, 2: the row of each item where rows follow each other.
row_numbers = general(
    "row_numbers",
    _row_numbers,
    vjp=[None],
    shape=lambda sizes, *, count: Spec((count,), int64),
    numeric="any",
    native=plain.row_numbers,
    valid=lambda sizes, *, count: plain.sizes_valid(sizes, count),
    math=r"\mathrm{rows}({sizes})",
)


def _occurrences(indices: Array, *, count: int) -> Array:
    check_places("occurrences", indices, count)
    flat = indices.reshape(-1)
    return np.bincount(flat[flat >= 0].astype(np.intp), minlength=count)


# How often each of the numbers 0 … count − 1 occurs; −1 stands for nothing.
occurrences = general(
    "occurrences",
    _occurrences,
    vjp=[None],
    shape=lambda indices, *, count: Spec((count,), int64),
    numeric="any",
    native=plain.occurrences,
    valid=lambda indices, *, count: between(indices, -1, count),
    math=r"\#({indices})",
)

# The same value, whose gradient is multiplied by a factor on the way back; tangents are not.
scale_gradient = linear(
    "scale_gradient",
    lambda x, factor: x,
    transpose=[lambda g, x, factor: g * factor, None],
    shape=lambda x, factor: x,
    relation=lambda x, factor: elementwise_relation([x.shape, factor.shape], x.shape),
    math="{x}",
)


def _largest_at(x: Array, indices: Array, values: Array) -> Array:
    _at_places(x, indices, values)
    check_places("largest_at", indices, len(x))
    y = x.copy()
    present = indices >= 0
    np.maximum.at(y, indices[present], values[present].astype(x.dtype, copy=False))
    return y


def _at_places(x: Any, indices: Any, values: Any) -> Any:
    if x.ndim != 1 or indices.shape != values.shape:
        raise ShapeError(
            f"each value needs one index, but they have shapes {values.shape} and {indices.shape}"
        )
    return x


# x with x[indices] raised to the values where these are larger: a statistic, so without gradient.
largest_at = general(
    "largest_at",
    _largest_at,
    vjp=[None, None, None],
    shape=_at_places,
    relation=lambda x, indices, values: Relation(
        (("place",), *[tuple(f"item{i}" for i in range(indices.ndim))] * 2), (("place",),)
    ),
    numeric="any",
    native=plain.largest_at,
    valid=lambda x, indices, values: between(indices, -1, x.shape[0]),
    math=r"\max({x}, {values})",
)


def _bag_argmax(table: Array, bags: Array, indices: Array, *, count: int) -> Array:
    check_places("bag_argmax", bags, count)
    check_places("bag_argmax", indices, len(table))
    present = indices >= 0
    bags, indices = bags[present], indices[present]
    out = np.full((count, table.shape[1]), -1, np.int64)
    if bags.size:
        starts = run_starts(bags)
        for c in chunks(table.shape[1], indices.size * table.itemsize):
            first = _first_largest(table[indices, c], starts)
            out[bags[starts], c] = indices[first]
    return out


def _first_largest(rows: Array, starts: Array) -> Array:
    """In each run of rows and each column, the number of the first that is largest, or NaN."""
    lengths = np.diff(starts, append=len(rows))
    largest = np.maximum.reduceat(rows, starts, axis=0)
    at = (rows == np.repeat(largest, lengths, axis=0)) | np.isnan(rows)
    numbers = np.where(at, np.arange(len(rows))[:, None], len(rows))
    return np.minimum.reduceat(numbers, starts, axis=0)


# For each bag of rows and each column of the table, the row that holds the largest number; −1 for
# an empty bag. Bags are in order.
bag_argmax = general(
    "bag_argmax",
    _bag_argmax,
    vjp=[None, None, None],
    shape=lambda table, bags, indices, *, count: Spec((count, table.shape[1]), int64),
    relation=lambda table, bags, indices, *, count: Relation(
        (("row", "width"), ("item",), ("item",)), (("bag", "width"),)
    ),
    numeric="any",
    native=plain.bag_argmax,
    valid=lambda table, bags, indices, *, count: plain.places_valid(
        bags, indices, count, table.shape[0]
    ),
    math=r"\mathrm{argmax}({table}_{{indices}})",
)
