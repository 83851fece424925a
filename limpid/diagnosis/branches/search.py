"""Looking for masked branches in what was computed, recorded or compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.step import Step
from limpid.compiler.steps.step import compile as compiled
from limpid.diagnosis.branches.choices import Ways
from limpid.diagnosis.branches.finding import MaskedBranch
from limpid.diagnosis.branches.present import Hazard, present
from limpid.diagnosis.branches.trials import latent
from limpid.errors import ArgumentError
from limpid.explanation.values import forward_values
from limpid.graph.graph import Graph, is_reference, pick
from limpid.graph.node import Node, reachable
from limpid.graph.source import locate
from limpid.tensor import Tensor
from limpid.transforms.recording import Recorded

Output = tuple[Node, int]


def masked_branches(target: Any, *args: Any, **kwargs: Any) -> list[MaskedBranch]:
    """Choices that come too late: what they discard still makes NaN of the gradient.

    target  a tensor that was computed; a compiled step or a function, with its arguments; or a
            graph. Of a tensor the numbers are looked at that it was computed from; of a graph the
            formulas; of the rest both. Nothing is written, and a step's state stays as it is

    A finding says which line chooses, which operation stands behind it, whether its derivative
    is not finite there now (`happens`), and a remedy. A choice with `safe=True` is none, nor is
    one whose operation only sees numbers that it is made for.

    Raises ArgumentError for what is none of these.

    >>> import numpy as np, limpid
    >>> def f(x):
    ...     return limpid.sum(limpid.where(x > 0, limpid.log(x), 0.0))
    >>> found, = limpid.diagnosis.masked_branches(f, np.array([1.0, 2.0]))
    >>> found.operation, found.happens, found.example
    ('log', False, 'at x = 0 the local derivative is inf')
    >>> def g(x):
    ...     return limpid.sum(limpid.where(x > 0, limpid.log(x), 0.0, safe=True))
    >>> limpid.diagnosis.masked_branches(g, np.array([1.0, 2.0]))
    []
    """
    if isinstance(target, Tensor):
        return _of_tensor(target)
    if isinstance(target, Recorded):
        target = target.graph
    if isinstance(target, Graph):
        return _of_graph(target)
    if not callable(target):
        raise ArgumentError(
            "masked_branches takes a tensor, a compiled step or a function with its arguments, or "
            f"a graph, not {target!r:.60}"
        )
    step = target if hasattr(target, "_call_of") else compiled(target)
    if isinstance(step, Step) and not (args or kwargs) and step.count:
        return _of_graph(step.graph)
    return _of_call(step, args, kwargs)


def hazards(ends: Sequence[Output], values: Mapping[Node, Any] | None) -> list[Hazard]:
    """What there is behind outputs whose gradients are taken.

    values  of all nodes before them; without them only the formulas are looked at
    """
    ways = Ways([node for node, _ in ends])
    if not ways.choosing:
        return []
    now = [] if values is None else present(ways, list(ends), values)
    known = {(h.node, h.choice) for h in now}
    ever = [h for h in latent(ways) if (h.node, h.choice) not in known]
    if values is not None:  # looked for and not there
        ever = [Hazard(h.node, h.choice, h.example, 0, 0, 0) for h in ever]
    return sorted([*now, *ever], key=lambda h: (h.choice.number, h.node.number))


def told(found: Iterable[Hazard]) -> list[MaskedBranch]:
    """Findings, each line and operation once; those of several calls of it are counted together."""
    made: dict[Any, MaskedBranch] = {}
    for h in found:
        at, chosen = locate(h.node.source), locate(h.choice.source)
        branch = MaskedBranch(
            h.node.op.name, at, chosen, h.example, h.discarded, h.outside, h.poisoned
        )
        key = branch.operation, at, chosen
        made[key] = branch if key not in made else _together(made[key], branch)
    return list(made.values())


def _together(a: MaskedBranch, b: MaskedBranch) -> MaskedBranch:
    def added(x: int | None, y: int | None) -> int | None:
        return None if x is None or y is None else x + y

    example = b.example if b.happens and not a.happens else a.example
    return MaskedBranch(
        a.operation, a.at, a.chosen_at, example, added(a.discarded, b.discarded),
        added(a.outside, b.outside), added(a.poisoned, b.poisoned),
    )  # fmt: skip


def _of_tensor(output: Tensor) -> list[MaskedBranch]:
    if output.node is None or not output.requires_grad:
        return []
    if output._value is None:
        raise ArgumentError("masked_branches: this tensor belongs to a recording; pass the graph")
    nodes = reachable([output.node])
    return told(hazards([(output.node, output.index)], forward_values(nodes)))


def _of_graph(graph: Graph) -> list[MaskedBranch]:
    return told(hazards(_ends(graph, {}), None))


def _of_call(step: Callable[..., Any], args: Any, kwargs: Any) -> list[MaskedBranch]:
    _, recording, inputs, state = step._call_of(args, kwargs)  # type: ignore[attr-defined]  # a step
    ends = _ends(recording.graph, recording.trail.upstream)
    return told(hazards(ends, _values(recording, inputs, state, ends)))


def _ends(graph: Graph, differentiated: Mapping[Output, Any]) -> list[Output]:
    """The values whose gradients are taken; without any, what the graph gives."""
    backward = [(node.origin.node, 0) for node in graph.nodes if node.origin is not None]
    places = [
        (node, k)
        for node, k in dict.fromkeys(differentiated or backward)
        if node.origin is None and node.inputs
    ]
    here = {node for node, _ in places}
    read = {x for node in here for x in node.inputs if isinstance(x, Node)}
    ends = [(node, k) for node, k in places if node not in read]
    if ends:
        return ends
    results = [r for r in graph.outputs if is_reference(r)]
    return [
        (node, k)
        for node, k in dict.fromkeys(results)
        if node.origin is None and node.outputs[k].dtype.kind == "float"
    ]


def _values(
    recording: Recording, inputs: Sequence[Any], state: Sequence[Any], ends: Sequence[Output]
) -> dict[Node, Any]:
    """The values of all nodes before the ends in this call, by NumPy."""
    values: dict[Node, Any] = dict(zip(recording.graph.inputs.values(), inputs, strict=True))
    slots = (*recording.graph.slots.values(), *recording.idle.values())
    values.update(zip(slots, state, strict=True))
    with np.errstate(all="ignore"):
        for node in reachable([node for node, _ in ends]):
            if node not in values:
                operands = [pick(values, x, k) for x, k in zip(node.inputs, node.indices)]
                values[node] = node.op.evaluate(operands, node.params)
    return values
