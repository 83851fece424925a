"""Formulas as trees: what LaTeX and NumPy text are both printed from.

Vectors have one axis and are columns; an outer product is of two of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Named:
    """A value that has a name, and perhaps another in LaTeX."""

    name: str
    shape: tuple[int, ...]
    latex: str = ""


@dataclass(frozen=True)
class Literal:
    """A number."""

    value: Fraction | float
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Function:
    """A primitive applied to operands.

    full    the shape of the result with axes of extent 1, and given: those of operands; None where
            they make no difference
    truth   whether it is a condition: 1 where it holds, else 0
    """

    op: Any
    operands: tuple[Term, ...]
    params: tuple[tuple[str, Any], ...]
    output: int
    shape: tuple[int, ...]
    full: tuple[int, ...] | None = None
    given: tuple[tuple[int, ...], ...] = ()
    truth: bool = False


@dataclass(frozen=True)
class Added:
    """Terms added up, each with its sign."""

    parts: tuple[tuple[int, Term], ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Scaled:
    """A number, or terms without axes, times a term."""

    number: Fraction | float
    scalars: tuple[Term, ...]
    inside: Term | None
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Power:
    """Element by element to a power."""

    base: Term
    exponent: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Elementwise:
    """A product element by element, of terms of one shape."""

    parts: tuple[Term, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Transposed:
    """A matrix with its axes exchanged."""

    inside: Term
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Dot:
    """A product of matrices, of a matrix and a vector, or of two vectors (a number)."""

    left: Term
    right: Term
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Outer:
    """u vᵀ: each element of one vector with each of the other."""

    left: Term
    right: Term
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Diagonal:
    """A matrix whose rows (axis 0) or columns (axis 1) are scaled by a vector."""

    vector: Term
    matrix: Term
    axis: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Summed:
    """A term summed over one axis, or over all if that is None."""

    inside: Term
    axis: int | None
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Ones:
    """1 everywhere."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class Contracted:
    """What has more axes than matrices: factors, the letters of their axes and of the result's."""

    factors: tuple[Term, ...]
    letters: tuple[str, ...]
    result: str
    shape: tuple[int, ...]


Term = (
    Named | Literal | Function | Added | Scaled | Power | Elementwise | Transposed | Dot | Outer
    | Diagonal | Summed | Ones | Contracted
)  # fmt: skip
