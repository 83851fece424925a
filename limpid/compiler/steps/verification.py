"""Comparing a compiled step with its function, both run from the same state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from limpid.compiler.steps.guards import Guards
from limpid.compiler.steps.places import is_counted, same, shown
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.takes import changes
from limpid.errors import VerificationError
from limpid.graph.node import Node, next_number
from limpid.storage import Journal, Storage, writes_undone
from limpid.tensor import Tensor
from limpid.transforms.nesting import flatten

TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-9}  # of the largest number

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
        compiled = trial.values(lambda: recording.run(args, kwargs, arrays))
    for name in {**eager, **compiled}:
        _compare(name, eager.get(name), compiled.get(name), step.__name__)


def verify_step(step: Any, /, *args: Any, **kwargs: Any) -> None:
    """`step.verify(*args, **kwargs)`."""
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


def _compare(name: str, eager: Any, compiled: Any, step: str) -> None:
    reason = _difference(eager, compiled)
    if reason:
        raise VerificationError(
            f"{step}: {name} is not what the function gives without compiling: {reason}\nremedy: "
            "what the function reads outside and nobody looks at (large arrays and deep nestings "
            "changed in place, files, time) must come as an argument or be state"
        )


def _difference(eager: Any, compiled: Any) -> str:
    """How two values differ; nothing where they are the same."""
    if not isinstance(eager, np.ndarray) or not isinstance(compiled, np.ndarray):
        return "" if same(eager, compiled) else f"{shown(compiled)}, not {shown(eager)}"
    if eager.shape != compiled.shape or eager.dtype != compiled.dtype:
        return f"{shown(compiled)}, not {shown(eager)}"
    if eager.dtype.kind != "f":
        wrong = eager != compiled
    else:
        limit = TOLERANCE[eager.dtype.name] * np.abs(eager[np.isfinite(eager)]).max(initial=0)
        apart = np.abs(np.subtract(eager, compiled, dtype=np.float64))
        wrong = ~((apart <= limit) | (eager == compiled) | (np.isnan(eager) & np.isnan(compiled)))
    if not wrong.any():
        return ""
    place = tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
    return f"{compiled[place]} at {place}, not {eager[place]}"
