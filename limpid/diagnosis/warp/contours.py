"""Where functions of the plane are zero: lines that are exact, and curves found on a lattice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Field = Callable[[Array], Array]  # points (K, 2) → one number for each (K,)

REFINEMENTS = 10  # steps of false position along each edge of the lattice
FEW = 1e-12


@dataclass(frozen=True)
class Window:
    """A square part of the plane: its middle and half its side."""

    x: float
    y: float
    half: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top."""
        return self.x - self.half, self.x + self.half, self.y - self.half, self.y + self.half

    def lattice(self, size: int) -> Array:
        """Points (size, size, 2), [row, column], from the lower left corner."""
        left, right, bottom, top = self.bounds
        x, y = np.meshgrid(np.linspace(left, right, size), np.linspace(bottom, top, size))
        return np.stack([x, y], axis=-1)


def window_around(points: Array, margin: float = 0.12) -> Window:
    """The window that holds points (…, 2), with a margin; of side 1 or so if they are one point."""
    flat = points.reshape(-1, 2).astype(np.float64)
    low, high = flat.min(axis=0), flat.max(axis=0)
    middle, half = (low + high) / 2, float(np.max(high - low)) / 2
    if half <= FEW * max(1.0, float(np.abs(middle).max())):
        half = 0.5
    return Window(float(middle[0]), float(middle[1]), half * (1 + 2 * margin))


def line_in_window(weight: Array, bias: float, window: Window) -> Array:
    """The part of {p : weight·p + bias = 0} in a window, as a segment (2, 2); (0, 2) if none.

    >>> line_in_window(np.array([1.0, 0.0]), -0.5, Window(0, 0, 1)).tolist()
    [[0.5, -1.0], [0.5, 1.0]]
    """
    nothing = np.zeros((0, 2))
    length = float(np.hypot(*weight))
    if not length > 0:
        return nothing
    normal = np.asarray(weight, np.float64) / length
    middle = np.array([window.x, window.y])
    foot = middle - normal * (float(normal @ middle) + bias / length)
    along = np.array([-normal[1], normal[0]])
    start, end = -np.inf, np.inf
    for axis in (0, 1):  # the stretch within both pairs of sides
        offset = foot[axis] - middle[axis]
        if abs(along[axis]) < FEW:
            if abs(offset) > window.half:
                return nothing
            continue
        ends = sorted(((-window.half - offset) / along[axis], (window.half - offset) / along[axis]))
        start, end = max(start, ends[0]), min(end, ends[1])
    return foot + np.outer([start, end], along) if start < end else nothing


def zero_segments(field: Field, window: Window, size: int) -> Array:
    """The curve on which a field is zero in a window, as segments (K, 2, 2).

    Signs are taken on a lattice of size × size points. Each edge between two signs is searched for
    the zero by false position, so ends of segments lie on the curve; what is smaller than a cell
    of the lattice is not seen.

    >>> circle = zero_segments(lambda p: np.sum(p * p, axis=1) - 1, Window(0, 0, 2), 40)
    >>> bool(np.allclose(np.sum(circle * circle, axis=2), 1))
    True
    """
    lattice = window.lattice(size)
    values = np.asarray(field(lattice.reshape(-1, 2)), np.float64).reshape(size, size)
    positive = values > 0
    # Edges to the right of points, then edges above them, each with a number; −1: no crossing.
    right = _number(positive[:, :-1] != positive[:, 1:], 0)
    above = _number(positive[:-1] != positive[1:], int(np.count_nonzero(right >= 0)))
    starts = np.concatenate([lattice[:, :-1][right >= 0], lattice[:-1][above >= 0]])
    ends = np.concatenate([lattice[:, 1:][right >= 0], lattice[1:][above >= 0]])
    if not len(starts):
        return np.zeros((0, 2, 2))
    zeros = _search(field, starts, ends)
    middles = (values[:-1, :-1] + values[1:, :-1] + values[:-1, 1:] + values[1:, 1:]) > 0
    sides = np.stack([right[:-1], above[:, 1:], right[1:], above[:, :-1]], axis=-1)
    return zeros[_in_order(_pairs(sides, middles == positive[:-1, :-1]))]


def _in_order(links: Array) -> Array:
    """Links (K, 2) one after another along each curve, so that dashes run through them.

    >>> _in_order(np.array([[2, 1], [5, 6], [0, 1]])).tolist()
    [[2, 1], [1, 0], [5, 6]]
    """
    beside: dict[int, list[int]] = {}
    for number, link in enumerate(links.tolist()):
        for end in link:
            beside.setdefault(end, []).append(number)
    loose = [end for end, found in beside.items() if len(found) == 1]
    ordered, used = [], np.zeros(len(links), bool)
    for start in [*loose, *links[:, 0].tolist()]:  # curves that end first, then closed ones
        at = start
        while ways := [number for number in beside[at] if not used[number]]:
            used[ways[0]] = True
            first, second = links[ways[0]].tolist()
            after = second if at == first else first
            ordered.append([at, after])
            at = after
    return np.array(ordered).reshape(-1, 2)


def join(segments: Array) -> list[Array]:
    """Segments (K, 2, 2) as curves (points, 2): each goes on while the next begins where it ended.

    >>> [len(curve) for curve in join(np.array([[[0, 0], [1, 0]], [[1, 0], [2, 1]]]))]
    [3]
    """
    if not len(segments):
        return []
    breaks = 1 + np.flatnonzero((segments[1:, 0] != segments[:-1, 1]).any(axis=1))
    parts = np.split(segments, breaks)
    return [np.concatenate([part[:1, 0], part[:, 1]]) for part in parts]


def _number(crossed: Array, first: int) -> Array:
    numbers = np.full(crossed.shape, -1)
    numbers[crossed] = first + np.arange(np.count_nonzero(crossed))
    return numbers


def _pairs(sides: Array, joined: Array) -> Array:
    """Which crossings a cell's segments link, (K, 2).

    sides   (…, 4) the crossings below, right, above and left of each cell
    joined  whether the middle of the cell has the sign of its lower left corner
    """
    sides, joined = sides.reshape(-1, 4), joined.reshape(-1)
    count = np.count_nonzero(sides >= 0, axis=1)
    two = sides[count == 2]
    plain = two[two >= 0].reshape(-1, 2)
    four, together = sides[count == 4], joined[count == 4]
    cut = np.where(together[:, None], four[:, [0, 1, 2, 3]], four[:, [0, 3, 1, 2]])
    return np.concatenate([plain, cut.reshape(-1, 2)])


def _search(field: Field, starts: Array, ends: Array) -> Array:
    """The zero between each start and end, (K, 2), by false position as Illinois does it."""
    low, high = np.zeros(len(starts)), np.ones(len(starts))
    way = ends - starts
    f_low, f_high = field(starts).astype(np.float64), field(ends).astype(np.float64)
    at, side = low, np.zeros(len(starts))
    for _ in range(REFINEMENTS):
        span = f_high - f_low
        safe = np.where(span == 0, 1.0, span)
        at = np.where(span == 0, (low + high) / 2, low - f_low * (high - low) / safe)
        value = field(starts + at[:, None] * way).astype(np.float64)
        same = (value > 0) == (f_low > 0)
        # An end that stays twice has its value halved, else it might stay for ever.
        f_high = np.where(same & (side == 1), f_high / 2, f_high)
        f_low = np.where(~same & (side == -1), f_low / 2, f_low)
        low, f_low = np.where(same, at, low), np.where(same, value, f_low)
        high, f_high = np.where(same, high, at), np.where(same, f_high, value)
        side = np.where(same, 1, -1)
    return starts + at[:, None] * way
