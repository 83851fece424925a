"""Where values of slots live."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.graph.dtype import dtype_of
from limpid.graph.node import Array
from limpid.graph.source import Source, capture


class Storage:
    """Where the value of a slot lives; many tensors may read it, only `assign` writes it.

    `version` counts the writes, `written` is the source of the latest. `layout` names the order
    of the elements; "rows" is NumPy's.
    """

    __slots__ = ("array", "dtype", "layout", "owner", "version", "written")

    def __init__(self, array: Array, owner: str | None = None):
        self.array = array
        self.dtype = dtype_of(array.dtype)
        self.layout = "rows"
        self.owner = owner
        self.version = 0
        self.written: Source | None = None

    def read(self) -> Array:
        """The value as a NumPy array in NumPy's layout."""
        return self.array

    def write(self, value: Any) -> None:
        """Replace the value in place and count a version."""
        np.copyto(self.array, value)
        self.version += 1
        self.written = capture()
