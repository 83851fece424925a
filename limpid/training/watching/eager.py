"""Watching eager training: modules say what they return, optimisers what they are about to do."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from limpid.compiler.steps.labels import brackets
from limpid.compiler.steps.places import is_counted
from limpid.compiler.steps.statistics import ends_of, of_array, saturation_of
from limpid.compiler.steps.trail import name_of
from limpid.graph.context import context
from limpid.graph.node import Array
from limpid.nn.module import Module, names_below
from limpid.tensor import Parameter, Tensor
from limpid.training.watching.wanted import RATIO, SATURATED, Values, Wanted, ratio
from limpid.transforms.nesting import flatten

MOST = 64  # times that a module is seen within one step


class Trail:
    """What a thread is asked to tell, outside of recordings; `context.state.trail`."""

    def __init__(self) -> None:
        self._followers: list[weakref.ref[Follower]] = []

    def follow(self, follower: Follower) -> None:
        """Tell one more."""
        self._followers.append(weakref.ref(follower))

    def forget(self, follower: Follower | None) -> None:
        """Tell one less; those that are gone are not told, either."""
        alive = [x for x in self._followers if x() is not None and x() is not follower]
        self._followers = alive
        if not alive and context.state.trail is self:
            context.state.trail = None

    def note_result(self, module: Any, scope: str, value: Any) -> None:
        """A module returns, in its own scope; the one given is its caller's."""
        state = context.state
        if state.recorder is not None or not state.grad_enabled:
            return
        for follower in self._alive():
            follower.note_result(module, scope, value)

    def note_gradient(self, node: Any, gradient: Any) -> None:
        """A backward pass records; gradients are looked at before an update."""

    def note_update(self, optimizer: Any) -> None:
        """An optimiser is about to update."""
        for follower in self._alive():
            follower.note_update(optimizer)

    def note_updated(self, optimizer: Any) -> None:
        """It has done so."""
        for follower in self._alive():
            follower.note_updated()

    def _alive(self) -> list[Follower]:
        found = [x() for x in self._followers]
        if None in found:
            self.forget(None)
        return [x for x in found if x is not None]


class Follower:
    """What a watch has seen of the step that is under way.

    clock  the watch: `is_next_due()`, `is_due()`, which counts a step, and `record(values)`
    """

    def __init__(self, clock: Any, target: Module, wanted: Wanted) -> None:
        self._clock = clock
        self._target = target
        self._wanted = wanted
        self._values: Values = {}
        self._counts: dict[str, int] = {}
        self._before: dict[str, tuple[Parameter, Array]] | None = None  # while an update runs

    def note_result(self, module: Any, scope: str, value: Any) -> None:
        """What a module of the target returns, if this step is looked at."""
        if not self._clock.is_next_due() or "activations" not in self._wanted.kinds:
            return
        if module is not self._target and id(module) not in names_below(self._target):
            return
        name = name_of(module, scope)
        for path, x in flatten(value, "", is_counted)[0]:
            if isinstance(x, Tensor) and x._value is not None:
                self._note(name, brackets(path), x)

    def _note(self, name: str, place: str, x: Tensor) -> None:
        count = self._counts[name + place] = self._counts.get(name + place, 0) + 1
        if count > MOST:
            return
        full = f"{name}#{count}{place}" if count > 1 else name + place
        array = np.asarray(x._value)
        self._values[full] = self._of(array)
        if (
            SATURATED in self._wanted.statistics
            and x.node is not None
            and ends_of(x.node) is not None
        ):
            self._values[full][SATURATED] = saturation_of(x.node, array)

    def _of(self, array: Array) -> dict[str, Any]:
        return {statistic: of_array(statistic, array) for statistic in self._wanted.usual}

    def note_update(self, optimizer: Any) -> None:
        """Look at parameters and gradients; arrays are never written to, so they stay."""
        ours = {id(p.storage): p for p in self._target.parameters()}
        groups = optimizer.param_groups
        if not any(id(p.storage) in ours for group in groups for p in group["params"]):
            return
        self._before, kinds = {}, self._wanted.kinds
        if not self._clock.is_due():
            return
        for path, p in self._target.named_parameters():
            leaf: Any = p.node.op if p.node is not None else None
            self._before[getattr(leaf, "label", None) or path] = p, _read(p)
        for name, (_, array) in self._before.items() if "parameters" in kinds else ():
            self._values[f"state:{name}"] = self._of(array)
        for name, (p, _) in self._before.items() if "gradients" in kinds else ():
            if p.grad is not None:
                self._values[f"grad:{name}"] = self._of(p.grad.value)
        self._values = {name: values for name, values in self._values.items() if values}

    def note_updated(self) -> None:
        """Look at the changes; the step is over."""
        before, values = self._before, self._values
        if before is None:
            return
        self._before, self._values, self._counts = None, {}, {}
        if not before:
            return
        if self._wanted.has_updates:
            for name, (p, array) in before.items():
                now = _read(p)
                if now is not array:
                    with np.errstate(all="ignore"):
                        change = now - array
                    norm = of_array("norm", change)
                    whole = of_array("norm", array)
                    values[f"update:{name}"] = {"norm": norm, RATIO: ratio(norm, whole)}
        self._clock.record(values)


def _read(p: Parameter) -> Array:
    assert p.storage is not None
    return p.storage.read()
