"""Max pooling: the largest element of every window, and its place within the window, the winner.

    max_pool     y, winner: the largest of every window   (…, *W) → (…, *O)
    window_pick  the elements of x that are winners       (…, *W) → (…, *O)
    window_put   its transpose, g added where they are    (…, *O) → (…, *W)

The winner is the number of a place of the kernel, counted row by row: one byte for most kernels.
Positions in the input follow from it where somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, linear
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ShapeError
from limpid.graph.dtype import dtype_of, int64
from limpid.graph.node import Array, Spec
from limpid.ops.plain import max_pool as plain
from limpid.ops.windows.addresses import PART, Part, addresses, by_parts, memory_order
from limpid.ops.windows.geometry import Extents
from limpid.ops.windows.stages import (
    Stage,
    input_shape,
    is_whole,
    lower_windows,
    output_shape,
    stages,
    window_relation,
    window_taps,
)

FEW = 16  # places of a kernel up to which backward looks at each in turn
LONG = 1024  # places from which on a window that is the whole input is copied to be searched

Beats = Callable[..., Any]  # (new, old, out=) → whether the new value wins


def _largest(x: Array, *, kernel: Extents, **window: Any) -> tuple[Array, Array]:
    shape = _checked_shape(x, kernel=kernel, **window)
    if x.size <= PART:
        return _search(x, kernel, window)
    y = np.empty_like(x, shape=shape)
    winner = np.empty_like(y, _numbers(kernel))

    def work(part: Part) -> None:
        y[part], winner[part] = _search(x[part], kernel, window)

    by_parts(x, len(kernel), work)
    return y, winner


def _search(x: Array, kernel: Extents, window: dict[str, Any]) -> tuple[Array, Array]:
    spatial = x.shape[x.ndim - len(kernel) :]
    if is_whole(spatial, kernel, **window) and (x.flags.c_contiguous or prod(kernel) >= LONG):
        return _largest_of_all(x, len(kernel))
    found = stages(spatial, kernel, **window)
    y, winner = _rounds(x, kernel, found, np.greater)
    if x.dtype.kind == "f" and np.isnan(np.maximum.reduce(y, axis=None, initial=-np.inf)):
        return _rounds(x, kernel, found, _greater_or_nan)
    return y, winner


def _largest_of_all(x: Array, rank: int) -> tuple[Array, Array]:
    """The largest of all elements that share their leading axes."""
    lead = x.shape[: x.ndim - rank]
    flat = x.reshape(*lead, prod(x.shape[x.ndim - rank :]))  # (…, ∏ W)
    first = flat.argmax(-1, keepdims=True)
    y = np.take_along_axis(flat, first, -1)
    if (y != y).any():  # of several NaN the last
        last = flat.shape[-1] - 1 - np.isnan(flat[..., ::-1]).argmax(-1, keepdims=True)
        first = np.where(y != y, last, first)
    shape = (*lead, *(1,) * rank)
    return y.reshape(shape), first.reshape(shape).astype(np.min_scalar_type(flat.shape[-1] - 1))


def _rounds(x: Array, kernel: Extents, found: tuple[Stage, ...], beats: Beats) -> Any:
    """The largest along the last axis, of these the largest along the one before, and so on.

    That way the first of several equal ones, row by row, wins.
    """
    y: Array = x
    winner: Array = np.zeros((1,) * x.ndim, _numbers(kernel))
    for stage in found:
        base = prod(kernel[len(kernel) + 1 + stage.axis :])  # the distance of two numbers
        y, winner = _round(y, winner, stage, base, beats)
    return (y, winner) if found else (x.copy(), np.zeros_like(x, winner.dtype))


def _numbers(kernel: Extents) -> np.dtype[Any]:
    """The smallest type for the number of a place within the kernel."""
    return np.min_scalar_type(prod(kernel) - 1)


def _round(x: Array, winner: Array, stage: Stage, base: int, beats: Beats) -> tuple[Array, Array]:
    """One axis: of elements at the same place in all windows, each pass lets the larger stay."""
    y = np.empty_like(x, shape=stage.resized(x.shape, stage.out))
    place = np.empty_like(y, winner.dtype)
    better = np.empty_like(y, bool)
    steps = stage.steps
    known = winner.shape == x.shape

    def number(tap: int, here: Any) -> Any:
        first = winner.dtype.type(tap * base)
        return winner[here] + first if known else first

    if stage.paired:
        before = steps[0]
        after, steps = steps[1], steps[2:]
        _challenge(
            x[after.here], number(after.tap, after.here),
            x[before.here], number(before.tap, before.here), y, place, better, beats,
        )  # fmt: skip
    for tap, there, here, fresh, _ in steps:
        if fresh:
            y[there], place[there] = x[here], number(tap, here)
        else:
            held = y[there], place[there]
            _challenge(x[here], number(tap, here), *held, *held, better[there], beats)
    return y, place


def _challenge(
    new: Array, number: Any, old: Array, old_number: Any, y: Array, place: Array, better: Array,
    beats: Beats,
) -> None:  # fmt: skip
    """The larger of new and old, and its number; of two equal ones the old stays."""
    beats(new, old, out=better)
    np.maximum(old, new, out=y)
    won = number * better.view(np.uint8)  # 0, or a number larger than the old one
    np.maximum(old_number, won, out=place)


def _greater_or_nan(new: Array, old: Array, out: Array) -> None:
    np.greater(new, old, out=out)
    np.logical_or(out, new != new, out=out)


def _pick(x: Array, winner: Array, *, kernel: Extents, **window: Any) -> Array:
    _check_winner(winner, output_shape(x, kernel=kernel, **window))
    order = memory_order(x)
    source = np.ascontiguousarray(x.transpose(order))
    made = np.ascontiguousarray(winner.transpose(order))
    y = np.empty(made.shape, x.dtype)
    steps = [n // x.itemsize for n in source.strides]
    for part, places in addresses(made, order, steps, kernel=kernel, **window):
        y[part] = source.reshape(-1).take(places)
    return y.transpose(np.argsort(order))


def _put(g: Array, winner: Array, *, kernel: Extents, extents: Extents, **window: Any) -> Array:
    _check_winner(winner, g.shape)
    shape = input_shape(g, kernel=kernel, extents=extents, **window)
    if not winner.size:
        return np.zeros(shape, g.dtype)
    found = stages(extents, kernel, **window) if prod(kernel) <= FEW else ()
    if not found or not all(stage.apart for stage in found):
        return _scattered(g, winner, shape, kernel=kernel, **window)
    x = np.empty_like(winner, g.dtype, shape=shape)
    if not all(stage.covered for stage in found):
        x[...] = 0
    taps = window_taps(extents, kernel, **window)
    # A product of the bit patterns with 0 and 1 selects whatever the number is.
    given, made = (array.view(f"i{g.itemsize}") for array in (g, x))

    def work(part: Part) -> None:
        values, numbers, places = given[part], winner[part], made[part]
        for point, there, here in taps:
            chosen = numbers[there] == _number(point, kernel)
            np.multiply(values[there], chosen, out=places[here])

    by_parts(x, len(kernel), work)
    return x


def _number(point: tuple[int, ...], kernel: Extents) -> int:
    """The number of a place of the kernel, counted row by row."""
    number = 0
    for place, extent in zip(point, kernel, strict=True):
        number = number * extent + place
    return number


def _scattered(g: Array, winner: Array, shape: tuple[int, ...], **window: Any) -> Array:
    order = memory_order(winner)
    given = np.ascontiguousarray(g.transpose(order))
    made = np.ascontiguousarray(winner.transpose(order))
    wide = np.float32 if g.dtype == np.float16 else g.dtype  # several may be added at one place
    x = np.zeros([shape[axis] for axis in order], wide)
    flat = x.reshape(-1)
    steps = [n // x.itemsize for n in x.strides]
    for part, places in addresses(made, order, steps, **window):
        np.add.at(flat, places.reshape(-1), given[part].reshape(-1))
    return x.astype(g.dtype, copy=False).transpose(np.argsort(order))


def _positions(winner: Array, *, kernel: Extents, extents: Extents, **window: Any) -> Array:
    """Row-major positions among the elements of all spatial axes."""
    lead = winner.ndim - len(extents)
    steps = [0] * lead + [prod(extents[axis + 1 :]) for axis in range(len(extents))]
    found = np.empty(winner.shape, np.int64)
    order = range(winner.ndim)
    for part, places in addresses(winner, order, steps, kernel=kernel, **window):
        found[part] = places
    return found


def _checked_shape(x: Any, **window: Any) -> tuple[int, ...]:
    """The shape of the result; ShapeError if a window lies in the padding as a whole."""
    shape = output_shape(x, **window)
    if not any(map(any, window["padding"])):
        return shape
    for stage in stages(x.shape[x.ndim - len(window["kernel"]) :], **window):
        if stage.missed:
            raise ShapeError(
                f"{stage.missed} of {stage.out} windows along axis {stage.axis} have no element: "
                f"all {stage.kernel} places of the kernel lie outside of the {stage.extent} there"
            )
    return shape


def _winner_spec(x: Spec, **window: Any) -> tuple[Spec, Spec]:
    shape = _checked_shape(x, **window)
    return Spec(shape, x.dtype), Spec(shape, dtype_of(_numbers(window["kernel"])))


def _pick_spec(x: Spec, winner: Spec, **window: Any) -> Spec:
    _check_winner(winner, output_shape(x, **window))
    return Spec(winner.shape, x.dtype)


def _put_spec(g: Spec, winner: Spec, **window: Any) -> Spec:
    _check_winner(winner, g.shape)
    return Spec(input_shape(g, **window), g.dtype)


def _check_winner(winner: Any, shape: tuple[int, ...]) -> None:
    if winner.shape != shape:
        raise ShapeError(f"there are {shape} windows, but winners of shape {winner.shape}")


def _vjp(g: Any, y: Any, x: Any, *, kernel: Extents, **window: Any) -> Any:
    extents = x.shape[x.ndim - len(kernel) :]
    return window_put(g[0], y[1], kernel=kernel, extents=extents, **window)


def _jvp(dx: Any, y: Any, x: Any, **window: Any) -> Any:
    return window_pick(dx, y[1], **window), None  # winners have no tangent


max_pool = general(
    "max_pool",
    _largest,
    vjp=[_vjp],
    jvp=[_jvp],
    shape=_winner_spec,
    relation=window_relation("x", "o", outputs=2),
    lower=lower_windows("max"),
    outputs=2,
    gate="routes",
    numeric="any",
    native=plain.largest,
    math=r"\max_k {x}_{o S + k D - P}",
    kink="of elements that tie, the first of the window, row by row, receives the gradient",
)
window_pick: Primitive = linear(
    "window_pick",
    _pick,
    transpose=[
        lambda g, x, winner, *, kernel, **window: window_put(
            g, winner, kernel=kernel, extents=x.shape[x.ndim - len(kernel) :], **window
        ),
        None,
    ],
    shape=_pick_spec,
    relation=window_relation("x", "o", moved=True),
    numeric="any",
    native=plain.picked,
    math="{x}[{winner}]",
)
window_put: Primitive = linear(
    "window_put",
    _put,
    transpose=[
        lambda u, g, winner, *, extents, **window: window_pick(u, winner, **window),
        None,
    ],
    shape=_put_spec,
    relation=window_relation("o", "x"),
    numeric="any",
    native=plain.put,
    math=r"\mathrm{put}({g}, {winner})",
)
window_positions = general(
    "window_positions",
    _positions,
    vjp=[None],
    shape=lambda winner, **params: Spec(winner.shape, int64),
    relation=lambda winner, **params: Relation(
        (tuple(range(winner.ndim)),), (tuple(range(winner.ndim)),)
    ),
    numeric="any",
    native=plain.positions,
    math=r"\mathrm{positions}({winner})",
)
