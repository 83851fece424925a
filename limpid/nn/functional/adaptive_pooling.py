"""Pooling to a given size, adaptive and global, with PyTorch's names and arguments.

Inputs are (N, C, *spatial), or (C, *spatial) without a batch. An output size is a number, or one
for each spatial axis, where None stands for the extent of the input. Errors are ShapeError where
sizes do not fit and ArgumentError for impossible arguments.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ShapeError
from limpid.nn.functional.pooling import averaged, spatial
from limpid.ops.cast import as_floats
from limpid.ops.index import get_item
from limpid.ops.layout import reshape
from limpid.ops.statistics import mean
from limpid.ops.windows.bin_max import adaptive_edges, max_of_bins
from limpid.ops.windows.geometry import Extents, per_axis
from limpid.ops.windows.max_pool import max_pool, window_positions
from limpid.ops.windows.resample import resample
from limpid.tensor import operand


@name_errors
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The means of as many bins as asked for: (N, C, W) → (N, C, O).

    Bin o reaches from ⌊o·W/O⌋ to ⌈(o + 1)·W/O⌉, so bins overlap where O does not divide W.

    >>> import limpid
    >>> limpid.nn.functional.adaptive_avg_pool1d(limpid.tensor([[1.0, 2.0, 6.0]]), 2)
    tensor([[1.5, 4. ]])
    """
    return _adaptive_avg(1, input, output_size)


@name_errors
def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """As `adaptive_avg_pool1d` for images: (N, C, H, W) → (N, C, O, O).

    >>> import limpid
    >>> limpid.nn.functional.adaptive_avg_pool2d(limpid.zeros((1, 3, 7, 7)), (None, 2)).shape
    (1, 3, 7, 2)
    """
    return _adaptive_avg(2, input, output_size)


@name_errors
def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """As `adaptive_avg_pool1d` for volumes: (N, C, D, H, W) → (N, C, O, O, O).

    >>> import limpid
    >>> limpid.nn.functional.adaptive_avg_pool3d(limpid.zeros((1, 3, 7, 7, 7)), 2).shape
    (1, 3, 2, 2, 2)
    """
    return _adaptive_avg(3, input, output_size)


@name_errors
def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of as many bins as asked for: (N, C, W) → (N, C, O).

    The bins are those of `adaptive_avg_pool1d`; ties, NaN and indices as in `max_pool1d`.

    >>> import limpid
    >>> limpid.nn.functional.adaptive_max_pool1d(limpid.tensor([[1.0, 7.0, 6.0]]), 2, True)
    (tensor([[7., 7.]]), tensor([[1, 1]]))
    """
    return _adaptive_max(1, input, output_size, return_indices)


@name_errors
def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """As `adaptive_max_pool1d` for images: (N, C, H, W) → (N, C, O, O).

    >>> import limpid
    >>> limpid.nn.functional.adaptive_max_pool2d(limpid.zeros((1, 3, 7, 7)), (None, 2)).shape
    (1, 3, 7, 2)
    """
    return _adaptive_max(2, input, output_size, return_indices)


@name_errors
def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """As `adaptive_max_pool1d` for volumes: (N, C, D, H, W) → (N, C, O, O, O).

    >>> import limpid
    >>> limpid.nn.functional.adaptive_max_pool3d(limpid.zeros((1, 3, 7, 7, 7)), 2).shape
    (1, 3, 2, 2, 2)
    """
    return _adaptive_max(3, input, output_size, return_indices)


@name_errors
def adaptive_max_pool1d_with_indices(
    input: Any, output_size: Any, return_indices: bool = True
) -> Any:
    """`adaptive_max_pool1d` with indices, whatever `return_indices` says."""
    return _adaptive_max(1, input, output_size, True)


@name_errors
def adaptive_max_pool2d_with_indices(
    input: Any, output_size: Any, return_indices: bool = True
) -> Any:
    """`adaptive_max_pool2d` with indices, whatever `return_indices` says."""
    return _adaptive_max(2, input, output_size, True)


@name_errors
def adaptive_max_pool3d_with_indices(
    input: Any, output_size: Any, return_indices: bool = True
) -> Any:
    """`adaptive_max_pool3d` with indices, whatever `return_indices` says."""
    return _adaptive_max(3, input, output_size, True)


@name_errors
def global_avg_pool(input: Any) -> Any:
    """The mean of every channel: (N, C, *spatial) → (N, C).

    >>> import limpid
    >>> limpid.nn.functional.global_avg_pool(limpid.tensor([[[1.0, 2.0, 6.0]]]))
    tensor([[3.]])
    """
    x = _with_places(input)
    return mean(as_floats(x), axis=tuple(range(2, x.ndim)))


@name_errors
def global_max_pool(input: Any) -> Any:
    """The largest element of every channel: (N, C, *spatial) → (N, C).

    Of elements that tie, the first receives the gradient, as in `max_pool1d`.

    >>> import limpid
    >>> limpid.nn.functional.global_max_pool(limpid.tensor([[[1.0, 2.0, 6.0]]]))
    tensor([[6.]])
    """
    x = _with_places(input)
    y, _ = max_pool(x, **_side_by_side(x.shape[2:], (1,) * (x.ndim - 2)))
    return reshape(y, x.shape[:2])


def _with_places(input: Any) -> Any:
    x = operand(input)
    if x.ndim < 3 or 0 in x.shape[2:]:
        raise ShapeError(f"the input has axes (N, C, *spatial), not empty, but is {x.shape}")
    return x


def _adaptive_avg(rank: int, input: Any, output_size: Any) -> Any:
    x = as_floats(spatial(input, rank))
    before, extents = x.shape[:-rank], x.shape[-rank:]
    out = _output_size(output_size, extents)
    if not all(out):
        none = (..., *(slice(None if o else 0) for o in out))
        return reshape(get_item(x, none), (*before, *out))
    if any(w % o for w, o in zip(extents, out, strict=True)):
        return resample(x, range(len(before), x.ndim), out, "area")
    window = _side_by_side(extents, out)
    return averaged(x, window, prod(window["kernel"]))


def _adaptive_max(rank: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    x = spatial(input, rank)
    extents = x.shape[-rank:]
    out = _output_size(output_size, extents)
    if all(out) and not any(w % o for w, o in zip(extents, out, strict=True)):
        window = _side_by_side(extents, out)
        y, winner = max_pool(x, **window)
        if not return_indices:
            return y
        return y, window_positions(winner, extents=extents, **window)
    edges = [adaptive_edges(w, o) for w, o in zip(extents, out, strict=True)]
    widest = tuple(int((e[:, 1] - e[:, 0]).max(initial=1)) for e in edges)
    y, positions = max_of_bins(x, *edges, widest=widest)
    return (y, positions) if return_indices else y


def _output_size(given: Any, extents: Extents) -> Extents:
    """The number of bins along each axis."""
    several = list(given) if isinstance(given, tuple | list) else [given] * len(extents)
    if len(several) == 1:
        several *= len(extents)
    if len(several) == len(extents):
        several = [w if n is None else n for n, w in zip(several, extents, strict=True)]
    return per_axis(tuple(several), len(extents), "output_size", least=0)


@lru_cache(maxsize=256)
def _side_by_side(extents: Extents, out: Extents) -> dict[str, Any]:
    """The params of windows that divide the input among them."""
    kernel = tuple(w // o for w, o in zip(extents, out, strict=True))
    rank = len(kernel)
    return {
        "kernel": kernel, "stride": kernel, "padding": ((0, 0),) * rank, "dilation": (1,) * rank,
    }  # fmt: skip
