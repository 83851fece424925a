"""Causes inside a function: which one mistake, at which edge of its graph, gives what was found?

Every edge is changed in turn, as people get it wrong, and the backward pass run again. No operation
is known by name: what can go wrong follows from the kind of the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.kinds import Local
from limpid.differentiation.relation import structure
from limpid.explanation.checking.evidence import Evidence
from limpid.explanation.checking.finding import Cause
from limpid.explanation.checking.forms import name_factor
from limpid.explanation.checking.regions import in_region
from limpid.explanation.checking.replay import Change, Edge, Passing, Replay, place
from limpid.graph.graph import input_specs
from limpid.graph.node import Array
from limpid.transforms.point import Vector

MOST_EDGES = 150
Search = Callable[[Evidence, Replay], Cause | None]


class Mistake(NamedTuple):
    """A way to get an edge wrong."""

    name: str
    statement: str
    remedy: str
    change: Change


def inside(e: Evidence) -> Cause | None:
    """The first single mistake that explains all numbers."""
    return _first(e, (one_path, one_edge))


def deeper(e: Evidence) -> Cause | None:
    """The same of parts that are one operation to people, of several uses, of loops."""
    return _first(e, (in_region, several_paths, every_time))


def _first(e: Evidence, searches: tuple[Search, ...]) -> Cause | None:
    for search in searches:
        for replay in e.replays:
            if len(replay.edges) > MOST_EDGES:
                continue
            cause = search(e, replay)
            if cause is not None:
                return cause
    return None


def one_path(e: Evidence, replay: Replay) -> Cause | None:
    """What flows along one edge is left out, or has a factor."""
    if len(replay.edges) < 2:
        return None
    off = _off(e)
    for edge in replay.edges:
        c = _factor(e, off, _flow(e, replay, edge))
        if c is not None:
            return _path_cause(e, replay, edge, 1 + c)
    return None


def several_paths(e: Evidence, replay: Replay) -> Cause | None:
    """Of three or more uses of a value more than one contribution is left out."""
    by_target: dict[Any, list[Edge]] = {}
    for edge in replay.edges:
        by_target.setdefault((edge.node.inputs[edge.i], edge.node.indices[edge.i]), []).append(edge)
    off = _off(e)
    for edges in by_target.values():
        if not 3 <= len(edges) <= 12:
            continue
        flows = np.array([_flow(e, replay, edge) for edge in edges])
        for count in range(2, len(edges)):
            for left_out in combinations(range(len(edges)), count):
                if _factor(e, off, flows[list(left_out)].sum(0)) == -1:
                    return _several_left_out([edges[i] for i in left_out], len(edges))
    return None


def _several_left_out(edges: list[Edge], uses: int) -> Cause:
    return Cause(
        "accumulation",
        f"{len(edges)} of the {uses} contributions to one value are missing: what comes back "
        f"through {', '.join(place(edge.node) for edge in edges)}",
        "the right gradient without them equals the analytic one",
        "add the gradients of all uses of a value",
    )


def _off(e: Evidence) -> Array:
    return np.array([f - r for f, r in zip(e.found, e.expected, strict=True)])


def _flow(e: Evidence, replay: Replay, edge: Edge) -> Array:
    """The part of the right gradient that comes along an edge, for each trial."""
    return np.array(
        [replay.pull(gs)[e.k] - replay.pull(gs, [edge], _nothing)[e.k] for gs in e.upstream]
    )


def _factor(e: Evidence, off: Array, flow: Array) -> float | None:
    """The number c for which off = c · flow in all trials."""
    use = np.broadcast_to(e.use, flow.shape)
    flow, off = flow[use], off[use]
    size = float(flow @ flow)
    if size <= (1e-9 * e.scale) ** 2:
        return None
    c = float(off @ flow) / size
    allowed = max(e.tolerance, 1e-7) * np.abs(off).max()
    if np.abs(off - c * flow).max() > allowed:
        return None
    return -1.0 if abs(c + 1) < max(1e-6, e.tolerance) else c


def _path_cause(e: Evidence, replay: Replay, edge: Edge, c: float) -> Cause:
    where = f" on the way back through {place(edge.node)}"
    target = edge.node.inputs[edge.i]
    if c == 0:
        uses = replay.uses(target)
        return Cause(
            "accumulation",
            f"a contribution is missing: what comes{where}",
            f"the right gradient without that contribution equals the analytic one; the value is "
            f"used {uses} times",
            "add the gradients of all uses of a value",
        )
    return name_factor(e, c, f"the part that comes{where} is {c:.6g} times what it must be", where)


def one_edge(e: Evidence, replay: Replay) -> Cause | None:
    """A wrong rule at one edge."""
    return _wrong_at(e, replay, [[edge] for edge in replay.edges])


def every_time(e: Evidence, replay: Replay) -> Cause | None:
    """The same wrong rule each time that a line of a loop ran."""
    groups: dict[Any, list[Edge]] = {}
    for edge in replay.edges:
        groups.setdefault((edge.node.op, edge.node.source, edge.i), []).append(edge)
    return _wrong_at(e, replay, [edges for edges in groups.values() if len(edges) > 1])


def _wrong_at(e: Evidence, replay: Replay, places: list[list[Edge]]) -> Cause | None:
    for edges in places:
        for mistake in _mistakes(replay, edges[0]):
            if e.fits(_pulled(e, replay, edges, mistake, gs) for gs in e.upstream):
                times = f", each of the {len(edges)} times" if len(edges) > 1 else ""
                return Cause(
                    mistake.name,
                    f"{mistake.statement} in {place(edges[0].node)}{times}",
                    "with this one change the right backward pass gives the analytic gradient",
                    mistake.remedy,
                )
    return None


def _pulled(
    e: Evidence, replay: Replay, edges: list[Edge], mistake: Mistake, gs: Vector
) -> Array | None:
    try:
        return replay.pull(gs, edges, mistake.change)[e.k]
    except Exception:  # a change that does not fit this node
        return None


def _nothing(passing: Passing) -> None:
    """What passes along an edge that was forgotten."""


def _mistakes(replay: Replay, edge: Edge) -> Iterator[Mistake]:
    node, i = edge
    if isinstance(node.op.derivative(i), Local):  # type: ignore[attr-defined]
        yield from _local_mistakes(edge, replay)
    else:
        yield from _transposes(edge)
    if len(replay.edges) > 1:
        yield from _routes(edge)


def _local_mistakes(edge: Edge, replay: Replay) -> Iterator[Mistake]:
    rule = edge.node.op.derivative(edge.i).rule  # type: ignore[attr-defined]
    if isinstance(rule, int):
        return
    operands = replay.operands(edge.node)
    values = _values(rule(replay.values[edge.node], *operands, **edge.node.params))
    gate = len(values) == 2 and values[0] == 0
    if len(values) == 2:
        yield Mistake(
            "mask",
            "the mask is from the wrong side",
            "pass the gradient where the forward passed the value",
            _exchange(values),
        )
    yield Mistake(
        "mask missing" if gate else "chain",
        "the mask is left out" if gate else "the local derivative is left out",
        "multiply the upstream gradient by the local derivative",
        lambda passing: passing.g,
    )
    yield Mistake("output for input", "the forward output is used where the input is needed",
                  "keep the input in the forward pass", _with_output)  # fmt: skip
    yield Mistake("input for output", "the input is used where the forward output is needed",
                  "keep the output in the forward pass",
                  lambda p: p.passed(y=p.operands[p.edge.i]))  # fmt: skip


def _values(local: Any) -> list[float]:
    return [float(v) for v in np.unique(np.asarray(local, float))[:3]]


def _exchange(values: list[float]) -> Change:
    def change(passing: Passing) -> Any:
        node, i = passing.edge
        rule = node.op.derivative(i).rule  # type: ignore[attr-defined]
        local = np.asarray(rule(passing.y, *passing.operands, **node.params), float)
        return passing.g * (sum(values) - local)

    return change


def _with_output(passing: Passing) -> Any:
    operands = list(passing.operands)
    operands[passing.edge.i] = passing.y
    return passing.passed(operands=operands)


def _transposes(edge: Edge) -> Iterator[Mistake]:
    statement, remedy = "a factor is not transposed", "the backward of A B is g Bᵀ and Aᵀ g"
    for j in range(len(edge.node.inputs)):
        if j != edge.i:
            yield Mistake("transposed", statement, remedy, _operand_turned(j))
    yield Mistake("transposed", "the upstream gradient is transposed", remedy,
                  lambda p: p.passed(g=_turn(p.g)))  # fmt: skip
    yield Mistake("transposed", "the result is transposed", remedy, lambda p: _turn(p.passed()))


def _operand_turned(j: int) -> Change:
    def change(passing: Passing) -> Any:
        operands = list(passing.operands)
        operands[j] = _turn(operands[j])
        return passing.passed(operands=operands)

    return change


def _turn(x: Any) -> Any:
    x = np.asarray(x)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError("not square")
    return np.swapaxes(x, -1, -2)


def _routes(edge: Edge) -> Iterator[Mistake]:
    yield Mistake("upstream", "the upstream gradient is ignored",
                  "multiply the local derivative by the upstream gradient",
                  lambda p: p.passed(g=np.ones_like(p.g)))  # fmt: skip
    node = edge.node
    for j in range(len(node.inputs)):
        if j != edge.i and node.op.differentiable >> j & 1:  # type: ignore[attr-defined]
            yield Mistake("swapped", "the gradient of another operand is used",
                          "each operand has its own local derivative", _rule_of(j))  # fmt: skip
    relation = node.op.relation(input_specs(node), node.params)  # type: ignore[attr-defined]
    moves = structure(relation, edge.i, 0) in ("permutation", "selection", "diagonal")
    yield Mistake(
        "moved" if moves else "chain",
        "the move is not undone" if moves else "the local derivative is left out",
        "move the gradient back" if moves else "multiply the upstream gradient by the derivative",
        _unchanged,
    )


def _rule_of(j: int) -> Change:
    return lambda passing: passing.passed(edge=Edge(passing.edge.node, j))


def _unchanged(passing: Passing) -> Any:
    x = np.asarray(passing.operands[passing.edge.i])
    if np.shape(passing.g) != x.shape:
        raise ValueError("another shape")
    return passing.g
