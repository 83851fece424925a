"""State dicts: taking the values of slots, and giving them back all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from limpid.errors import LimpidError, StateError
from limpid.graph.registry import operations
from limpid.tensor import Slot, Tensor, to_array

Named = Sequence[tuple[str, Slot]]


class Keys(NamedTuple):
    """What `load_state_dict(strict=False)` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def snapshot(slots: Named) -> dict[str, np.ndarray[Any, Any]]:
    """{name: copy of the value}; names of one slot share one copy."""
    copies: dict[int, np.ndarray[Any, Any]] = {}
    state: dict[str, np.ndarray[Any, Any]] = {}
    for name, slot in slots:
        if name in state:
            raise StateError(f"two pieces of state are called {name!r}; rename one of them")
        if id(slot) not in copies:
            copies[id(slot)] = np.array(slot.value)
        state[name] = copies[id(slot)]
    return state


def load(slots: Named, state: Mapping[str, Any], strict: bool, owner: str) -> Keys:
    """Assign the values to the slots, or raise StateError with all that does not fit."""
    if not isinstance(state, Mapping):
        raise StateError(f"a state dict maps names to arrays; got {type(state).__name__}")
    names = {name for name, _ in slots}
    missing = [name for name, _ in slots if name not in state]
    unexpected = [name for name in state if name not in names]
    given = {name: _value(state[name]) for name, _ in slots if name in state}
    problems = [f"missing: {name}" for name in missing] if strict else []
    problems += [f"unexpected: {name}" for name in unexpected] if strict else []
    problems += [p for name, slot in slots if name in given for p in _misfit(name, slot, given)]
    problems += _disagreements(slots, given)
    if problems:
        raise StateError(
            f"the state dict does not fit {owner}; nothing was changed\n  " + "\n  ".join(problems)
        )
    for name, slot in slots:
        if name in given:
            operations["assign"](slot, given[name])
    return Keys(missing, unexpected)


def _value(value: Any) -> Any:
    """An array; whatever can't be one stays as it is, to be reported."""
    if isinstance(value, Tensor):
        return value.detach().value
    if hasattr(value, "detach"):  # a tensor of another framework
        value = value.detach()
    try:
        return to_array(np.asarray(value))
    except (LimpidError, ValueError, TypeError, RuntimeError):
        return value


def _misfit(name: str, slot: Slot, given: Mapping[str, Any]) -> list[str]:
    value = given[name]
    if not isinstance(value, np.ndarray):
        return [f"no array: {name} is {value!r:.60}"]
    if value.shape != slot.shape:
        return [f"shape: {name} is {list(value.shape)} but must be {list(slot.shape)}"]
    if not np.can_cast(value.dtype, slot.dtype.storage, "same_kind"):
        return [f"type: {name} is {value.dtype} but must be {slot.dtype.name}"]
    return []


def _disagreements(slots: Named, given: Mapping[str, Any]) -> list[str]:
    """Names of one slot that were given different values."""
    first: dict[int, str] = {}
    problems = []
    for name, slot in slots:
        if name in given:
            other = first.setdefault(id(slot), name)
            if other != name and not _same(given[other], given[name]):
                problems.append(f"tied: {other} and {name} are one slot but differ")
    return problems


def _same(a: Any, b: Any) -> bool:
    try:
        return np.array_equal(a, b, equal_nan=True)
    except TypeError:
        return False
