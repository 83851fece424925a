"""The kinds of derivative that an operand can have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Rule = Callable[..., Any]


@dataclass(frozen=True)
class Local:
    """Elementwise: the local partial, `rule(y, *operands, **params)` → an array, or 0, 1 or −1.

    A boolean local is a mask: where it is False nothing passes, whatever comes from upstream.
    """

    rule: Rule | int


@dataclass(frozen=True)
class Transpose:
    """Linear: `rule(g, *operands, **params)`; of its own operand it reads the spec only.

    `joint`: the primitive is linear in all its linear operands together (add, concat), so its
    tangent is the primitive applied to all tangents. Otherwise it is linear in this operand with
    the others held fixed (matmul).
    """

    rule: Rule
    joint: bool = False


@dataclass(frozen=True)
class General:
    """Neither: `vjp(g, y, *operands, **params)` → downstream for this operand.

    `jvp(dx, y, *operands, **params)` → tangent of y; without it the VJP is transposed.
    """

    vjp: Rule
    jvp: Rule | None = None


class Constant:
    """An operand that no derivative is taken with respect to: masks, indices, keys."""


CONSTANT = Constant()
Derivative = Local | Transpose | General | Constant
