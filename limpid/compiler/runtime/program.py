"""Programs as they are run: parts, arrays that they read and write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limpid.compiler.machine.loading import address
from limpid.compiler.program.values import Value
from limpid.compiler.runtime.assembly import Part
from limpid.compiler.runtime.buffers import Buffers
from limpid.graph.node import Array


class Program:
    """Native code, and the arrays that it computes.

    ends     what is computed
    homes    new values of slots, each with the number of the input that it is written to
    buffers  where arrays are
    parts    calls of native code, one after the other
    noted_numbers   of the ends that lie in the buffers' notes
    """

    ends: Sequence[Value]
    homes: Mapping[Value, int]
    buffers: Buffers
    parts: Sequence[Any]
    noted_numbers: Sequence[int]

    def execute(self) -> bool:
        """Compute all ends; False if a check failed."""
        return all(part.run() for part in self.parts)

    def output(self, number: int) -> Array:
        """An end as an array of its own."""
        return self.buffers.array(self.ends[number]).copy(order="K")

    def array(self, number: int) -> Array:
        """The array that an end is written to."""
        return self.buffers.array(self.ends[number])

    def renew(self, number: int) -> Array:
        """A new array that an end is written to; the one before is given away."""
        return self.buffers.renew(self.ends[number])

    def take(self, number: int, array: Array) -> None:
        """Write an end to this array from now on, which lies as its own does."""
        self.buffers.take(self.ends[number], array)

    def noted(self, number: int, notes: Array) -> Array:
        """A small probe as it was when the buffers' notes were copied."""
        now = self.array(number)
        place = address(now) - address(self.buffers.notes)
        return np.ndarray(now.shape, now.dtype, notes.data, place, now.strides)

    @property
    def is_whole(self) -> bool:
        """Whether NumPy computes nothing of it."""
        return all(isinstance(part, Part) for part in self.parts)
