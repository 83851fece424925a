"""Looking up rows of a table by number, one by one or as bags."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.failure import in_scope, name_errors
from limpid.errors import ArgumentError, IndexingError, ShapeError
from limpid.graph.context import no_grad
from limpid.graph.dtype import as_dtype
from limpid.graph.source import here
from limpid.ops import gather
from limpid.ops.arithmetic import equal, where
from limpid.ops.cast import astype, stop_gradient
from limpid.ops.comparison import maximum
from limpid.ops.index import set_item
from limpid.ops.join import concat
from limpid.ops.layout import reshape
from limpid.ops.lookup import bag_argmax, occurrences, row_numbers, scale_gradient
from limpid.ops.sparse import sparse_matmul
from limpid.ops.state import assign
from limpid.ops.statistics import vector_norm
from limpid.tensor import Tensor, known_values, operand

MODES = ("sum", "mean", "max")


@name_errors
def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """Rows of the weight by number: (…) → (…, width). Gradients of rows used twice add up.

    padding_idx         the row with this number gets no gradient
    max_norm            rows that are looked up and longer than this are first shortened to it, in
                        the weight itself, without gradient; so the weight must be a slot
    norm_type           what is long: p of the p-norm
    scale_grad_by_freq  divide the gradient of each row by the number of times it is looked up
    sparse              must be False: gradients are dense

    Raises ShapeError, IndexingError and ArgumentError for a number out of range.

    >>> import limpid
    >>> table = limpid.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> limpid.nn.functional.embedding(limpid.tensor([1, 1]), table)
    tensor([[3., 4.],
            [3., 4.]])
    """
    index = _operands("embedding", input, weight, sparse)
    padding_idx = normal_padding(padding_idx, weight.shape[0])
    if max_norm is not None:
        _shorten(weight, index, max_norm, norm_type)
    table = _by_frequency(weight, index) if scale_grad_by_freq else weight
    rows = gather.take(table, index, axis=0)
    if padding_idx is None:
        return rows
    padding = reshape(equal(index, padding_idx), (*index.shape, 1))
    return where(padding, stop_gradient(rows), rows)


@name_errors
def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """The sum, mean or maximum of bags of rows of the weight: B bags → (B, width).

    input                (B, n): n numbers for each bag; or (M): bags of any size after each other
    offsets              (B): where each bag of (M) begins; with include_last_offset (B + 1), the
                         last being M
    mode                 "sum", "mean" or "max"; an empty bag gives 0. Of rows that tie for the
                         maximum the first gets the gradient
    per_sample_weights   in the shape of the input: factors of the rows in a sum
    padding_idx          rows with this number are as good as not in the bag

    Other arguments and errors as in `embedding`. The looked-up rows are never all in memory.

    >>> import limpid
    >>> table = limpid.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> limpid.nn.functional.embedding_bag(limpid.tensor([[0, 1], [1, 1]]), table, mode="sum")
    tensor([[4., 6.],
            [6., 8.]])
    """
    index = _operands("embedding_bag", input, weight, sparse)
    _check_mode(mode, per_sample_weights, scale_grad_by_freq)
    if max_norm is not None:
        _shorten(weight, index, max_norm, norm_type)
    if per_sample_weights is not None:
        per_sample_weights = _sample_weights(per_sample_weights, index, weight)
    index, bags, count = _bags(index, offsets, include_last_offset)
    padding_idx = normal_padding(padding_idx, weight.shape[0])
    if padding_idx is not None:  # −1 stands for what is not there
        index = where(equal(index, padding_idx), -1, astype(index, "int64"))
    table = _by_frequency(weight, index) if scale_grad_by_freq else weight
    if mode == "max" and weight.shape[0]:
        row = bag_argmax(table, bags, index, count=count)  # (B, width)
        largest = gather.take_along_axis(table, maximum(row, 0), axis=0)
        return where(row >= 0, largest, 0.0)
    factors = per_sample_weights
    if factors is None:
        factors = np.ones(index.shape, as_dtype(weight.dtype).storage)
    y = sparse_matmul(factors, table, bags, index, extent=count)
    return y / _bag_sizes(index, bags, count, y) if mode == "mean" else y


def _operands(name: str, input: Any, weight: Any, sparse: bool) -> Any:
    """The numbers of the rows, checked against the table."""
    refuse_sparse(sparse)
    if len(weight.shape) != 2:
        raise ShapeError(f"the weight must have shape (rows, width), not {weight.shape}")
    index = integers(input)
    check_rows(name, index, weight.shape[0])
    return index


def refuse_sparse(sparse: bool) -> None:
    """Raise ArgumentError where sparse gradients are asked for."""
    if sparse:
        raise ArgumentError(
            "sparse=True asks for sparse gradients, but limpid's gradients are dense\n"
            "remedy: leave it out; the numbers are the same"
        )


def integers(indices: Any) -> Any:
    """Indices as a tensor or array; an empty list is one of integers."""
    index = operand(indices)
    if not index.size and not isinstance(indices, Tensor | np.ndarray):
        return np.zeros(index.shape, np.int64)
    return index


def check_rows(name: str, index: Any, count: int, least: int = 0, what: str = "row") -> None:
    """Raise for what can't be the number of a row; values are looked at in eager mode only.

    Negative numbers count from the end elsewhere; here they are nearly always a mistake.
    """
    if as_dtype(index.dtype).kind != "int":
        raise IndexingError(
            f"{in_scope(name)}: the number of a {what} is an integer, not {index.dtype}\n"
            f"remedy: limpid.astype(indices, limpid.int64){here()}"
        )
    values = known_values(index)
    if values is None or not values.size:
        return
    low, high = values.min(), values.max()
    if low >= least and high < count:
        return
    kind, wrong = (ArgumentError, low) if low < least else (IndexingError, high)
    raise kind(
        f"{in_scope(name)}: {what} {wrong} was asked for, but there are {count}, numbered from 0"
        f"{here()}"
    )


def normal_padding(padding_idx: int | None, count: int) -> int | None:
    """The number of the padding row, counted from 0; ArgumentError if there is no such row."""
    if padding_idx is None:
        return None
    if not -count <= padding_idx < count:
        raise ArgumentError(f"padding_idx {padding_idx} is out of range for {count} rows")
    return padding_idx % count


def _shorten(weight: Any, index: Any, max_norm: float, norm_type: float) -> None:
    """Bring rows that are looked up and longer than max_norm to that length, in the table."""
    if not max_norm > 0:
        raise ArgumentError(f"max_norm must be positive, not {max_norm}")
    with no_grad():
        rows = gather.take(stop_gradient(weight), index, axis=0)
        length = vector_norm(rows, -1, True, norm_type)
        longer = length > max_norm
        values = known_values(longer)
        if values is not None and not values.any():
            return
        factor = where(longer, max_norm / (length + 1e-7), 1.0)
        assign(weight, set_item(stop_gradient(weight), index, rows * factor))


def _by_frequency(weight: Any, index: Any) -> Any:
    """The weight, the gradient of each row divided by how often the row occurs."""
    times = maximum(occurrences(index, count=weight.shape[0]), 1)
    return scale_gradient(weight, reshape(1.0 / astype(times, weight.dtype), (-1, 1)))


def _check_mode(mode: str, per_sample_weights: Any, scale_grad_by_freq: bool) -> None:
    if mode not in MODES:
        raise ArgumentError(f'mode must be "sum", "mean" or "max", not {mode!r}')
    if per_sample_weights is not None and mode != "sum":
        raise ArgumentError(f'only a sum has per_sample_weights, not mode="{mode}"')
    if scale_grad_by_freq and mode == "max":
        raise ArgumentError("the gradient of a maximum can't be scaled by frequency")


def _sample_weights(factors: Any, index: Any, weight: Any) -> Any:
    factors = operand(factors)
    if factors.shape != index.shape:
        raise ShapeError(
            f"per_sample_weights have shape {factors.shape}, but must have that of "
            f"the input, {index.shape}"
        )
    return reshape(factors, (-1,))


def _bags(index: Any, offsets: Any, include_last_offset: bool) -> tuple[Any, Any, int]:
    """All rows after each other, (M); the number of the bag of each, (M); how many bags."""
    if len(index.shape) == 2:
        if offsets is not None:
            raise ArgumentError("an input (B, n) has no offsets; bags have n rows")
        count, length = index.shape
        return reshape(index, (-1,)), np.repeat(np.arange(count), length), count
    if len(index.shape) != 1:
        raise ShapeError(f"the input must have shape (B, n) or (M), not {index.shape}")
    if offsets is None:
        raise ArgumentError("an input (M) needs offsets: where each bag begins")
    sizes = _sizes(offsets, index.shape[0], include_last_offset)
    return index, row_numbers(sizes, count=index.shape[0]), sizes.shape[0]


def _sizes(offsets: Any, count: int, include_last_offset: bool) -> Any:
    """How many rows each bag has."""
    offsets = operand(offsets)
    if len(offsets.shape) != 1 or as_dtype(offsets.dtype).kind != "int":
        raise ArgumentError(
            f"offsets must be integers of shape (B), not {offsets.dtype} of shape {offsets.shape}"
        )
    if include_last_offset and not offsets.shape[0]:
        raise ArgumentError("with include_last_offset there is at least one offset")
    ends = astype(offsets, "int64")
    if not include_last_offset:
        ends = concat([ends, np.array([count])])
    _check_offsets(ends, count)
    return ends[1:] - ends[:-1]


def _check_offsets(ends: Any, count: int) -> None:
    values = known_values(ends)
    if values is None:
        return
    begins = values[0] == 0 or len(values) == 1
    if not begins or values[-1] != count or (np.diff(values) < 0).any():
        raise ArgumentError(
            f"offsets begin with 0 and grow up to the {count} rows that there are, "
            f"but they are {values[:6].tolist()}{' …' if len(values) > 6 else ''}"
        )


def _bag_sizes(index: Any, bags: Any, count: int, like: Any) -> Any:
    """The divisors of a mean: how many rows are in each bag, at least 1; (B, 1)."""
    present = where(index >= 0, bags, -1)
    times = maximum(occurrences(present, count=count), 1)
    return reshape(astype(times, like.dtype), (-1, 1))
