"""Calls of primitives that gave something that is not finite, as they are met while tracing."""

from __future__ import annotations

import dis
import sys
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any

import numpy as np

from limpid.diagnosis.origin.computation import (
    CONSTANT,
    INPUT,
    STATE,
    UNKNOWN,
    Computation,
    Leaf,
    Maker,
    as_tuple,
    has_fault,
)
from limpid.graph.context import context
from limpid.graph.node import Array, Node, Params, next_number
from limpid.graph.source import Source, internal
from limpid.tensor import Slot, Tensor

RECENT = 128  # events that are known by what they gave, when an array was copied on the way


class Event(Computation):
    """One call. It holds what it was given; what it gave is computed again when it is asked for."""

    def __init__(
        self,
        op: Any,
        operands: Sequence[Any],
        params: Params,
        makers: Sequence[Maker | None],
        source: Source | None,
        node: Node | None,
    ) -> None:
        state = context.state
        self.op, self.params, self.operands = op, params, list(operands)
        self.scope, self.source, self.number = state.scope, source, next_number()
        self.forward = state.origin.node if state.origin is not None else None
        self.node = node
        self.was_read = False  # whether something was computed from it
        self.tensors: list[Any] = []  # weak references to what it gave
        self._makers = makers
        self._made: Any = None

    def makers(self) -> Sequence[Maker | None]:
        """As they were found when it was called."""
        return self._makers

    def outputs(self) -> Sequence[Any]:
        """Computed again: operations are deterministic."""
        if self._made is None:
            self._made = self.evaluate(self.operands)
        return tuple(self._made)

    def evaluate(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The primitive on NumPy."""
        with np.errstate(all="ignore"):
            return as_tuple(self.op.evaluate(list(operands), self.params))


class Events:
    """Events by the arrays that they gave, as long as these are alive."""

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[Any, Event, int]] = {}
        self._recent: deque[tuple[Any, Event, int]] = deque(maxlen=RECENT)

    def note(self, array: Array, event: Event, k: int) -> None:
        """An event gave this array."""
        key = id(array)
        if self._entry(key, array) is not None:
            return  # what is computed within a call is the first to have it
        table = self._by_id
        entry = weakref.ref(array, lambda _: table.pop(key, None)), event, k
        table[key] = entry
        self._recent.append(entry)

    def find(self, array: Any) -> tuple[Event, int] | None:
        """What gave an array, or what it is a view or a copy of."""
        if not isinstance(array, np.ndarray):
            return None
        for x in (array, array.base):
            found = self._entry(id(x), x)
            if found is not None:
                return found[1:]
        return self._like(array)

    def live(self) -> Iterator[tuple[Event, int]]:
        """Events of arrays that are alive, in the order in which they were noted."""
        for _, event, k in list(self._by_id.values()):
            yield event, k

    def _entry(self, key: int, array: Any) -> tuple[Any, Event, int] | None:
        entry = self._by_id.get(key)
        return entry if entry is not None and entry[0]() is array else None

    def _like(self, array: Array) -> tuple[Event, int] | None:
        for reference, event, k in reversed(self._recent):
            made = reference()
            if made is not None and made.size == array.size and made.dtype == array.dtype:
                if made.tobytes() == array.tobytes():
                    return event, k
        return None


def leaf_of(x: Any, value: Any) -> Leaf:
    """What an operand is that no event made."""
    if isinstance(x, Slot):
        label = getattr(x.node.op, "label", None) if x.node is not None else None
        return Leaf(STATE, label or name_in_frames(value) or "", value)
    if not isinstance(x, Tensor | np.ndarray):
        return Leaf(CONSTANT, "", value)
    return argument_in_frames(value) or Leaf(UNKNOWN, name_in_frames(value), value)


def argument_in_frames(value: Any) -> Leaf | None:
    """The argument of a function of the user's that this is, or was made of by NumPy."""
    made_of = None
    for frame in _user_frames():
        code = frame.f_code
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            x = frame.f_locals.get(name)
            if _holds(x, value):
                return Leaf(INPUT, name, value)
            if made_of is None and isinstance(x, Tensor | np.ndarray) and has_fault(_value(x)):
                made_of = Leaf(INPUT, name, _value(x), _first_read(code, name))
    return made_of


def name_in_frames(value: Any) -> str:
    """What a variable of the user's is called that holds this."""
    for frame in _user_frames():
        if frame.f_code.co_name != "<module>":
            for name, x in list(frame.f_locals.items()):
                if _holds(x, value):
                    return name
    return ""


def _user_frames() -> list[Any]:
    """The frames of the user's functions, the outermost first."""
    found = []
    frame: Any = sys._getframe(1)
    while frame is not None:
        if not internal[frame.f_code.co_filename]:
            found.append(frame)
        frame = frame.f_back
    return found[::-1]


def _first_read(code: CodeType, name: str) -> Source | None:
    """Where a function reads a variable first."""
    for instruction in dis.get_instructions(code):
        read = instruction.argval
        if instruction.opname.startswith("LOAD") and (read == name or _is_first(read, name)):
            return code, instruction.offset
    return None


def _is_first(read: Any, name: str) -> bool:
    return isinstance(read, tuple) and name in read


def _value(x: Any) -> Any:
    return x._value if isinstance(x, Tensor) else x


def _holds(x: Any, value: Any) -> bool:
    array = _value(x)
    if array is value:
        return True
    if not isinstance(array, np.ndarray) or not isinstance(value, np.ndarray):
        return False
    if array.shape != value.shape or array.dtype.kind != "f":
        return False
    return has_fault(array) and bool(np.array_equal(array, value, equal_nan=True))
