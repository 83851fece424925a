"""Products with a sparse matrix that is given by its elements.

S holds values[m] at (rows[m], columns[m]). Elements that meet at one place add up; one with an
index of −1 is not there: it counts nothing and receives nothing. The product S · D and the sampled
product (A · Bᵀ at the places of S) are each other's adjoints. S itself is never made, and what is
gathered at once takes at most 4 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, transpose
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import IndexingError, ShapeError
from limpid.graph.dtype import result_type
from limpid.graph.node import Array, Spec
from limpid.graph.source import here
from limpid.ops.plain import lookup as plain

GATHERED = 1 << 22  # bytes


def check_places(name: str, indices: Array, extent: int) -> None:
    """Raise IndexingError for an index that is neither in [0, extent) nor −1."""
    if indices.size and (indices.min() < -1 or indices.max() >= extent):
        wrong = indices[(indices < -1) | (indices >= extent)]
        raise IndexingError(f"{name}: index {wrong.flat[0]} is out of range for {extent}{here()}")


def chunks(count: int, bytes_each: int) -> Iterator[slice]:
    """Slices of a row of elements, of which each takes up so much memory."""
    step = max(GATHERED // max(bytes_each, 1), 1)
    return (slice(start, start + step) for start in range(0, count, step))


def run_starts(rows: Array) -> Array:
    """Where runs of equal numbers begin."""
    return np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))


# S · D


def _multiply(values: Array, dense: Array, rows: Array, columns: Array, *, extent: int) -> Array:
    check_places("sparse_matmul", rows, extent)
    check_places("sparse_matmul", columns, len(dense))
    absent = (rows < 0) | (columns < 0)
    if absent.any():
        values, rows, columns = (x[~absent] for x in (values, rows, columns))
    dtype = np.result_type(values, dense)
    out = np.zeros((extent, dense.shape[1]), _wide(dtype))
    if rows.size and out.size:
        _multiply_into(out, values.astype(out.dtype, copy=False), dense, rows, columns)
    return out.astype(dtype, copy=False)


def _wide(dtype: Any) -> Any:
    """The type in which products are added up: float16 would soon be full."""
    return np.float32 if dtype == np.float16 else dtype


def _multiply_into(out: Array, values: Array, dense: Array, rows: Array, columns: Array) -> None:
    """Add S · D to the zeros in `out`, the quickest way that the order of the elements allows."""
    extent = len(out)
    shape = (extent, rows.size // extent)
    if shape[1] * out[0].nbytes <= GATHERED and _are_equal_rows(rows, shape):
        _multiply_equal_rows(values.reshape(shape), dense, columns.reshape(shape), out)
    elif (rows[1:] >= rows[:-1]).all():
        _add_runs(values, dense, rows, columns, out)
    else:
        _add_anywhere(values, dense, rows, columns, out)


def _are_equal_rows(rows: Array, shape: tuple[int, int]) -> bool:
    """Whether these are 0, 0, …, 1, 1, …, each equally often."""
    if rows.size != shape[0] * shape[1]:
        return False
    return bool((rows.reshape(shape) == np.arange(shape[0])[:, None]).all())


def _multiply_equal_rows(values: Array, dense: Array, columns: Array, out: Array) -> None:
    """Rows of S with equally many elements, as small matrix products."""
    for c in chunks(len(values), columns[0].size * out[0].nbytes):
        gathered = dense[columns[c]].astype(out.dtype, copy=False)  # (n, length, width)
        np.matmul(values[c, None, :], gathered, out=out[c, None, :])


def _add_runs(values: Array, dense: Array, rows: Array, columns: Array, out: Array) -> None:
    """Elements in the order of their rows; a run may go on in the next chunk."""
    for c in chunks(rows.size, out[0].nbytes):
        terms = dense[columns[c]] * values[c, None]  # (m, width)
        starts = run_starts(rows[c])
        out[rows[c][starts]] += np.add.reduceat(terms, starts, axis=0)


def _add_anywhere(values: Array, dense: Array, rows: Array, columns: Array, out: Array) -> None:
    """Elements in any order, on flat memory, where NumPy adds several times faster."""
    width = out.shape[1]
    for c in chunks(rows.size, out[0].nbytes):
        terms = dense[columns[c]] * values[c, None]  # (m, width)
        places = rows[c, None].astype(np.intp) * width + np.arange(width)
        np.add.at(out.reshape(-1), places.reshape(-1), terms.reshape(-1))


def _check_elements(rows: Any, columns: Any) -> None:
    if len(rows.shape) != 1 or rows.shape != columns.shape:
        raise ShapeError(
            "the elements of a sparse matrix have a row and a column each, but their numbers have "
            f"shapes {rows.shape} and {columns.shape}"
        )


def _product_shape(values: Spec, dense: Spec, rows: Spec, columns: Spec, *, extent: int) -> Spec:
    _check_elements(rows, columns)
    if values.shape != rows.shape or dense.ndim != 2:
        raise ShapeError(
            f"{rows.size} elements of a sparse matrix need as many values, not shape "
            f"{values.shape}, and a matrix to be multiplied with, not shape {dense.shape}"
        )
    return Spec((extent, dense.shape[1]), result_type([values.dtype, dense.dtype]))


sparse_matmul: Primitive = general(
    "sparse_matmul",
    _multiply,
    vjp=[
        transpose(
            lambda g, values, dense, rows, columns, *, extent: sampled_matmul(
                g, dense, rows, columns
            )
        ),
        transpose(
            lambda g, values, dense, rows, columns, *, extent: sparse_matmul(
                values, g, columns, rows, extent=dense.shape[0]
            )
        ),
        None,
        None,
    ],
    shape=_product_shape,
    relation=lambda values, dense, rows, columns, *, extent: Relation(
        (("element",), ("column", "width"), ("element",), ("element",)), (("row", "width"),)
    ),
    math=r"S({values}) {dense}",
    native=plain.sparse_product,
    valid=lambda values, dense, rows, columns, *, extent: plain.places_valid(
        rows, columns, extent, dense.shape[0]
    ),
)


# A · Bᵀ at some places


def _sample(a: Array, b: Array, rows: Array, columns: Array) -> Array:
    check_places("sampled_matmul", rows, len(a))
    check_places("sampled_matmul", columns, len(b))
    dtype = np.result_type(a, b)
    out = np.zeros(rows.shape, dtype)
    wide = _wide(dtype)
    present = np.flatnonzero((rows >= 0) & (columns >= 0))
    for c in chunks(present.size, 2 * a.shape[1] * out.itemsize):
        at = present[c]
        out[at] = np.einsum("mw,mw->m", a[rows[at]], b[columns[at]], dtype=wide)
    return out


def _sample_shape(a: Spec, b: Spec, rows: Spec, columns: Spec) -> Spec:
    _check_elements(rows, columns)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ShapeError(f"matrices with rows of one length are needed, not {a} and {b}")
    return Spec(rows.shape, result_type([a.dtype, b.dtype]))


sampled_matmul: Primitive = general(
    "sampled_matmul",
    _sample,
    vjp=[
        transpose(
            lambda g, a, b, rows, columns: sparse_matmul(g, b, rows, columns, extent=a.shape[0])
        ),
        transpose(
            lambda g, a, b, rows, columns: sparse_matmul(g, a, columns, rows, extent=b.shape[0])
        ),
        None,
        None,
    ],
    shape=_sample_shape,
    relation=lambda a, b, rows, columns: Relation(
        (("row", "width"), ("column", "width"), ("element",), ("element",)), (("element",),)
    ),
    math="{a}_{{rows}} \\cdot {b}_{{columns}}",
    native=plain.sampled_product,
    valid=lambda a, b, rows, columns: plain.places_valid(rows, columns, a.shape[0], b.shape[0]),
)
