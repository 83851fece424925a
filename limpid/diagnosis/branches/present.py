"""Masked branches in numbers: where a zero gradient meets an infinite derivative now.

What choices leave out is followed backward as the engine follows it for a safe choice
(`limpid/differentiation/absence.py`), for all choices at once; then the local derivatives are
looked at where nothing but zeros arrives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.diagnosis.branches.choices import Ways
from limpid.differentiation.absence import Absence, Crossing
from limpid.differentiation.kinds import Local
from limpid.graph.graph import pick
from limpid.graph.node import Array, Node


@dataclass(frozen=True, eq=False)
class Hazard:
    """An operation whose derivative is not finite in what a choice leaves out.

    Counts are None where no numbers of a call were looked at.
    """

    node: Node
    choice: Node
    example: str
    discarded: int | None = None
    outside: int | None = None
    poisoned: int | None = None


class _Guess(Absence):
    """The marks that there would be if all plain choices were safe."""

    def __init__(self, ends: list[tuple[Node | None, int]], ways: Ways) -> None:
        super().__init__(dict.fromkeys(ends), recording=False)
        self.ways = ways
        self.own: dict[tuple[Node, int], Array] = {}  # what a choice itself leaves out

    def is_strong(self, node: Node) -> bool:
        """Plain choices count, too."""
        return node in self.ways.choosing or super().is_strong(node)


def present(ways: Ways, ends: list[tuple[Node, int]], values: Mapping[Node, Any]) -> list[Hazard]:
    """What is the matter with the values that there are now, by node."""
    starts: list[tuple[Node | None, int]] = [*ends]
    guess, real = _Guess(starts, ways), Absence(dict.fromkeys(starts), recording=False)
    found: list[Hazard] = []
    with np.errstate(all="ignore"):
        for node in reversed(ways.nodes):
            if node.inputs:
                found += _at(node, ways, guess, real, values)
    return found


def _at(
    node: Node, ways: Ways, guess: _Guess, real: Absence, values: Mapping[Node, Any]
) -> Iterator[Hazard]:
    operands = [pick(values, x, k) for x, k in zip(node.inputs, node.indices, strict=True)]
    y = values[node]
    if guess.of(node) is None and not guess.is_strong(node):
        for i in ways.operands(node):  # something that counts arrives everywhere
            guess.note(node.inputs[i], node.indices[i], None)
            real.note(node.inputs[i], node.indices[i], None)
        return
    wanted = ways.operands(node)
    assumed = _follow(guess, node, operands, y, wanted)
    known = _follow(real, node, operands, y, wanted)
    marks = guess.of(node)
    if marks is None:
        return
    spared = real.of(node)
    looked = _Look(node, ways, operands, y, marks[0], None if spared is None else spared[0])
    if all(isinstance(node.op.derivative(i), Local) for i in wanted):  # type: ignore[attr-defined]  # a primitive
        hazard = looked.elementwise(wanted)
    else:
        hazard = looked.mixed(wanted, assumed, known)
    if hazard is not None:
        wrong, counts = hazard

        def discards_them(choice: Node, i: int) -> bool:
            left_out = guess.own[choice, i]
            alike = wrong is not None and left_out.shape == wrong.shape
            return bool((left_out & wrong).any() if alike else left_out.any())

        def discards(choice: Node, i: int) -> bool:
            return bool(guess.own[choice, i].any())

        # elements may have changed places on the way
        after = ways.choices_after(node, discards_them) or ways.choices_after(node, discards)
        for choice in after:
            yield Hazard(node, choice, *counts)


def _follow(
    absence: Absence, node: Node, operands: list[Any], y: Any, wanted: list[int]
) -> Crossing:
    """Send the marks of a node on to its operands."""
    crossing = absence.crossing(node, operands, y)
    for i in wanted:
        strong = absence.is_strong(node)
        mark = crossing.left_out(i) if strong else crossing.read_by(i)
        absence.note(node.inputs[i], node.indices[i], mark)
        if isinstance(absence, _Guess) and i in absence.ways.choosing.get(node, ()):
            local = node.op.derivative(i).rule(y, *operands, **node.params)  # type: ignore[attr-defined]  # a primitive
            absence.own[node, i] = ~np.broadcast_to(local, node.outputs[0].shape)
    return crossing


Counts = tuple[str, int, int, int]  # an example; elements left out, outside, poisoned
Found = tuple[Array | None, Counts]  # where, if that is elements of the node's output


@dataclass
class _Look:
    """One node whose outputs are absent in part."""

    node: Node
    ways: Ways
    operands: list[Any]
    y: Any
    mark: Array
    spared: Array | None  # absent by safe choices, so that nothing passes

    def elementwise(self, wanted: list[int]) -> Found | None:
        """By the declared domain and the local derivatives, element by element."""
        op: Any = self.node.op
        shape = self.node.outputs[0].shape
        absent = np.broadcast_to(self.mark, shape)
        if self.spared is not None:
            absent = absent & ~self.spared
        fresh = absent & np.broadcast_to(self._made_from_numbers(), shape)
        bad = np.zeros(shape, bool)
        local: Any = None
        for i in wanted:
            rule = op.derivative(i).rule
            if isinstance(rule, int):
                continue
            made = np.asarray(rule(self.y, *self.operands, **self.node.params))
            if made.dtype.kind == "f":
                wrong = fresh & ~np.isfinite(np.broadcast_to(made, shape))
                local = made if wrong.any() and local is None else local
                bad |= wrong
        outside = np.zeros(shape, bool)
        if op.domain is not None:
            inside = np.asarray(op.domain(*self.operands, **self.node.params))
            outside = fresh & ~np.broadcast_to(inside, shape)
        if not bad.any() and not outside.any():
            return None
        wrong = bad if bad.any() else outside
        first = np.unravel_index(int(np.argmax(wrong)), shape)
        example = self._told(first, shape, local)
        return wrong, (example, int(absent.sum()), int(outside.sum()), int(bad.sum()))

    def _made_from_numbers(self) -> Any:
        """Where no operand that was made on the way is infinite or NaN: there it begins."""
        fresh: Any = np.True_
        for x, value in zip(self.node.inputs, self.operands, strict=True):
            if self._is_made(x):
                fresh = fresh & np.isfinite(value)
        return fresh

    def _is_made(self, x: Any) -> bool:
        """Whether an operand is computed, or learnt: if it is not finite, it began elsewhere."""
        return x in self.ways.carrying if isinstance(x, Node) and x.inputs else _is_learnt(x)

    def mixed(self, wanted: list[int], assumed: Crossing, known: Crossing) -> Found | None:
        """By operands of a product that are not finite, where only absent elements read them."""
        poisoned = discarded = 0
        example = ""
        for k, (x, value) in enumerate(zip(self.node.inputs, self.operands, strict=True)):
            if getattr(value, "dtype", None) is None or value.dtype.kind != "f":
                continue
            if wanted == [k] or self._is_made(x):
                continue
            mark = assumed.read_by(k)
            if mark is None:
                continue
            spared = known.read_by(k)
            absent = mark if spared is None else mark & ~spared
            wrong = np.broadcast_to(absent, value.shape) & ~np.isfinite(value)
            if wrong.any():
                poisoned += int(wrong.sum())
                discarded += int(np.broadcast_to(absent, value.shape).sum())
                name = self.node.op.operand_names[min(k, len(self.node.op.operand_names) - 1)]  # type: ignore[attr-defined]  # a primitive
                example = f"{name} holds {value[wrong][0]:g}, by which the zero is multiplied"
        return (None, (example, discarded, 0, poisoned)) if poisoned else self._nothing()

    def _nothing(self) -> Found | None:
        """By results that are NaN though no operand is: of a softmax of nothing, say."""
        if any(np.isnan(x).any() for x in self.operands if np.asarray(x).dtype.kind == "f"):
            return None
        y = self.y[0] if isinstance(self.y, tuple) else self.y
        absent = np.broadcast_to(self.mark, y.shape)
        absent = absent if self.spared is None else absent & ~self.spared
        wrong = absent & np.isnan(y)
        if not wrong.any():
            return None
        return wrong, ("its value is NaN there", int(absent.sum()), 0, int(wrong.sum()))

    def _told(self, index: tuple[Any, ...], shape: tuple[int, ...], local: Any) -> str:
        def at(value: Any) -> str:
            return f"{np.broadcast_to(np.asarray(value), shape)[index]:g}"

        return told(self.node, self.operands, self.y, at, local)


def _is_learnt(x: Any) -> bool:
    return isinstance(x, Node) and x.requires_grad


def told(node: Node, operands: list[Any], y: Any, at: Any, local: Any) -> str:
    """An example in words: operands, and what the operation or its derivative is there."""
    op: Any = node.op
    given = ", ".join(f"{n} = {at(x)}" for n, x in zip(op.operand_names, operands, strict=False))
    if local is None:
        return f"at {given} its value is {at(y)}"
    return f"at {given} the local derivative is {at(local)}"
