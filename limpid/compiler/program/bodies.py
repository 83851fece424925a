"""Programs within a program: what a loop runs again and again, the branches of a choice.

The values that they make are of kind "nested", one for each output; all share their `Bodies`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.compiler.program.values import Shape, Value, evaluate
from limpid.graph.node import Array


@dataclass(frozen=True, eq=False)
class Body:
    """A program whose inputs are operands of a nested value.

    ends      as many as there are outputs
    closed    inputs that are the same in each run
    carried   inputs after those: end n is the next one's input `closed + n`; in the first run they
              are the operands, and after the last the outputs
    length    how often it runs. Further inputs are slices of operands along the first axis, further
              ends of outputs; None if it runs once, on whole operands
    reverse   whether the last slice comes first
    """

    ends: tuple[Value, ...]
    closed: int
    carried: int = 0
    length: int | None = None
    reverse: bool = False

    def output(self, number: int) -> Shape:
        """The shape of an output."""
        shape = self.ends[number].shape
        return shape if number < self.carried or self.length is None else (self.length, *shape)

    def run(self, operands: Sequence[Array]) -> list[Array]:
        """The outputs, on NumPy."""
        if self.length is None:
            return evaluate(self.ends, operands)
        first = self.closed + self.carried
        closed, carry = operands[: self.closed], list(operands[self.closed : first])
        made = [
            np.empty(self.output(n), end.dtype)
            for n, end in enumerate(self.ends[self.carried :], self.carried)
        ]
        for i in reversed(range(self.length)) if self.reverse else range(self.length):
            found = evaluate(self.ends, [*closed, *carry, *(x[i] for x in operands[first:])])
            carry = found[: self.carried]
            for output, now in zip(made, found[self.carried :], strict=True):
                output[i] = now
        return [*carry, *made]


@dataclass(frozen=True, eq=False)
class Bodies:
    """One body; or two, for a true and for a false first operand, which they don't get."""

    bodies: tuple[Body, ...]

    @property
    def is_choice(self) -> bool:
        """Whether the first operand chooses."""
        return len(self.bodies) > 1

    def values(self, operands: Sequence[Value]) -> tuple[Value, ...]:
        """The outputs."""
        body = self.bodies[0]
        return tuple(
            Value(
                "nested",
                body.output(number),
                end.dtype,
                tuple(operands),
                {"bodies": self, "number": number},
            )
            for number, end in enumerate(body.ends)
        )

    def run(self, operands: Sequence[Any]) -> list[Array]:
        """The outputs, on NumPy."""
        if not self.is_choice:
            return self.bodies[0].run(operands)
        true, false = self.bodies
        return (true if operands[0] else false).run(operands[1:])
