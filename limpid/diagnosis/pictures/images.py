"""Arrays as images: which ones are, and many of them as one."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt, log
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import AMOUNT, SIGNED, SOFT, colour_map
from limpid.errors import ShapeError

Array = np.ndarray[Any, np.dtype[Any]]
LEAST = 16  # numbers that may be taken for a square image


def find_image_shape(features: int, shape: Sequence[int] | None) -> tuple[int, ...] | None:
    """(H, W) or (C, H, W) of so many numbers: the one given, else a square; None if neither is.

    >>> find_image_shape(784, None), find_image_shape(13, None), find_image_shape(12, (3, 2, 2))
    ((28, 28), None, (3, 2, 2))
    """
    if shape is not None:
        wanted = tuple(int(n) for n in shape)
        if len(wanted) not in (2, 3) or int(np.prod(wanted)) != features:
            raise ShapeError(
                f"shape is (H, W) or (C, H, W) of {features} numbers, not {tuple(shape)}"
            )
        return wanted
    side = isqrt(features)
    return (side, side) if side * side == features and features >= LEAST else None


def mosaic(tiles: Array, columns: int) -> Array:
    """Tiles (n, H, W) or (n, H, W, 3) as one array, a NaN pixel between them."""
    n, h, w = tiles.shape[:3]
    rows = -(-n // columns)
    size = (rows * (h + 1) - 1, columns * (w + 1) - 1)
    made = np.full((*size, *tiles.shape[3:]), np.nan)
    for k, tile in enumerate(tiles):
        top, left = k // columns * (h + 1), k % columns * (w + 1)
        made[top : top + h, left : left + w] = tile
    return made


def best_columns(n: int, h: int, w: int, ratio: float = 1.8) -> int:
    """How many columns make a mosaic about so much wider than high, with few places empty.

    >>> best_columns(32, 5, 5), best_columns(10, 8, 8)
    (8, 5)
    """

    def badness(columns: int) -> float:
        rows = -(-n // columns)
        shape = abs(log(columns * (w + 1) / (rows * (h + 1)) / ratio))
        return shape + (rows * columns - n) / n

    return min(range(1, n + 1), key=badness)


def largest(values: Array) -> float:
    """The largest finite magnitude, 1 if there is none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def show(axes: Any, image: Array, signed: bool | None, limit: float | None = None) -> Any:
    """An image on axes of its own: by colour, around zero if it is signed.

    signed  None for RGB, and for grey
    limit   the end of the scale; by default the largest magnitude in the image
    """
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    if image.ndim == 3:
        return axes.imshow(with_alpha(image), interpolation="none")
    if signed is None:
        return axes.imshow(image, cmap="gray", interpolation="none")
    end = largest(image) if limit is None else limit
    colours = colour_map(SIGNED if signed else AMOUNT)
    return axes.imshow(image, cmap=colours, vmin=-end if signed else 0.0, vmax=end,
                       interpolation="none")  # fmt: skip


def with_alpha(image: Array) -> Array:
    """RGB between 0 and 1, what is NaN transparent."""
    seen = np.isfinite(image).all(axis=-1, keepdims=True)
    return np.concatenate([np.where(seen, np.clip(image, 0, 1), 0.0), seen], axis=-1)


def stretched(images: Array) -> Array:
    """Numbers brought to between 0 and 1, all by the same map."""
    finite = images[np.isfinite(images)]
    if not finite.size or finite.max() == finite.min():
        return np.full(images.shape, 0.5)
    return (images - finite.min()) / (finite.max() - finite.min())


def for_the_eye(x: Array) -> Array:
    """One example (C, H, W) or (H, W) as (H, W) or, of three channels, (H, W, 3)."""
    if x.ndim == 2:
        return x
    if x.shape[0] == 3:
        return stretched(np.moveaxis(x, 0, -1))
    return x.mean(axis=0)


def add_scale(figure: Any, image: Any, axes: Any, label: str) -> None:
    """The scale of an image's colours."""
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=24, fraction=0.05)
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=7)
    bar.ax.locator_params(nbins=5)


def caption(axes: Any, text: str) -> None:
    """A line below an image."""
    axes.set_xlabel(text, fontsize=8, color=SOFT)
