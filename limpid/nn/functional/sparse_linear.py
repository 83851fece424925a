"""Linear layers of sparse inputs: what is 0 is not there. No dense input is ever made."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import as_dtype
from limpid.nn.functional.embedding import check_rows, integers
from limpid.ops.affine import check_type
from limpid.ops.arithmetic import where
from limpid.ops.cast import stop_gradient
from limpid.ops.elementary import abs, sign
from limpid.ops.gather import take
from limpid.ops.layout import reshape
from limpid.ops.lookup import row_numbers
from limpid.ops.sparse import sparse_matmul
from limpid.tensor import Tensor, known_values, operand


@name_errors
def sparse_linear(
    indices: Any, values: Any, weight: Any, bias: Any = None, rows: int | None = None
) -> Any:
    """x · weightᵀ + bias, where x is 0 but for some elements; (…, in) → (…, out).

    The elements come in one of two forms:

    indices (…, K), values (…, K)   the columns of K elements of each row, and their values. A row
                                    of fewer than K elements is filled up with the index −1
    indices (2, M), values (M)      rows and columns of M elements in any order, as PyTorch's sparse
                                    tensors hold them; `rows` is how many rows x has, by default the
                                    largest number plus 1, which reads the values

    weight (out, in), bias (out), as in `linear`. Elements named twice add up. With upstream g, the
    gradient of a value in row n and column c is g[n] · weight[:, c]; columns of the weight that are
    not named receive 0. Raises ShapeError, IndexingError and ArgumentError for an index out of
    range, DTypeError where values and weight are of different float types.

    >>> import limpid
    >>> weight = limpid.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    >>> f = limpid.nn.functional.sparse_linear
    >>> f(limpid.tensor([[0, 2], [1, -1]]), limpid.tensor([[1.0, 10.0], [1.0, 0.0]]), weight)
    tensor([[31., 64.],
            [ 2.,  5.]])
    """
    indices, values = integers(indices), operand(values)
    out, features = _extents(weight, bias)
    check_type(values, weight)
    if values.ndim == 1 and indices.shape == (2, values.shape[0]):
        numbers, columns = indices[0], indices[1]
        count = _row_count(numbers, rows)
        check_rows("sparse_linear", numbers, count)
        lead: tuple[int, ...] = (count,)
    else:
        numbers, columns, lead = _padded(indices, values, rows)
    check_rows("sparse_linear", columns, features, least=-1, what="column")
    y = sparse_matmul(
        reshape(values, (-1,)), weight.mT, numbers, reshape(columns, (-1,)), extent=prod(lead)
    )
    y = reshape(y, (*lead, out))
    return y if bias is None else y + bias


def _padded(indices: Any, values: Any, rows: int | None) -> tuple[Any, Any, tuple[int, ...]]:
    """Number of the row of each element, columns and the leading extents of (…, K) elements."""
    if not values.ndim or indices.shape != values.shape:
        raise ShapeError(
            "indices and values must have the same shape (…, K), or shapes (2, M) "
            f"and (M), not {indices.shape} and {values.shape}"
        )
    if rows is not None:
        raise ArgumentError("rows goes with indices of shape (2, M)")
    lead = values.shape[:-1]
    return np.repeat(np.arange(prod(lead)), values.shape[-1]), indices, lead


def _row_count(numbers: Any, rows: int | None) -> int:
    if rows is not None:
        if rows < 0:
            raise ArgumentError(f"rows must not be negative, but is {rows}")
        return int(rows)
    given = numbers.value if isinstance(numbers, Tensor) else numbers
    return int(given.max(initial=-1)) + 1


@name_errors
def index_linear(
    keys: Any,
    values: Any,
    sizes: Any,
    weight: Any,
    bias: Any = None,
    largest: Any = None,
    shift: Any = None,
) -> Any:
    """x · weight + bias, where x is 0 but for the elements of its rows, given after each other.

    keys, values    (M): the columns and the values of the elements
    sizes           (N): how many elements each row has; None if there is but one row → (out)
    weight, bias    (in, out), (out); the elements of a row of the weight lie together, so this is
                    faster than `sparse_linear` where `in` is large
    largest, shift  (in), both or none: a value v of column c counts as v / largest[c], at most 1 in
                    size, plus shift[c]. `largest` gets no gradient; where it is 0, v counts as its
                    sign

    → (N, out). Raises ShapeError, IndexingError and ArgumentError for a key out of range, or sizes
    that do not add up to M.

    >>> import limpid
    >>> weight = limpid.tensor([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]])
    >>> keys, values = limpid.tensor([0, 2, 1]), limpid.tensor([1.0, 10.0, 1.0])
    >>> limpid.nn.functional.index_linear(keys, values, limpid.tensor([2, 1]), weight)
    tensor([[31., 64.],
            [ 2.,  5.]])
    """
    keys, values = integers(keys), operand(values)
    features, out = _extents(weight, bias, out=1)
    check_type(values, weight)
    if values.ndim != 1 or keys.shape != values.shape:
        raise ShapeError(
            f"keys and values must have the same shape (M), not {keys.shape} and {values.shape}"
        )
    check_rows("index_linear", keys, features, what="column")
    if (largest is None) != (shift is None):
        raise ArgumentError("largest and shift go together")
    if largest is not None:
        values = _normalised(values, keys, largest, shift)
    numbers, count = _rows_of(sizes, keys.shape[0])
    y = sparse_matmul(values, weight, numbers, keys, extent=count)
    y = y if sizes is not None else reshape(y, (out,))
    return y if bias is None else y + bias


def _normalised(values: Any, keys: Any, largest: Any, shift: Any) -> Any:
    """Values in units of the largest of their column, held within ±1, and shifted."""
    top = take(stop_gradient(largest), keys, axis=0)
    inside = abs(values) <= top
    scaled = where(inside, values / where(top == 0, 1.0, top), sign(values))
    return scaled + take(shift, keys, axis=0)


def _rows_of(sizes: Any, count: int) -> tuple[Any, int]:
    """The number of the row of each element, and how many rows there are."""
    if sizes is None:
        return np.zeros(count, np.int64), 1
    sizes = integers(sizes)
    if sizes.ndim != 1 or as_dtype(sizes.dtype).kind != "int":
        raise ArgumentError(
            f"sizes must be integers of shape (N), not {sizes.dtype} of shape {sizes.shape}"
        )
    given = known_values(sizes)
    if given is not None and (given.min(initial=0) < 0 or given.sum() != count):
        raise ArgumentError(
            f"sizes add up to {given.sum()}, the smallest is {given.min(initial=0)}, but there are "
            f"{count} keys"
        )
    return row_numbers(sizes, count=count), sizes.shape[0]


def _extents(weight: Any, bias: Any, out: int = 0) -> tuple[int, int]:
    """The extents of a weight with its outputs on axis `out`."""
    if len(weight.shape) != 2 or (bias is not None and bias.shape != (weight.shape[out],)):
        raise ShapeError(
            f"weight and bias must have shapes {'(in, out)' if out else '(out, in)'} and "
            f"(out), not {weight.shape}{'' if bias is None else f' and {bias.shape}'}"
        )
    first, second = weight.shape
    return first, second
