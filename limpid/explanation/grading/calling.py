"""Calling functions of assignments: pairs, Functions, losses and plain functions."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from limpid.graph.node import Array
from limpid.tensor import Tensor
from limpid.transforms.function import Function, FunctionContext

PAIR, CLASS, LOSS, PLAIN = "pair", "class", "loss", "plain"
OWN = ("inputs",)  # what a reference says about its functions


class Exercise(NamedTuple):
    """One function to be graded."""

    name: str
    kind: str  # pair: name_forward and name_backward; loss: (value, gradients); class; plain


def exercises(module: ModuleType) -> list[Exercise]:
    """The functions that a module defines, in its order; losses still count as plain."""
    found = []
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) != module.__name__ or name.startswith("_"):
            continue
        base = name.removesuffix("_forward")
        if isinstance(value, type):
            if issubclass(value, Function):
                found.append(Exercise(name, CLASS))
        elif not callable(value) or name in OWN or name.startswith("example_"):
            continue
        elif base != name and callable(getattr(module, f"{base}_backward", None)):
            found.append(Exercise(base, PAIR))
        elif not (name.endswith("_backward") and hasattr(module, name[:-9] + "_forward")):
            found.append(Exercise(name, PLAIN))
    return found


def missing_names(module: ModuleType, exercise: Exercise) -> list[str]:
    """What a module lacks of an exercise."""
    name = exercise.name
    names = [f"{name}_forward", f"{name}_backward"] if exercise.kind == PAIR else [name]
    return [n for n in names if not callable(getattr(module, n, None))]


def call(
    module: ModuleType, exercise: Exercise, inputs: Sequence[Any], upstream: Sequence[Array] | None
) -> tuple[list[Array], list[Array | None]]:
    """The outputs and, with an upstream gradient, what the function says the gradients are.

    Raises whatever the function raises, and TypeError for a result of the wrong form.
    """
    target = getattr(module, exercise.name, None)
    if exercise.kind == PAIR:
        return _pair(module, exercise.name, inputs, upstream)
    if exercise.kind == CLASS:
        return _class(target, inputs, upstream)
    if target is None:
        raise NameError(f"{exercise.name} is not defined")
    result = target(*inputs)
    if exercise.kind == LOSS:
        return _loss(result, exercise.name, upstream)
    return [_number(y) for y in _listed(result)], []


def _pair(
    module: ModuleType, name: str, inputs: Sequence[Any], upstream: Sequence[Array] | None
) -> tuple[list[Array], list[Array | None]]:
    result = getattr(module, f"{name}_forward")(*inputs)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"{name}_forward must return (out, cache), not {type(result).__name__}")
    out, cache = result
    if upstream is None:
        return [_number(out)], []
    found = getattr(module, f"{name}_backward")(upstream[0], cache)
    return [_number(out)], [None if g is None else _number(g) for g in _listed(found)]


def _class(
    target: Any, inputs: Sequence[Any], upstream: Sequence[Array] | None
) -> tuple[list[Array], list[Array | None]]:
    ctx = FunctionContext(tuple(True for _ in inputs))
    result = target.forward(ctx, *map(_as_tensor, inputs))
    outputs = [_number(y) for y in _listed(result)]
    if upstream is None:
        return outputs, []
    found = target.backward(ctx, *[Tensor(None, 0, g) for g in upstream])
    return outputs, [None if g is None else _number(g) for g in _listed(found)]


def _loss(
    result: Any, name: str, upstream: Sequence[Array] | None
) -> tuple[list[Array], list[Array | None]]:
    if not isinstance(result, tuple) or len(result) < 2:
        raise TypeError(f"{name} must return (loss, gradient), not {type(result).__name__}")
    value, *found = result
    scale = 1.0 if upstream is None else float(upstream[0])
    found = _listed(found[0]) if len(found) == 1 else found
    return [_number(value)], [None if g is None else scale * _number(g) for g in found]


def is_loss(result: Any, inputs: Sequence[Any]) -> bool:
    """Whether a plain function returned its value and the gradients of its first operands."""
    if not isinstance(result, tuple) or len(result) < 2 or np.ndim(result[0]):
        return False
    found = _listed(result[1]) if len(result) == 2 else list(result[1:])
    return len(found) <= len(inputs) and all(
        np.ndim(x) and np.shape(g) == np.shape(x) for g, x in zip(found, inputs, strict=False)
    )


def _listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def _as_tensor(x: Any) -> Any:
    return Tensor(None, 0, x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def _number(x: Any) -> Array:
    array = np.asarray(x.value if isinstance(x, Tensor) else x)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(f"an array of numbers is needed, not {type(x).__name__} ({array.dtype})")
    return array
