"""Places outside a function that it can read: what they held before it ran, and if they do now.

A number, a string or a tuple of such is compared by value, whatever else by identity.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from math import copysign
from operator import is_
from types import CellType
from typing import Any

import numpy as np

from limpid.compiler.machine import anatomy
from limpid.compiler.machine.anatomy import Pairs
from limpid.graph.changes import Changes
from limpid.graph.dtype import DType
from limpid.graph.node import Array
from limpid.tensor import Slot, Tensor


class Nothing:
    """What a place holds that is empty."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING = Nothing()
_EQUAL = (int, bool, complex, str, bytes, range, slice, frozenset, np.dtype, type(None))


def same(a: Any, b: Any) -> bool:
    """Whether two values are one to a program: the same object, or equal numbers or strings."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):  # −0.0 is another number than 0.0, NaN is NaN
        return copysign(1, a) == copysign(1, b) if a == b else a != a and b != b
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return isinstance(a, _EQUAL) and bool(a == b)


def shown(value: Any) -> str:
    """A value in a message."""
    if isinstance(value, (*_EQUAL, float, np.generic, Nothing, tuple)):
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:37]}…"
    if isinstance(value, DType):
        return value.name
    if isinstance(value, Tensor):
        return f"a tensor {value.spec}"
    if isinstance(value, np.ndarray):
        return f"an array {value.dtype.name}{list(value.shape)}"
    name = getattr(value, "__qualname__", None)
    return str(name) if name else f"a {type(value).__name__}"


def is_counted(value: Any) -> bool:
    """Whether changes of its attributes are counted: a module, an optimiser, a group of one."""
    kind = type(value)
    return hasattr(kind, "zero_grad") or hasattr(kind, "counts_changes")


def is_part(value: Any) -> bool:
    """Whether this is a piece of a module: state, a module, a function."""
    return isinstance(value, Slot) or is_counted(value) or callable(value)


class Place:
    """Something that can be read, and what it held when it was first looked at."""

    __slots__ = ("label", "value")

    def __init__(self, label: str) -> None:
        self.label = label
        self.value = self.read()

    def read(self) -> Any:
        """What it holds now."""
        raise NotImplementedError

    def write(self, value: Any) -> None:
        """Let it hold something."""
        raise NotImplementedError

    def holds(self) -> bool:
        """Whether it holds what it held."""
        return same(self.read(), self.value)

    def pairs(self) -> Pairs | None:
        """Words of memory that show that it holds the very same; None where there are none."""
        return None

    def difference(self) -> str:
        """How what it holds differs from what it held, for people."""
        return f"{self.label}: {change(self.value, self.read())}"


def change(before: Any, now: Any) -> str:
    """`2.0 → 3.0`, for people."""
    old, new = shown(before), shown(now)
    return f"{old} → {new}" if old != new else f"{old} → another one"


class Entry(Place):
    """An entry of a dict: a global, an attribute."""

    __slots__ = ("counts", "key", "mapping")

    def __init__(
        self, label: str, mapping: MutableMapping[Any, Any], key: Any, counts: bool = False
    ) -> None:
        self.mapping, self.key, self.counts = mapping, key, counts
        super().__init__(label)

    def read(self) -> Any:
        """What it holds now."""
        return self.mapping.get(self.key, NOTHING)

    def pairs(self) -> Pairs | None:
        """Words of memory that show that it holds the very same; None where there are none."""
        mapping: Any = self.mapping
        return anatomy.of_entries(mapping, {self.key: self.value})

    def write(self, value: Any) -> None:
        """Let it hold something."""
        if self.counts:
            Changes.any += 1
            Changes.structure += 1
        if value is NOTHING:
            self.mapping.pop(self.key, None)
        else:
            self.mapping[self.key] = value


class Attribute(Place):
    """An attribute that is in no dict that can be written to: of a class, or in `__slots__`."""

    __slots__ = ("name", "owner")

    def __init__(self, label: str, owner: Any, name: str) -> None:
        self.owner, self.name = owner, name
        super().__init__(label)

    def read(self) -> Any:
        """What it holds now."""
        if isinstance(self.owner, type):
            return self.owner.__dict__.get(self.name, NOTHING)
        return getattr(self.owner, self.name, NOTHING)

    def write(self, value: Any) -> None:
        """Let it hold something."""
        if value is NOTHING:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, value)


class Cell(Place):
    """A variable of a function around."""

    __slots__ = ("cell",)

    def __init__(self, label: str, cell: CellType) -> None:
        self.cell = cell
        super().__init__(label)

    def read(self) -> Any:
        """What it holds now."""
        try:
            return self.cell.cell_contents
        except ValueError:
            return NOTHING

    def pairs(self) -> Pairs | None:
        """Words of memory that show that it holds the very same; None where there are none."""
        return None if self.value is NOTHING else anatomy.of_cell(self.cell, self.value)

    def write(self, value: Any) -> None:
        """Let it hold something."""
        if value is NOTHING:
            del self.cell.cell_contents
        else:
            self.cell.cell_contents = value


class Contents(Place):
    """What is in a list, a set or a dict."""

    __slots__ = ("container",)

    def __init__(self, label: str, container: Any) -> None:
        self.container = container
        super().__init__(label)

    def read(self) -> Any:
        """A copy of what is in it."""
        container = self.container
        if isinstance(container, dict):
            return dict(container)
        return list(container) if isinstance(container, list) else set(container)

    def write(self, value: Any) -> None:
        """Let it hold this, whatever a subclass would do besides."""
        Changes.any += 1
        if isinstance(self.container, list):
            list.__setitem__(self.container, slice(None), value)
        elif isinstance(self.container, dict):
            dict.clear(self.container)
            dict.update(self.container, value)
        else:
            self.container.clear()
            self.container.update(value)

    def holds(self) -> bool:
        """Whether there are the same things in it, in the same order."""
        now, before = self.container, self.value
        if len(now) != len(before):
            return False
        if isinstance(now, dict):
            return all(map(same, now, before)) and _all_same(now.values(), before.values())
        return now == before if isinstance(now, set) else _all_same(now, before)

    def pairs(self) -> Pairs | None:
        """Words of memory that show that the very same is in it; None where there are none."""
        if type(self.container) is list:
            return anatomy.of_list(self.container, self.value)
        if isinstance(self.container, dict):
            return anatomy.of_dict(self.container, self.value)
        return None

    def difference(self) -> str:
        """The first thing in it that is another one."""
        now, before = self.read(), self.value
        if isinstance(now, set) or len(now) != len(before):
            return f"{self.label}: {len(before)} parts → {len(now)} parts"
        if isinstance(now, list):
            now, before = dict(enumerate(now)), dict(enumerate(before))
        for key, value in now.items():
            if key not in before or not same(value, before[key]):
                held = before.get(key, NOTHING)
                return f"{self.label}[{key!r}]: {change(held, value)}"
        return f"{self.label}: another order"


def _all_same(now: Any, before: Any) -> bool:
    return all(map(is_, now, before)) or all(map(same, now, before))


class Elements(Place):
    """The elements of a small array."""

    __slots__ = ("array",)

    def __init__(self, label: str, array: Array) -> None:
        self.array = array
        super().__init__(label)

    def read(self) -> Any:
        """Their bits."""
        return self.array.tobytes()

    def write(self, value: Any) -> None:
        """Set them."""
        self.array[...] = np.frombuffer(value, self.array.dtype).reshape(self.array.shape)

    def holds(self) -> bool:
        """Whether all are the same."""
        return self.array.tobytes() == self.value

    def difference(self) -> str:
        """That they are not the same."""
        return f"{self.label}: elements of the array were changed"


class Standing(Place):
    """What a tensor stands for: `t += …` lets it stand for another value."""

    __slots__ = ("tensor",)

    def __init__(self, label: str, tensor: Tensor) -> None:
        self.tensor = tensor
        super().__init__(label)

    def read(self) -> Any:
        """Its node, or its value where it has none."""
        return self.tensor._value if self.tensor.node is None else self.tensor.node

    def holds(self) -> bool:
        """Whether it stands for the same."""
        return self.read() is self.value

    def pairs(self) -> Pairs:
        """Words of memory that show it."""
        if self.tensor.node is None:
            alone = anatomy.of_slot(self.tensor, _NODE, None)
            return [*alone, *anatomy.of_slot(self.tensor, _VALUE, self.value)]
        return anatomy.of_slot(self.tensor, _NODE, self.value)

    def difference(self) -> str:
        """That it does not."""
        return f"{self.label}: the tensor was changed in place, as by {self.label} += …"


class Variables(Place):
    """All attributes of a module or an optimiser; `names` are those that a function can read.

    Parameters and modules always count, and in their order: a sequence of modules goes by it.
    """

    __slots__ = ("names", "owner", "parts", "structure")

    def __init__(self, label: str, owner: Any) -> None:
        self.owner = owner
        self.names: tuple[str, ...] = ()
        super().__init__(label)
        self.parts = self._find_parts()
        self.structure = Changes.structure

    def _find_parts(self) -> list[str]:
        return [name for name, value in vars(self.owner).items() if is_part(value)]

    def read(self) -> Any:
        """A copy of them."""
        return dict(vars(self.owner))

    def holds(self) -> bool:
        """Whether those that a function can read are the same."""
        now, before = vars(self.owner).get, self.value.get
        for name in self.names:
            if now(name, NOTHING) is not before(name, NOTHING) and not self._same(name):
                return False
        if self.structure != Changes.structure:
            if self._find_parts() != self.parts:
                return False
            self.structure = Changes.structure
        return True

    def _same(self, name: str) -> bool:
        return same(*self._change(name))

    def _change(self, name: str) -> tuple[Any, Any]:
        """What an attribute was and is; without one of its own, an object has that of its class."""
        default = getattr(type(self.owner), name, NOTHING)
        return self.value.get(name, default), vars(self.owner).get(name, default)

    def difference(self) -> str:
        """The first that is another one."""
        for name in self.names:
            if not self._same(name):
                return f"{self.label}.{name}: {change(*self._change(name))}"
        return f"{self.label}: parts {', '.join(self.parts)} → {', '.join(self._find_parts())}"


_NODE, _VALUE = anatomy.slot(Tensor, "node"), anatomy.slot(Tensor, "_value")
