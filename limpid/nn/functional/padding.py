"""Padding, with PyTorch's name, argument order and meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.ops import pad as padding
from limpid.ops.index import get_item
from limpid.tensor import operand

MODES = ("constant", "reflect", "replicate", "circular")
Widths = list[tuple[int, int]]  # for every axis, how many before and after


@name_errors
def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Any:
    """The input with elements added at the ends of its last axes; negative numbers take away.

    pad    (before, after) of the last axis, then of the one before it, and so on
    mode   "constant"; "reflect" (abc → cb|abc|ba), "replicate" (aa|abc|cc), "circular" (bc|abc|ab),
           which pad the last 1, 2 or 3 axes of an input (N, C, …) or (C, …)
    value  the constant, by default 0

    Raises ShapeError where an axis is too short for its padding: reflecting adds fewer elements
    than it has, circular padding at most as many. Raises ArgumentError.

    >>> import limpid
    >>> limpid.nn.functional.pad(limpid.tensor([[1.0, 2.0, 3.0]]), (2, -1))
    tensor([[0., 0., 1., 2.]])
    """
    input = operand(input)
    if mode not in MODES:
        raise ArgumentError(f"mode is one of {', '.join(MODES)}, not {mode!r}")
    widths = _widths(pad, input.shape)
    _check_left(input.shape, widths, mode)
    if mode == "constant":
        constant = 0 if value is None else value
        return padding.pad(_cropped(input, widths), _added(widths), "constant", constant)
    if value is not None:
        raise ArgumentError(f"mode {mode!r} takes no value")
    _check_rank(input.shape, len(pad), mode)
    if mode == "circular":  # what is taken away is not repeated
        input = _cropped(input, widths)
        widths = _added(widths)
    _check_extents(input.shape, widths, mode)
    return _cropped(padding.pad(input, _added(widths), mode), widths)


def _widths(given: Any, shape: tuple[int, ...]) -> Widths:
    """(before, after) for every axis."""
    if not isinstance(given, tuple | list) or not all(hasattr(n, "__index__") for n in given):
        raise ArgumentError(f"the widths are a tuple of integers, not {given!r:.60}")
    numbers = [int(n.__index__()) for n in given]
    if len(numbers) % 2 or len(numbers) > 2 * len(shape):
        raise ArgumentError(
            f"the widths are two numbers for each of some last axes, but {len(numbers)} were "
            f"given for an input of shape {shape}"
        )
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))[::-1]
    return [(0, 0)] * (len(shape) - len(pairs)) + pairs


def _added(widths: Widths) -> Widths:
    return [(max(before, 0), max(after, 0)) for before, after in widths]


def _cropped(x: Any, widths: Widths) -> Any:
    """Without what negative widths take away."""
    if all(min(width) >= 0 for width in widths):
        return x
    key = [slice(max(-before, 0), after if after < 0 else None) for before, after in widths]
    return get_item(x, tuple(key))


def _check_left(shape: tuple[int, ...], widths: Widths, mode: str) -> None:
    least = 1 if mode in ("reflect", "replicate") else 0
    for axis, (n, (before, after)) in enumerate(zip(shape, widths, strict=True)):
        taken = -min(before, 0) - min(after, 0)
        whole = n + before + after
        if taken and (whole < least or (mode in ("constant", "circular") and taken > n)):
            raise ShapeError(
                f"widths {(before, after)} leave nothing of axis {axis} of shape {shape}"
            )


def _check_rank(shape: tuple[int, ...], numbers: int, mode: str) -> None:
    count = numbers // 2
    if count not in (1, 2, 3) or len(shape) - count not in (1, 2):
        raise ShapeError(
            f"mode {mode!r} pads the last axis of 2 or 3, two of 3 or 4, or three of 4 or 5; "
            f"{count} axes of shape {shape} it can't\nremedy: limpid.pad pads any axes"
        )


def _check_extents(shape: tuple[int, ...], widths: Widths, mode: str) -> None:
    for axis, (n, width) in enumerate(zip(shape, widths, strict=True)):
        most = max({"reflect": n - 1, "circular": n}.get(mode, max(width) if n else 0), 0)
        if max(width) > most:
            raise ShapeError(
                f"mode {mode!r} adds at most {most} elements to either end of axis {axis} of shape "
                f"{shape}, not {width}"
            )
