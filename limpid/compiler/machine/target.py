"""What the processor can do: vector width, and the tile that its registers hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

VARIABLE = "LIMPID_NATIVE"


@dataclass(frozen=True)
class Target:
    """A processor as the generator sees it.

    width    bytes of a vector register
    rows     of a tile of a matrix product, each with `vectors` accumulators
    """

    name: str
    features: str
    width: int
    rows: int
    vectors: int

    def lanes(self, dtype: Any) -> int:
        """Elements of a vector."""
        return self.width // np.dtype(dtype).itemsize


@cache
def native_target() -> Target | None:
    """The processor that this runs on; None without llvmlite or with LIMPID_NATIVE=0."""
    if os.environ.get(VARIABLE) == "0":
        return None
    try:
        from llvmlite import binding
    except ImportError:
        return None
    features = binding.get_host_cpu_features()
    name, text = binding.get_host_cpu_name(), features.flatten()
    if features.get("avx512f"):
        return Target(name, text, 64, 8, 2)  # 16 of 32 registers
    if features.get("avx2") and features.get("fma"):
        return Target(name, text, 32, 6, 2)  # 12 of 16 registers
    return Target(name, text, 16, 6, 2)
