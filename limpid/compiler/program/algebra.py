"""What a function of elements comes to where an operand is a known number; never another result.

Nothing is left out that rounds, or that makes a NaN or another zero: x · 1 is x, x + 0 is not,
since −0 + 0 is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import copysign, frexp
from typing import Any

import numpy as np

from limpid.compiler.program.values import Value

Numbers = Sequence[Any]  # what is everywhere in an operand; None if that is not one number


def neutral(function: str, operands: Sequence[Value], numbers: Numbers) -> Value | None:
    """The operand that a function gives back; None if it gives none."""
    find = _NEUTRAL.get(function)
    if find is None:
        return None
    number = find(operands, numbers)
    return None if number is None else operands[number]


def reciprocal(function: str, divisor: Any, dtype: np.dtype[Any]) -> Any:
    """What to multiply with in place of a division, with the same bits; None if there is nothing.

    That is a power of two; a division takes as long as ten products.
    """
    if function != "divide" or divisor is None or dtype.kind != "f":
        return None
    size, _ = frexp(float(divisor))
    limits = np.finfo(dtype)
    inside = float(limits.tiny) <= abs(float(divisor)) <= 1 / float(limits.tiny)
    if abs(size) != 0.5 or not inside:
        return None
    return dtype.type(1 / float(divisor))


def _first(test: Callable[[Any], bool]) -> Callable[[Sequence[Value], Numbers], int | None]:
    """The first operand, if the second passes a test."""

    def find(operands: Sequence[Value], numbers: Numbers) -> int | None:
        return 0 if numbers[1] is not None and test(numbers[1]) else None

    return find


def _either(test: Callable[[Any], bool]) -> Callable[[Sequence[Value], Numbers], int | None]:
    """One operand, if the other one passes a test."""

    def find(operands: Sequence[Value], numbers: Numbers) -> int | None:
        passed = (n for n in (1, 0) if numbers[n] is not None and test(numbers[n]))
        return next((1 - n for n in passed), None)

    return find


def _chosen(operands: Sequence[Value], numbers: Numbers) -> int | None:
    """One of the branches of `where`, if the condition is known or both are one."""
    if operands[1] is operands[2]:
        return 1
    return None if numbers[0] is None else 1 if numbers[0] else 2


def _is_negative_zero(x: Any) -> bool:
    return bool(x == 0 and (x.dtype.kind != "f" or copysign(1, x) < 0))


def _is_positive_zero(x: Any) -> bool:
    return bool(x == 0 and (x.dtype.kind != "f" or copysign(1, x) > 0))


def _is_one(x: Any) -> bool:
    return bool(x == 1)


_NEUTRAL: dict[str, Callable[[Sequence[Value], Numbers], int | None]] = {
    "add": _either(_is_negative_zero),
    "subtract": _first(_is_positive_zero),
    "multiply": _either(_is_one),
    "divide": _first(_is_one),
    "power": _first(_is_one),
    "logical_and": _either(bool),
    "logical_or": _either(lambda x: not x),
    "where": _chosen,
}
