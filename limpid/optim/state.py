"""State dicts of optimisers, in PyTorch's nesting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from limpid.errors import LimpidError, StateError
from limpid.graph.registry import operations
from limpid.optim.group import Group
from limpid.tensor import to_array

# Options of PyTorch's that say how an update is run, not what it is; passed over when loading.
PYTORCHS = {"foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay"}


def save_state(groups: list[Any], state: Mapping[Any, Any]) -> dict[str, Any]:
    """Copies of all state; parameters are numbered through the groups."""
    numbers = {id(p): i for i, p in enumerate(p for group in groups for p in group["params"])}
    return {
        "state": {
            numbers[id(p)]: {name: np.array(slot.value) for name, slot in slots.items()}
            for p, slots in state.items()
        },
        "param_groups": [
            {**group.numbers(), "params": [numbers[id(p)] for p in group["params"]]}
            for group in groups
        ],
    }


def load_state(optimizer: Any, given: Mapping[str, Any]) -> None:
    """Check everything, then assign everything."""
    if not isinstance(given, Mapping) or not {"state", "param_groups"} <= given.keys():
        raise StateError('the state dict of an optimiser has the keys "state" and "param_groups"')
    groups = optimizer.param_groups
    problems = _group_problems(groups, given["param_groups"])
    arrays: dict[int, dict[str, Any]] = {}
    if not problems:
        arrays, problems = _read(optimizer, given)
    if problems:
        raise StateError(
            "the state dict does not fit the optimiser; nothing was changed\n  "
            + "\n  ".join(problems)
        )
    for group, saved in zip(groups, given["param_groups"], strict=True):
        group.update({n: v for n, v in saved.items() if n in group and n != "params"})
        for p, number in zip(group["params"], saved["params"], strict=True):
            optimizer.state.pop(p, None)
            if number in arrays:
                slots = optimizer._slots_of(p, optimizer.slots(group))
                for name, value in arrays[number].items():
                    operations["assign"](slots[name], value)


def _group_problems(groups: list[Any], saved: Any) -> list[str]:
    if len(saved) != len(groups):
        return [f"there are {len(groups)} parameter groups, not {len(saved)}"]
    problems = []
    for i, (group, given) in enumerate(zip(groups, saved, strict=True)):
        if len(given.get("params", ())) != len(group["params"]):
            problems.append(
                f"group {i} has {len(group['params'])} parameters, "
                f"not {len(given.get('params', ()))}"
            )
        problems += [f"missing in group {i}: {name}" for name in group if name not in given]
        problems += [
            f"unexpected in group {i}: {name}"
            for name in given
            if name not in group and name not in PYTORCHS
        ]
    return problems


def _read(optimizer: Any, given: Mapping[str, Any]) -> tuple[dict[int, Any], list[str]]:
    """The state of each parameter as arrays, and what does not fit."""
    arrays: dict[int, dict[str, Any]] = {}
    problems: list[str] = []
    for group, saved in zip(optimizer.param_groups, given["param_groups"], strict=True):
        for p, number in zip(group["params"], saved["params"], strict=True):
            held = given["state"].get(number, given["state"].get(str(number), {}))
            held = {name: value for name, value in held.items() if value is not None}
            if held:
                arrays[number] = _arrays(optimizer, p, saved, held, number, problems)
    return arrays, problems


def _arrays(
    optimizer: Any,
    p: Any,
    options: Mapping[str, Any],
    held: Mapping[str, Any],
    number: int,
    problems: list[str],
) -> dict[str, Any]:
    wanted = optimizer.slots(Group(options))
    found: dict[str, Any] = {}
    problems += [f"unexpected for parameter {number}: {n}" for n in held if n not in wanted]
    for name in wanted:
        shape = () if name == "step" else p.shape
        value = held.get(name, 1.0 if name == "step" else None)  # PyTorch's SGD keeps no count
        if value is None:
            problems.append(f"missing for parameter {number}: {name}")
            continue
        try:
            array = to_array(np.asarray(value.detach() if hasattr(value, "detach") else value))
        except LimpidError as error:
            problems.append(f"parameter {number}, {name}: {error}")
            continue
        if array.shape != shape:
            problems.append(
                f"parameter {number}, {name}: shape {list(array.shape)}, not {list(shape)}"
            )
        found[name] = array
    return found
