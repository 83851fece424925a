"""What NumPy does in the user's own lines, as far as its floating-point errors tell."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.diagnosis.origin.computation import Computation, Maker
from limpid.errors import PACKAGE
from limpid.graph.context import context
from limpid.graph.node import next_number
from limpid.graph.source import Source, internal, locate

_NAMES = {
    ast.Div: "divide",
    ast.Mult: "multiply",
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Pow: "power",
    ast.MatMult: "matmul",
}


class NumpyCall(Computation):
    """An operation of NumPy's in a line of the user's, of which only the result is known."""

    def __init__(self, source: Source) -> None:
        self.source, self.number, self.scope = source, next_number(), context.state.scope
        self.operands, self.params = [], {}
        self.value: Any = np.float64(np.nan)

    @property
    def name(self) -> str:
        """What the line calls it."""
        location = locate(self.source)
        text = "" if location is None else location.text
        try:
            tree: Any = ast.parse(text.strip()).body[0]
        except (SyntaxError, IndexError):
            return "NumPy"
        tree = getattr(tree, "value", tree) if isinstance(tree, ast.Expr) else tree
        if isinstance(tree, ast.BinOp | ast.AugAssign):
            return _NAMES.get(type(tree.op), "NumPy")
        if isinstance(tree, ast.Call):
            return ast.unparse(tree.func).rpartition(".")[2]
        return "NumPy"

    @property
    def creates(self) -> bool:
        """It has operands."""
        return False

    @property
    def is_general(self) -> bool:
        """Nobody knows."""
        return False

    def makers(self) -> Sequence[Maker | None]:
        """Nobody knows."""
        return []

    def outputs(self) -> Sequence[Any]:
        """What was met later on."""
        return (self.value,)

    def evaluate(self, operands: Sequence[Any]) -> Sequence[Any]:
        """It can't be done again."""
        return (self.value,)

    def is_elementwise(self, k: int) -> bool:
        """Its operands are not known."""
        return False


def users_line() -> Source | None:
    """The line of the user's that called NumPy; None if limpid did."""
    frame: Any = sys._getframe(2)
    while frame is not None and internal[frame.f_code.co_filename]:
        if frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame = frame.f_back
    return None if frame is None else (frame.f_code, frame.f_lasti)


Position = list[tuple[int, int]]  # of each frame of the user's, the outermost first


def position() -> Position:
    """Where in the user's functions we are."""
    found = []
    frame: Any = sys._getframe(1)
    while frame is not None:
        if not internal[frame.f_code.co_filename]:
            found.append((id(frame), frame.f_lasti))
        frame = frame.f_back
    return found[::-1]


def is_later(now: Position, then: Position) -> bool:
    """Whether the same run of a function has got further since then, not round a loop again."""
    for (frame, at), (before, was) in zip(now, then):
        if frame != before:
            return False
        if at != was:
            return at > was
    return False
