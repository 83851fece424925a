"""While somebody traces, primitives, storages, tensors and steps have other methods.

So tracing costs nothing when nobody does, not even a test per operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import Lock
from typing import Any

from limpid.compiler.steps.step import Step
from limpid.diagnosis.origin.tracer import Tracer
from limpid.differentiation.primitive import Primitive
from limpid.graph.context import context
from limpid.graph.node import Array
from limpid.storage import Storage
from limpid.tensor import Tensor

_lock = Lock()
_tracing = 0  # threads, or blocks within one another
_before: list[tuple[type, str, Any]] = []


@contextmanager
def methods_replaced() -> Iterator[None]:
    """Calls and writes are told to the tracer of their thread."""
    global _tracing
    with _lock:
        _tracing += 1
        if _tracing == 1:
            _replace()
    try:
        yield
    finally:
        with _lock:
            _tracing -= 1
            if not _tracing:
                for owner, name, method in _before:
                    setattr(owner, name, method)
                _before.clear()


def _replace() -> None:
    for owner in _family(Primitive):
        if "__call__" in vars(owner):
            _exchange(owner, "__call__", _traced_call)
    _exchange(Storage, "write", _traced_write)
    for name in ("item", "__float__"):
        _exchange(Tensor, name, _traced_number)
    _exchange(Step, "call", _traced_step)


def _family(owner: type) -> Iterator[type]:
    yield owner
    children: list[type] = owner.__subclasses__()
    for child in children:
        yield from _family(child)


def _exchange(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    home = next(c for c in owner.__mro__ if name in vars(c))
    method = vars(home)[name]
    _before.append((home, name, method))
    setattr(home, name, wraps(method)(make(method)))


def _tracer() -> Tracer | None:
    """That of this thread, unless values are not there because a graph is recorded."""
    state = context.state
    return state.tracer if state.recorder is None else None


def _traced_call(method: Any) -> Any:
    def call(op: Any, *operands: Any, **params: Any) -> Any:
        tracer = _tracer()
        if tracer is None:
            return method(op, *operands, **params)
        return tracer.call(method, op, operands, params)

    return call


def _traced_write(method: Any) -> Any:
    def write(storage: Storage, array: Array, source: Any = None) -> None:
        tracer = _tracer()
        if tracer is not None:
            tracer.written(storage, array)
        method(storage, array, source)

    return write


def _traced_number(method: Any) -> Any:
    def number(x: Any) -> Any:
        tracer = _tracer()
        if tracer is not None:
            tracer.number(x)
        return method(x)

    return number


def _traced_step(method: Any) -> Any:
    def call(step: Step, itself: Any, args: Any, kwargs: Any) -> Any:
        tracer = _tracer()
        if tracer is None or context.state.transforming:
            return method(step, itself, args, kwargs)
        return tracer.run(method, step, itself, args, kwargs)

    return call
