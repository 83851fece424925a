"""Whether two values are the same to a person who compares two ways of computing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.compiler.steps.places import same, shown

TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-9}  # of the largest number


def difference(expected: Any, found: Any, allowed: Any = 0.0) -> str:
    """How two values differ; nothing where they are the same.

    allowed  by how much numbers may differ in any case, one for all or for each
    """
    if not isinstance(expected, np.ndarray) or not isinstance(found, np.ndarray):
        return "" if same(expected, found) else f"{shown(found)}, not {shown(expected)}"
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return f"{shown(found)}, not {shown(expected)}"
    if expected.dtype.kind != "f":
        wrong = (expected != found) & (np.asarray(allowed) == 0)
    else:
        limit = TOLERANCE[expected.dtype.name] * np.abs(expected[np.isfinite(expected)]).max(
            initial=0
        )
        apart = np.abs(np.subtract(expected, found, dtype=np.float64))
        both = np.isnan(expected) & np.isnan(found)
        wrong = ~((apart <= np.maximum(limit, allowed)) | (expected == found) | both)
    if not wrong.any():
        return ""
    place = tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
    return f"{found[place]} at {place}, not {expected[place]}"
