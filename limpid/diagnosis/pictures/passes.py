"""Passes through a model that leave no trace, and what modules return in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from limpid.differentiation.reverse import reverse
from limpid.errors import ArgumentError, OperandError, ShapeError
from limpid.graph.context import context, enable_grad
from limpid.nn.module import Module
from limpid.storage import writes_undone
from limpid.tensor import Parameter, Tensor, asarray, tensor
from limpid.transforms.nesting import flatten

Array = np.ndarray[Any, np.dtype[Any]]


@contextmanager
def without_trace(model: Any, evaluating: bool) -> Iterator[None]:
    """State, random numbers, gradients and modes are afterwards as they were before.

    model       a module, or any function; with `evaluating` a module runs as after `eval()`
    """
    modules = list(model.modules()) if isinstance(model, Module) else []
    training = [module for module in modules if module.training]
    nodes = [p.node for module in modules[:1] for p in module.parameters() if p.node is not None]
    kept = [None if node.retained is None else dict(node.retained) for node in nodes]
    try:
        if evaluating and modules:
            model.eval()
        with returns_noted(), writes_undone(), enable_grad(), np.errstate(all="ignore"):
            yield
    finally:
        for module in training:
            module.training = True
        for node, retained in zip(nodes, kept, strict=True):
            node.retained = retained


class Returns:
    """What modules returned while it was in force: {path: (module, tensors)}, the latest of each.

    The outermost module has the path "".
    """

    def __init__(self) -> None:
        self.found: dict[str, tuple[Module, list[Tensor]]] = {}

    def note_result(self, module: Any, scope: str, value: Any) -> None:
        """A module returns, in its own scope; the one given is its caller's."""
        tensors = [x for _, x in flatten(value)[0] if isinstance(x, Tensor)]
        self.found[context.state.scope] = (module, tensors)

    def note_gradient(self, node: Any, gradient: Any) -> None:
        """Backward passes within the model are not looked at."""


@contextmanager
def returns_noted() -> Iterator[Returns]:
    """What modules return inside is noted here, and by nobody else who watches them."""
    state = context.state
    before, state.trail = state.trail, Returns()
    try:
        yield state.trail
    finally:
        state.trail = before


def run_noted(model: Module, x: Any) -> tuple[Any, Returns]:
    """What the model makes of an input, and what its modules returned."""
    with returns_noted() as returns:
        return model(*as_inputs(x)), returns


def as_inputs(x: Any) -> tuple[Any, ...]:
    """The arguments of a model: arrays become tensors; a tuple is several arguments."""
    given = x if isinstance(x, tuple) else (x,)
    return tuple(asarray(part) if isinstance(part, np.ndarray) else part for part in given)


def gradients_of(output: Tensor, wanted: Sequence[Tensor]) -> list[Array | None]:
    """The gradients of a scalar, as arrays; nothing is left in `.grad`."""
    nodes = [x.node for x in wanted if x.node is not None]
    found, _ = reverse([output], [np.ones(output.shape, output.value.dtype)], nodes, False)
    gradients = [None if x.node is None else found.get(x.node) for x in wanted]
    return [
        g if g is None or not isinstance(g, list) else g[x.index]
        for g, x in zip(gradients, wanted, strict=True)
    ]


def scalar(value: Any, what: str) -> Tensor:
    """A loss as a tensor. Raises OperandError or ShapeError, saying what gave something else."""
    if not isinstance(value, Tensor):
        raise OperandError(f"{what} must return a scalar tensor, not {type(value).__name__}")
    if value.size != 1 or value.dtype.kind != "float":
        raise ShapeError(f"{what} must return one float, not {value.spec}")
    return value


def parameters_of(model: Any, what: str) -> dict[str, Parameter]:
    """The parameters of a module by name. Raises OperandError for what is none."""
    if not isinstance(model, Module):
        raise OperandError(f"{what} takes a limpid.nn.Module, not {type(model).__name__}")
    return dict(model.named_parameters())


def no_such_layer(names: Iterable[str], layer: str, what: str) -> ArgumentError:
    """The error for a layer that is not there."""
    there = ", ".join(name for name in names if name) or "none"
    return ArgumentError(f"{what}: there is no layer {layer!r}; there are: {there:.300}")


def fresh(x: Any) -> Tensor:
    """A copy of an input that can be differentiated with respect to."""
    array = np.array(x.value if isinstance(x, Tensor) else x)
    if array.dtype.kind not in "fiub":
        raise OperandError(f"an input is an array of numbers, not {array.dtype}")
    if array.dtype.kind != "f":
        array = array.astype(np.float32)
    return tensor(array, requires_grad=True)
