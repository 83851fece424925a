"""Where in the user's code a node was made.

A source is `(code object, instruction)`: cheap to take (no line table is read), never a frame, so
it keeps nothing alive but code. `locate` resolves it lazily to the exact sub-expression.
"""

from __future__ import annotations

import ast
import linecache
import sys
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from types import CodeType

from limpid.errors import PACKAGE

Source = tuple[CodeType, int]


class _Internal(dict[str, bool]):
    """File name → does it belong to limpid; filled as names are met."""

    def __missing__(self, filename: str) -> bool:
        internal = self[filename] = filename.startswith(PACKAGE)
        return internal


_internal = _Internal()


def capture() -> Source | None:
    """The instruction of the nearest frame outside limpid; None if there is none."""
    frame = sys._getframe(1)
    while _internal[frame.f_code.co_filename]:
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


@dataclass(frozen=True)
class Location:
    """A place in a file: lines and columns (1-based lines, 0-based columns) and its text."""

    file: str
    line: int
    function: str
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def text(self) -> str:
        """The sub-expression when the columns are known, else the stripped line."""
        last = self.end_line or self.line
        lines = [linecache.getline(self.file, n) for n in range(self.line, last + 1)]
        if not any(lines):
            return ""
        if self.column is None or self.end_column is None:
            return lines[0].strip()
        encoded = [line.encode() for line in lines]  # columns count bytes
        encoded[-1] = encoded[-1][: self.end_column]
        encoded[0] = encoded[0][self.column :]
        return b" ".join(part.strip() for part in encoded).decode()


@lru_cache(maxsize=4096)
def locate(source: Source | None) -> Location | None:
    """The location of a source, with columns where the interpreter kept them."""
    if source is None:
        return None
    code, instruction = source
    line, end_line, column, end_column = next(
        islice(code.co_positions(), max(instruction, 0) // 2, None), (None,) * 4
    )
    line = line or code.co_firstlineno
    return Location(
        code.co_filename, line, code.co_qualname, column, end_line or line, end_column
    )


def describe(source: Source | None) -> str:
    """`file:line: sub-expression`, for messages; a phrase when the source is unknown."""
    location = locate(source)
    if location is None:
        return "an unknown line"
    text = location.text
    return f"{location}: {text}" if text else str(location)


def operand_names(source: Source | None, count: int) -> list[str | None]:
    """The user's own spelling of each operand of a call or operator, where it can be told."""
    location = locate(source)
    nothing: list[str | None] = [None] * count
    if location is None or not location.text:
        return nothing
    try:
        tree = ast.parse(location.text.strip(), mode="eval").body
    except SyntaxError:
        return nothing
    if isinstance(tree, ast.BinOp):
        parts: list[ast.expr] = [tree.left, tree.right]
    elif isinstance(tree, ast.Compare):
        parts = [tree.left, *tree.comparators]
    elif isinstance(tree, ast.UnaryOp):
        parts = [tree.operand]
    elif isinstance(tree, ast.Call):
        parts = list(tree.args)
        if isinstance(tree.func, ast.Attribute) and len(parts) < count:
            parts.insert(0, tree.func.value)
    else:
        return nothing
    names: list[str | None] = [ast.unparse(part) for part in parts[:count]]
    return names + [None] * (count - len(names))
