"""What samples at the places of a grid read along one axis: elements and their weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.graph.node import Array
from limpid.ops.blocks import polynomial

# The weights of four neighbours as polynomials in the distance t from the second one, the highest
# power first (Keys 1981, a = −0.75).
CUBIC = np.array(
    [[-0.75, 1.5, -0.75, 0.0], [1.25, -2.25, 0.0, 1.0], [-1.25, 1.5, 0.75, 0.0],
     [0.75, -0.75, 0.0, 0.0]]
)  # fmt: skip
FAR = 1e30  # as good as infinity, with room for a product in float32
DEGREES = {"nearest": 0, "bilinear": 1, "bicubic": 3}  # of the weights, in the coordinate


class Taps:
    """The elements of one axis that samples at coordinates from −1 to 1 read.

    indices  for each tap the elements, in the shape of the coordinates
    """

    def __init__(self, coordinate: Array, extent: int, mode: str, padding: str, align: bool):
        self.extent = extent
        self.mode = mode
        self.padding = padding
        self.align = align
        slope = (extent - 1 if align else extent) / 2  # elements for one of the coordinate
        self.slope: Any = slope
        place = slope * np.clip(coordinate, -FAR, FAR) + (slope if align else slope - 0.5)
        if mode != "bicubic":
            place = self._held(place)
        elif padding == "reflection":
            place = place - self._period() * np.floor(place / self._period())
        else:
            place = np.clip(place, -3, extent + 2)  # beyond, all taps are outside
        left = np.rint(place) if mode == "nearest" else np.floor(place)
        self.part = place - left
        offsets = {"nearest": (0,), "bilinear": (0, 1), "bicubic": (-1, 0, 1, 2)}[mode]
        reads = [self._inside(left + i if i else left) for i in offsets]
        self.indices = [np.clip(read, 0, extent - 1).astype(np.intp) for read in reads]
        zeros = padding == "zeros"
        self.inside = [(read >= 0) & (read < extent) for read in reads] if zeros else None

    @property
    def size(self) -> int:
        """How many samples there are."""
        return self.part.size

    def weights(self, order: int) -> list[Array]:
        """The weights, differentiated so often by the coordinate; none if all are 0."""
        if order > DEGREES[self.mode]:
            return []
        weights = self._derived(order)
        if self.inside is None:
            return weights
        return [w * inside for w, inside in zip(weights, self.inside, strict=True)]

    def _derived(self, order: int) -> list[Array]:
        if self.mode == "nearest":
            return [np.ones_like(self.part)]
        if self.mode == "bilinear":
            return [-self.slope, self.slope] if order else [1 - self.part, self.part]
        factor = self.slope**order
        polynomials = [np.polyder(c, order) * factor for c in CUBIC]
        return [polynomial(p.tolist(), self.part) for p in polynomials]

    def _held(self, place: Array) -> Array:
        """Places brought into the axis; the slope becomes that of each place."""
        slope = np.full_like(place, self.slope)
        if self.padding == "zeros":
            self.slope = slope
            return np.clip(place, -2, self.extent + 1)  # beyond, all taps are outside
        if self.padding == "reflection":
            place, back = self._reflected(place)
            slope = np.where(back, -slope, slope)
        last = self.extent - 1
        self.slope = np.where((place <= 0) | (place >= last), 0, slope)
        return np.clip(place, 0, last)

    def _inside(self, index: Array) -> Array:
        """Elements of the padded axis as elements of the axis, but for those of zeros."""
        reflects = self.mode == "bicubic" and self.padding == "reflection"
        return self._reflected(index)[0] if reflects else index

    def _period(self) -> int:
        return max(2 * (self.extent - 1) if self.align else 2 * self.extent, 1)

    def _reflected(self, place: Array) -> tuple[Array, Array]:
        """Places reflected at both ends, and where they run backwards.

        The ends are the centres of the outer elements if `align`, else their outer edges.
        """
        start, period = (0.0 if self.align else -0.5), self._period()
        from_start = place - start
        from_start -= period * np.floor(from_start / period)
        back = from_start > period / 2
        return np.where(back, period - from_start, from_start) + start, back
