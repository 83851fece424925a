"""What a choice left out stays left out: marks on upstream gradients, carried backward.

The zero that a plain `where` sends back to what it did not choose is an ordinary number. Further up
it may meet an infinite local derivative, and 0·∞ is NaN. Behind a *strong* primitive (the safe
`where`) such an element is marked as absent instead. An element of an operand is absent where all
elements of the output that read it are, which the index relation tells. Nothing passes through what
is absent, whatever the local derivative is there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from limpid.differentiation.kinds import Local
from limpid.differentiation.relation import Relation, atoms, structure
from limpid.differentiation.rules import downstream, fit, is_mask
from limpid.graph.graph import input_specs
from limpid.graph.node import Node, Spec
from limpid.graph.registry import operations, primitives
from limpid.tensor import Tensor

# Booleans, of the rank of what they mark; an extent is 1 where all along an axis are alike.
Mark = Any


class InUse:
    """Whether a strong primitive was ever called: until then no backward pass looks for one."""

    strong = False


in_use = InUse()
Marks = dict[tuple[Node | None, int], Mark | None]  # by node and output; None where nothing is


class Handed(threading.local):
    """What a rule that goes backward itself is told: marks of outputs; and what it tells."""

    outputs: list[Mark] | None = None
    operands: dict[int, Mark | None] | None = None


handed = Handed()


class Absence:
    """The marks of one backward pass: arrays, or tensors when recording.

    marks  those of the outputs, and then of all nodes; None where something that counts arrives
    """

    def __init__(self, marks: Marks, recording: bool) -> None:
        self.recording = recording
        self.marks = marks

    def is_strong(self, node: Node) -> bool:
        """Whether what the node leaves out is absent."""
        strong: bool = node.op.strong  # type: ignore[attr-defined]  # a primitive
        return strong

    def crossing(self, node: Node, operands: list[Any], y: Any) -> Crossing:
        """The turn of a node, with the values that its rules read."""
        return Crossing(self, node, operands, y)

    def of(self, node: Node) -> list[Mark] | None:
        """The marks of all outputs of a node; None where there are none."""
        found: list[Mark] = []
        for k, spec in enumerate(node.outputs):
            # What nothing came to is absent as a whole; so are the indices beside a maximum.
            mark = self.marks.get((node, k), np.ones((1,) * spec.ndim, bool))
            if mark is None:
                return None
            found.append(mark)
        return found

    def note(self, node: Node, index: int, mark: Mark | None) -> None:
        """Something arrives at an output; absent is what is absent on all ways."""
        place = node, index
        if place in self.marks:
            held = self.marks[place]
            mark = None if held is None or mark is None else _both(held, mark)
        known = not self.recording and mark is not None
        self.marks[place] = None if known and not np.any(mark) else mark


def absence_in(
    nodes: Iterable[Node],
    outputs: Iterable[tuple[Node | None, int]],
    recording: bool,
    marks: Marks | None = None,
) -> Absence | None:
    """What a backward pass from these outputs needs if one of the nodes is strong.

    marks  those that the outputs have already, where the pass is part of another
    """
    if marks is not None:
        return Absence(marks, recording)
    if not in_use.strong:
        return None
    if any(node.inputs and node.op.strong for node in nodes):  # type: ignore[attr-defined]  # inner nodes hold primitives
        return Absence(dict.fromkeys(outputs), recording)
    return None


def are_finite(gradients: Iterable[Any]) -> bool:
    """Whether no gradient is NaN or infinite; of nodes with several outputs they are lists."""
    return all(
        part is None or np.isfinite(part).all()
        for g in gradients
        for part in (g if isinstance(g, list) else (g,))
    )


class Crossing:
    """One node in a backward pass with marks.

    operands, y   what its rules may read: 0 for infinities and NaN that only absent elements read.
                  A product of matrices would else let them into what all rows have a share in
    """

    def __init__(self, absence: Absence, node: Node, operands: list[Any], y: Any) -> None:
        self.absence, self.node = absence, node
        self.marks = absence.of(node)
        self.operands, self.y = operands, y
        self.told: dict[int, Mark | None] = {}  # by a rule that went backward itself
        op: Any = node.op
        if self.marks is None or op.local_rules is not None or op.jointly_linear:
            return
        marks = [self.read_by(i) for i in range(len(operands))]
        self.operands = [_without(x, mark) for x, mark in zip(operands, marks, strict=True)]
        if isinstance(y, tuple):
            self.y = tuple(_without(x, mark) for x, mark in zip(y, self.marks, strict=True))
        else:
            self.y = _without(y, self.marks[0])

    @property
    def absent(self) -> int:
        """How many elements of the outputs count for nothing; of numbers, not of a recording."""
        given = zip(self.marks or (), self.node.outputs, strict=False)
        return sum(int(np.broadcast_to(mark, spec.shape).sum()) for mark, spec in given)

    @cached_property
    def specs(self) -> list[Any]:
        """Those of the operands; Python numbers stand for themselves."""
        return input_specs(self.node)

    @cached_property
    def relation(self) -> Relation:
        """Which elements of the operands an element of the output reads."""
        op: Any = self.node.op
        found: Relation = op.relation(self.specs, self.node.params)
        return found

    def shares(self, needed: list[int], g: Any) -> Any:
        """What the rule for all operands gives, which may be a backward pass with these marks."""
        op: Any = self.node.op
        if not op.passes_marks or self.marks is None:
            return op.vjp_all(needed, g, self.y, *self.operands, **self.node.params)
        handed.outputs = self.marks
        try:
            found = op.vjp_all(needed, g, self.y, *self.operands, **self.node.params)
            self.told = handed.operands or {}
        finally:
            handed.outputs = handed.operands = None
        return found

    def passed(self, i: int, given: Any) -> Any:
        """The downstream of operand i in its shape, exactly 0 where absent. Notes its mark."""
        op: Any = self.node.op
        parent, index = self.node.inputs[i], self.node.indices[i]
        spec, derivative = parent.outputs[index], op.derivative(i)
        elementwise = isinstance(derivative, Local)
        if self.absence.is_strong(self.node):
            mark = self.left_out(i)
        else:
            mark = None if self.marks is None else self.read_by(i)
            if self.marks is not None and elementwise and not isinstance(derivative.rule, int):
                given = _silenced(given, self.marks[0])  # before it is added to others
        given = fit(given, spec, op)
        if mark is not None and not elementwise and not op.jointly_linear:
            given = _silenced(given, mark)
        self.absence.note(parent, index, mark)
        return given

    def left_out(self, i: int) -> Mark | None:
        """What a strong primitive does not take of an operand."""
        op: Any = self.node.op
        local = op.derivative(i).rule(self.y, *self.operands, **self.node.params)
        if not is_mask(local):
            return None
        mark, rank = operations["logical_not"](local), self.node.outputs[0].ndim
        missing = rank - len(mark.shape)
        if missing:
            mark = operations["reshape"](mark, (1,) * missing + tuple(mark.shape))
        if self.marks is not None:
            mark = operations["logical_or"](mark, self.marks[0])
        return back_through(self.relation, i, self.specs[i].shape, mark)

    def read_by(self, i: int) -> Mark | None:
        """Which elements of an operand only absent ones read."""
        if not isinstance(self.specs[i], Spec) or self.marks is None:
            return None
        if i in self.told:
            return self.told[i]
        op: Any = self.node.op
        if op.jointly_linear and moves(self.relation, i):
            return self._carried(i)
        mark = None
        for k, of_output in enumerate(self.marks):
            made = back_through(self.relation, i, self.specs[i].shape, of_output, k)
            mark = made if mark is None else _both(mark, made)
        return mark

    def _carried(self, i: int) -> Mark:
        """Where elements only change places the transpose tells: 0 where nothing comes back."""
        op: Any = self.node.op
        present = []
        for mark, spec in zip(self.marks or (), self.node.outputs, strict=True):
            counts = operations["astype"](operations["logical_not"](mark), spec.dtype)
            present.append(operations["broadcast_to"](counts, spec.shape))
        g = tuple(present) if len(present) > 1 else present[0]
        back = downstream(op, i, g, self.y, self.operands, self.node.params)
        return fit(back, self.specs[i], op) == 0


def moves(relation: Relation, i: int) -> bool:
    """Whether elements of this operand only change places, in a way that labels don't tell."""
    axes = (relation.operands[i], *relation.outputs)
    composite = any(isinstance(label, tuple) for labels in axes for label in labels)
    repeated = any(len(set(labels)) < len(labels) for labels in axes)
    if not (relation.moved or composite or repeated):
        return False
    forms = {structure(relation, i, k) for k in range(len(relation.outputs))}
    return forms <= {"diagonal", "selection"}


