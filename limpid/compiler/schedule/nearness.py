"""Which nests have something to do with a value, found without looking at all of them."""

from __future__ import annotations

from collections.abc import Iterable

from limpid.compiler.program.values import Value
from limpid.compiler.program.views import base


class Nests:
    """The nests over one domain that can take more values.

    open  their numbers
    near  for values, the nests that make or read them
    """

    def __init__(self) -> None:
        self.open: set[int] = set()
        self.near: dict[Value, set[int]] = {}

    def note(self, number: int, value: Value) -> None:
        """A nest has this value."""
        for x in (value, *map(base, value.operands)):
            self.near.setdefault(x, set()).add(number)

    def of(self, values: Iterable[Value]) -> Iterable[int]:
        """The open nests that have something to do with these values."""
        found: set[int] = set()
        for value in values:
            near = self.near.get(value)
            if near is not None:
                near &= self.open  # those that are full stay so
                found |= near
        return found
