"""Comparing a compiled step with its function, both run from the same state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from limpid.compiler.steps.comparison import difference
from limpid.compiler.steps.divergence import Divergence, first_difference
from limpid.compiler.steps.executor import Executor
from limpid.compiler.steps.guards import Guards
from limpid.compiler.steps.places import is_counted
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.rounding import Perturb, allowances
from limpid.compiler.steps.takes import changes
from limpid.errors import VerificationError
from limpid.graph.graph import Graph
from limpid.graph.node import Array, Node, next_number
from limpid.storage import Journal, Storage, writes_undone
from limpid.tensor import Tensor
from limpid.transforms.nesting import flatten

Values = dict[str, Any]  # what a call returned or left, by name


def verify(step: Any, itself: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Run a call of a step and the same call of its function; raise where they differ."""
    with step.lock:
        found = step.find(itself, args, kwargs)
        if found is None:
            return  # it would not run compiled
        recording, arrays = found
        trial = Trial(step.function, recording, recording.signature.given(args, kwargs))
        eager_args, eager_kwargs = _with_tensors(recording, args, kwargs)
        eager = trial.values(lambda: step.function(*eager_args, **eager_kwargs))
        with step.sight.paused():
            compiled = trial.values(lambda: recording.run(args, kwargs, arrays))
            if not list(differences(eager, compiled)):
                return
            allowed = trial.allowances(recording, lambda: recording.run(args, kwargs, arrays))
        for name, reason in differences(eager, compiled, allowed):
            first = first_difference(
                recording,
                recording.distinct(arrays),
                lambda: _recorded(step, itself, args, kwargs),
            )
            _fail(step.__name__, name, reason, first)


def differences(
    expected: Values, found: Values, allowed: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[tuple[str, str]]:
    """(name, how they differ) for values that differ by more than is allowed."""
    for name in {**expected, **found}:
        reason = difference(expected.get(name), found.get(name), allowed.get(name, 0.0))
        if reason:
            yield name, reason


def _recorded(step: Any, itself: Any, args: Any, kwargs: Any) -> tuple[Recording, list[Any]]:
    """The call, recorded anew, and the arrays of its inputs."""
    recording, arrays = step.record(itself, args, kwargs)
    return recording, recording.distinct(arrays)


def _fail(step: str, name: str, reason: str, first: Divergence) -> NoReturn:
    where = f"\nthe first to differ is {first.where}" if first.where else ""
    remedy = _FAULT if first.compiled else _UNSEEN
    raise VerificationError(
        f"{step}: {name} is not what the function gives without compiling: {reason}{where}"
        f"\nremedy: {remedy}"
    )


_FAULT = "this is a fault of limpid's native code, please report it; LIMPID_NATIVE=0 does without"
_UNSEEN = (
    "what the function reads outside and nobody looks at (large arrays and deep nestings changed "
    "in place, files, time) must come as an argument or be state"
)


def verify_step(step: Any, /, *args: Any, **kwargs: Any) -> None:
    """`step.verify(*args, **kwargs)`; see `Step.verify` for what counts as a difference."""
    step.verify(*args, **kwargs)


class Trial:
    """Runs of the same call from the same state; each leaves everything as it was."""

    def __init__(
        self, function: Callable[..., Any], recording: Recording, given: list[Any]
    ) -> None:
        self._function = function
        self._objects = recording.signature.objects
        self._given = [x for x in given if isinstance(x, Tensor)]
        self._names: dict[Storage, str] = {}
        self._leaves: dict[Node, str] = {}
        slots: Any = recording.graph.slots.items()
        for name, node in slots:
            if isinstance(node.op.storage, Storage):
                self._names[node.op.storage] = name
                self._leaves[node] = name
        for node, _ in recording.gradients:
            self._leaves.setdefault(node, _label(node))

    def values(self, call: Callable[[], Any]) -> Values:
        """What the call returns, writes and leaves."""
        guards = Guards(self._function, self._objects)
        start = next_number()
        with writes_undone() as journal, self._undone(guards):
            values = _named("result", call())
            for place, now in changes(guards):
                values.update(_named(place.label, now))
            for number, tensor in enumerate(self._given):
                values[f"argument {number}"] = tensor._value
            values.update(self._written(journal, start))
            for node, name in self._leaves.items():
                held = (node.retained or {}).get(0)
                values[f"{name}.grad"] = None if held is None else held.value
        return values

    def allowances(self, recording: Recording, call: Callable[[], Any]) -> Values:
        """By how much what a call of the recording leaves may differ, by name."""
        before = recording.watch

        def run(perturb: Perturb) -> Values:
            recording.watch = OnNumPy(recording.graph, perturb)
            return self.values(call)

        try:
            with np.errstate(all="ignore"):
                return allowances(run)
        finally:
            recording.watch = before

    def _written(self, journal: Journal, start: int) -> Values:
        """What slots hold now that were there before."""
        values = {name: storage.read() for storage, name in self._names.items()}
        for storage in journal.before:
            holder = storage.holder()
            if holder is not None and holder.node.number < start and storage not in self._names:
                values[_label(holder.node)] = storage.read()
        return values

    @contextmanager
    def _undone(self, guards: Guards) -> Iterator[None]:
        """Gradients, attributes and tensors are as before at the end."""
        retained = {n: None if n.retained is None else dict(n.retained) for n in self._leaves}
        stood = [(x, x.node, x.index, x._value) for x in self._given]
        try:
            yield
        finally:
            for place, _ in changes(guards):
                place.write(place.value)
            for table in guards.tables:
                table.restore()
            for node, gradients in retained.items():
                node.retained = gradients
            for tensor, node_before, index, value in stood:
                tensor.node, tensor.index, tensor._value = node_before, index, value


class OnNumPy:
    """Runs a graph on NumPy in the place of a recording's executor, from other inputs and state."""

    in_place = False

    def __init__(self, graph: Graph, perturb: Perturb) -> None:
        self._executor = Executor(graph)
        self._perturb = perturb

    def run(self, inputs: Sequence[Array], state: Sequence[Array]) -> tuple[list[Any], list[Any]]:
        """The outputs and the new values of slots."""
        return self._executor.run([*map(self._perturb, inputs)], [*map(self._perturb, state)])


def _with_tensors(recording: Recording, args: Any, kwargs: Any) -> tuple[list[Any], Any]:
    """The arguments with tensors in the place of arrays, which is what a step takes them for."""
    signature = recording.signature
    leaves = [
        Tensor(None, 0, np.asarray(x)) if isinstance(x, np.ndarray) else x
        for x in signature.leaves_of(args, kwargs)
    ]
    return signature.rebuild(iter(leaves))


def _named(name: str, value: Any) -> Values:
    """The leaves of a nested value, tensors as arrays."""
    leaves, _ = flatten(value, name, is_counted)
    return {path: x.value if isinstance(x, Tensor) else x for path, x in leaves}


def _label(node: Any) -> str:
    return node.op.label or "a tensor"
