"""The structure of a whole Jacobian, which is not formed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from math import prod
from typing import Any, NamedTuple

from limpid.graph.context import recording_into
from limpid.graph.node import reachable
from limpid.tensor import Tensor
from limpid.transforms.gradient import Outputs
from limpid.transforms.inputs import Inputs, check_callable, run
from limpid.transforms.nesting import map_leaves
from limpid.transforms.pattern import Digit, Digits, Pattern, Shape, follow, tidy
from limpid.transforms.recording import Recorder

LETTERS = "ijklmnopqrstuvwabcdefgh"


@dataclass(frozen=True)
class JacobianStructure:
    """What is known of a Jacobian without forming it.

    kind         "diagonal" (of the flattened Jacobian), "selection" (at most one entry in each
                 row), "block" (each output element depends on one block of the input), "dense", or
                 "zero"
    output, input            the shapes
    output_axes, input_axes  a label for each axis; the same label means the same index
    mapped       labels that an input shares with an output axis
    moved        labels of the input of which an output element reads one index, not its own
    contracted   labels of the input of which an output element may read every index
    entries      how many entries can be nonzero
    """

    kind: str
    output: Shape
    input: Shape
    output_axes: tuple[str, ...]
    input_axes: tuple[str, ...]
    mapped: tuple[str, ...]
    moved: tuple[str, ...]
    contracted: tuple[str, ...]
    entries: int

    @property
    def size(self) -> int:
        """The number of entries of the Jacobian, if it were formed."""
        return prod(self.output) * prod(self.input)

    def __str__(self) -> str:
        left, right = " ".join(self.input_axes), " ".join(self.output_axes)
        roles = [("mapped", self.mapped), ("moved", self.moved), ("contracted", self.contracted)]
        notes = [f"{role} {' '.join(labels)}" for role, labels in roles if labels]
        return (
            f"{self.kind}: [{left}] → [{right}] of {_times(self.input)} → {_times(self.output)}"
            f"{''.join(f', {note}' for note in notes)}; "
            f"{self.entries:,} of {self.size:,} entries can be nonzero"
        )


def _times(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "()"


def describe_structure(pattern: Pattern | None, output: Shape, input: Shape) -> JacobianStructure:
    """The record for one output and one input."""
    ends = [tidy([Digit(n, 1, extent)]) for n, extent in enumerate(input)]
    size = prod(output) * prod(input)
    if pattern is None or not size:
        names = _Names()
        read = tuple(names.axis(axis) for axis in ends)
        made = tuple(names.axis(tidy([Digit(str(n), 1, e)])) for n, e in enumerate(output))
        return JacobianStructure("zero", output, input, made, read, (), (), (), 0)
    cut = _cut(ends, pattern)
    held = set(chain.from_iterable(cut.axes))
    free = [d for axis in cut.input for d in axis if d not in held and d not in cut.moved]
    entries = prod(output) * prod(d.extent for d in free)
    names = _Names()
    input_axes = tuple(names.axis(axis) for axis in cut.input)
    output_axes = tuple(names.axis(axis) for axis in cut.axes)
    parts = [d for axis in cut.input for d in axis]
    return JacobianStructure(
        _kind(cut, free, entries == size, held),
        output,
        input,
        output_axes,
        input_axes,
        tuple(names[d] for d in parts if d in held),
        tuple(names[d] for d in parts if d in cut.moved and d not in held),
        tuple(names[d] for d in free),
        entries,
    )


class _Cut(NamedTuple):
    """A pattern whose digits are cut alike on both sides."""

    input: list[Digits]
    axes: list[Digits]
    moved: set[Digit]


def _cut(ends: Sequence[Digits], pattern: Pattern) -> _Cut:
    every = [*chain.from_iterable(pattern.axes), *pattern.moved, *chain.from_iterable(ends)]
    points: dict[Any, set[int]] = {}
    for digit in every:
        points.setdefault(digit.source, set()).update((digit.low, digit.high))

    def cut(digits: Iterable[Digit]) -> Digits:
        made = []
        for d in digits:
            inside = sorted(p for p in points[d.source] if d.low <= p <= d.high)
            made += [Digit(d.source, low, high) for low, high in pairwise(inside)][::-1]
        return tuple(made)

    return _Cut(list(map(cut, ends)), list(map(cut, pattern.axes)), set(cut(pattern.moved)))


def _kind(cut: _Cut, free: Sequence[Digit], full: bool, held: set[Digit]) -> str:
    parts = [d for axis in cut.input for d in axis]
    made = [d for axis in cut.axes for d in axis]
    if parts == made:
        return "diagonal"
    if full:
        return "dense"
    if not free:
        return "selection"
    return "block" if held.intersection(parts) else "dense" if not cut.moved else "block"


class _Names(dict[Digit, str]):
    """A letter for each digit, in the order in which they are asked for."""

    def __missing__(self, digit: Digit) -> str:
        turn, letter = divmod(len(self), len(LETTERS))
        self[digit] = LETTERS[letter] + (str(turn) if turn else "")
        return self[digit]

    def axis(self, digits: Digits) -> str:
        """The label of an axis: one letter, several in parentheses, or 1 for a single index."""
        text = " ".join(self[d] for d in digits)
        return text if len(digits) == 1 else f"({text})" if digits else "1"


def _cut_off(x: Any) -> Any:
    """An argument that is no part of a graph, since only its shape matters."""
    return x.detach() if isinstance(x, Tensor) and not x.is_leaf else x


def jacobian_structure(
    function: Callable[..., Any], *args: Any, argnums: int | Sequence[int] = 0, **kwargs: Any
) -> Any:
    """The structure of the Jacobian at arguments of these shapes, without forming it.

    Returns a `JacobianStructure`, nested as `limpid.jacobian` nests Jacobians. The function is
    recorded, so no values are computed and none may be read; the structure holds for all values.
    It is a bound: what it excludes is zero everywhere, what it allows may be zero, too.

    A ReLU of 4,096 units on a batch of 100, whose Jacobian has 409,600² entries:

    >>> import numpy as np, limpid
    >>> print(limpid.jacobian_structure(limpid.relu, np.ones((100, 4096))))
    diagonal: [i j] → [i j] of 100×4096 → 100×4096, mapped i j; 409,600 of 167,772,160,000 entries
    can be nonzero
    >>> x, w, b = np.ones((32, 784)), np.ones((784, 10)), np.ones(10)
    >>> print(limpid.jacobian_structure(lambda x, w, b: x @ w + b, x, w, b))
    block: [i j] → [i k] of 32×784 → 32×10, mapped i, contracted j; 250,880 of 8,028,160 entries
    can be nonzero
    """
    check_callable(function, "jacobian_structure")
    args = map_leaves(_cut_off, args)
    with recording_into(Recorder()):
        inputs = Inputs(args, argnums)
        outputs = Outputs(run(function, inputs, kwargs))
        nodes = reachable([y.node for y in outputs.tensors], inputs.nodes, inputs.since)
        found = [follow(node, nodes) for node in inputs.nodes]
    rows = []
    for y in outputs.tensors:
        at = None if y.node is None else (y.node, y.index)
        rows.append(
            inputs.rebuild(
                [
                    describe_structure(patterns.get(at) if at else None, y.shape, x.shape)
                    for patterns, x in zip(found, inputs.tensors, strict=True)
                ]
            )
        )
    return outputs.rebuild(rows)
