"""The seam through which native code, or a library, takes over contractions from NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.graph.node import Array
from limpid.ops.windows.contraction import Contraction

Provider = Callable[[Contraction, Array, Array, Array], bool]
Multiplier = Callable[[Array, Array], Array | None]

LEAST = 1 << 17  # multiply-adds: smaller products are over before anybody is asked

provider: Provider | None = None  # writes a contraction to the last array, or says that it did not
multiplier: Multiplier | None = None  # matrix products, if there is a better way than NumPy's


def provided(contraction: Contraction, left: Array, right: Array, out: Array) -> bool:
    """Whether somebody else has written the contraction to `out`."""
    return provider is not None and provider(contraction, left, right, out)


def multiply(a: Any, b: Any) -> Any:
    """`np.matmul`, by whoever does it fastest; who that is depends on shapes and layouts alone."""
    if type(a) is np.ndarray and type(b) is np.ndarray and multiplier is not None:
        if b.ndim > 1 < a.ndim and a.size * b.shape[-1] >= LEAST:
            made = multiplier(a, b)
            if made is not None:
                return made
    return np.matmul(a, b)
