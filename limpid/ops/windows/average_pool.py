"""Sums over windows, of which average pooling is made.

    sum_pool        y[o] = Σₖ x[o·S + k·D − P]   (…, *W) → (…, *O)
    sum_pool_input  its transpose                (…, *O) → (…, *W)

Both go along one axis after another.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.primitive import Primitive
from limpid.graph.node import Array, Spec
from limpid.ops.plain import windows as plain
from limpid.ops.precision import widened
from limpid.ops.reduce import total
from limpid.ops.windows import lowering
from limpid.ops.windows.addresses import Part, by_parts
from limpid.ops.windows.contraction import Contraction
from limpid.ops.windows.geometry import Extents
from limpid.ops.windows.stages import (
    Stage,
    input_shape,
    is_whole,
    lower_windows,
    output_shape,
    stages,
    window_relation,
)


def _sums(x: Array, *, kernel: Extents, **window: Any) -> Array:
    shape = output_shape(x, kernel=kernel, **window)
    spatial = x.shape[x.ndim - len(kernel) :]
    if is_whole(spatial, kernel, **window):
        y = total(x, axis=tuple(range(x.ndim - len(kernel), x.ndim)), keepdims=True)
        return np.asarray(y, x.dtype)
    found = stages(spatial, kernel, **window)
    y = np.empty_like(x, shape=shape)

    def work(part: Part) -> None:
        held = x[part]
        for stage in found[:-1]:
            held = _sum_along(held, stage)
        if found:
            _sum_along(held, found[-1], y[part])
        else:
            y[part] = held

    by_parts(x, len(kernel), work)
    return y


def _sum_along(x: Array, stage: Stage, y: Array | None = None) -> Array:
    """The sums along one axis, written to y if there is one."""
    if y is None:
        y = np.empty_like(x, shape=stage.resized(x.shape, stage.out))
    steps = stage.steps
    if stage.paired:
        np.add(x[steps[0].here], x[steps[1].here], out=y)
        steps = steps[2:]
    elif stage.missed:
        y[...] = 0
    for _, there, here, fresh, _ in steps:
        if fresh:
            y[there] = x[here]
        else:
            y[there] += x[here]
    return y


def _spread(g: Array, *, kernel: Extents, extents: Extents, **window: Any) -> Array:
    shape = input_shape(g, kernel=kernel, extents=extents, **window)
    if is_whole(extents, kernel, **window):
        return np.broadcast_to(g, shape)
    found = stages(extents, kernel, **window)[::-1]
    x = np.empty_like(g, shape=shape)

    def work(part: Part) -> None:
        held = g[part]
        for stage in found[:-1]:
            held = _spread_along(held, stage)
        if found:
            _spread_along(held, found[-1], x[part])
        else:
            x[part] = held

    by_parts(x, len(kernel), work)
    return x


def _spread_along(g: Array, stage: Stage, x: Array | None = None) -> Array:
    """What is summed along one axis sent back, written to x if there is one."""
    if x is None:
        x = np.empty_like(g, shape=stage.resized(g.shape, stage.extent))
    if not stage.covered:
        x[...] = 0
    for _, there, here, _, _ in stage.steps:
        if stage.apart:
            x[here] = g[there]
        else:
            x[here] += g[there]
    return x


def _lower_spread(
    g: Spec, *, kernel: Extents, extents: Extents, **window: Any
) -> tuple[Contraction, ...]:
    shape = input_shape(g, kernel=kernel, extents=extents, **window)
    return lowering.windows_input(shape, g.shape[g.ndim - len(kernel) :], kernel, **window)


sum_pool: Primitive = linear(
    "sum_pool",
    widened(_sums),
    transpose=lambda g, x, *, kernel, **window: sum_pool_input(
        g, kernel=kernel, extents=x.shape[x.ndim - len(kernel) :], **window
    ),
    shape=lambda x, **window: Spec(output_shape(x, **window), x.dtype),
    relation=window_relation("x", "o"),
    lower=lower_windows("add"),
    native=widened(plain.sums),
    math=r"\sum_k {x}_{o S + k D - P}",
)
sum_pool_input: Primitive = linear(
    "sum_pool_input",
    widened(_spread),
    transpose=lambda u, g, *, extents, **window: sum_pool(u, **window),
    shape=lambda g, **window: Spec(input_shape(g, **window), g.dtype),
    relation=window_relation("o", "x"),
    lower=_lower_spread,
    native=widened(plain.sums_input),
    math=r"\sum_k {g}_{(i + P - k D) / S}",
)


@lru_cache(maxsize=256)
def pool_counts(
    spatial: Extents,
    out: Extents,
    kernel: Extents,
    stride: Extents,
    padding: Extents,
    include_pad: bool,
) -> int | Array:
    """How many elements each window has: one number, or an array (*out) where they differ.

    include_pad  count the padding, too; not what `ceil_mode` lets a window reach beyond it
    """
    ways = []
    for w, o, k, s, p in zip(spatial, out, kernel, stride, padding, strict=True):
        start = np.arange(o) * s - p
        margin = p if include_pad else 0
        ways.append(np.minimum(start + k, w + margin) - np.maximum(start, -margin))
    if all((way == way[0]).all() for way in ways):
        return prod(int(way[0]) for way in ways)
    counts: Array = np.ones((), np.int64)
    for way in ways:
        counts = counts[..., None] * way
    counts.flags.writeable = False
    return counts
