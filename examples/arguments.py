"""Numbers on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable


def number(
    kind: Callable[[str], float], low: float, high: float = float("inf")
) -> Callable[[str], float]:
    """What argparse calls to read an int or float from low to high.

    >>> number(int, 1)("3")
    3
    >>> number(int, 1)("0")
    Traceback (most recent call last):
        ...
    argparse.ArgumentTypeError: '0' is not from 1 on
    """
    limits = f"from {low} on" if high == float("inf") else f"between {low} and {high}"

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is no {kind.__name__}") from None
        if not low <= value <= high:
            raise ArgumentTypeError(f"{text!r} is not {limits}")
        return value

    return read
