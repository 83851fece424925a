"""`trace_nans`: a block within which NaN and infinities are followed to where they were born."""

from __future__ import annotations

from contextlib import ContextDecorator, ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from limpid.graph.context import context
from limpid.graph.registry import operation

if TYPE_CHECKING:
    from limpid.diagnosis.origin.record import Origin
    from limpid.diagnosis.origin.tracer import Tracer


@operation
def trace_call(*call: Any) -> Origin | None:
    """The first birth in a call of a compiled step, which finds this by name: see `calls.py`."""
    from limpid.diagnosis.origin import calls

    return calls.trace_call(*call)


class trace_nans(ContextDecorator):  # noqa: N801  # a context manager and decorator, as no_grad is
    """Raise at the place where a NaN or an infinity starts to matter, and say where it was born.

    Within the block, on this thread: operations, backward passes, updates, and the calls of
    compiled steps. What matters is the value that a backward pass begins with, a gradient, a slot
    that is written (a parameter, an optimiser's state), a NaN that becomes a Python number, and one
    that is still held, with nothing computed from it, when the block ends. What is thrown away,
    such as the −inf of a mask, does not matter. `docs/nans.md` says what is found, and how.

    Raises NonFiniteError, whose `origin` is the record; it is also `trace.origin`.

    >>> import limpid
    >>> x = limpid.tensor([4.0, 0.0], requires_grad=True)
    >>> with limpid.trace_nans():
    ...     limpid.sum(limpid.sqrt(x)).backward()
    Traceback (most recent call last):
    limpid.errors.NonFiniteError: inf: born in the backward pass, in the derivative of sqrt...
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._tracer: Tracer | None = None
        self._outer: list[Tracer | None] = []

    @property
    def origin(self) -> Origin | None:
        """The record of what was found; None as long as nothing was."""
        return None if self._tracer is None else self._tracer.origin

    def __enter__(self) -> trace_nans:
        from limpid.diagnosis.origin.methods import methods_replaced
        from limpid.diagnosis.origin.tracer import Tracer

        state = context.state
        self._outer.append(state.tracer)
        if state.tracer is None:
            state.tracer = Tracer()
            failed = state.tracer.numpy_failed
            self._stack.enter_context(
                np.errstate(divide="call", invalid="call", over="call", call=failed)
            )
        self._tracer = state.tracer
        self._stack.enter_context(methods_replaced())
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        tracer, outer = context.state.tracer, self._outer.pop()
        context.state.tracer = outer
        if not self._outer:
            self._stack.close()
        if outer is None:
            tracer.disarm()
            if kind is None:
                tracer.close()
