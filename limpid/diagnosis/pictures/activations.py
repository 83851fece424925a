"""What a convolution makes of one input: an image for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import clear
from limpid.diagnosis.pictures.images import (
    add_scale,
    best_columns,
    caption,
    find_image_shape,
    for_the_eye,
    mosaic,
    show,
)
from limpid.diagnosis.pictures.passes import (
    Returns,
    no_such_layer,
    parameters_of,
    run_noted,
    without_trace,
)
from limpid.diagnosis.pictures.picture import Picture, indexed_rows
from limpid.errors import ArgumentError, OperandError
from limpid.graph.context import no_grad
from limpid.ops.axes import integer
from limpid.tensor import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
MOST = 64  # maps that are drawn


def activation_maps(model: Any, x: Any, layer: str | None = None, *, example: int = 0) -> Picture:
    """The maps that a layer makes of one example, one for each channel, beside the example.

    model    a module; it runs as after `eval()`, and nothing of it changes
    x        a batch for it, or a tuple of several arguments
    layer    the path of the layer; by default the first whose output has axes of space (N, C, H, W)
    example  which one of the batch

    Maps that have negative numbers are shown around zero. `data` has `maps` (C, H, W) and `input`.

    Raises ArgumentError if no layer makes maps, or none has the name.

    >>> import numpy as np
    >>> from limpid import diagnosis, nn
    >>> picture = diagnosis.activation_maps(nn.Conv2d(1, 4, 3), np.ones((1, 1, 8, 8), np.float32))
    >>> picture.data["maps"].shape
    (4, 6, 6)
    """
    parameters_of(model, "activation_maps")
    with without_trace(model, evaluating=True), no_grad():
        _, returns = run_noted(model, x)
    name, output = _find(model, returns, layer)
    example = integer(example, "example")
    if example >= output.shape[0]:
        raise ArgumentError(f"example {example}: the batch has {output.shape[0]}")
    maps = output.value[example].reshape(output.shape[1], -1, output.shape[-1])
    shown = _input(x, example)
    title = f"Activations of {clear(name or type(model).__name__)}: {len(maps)} maps"
    maps = np.array(maps)
    data = {"layer": name, "example": example, "maps": maps, "input": shown}
    columns = best_columns(min(len(maps), MOST), *maps.shape[1:])
    height = 0.7 + 4.4 * -(-min(len(maps), MOST) // columns) * maps.shape[1] / (
        columns * maps.shape[2]
    )
    return Picture(
        title, data, ("channel", "row", "column", "activation"), lambda: indexed_rows(maps),
        lambda figure: _paint(figure, title, maps[:MOST], shown, columns, len(maps)),
        (7.2, min(9.0, max(2.0, height))),
    )  # fmt: skip


def _find(model: Any, returns: Returns, layer: str | None) -> tuple[str, Tensor]:
    """The layer and what it returned: (N, C, …, W)."""
    if layer is not None:
        if layer not in returns.found:
            raise no_such_layer(returns.found, layer, "activation_maps")
        tensors = returns.found[layer][1]
        if not tensors or tensors[0].ndim < 3 or not tensors[0].size:
            given = tensors[0].spec if tensors else "no tensor"
            raise ArgumentError(f"layer {layer!r} makes no maps (N, C, H, W): it returns {given}")
        return layer, tensors[0]
    made = {
        name: (module, tensors[0])
        for name, (module, tensors) in returns.found.items()
        if tensors and tensors[0].ndim >= 4 and tensors[0].size
    }
    for name, (module, tensor) in made.items():
        if any(p.ndim >= 3 for p in module.parameters()):  # not one that only reshapes
            return name, tensor
    if made:
        name, (_, tensor) = next(iter(made.items()))
        return name, tensor
    raise ArgumentError(
        f"no layer of {type(model).__name__} makes maps (N, C, H, W)"
        "\nremedy: name one, activation_maps(model, x, 'conv1'), or give images to a convolution"
    )


def _input(x: Any, example: int) -> Array | None:
    """The example as an image, if it is one."""
    first = x[0] if isinstance(x, tuple) and x else x
    array = first.value if isinstance(first, Tensor) else np.asarray(first)
    if array.dtype.kind not in "fiub" or not array.ndim:
        raise OperandError(f"an input is an array of numbers, not {array.dtype}")
    if example >= len(array):
        return None
    one = np.array(array[example])
    if one.ndim == 1:
        shape = find_image_shape(one.size, None)
        return None if shape is None else one.reshape(shape)
    return one if one.ndim in (2, 3) else None


def _paint(
    figure: Any, title: str, maps: Array, given: Array | None, columns: int, whole: int
) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    if given is None:
        axes = figure.add_subplot()
    else:
        left, axes = figure.subplots(1, 2, width_ratios=[1, 3.2])
        show(left, for_the_eye(given), None)
        caption(left, "input")
    signed = bool((maps < 0).any())
    image = show(axes, mosaic(maps, columns), signed)
    add_scale(figure, image, axes, "activation")
    if len(maps) < whole:
        caption(axes, f"{len(maps)} of {whole} maps; all are in the data")
