"""One number that tells whether everything that a call leaves is finite.

It is the sum of all that matters: NaN and infinities stay in a sum. Computing it is one addition
in the loops that write these values anyway; a sum of finite numbers that overflows is a false
alarm, which a replay clears up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from limpid.compiler.steps.recordings import Recording
from limpid.differentiation.rules import RuleRecorder
from limpid.graph.context import absolute_scope, context, recording_into
from limpid.graph.graph import Graph, Reference, is_reference, pick
from limpid.graph.node import Node
from limpid.graph.registry import operations
from limpid.transforms.body import reference_of, tensor_of

SCOPE = "finite"  # of the nodes that compute flags
STRICT, LENIENT, NANS_ONLY = range(3)  # infinities count: everywhere; in state; nowhere


def watched(recording: Recording) -> tuple[list[Reference], list[Reference]]:
    """Values that matter: results; and losses, gradients and new state."""
    graph = recording.graph
    state = [*recording.losses(), *graph.writes.values(), *_uncovered(recording)]
    results = list(graph.outputs[: recording.made])
    return _floats(x for x in results if x not in state), _floats(state)


def flag(recording: Recording, leniency: int) -> Reference | None:
    """A value of the graph that is finite if all that matters is; None if nothing matters."""
    results, state = watched(recording)
    by_type: dict[str, list[Any]] = {}
    with recording_into(RuleRecorder()), absolute_scope(SCOPE):
        context.state.grad_enabled = False
        for references, infinities in (
            (results, leniency < LENIENT),
            (state, leniency < NANS_ONLY),
        ):
            for reference in references:
                x = _sum(tensor_of(reference), infinities)
                by_type.setdefault(x.dtype.name, []).append(x)
        sums = [_total(parts) for parts in by_type.values()]
        wide = [operations["astype"](x, "float64") for x in sums]
        return reference_of(reduce(lambda a, b: a + b, wide)) if wide else None


def _total(parts: Sequence[Any]) -> Any:
    """The sum of numbers, in pairs: so that no addition waits for all others."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2])
        parts = [*(a + b for a, b in pairs), *parts[len(parts) - len(parts) % 2 :]]
    return parts[0]


def _sum(x: Any, infinities: bool) -> Any:
    if x.dtype.name == "float16":
        x = operations["astype"](x, "float32")
    if not infinities:
        x = operations["where"](operations["isinf"](x), 0.0, x)
    return operations["sum"](x) if x.shape else x


def _floats(references: Iterable[Reference]) -> list[Reference]:
    found = (
        x
        for x in references
        if is_reference(x) and x[0].inputs and x[0].outputs[x[1]].dtype.kind == "float"
    )
    return list(dict.fromkeys(found))


# Gradients: most show in the new state


def _uncovered(recording: Recording) -> list[Reference]:
    """Gradients in which a NaN or an infinity would not show in new state.

    That is tried out on the part of the graph between them, with ones for all else.
    """
    graph = recording.graph
    left = [graph.outputs[number] for _, number in recording.gradients if number is not None]
    found = _floats(left)
    writes = _floats(graph.writes.values())
    return [x for x in found if not all(_shows(graph, x, writes, bad) for bad in (np.nan, np.inf))]


def _shows(graph: Graph, gradient: Reference, writes: Sequence[Reference], bad: float) -> bool:
    """Whether some new state is nowhere finite if a gradient is nowhere."""
    start, index = gradient
    values: dict[Node, Any] = {start: _filled(start, 1.0)}
    made = _filled(start, bad)
    values[start] = made if len(start.outputs) == 1 else tuple(
        x if k == index else ones
        for k, (x, ones) in enumerate(zip(made, _filled(start, 1.0), strict=True))
    )  # fmt: skip
    reached = {start}
    for node in graph.nodes:
        if node.number > start.number and not reached.isdisjoint(_parents(node)):
            operands = [
                pick({x: values.get(x, _ONES) if x in reached else _filled(x, 1.0)}, x, i)
                if type(x) is Node
                else x
                for x, i in zip(node.inputs, node.indices, strict=True)
            ]
            try:
                with np.errstate(all="ignore"):
                    values[node] = node.op.evaluate(operands, node.params)
            except Exception:
                return False
            reached.add(node)
    ends = (pick(values, *x) for x in writes if x[0] in reached)
    return any(not np.isfinite(np.asarray(y)).any() for y in ends)


_ONES = 1.0


def _parents(node: Node) -> list[Node]:
    return [x for x in node.inputs if type(x) is Node]


def _filled(node: Node, number: float) -> Any:
    parts = [
        np.full(y.shape, number if y.dtype.kind == "float" else 1, y.dtype.storage)
        for y in node.outputs
    ]
    return parts[0] if len(parts) == 1 else tuple(parts)
