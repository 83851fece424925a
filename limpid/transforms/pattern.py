"""Which elements of an input every value of a graph depends on, from index relations alone.

The index of an input element is written in mixed radix, each axis cut into digits where a reshape
cut it. A digit is followed through the graph: it stays a digit of the index of every value that
depends on this element alone in this respect (mapped), or is given by that index in some way
(moved), or it is lost: the value depends on elements with any value of the digit (contracted).
Where two paths meet, only what both say is kept. So nothing that can be nonzero is ruled out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import prod
from typing import Any, NamedTuple

from limpid.differentiation.relation import Relation, atoms
from limpid.graph.graph import input_specs
from limpid.graph.node import Node, Spec

Shape = tuple[int, ...]


class Digit(NamedTuple):
    """The part (index // low) % (high // low) of the index along an axis.

    `source` is the number of an axis of the input, or the name of an axis that a node made.
    """

    source: Any
    low: int
    high: int

    @property
    def extent(self) -> int:
        """How many values it has."""
        return self.high // self.low

    def overlaps(self, other: Digit) -> bool:
        """Whether they are about the same part of the same index."""
        return self.source == other.source and self.low < other.high and other.low < self.high


Digits = tuple[Digit, ...]  # of one axis, the slowest first


@dataclass(frozen=True)
class Pattern:
    """Which elements of an input an element of a value depends on.

    axes   the digits of the value's index; those of the input among them are mapped
    moved  digits of the input that are a function of the value's index: of which one, and of
           which digits
    """

    axes: tuple[Digits, ...]
    moved: Mapping[Digit, tuple[Any, frozenset[Digit]]] = field(default_factory=dict)


def tidy(digits: Iterable[Digit]) -> Digits:
    """Without digits of one value, and with neighbours that belong together joined."""
    made: list[Digit] = []
    for digit in digits:
        if digit.extent == 1:
            continue
        if made and made[-1].source == digit.source and made[-1].low == digit.high:
            digit = Digit(digit.source, digit.low, made.pop().high)
        made.append(digit)
    return tuple(made)


def split(digits: Digits, extents: Sequence[int]) -> list[Digits] | None:
    """The digits of an axis dealt out to parts of given extents; None if they do not fit."""
    rest = list(digits)
    parts: list[Digits] = []
    for extent in extents:
        part = []
        while extent > 1:
            if not rest:
                return None
            digit = rest.pop(0)
            if extent % digit.extent == 0:
                part.append(digit)
                extent //= digit.extent
            elif digit.extent % extent == 0:
                middle = digit.high // extent
                part.append(Digit(digit.source, middle, digit.high))
                rest.insert(0, Digit(digit.source, digit.low, middle))
                extent = 1
            else:
                return None
        parts.append(tidy(part))
    return None if rest else parts


def covered(digits: Iterable[Digit], axes: Sequence[Digits]) -> bool:
    """Whether the values of all these digits can be read off an index with these axes."""
    held = list(chain.from_iterable(axes))
    for digit in digits:
        low = digit.low
        while low < digit.high:
            above = [d.high for d in held if d.source == digit.source and d.low <= low < d.high]
            if not above:
                return False
            low = max(above)
    return True


def label_extents(relation: Relation, shapes: Sequence[Shape], made: Sequence[Shape]) -> Any:
    """The extent of every label, as far as the shapes say; those that differ are left out."""
    sides = [*zip(relation.operands, shapes), *zip(relation.outputs, made)]
    known: dict[Any, int] = {}
    differ: set[Any] = set()
    pairs = [(label, extent) for axes, shape in sides for label, extent in zip(axes, shape)]
    for label, extent in pairs:
        if not isinstance(label, tuple) and known.setdefault(label, extent) != extent:
            differ.add(label)
    composite = [(label, extent) for label, extent in pairs if isinstance(label, tuple)]
    for _ in range(len(composite)):
        for label, extent in composite:
            unknown = [part for part in label if part not in known]
            rest = prod(known[part] for part in label if part in known)
            if len(unknown) == 1 and rest and extent % rest == 0:
                known[unknown[0]] = extent // rest
    return {label: extent for label, extent in known.items() if label not in differ}


class Step:
    """One pattern through one operand of a node to one of its outputs."""

    def __init__(
        self, node: Node, i: int, k: int, relation: Relation, extents: Mapping[Any, int]
    ) -> None:
        self.name = (node.number, k)
        self.source, self.target = relation.operands[i], relation.outputs[k]
        self.relation, self.extents = relation, extents
        self.shape = node.outputs[k].shape
        self.found: dict[Any, Digits] = {}  # label → its digits, where it is mapped
        self.given: set[Digit] = set()  # digits that the output's index determines somehow
        self.lost: set[Digit] = set()

    def apply(self, pattern: Pattern) -> Pattern:
        """The pattern of the output."""
        for label, digits in zip(self.source, pattern.axes, strict=True):
            self._read(atoms([label]), digits)
        axes = tuple(self._axis(n, label) for n, label in enumerate(self.target))
        whole = self.name, frozenset(chain.from_iterable(axes))
        moved = {d: whole for d in self.given if isinstance(d.source, int)}
        for digit, (name, via) in pattern.moved.items():
            if covered(via, axes):
                moved[digit] = name, via
            elif not any(lost.overlaps(d) for lost in self.lost for d in via):
                moved[digit] = whole
        return Pattern(axes, moved)

    def _read(self, labels: list[Any], digits: Digits) -> None:
        """What becomes of the digits of one axis of the operand."""
        targets = set(atoms(self.target))
        known = all(label in self.extents for label in labels)
        parts = split(digits, [self.extents[label] for label in labels]) if known else None
        if parts is None:
            once = all(self._is_read_once(label, targets) for label in labels)
            (self.given if once else self.lost).update(digits)
            return
        for label, part in zip(labels, parts, strict=True):
            if not self._is_read_once(label, targets):
                self.lost.update(part)
            elif label in self.relation.moved or self.found.setdefault(label, part) != part:
                self.given.update(part)

    def _is_read_once(self, label: Any, targets: set[Any]) -> bool:
        """Whether an output element reads one index of this label."""
        return label not in self.relation.mixed and label in targets | self.relation.moved

    def _axis(self, n: int, label: Any) -> Digits:
        """The digits of one axis of the output; new ones where nothing is known of it."""
        labels = atoms([label])
        if all(x in self.extents for x in labels):
            if prod(self.extents[x] for x in labels) == self.shape[n]:
                return tidy(chain.from_iterable(self._digits(x) for x in labels))
        self.given.update(d for x in labels for d in self.found.get(x, ()))
        return tidy([Digit((self.name, n), 1, self.shape[n])])

    def _digits(self, label: Any) -> Digits:
        new = Digit((self.name, str(label)), 1, self.extents[label])
        return self.found.get(label, (new,))


def merge(a: Pattern, b: Pattern, name: Any, shape: Shape) -> Pattern:
    """What two patterns of one value both say."""
    axes = tuple(
        x if x == y else tidy([Digit((name, n), 1, extent)])
        for n, (x, y, extent) in enumerate(zip(a.axes, b.axes, shape, strict=True))
    )
    moved = {
        digit: how
        for digit, how in a.moved.items()
        if b.moved.get(digit) == how and covered(how[1], axes)
    }
    return Pattern(axes, moved)


def follow(start: Node, nodes: Sequence[Node]) -> dict[tuple[Node, int], Pattern]:
    """The patterns of all values that depend on one input."""
    axes = tuple(tidy([Digit(n, 1, extent)]) for n, extent in enumerate(start.outputs[0].shape))
    patterns = {(start, 0): Pattern(axes)}
    for node in nodes:
        if not node.requires_grad or node is start:
            continue
        op: Any = node.op
        reads = [
            (i, patterns[x, j])
            for i, (x, j) in enumerate(zip(node.inputs, node.indices, strict=True))
            if type(x) is Node and (x, j) in patterns and op.differentiable >> i & 1
        ]
        if reads:
            _through(node, reads, patterns)
    return patterns


def _through(
    node: Node, reads: Sequence[tuple[int, Pattern]], patterns: dict[tuple[Node, int], Pattern]
) -> None:
    number = Spec((), node.outputs[0].dtype)
    specs = [x if isinstance(x, Spec) else number for x in input_specs(node)]
    relation = node.op.relation(specs, node.params)  # type: ignore[attr-defined]  # a Primitive
    made = [y.shape for y in node.outputs]
    extents = label_extents(relation, [x.shape for x in specs], made)
    for k, y in enumerate(node.outputs):
        if y.dtype.kind != "float":
            continue
        for i, pattern in reads:
            new = Step(node, i, k, relation, extents).apply(pattern)
            old = patterns.get((node, k))
            name = (node.number, k, "merged")
            patterns[node, k] = new if old is None else merge(old, new, name, y.shape)
