"""Tracing a call of a compiled step: its graph runs again from the state that the call found."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.steps.recordings import Recording
from limpid.diagnosis.origin.computation import STATE, has_fault
from limpid.diagnosis.origin.graphs import GraphRun, NodeRun, evaluated, leaves_of
from limpid.diagnosis.origin.record import INPUT, Origin
from limpid.diagnosis.origin.search import Found
from limpid.diagnosis.origin.telling import kind_of, origin_of
from limpid.explanation.compiled import native_values
from limpid.graph.graph import is_reference, pick
from limpid.graph.node import Array, Node

OTHER = (
    "NumPy, which runs the graph again node by node, finds no fault where native code did: these "
    "are the values of native code"
)


class Sink(NamedTuple):
    """A value that matters: what it is called, whether it is state, what it was before."""

    name: str
    reference: Any
    writes: bool = False
    before: Any = None
    is_result: bool = False


def trace_call(
    recording: Recording, inputs: Sequence[Array], state: Sequence[Array], number: int
) -> Origin | None:
    """The first birth in a call; None if nothing that matters is NaN or infinite.

    state   of the graph's slots, then of the idle ones
    number  of the call, from 1
    """
    graph = recording.graph
    slots = dict(zip((*graph.slots.values(), *recording.idle.values()), state))
    known = list(slots.values())[: len(graph.slots)]
    values, refused = evaluated(graph, inputs, known)
    if refused is not None:
        found = _earliest(_run(recording, values, slots), _operands(refused), values)
        return None if found is None else _told(recording, values, *found, number, "")
    found = _first(recording, values, slots)
    if found is None:
        native = native_values(recording, inputs, state)
        found = _first(recording, native, slots)
        return None if found is None else _told(recording, native, *found, number, OTHER)
    return _told(recording, values, *found, number, "")


def _first(
    recording: Recording, values: dict[Node, Any], slots: dict[Node, Any]
) -> tuple[Found, Sink, GraphRun] | None:
    """The earliest birth for the first sort of values that are not finite."""
    run = _run(recording, values, slots)
    for sinks in (_losses(recording), _gradients(recording), _writes(recording, slots)):
        found = _earliest(run, sinks, values)
        if found is not None:
            return found
    return None


def _run(recording: Recording, values: dict[Node, Any], slots: dict[Node, Any]) -> GraphRun:
    names = leaves_of(recording.graph)
    names.update((node, (STATE, name)) for name, node in recording.idle.items())
    return GraphRun(recording.graph, {**slots, **values}, names)


def _earliest(
    run: GraphRun, sinks: Iterable[Sink], values: dict[Node, Any]
) -> tuple[Found, Sink, GraphRun] | None:
    """The earliest birth that got to one of these."""
    births = []
    for sink in sinks:
        found = run.search(sink.reference) if _matters(sink, values) else None
        if found is not None and not (sink.is_result and _is_meant(found, sink, values)):
            births.append((found, sink))
    if not births:
        return None
    found, sink = min(births, key=lambda birth: birth[0].time)
    return found, sink, run


def _operands(refused: Node) -> Iterator[Sink]:
    """What a node would not take."""
    for x, i in zip(refused.inputs, refused.indices, strict=True):
        if isinstance(x, Node):
            yield Sink(f"{refused.op.name}, which refuses it", (x, i))


def _losses(recording: Recording) -> Iterator[Sink]:
    """What backward passes begin with, then other results."""
    graph, starts = recording.graph, recording.losses()
    for reference in starts:
        yield Sink("the loss", reference)
    titles = [*graph.titles, *[""] * len(graph.outputs)]
    for title, reference in zip(titles, graph.outputs[: recording.made]):
        if is_reference(reference) and reference not in starts:
            yield Sink(title or "a result", reference, is_result=True)


def _gradients(recording: Recording) -> Iterator[Sink]:
    """What the backward passes bring to the leaves, and what is left there in the end."""
    graph, trail = recording.graph, recording.trail
    here = set(graph.nodes)
    names = {node: name for name, node in (*graph.slots.items(), *graph.inputs.items())}
    for (node, _), gradients in trail.upstream.items():
        if not node.inputs and node in names:
            for g in gradients:
                if is_reference(g) and g[0] in here:
                    yield Sink(f"the gradient of {names[node]}", g)
    for node, number in recording.gradients:
        if number is not None:
            name = names.get(node, "a tensor")
            yield Sink(f"the gradient of {name}", graph.outputs[number], writes=True)


def _writes(recording: Recording, slots: dict[Node, Any]) -> Iterator[Sink]:
    graph = recording.graph
    for name, reference in graph.writes.items():
        yield Sink(name, reference, True, slots.get(graph.slots[name]))


def _matters(sink: Sink, values: dict[Node, Any]) -> bool:
    """Whether there is a fault that was not there before."""
    if not is_reference(sink.reference) or sink.reference[0] not in values:
        return False
    x = np.asarray(pick(values, *sink.reference))
    if not has_fault(x):
        return False
    if sink.before is None or np.shape(sink.before) != x.shape:
        return True
    before = np.asarray(sink.before)
    return bool((~np.isfinite(x) & (np.isfinite(before) | (np.isnan(x) & ~np.isnan(before)))).any())


def _is_meant(found: Found, sink: Sink, values: dict[Node, Any]) -> bool:
    """Whether a result only holds infinities that were put there on purpose, as scores do."""
    x = np.asarray(pick(values, *sink.reference))
    return found.meant and not bool(np.isnan(x).any())


def _told(
    recording: Recording, values: dict[Node, Any], found: Found, sink: Sink, run: GraphRun,
    number: int, note: str,
) -> Origin:  # fmt: skip
    computation = found.place[0]
    edge = None
    if isinstance(computation, NodeRun) and found.leaf is None and computation.forward is not None:
        edge = run.edge_of(computation.node, recording.trail.upstream)
    if edge is not None:
        lifted = _lifted(found, edge)
        found = found if lifted is None else lifted
    origin = origin_of(found, number, sink.name, writes=sink.writes, note=note)
    name = _name_of_rest(origin)
    return replace(origin, producer=name, rule=origin.rule.replace(origin.producer, name, 1))


def _name_of_rest(origin: Origin) -> str:
    """One of `*arguments` by the name that it has in the expression which reads it first."""
    if origin.born != INPUT or not re.fullmatch(r"arg\d+", origin.producer):
        return origin.producer
    try:
        parts = ast.parse(origin.expression.strip(), mode="eval").body
    except SyntaxError:
        return origin.producer
    given = parts.args if isinstance(parts, ast.Call) else [parts]
    names = [x.id for x in given if isinstance(x, ast.Name)]
    if isinstance(parts, ast.BinOp):
        names = [x.id for x in (parts.left, parts.right) if isinstance(x, ast.Name)]
    return names[0] if names else origin.producer


def _lifted(found: Found, edge: Any) -> Found | None:
    """The birth as one of upstream × local = downstream, which people know."""
    try:
        made = np.asarray(edge.outputs()[0])
    except Exception:
        return None
    if not kind_of(made):
        return None
    entries = ~np.isfinite(made)
    rest = [place for place in found.path if place[0].forward is not edge.forward]
    return Found((edge, 0), entries, None, 0, False, [(edge, 0), *rest])
