"""Pooling over windows, with PyTorch's names and arguments.

Inputs are (N, C, *spatial), or (C, *spatial) without a batch. With W extents, K the kernel, P the
padding on both sides, S the stride and D the dilation, there are ⌊(W + 2P − D(K − 1) − 1)/S⌋ + 1
windows along each axis; with ceil_mode ⌈…⌉ + 1, but none that begins after the input and the
padding before it. The stride is the kernel size unless said otherwise, and P ≤ K/2. Errors are
ShapeError where a window does not fit and ArgumentError for impossible arguments.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf, isnan, prod
from numbers import Real
from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import as_dtype
from limpid.ops import power
from limpid.ops.cast import as_floats, astype
from limpid.ops.elementary import abs
from limpid.ops.windows.average_pool import pool_counts, sum_pool
from limpid.ops.windows.geometry import Extents, check_axes, output_extents, per_axis, span
from limpid.ops.windows.max_pool import max_pool, window_positions
from limpid.tensor import operand

Window = dict[str, Any]  # the params of the primitives


@name_errors
def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of every window: (N, C, W) → (N, C, O).

    return_indices  also return where in the input it is: row-major positions among the elements
                    of the spatial axes, which `max_unpool1d` takes

    Of elements that tie, the first of the window, row by row, receives the gradient. NaN counts as
    the largest; of several the last is taken, as in PyTorch. Padding is never the largest.

    >>> import limpid
    >>> x = limpid.tensor([[[1.0, 3.0, 2.0, 2.0, 5.0]]])
    >>> limpid.nn.functional.max_pool1d(x, 2, return_indices=True)
    (tensor([[[3., 2.]]]), tensor([[[1, 2]]]))
    """
    return _max(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@name_errors
def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """As `max_pool1d` for images: (N, C, H, W) → (N, C, O, O).

    >>> import limpid
    >>> limpid.nn.functional.max_pool2d(limpid.zeros((8, 3, 9, 9)), 3, 2, 1).shape
    (8, 3, 5, 5)
    """
    return _max(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@name_errors
def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """As `max_pool1d` for volumes: (N, C, D, H, W) → (N, C, O, O, O).

    >>> import limpid
    >>> limpid.nn.functional.max_pool3d(limpid.zeros((1, 4, 6, 8)), (2, 3, 4)).shape
    (1, 2, 2, 2)
    """
    return _max(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@name_errors
def max_pool1d_with_indices(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = True,
) -> Any:
    """`max_pool1d` with indices, whatever `return_indices` says."""
    return _max(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@name_errors
def max_pool2d_with_indices(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = True,
) -> Any:
    """`max_pool2d` with indices, whatever `return_indices` says."""
    return _max(2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@name_errors
def max_pool3d_with_indices(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = True,
) -> Any:
    """`max_pool3d` with indices, whatever `return_indices` says."""
    return _max(3, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@name_errors
def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of every window: (N, C, W) → (N, C, O).

    count_include_pad  padding counts as elements that are 0; what `ceil_mode` lets a window reach
                       beyond it does not count

    >>> import limpid
    >>> limpid.nn.functional.avg_pool1d(limpid.tensor([[1.0, 3.0, 2.0, 6.0]]), 2)
    tensor([[2., 4.]])
    """
    return _avg(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@name_errors
def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """As `avg_pool1d` for images: (N, C, H, W) → (N, C, O, O).

    divisor_override  divide the sums by this number

    >>> import limpid
    >>> limpid.nn.functional.avg_pool2d(limpid.ones((1, 2, 2)), 2, divisor_override=1)
    tensor([[[4.]]])
    """
    return _avg(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@name_errors
def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """As `avg_pool2d` for volumes: (N, C, D, H, W) → (N, C, O, O, O).

    >>> import limpid
    >>> limpid.nn.functional.avg_pool3d(limpid.zeros((1, 4, 6, 8)), 2).shape
    (1, 2, 3, 4)
    """
    return _avg(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@name_errors
def lp_pool1d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """(Σ xᵖ)^(1/p) over every window: (N, C, W) → (N, C, O).

    norm_type  p; max |x| for ∞, min |x| for −∞

    Powers keep the sign, so odd p want positive x. Where the sum is 0 the gradient is 0, unless
    p = 1. As in PyTorch a window that `ceil_mode` cuts short counts as if it went on like its
    elements.

    >>> import limpid
    >>> limpid.nn.functional.lp_pool1d(limpid.tensor([[3.0, 4.0, 0.0, 0.0]]), 2, 2)
    tensor([[5., 0.]])
    """
    return _lp(1, input, norm_type, kernel_size, stride, ceil_mode)


@name_errors
def lp_pool2d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """As `lp_pool1d` for images.

    >>> import limpid
    >>> limpid.nn.functional.lp_pool2d(limpid.ones((1, 4, 4)), 2, 4)
    tensor([[[4.]]])
    """
    return _lp(2, input, norm_type, kernel_size, stride, ceil_mode)


@name_errors
def lp_pool3d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """As `lp_pool1d` for volumes.

    >>> import limpid
    >>> limpid.nn.functional.lp_pool3d(limpid.ones((1, 2, 2, 2)), 3, 2)
    tensor([[[[2.]]]])
    """
    return _lp(3, input, norm_type, kernel_size, stride, ceil_mode)


def _max(
    rank: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    x = spatial(input, rank)
    window = window_of(x, rank, kernel_size, stride, padding, dilation, ceil_mode)
    y, winner = max_pool(x, **window)
    if not return_indices:
        return y
    return y, window_positions(winner, extents=x.shape[-rank:], **window)


def _avg(
    rank: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None = None,
) -> Any:
    x = as_floats(spatial(input, rank))
    window = window_of(x, rank, kernel_size, stride, padding, 1, ceil_mode)
    if divisor is not None:
        if not hasattr(divisor, "__index__") or not divisor.__index__():
            raise ArgumentError(f"divisor_override is an integer other than 0, not {divisor!r:.40}")
        return averaged(x, window, divisor.__index__())
    pads = per_axis(padding, rank, "padding", least=0)
    return averaged(x, window, _counts(x, window, pads, count_include_pad))


def averaged(x: Any, window: Window, counts: Any) -> Any:
    """Sums over windows divided by counts, in the type in which sums of this type are added up."""
    kind = as_dtype(x.dtype)
    wide = astype(x, kind.accumulate)
    y = sum_pool(wide, **window) / counts
    return y if wide is x else astype(y, kind)


def _counts(x: Any, window: Window, pads: Extents, include_pad: bool) -> Any:
    """By how many elements the sums over windows are divided."""
    kernel, stride = window["kernel"], window["stride"]
    extents = x.shape[-len(pads) :]
    out = output_extents(extents, **window)
    counts = pool_counts(extents, out, kernel, stride, pads, bool(include_pad))
    return counts if isinstance(counts, int) else counts.astype(as_dtype(x.dtype).accumulate)


def _lp(
    rank: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Any:
    x = as_floats(spatial(input, rank))
    window = window_of(x, rank, kernel_size, stride, 0, 1, ceil_mode)
    if norm_type in (inf, -inf):
        y, _ = max_pool(abs(x) if norm_type > 0 else -abs(x), **window)
        return y if norm_type > 0 else -y
    check_norm(norm_type)
    y = sum_pool(x**norm_type, **window)
    if ceil_mode:
        y = y * (prod(window["kernel"]) / _counts(x, window, (0,) * rank, False))
    return root(y, norm_type)


def check_norm(norm_type: float) -> None:
    """ArgumentError for a power whose root does not exist."""
    if isinstance(norm_type, bool) or not isinstance(norm_type, Real) or not norm_type:
        raise ArgumentError(f"norm_type is a number other than 0, not {norm_type!r:.40}")
    if isnan(norm_type):
        raise ArgumentError("norm_type must not be NaN")


def root(total: Any, norm_type: float) -> Any:
    """total^(1/p); unless p is 1, value and gradient are 0 where the total is 0."""
    return total if norm_type == 1 else power.root(total, power=float(norm_type))


def spatial(input: Any, rank: int) -> Any:
    """The input, if it has as many spatial axes; ShapeError otherwise."""
    x = operand(input)
    check_axes(x.shape, rank)
    if 0 in x.shape[-rank:]:
        raise ShapeError(f"there is nothing in spatial axes of extents {x.shape[-rank:]}")
    return x


def window_of(
    x: Any,
    rank: int,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Window:
    """The params of the primitives, where the padding also holds what `ceil_mode` adds."""
    given = [
        tuple(a) if isinstance(a, list) else a for a in (kernel_size, stride, padding, dilation)
    ]
    try:
        return _window(x.shape[-rank:], *given, bool(ceil_mode))
    except TypeError:  # an argument that can't be hashed: no integer either
        return _window.__wrapped__(x.shape[-rank:], *given, bool(ceil_mode))


@lru_cache(maxsize=1024, typed=True)
def _window(
    extents: Extents, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Window:
    rank = len(extents)
    kernel = per_axis(kernel_size, rank, "kernel_size")
    steps = kernel if stride is None or stride == () else per_axis(stride, rank, "stride")
    pads = per_axis(padding, rank, "padding", least=0)
    spread = per_axis(dilation, rank, "dilation")
    if any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        raise ArgumentError(f"padding {pads} must be at most half of the kernel size {kernel}")
    sides = tuple((p, p) for p in pads)
    out = output_extents(extents, kernel, steps, sides, spread, ceil_mode)
    reach = zip(extents, out, kernel, steps, pads, spread, strict=True)
    sides = tuple((p, max(p, (o - 1) * s + span(k, d) - w - p)) for w, o, k, s, p, d in reach)
    return {"kernel": kernel, "stride": steps, "padding": sides, "dilation": spread}
