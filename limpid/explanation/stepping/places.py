"""Where a node comes from: the user's line with what surrounds it, or else its entry point."""

from __future__ import annotations

import linecache
from dataclasses import dataclass

from limpid.explanation.stepping.snapshots import Locals
from limpid.graph.node import Leaf, Node
from limpid.graph.source import Location, locate

AROUND = 2  # lines shown before and after


@dataclass(frozen=True)
class Place:
    """The line of a node.

    location  file, line and columns; None where there is no line
    entry     how the node came about where there is no line: "input x", "made by conv1"
    locals    the variables of that function as they were when the node was made
    """

    location: Location | None
    entry: str
    scope: str
    locals: Locals

    @property
    def expression(self) -> str:
        """The sub-expression, or the entry point."""
        text = self.location.text if self.location is not None else ""
        return " ".join(text.split()) or self.entry

    def lines(self, around: int = AROUND) -> list[tuple[int, str]]:
        """The lines about the place, each with its number."""
        if self.location is None:
            return []
        first = max(self.location.line - around, 1)
        last = (self.location.end_line or self.location.line) + around
        numbered = [(n, linecache.getline(self.location.file, n)) for n in range(first, last + 1)]
        return [(n, line.rstrip("\n")) for n, line in numbered if line]

    def __str__(self) -> str:
        location = self.location
        if location is None:
            return self.entry
        head = f"{location}" + (f" in {location.function}" if location.function else "")
        text = [head + (f" ({self.scope})" if self.scope else "")]
        last = location.end_line or location.line
        for number, line in self.lines():
            inside = location.line <= number <= last
            text.append(f"{'→' if inside else ' '} {number:>5}  {line}")
            if number == location.line == last and location.column is not None:
                text.append(" " * 9 + _marks(line, location))
        return "\n".join(text + [f"    {local}" for local in self.locals])


def _marks(line: str, location: Location) -> str:
    """Carets under the sub-expression; columns count bytes."""
    encoded = line.encode()
    before = len(encoded[: location.column].decode(errors="replace"))
    through = len(encoded[: location.end_column].decode(errors="replace"))
    return " " * before + "^" * max(through - before, 1)


def place_of(node: Node, local: Locals = ()) -> Place:
    """The place of a node; a backward node without a line has that of its origin."""
    location, origin = locate(node.source), node.origin
    while location is None and origin is not None:
        location, origin = locate(origin.node.source), origin.node.origin
    label = node.op.label if isinstance(node.op, Leaf) else None
    if label:
        entry = f"input {label}"
    else:
        entry = f"made by {node.scope}" if node.scope else f"{node.op.name} of the function itself"
    return Place(location, entry, node.scope, local)
