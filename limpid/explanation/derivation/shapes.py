"""Equations with its shape under every name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from limpid.explanation.formulas.terms import Named
from limpid.explanation.formulas.text import identifier

NAME = re.compile(r"[A-Za-z_]\w*")


def shapes_in(*terms: Any) -> dict[str, str]:
    """The shapes of the names in terms, those of numbers left out: `W` as `3×4`."""
    return {
        identifier(x.name): "×".join(map(str, x.shape))
        for x in _named(terms)
        if any(n != 1 for n in x.shape)
    }


def with_shapes(text: str, shapes: dict[str, str]) -> str:
    """Each line of a text, below it the shapes of names, as many lines as they need."""
    made = []
    for line in text.splitlines():
        below: list[str] = []
        for found in NAME.finditer(line):
            if found[0] in shapes:
                _put(below, found.start(), shapes[found[0]])
        made += [line, *below]
    return "\n".join(made)


def _put(lines: list[str], column: int, text: str) -> None:
    """A text at a column of the first line that has room there."""
    for n, line in enumerate(lines):
        if len(line) < column or not line:
            lines[n] = line.ljust(column) + text
            return
    lines.append(" " * column + text)


def _named(x: Any) -> Iterator[Named]:
    if isinstance(x, Named):
        yield x
    elif isinstance(x, tuple):
        for part in x:
            yield from _named(part)
    elif hasattr(x, "__dataclass_fields__"):
        for part in vars(x).values():
            yield from _named(part)
