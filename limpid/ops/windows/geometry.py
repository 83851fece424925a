"""The arithmetic of windows, (W − K + 2P)/S + 1, with its arguments and its errors.

Window arguments are tuples with a number for each spatial axis; padding is a pair (before, after)
for each. So they are params of primitives: hashable, and plain Python in a graph's text.
"""

from __future__ import annotations

from typing import Any

from limpid.errors import ArgumentError, ShapeError

Extents = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]


def per_axis(given: Any, rank: int, name: str, least: int = 1) -> Extents:
    """An integer, or one for each of `rank` spatial axes, as a tuple.

    name  of the argument, for errors: "stride"
    least  the smallest allowed value

    Raises ArgumentError for something else, another count or a number below `least`.
    """
    several = isinstance(given, tuple | list)
    numbers = tuple(given) if several else (given,) * rank
    if several and len(numbers) == 1:
        numbers *= rank
    if len(numbers) != rank or any(
        isinstance(n, bool) or not hasattr(n, "__index__") or getattr(n, "ndim", 0) for n in numbers
    ):
        raise ArgumentError(
            f"{name} is an integer, or {rank} of them for {rank} spatial axes, not {given!r:.60}"
        )
    found = tuple(int(n.__index__()) for n in numbers)
    if min(found, default=least) < least:
        raise ArgumentError(f"{name} must be {least} or more, not {given!r}")
    return found


def check_axes(shape: Extents, rank: int) -> None:
    """Raise ShapeError unless the shape is (N, C, *spatial) or (C, *spatial)."""
    if len(shape) not in (rank + 1, rank + 2):
        raise ShapeError(
            f"the input has {rank + 2} axes (N, C, *spatial), or {rank + 1} without a batch, but "
            f"its shape is {shape}"
        )


def paddings(given: Any, rank: int, kernel: Extents, stride: Extents, dilation: Extents) -> Padding:
    """Padding as a pair for each spatial axis.

    given  a number, one for each axis, "valid" (none), or "same": as many places come out as go in
           (stride 1 only; of an odd number the larger half comes after)
    """
    if isinstance(given, str):
        return _named_padding(given, kernel, stride, dilation)
    return tuple((n, n) for n in per_axis(given, rank, "padding", least=0))


def _named_padding(name: str, kernel: Extents, stride: Extents, dilation: Extents) -> Padding:
    if name == "valid":
        return ((0, 0),) * len(kernel)
    if name != "same":
        raise ArgumentError(f"padding is a number, 'same' or 'valid', not {name!r}")
    if any(s != 1 for s in stride):
        raise ArgumentError(f"padding 'same' needs stride 1, not {stride}")
    totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return tuple((total // 2, total - total // 2) for total in totals)


def span(kernel: int, dilation: int) -> int:
    """How many places a dilated kernel reaches over."""
    return dilation * (kernel - 1) + 1 if kernel else 0


def output_extents(
    spatial: Extents,
    kernel: Extents,
    stride: Extents,
    padding: Padding,
    dilation: Extents,
    ceil_mode: bool = False,
) -> Extents:
    """The number of windows along each axis: ⌊(W + P − D(K − 1) − 1)/S⌋ + 1.

    With `ceil_mode` ⌈…⌉, except for a last window that would begin in the padding after the input.
    Raises ShapeError where not even one window fits.
    """
    found = []
    for axis, (extent, k, s, (before, after), d) in enumerate(
        zip(spatial, kernel, stride, padding, dilation, strict=True)
    ):
        room = extent + before + after - span(k, d)
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= extent + before:
            count -= 1
        if count < 1 or not k:
            raise ShapeError(_no_room(axis, extent, k, (before, after), d))
        found.append(count)
    return tuple(found)


def _no_room(axis: int, extent: int, kernel: int, padding: tuple[int, int], dilation: int) -> str:
    before, after = padding
    reach = f"{kernel}" if dilation == 1 else f"{kernel} with dilation {dilation}"
    padded = f" + {before} + {after} of padding" if before or after else ""
    return (
        f"a window of {span(kernel, dilation)} (kernel {reach}) does not fit into {extent}{padded}"
        f" along spatial axis {axis}"
    )


def check_divides(groups: int, **channels: int) -> None:
    """Raise ArgumentError unless groups ≥ 1 divide each number of channels."""
    if groups < 1:
        raise ArgumentError(f"groups must be 1 or more, not {groups}")
    for name, count in channels.items():
        if count % groups:
            raise ArgumentError(f"{groups} groups do not divide {count} {name.replace('_', ' ')}")
