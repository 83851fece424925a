"""What comes in as an operand: constants, and the common type that operands are brought to."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.errors import OperandError
from limpid.graph.dtype import WEAK, dtype_of, result_type
from limpid.graph.node import Spec
from limpid.tensor import to_array

ndarray = np.ndarray


def constant(x: Any) -> Any:
    """An operand that is no tensor: an array, or a Python number, which is weak."""
    kind = type(x)
    if kind is float or kind is int or kind is bool or kind is ndarray:
        if kind is ndarray:
            dtype_of(x.dtype)
        return x
    if isinstance(x, np.generic):
        return _number(x)
    if isinstance(x, WEAK):
        return x
    if x is None or isinstance(x, str | bytes | dict | set | complex):
        raise OperandError(f"an operand must be a tensor, an array or a number, not {x!r:.60}")
    return to_array(x)


def _number(x: np.generic) -> Any:
    """A NumPy scalar as the Python number that it is as weak as."""
    if x.dtype.kind in "biu":
        return x.item()
    if x.dtype.kind == "f":
        return float(x)
    dtype_of(x.dtype)
    raise OperandError(f"an operand must be a tensor, an array or a number, not {x!r:.60}")


def spec_or_number(value: Any) -> Any:
    """The spec of an array; Python numbers stand for themselves, since they are weak."""
    return Spec(value.shape, dtype_of(value.dtype)) if isinstance(value, ndarray) else value


def unify(op: Any, values: list[Any]) -> list[Any]:
    """The operands in their common type, as limpid promotes; masks and indices untouched."""
    numeric = op.numeric
    if numeric == "any":
        return values
    masks = op.masks(len(values))
    typed = [
        dtype_of(v.dtype) if isinstance(v, ndarray) else v
        for v, mask in zip(values, masks, strict=True)
        if not mask
    ]
    if not typed:
        return values
    target = result_type(typed, float_only=numeric == "float").storage
    return [v if mask else _cast(v, target) for v, mask in zip(values, masks, strict=True)]


def _cast(value: Any, target: np.dtype[Any]) -> Any:
    if isinstance(value, ndarray):
        return value if value.dtype == target else value.astype(target)
    if isinstance(value, bool) and target.kind != "b":
        return int(value)
    return value
