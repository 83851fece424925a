"""Calls of primitives that gave something that is not finite, as they are met while tracing."""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
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
    name = name_in_frames(value)
    return Leaf(INPUT if name else UNKNOWN, name, value)


def name_in_frames(value: Any) -> str:
    """What a variable of the user's is called that holds this: the outermost function's."""
    found = ""
    frame: Any = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not internal[code.co_filename]:
            for name, x in list(frame.f_locals.items()):
                if code.co_name != "<module>" and _holds(x, value):
                    found = name
                    break
        frame = frame.f_back
    return found


def _holds(x: Any, value: Any) -> bool:
    array = x._value if isinstance(x, Tensor) else x
    if array is value:
        return True
    if not isinstance(array, np.ndarray) or not isinstance(value, np.ndarray):
        return False
    if array.shape != value.shape or array.dtype.kind != "f":
        return False
    return has_fault(array) and bool(np.array_equal(array, value, equal_nan=True))
