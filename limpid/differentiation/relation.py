"""Index relations: which elements of an operand an element of the output reads.

Every axis of every operand and output carries a label, as in an einsum. A label that an operand
and the output share is *mapped* (index i reads index i), unless it is listed as *moved* (each
index reads at most one index, not its own: flip, roll, gather) or *mixed* (every index reads the
whole axis: softmax, cumsum). A label of the operand alone is *contracted*, unless it is moved:
then at most one index of it is read (x[:, 3]). One of the output alone is new. An axis made of
several others (reshape) carries a tuple of labels, slowest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

Label = Any  # an int or a string; a tuple of them for a composite axis


@dataclass(frozen=True)
class Relation:
    """Labels of the axes of each operand and output, and the labels that are moved or mixed."""

    operands: tuple[tuple[Label, ...], ...]
    outputs: tuple[tuple[Label, ...], ...]
    moved: frozenset[Label] = frozenset()
    mixed: frozenset[Label] = frozenset()

    def __str__(self) -> str:
        sides = (" , ".join(map(self._axes, side)) for side in (self.operands, self.outputs))
        return " → ".join(sides)

    def _axes(self, axes: Iterable[Label]) -> str:
        return "[" + " ".join(self._name(label) for label in axes) + "]"

    def _name(self, label: Label) -> str:
        if isinstance(label, tuple):
            return "(" + " ".join(map(self._name, label)) + ")"
        mark = "~" if label in self.moved else "*" if label in self.mixed else ""
        return f"{label}{mark}"


def atoms(axes: Iterable[Label]) -> list[Label]:
    """The labels of some axes, composite ones taken apart."""
    found: list[Label] = []
    for label in axes:
        found.extend(label if isinstance(label, tuple) else (label,))
    return found


def einsum_relation(spelling: str) -> Relation:
    """The relation of a contraction, written as for einsum: `ik,kj->ij`."""
    left, right = spelling.replace(" ", "").split("->")
    return Relation(tuple(tuple(part) for part in left.split(",")), (tuple(right),))


def elementwise_relation(shapes: Sequence[tuple[int, ...]], output: tuple[int, ...]) -> Relation:
    """Every axis mapped; an operand's axis of extent 1 that is broadcast has a label of its own."""
    rank = len(output)
    fresh = count(rank)
    operands = []
    for shape in shapes:
        offset = rank - len(shape)
        operands.append(
            tuple(
                offset + axis if extent == output[offset + axis] else next(fresh)
                for axis, extent in enumerate(shape)
            )
        )
    return Relation(tuple(operands), (tuple(range(rank)),))


def dense_relation(shapes: Sequence[tuple[int, ...]], outputs: Sequence[Any]) -> Relation:
    """Nothing known: every output element may read every element of every operand."""
    fresh = count()
    operands = tuple(tuple(next(fresh) for _ in shape) for shape in shapes)
    return Relation(operands, tuple(tuple(next(fresh) for _ in shape) for shape in outputs))


def reduction_relation(rank: int, axes: Sequence[int], keepdims: bool) -> Relation:
    """The given axes contracted, the others mapped."""
    output = tuple(
        -1 - axis if axis in axes else axis for axis in range(rank) if keepdims or axis not in axes
    )
    return Relation((tuple(range(rank)),), (output,))


def along_relation(
    rank: int, axes: Sequence[int], how: str, operands: int = 1, outputs: int = 1
) -> Relation:
    """The given axes moved or mixed, the others mapped; the same for each operand and output."""
    labels = tuple(range(rank))
    marked = frozenset(axes)
    empty: frozenset[Label] = frozenset()
    return Relation(
        (labels,) * operands,
        (labels,) * outputs,
        moved=marked if how == "moved" else empty,
        mixed=marked if how == "mixed" else empty,
    )


def structure(relation: Relation, operand: int, output: int = 0) -> str:
    """The form of the Jacobian of one output with respect to one operand.

    "diagonal", "selection" (at most one entry in each row), "block" (block diagonal) or "dense".
    """
    read, made = atoms(relation.operands[operand]), atoms(relation.outputs[output])
    source, target = set(read), set(made)
    kept = (source & (target | relation.moved)) - relation.mixed
    if source - kept:
        return "block" if kept & target else "dense"
    repeated = len(read) > len(source) or len(made) > len(target)  # x[i, i], not a square Jacobian
    return "selection" if source & relation.moved or target - source or repeated else "diagonal"
