"""Images of other sizes, sampled at other places, or with pixels and channels exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.graph.dtype import as_dtype
from limpid.ops.axes import integer
from limpid.ops.contract import matmul
from limpid.ops.layout import permute_dims, reshape
from limpid.ops.windows import grid as sampling
from limpid.ops.windows.resample import resample
from limpid.tensor import operand

# For each mode the kind of resampling, and the numbers of spatial axes that it is for.
MODES: dict[str, tuple[str, tuple[int, ...]]] = {
    "nearest": ("nearest", (1, 2, 3)),
    "nearest-exact": ("nearest-exact", (1, 2, 3)),
    "area": ("area", (1, 2, 3)),
    "linear": ("linear", (1,)),
    "bilinear": ("linear", (2,)),
    "bicubic": ("cubic", (2,)),
    "trilinear": ("linear", (3,)),
    "lanczos": ("lanczos", (2,)),
}
PLAIN = ("nearest", "nearest-exact", "area")  # those that align_corners says nothing about
SMOOTH = ("bilinear", "bicubic", "lanczos")  # those that antialias goes with


@name_errors
def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """The input (N, C, …) with other spatial extents; 1, 2 or 3 of them.

    size   the extents, or one number for all; or else
    scale_factor  the ratio to those of the input, or one for each axis; extents are rounded down
    mode   "nearest", "nearest-exact", "area" (adaptive average pooling); "linear" for one spatial
           axis, "bilinear", "bicubic" and "lanczos" for two, "trilinear" for three
    align_corners  whether the centres of the corner pixels stay where they are, or their outer
           edges; not for "nearest" and "area"
    recompute_scale_factor  take the ratio of the rounded extents instead of the scale factor
    antialias  widen the filter when the result is smaller ("bilinear", "bicubic"; "lanczos", which
           needs it)

    Values and gradients are PyTorch's. Raises ArgumentError and ShapeError.

    >>> import limpid
    >>> x = limpid.tensor([[[1.0, 3.0]]])
    >>> limpid.nn.functional.interpolate(x, scale_factor=2, mode="linear")
    tensor([[[1. , 1.5, 2.5, 3. ]]])
    """
    input = operand(input)
    kind = _kind(input.shape, mode, align_corners, antialias)
    source = input.shape[2:]
    if (size is None) == (scale_factor is None):
        raise ArgumentError("give either a size or a scale_factor")
    if size is not None:
        if recompute_scale_factor:
            raise ArgumentError("recompute_scale_factor needs a scale_factor")
        extents, scales = (
            [integer(n, "size") for n in _each(size, "size", source)],
            None,
        )
    else:
        scales = [_ratio(s) for s in _each(scale_factor, "scale_factor", source)]
        extents = [int(n * scale) for n, scale in zip(source, scales, strict=True)]
        if mode == "area" or recompute_scale_factor:
            scales = None
    if min(source) < 1 or min(extents) < 1:
        raise ShapeError(
            f"an image of {_product(source)} can't become one of {_product(extents)}: "
            "every extent must be 1 or more"
        )
    return resample(input, range(2, len(input.shape)), extents, kind, bool(align_corners), scales)


def _kind(shape: tuple[int, ...], mode: str, align_corners: Any, antialias: bool) -> str:
    """The kind of resampling; ArgumentError for what does not go together."""
    if mode not in MODES:
        raise ArgumentError(f"mode is one of {', '.join(MODES)}, not {mode!r}")
    kind, ranks = MODES[mode]
    if len(shape) - 2 not in ranks:
        wanted = " or ".join(f"{rank + 2}" for rank in ranks)
        raise ShapeError(f"mode {mode!r} is for inputs (N, C, …) of {wanted} axes, not {shape}")
    if align_corners is not None and mode in PLAIN:
        raise ArgumentError(f"align_corners does not go with mode {mode!r}")
    if antialias and mode not in SMOOTH:
        raise ArgumentError(f"antialias goes with {', '.join(SMOOTH)}, not {mode!r}")
    if mode == "lanczos" and (align_corners or not antialias):
        raise ArgumentError("mode 'lanczos' needs antialias=True, and align_corners=False")
    return f"{kind}-antialias" if antialias else kind


def _each(given: Any, name: str, source: Sequence[int]) -> list[Any]:
    """One for every spatial axis."""
    if not isinstance(given, tuple | list):
        return [given] * len(source)
    if len(given) != len(source):
        raise ArgumentError(f"{name} has {len(given)} numbers for {len(source)} spatial axes")
    return list(given)


def _ratio(scale: Any) -> float:
    try:
        ratio = float(scale)
    except (TypeError, ValueError):
        ratio = 0.0
    if not 0 < ratio < np.inf:
        raise ArgumentError(f"a scale_factor is a positive number, not {scale!r:.40}")
    return ratio


def _product(extents: Sequence[int]) -> str:
    return "×".join(map(str, extents))


@name_errors
def grid_sample(
    input: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Any:
    """The input at the places of a grid: (N, C, H, W), (N, H', W', 2) → (N, C, H', W'), or in 3-D.

    grid   places as (x, y) or (x, y, z) from −1 to 1: x along the last axis of the input
    mode   "bilinear" (trilinear in 3-D), "nearest", "bicubic" (2-D)
    padding_mode  what is outside: "zeros", "border" (the nearest pixel), "reflection"
    align_corners  whether −1 and 1 are the centres of the corner pixels, or, by default, their
           outer edges

    Derivatives with respect to both. Raises ArgumentError for a grid with NaN or infinite numbers,
    and ShapeError.

    Source: Jaderberg et al. 2015, Spatial Transformer Networks.

    >>> import limpid
    >>> x = limpid.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> limpid.nn.functional.grid_sample(x, limpid.zeros((1, 1, 1, 2)))
    tensor([[[[2.5]]]])
    """
    return sampling.grid_sample(input, grid, mode, padding_mode, bool(align_corners))


@name_errors
def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Any:
    """The grid that maps every pixel of an image of this size to θ · (x, y, 1).

    theta  (N, 2, 3), or (N, 3, 4) for volumes
    size   (N, C, H, W), or (N, C, D, H, W); the result is (N, H, W, 2) or (N, D, H, W, 3)
    align_corners  whether −1 and 1 are the centres of the corner pixels, or, by default, their
           outer edges

    Raises ShapeError, and DTypeError for a theta of integers.

    >>> import limpid
    >>> unchanged = limpid.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> limpid.nn.functional.affine_grid(unchanged, (1, 1, 1, 2))
    tensor([[[[-0.5,  0. ],
              [ 0.5,  0. ]]]])
    """
    theta = operand(theta)
    extents = tuple(integer(n, "size") for n in size)
    rank = len(extents) - 2
    if rank not in (2, 3) or min(extents) < 1:
        raise ShapeError(
            f"size is (N, C, H, W) or (N, C, D, H, W) of numbers from 1 on, not {tuple(size)}"
        )
    if theta.shape != (extents[0], rank, rank + 1):
        raise ShapeError(
            f"for the size {extents} theta must have shape "
            f"{(extents[0], rank, rank + 1)}, not {theta.shape}"
        )
    dtype = as_dtype(theta.dtype)
    if dtype.kind != "float":
        raise DTypeError(f"theta must be of floats, not {dtype.name}")
    places = _places(extents[2:], bool(align_corners)).astype(dtype.storage)  # (P, rank + 1)
    moved = matmul(places, theta.mT)  # (P, rank + 1) · (N, rank + 1, rank)
    return reshape(moved, (extents[0], *extents[2:], rank))


def _places(extents: tuple[int, ...], align: bool) -> np.ndarray[Any, Any]:
    """(x, y, …, 1) of all pixels of an image, the last axis first: (P, rank + 1)."""
    axes = []
    for n in extents:
        centres = (2 * np.arange(n) + 1 - n) / (max(n - 1, 1) if align else n)
        axes.append(centres)
    spread = np.meshgrid(*axes, indexing="ij")[::-1]
    columns = [*spread, np.ones(extents)]
    return np.stack(columns, axis=-1).reshape(prod(extents), len(columns))


@name_errors
def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """Channels become pixels: (…, C·r², H, W) → (…, C, H·r, W·r).

    Raises ShapeError, and ArgumentError for a factor below 1.

    Source: Shi et al. 2016, Real-Time Single Image and Video Super-Resolution.

    >>> import limpid
    >>> limpid.nn.functional.pixel_shuffle(limpid.zeros((1, 8, 2, 3)), 2).shape
    (1, 2, 4, 6)
    """
    input, r = _image(input), integer(upscale_factor, "upscale_factor", 1)
    *batch, channels, height, width = input.shape
    if channels % (r * r):
        raise ShapeError(f"{channels} channels can't be divided by {r}² = {r * r}")
    apart = reshape(input, (*batch, channels // (r * r), r, r, height, width))
    b = len(batch)
    mixed = permute_dims(apart, (*range(b + 1), b + 3, b + 1, b + 4, b + 2))  # (…, C, H, r, W, r)
    return reshape(mixed, (*batch, channels // (r * r), height * r, width * r))


@name_errors
def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """Pixels become channels: (…, C, H·r, W·r) → (…, C·r², H, W). The inverse of `pixel_shuffle`.

    >>> import limpid
    >>> limpid.nn.functional.pixel_unshuffle(limpid.zeros((1, 2, 4, 6)), 2).shape
    (1, 8, 2, 3)
    """
    input, r = _image(input), integer(downscale_factor, "downscale_factor", 1)
    *batch, channels, height, width = input.shape
    if height % r or width % r:
        raise ShapeError(f"an image of {height}×{width} can't be divided by {r}")
    apart = reshape(input, (*batch, channels, height // r, r, width // r, r))
    b = len(batch)
    mixed = permute_dims(apart, (*range(b + 1), b + 2, b + 4, b + 1, b + 3))  # (…, C, r, r, H, W)
    return reshape(mixed, (*batch, channels * r * r, height // r, width // r))


@name_errors
def channel_shuffle(input: Any, groups: int) -> Any:
    """Channels of g groups interleaved: (N, C, …), channel k·(C/g) + i goes to i·g + k.

    Raises ShapeError, and ArgumentError for fewer than one group.

    Source: Zhang et al. 2018, ShuffleNet.

    >>> import limpid
    >>> x = limpid.reshape(limpid.arange(4), (1, 4, 1))
    >>> limpid.nn.functional.channel_shuffle(x, 2).tolist()
    [[[0], [2], [1], [3]]]
    """
    input, groups = _image(input), integer(groups, "groups", 1)
    images, channels, *rest = input.shape
    if channels % groups:
        raise ShapeError(f"{channels} channels can't be cut into {groups} groups")
    apart = reshape(input, (images, groups, channels // groups, *rest))
    mixed = permute_dims(apart, (0, 2, 1, *range(3, len(rest) + 3)))
    return reshape(mixed, input.shape)


def _image(input: Any) -> Any:
    input = operand(input)
    if len(input.shape) < 3:
        raise ShapeError(f"the input must have at least 3 axes, not shape {input.shape}")
    return input
