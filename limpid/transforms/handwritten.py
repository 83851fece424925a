"""A forward and a backward function as lectures write them, made a `Function`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.errors import ArgumentError, RuleError
from limpid.tensor import Tensor
from limpid.transforms.function import Function


class WritingError(RuleError):
    """A backward function that changes its upstream gradient."""


def is_pair(function: Any) -> bool:
    """Whether this is (forward, backward)."""
    return (
        isinstance(function, tuple | list) and len(function) == 2 and all(map(callable, function))
    )


def as_function(forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    """A Function from `forward(*args) → (out, cache)` and `backward(dout, cache) → gradients`.

    Both are given NumPy arrays. `backward` returns the gradients of the arguments in their order;
    those of the last ones may be left out.

    Raises RuleError, when it runs, if `forward` does not return a pair.
    """

    def run_forward(ctx: Any, *args: Any) -> Any:
        ctx.count = len(args)
        out, ctx.cache = _pair(forward(*map(_array, args)), forward)
        return np.asarray(out)

    def run_backward(ctx: Any, upstream: Any) -> Any:
        given = upstream.numpy()
        g = given.copy()
        found = backward(g, ctx.cache)
        if not np.array_equal(g, given, equal_nan=True):
            raise WritingError(f"{name} writes into the upstream gradient that it is given")
        found = list(found) if isinstance(found, tuple | list) else [found]
        return tuple(found + [None] * (ctx.count - len(found)))

    def plain_forward(*args: Any) -> Any:
        return _pair(forward(*args), forward)[0]

    plain_forward.__wrapped__ = forward  # type: ignore[attr-defined]  # for its signature
    name = getattr(backward, "__name__", "backward")
    body = {
        "forward": staticmethod(run_forward),
        "backward": staticmethod(run_backward),
        "plain_forward": staticmethod(plain_forward),
    }
    return type(name, (Function,), body)


def _pair(result: Any, forward: Any) -> Any:
    if not isinstance(result, tuple) or len(result) != 2:
        name = getattr(forward, "__name__", "forward")
        raise RuleError(f"{name} must return (output, cache), not {type(result).__name__}")
    return result


def _array(x: Any) -> Any:
    return np.array(x.value) if isinstance(x, Tensor) else x


def check_pair(function: Any) -> None:
    """Raise ArgumentError for a tuple that is no pair of functions."""
    if isinstance(function, tuple | list) and not is_pair(function):
        raise ArgumentError("check_grad takes a function, or a pair (forward, backward)")
