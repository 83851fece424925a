"""Parameter groups: dicts whose numbers are state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from limpid.errors import ArgumentError
from limpid.graph.changes import Changes
from limpid.graph.context import context
from limpid.graph.registry import operations
from limpid.tensor import Buffer, Slot, Tensor


class Group(dict[str, Any]):
    """The parameters of a group and its options, as `optimizer.param_groups[i]`.

    A number is kept as a slot of type float64, so that a recorded step reads it anew each time.
    `group["lr"] = 0.01` assigns to the slot. An option that is the number 0 is absent: its term is
    left out of the update.

    >>> import limpid
    >>> optimizer = limpid.optim.SGD([limpid.Parameter([1.0])], lr=0.1)
    >>> optimizer.param_groups[0]["lr"] *= 0.5
    >>> optimizer.param_groups[0]["lr"].item()
    0.05
    """

    counts_changes = True

    def __init__(self, options: Mapping[str, Any]):
        super().__init__()
        self.absent: set[str] = set()
        for name, value in options.items():
            self._add(name, value)

    def _add(self, name: str, value: Any) -> None:
        Changes.any += 1
        if isinstance(value, tuple):
            parts = tuple(_slot(f"{name}_{i}", part) for i, part in enumerate(value, 1))
            super().__setitem__(name, parts)
        elif is_number(value) or isinstance(value, Tensor):
            super().__setitem__(name, _slot(name, value))
            self._note(name, value)
        else:
            super().__setitem__(name, value)

    def __setitem__(self, name: str, value: Any) -> None:
        held = self.get(name)
        if isinstance(held, Slot):
            _assign(held, value, name)
            self._note(name, value)
        elif isinstance(held, tuple):
            if not isinstance(value, tuple | list) or len(value) != len(held):
                raise ArgumentError(f"{name} takes {len(held)} numbers, not {value!r:.60}")
            for slot, part in zip(held, value, strict=True):
                _assign(slot, part, name)
        else:
            self._add(name, value)

    def update(self, *args: Any, **options: Any) -> None:
        """Set several options."""
        for name, value in dict(*args, **options).items():
            self[name] = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (dict(self), self.absent)

    def _note(self, name: str, value: Any) -> None:
        """Only a number that is known now can be absent."""
        absent = bool(is_number(value) and value == 0)
        if absent != (name in self.absent):
            Changes.any += 1  # another update than before
            self.absent ^= {name}

    def value(self, name: str) -> Any:
        """An option for the update: its number when eager, its slot when recording."""
        held = self[name]
        if isinstance(held, tuple):
            return tuple(_present(part) for part in held)
        return _present(held) if isinstance(held, Slot) else held

    def term(self, name: str) -> Any:
        """`value`, or None where the option is the number 0, so that its term is left out."""
        return None if name in self.absent else self.value(name)

    def numbers(self) -> dict[str, Any]:
        """The options as plain values, without the parameters."""
        return {name: _plain(value) for name, value in self.items() if name != "params"}


def _rebuilt(options: dict[str, Any], absent: set[str]) -> Group:
    made = Group({})
    dict.update(made, options)
    made.absent = absent
    return made


def _present(slot: Slot) -> Any:
    return slot if context.state.recorder is not None else slot.value.item()


def is_number(value: Any) -> bool:
    """Whether this is a number (a bool is a choice, not a number)."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _slot(name: str, value: Any) -> Slot:
    if isinstance(value, Slot):
        return value  # shared: a schedule may hold it, too
    given = value.item() if isinstance(value, Tensor) else value
    return labelled(Buffer(np.float64(given)), name)


def labelled(slot: Slot, name: str) -> Slot:
    """The slot, with the name by which graphs call it."""
    leaf: Any = slot.node.op if slot.node is not None else None
    leaf.label = name
    return slot


def _assign(slot: Slot, value: Any, name: str) -> None:
    if is_number(value):
        value = np.asarray(value, np.float64)
    elif not isinstance(value, Tensor):
        raise ArgumentError(f"{name} takes a number, not {value!r:.60}")
    operations["assign"](slot, value)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    return value.item() if isinstance(value, Tensor) else value


class SlotTable(dict[Any, dict[str, Slot]]):
    """The slots of each parameter. Others are other state to whoever has recorded a step."""

    def __setitem__(self, parameter: Any, slots: dict[str, Slot]) -> None:
        Changes.any += 1
        super().__setitem__(parameter, slots)

    def __delitem__(self, parameter: Any) -> None:
        Changes.any += 1
        super().__delitem__(parameter)

    def pop(self, *args: Any) -> Any:
        """Take the slots of a parameter away."""
        Changes.any += 1
        return super().pop(*args)

    def clear(self) -> None:
        """Take all slots away."""
        Changes.any += 1
        super().clear()
