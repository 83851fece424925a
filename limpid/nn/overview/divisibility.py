"""Where (W − K + 2P)/S + 1 is not a whole number: windows that leave elements unread."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from limpid.graph.node import Node
from limpid.ops.windows.contraction import REDUCTION, Axis, Contraction, lowered


def remainders(node: Node) -> list[str]:
    """What the windows of a node leave over, along each axis, as text."""
    parts = lowered(node)
    if len(parts) != 1:  # of several parts each has windows of stride 1
        return []
    found: dict[str, list[int]] = {}
    paddings: Any = node.params.get("padding", ())
    for number, (axis, place, tap) in enumerate(_windowed(parts[0])):
        padding = paddings[number] if number < len(paddings) else -axis.offset
        before, after = padding if isinstance(padding, tuple) else (padding, padding)
        text = _left_over(axis.extent, before, after, place, tap)
        if text:
            found.setdefault(text, []).append(number)
    return [f"along spatial {_axes(numbers)} {text}" for text, numbers in found.items()]


Loop = tuple[int, int]  # coefficient and extent of an index


def _windowed(part: Contraction) -> Iterator[tuple[Axis, Loop, Loop]]:
    """The axes along which a window slides, with the index of its places and that of its taps."""
    extents = {i.name: i.extent for i in part.indices}
    summed = part.names(REDUCTION)
    alone = {axis.terms[0][0] for axis in part.output if len(axis.terms) == 1}
    for axis in part.left:
        places = [(c, extents[n]) for n, c in axis.terms if n in alone and n not in summed]
        taps = [(c, extents[n]) for n, c in axis.terms if n in summed]
        if len(places) == len(taps) == 1:
            yield axis, places[0], taps[0]


def _left_over(extent: int, before: int, after: int, place: Loop, tap: Loop) -> str:
    (stride, count), (dilation, taps) = place, tap
    span = dilation * (taps - 1) + 1
    room = extent + before + after - span
    left = room - stride * (count - 1)
    if left <= 0:
        return ""
    unread = min(left, extent - (stride * (count - 1) + span - before))
    padding = f"2·{before}" if before == after else f"{before} + {after}"
    result = float(Fraction(room, stride) + 1)
    lost = f"the last {unread} of {extent} are" if unread > 1 else f"the last of {extent} is"
    if unread <= 0:
        lost = f"the last {left} of padding are" if left > 1 else "the last of padding is"
    return f"({extent} − {span} + {padding})/{stride} + 1 = {result:.4g}: {lost} not read"


def _axes(numbers: list[int]) -> str:
    return ("axis " if len(numbers) == 1 else "axes ") + ", ".join(map(str, numbers))
