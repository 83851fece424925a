"""The seam through which native code takes over large contractions from NumPy."""

from __future__ import annotations

from collections.abc import Callable

from limpid.graph.node import Array
from limpid.ops.windows.contraction import Contraction

Provider = Callable[[Contraction, Array, Array, Array], bool]

provider: Provider | None = None  # writes a contraction to the last array, or says that it did not


def provided(contraction: Contraction, left: Array, right: Array, out: Array) -> bool:
    """Whether somebody else has written the contraction to `out`."""
    return provider is not None and provider(contraction, left, right, out)
