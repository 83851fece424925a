"""What all optimisers share: groups, state, and running an update eagerly or in a recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from limpid.errors import ArgumentError, OperandError
from limpid.graph.changes import Changes
from limpid.graph.context import context, enable_grad
from limpid.graph.registry import operations
from limpid.graph.source import capture
from limpid.optim.group import Group, SlotTable, labelled
from limpid.optim.memory import keep_freed_memory
from limpid.optim.state import load_state, save_state
from limpid.tensor import Buffer, Slot, Tensor

Values = dict[str, Any]  # name → array, or tensor when recording
Coefficients = dict[str, Any]  # name → number; None where the term is left out
NO_STATE: dict[str, Any] = {}


class Optimizer:
    """Base of optimisers. A subclass says what state a parameter has and how it is updated.

    slots(group)                  names of the state kept for each parameter; `step` is a count
    coefficients(group, step)     the numbers of the update, in double precision, from options and
                                  count: numbers when eager, 0-d tensors when recording
    update(p, g, held, c, group)  the new parameter, and {name: new value} of its state

    `update` is written once, without effects: it runs on arrays when eager, and on tensors when a
    step is recorded.
    """

    made_when_needed = ("state",)  # attributes that a step adds to without changing its meaning

    def __init__(self, params: Any, defaults: Mapping[str, Any]):
        keep_freed_memory()
        self.defaults = dict(defaults)
        self.param_groups: list[Group] = []
        self.state: dict[Slot, dict[str, Slot]] = SlotTable()
        for group in _groups(params):
            self.add_param_group(group)

    def __setattr__(self, name: str, value: Any) -> None:
        Changes.any += 1
        object.__setattr__(self, name, value)

    def slots(self, group: Group) -> tuple[str, ...]:
        """Names of the state of each parameter."""
        raise NotImplementedError

    def coefficients(self, group: Group, step: Any) -> Coefficients:
        """The numbers of the update."""
        raise NotImplementedError

    def update(
        self, p: Any, g: Any, held: Values, c: Coefficients, group: Group
    ) -> tuple[Any, Values]:
        """The new parameter and its new state."""
        raise NotImplementedError

    def check(self, group: Group) -> None:
        """Raise ArgumentError for an impossible option."""
        for name, value in group.numbers().items():
            if name in ("lr", "momentum", "weight_decay", "eps") and not value >= 0:
                raise ArgumentError(f"{name} must not be negative, but is {value}")

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own: {"params": …, "lr": …}."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise ArgumentError('a parameter group is a dict with the key "params"')
        unknown = [name for name in group if name not in self.defaults and name != "params"]
        if unknown:
            raise ArgumentError(
                f"{type(self).__name__} has no option {unknown[0]!r}; it has "
                + ", ".join(self.defaults)
            )
        params = _parameters(group["params"])
        taken = {id(p.storage) for held in self.param_groups for p in held["params"]}
        for p in params:
            if id(p.storage) in taken:
                raise ArgumentError(
                    f"a parameter ({_name(p)}, {p.spec}) is given to the optimiser twice"
                )
            taken.add(id(p.storage))
        made = Group({**self.defaults, **group, "params": params})
        self.check(made)
        self.param_groups.append(made)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients of all parameters to None; to zeros with set_to_none=False."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = operations["zeros_like"](p.grad)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient. A closure computes the loss first.

        Reads and writes slots only, so it can be recorded: `limpid.record` of a function that
        calls it has the parameters, the optimiser's state and its numbers among its slots.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        state = context.state
        before, state.grad_enabled = state.grad_enabled, False
        trail = state.trail if state.recorder is None else None
        if trail is not None:
            trail.note_update(self)
        try:
            run = self._step_arrays if state.recorder is None else self._step_slots
            tracer = state.tracer if state.recorder is None else None
            if tracer is not None:
                tracer.updating(self)
                run = self._step_tensors
            for group in self.param_groups:
                run(group)
            if tracer is not None:
                tracer.updated(self)
            if trail is not None:
                trail.note_updated(self)
        finally:
            state.grad_enabled = before
        return loss

    def _step_tensors(self, group: Group) -> None:
        """Eager, while NaNs are traced: the same numbers as tensors, whose operations are seen."""

        def update(p: Any, g: Any, held: Values, c: Coefficients, group: Group) -> Any:
            new, changed = self.update(_seen(p), _seen(g), _all_seen(held), _all_seen(c), group)
            return _unseen(new), {name: _unseen(value) for name, value in changed.items()}

        self._step_arrays(group, update)

    def _step_arrays(self, group: Group, update: Callable[..., Any] | None = None) -> None:
        """Eager: arrays in, and the new ones put in the place of the old ones."""
        update, names = update or self.update, self.slots(group)
        known: dict[Any, Coefficients] = {}
        source = capture()
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            count, held, storages = None, NO_STATE, NO_STATE
            if names:
                slots = self._slots_of(p, names)
                if "step" in slots:
                    count = self._count(slots["step"]).item()
                storages = {name: slot.storage for name, slot in slots.items()}
                held = {name: storage.array for name, storage in storages.items()}
            storage: Any = p.storage
            dtype = storage.array.dtype
            c = known.get((count, dtype))
            if c is None:  # as 0-d arrays: NumPy takes longer over Python numbers
                c = known[count, dtype] = {
                    name: None if value is None else np.asarray(float(value), dtype)
                    for name, value in self.coefficients(group, count).items()
                }
            new, changed = update(storage.array, g.value, held, c, group)
            _replace(storage, new, source)
            for name in changed:
                _replace(storages[name], changed[name], source)

    def _step_slots(self, group: Group) -> None:
        """Recording: tensors in, and the new values assigned."""
        names = self.slots(group)
        known: dict[Any, Coefficients] = {}
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            slots = self._slots_of(p, names)
            count = self._count(slots["step"]) if "step" in slots else None
            c = known.get(p.dtype.name)
            if c is None or count is not None:
                c = known[p.dtype.name] = {
                    name: None if value is None else operations["astype"](value, p.dtype)
                    for name, value in self.coefficients(group, count).items()
                }
            new, changed = self.update(p, g, slots, c, group)
            operations["assign"](p, new)
            for name, value in changed.items():
                operations["assign"](slots[name], value)

    def _count(self, step: Slot) -> Slot:
        """One step more."""
        operations["assign"](step, step + 1)
        return step

    def _slots_of(self, p: Slot, names: tuple[str, ...]) -> dict[str, Slot]:
        """The state of a parameter, made of zeros when it is first needed."""
        held = self.state.get(p)
        if held is None:
            held = self.state[p] = {}
        for name in names:
            if name not in held:
                like = ((), np.float64) if name == "step" else (p.shape, p.dtype.storage)
                zeros = np.zeros(*like)
                held[name] = labelled(Buffer(zeros), f"{_name(p)}.{name}")
        return held

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {name: array}}, "param_groups": […]} as in PyTorch; copies."""
        return save_state(self.param_groups, self.state)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take up the state of an optimiser of the same parameters.

        Raises StateError that lists all that does not fit, and then changes nothing.
        """
        load_state(self, state_dict)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {value}" for name, value in sorted(group.numbers().items())]
        return "\n".join([*lines, ")"])


def _replace(storage: Any, value: Any, source: Any) -> None:
    """`assign` for an array that nobody else holds."""
    storage.write(np.asarray(value, storage.dtype.storage, order="C"), source)


def _seen(x: Any) -> Any:
    return Tensor(None, 0, x) if isinstance(x, np.ndarray) else x


def _all_seen(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _seen(x) for name, x in values.items()}


def _unseen(x: Any) -> Any:
    return x.value if isinstance(x, Tensor) else x


def _name(p: Slot) -> str:
    return getattr(p.node.op, "label", None) or "parameter" if p.node is not None else "parameter"


def _groups(params: Any) -> list[Mapping[str, Any]]:
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise OperandError(
            f"params must be several parameters or dicts, not {type(params).__name__}"
            "\nremedy: model.parameters(), or [parameter]"
        )
    given = list(params)
    if not given:
        raise ArgumentError("the optimiser got no parameters")
    if isinstance(given[0], Mapping):
        return given
    return [{"params": given}]


def _parameters(params: Any) -> list[Any]:
    found = [params] if isinstance(params, Tensor) else list(_unnamed(params))
    for p in found:
        if not isinstance(p, Tensor) or p.storage is None:
            raise OperandError(
                f"only parameters can be optimised, not {type(p).__name__}; a computed tensor has "
                "no value of its own"
            )
    return found


def _unnamed(params: Any) -> Iterator[Any]:
    """Parameters, from pairs (name, parameter) too."""
    for p in params:
        yield p[1] if isinstance(p, tuple) and len(p) == 2 else p