def back_through(
    relation: Relation, i: int, shape: tuple[int, ...], mark: Mark, k: int = 0
) -> Mark:
    """The mark of operand i from that of output k: what all elements that read it agree on."""
    made, read = relation.outputs[k], relation.operands[i]
    unclear = relation.mixed | relation.moved
    mapped = [
        label
        for label in dict.fromkeys(read)
        if made.count(label) == 1 and unclear.isdisjoint(atoms([label]))
    ]
    kept = [made.index(label) for label in mapped]
    others = [axis for axis in range(len(made)) if axis not in kept]
    mixed = tuple(axis for axis in others if mark.shape[axis] != 1)
    if mixed:
        mark = operations["all"](mark, axis=mixed, keepdims=True)
    if [*kept, *others] != list(range(len(made))):
        mark = operations["permute_dims"](mark, (*kept, *others))
    extents = [1] * len(shape)
    for n, label in enumerate(mapped):
        extents[read.index(label)] = mark.shape[n]
    return mark if mark.shape == tuple(extents) else operations["reshape"](mark, tuple(extents))


def _both(a: Mark, b: Mark) -> Mark:
    return operations["logical_and"](a, b)


def _silenced(g: Any, mark: Mark) -> Any:
    silenced: Any = primitives["silenced"]
    if isinstance(g, Tensor) or isinstance(mark, Tensor):
        return silenced(mark, g)
    return silenced.forward(mark, g)


def _without(x: Any, mark: Mark | None) -> Any:
    """A value with 0 where it is absent and not finite; specs and indices as they are."""
    if mark is None or isinstance(x, Spec) or getattr(x.dtype, "kind", "") not in ("f", "float"):
        return x
    finite = operations["isfinite"](x)
    lost = operations["logical_and"](mark, operations["logical_not"](finite))
    if isinstance(lost, Tensor):
        return primitives["safe_where"](lost, 0, x)
    return np.where(lost, 0, x) if lost.any() else x
