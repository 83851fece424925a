"""Explanations and derivations of compiled steps: the numbers are those of the native code.

The recorded graph is the one that runs; all values on the way to the output, and the gradients that
arrive, are probed in one call on copies of the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.compiler.steps.labels import VALUES
from limpid.compiler.steps.probes import ProbedGraph
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.selection import Probe
from limpid.errors import ArgumentError, NoGradientError
from limpid.explanation.build import explain_pass, wanted_nodes
from limpid.explanation.derivation.derivation import Derivation
from limpid.explanation.reasons.flow import Flow
from limpid.explanation.reasons.reason import Reason
from limpid.explanation.record import Explanation
from limpid.explanation.stepping.debugger import Debugger
from limpid.explanation.walk import Pass, Walk
from limpid.graph.graph import is_reference
from limpid.graph.node import Array, Node, reachable
from limpid.graph.registry import operation

Output = tuple[Node, int]


@operation
def explain_step(
    step: str, recording: Recording, inputs: Sequence[Array], state: Sequence[Array],
    output: str | None, wrt: Any, at: Any,
) -> Explanation:  # fmt: skip
    """What `explain` tells of a call of a compiled step."""
    made = _pass(step, recording, inputs, state, output)
    return explain_pass(made, _wanted(recording, made.nodes, wrt), at)


@operation
def derive_step(
    step: str, recording: Recording, inputs: Sequence[Array], state: Sequence[Array],
    output: str | None, wrt: Any,
) -> Derivation:  # fmt: skip
    """What `derive` tells of it."""
    from limpid.explanation.derivation.work import derive_pass

    made = _pass(step, recording, inputs, state, output)
    return derive_pass(made.nodes, made.output[0], _wanted(recording, made.nodes, wrt), made.values)


@operation
def debug_step(
    step: str, recording: Recording, inputs: Sequence[Array], state: Sequence[Array],
    output: str | None,
) -> Debugger:  # fmt: skip
    """A debugger of it, with the numbers of the call."""
    return Debugger(Walk(_pass(step, recording, inputs, state, output)))


@operation
def why_step(
    step: str, recording: Recording, inputs: Sequence[Array], state: Sequence[Array],
    output: str | None, p: Any,
) -> Reason:  # fmt: skip
    """What `why` tells of a parameter of it."""
    made = _pass(step, recording, inputs, state, output)
    (target,) = _wanted(recording, made.nodes, p)
    return Flow(Walk(made), (_start(target, made.nodes), 0)).reason()


def _start(target: Node, nodes: Sequence[Node]) -> Node:
    """Where gradients of an argument arrive: at the fresh input that a transform makes of it."""
    if target.requires_grad:
        return target
    made = [
        n
        for n in nodes
        if n.requires_grad
        and target in n.inputs
        and not any(isinstance(x, Node) and x.requires_grad for x in n.inputs)
    ]
    return made[0] if made else target


def _pass(
    step: str, recording: Recording, inputs: Sequence[Array], state: Sequence[Array],
    name: str | None,
) -> Pass:  # fmt: skip
    """The values of a call, and the gradients that arrive in it."""
    output = _output(step, recording, name)
    nodes = reachable([output[0]])
    known = dict(zip(recording.graph.inputs.values(), inputs, strict=True))
    slots = (*recording.graph.slots.values(), *recording.idle.values())
    known.update(zip(slots, state, strict=True))
    values: list[Output] = [
        (node, k) for node in nodes if node not in known for k in range(len(node.outputs))
    ]
    here = set(nodes)
    totals = {
        place: found[0] for place, found in recording.trail.upstream.items() if place[0] in here
    }
    wanted = [*values, *(r for r in totals.values() if is_reference(r))]
    probes = [Probe(str(n), "", reference) for n, reference in enumerate(wanted)]
    graph = ProbedGraph(recording.graph, recording.idle, probes)
    found = graph.named(graph.run(inputs, state)[2])
    numbers: dict[Any, Any] = {
        reference: np.asarray(found[str(n)]) for n, reference in enumerate(wanted)
    }
    arrived = {
        place: np.asarray(numbers[r] if is_reference(r) else r) for place, r in totals.items()
    }
    return Pass(
        nodes, output, {**known, **_by_node(values, numbers)}, arrived[output], arrived
    )  # fmt: skip


def _by_node(places: Sequence[Output], numbers: dict[Any, Any]) -> dict[Node, Any]:
    """Values of nodes, tuples where they have several outputs."""
    found: dict[Node, list[Any]] = {}
    for node, k in places:
        found.setdefault(node, []).append(numbers[node, k])
    return {node: x[0] if len(node.outputs) == 1 else tuple(x) for node, x in found.items()}


def _output(step: str, recording: Recording, name: str | None) -> Output:
    """The value whose gradient the step takes: the newest, or the one of a name."""
    upstream = recording.trail.upstream
    if name is None:
        places = [place for place in upstream if place[0].origin is None and place[0].inputs]
        if not places:
            raise NoGradientError(f"{step} takes no gradient, so there is nothing to explain")
        return max(places, key=lambda place: place[0].number)
    for sort in recording.labels[VALUES]:
        reference: Any = sort.values.get(name)
        if reference is not None and is_reference(reference) and reference in upstream:
            node, index = reference
            return node, index
    raise ArgumentError(f"{step} takes no gradient of a value called {name!r}")


def _wanted(recording: Recording, nodes: Sequence[Node], wrt: Any) -> list[Node]:
    """Nodes of tensors, or of names of state and arguments."""
    given = [] if wrt is None else list(wrt) if isinstance(wrt, list | tuple) else [wrt]
    leaves = {**recording.graph.inputs, **recording.trail.slots}
    here, found = set(nodes), []
    for x in given:
        if isinstance(x, str) and leaves.get(x) in here:
            found.append(leaves[x])
        elif isinstance(x, str):
            names = ", ".join(name for name, node in leaves.items() if node in here)
            raise ArgumentError(f"wrt: the output depends on no {x!r}; there are {names}")
        else:
            found += wanted_nodes(nodes, x)
    return found


def native_values(
    recording: Recording, inputs: Sequence[Array], state: Sequence[Array]
) -> dict[Node, Any]:
    """The values of all nodes of a recording as its native code computes them."""
    graph = recording.graph
    places = [(node, k) for node in graph.nodes for k in range(len(node.outputs))]
    probes = [Probe(str(n), "", place) for n, place in enumerate(places)]
    probed = ProbedGraph(graph, recording.idle, probes)
    found = probed.named(probed.run(inputs, state)[2])
    numbers = {place: np.asarray(found[str(n)]) for n, place in enumerate(places)}
    known = dict(zip(graph.inputs.values(), inputs, strict=True))
    known.update(zip((*graph.slots.values(), *recording.idle.values()), state, strict=True))
    return {**known, **_by_node(places, numbers)}
