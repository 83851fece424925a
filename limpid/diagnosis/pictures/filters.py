"""The weights of a first layer as images: what it looks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import clear
from limpid.diagnosis.pictures.images import (
    add_scale,
    best_columns,
    caption,
    find_image_shape,
    mosaic,
    show,
    stretched,
)
from limpid.diagnosis.pictures.passes import no_such_layer, parameters_of
from limpid.diagnosis.pictures.picture import Picture, indexed_rows
from limpid.errors import ArgumentError
from limpid.tensor import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
MOST = 100  # tiles that are drawn


def filters(model: Any, layer: str | None = None, *, shape: Sequence[int] | None = None) -> Picture:
    """The filters of a first convolution as a grid of images; also of a linear layer over images.

    model  a module, or a state dict
    layer  the path of the layer; by default the first whose weight has axes of space (out, in, H,
           W), else the first whose weight (out, features) belongs to images
    shape  of the images that a linear layer takes, (H, W) or (C, H, W); by default square

    Filters of three channels are shown in RGB; others by weight, around zero, of several channels
    with a row for each. `data["filters"]` are the weights, (out, in, H, W).

    Raises ArgumentError if the model has no such layer.

    >>> from limpid import diagnosis, nn
    >>> picture = diagnosis.filters(nn.Linear(64, 10))
    >>> picture.title, picture.data["filters"].shape
    ('Filters of Linear: 10 of 8×8', (10, 1, 8, 8))
    """
    name, weights = _find(model, layer, shape)
    count, channels, height, width = weights.shape
    in_colour = f" × {channels} channels" if channels > 1 else ""
    where = name or type(model).__name__
    title = f"Filters of {clear(where)}: {count} of {height}×{width}{in_colour}"
    data = {"layer": name, "filters": weights}
    tiles, across = _tiles(weights)
    high, wide = -(-len(tiles) // across) * (height + 1), across * (width + 1)
    return Picture(
        title, data, ("filter", "channel", "row", "column", "weight"),
        lambda: indexed_rows(weights),
        lambda figure: _paint(figure, title, tiles, across, weights),
        (6.4, min(9.0, max(1.6, 0.6 + 5.4 * high / wide))),
    )  # fmt: skip


def _find(model: Any, layer: str | None, shape: Any) -> tuple[str, Array]:
    """The path of a layer, and its filters (out, in, H, W)."""
    weights = _weights(model)
    if layer is not None:
        within = {n: w for n, w in weights.items() if n.rpartition(".")[0] == layer}
        if not within:
            names = dict.fromkeys(n.rpartition(".")[0] for n in weights)
            raise no_such_layer(names, layer, "filters")
        weights = within
    in_space = {n: w for n, w in weights.items() if w.ndim >= 3 and w.size}
    usual = [name for name in in_space if name.rpartition(".")[2] == "weight"]
    for name in (*usual, *in_space):
        return name.rpartition(".")[0], _in_space(in_space[name])
    for name, w in weights.items():
        if w.ndim == 2 and w.size:
            found = find_image_shape(w.shape[1], shape)
            if found is not None:
                image = found if len(found) == 3 else (1, *found)
                return name.rpartition(".")[0], np.array(w).reshape(-1, *image)
    raise ArgumentError(
        "there is no layer whose weights are images: no convolution, and no linear layer over a "
        "square number of features\nremedy: filters(model, shape=(H, W))"
    )


def _weights(model: Any) -> dict[str, Array]:
    """Arrays by name, of a module or a state dict."""
    if isinstance(model, Mapping):
        return {str(n): np.asarray(w.value if isinstance(w, Tensor) else w)
                for n, w in model.items()}  # fmt: skip
    return {n: p.value for n, p in parameters_of(model, "filters").items()}


def _in_space(weight: Array) -> Array:
    """(out, in, H, W) of a weight (out, in, *space): a line is an image one pixel high.

    Of more than two axes of space, the others lie one below the other.
    """
    out, channels, *space = weight.shape
    return np.array(weight).reshape(out, channels, -1, space[-1])


def _tiles(weights: Array) -> tuple[Array, int]:
    """Images to be laid out, and how many go in a row."""
    count, channels, height, width = weights.shape
    if channels == 3:
        tiles = np.moveaxis(weights, 1, -1)
    elif channels == 1:
        tiles = weights[:, 0]
    else:  # a column for each filter
        across = min(count, 16)
        shown = weights[:across, : max(1, MOST // across)]
        return np.swapaxes(shown, 0, 1).reshape(-1, height, width), across
    return tiles[:MOST], best_columns(min(count, MOST), height, width)


def _paint(figure: Any, title: str, tiles: Array, across: int, weights: Array) -> None:
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, fontweight="bold")
    in_colour = tiles.ndim == 4
    image = show(axes, mosaic(stretched(tiles) if in_colour else tiles, across), True)
    if not in_colour:
        add_scale(figure, image, axes, "weight")
    shown, whole = len(tiles) * (3 if in_colour else 1), weights.shape[0] * weights.shape[1]
    words = (
        ["a column for each filter, a row for each channel"]
        if weights.shape[1] not in (1, 3)
        else []
    )
    words += [f"{shown} of {whole} images; all are in the data"] if shown < whole else []
    caption(axes, "; ".join(words))
