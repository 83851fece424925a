"""Where in the user's code a node was made.

A source is `(code object, instruction)`: cheap to take (no line table is read), never a frame, so
it keeps nothing alive but code. `locate` resolves it lazily to the exact sub-expression.
"""

from __future__ import annotations

import ast
import linecache
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from opcode import opmap
from threading import get_ident
from types import CodeType, FrameType
from typing import Any

import numpy as np

from limpid.errors import LINE, PACKAGE

# A tensor given to a Python function of NumPy's belongs to the line that called that function.
_HIDDEN = (PACKAGE + os.sep, os.path.dirname(np.__file__) + os.sep)
_STORE = opmap["STORE_SUBSCR"]


class _Internal(dict[str, bool]):
    """File name → does it belong to limpid or to NumPy; filled as names are met."""

    def __missing__(self, filename: str) -> bool:
        internal = self[filename] = filename.startswith(_HIDDEN)
        return internal


internal = _Internal()

# What tensors have after a dot: there an operand stands before it. Filled by tensor.py.
methods: set[str] = set()

# Thread → who is told of each frame whose instruction is taken, while a debugger runs a function.
watchers: dict[int, Callable[[FrameType], None]] = {}


def capture(depth: int = 1) -> Source | None:
    """The instruction of the nearest frame outside limpid; None if there is none.

    `depth` frames are known to be limpid's: passing over them is cheaper than looking at them,
    since the interpreter makes an object of every frame that is looked at.
    """
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None:
        code = frame.f_code
        if not internal[code.co_filename]:
            if watchers and (watch := watchers.get(get_ident())) is not None:
                watch(frame)
            return code, frame.f_lasti
        frame = frame.f_back
    return None


def here() -> str:
    """The line of the user's program that runs, as messages end with it."""
    return f"{LINE}{describe(capture())}"


def is_item_assignment(source: Source | None) -> bool:
    """Whether the instruction is `z[i] = …`."""
    if source is None or isinstance(source, Location):
        return False
    code, instruction = source
    return instruction >= 0 and code.co_code[instruction] == _STORE


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


Source = tuple[CodeType, int] | Location  # an instruction, or a place given as such


def locate(source: Source | None) -> Location | None:
    """The location of a source, with columns where the interpreter kept them."""
    if source is None or isinstance(source, Location):
        return source
    code, instruction = source
    return _location(code, instruction, code.co_filename)


@lru_cache(maxsize=4096)
def _location(code: CodeType, instruction: int, file: str) -> Location:
    """The same. Code of another file, but the same text, counts as equal: so the file is asked."""
    line, end_line, column, end_column = next(
        islice(code.co_positions(), max(instruction, 0) // 2, None), (None,) * 4
    )
    line = line or code.co_firstlineno
    return Location(file, line, code.co_qualname, column, end_line or line, end_column)


def describe(source: Source | None) -> str:
    """`file:line: sub-expression`, for messages; a phrase when the source is unknown."""
    location = locate(source)
    if location is None:
        return "an unknown line"
    text = location.text
    return f"{location}: {text}" if text else str(location)


def target_name(source: Source | None) -> str | None:
    """`q` for the source of `W @ x` in `q = W @ x`, and of the whole of `q += x`: what it names."""
    location = locate(source)
    if location is None or location.column is None:
        return None
    last = location.end_line or location.line
    lines = [linecache.getline(location.file, n) for n in range(location.line, last + 1)]
    indent = len(lines[0]) - len(lines[0].lstrip())
    try:
        statements = ast.parse("".join(lines)[indent:]).body
    except SyntaxError:
        return None
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name), *_], value=value):
                made: Any = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                made = value
            case ast.AugAssign(target=ast.Name(id=name)):
                made = statement
            case _:
                continue
        if _place(made, indent) == (location.column, last - location.line, location.end_column):
            return name
    return None


def _place(part: Any, indent: int) -> tuple[int, int, int]:
    """First column, further lines and last column of a part, on whose first line was an indent."""
    if part.lineno > 1:
        return -1, 0, 0
    rest = part.end_lineno - 1
    return part.col_offset + indent, rest, part.end_col_offset + (0 if rest else indent)


def operand_names(source: Source | None, count: int, operation: str) -> list[str | None]:
    """The user's own spelling of each operand of a call or operator, where it can be told.

    A call is trusted only if it names the operation: the arguments of `model(images)` are not
    those of the layers within.
    """
    location = locate(source)
    nothing: list[str | None] = [None] * count
    if location is None or not location.text:
        return nothing
    try:
        tree: ast.AST = ast.parse(location.text.strip()).body[0]
    except (SyntaxError, IndexError):
        return nothing
    tree = tree.value if isinstance(tree, ast.Expr) else tree
    parts = _operands(tree, count, operation, location)[:count]
    names: list[str | None] = [ast.unparse(part) for part in parts]
    return names + [None] * (count - len(names))


def _operands(tree: ast.AST, count: int, operation: str, location: Location) -> list[ast.expr]:
    """The parts of an expression that are operands of the operation, as far as it shows."""
    match tree:
        case ast.BinOp():
            return [tree.left, tree.right]
        case ast.AugAssign():
            return [tree.target, tree.value]
        case ast.Compare():
            return [tree.left, *tree.comparators]
        case ast.UnaryOp():
            return [tree.operand]
        case ast.Subscript() if operation in ("get_item", "set_item"):
            return [tree.value]
        case ast.Call() if _calls(tree, operation):
            parts = list(tree.args)
            if parts and isinstance(parts[0], ast.List | ast.Tuple):
                return parts[0].elts if len(parts[0].elts) == count else []
            if len(parts) < count and isinstance(tree.func, ast.Attribute):
                if _is_module(tree.func.value, location):
                    return []
                return [tree.func.value, *parts] if tree.func.attr in methods else parts
            return parts
    return []


def _is_module(part: ast.expr, location: Location) -> bool:
    """Whether it begins with a name that the file imports: `np.stack` does, `x.sum` does not."""
    root = ast.unparse(part).partition(".")[0]
    imports = (line for line in linecache.getlines(location.file) if "import " in line)
    return any(root in re.findall(r"\w+", line) for line in imports)


def _calls(tree: ast.Call, operation: str) -> bool:
    function = tree.func
    called = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
    return called in operation or operation in called
