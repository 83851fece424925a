"""Where in the user's program the values of native code come from."""

from __future__ import annotations

from typing import Any, NamedTuple

from limpid.graph.node import Node
from limpid.graph.source import locate

BACKWARD = "∂"


class Place(NamedTuple):
    """An expression of the program, in a module, and whether this is of its backward pass."""

    file: str
    line: int
    scope: str
    text: str
    backward: bool

    @property
    def short(self) -> str:
        """`train.py:12 fc1`, after a mark if it is of the backward pass."""
        name = self.file.replace("\\", "/").rsplit("/", 1)[-1]
        where = f"{name}:{self.line}" if self.line else name
        return " ".join(part for part in (BACKWARD * self.backward, where, self.scope) if part)

    def fitted(self, width: int) -> str:
        """With the expression, as far as there is room."""
        text = f"{self.short}: {' '.join(self.text.split())}" if self.text else self.short
        return text if len(text) <= width else f"{text[: width - 1]}…"

    def to_dict(self) -> dict[str, Any]:
        """The same as data."""
        return self._asdict()


def place_of(node: Node | None) -> Place | None:
    """Where a node comes from; None if nobody knows."""
    if node is None:
        return None
    location, backward = locate(node.source), node.origin is not None
    if location is None:
        return Place("", 0, node.scope, "", backward) if node.scope else None
    return Place(location.file, location.line, node.scope, location.text, backward)
