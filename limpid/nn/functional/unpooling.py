"""Max unpooling, with PyTorch's names and arguments."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.graph.dtype import as_dtype
from limpid.nn.functional.pooling import spatial
from limpid.ops.windows.geometry import Extents, per_axis
from limpid.ops.windows.unpool import unpool
from limpid.tensor import operand


@name_errors
def max_unpool1d(
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Any:
    """The values at the positions where max pooling found them, zeros elsewhere.

    input, indices  (N, C, O) or (C, O): what `max_pool1d` returned with return_indices
    output_size     (W) or (N, C, W), within one stride of (O − 1)·S − 2P + K, which it is unless
                    said; several extents lead to the same number of windows

    Where an index is given twice, as overlapping windows do, the last value stays and the others
    receive no gradient. Raises IndexingError for indices outside the output, ShapeError and
    ArgumentError.

    >>> import limpid
    >>> y, where = limpid.tensor([[3.0, 5.0]]), limpid.tensor([[1, 2]])
    >>> limpid.nn.functional.max_unpool1d(y, where, 2)
    tensor([[0., 3., 5., 0.]])
    """
    return _unpool(1, input, indices, kernel_size, stride, padding, output_size)


@name_errors
def max_unpool2d(
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Any:
    """As `max_unpool1d` for images; indices are row-major positions in a channel.

    >>> import limpid
    >>> F = limpid.nn.functional
    >>> y, where = F.max_pool2d(limpid.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2, return_indices=True)
    >>> F.max_unpool2d(y, where, 2)
    tensor([[[0., 0.],
             [4., 0.]]])
    """
    return _unpool(2, input, indices, kernel_size, stride, padding, output_size)


@name_errors
def max_unpool3d(
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Any:
    """As `max_unpool1d` for volumes.

    >>> import limpid
    >>> y, where = limpid.ones((1, 1, 1, 1)), limpid.zeros((1, 1, 1, 1), dtype="int64")
    >>> limpid.nn.functional.max_unpool3d(y, where, 2).shape
    (1, 2, 2, 2)
    """
    return _unpool(3, input, indices, kernel_size, stride, padding, output_size)


def _unpool(
    rank: int,
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
) -> Any:
    x = spatial(input, rank)
    indices = operand(indices)
    if as_dtype(indices.dtype).kind != "int":
        raise DTypeError(f"indices are integers, not {as_dtype(indices.dtype).name}")
    if indices.shape != x.shape:
        raise ShapeError(f"indices have the shape of the input, {x.shape}, not {indices.shape}")
    kernel = per_axis(kernel_size, rank, "kernel_size")
    steps = kernel if stride is None else per_axis(stride, rank, "stride")
    pads = per_axis(padding, rank, "padding", least=0)
    sides = zip(x.shape[-rank:], kernel, steps, pads, strict=True)
    usual = tuple((o - 1) * s + k - 2 * p for o, k, s, p in sides)
    extents = usual if output_size is None else _wanted(output_size, usual, steps)
    if min(extents) < 1:
        raise ShapeError(f"the output would have spatial extents {extents}")
    return unpool(x, indices, extents=extents)


def _wanted(given: Any, usual: Extents, steps: Extents) -> Extents:
    """The spatial part of an output size that has as many windows as there are."""
    rank = len(usual)
    several = list(given) if isinstance(given, tuple | list) else [given]
    extents = per_axis(
        several[-rank:] if len(several) == rank + 2 else several, rank, "output_size"
    )
    for axis, (wanted, extent, step) in enumerate(zip(extents, usual, steps, strict=True)):
        if not extent - step < wanted < extent + step:
            raise ArgumentError(
                f"output_size {wanted} along spatial axis {axis} must be more than {extent - step} "
                f"and less than {extent + step}"
            )
    return extents
