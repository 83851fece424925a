"""Sparse products and counting in plain steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.ops.plain.functions import between, lowest, scatter_add, scatter_max


def _wide(*xs: Any) -> tuple[Any, Any]:
    """The common type, and that in which products are added up: float16 would soon be full."""
    dtype = np.result_type(*xs)
    return dtype, np.float32 if dtype == np.float16 else dtype


def sparse_product(values: Any, dense: Any, rows: Any, columns: Any, *, extent: int) -> Any:
    """S · D for S of these elements; one with an index of −1 is not there."""
    dtype, wide = _wide(values, dense)
    there = ((rows >= 0) & (columns >= 0))[:, None]
    terms = np.take(dense, np.maximum(columns, 0), 0).astype(wide)  # (m, width)
    terms = np.where(there, terms * values[:, None].astype(wide), 0)
    return scatter_add(terms, np.maximum(rows, 0), axis=0, extent=extent).astype(dtype)


def sampled_product(a: Any, b: Any, rows: Any, columns: Any) -> Any:
    """A · Bᵀ at these places."""
    dtype, wide = _wide(a, b)
    left, right = (
        np.take(x, np.maximum(at, 0), 0).astype(wide) for x, at in ((a, rows), (b, columns))
    )
    found = np.add.reduce(left * right, axis=1)
    return np.where((rows >= 0) & (columns >= 0), found, 0).astype(dtype)


def places_valid(rows: Any, columns: Any, height: int, width: int) -> Any:
    """Whether all elements are within a matrix, or not there."""
    return between(rows, -1, height) & between(columns, -1, width)


def occurrences(indices: Any, *, count: int) -> Any:
    """How often each number occurs; −1 stands for nothing."""
    flat = indices.reshape(-1).astype(np.int64)
    given = (flat >= 0).astype(np.int64)
    return scatter_add(given, np.maximum(flat, 0), axis=0, extent=count)


def largest_at(x: Any, indices: Any, values: Any) -> Any:
    """x with the values at the indices, where these are larger; −1 stands for nothing."""
    flat = indices.reshape(-1).astype(np.int64)
    given = np.where(flat >= 0, values.reshape(-1).astype(x.dtype), lowest(x.dtype))
    found = scatter_max(given, np.maximum(flat, 0), axis=0, extent=x.shape[0], fill=lowest(x.dtype))
    return np.maximum(x, found)


def bag_argmax(table: Any, bags: Any, indices: Any, *, count: int) -> Any:
    """For each bag of rows and each column, the row with the largest number, −1 for an empty bag.

    Of equal ones it is the first, and NaN is larger than any number.
    """
    there = (indices >= 0)[:, None]
    bags = bags.astype(np.int64)[:, None]  # (m, 1)
    rows = np.take(table, np.maximum(indices, 0), 0)  # (m, width)
    least = lowest(table.dtype)
    shape = rows.shape
    bags = np.broadcast_to(np.maximum(bags, 0), shape)
    given = np.where(there, rows, least)
    top = scatter_max(given, bags, axis=0, extent=count, fill=least)
    wins = rows >= np.take_along_axis(top, bags, axis=0)
    if table.dtype.kind == "f":
        wins = wins | (rows != rows)
    back = np.arange(shape[0], 0, -1)[:, None]  # the first has the largest number
    numbers = np.where(wins & there, back, 0)
    first = scatter_max(numbers, bags, axis=0, extent=count, fill=0)  # (count, width)
    chosen = np.take(indices.astype(np.int64), np.maximum(shape[0] - first, 0), 0, mode="clip")
    return np.where(first > 0, chosen, -1)


def row_numbers(sizes: Any, *, count: int) -> Any:
    """The row of each item where rows of these sizes follow each other."""
    return places_after(np.add.accumulate(sizes.astype(np.int64)), np.arange(count))


def sizes_valid(sizes: Any, count: int) -> Any:
    """Whether no size is negative, and they add up."""
    sizes = sizes.astype(np.int64)
    return (sizes >= 0).all() & (sizes.sum() == count)


def places_after(rising: Any, x: Any) -> Any:
    """How many of the rising numbers are ≤ x, for each x: `np.searchsorted(…, side="right")`.

    By halving: log₂ n rounds, each one look at an element.
    """
    count = rising.shape[0]
    found: Any = np.zeros_like(x, np.int64)
    step = 1 << count.bit_length()
    while step:
        further = found + step
        within = np.minimum(further, count) - 1
        taken = (further <= count) & (np.take(rising, np.maximum(within, 0), 0) <= x)
        found = np.where(taken, further, found)
        step >>= 1
    return found
