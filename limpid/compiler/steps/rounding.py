"""How far rounding alone takes values: the same computation from inputs that differ in last bits.

Where a true result is zero, as the gradient of a bias before a batch normalisation is, what is
computed is rounding noise, and Adam turns noise into steps of its learning rate. No tolerance
relative to the result can tell that from a fault; noise that is measured can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from limpid.errors import LimpidError
from limpid.graph.node import Array

TRIALS = 5
MULTIPLE = 30  # of what was seen: inputs are rounded once here, each operation rounds again

Perturb = Callable[[Array], Array]
Key = Any


def allowances(run: Callable[[Perturb], Mapping[Key, Any]]) -> dict[Key, Any]:
    """By how much each value may differ from what it is: a number, or one for each element.

    run  gives the values by name. It computes them on NumPy and applies the function that it is
         given to all inputs and to all state

    Each float becomes one epsilon of its type larger or smaller, by chance. Of floats the largest
    difference within an array counts; of integers and truths, whether an element changed at all.
    """
    rng = np.random.default_rng(0)
    values = run(lambda x: x)
    found: dict[Key, Any] = dict.fromkeys(values, 0.0)
    for _ in range(TRIALS):
        try:
            others = run(lambda x: perturbed(x, rng))
        except LimpidError:  # a value left what an operation is defined for
            continue
        for name, value in values.items():
            found[name] = np.maximum(found[name], _allowed(value, others.get(name)))
    return found


def perturbed(x: Array, rng: np.random.Generator) -> Array:
    """The numbers with their last bits changed; whatever is no float, and zero, stays.

    >>> import numpy as np
    >>> x = perturbed(np.array([0.0, 1.0, -4.0]), np.random.default_rng(0))
    >>> bool(x[0] == 0.0), bool(0 < abs(x[1] - 1.0) < 1e-15), bool(0 < abs(x[2] + 4.0) < 1e-15)
    (True, True, True)
    """
    if x.dtype.kind != "f":
        return x
    signs = rng.integers(0, 2, x.shape) * 2 - 1
    epsilon = np.finfo(x.dtype).eps
    return np.asarray(x + x * (signs * epsilon).astype(x.dtype))


def _allowed(value: Any, other: Any) -> Any:
    """What the difference between two runs allows; nothing for what is no array."""
    if not isinstance(value, np.ndarray) or not isinstance(other, np.ndarray):
        return 0.0
    if value.shape != other.shape:
        return 0.0
    if value.dtype.kind != "f":
        return np.where(value != other, np.inf, 0.0)
    apart = np.abs(np.subtract(value, other, dtype=np.float64))
    return MULTIPLE * apart[np.isfinite(apart)].max(initial=0.0)
