"""How a graph is run on this machine: in native code where there is a processor for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from limpid.compiler.machine import sources  # noqa: F401  # it notes when limpid was imported
from limpid.compiler.machine.target import native_target
from limpid.compiler.steps.executor import Executor
from limpid.graph.graph import Graph
from limpid.graph.node import Node


def prepare(
    graph: Graph,
    gradients: Sequence[tuple[Node, int | None]] = (),
    probes: Collection[int] = (),
) -> Any:
    """What runs a graph: an `Executor`, or what has an `update` besides.

    gradients  leaves, each with the number of the output that `update` leaves in its `.grad`, or
               None; it returns None for such an output
    probes     outputs that are only looked at: the others have the same bits as without them
    """
    target = native_target()
    if target is None:
        return Executor(graph)
    from limpid.compiler.steps.compiled import Compiled  # and with it all that writes native code

    return Compiled(graph, target, gradients, probes)


def runs_in_place() -> bool:
    """Whether what `prepare` gives has an `update`."""
    return native_target() is not None


def make_ready() -> None:
    """Import what `prepare` needs, for which a first call would have to wait."""
    if native_target() is not None:
        import limpid.compiler.steps.compiled  # noqa: F401  # done when it is there
