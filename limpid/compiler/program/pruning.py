"""Pruning: programs within a program compute what is read of them, and are given what they read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from limpid.compiler.program.bodies import Bodies, Body
from limpid.compiler.program.values import Value, ordered, rebuilt


class Pruned(NamedTuple):
    """What is left of bodies: numbers of outputs and of operands, as they were."""

    bodies: Bodies
    outputs: list[int]
    operands: list[int]


def pruned(ends: Sequence[Value]) -> list[Value]:
    """The same values; what nobody reads of loops and choices is gone."""
    read: dict[Bodies, set[int]] = {}
    for value in ordered(ends):
        if value.kind == "nested":
            read.setdefault(value.params["bodies"], set()).add(value.params["number"])
    made = {bodies: _pruned(bodies, numbers) for bodies, numbers in read.items()}

    def change(value: Value) -> Value:
        if value.kind != "nested":
            return value
        bodies, outputs, operands = made[value.params["bodies"]]
        params = {"bodies": bodies, "number": outputs.index(value.params["number"])}
        return replace(value, operands=tuple(value.operands[n] for n in operands), params=params)

    return rebuilt(ends, change) if read else list(ends)


def _pruned(bodies: Bodies, read: Collection[int]) -> Pruned:
    first = bodies.bodies[0]
    outputs = sorted(_needed(first, read))
    ends = [pruned([body.ends[n] for n in outputs]) for body in bodies.bodies]
    carried = [n for n in outputs if n < first.carried]
    found = {first.closed + n for n in carried}.union(*map(_inputs, ends))
    inputs = sorted(found)
    made = tuple(
        replace(
            body,
            ends=tuple(_renumbered(own, inputs)),
            closed=sum(n < body.closed for n in inputs),
            carried=len(carried),
        )
        for body, own in zip(bodies.bodies, ends)
    )
    operands = [n + bodies.is_choice for n in inputs]
    return Pruned(Bodies(made), outputs, [0, *operands] if bodies.is_choice else operands)


def _needed(body: Body, read: Collection[int]) -> set[int]:
    """The ends that are read, and what is carried on the way to them."""
    found: set[int] = set()
    left = set(read)
    while left:
        found |= left
        numbers = {n - body.closed for n in _inputs(body.ends[n] for n in left)}
        left = {n for n in numbers if 0 <= n < body.carried} - found
    return found


def _inputs(ends: Iterable[Value]) -> set[int]:
    """The numbers of the inputs that values depend on."""
    return {v.params["number"] for v in ordered(ends) if v.kind == "input"}


def _renumbered(ends: Sequence[Value], inputs: Sequence[int]) -> list[Value]:
    def change(value: Value) -> Value:
        if value.kind != "input":
            return value
        return replace(value, params={"number": inputs.index(value.params["number"])})

    return rebuilt(ends, change)
