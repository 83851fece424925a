"""Leaving the graph: a tensor as a NumPy array or a Python number, and when that is refused."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from limpid.errors import AbstractError, CutError, OperandError, ShapeError
from limpid.graph.context import Cut, context, link_cut, log_cut
from limpid.graph.node import Array, Node, Spec
from limpid.graph.source import capture, describe, is_item_assignment

BRANCHES = "limpid.where or limpid.cond for a branch, limpid.scan for a loop"


class Conversions:
    """What NumPy and Python ask of a tensor when they want its value."""

    __slots__ = ()

    node: Node | None
    _value: Array | None
    cut: Cut | None

    @property
    def spec(self) -> Spec:
        """Shape and dtype."""
        raise NotImplementedError

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient would be lost."""
        raise NotImplementedError

    def numpy(self) -> Array:
        """A read-only view as a NumPy array. Raises CutError if a gradient would be lost."""
        return self._view(".detach().numpy()")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self._view(
            ".detach().numpy(), limpid.stack for a list, limpid.asarray(X)[t] for X[t], "
            "X @ t for X.dot(t)"
        )
        if dtype is not None and array.dtype != np.dtype(dtype):
            return array.astype(dtype)
        return array.copy() if copy else array

    def _view(self, remedy: str) -> Array:
        value = self._read(
            "it was converted to NumPy", "limpid operations, limpid.asarray(X)[t] for X[t]"
        )
        if self.requires_grad:
            self._refuse("was converted to NumPy", remedy)
        view = value.view()
        view.flags.writeable = False
        if self.cut is not None:
            link_cut(view, self.cut)
        return view

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number; ShapeError if it has more."""
        return self._number(".item()")

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._leave(".tolist()").tolist()

    def __float__(self) -> float:
        return float(self._number("float()"))

    def __int__(self) -> int:
        return int(self._number("int()"))

    def __bool__(self) -> bool:
        value = self._read("its truth was asked", BRANCHES)
        if value.size != 1:
            raise ShapeError(
                f"{self.spec} has no truth of its own, but was asked for it at "
                f"{describe(capture())}\nremedy: limpid.any(t) or limpid.all(t), or t.size"
            )
        return bool(value)

    def __index__(self) -> int:
        if self.spec.dtype.kind != "int" or self.spec.ndim:
            raise OperandError(f"only a 0-d integer tensor can be an index, not {self.spec}")
        remedy = "limpid.asarray(X)[t] or limpid.take, limpid.scan for a loop"
        return int(self._read("it was used as an index", remedy))

    def __format__(self, spec: str) -> str:
        return format(self._number(f"format {spec!r}"), spec) if spec else repr(self)

    def _number(self, how: str) -> Any:
        value = self._leave(how)
        if value.size != 1:
            raise ShapeError(
                f"{how} needs a tensor of one element, not {self.spec}, at {describe(capture())}\n"
                "remedy: pick an element (t[0]), reduce it (limpid.sum), or .tolist()"
            )
        return value.item()

    def _leave(self, how: str) -> Array:
        value = self._read(f"{how} was called", BRANCHES)
        if self.requires_grad:
            if is_item_assignment(capture()):  # z[0] = t of an array z calls float(t)
                self._refuse("was written into an array", "limpid.stack, or limpid.tensor(z) for z")
            if context.state.transforming:
                self._refuse(
                    f"left the graph by {how} inside a transform", f".detach() before {how}"
                )
            log_cut(how, self.node, value.item() if value.size == 1 else None)
        return value

    def _read(self, what: str, remedy: str = "limpid operations, limpid.where") -> Array:
        """The value; AbstractError while it must not become a constant of what is recorded."""
        if self._value is None or self._is_state():
            self._no_value(what, remedy)
        return self._value

    def _is_state(self) -> bool:
        """Whether a graph is recorded in which this is a slot, whatever its value is now."""
        return False

    def _refuse(self, what: str, remedy: str) -> NoReturn:
        raise CutError(
            f"a tensor that carries a gradient {what} at {describe(capture())}\n"
            f"its gradient would be lost silently; remedy: {remedy}"
        )

    def _no_value(self, what: str, remedy: str = "limpid operations, limpid.where") -> NoReturn:
        if context.state.recorder is None:
            raise AbstractError(
                f"{self.spec} was computed while a graph was recorded and never had a value, but "
                f"{what} at {describe(capture())}\nremedy: return it from the recorded function"
            )
        why = "is state, read anew at every run" if self._is_state() else "has no value yet"
        raise AbstractError(
            f"a graph is recorded and {self.spec} {why}, but {what} at "
            f"{describe(capture())}\nremedy: {remedy}, or do it outside the recorded function"
        )
