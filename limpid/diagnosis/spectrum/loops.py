"""Recurrences: the Jacobians of a loop's state from one time step to the next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from limpid.diagnosis.spectrum.backward import gradients_of
from limpid.diagnosis.spectrum.chain import on_the_way
from limpid.diagnosis.spectrum.lanczos import Norms
from limpid.diagnosis.spectrum.piece import Piece, Place, gradient_at, join, spec_at
from limpid.diagnosis.spectrum.record import Loop
from limpid.diagnosis.spectrum.tracing import Traced
from limpid.graph.node import Array, Node

ITERATION = re.compile(r"^(?:(.*?)\.)?scan\[(\d+)\]")
LEFT = 0.01  # the share of a gradient at which it counts as gone
CLIP = 1.05  # the growth for each step from which clipping is advised


def measure_loops(traced: Traced, find: Callable[[Piece], Norms]) -> list[Loop]:
    """The loops that `limpid.scan` ran, outermost ones, in the order in which they ran."""
    made: list[Loop] = []
    taken: dict[str, int] = {}
    for name, iterations in loops_of(traced.nodes):
        states = states_of(iterations)
        if len(states) < 2:
            continue
        taken[name] = taken.get(name, 0) + 1
        number = f"#{taken[name]}" if taken[name] > 1 else ""
        made.append(_measured(name + number, traced, states, find))
    return made


def loops_of(nodes: Sequence[Node]) -> Iterator[tuple[str, list[list[Node]]]]:
    """Each loop by name, with the nodes of its iterations in the order in which they ran."""
    found: list[tuple[str, int, list[Node]]] = []
    for key, group in groupby(nodes, lambda node: _iteration(node.scope)):
        if key is not None:
            found.append((*key, list(group)))
    name, step, loop = "", 0, list[list[Node]]()
    for k, (path, number, members) in enumerate(found):
        move = number - found[k - 1][1] if k else 0
        goes_on = bool(loop) and path == name and abs(move) == 1 and step in (0, move)
        if not goes_on and loop:
            yield name, loop
        name, step, loop = path, move if goes_on else 0, [*(loop if goes_on else ()), members]
    if loop:
        yield name, loop


def _iteration(scope: str) -> tuple[str, int] | None:
    match = ITERATION.match(scope)
    if match is None:
        return None
    return f"{match[1]}.scan" if match[1] else "scan", int(match[2])


def states_of(iterations: Sequence[Sequence[Node]]) -> list[tuple[Place, ...]]:
    """What each iteration but the last hands to the next, and what the last one has in its place.

    Empty where iterations hand on different things, or nothing that has a derivative.
    """
    states: list[tuple[Place, ...]] = []
    for before, after in pairwise(iterations):
        own = set(before)
        handed: dict[Place, None] = {}
        for node in after:
            op: Any = node.op
            for i, (x, k) in enumerate(zip(node.inputs, node.indices, strict=True)):
                if isinstance(x, Node) and x in own and op.differentiable >> i & 1:
                    if x.outputs[k].dtype.kind == "float":
                        handed[x, k] = None
        states.append(tuple(sorted(handed, key=lambda place: (place[0].number, place[1]))))
    if not states or not states[0] or len({_forms(state) for state in states}) > 1:
        return []
    last = _same_places(iterations[-2], states[-1], iterations[-1])
    return [*states, last] if last else states


def _forms(state: tuple[Place, ...]) -> tuple[Any, ...]:
    return tuple((spec_at(place).shape, spec_at(place).dtype) for place in state)


def _same_places(
    before: Sequence[Node], state: tuple[Place, ...], last: Sequence[Node]
) -> tuple[Place, ...]:
    """The state after the last iteration: what stands where it stood in the one before."""
    if [node.op.name for node in before] != [node.op.name for node in last]:
        return ()
    position = {node: n for n, node in enumerate(before)}
    return tuple((last[position[node]], k) for node, k in state)


def _measured(
    name: str,
    traced: Traced,
    states: Sequence[tuple[Place, ...]],
    find: Callable[[Piece], Norms],
) -> Loop:
    found = gradients_of(traced, {node for state in states for node, _ in state})
    pieces = [_between(traced.nodes, a, b) for a, b in pairwise(states)]
    gradients = [_arrived(found, state) for state in states]
    sigmas: list[float] = []
    products, carried = [1.0], [gradients[-1]]
    for piece in reversed(pieces):
        pulled = piece.pull(carried[-1])
        sigma = float(np.max(find(piece).values))
        groups = piece.examples or 1
        sigma = max(sigma, _ratio(carried[-1], pulled, groups)) if np.isfinite(sigma) else sigma
        sigmas.append(sigma)
        products.append(products[-1] * sigma)
        carried.append(pulled)
    lengths = [_length(parts) for parts in carried[::-1]]
    rate = _rate(lengths)
    growth = products[-1] ** (1 / len(pieces))
    norm = _length([g for node, g in found.items() if node.is_leaf and not _is_input(node)])
    return Loop(
        name,
        tuple(sigmas[::-1]),
        tuple(products[::-1]),
        tuple(lengths),
        tuple(map(_length, gradients)),
        rate,
        advise(rate, growth, norm if traced.upstream == "loss" else None),
    )


def _between(nodes: Sequence[Node], start: tuple[Place, ...], end: tuple[Place, ...]) -> Piece:
    """The piece from one state to the next."""
    low, high = min(n.number for n, _ in start), max(n.number for n, _ in end)
    begin = {node for node, _ in start}
    near = [node for node in nodes if low <= node.number <= high]
    way = on_the_way(near, start, end)
    return Piece(start, end, tuple(node for node in way if node not in begin))


def _arrived(found: Any, state: tuple[Place, ...]) -> list[Array]:
    parts = [gradient_at(found, place) for place in state]
    return [
        np.zeros(spec_at(p).shape, spec_at(p).dtype.storage) if g is None else g
        for g, p in zip(parts, state, strict=True)
    ]


def _ratio(after: Sequence[Array], before: Sequence[Array], groups: int) -> float:
    """How much the gradient really grows, of the example where it grows most."""
    lengths = [np.linalg.norm(join(side, groups), axis=1) for side in (after, before)]
    positive = lengths[0] > 0
    return float(np.max(lengths[1][positive] / lengths[0][positive], initial=0.0))


def _rate(carried: Sequence[float]) -> float:
    """The average factor from one step to the one before it."""
    first, last = carried[0], carried[-1]
    if not last or not np.isfinite([first, last]).all():
        return float("nan")
    return float((first / last) ** (1 / (len(carried) - 1)))


def advise(rate: float, growth: float, norm: float | None) -> str:
    """What follows from the average factor of a step, real and at most.

    norm  of the gradients of all parameters at this batch, None where there is no loss

    >>> advise(0.5, 0.6, None)
    'of a gradient 1 % is left after 7 steps back: what lies further back is not learnt from'
    """
    if not np.isfinite([rate, growth]).all():
        return "the gradients of the state are zero or not finite: nothing follows"
    if rate < 1 and growth < CLIP:
        left = 1 if rate <= 0 else max(1, round(float(np.log(LEFT) / np.log(rate))))
        return (
            f"of a gradient {LEFT:.0%} is left after {left} steps back: what lies further back is "
            "not learnt from"
        ).replace("%", " %")
    if growth < CLIP:
        return "gradients go back through time without growing"
    grows = f"a gradient can grow by {growth:.2f} and grows by {rate:.2f} for each step back"
    at = "the norm of ordinary batches" if norm is None else f"about the norm seen here, {norm:.3g}"
    return f"{grows}; clip the norm of the gradients of all parameters at {at}"


def _is_input(node: Node) -> bool:
    label = getattr(node.op, "label", None)
    return bool(label and label.startswith("input "))


def _length(parts: Sequence[Array]) -> float:
    flat = [np.asarray(x, np.float64).ravel() for x in parts if x is not None]
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(np.concatenate(flat))) if flat else 0.0
