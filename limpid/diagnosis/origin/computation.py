"""One computation that gave something that is not finite: its operands, where these come from, and
how to do it again with others.

An eager call, a node of a recorded graph and an edge of a backward pass are such computations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.differentiation.kinds import Constant, General, Local
from limpid.graph.node import Array, Node, Params
from limpid.graph.source import Source

INPUT, STATE, CONSTANT, UNKNOWN = "input", "state", "constant", "value"


@dataclass(frozen=True, eq=False)
class Leaf:
    """A value that no computation here has made.

    kind    "input", "state", "constant" (of the program), or "value" where nobody knows
    name    what the user calls it, "" if unknown
    source  where it was read first, if that was not by a computation here
    """

    kind: str
    name: str
    value: Any
    source: Source | None = None

    @property
    def is_meant(self) -> bool:
        """Whether these infinities look as if somebody wanted them.

        Those of constants of the program, and of masks, which hold nothing but −inf and 0; state
        may also begin with infinity everywhere, as the smallest loss so far does.
        """
        x = np.asarray(self.value)
        if np.isnan(x).any():
            return False
        if self.kind == CONSTANT or (self.kind == STATE and bool((x == np.inf).all())):
            return True
        return bool(((x == 0) | (x == -np.inf)).all())


Maker = tuple["Computation", int] | Leaf  # a computation and the number of its output


class Computation:
    """`evaluate(operands)` → outputs; the operands that it had, and what made each of them.

    number    grows in the order in which things were computed
    forward   of a part of a backward pass the node that it belongs to
    after     whether it ran after a backward pass, outside of any: in an update
    """

    op: Any
    params: Params
    operands: list[Any]
    scope: str = ""
    source: Source | None = None
    number: float = 0
    forward: Node | None = None
    after: bool = False

    def makers(self) -> Sequence[Maker | None]:
        """What made each operand; None for those that are finite, where nobody asks."""
        raise NotImplementedError

    def outputs(self) -> Sequence[Any]:
        """What it gave."""
        raise NotImplementedError

    def evaluate(self, operands: Sequence[Any]) -> Sequence[Any]:
        """What it gives for other operands."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The primitive, or the user's function."""
        return str(self.op.name)

    def operand_name(self, i: int) -> str:
        """What the declaration calls an operand."""
        names = self.op.operand_names
        return str(names[i]) if i < len(names) else f"operand {i + 1}"

    def is_elementwise(self, k: int) -> bool:
        """Whether each element of this output reads one element of each operand."""
        if self.op.variadic or not all(
            isinstance(d, Local | Constant) for d in self.op.derivatives
        ):
            return False
        shapes = [np.shape(x) for x in self.operands if x is not None]
        try:
            return np.broadcast_shapes(*shapes) == np.shape(self.outputs()[k])
        except ValueError:
            return False

    @property
    def creates(self) -> bool:
        """Whether it makes an array of nothing but what the program says, as `full` does."""
        return not self.operands and self.forward is None

    @property
    def is_general(self) -> bool:
        """Whether it is neither linear nor elementwise."""
        return any(isinstance(d, General) for d in self.op.derivatives)


def has_fault(x: Any) -> bool:
    """Whether a value is of a float type and not finite everywhere."""
    if isinstance(x, float):
        return not np.isfinite(x)
    if not isinstance(x, np.ndarray | np.generic) or x.dtype.kind != "f":
        return False
    return not bool(np.isfinite(x).all())


def faults(x: Any) -> Array:
    """Which elements are NaN or infinite."""
    array = np.asarray(x)
    if array.dtype.kind != "f":
        return np.zeros(array.shape, bool)
    return ~np.isfinite(array)


def as_tuple(y: Any) -> tuple[Any, ...]:
    """The outputs of a primitive."""
    return y if isinstance(y, tuple) else (y,)
