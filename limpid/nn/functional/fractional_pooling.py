"""Fractional max pooling, with PyTorch's names and arguments.

Inputs are (N, C, *spatial), or (C, *spatial) without a batch. Errors are ShapeError where sizes do
not fit and ArgumentError for impossible arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import as_dtype, default_float
from limpid.nn.functional.pooling import spatial
from limpid.ops.cast import astype
from limpid.ops.index import get_item
from limpid.ops.join import concat, stack
from limpid.ops.layout import reshape
from limpid.ops.random import uniform
from limpid.ops.windows.bin_max import max_of_bins
from limpid.ops.windows.geometry import Extents, per_axis
from limpid.tensor import known_values, operand


@name_errors
def fractional_max_pool2d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """The largest elements of windows at random places: (N, C, H, W) → (N, C, O, O).

    Windows of the kernel's size begin at ⌊(o + u)·α⌋ − ⌊u·α⌋ with α = (W − K)/(O − 1), the last at
    W − K; u is drawn for every image, channel and axis.

    output_size, output_ratio  one of them: sizes, or their ratios to those of the input
    _random_samples  the u, in [0, 1]: (N, C, 2), for columns first, as in PyTorch

    Source: Graham 2014, Fractional Max-Pooling.

    >>> import limpid
    >>> x = limpid.zeros((1, 3, 9, 9))
    >>> limpid.nn.functional.fractional_max_pool2d(x, 2, output_ratio=0.7).shape
    (1, 3, 6, 6)
    """
    return _fractional(
        2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


@name_errors
def fractional_max_pool3d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """As `fractional_max_pool2d` for volumes; _random_samples (N, C, 3) in the order of the axes.

    >>> import limpid
    >>> x = limpid.zeros((1, 3, 9, 9, 9))
    >>> limpid.nn.functional.fractional_max_pool3d(x, 2, output_size=(5, 6, 7)).shape
    (1, 3, 5, 6, 7)
    """
    return _fractional(
        3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


@name_errors
def fractional_max_pool2d_with_indices(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = True,
    _random_samples: Any = None,
) -> Any:
    """`fractional_max_pool2d` with indices, whatever `return_indices` says."""
    return _fractional(2, input, kernel_size, output_size, output_ratio, True, _random_samples)


@name_errors
def fractional_max_pool3d_with_indices(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = True,
    _random_samples: Any = None,
) -> Any:
    """`fractional_max_pool3d` with indices, whatever `return_indices` says."""
    return _fractional(3, input, kernel_size, output_size, output_ratio, True, _random_samples)


def _fractional(
    rank: int,
    input: Any,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: Any,
) -> Any:
    x = spatial(input, rank)
    kernel = per_axis(kernel_size, rank, "kernel_size")
    out = _fractional_size(x.shape[-rank:], kernel, output_size, output_ratio)
    order = (1, 0) if rank == 2 else range(rank)  # PyTorch draws columns before rows
    samples = _samples(x, rank, samples)
    edges = [
        _fractional_edges(get_item(samples, (..., slice(n, n + 1))), w, k, o)
        for n, w, k, o in zip(order, x.shape[-rank:], kernel, out, strict=True)
    ]
    y, positions = max_of_bins(x, *edges, widest=kernel)
    return (y, positions) if return_indices else y


def _fractional_size(
    extents: Extents, kernel: Extents, output_size: Any, output_ratio: Any
) -> Extents:
    rank = len(extents)
    if output_size is not None:
        out = per_axis(output_size, rank, "output_size")
    elif output_ratio is not None:
        out = tuple(int(w * r) for w, r in zip(extents, ratios(output_ratio, rank), strict=True))
    else:
        raise ArgumentError("either output_size or output_ratio must be given")
    for axis, (w, k, o) in enumerate(zip(extents, kernel, out, strict=True)):
        if o < 1 or o + k - 1 > w:
            raise ShapeError(
                f"{o} windows of {k} at different places do not fit into {w} along spatial axis "
                f"{axis}"
            )
    return out


def ratios(given: Any, rank: int) -> Sequence[float]:
    """Ratios of sizes in (0, 1), one for each axis; ArgumentError otherwise."""
    several = given if isinstance(given, tuple | list) else (given,) * rank
    if len(several) != rank or not all(isinstance(r, float) and 0 < r < 1 for r in several):
        raise ArgumentError(
            f"output_ratio is a number between 0 and 1, or {rank} of them, not {given!r:.60}"
        )
    return several


def _samples(x: Any, rank: int, samples: Any) -> Any:
    """Random numbers (…, C, rank) in [0, 1] of the input's float type."""
    shape = (*x.shape[:-rank], rank)
    kind = as_dtype(x.dtype)
    dtype = kind if kind.kind == "float" else default_float()
    if samples is None:
        return uniform(shape=shape, dtype=dtype)
    samples = operand(samples)
    if samples.size != prod(shape):
        raise ShapeError(f"_random_samples have shape {shape}, not {samples.shape}")
    values = known_values(samples)
    if values is not None and not ((values >= 0) & (values <= 1)).all():
        raise ArgumentError(f"_random_samples are in [0, 1], not {values.min()} to {values.max()}")
    return astype(reshape(samples, shape), dtype)


def _fractional_edges(u: Any, extent: int, kernel: int, out: int) -> Any:
    """Where windows begin and end, for u of shape (…, C, 1): (…, C, O, 2)."""
    storage = as_dtype(u.dtype).storage
    last = np.full((*u.shape[:-1], 1), extent - kernel)
    if out > 1:
        # In the float type of the input, since rounding decides where a window begins.
        alpha = float(storage.type(extent - kernel) / storage.type(out - 1))
        steps = np.arange(out - 1, dtype=storage)
        first = astype((u + steps) * alpha, "int64") - astype(u * alpha, "int64")
        last = concat([first, last], axis=-1)  # (…, C, O)
    return stack([last, last + kernel], axis=-1)
