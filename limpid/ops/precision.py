"""In which element type things are counted, averaged and added up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.graph.dtype import DType, int64, result_type, uint64
from limpid.graph.node import Array


def counted(dtype: DType) -> DType:
    """The type in which sums and products are counted: booleans and integers in 64 bits."""
    if dtype.kind == "float":
        return dtype
    return uint64 if dtype.storage.kind == "u" else int64


def floating(dtype: DType) -> DType:
    """The float type in which something of this type is averaged."""
    return result_type([dtype], float_only=True)


def floats(x: Array) -> Array:
    """A plain array of integers as floats, as NumPy's functions on floats take it."""
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def widened(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The forward with float16 added up in float32, where 2048 + 1 is more than 2048."""

    def wide(x: Array, **params: Any) -> Any:
        if x.dtype.char == "e":
            return forward(x.astype(np.float32), **params).astype(x.dtype)
        return forward(x, **params)

    return wide
