"""Local variables of the user's function as they were when a node was made.

A snapshot keeps references, never copies. limpid's own values are safe in that: a write puts a new
array in the place of the old one. An array of NumPy's may be written into later; a checksum tells.
"""

from __future__ import annotations

import reprlib
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from threading import get_ident
from types import CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from limpid.explanation.quantity import Quantity
from limpid.graph.node import Node, next_number
from limpid.graph.source import Location, watchers
from limpid.tensor import Tensor

WHOLE = 1 << 20  # bytes of an array that are read for its checksum; of larger ones a part is
PLAIN = (int, float, complex, str, bytes, bool, type(None))
NESTED = (list, tuple, dict, set, frozenset)
SHOWN = 6  # elements of a list, entries of a dict
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 60


class Local:
    """One local variable: its value by reference, and whether that is still what it was."""

    __slots__ = ("_checksum", "_held", "name", "text", "value")

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value
        self._held: Any = None
        self._checksum: int | None = None
        if isinstance(value, Tensor):
            self._held = value._value  # what it is then, whatever the tensor is later
        elif isinstance(value, np.ndarray):
            self._held, self._checksum = value, checksum(value)
        self.text = "" if self._held is not None else _short(value)

    @property
    def changed(self) -> bool:
        """Whether an array was written into, or a tensor assigned to or rebound, since."""
        if isinstance(self.value, Tensor):
            return self._held is not None and self.value._value is not self._held
        return self._checksum is not None and checksum(self._held) != self._checksum

    @property
    def quantity(self) -> Quantity | None:
        """The array of a tensor or an array; None for anything else."""
        is_number = isinstance(self._held, np.ndarray) and self._held.dtype.kind in "fiub"
        return Quantity(self._held) if is_number else None

    def __str__(self) -> str:
        if self._held is None:
            return f"{self.name} = {self.text}"
        quantity = self.quantity
        text = f"{self.name} = {quantity if quantity is not None else _short(self._held)}"
        if not self.changed:
            return text
        then = isinstance(self.value, Tensor)
        return text + ("  (assigned to since)" if then else "  (written into since: not as it was)")


def checksum(array: np.ndarray[Any, Any]) -> int | None:
    """A number that changes with the array; of a large one a part in equal strides is read."""
    if array.dtype.hasobject:
        return None
    flat = array.reshape(-1) if array.flags.c_contiguous else array.ravel()
    if array.nbytes > WHOLE:
        flat = flat[:: array.nbytes // WHOLE + 1]
    return zlib.crc32(np.ascontiguousarray(flat).tobytes())


def _short(value: Any) -> str:
    """A few characters; objects of the user's are named by their type, since theirs may be slow."""
    if type(value) in PLAIN:
        return SHORT.repr(value)
    if isinstance(value, np.generic):
        return str(value)
    if type(value) in NESTED:
        return f"{type(value).__name__} of {len(value)}{_elements(value)}"
    named = isinstance(value, type | FunctionType | MethodType)
    return f"<{type(value).__name__} {value.__qualname__}>" if named else _typed(value)


def _elements(value: Any) -> str:
    """The first few, tensors and arrays among them by shape and type."""
    keyed = type(value) is dict
    some = list(islice(value.items() if keyed else value, SHOWN))
    parts = [f"{_element(x[0])}: {_element(x[1])}" if keyed else _element(x) for x in some]
    return ": " + ", ".join(parts) + (", …" if len(value) > SHOWN else "") if parts else ""


def _element(x: Any) -> str:
    if type(x) in PLAIN:
        return SHORT.repr(x)
    if isinstance(x, Tensor):
        return repr(x.spec)
    return f"{x.dtype}{list(x.shape)}" if isinstance(x, np.ndarray) else _typed(x)


def _typed(value: Any) -> str:
    return f"<{type(value).__name__}>"


Locals = tuple[Local, ...]


class Watcher:
    """Takes a snapshot whenever a node asks where it is made."""

    def __init__(self) -> None:
        self.taken: dict[tuple[int, int], list[tuple[int, Locals]]] = defaultdict(list)
        self.codes: dict[int, CodeType] = {}  # kept, so that their ids stay theirs

    def __call__(self, frame: FrameType) -> None:
        code = frame.f_code
        self.codes[id(code)] = code
        self.taken[id(code), frame.f_lasti].append((next_number(), _locals(frame)))

    def of(self, node: Node) -> Locals:
        """The local variables where and when a node was made; none where that is unknown."""
        if node.source is None or isinstance(node.source, Location):
            return ()
        code, instruction = node.source
        earlier = [
            found
            for number, found in self.taken.get((id(code), instruction), ())
            if number < node.number
        ]
        return earlier[-1] if earlier else ()


def _locals(frame: FrameType) -> Locals:
    """The variables of a frame; of a module's only those that its code speaks of."""
    names = frame.f_locals
    if names is frame.f_globals:
        names = {k: names[k] for k in frame.f_code.co_names if k in names}
        names = {k: v for k, v in names.items() if not callable(v) or isinstance(v, Tensor)}
    return tuple(
        Local(name, value)
        for name, value in list(names.items())
        if not name.startswith(("__", ".")) and not isinstance(value, ModuleType)
    )


@contextmanager
def watching() -> Iterator[Watcher]:
    """Nodes made inside, on this thread, leave snapshots."""
    thread = get_ident()
    before = watchers.get(thread)
    watcher = watchers[thread] = Watcher()
    try:
        yield watcher
    finally:
        if before is None:
            del watchers[thread]
        else:
            watchers[thread] = before
