"""Windows as columns, and columns added up to an image, with PyTorch's names and arguments."""

from __future__ import annotations

from math import prod
from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ShapeError
from limpid.nn.functional.pooling import spatial
from limpid.ops.layout import reshape
from limpid.ops.windows.geometry import output_extents, per_axis
from limpid.ops.windows.unfold import fold as fold_windows
from limpid.ops.windows.unfold import unfold as unfold_windows
from limpid.tensor import operand


@name_errors
def unfold(
    input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """Every window as a column (im2col): (N, C, *W) → (N, C·∏K, L), for L windows.

    The input may lack the batch axis. It has two spatial axes, as in PyTorch, unless the kernel
    size is a tuple of one or three numbers. The result is ∏K times as large as the input. Raises
    ShapeError where no window fits, and ArgumentError.

    >>> import limpid
    >>> x = limpid.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    >>> limpid.nn.functional.unfold(x, 2)
    tensor([[1., 2.],
            [2., 3.],
            [4., 5.],
            [5., 6.]])
    """
    rank = _rank(kernel_size)
    x = spatial(input, rank)
    window = _window(rank, kernel_size, dilation, padding, stride)
    y = unfold_windows(x, **window)  # (…, C, *K, *O)
    lead, kernel = x.shape[:-rank], window["kernel"]
    return reshape(y, (*lead[:-1], lead[-1] * prod(kernel), prod(y.shape[-rank:])))


@name_errors
def fold(
    input: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Any:
    """Columns added up where their windows lie (col2im): (N, C·∏K, L) → (N, C, *W).

    The adjoint of `unfold`. The input may lack the batch axis. The output has two spatial axes, as
    in PyTorch, unless output_size or kernel_size is a tuple of one or three numbers. Raises
    ShapeError where the number of windows is not L, and ArgumentError.

    >>> import limpid
    >>> columns = limpid.ones((4, 2))
    >>> limpid.nn.functional.fold(columns, (2, 3), 2)
    tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """
    rank = _rank(output_size) if _rank(output_size) != 2 else _rank(kernel_size)
    g = operand(input)
    extents = per_axis(output_size, rank, "output_size")
    window = _window(rank, kernel_size, dilation, padding, stride)
    kernel = window["kernel"]
    out = output_extents(extents, **window)
    if g.ndim not in (2, 3) or g.shape[-2] % prod(kernel) or g.shape[-1] != prod(out):
        raise ShapeError(
            f"the input has axes (N, C·{prod(kernel)}, {prod(out)}), or these without N: a kernel "
            f"of {kernel} in {extents} has {out} windows; but its shape is {g.shape}"
        )
    channels = g.shape[-2] // prod(kernel)
    return fold_windows(
        reshape(g, (*g.shape[:-2], channels, *kernel, *out)), extents=extents, **window
    )


def _rank(size: Any) -> int:
    """The number of spatial axes: two unless a tuple says one or three."""
    return len(size) if isinstance(size, tuple | list) and len(size) in (1, 3) else 2


def _window(
    rank: int, kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> dict[str, Any]:
    pads = per_axis(padding, rank, "padding", least=0)
    return {
        "kernel": per_axis(kernel_size, rank, "kernel_size"),
        "stride": per_axis(stride, rank, "stride"),
        "padding": tuple((p, p) for p in pads),
        "dilation": per_axis(dilation, rank, "dilation"),
    }
