"""Numbers in derivative rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.graph.dtype import as_dtype, result_type


def typed(number: float, *like: Any) -> Any:
    """A number as a 0-d array in the common type of the operands it stands beside.

    Needed where a rule chooses between two numbers: both are weak, so `where(x > 0, 1.0, slope)`
    would have the default type instead of that of x, and lose digits in float64.
    """
    types = [as_dtype(x.dtype) for x in like if hasattr(x, "dtype")]
    return np.asarray(number, result_type(types).storage)
