"""A loss as a function of the parameters, which stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from limpid.compiler.steps.bound import BoundStep
from limpid.compiler.steps.preparation import prepare
from limpid.compiler.steps.step import Step
from limpid.diagnosis.pictures.passes import gradients_of, returns_noted, scalar
from limpid.differentiation.reverse import reverse
from limpid.differentiation.rules import RuleRecorder
from limpid.errors import ArgumentError, FreedError, OperandError
from limpid.graph.context import enable_grad, no_grad, recording_into
from limpid.graph.graph import Graph, is_reference
from limpid.graph.node import Node, reachable
from limpid.nn.module import Module
from limpid.storage import Storage, writes_undone
from limpid.tensor import Parameter, Tensor
from limpid.transforms.body import reference_of

Array = np.ndarray[Any, np.dtype[Any]]


class Surface(Protocol):
    """A loss around a point: `start` are the parameters there, `gradient` is taken there."""

    names: list[str]
    start: list[Array]

    def value(self, point: Sequence[Array]) -> float:
        """The loss at another point."""

    def gradient(self) -> list[Array] | None:
        """The gradient at the start; None if it was computed without, as in `no_grad`."""


def surface(loss: Any, args: tuple[Any, ...], wrt: Any) -> Surface:
    """The surface of a function, or of the loss that a compiled step computes."""
    if isinstance(loss, Step | BoundStep):
        return StepSurface(loss, args, wrt)
    if not callable(loss):
        raise OperandError(
            f"a landscape is of a function or a compiled step, not of {type(loss).__name__}"
            "\nremedy: landscape(lambda: loss(model(x), y))"
        )
    return FunctionSurface(loss, args, wrt)


class FunctionSurface:
    """Of a function that returns the loss, run as it is."""

    def __init__(self, loss: Callable[..., Any], args: tuple[Any, ...], wrt: Any) -> None:
        self._loss, self._args = loss, args
        with returns_noted(), writes_undone(), enable_grad(), np.errstate(all="ignore"):
            value = scalar(loss(*args), "the function")
            leaves = _leaves(reachable([value.node])) if value.node is not None else {}
            named = _chosen(leaves, wrt)
            try:
                found = gradients_of(value, list(named.values()))
            except FreedError:
                raise ArgumentError(
                    "the function has called backward() itself\nremedy: give one that returns the "
                    "loss, or the whole training step compiled by limpid.compile"
                ) from None
        self.names = list(named)
        self._storages = [_storage(p) for p in named.values()]
        self.start = [np.array(p.value) for p in named.values()]
        self._gradient = [
            np.zeros_like(p) if g is None else np.array(g)
            for p, g in zip(self.start, found, strict=True)
        ]

    def value(self, point: Sequence[Array]) -> float:
        """The loss at another point."""
        with returns_noted(), writes_undone(), no_grad(), np.errstate(all="ignore"):
            for storage, array in zip(self._storages, point, strict=True):
                storage.write(array)
            return float(scalar(self._loss(*self._args), "the function").item())

    def gradient(self) -> list[Array]:
        """The gradient at the start."""
        return self._gradient


class StepSurface:
    """Of a compiled step: the part of its graph that computes the loss runs on copies of state."""

    def __init__(self, step: Any, args: tuple[Any, ...], wrt: Any) -> None:
        itself = step.instance if isinstance(step, BoundStep) else None
        whole = step.step if isinstance(step, BoundStep) else step
        given = (itself, *args) if itself is not None else args
        with whole.lock:
            found = whole.find(itself, given, {})
            if found is None:
                raise ArgumentError(
                    f"{whole.__name__} runs uncompiled on an argument that carries a gradient"
                    "\nremedy: pass .detach() of it"
                )
            recording, arrays = found
            slots: dict[str, Any] = {**recording.graph.slots, **recording.idle}
            idle = [node.op.storage.read() for node in recording.idle.values()]
            self._inputs = [np.array(x) for x in recording.distinct(arrays)]
            self._state = [np.array(x) for x in (*recording.state(), *idle)]
        output = _loss_of(whole.__name__, recording)
        self._graph = Graph(recording.graph.inputs, (output,), slots)
        self._output = output
        self._run = prepare(self._graph).run
        self._places = self._choose(slots, output, wrt)
        self.names = [list(slots)[i] for i in self._places]
        self.start = [np.array(self._state[i]) for i in self._places]

    def _choose(self, slots: dict[str, Any], output: Any, wrt: Any) -> list[int]:
        """Which slots are the parameters."""
        needed = set(reachable([output[0]]))
        leaves = {
            name: holder
            for name, node in slots.items()
            if node in needed and isinstance(holder := _holder(node), Parameter)
        }
        wanted = set(_chosen(leaves, wrt))
        return [i for i, name in enumerate(slots) if name in wanted]

    def value(self, point: Sequence[Array]) -> float:
        """The loss at another point."""
        state = list(self._state)
        for place, array in zip(self._places, point, strict=True):
            state[place] = array
        with np.errstate(all="ignore"):
            (loss,), _ = self._run(self._inputs, state)
        return float(np.asarray(loss).reshape(()))

    def gradient(self) -> list[Array] | None:
        """The gradient at the start, from a backward pass over the same graph."""
        node, index = self._output
        if not node.requires_grad:
            return None
        slots = list(self._graph.slots.values())
        nodes = [slots[i] for i in self._places]
        with recording_into(RuleRecorder()):
            output = Tensor(node, index, None)
            seed = Tensor(None, 0, np.ones(output.shape, output.dtype.storage))
            passed, _ = reverse([output], [seed], nodes, True)
            found = [reference_of(passed[node]) if node in passed else 0.0 for node in nodes]
        graph = Graph(self._graph.inputs, tuple(found), self._graph.slots)
        with np.errstate(all="ignore"):
            made, _ = prepare(graph).run(self._inputs, self._state)
        return [np.array(np.broadcast_to(g, p.shape)) for g, p in zip(made, self.start)]


def _loss_of(step: str, recording: Any) -> tuple[Node, int]:
    """What the step begins a backward pass with; without one, the one number that it returns."""
    places = [p for p in recording.trail.upstream if p[0].origin is None and p[0].inputs]
    if places:
        return max(places, key=lambda place: place[0].number)
    results = [r for _, r in recording.trail.results if is_reference(r)]
    scalars = [r for r in results if r[0].outputs[r[1]].size == 1
               and r[0].outputs[r[1]].dtype.kind == "float"]  # fmt: skip
    if len(scalars) != 1:
        raise ArgumentError(
            f"{step} takes no gradient and does not return one loss; return the loss"
        )
    return scalars[0]


def _leaves(nodes: Sequence[Node]) -> dict[str, Parameter]:
    """The parameters among nodes, by name; what has the name of another gets a number."""
    found: dict[str, Parameter] = {}
    for node in nodes:
        holder = _holder(node)
        if isinstance(holder, Parameter):
            label: Any = node.op
            name = getattr(label, "label", None) or "parameter"
            unique, number = name, 2
            while unique in found:
                unique, number = f"{name}_{number}", number + 1
            found[unique] = holder
    return found


def _holder(node: Node) -> Any:
    storage = getattr(node.op, "storage", None)
    return storage.holder() if isinstance(storage, Storage) else None


def _storage(p: Parameter) -> Storage:
    assert p.storage is not None
    return p.storage


def _chosen(leaves: dict[str, Parameter], wrt: Any) -> dict[str, Parameter]:
    """Those that are wanted, of what the loss depends on."""
    if wrt is None:
        wanted = set(leaves)
    else:
        given = wrt if isinstance(wrt, list | tuple) else [wrt]
        wanted = {name for one in given for name in _names_of(one, leaves)}
    found = {name: p for name, p in leaves.items() if name in wanted}
    if not found:
        raise ArgumentError(
            "the loss depends on no parameter, so there is nothing to move"
            "\nremedy: compute it with gradients; give a compiled step itself, not a call of it"
        )
    return found


def _names_of(one: Any, leaves: dict[str, Parameter]) -> list[str]:
    if isinstance(one, str):
        if one not in leaves:
            raise ArgumentError(
                f"wrt: the loss depends on no {one!r}; there are {', '.join(leaves)}"
            )
        return [one]
    if isinstance(one, Module):
        ours = {id(p) for p in one.parameters()}
    elif isinstance(one, Tensor):
        ours = {id(one)}
    else:
        raise OperandError(f"wrt is modules, parameters or names, not {type(one).__name__}")
    return [name for name, p in leaves.items() if id(p) in ours]
