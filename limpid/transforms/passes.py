"""Counting passes: how often a derivative went through a graph, and in which direction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from limpid.graph.context import context


@dataclass
class Passes:
    """How many passes went forward (tangents) and in reverse (gradients)."""

    forward: int = 0
    reverse: int = 0

    def __str__(self) -> str:
        return f"{self.forward} forward, {self.reverse} reverse"


@contextmanager
def count_passes() -> Iterator[Passes]:
    """Count the passes that transforms and `.backward()` make inside; per thread.

    A tall function (few inputs, many outputs) needs fewer passes in forward mode, a wide one in
    reverse mode:

    >>> import numpy as np, limpid
    >>> tall = lambda x: limpid.sum(x) * np.ones(100)
    >>> with limpid.count_passes() as passes:
    ...     jacobian = limpid.jacobian(tall, mode="forward")(np.ones(2))
    >>> print(passes)
    2 forward, 0 reverse
    >>> with limpid.count_passes() as passes:
    ...     jacobian = limpid.jacobian(tall, mode="reverse")(np.ones(2))
    >>> print(passes)
    0 forward, 100 reverse
    """
    state = context.state
    outer, state.passes = state.passes, Passes()
    try:
        yield state.passes
    finally:
        inner, state.passes = state.passes, outer
        if outer is not None:
            outer.forward += inner.forward
            outer.reverse += inner.reverse


def count_forward() -> None:
    """A tangent goes through a graph."""
    passes = context.state.passes
    if passes is not None:
        passes.forward += 1


def count_reverse() -> None:
    """A gradient goes through a graph."""
    passes = context.state.passes
    if passes is not None:
        passes.reverse += 1
