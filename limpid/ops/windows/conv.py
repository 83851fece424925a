"""Convolution: three primitives whose rules name only one another, in 1, 2 and 3 dimensions.

    conv         y = x ⋆ w           (N, G·I, *W), (G·C, I, *K) → (N, G·C, *O)
    conv_input   its adjoint for x   (N, G·C, *O), (G·C, I, *K) → (N, G·I, *W)
    conv_weight  its adjoint for w   (N, G·I, *W), (N, G·C, *O) → (G·C, I, *K)

`local_conv` and its adjoints are the same with a weight for each place, (*O, C, I, *K). As
everywhere in this field a convolution is a cross-correlation: the kernel is not mirrored.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import bilinear
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ShapeError
from limpid.graph.dtype import result_type
from limpid.graph.node import Array, Spec
from limpid.ops.windows import lowering
from limpid.ops.windows.contraction import Contraction
from limpid.ops.windows.execution import execute
from limpid.ops.windows.geometry import Extents, check_divides, output_extents

Shape = tuple[int, ...]

CHANNELS_LAST = 16  # from this many channels on, results lie in memory with the channel innermost


# Shapes. Params of all: stride, padding, dilation; groups where the weight is shared.


def _conv_shape(x: Any, w: Any, *, groups: int = 1, **window: Any) -> Shape:
    _check_input(x)
    rank = x.ndim - 2
    if w.ndim != rank + 2:
        raise ShapeError(
            f"the input {x.shape} has {rank} spatial axes, so the weight (out, in/groups, *kernel) "
            f"has {rank + 2} axes, not {w.ndim}"
        )
    _check_channels(x, w.shape[0], w.shape[1], groups)
    return (x.shape[0], w.shape[0], *output_extents(x.shape[2:], w.shape[2:], **window))


def _local_shape(x: Any, w: Any, **window: Any) -> Shape:
    _check_input(x)
    rank = x.ndim - 2
    if w.ndim != 2 * rank + 2:
        raise ShapeError(
            f"the input {x.shape} has {rank} spatial axes, so the weight (*places, out, in, "
            f"*kernel) has {2 * rank + 2} axes, not {w.ndim}"
        )
    places, (out, channels), kernel = w.shape[:rank], w.shape[rank:-rank], w.shape[-rank:]
    _check_channels(x, out, channels, 1)
    found = output_extents(x.shape[2:], kernel, **window)
    if found != places:
        raise ShapeError(f"the weight is for {places} places, but the input leads to {found}")
    return (x.shape[0], out, *found)


def _check_input(x: Any) -> None:
    if x.ndim < 3:
        raise ShapeError(f"the input is (N, C, *spatial), 3 axes or more, not {x.shape}")


def _check_channels(x: Any, out: int, channels: int, groups: int) -> None:
    check_divides(groups, input_channels=x.shape[1], output_channels=out)
    if x.shape[1] != channels * groups:
        raise ShapeError(
            f"the weight takes {channels * groups} channels"
            f"{f' ({groups} groups of {channels})' if groups > 1 else ''}, "
            f"but the input {x.shape} has {x.shape[1]}"
        )


def _input_shape(g: Any, w: Any, *, extents: Extents, groups: int = 1, **window: Any) -> Shape:
    _check_input(g)
    rank = g.ndim - 2
    if w.ndim not in (rank + 2, 2 * rank + 2) or g.shape[1] != w.shape[-rank - 2]:
        raise ShapeError(
            f"a weight of shape {w.shape} does not take an input of shape {g.shape}: it should "
            f"have {w.shape[0]} channels"
        )
    check_divides(groups, channels=g.shape[1])
    _check_places(extents, w.shape[-rank:], g.shape[2:], window)
    return (g.shape[0], groups * w.shape[-rank - 1], *extents)


def _weight_shape(x: Any, g: Any, *, kernel: Extents, groups: int = 1, **window: Any) -> Shape:
    if x.ndim != g.ndim or x.ndim < 3 or x.shape[0] != g.shape[0]:
        raise ShapeError(f"{x.shape} and {g.shape} must have one rank and one batch size")
    check_divides(groups, input_channels=x.shape[1], output_channels=g.shape[1])
    _check_places(x.shape[2:], kernel, g.shape[2:], window)
    return (g.shape[1], x.shape[1] // groups, *kernel)


def _local_weight_shape(x: Any, g: Any, **params: Any) -> Shape:
    return (*g.shape[2:], *_weight_shape(x, g, **params))


def _check_places(extents: Extents, kernel: Extents, places: Extents, window: Any) -> None:
    found = output_extents(extents, kernel, **window)
    if found != places:
        raise ShapeError(f"windows over {extents} have {found} places, not {places}")


# Forwards


def _forward(x: Array, w: Array, shape: Shape, *, groups: int = 1, **window: Any) -> Array:
    y = _memory(shape, x, w)
    part = lowering.conv(x.shape, w.shape, shape[2:], **window, groups=groups)
    execute(part, x, w, y)
    return y


def _input_forward(
    g: Array, w: Array, *, extents: Extents, groups: int = 1, **window: Any
) -> Array:
    shape = _input_shape(g, w, extents=extents, groups=groups, **window)
    x = _memory(shape, g, w)
    if any(s > 1 for s in window["stride"]):
        x[...] = 0  # places that no window reaches
    for part in lowering.conv_input(shape, w.shape, g.shape[2:], **window, groups=groups):
        execute(part, g, w, x)
    return x


def _weight_forward(x: Array, g: Array, shape: Shape, *, groups: int = 1, **window: Any) -> Array:
    w = np.empty(shape, np.result_type(x, g))
    part = lowering.conv_weight(x.shape, shape, g.shape[2:], **window, groups=groups)
    execute(part, x, g, w)
    return w


def _memory(shape: Shape, *operands: Array) -> Array:
    """For a result (N, C, *spatial), laid out as is best for what reads it."""
    dtype = np.result_type(*operands)
    if shape[1] < CHANNELS_LAST:
        return np.empty(shape, dtype)
    return np.moveaxis(np.empty((shape[0], *shape[2:], shape[1]), dtype), -1, 1)


def _spec(shape: Any) -> Any:
    """The shape rule of a primitive from a function of its operands and params."""
    return lambda a, b, **params: Spec(shape(a, b, **params), result_type([a.dtype, b.dtype]))


# Lowering: the contractions of a primitive, from the specs of its operands


def _lower(x: Spec, w: Spec, *, groups: int = 1, **window: Any) -> tuple[Contraction, ...]:
    rank = x.ndim - 2
    out = output_extents(x.shape[2:], w.shape[-rank:], **window)
    return (lowering.conv(x.shape, w.shape, out, **window, groups=groups),)


def _lower_input(
    g: Spec, w: Spec, *, extents: Extents, groups: int = 1, **window: Any
) -> tuple[Contraction, ...]:
    shape = _input_shape(g, w, extents=extents, groups=groups, **window)
    return lowering.conv_input(shape, w.shape, g.shape[2:], **window, groups=groups)


def _lower_weight(shape: Any) -> Any:
    def lower(x: Spec, g: Spec, **params: Any) -> tuple[Contraction, ...]:
        window = {"groups": 1, **params}
        del window["kernel"]
        made = shape(x, g, **params)
        return (lowering.conv_weight(x.shape, made, g.shape[2:], **window),)

    return lower


# Relations: samples, groups and the places of local weights are mapped; of the other places nothing
# finer is said than all of them.


def _relation(first: str, second: str, made: str, local: bool = False) -> Any:
    def relation(a: Spec, b: Spec, **params: Any) -> Relation:
        axes = range((b if second == "y" else a).ndim - 2)
        places = tuple(f"o{axis}" for axis in axes)
        labels = {
            "x": ("n", ("g", "i"), *(f"x{axis}" for axis in axes)),
            "w": (*(places if local else ()), ("g", "c"), "i", *(f"k{axis}" for axis in axes)),
            "y": ("n", ("g", "c"), *places),
        }
        return Relation((labels[first], labels[second]), (labels[made],))

    return relation


conv: Primitive = bilinear(
    "conv",
    lambda x, w, **window: _forward(x, w, _conv_shape(x, w, **window), **window),
    transpose=[
        lambda g, x, w, **window: conv_input(g, w, extents=x.shape[2:], **window),
        lambda g, x, w, **window: conv_weight(x, g, kernel=w.shape[2:], **window),
    ],
    shape=_spec(_conv_shape),
    lower=_lower,
    relation=_relation("x", "w", "y"),
    math=r"{x} \star {w}",
)
conv_input: Primitive = bilinear(
    "conv_input",
    _input_forward,
    transpose=[
        lambda u, g, w, *, extents, **window: conv(u, w, **window),
        lambda u, g, w, *, extents, **window: conv_weight(u, g, kernel=w.shape[2:], **window),
    ],
    shape=_spec(_input_shape),
    lower=_lower_input,
    relation=_relation("y", "w", "x"),
    math=r"{g} \star^T {w}",
)
conv_weight: Primitive = bilinear(
    "conv_weight",
    lambda x, g, *, kernel, **window: _weight_forward(
        x, g, _weight_shape(x, g, kernel=kernel, **window), **window
    ),
    transpose=[
        lambda u, x, g, *, kernel, **window: conv_input(g, u, extents=x.shape[2:], **window),
        lambda u, x, g, *, kernel, **window: conv(x, u, **window),
    ],
    shape=_spec(_weight_shape),
    lower=_lower_weight(_weight_shape),
    relation=_relation("x", "y", "w"),
    math=r"{x} \star {g}",
)

local_conv: Primitive = bilinear(
    "local_conv",
    lambda x, w, **window: _forward(x, w, _local_shape(x, w, **window), **window),
    transpose=[
        lambda g, x, w, **window: local_conv_input(g, w, extents=x.shape[2:], **window),
        lambda g, x, w, **window: local_conv_weight(x, g, kernel=w.shape[x.ndim :], **window),
    ],
    shape=_spec(_local_shape),
    lower=_lower,
    relation=_relation("x", "w", "y", local=True),
    math=r"{x} \star {w}",
)
local_conv_input: Primitive = bilinear(
    "local_conv_input",
    _input_forward,
    transpose=[
        lambda u, g, w, *, extents, **window: local_conv(u, w, **window),
        lambda u, g, w, *, extents, **window: local_conv_weight(
            u, g, kernel=w.shape[g.ndim :], **window
        ),
    ],
    shape=_spec(_input_shape),
    lower=_lower_input,
    relation=_relation("y", "w", "x", local=True),
    math=r"{g} \star^T {w}",
)
local_conv_weight: Primitive = bilinear(
    "local_conv_weight",
    lambda x, g, *, kernel, **window: _weight_forward(
        x, g, _local_weight_shape(x, g, kernel=kernel, **window), **window
    ),
    transpose=[
        lambda u, x, g, *, kernel, **window: local_conv_input(g, u, extents=x.shape[2:], **window),
        lambda u, x, g, *, kernel, **window: local_conv(x, u, **window),
    ],
    shape=_spec(_local_weight_shape),
    lower=_lower_weight(_local_weight_shape),
    relation=_relation("x", "y", "w", local=True),
    math=r"{x} \star {g}",
)
