"""Contractions with affine addresses: the one form that all windowed primitives lower to.

    output[…] = Σ over reduction indices of left[…] · right[…]

Along each axis of each array the address is an affine expression of the indices. It is plain data:
NumPy executes it (`execution.py`), and native code can be generated from the same object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from limpid.differentiation.relation import Relation
from limpid.graph.graph import input_specs
from limpid.graph.node import Node

OUTER, ROW, LANE, REDUCTION = "outer", "row", "lane", "reduction"


@dataclass(frozen=True)
class Index:
    """A loop: its name, how often it runs, and what it does.

    role  "row" (of the left operand and the output), "lane" (of the right operand and the output),
          "reduction" (summed over), "outer" (a product for each)
    """

    name: str
    extent: int
    role: str


@dataclass(frozen=True)
class Axis:
    """The address along one axis of an array: offset + Σ coefficient · index.

    Reading outside [0, extent) gives 0: that is padding.
    """

    extent: int
    terms: tuple[tuple[str, int], ...]
    offset: int = 0


Access = tuple[Axis, ...]


@dataclass(frozen=True)
class Contraction:
    """Indices, and how the output and the operands are addressed by them.

    right    None where there is one operand only: sums and extremes of windows
    combine  "add", or "max" where the largest is taken instead of the sum
    """

    indices: tuple[Index, ...]
    output: Access
    left: Access
    right: Access | None = None
    combine: str = "add"

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:  # plans are found by it, again and again
        return hash((self.indices, self.output, self.left, self.right, self.combine))

    def names(self, *roles: str) -> tuple[str, ...]:
        """The names of the indices with these roles, in order."""
        return tuple(i.name for i in self.indices if i.role in roles)

    def extent(self, name: str) -> int:
        """How often an index runs."""
        return next(i.extent for i in self.indices if i.name == name)

    def multiply_adds(self) -> int:
        """The number of products, those with padding included."""
        count = 1
        for index in self.indices:
            count *= index.extent
        return count

    def restrict(self, name: str, start: int, stop: int) -> Contraction:
        """The part of it where one index runs over [start, stop)."""
        indices = tuple(
            replace(i, extent=stop - start) if i.name == name else i for i in self.indices
        )
        output, left = (_shift(access, name, start) for access in (self.output, self.left))
        right = None if self.right is None else _shift(self.right, name, start)
        return Contraction(indices, output, left, right, self.combine)


def without_ones(contraction: Contraction) -> Contraction:
    """The same contraction without indices that run once."""
    once = {i.name for i in contraction.indices if i.extent == 1}
    if not once:
        return contraction

    def access(axes: Access) -> Access:
        return tuple(
            replace(axis, terms=tuple(term for term in axis.terms if term[0] not in once))
            for axis in axes
        )

    indices = tuple(i for i in contraction.indices if i.name not in once)
    right = None if contraction.right is None else access(contraction.right)
    output, left = access(contraction.output), access(contraction.left)
    return Contraction(indices, output, left, right, contraction.combine)


def affine(extent: int, offset: int = 0, **terms: int) -> Axis:
    """`affine(W, -1, o=2, k=1)`: address 2·o + k − 1 along an axis of extent W."""
    return Axis(extent, tuple(terms.items()), offset)


def labelled(relation: Relation, *shapes: tuple[int, ...]) -> Contraction:
    """The product of two operands that an index relation describes, as of an einsum.

    Each label is an index; what both operands and the output have is an outer one.
    """
    left, right = ([str(label) for label in axes] for axes in relation.operands[:2])
    output = [str(label) for label in relation.outputs[0]]
    extents = dict(zip((*left, *right), (*shapes[0], *shapes[1]), strict=True))
    roles = {(True, True): OUTER, (True, False): ROW, (False, True): LANE}
    indices = tuple(
        Index(name, n, roles[name in left, name in right] if name in output else REDUCTION)
        for name, n in extents.items()
    )

    def access(labels: list[str]) -> Access:
        return tuple(affine(extents[name], **{name: 1}) for name in labels)

    return Contraction(indices, access(output), access(left), access(right))


def lower_labelled(relation: Any) -> Any:
    """The `lower` rule of a primitive from its relation rule: a product of its first two operands.

    Numbers among the operands have no axes.
    """

    def lower(*operands: Any, **params: Any) -> tuple[Contraction, ...]:
        shapes = [getattr(x, "shape", ()) for x in operands]
        return (labelled(relation(*operands, **params), *shapes),)

    return lower


def lowered(node: Node) -> tuple[Contraction, ...]:
    """The contractions that a node is; none where its primitive has no such form."""
    op: Any = node.op
    return op.lower(*input_specs(node), **node.params) if op.lower is not None else ()


def reads(access: Access) -> set[str]:
    """The indices that an access depends on."""
    return {name for axis in access for name, _ in axis.terms}


def bounds(axis: Axis, extents: dict[str, int]) -> tuple[int, int]:
    """The lowest address along an axis and the one after the highest."""
    low = high = axis.offset
    for name, coefficient in axis.terms:
        reach = coefficient * (extents[name] - 1)
        low, high = low + min(reach, 0), high + max(reach, 0)
    return low, high + 1


Tap = tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]


def taps(contraction: Contraction) -> Iterator[Tap]:
    """For each point of the reduction indices: the point, and slices of output and left operand.

    `output[there] (+)= left[here]` over all points is the contraction of one operand, for one whose
    accesses have a single other index for each axis. Slices leave out what would read padding.
    """
    names = contraction.names(REDUCTION)
    extents = {i.name: i.extent for i in contraction.indices}
    for point in product(*(range(extents[name]) for name in names)):
        at = dict(zip(names, point))
        fixed = [_at(axis, at) for axis in contraction.left]
        ranges = _inside(fixed, extents)
        if all(start < stop for start, stop in ranges.values()):
            there = tuple(_slice(_at(axis, at), ranges) for axis in contraction.output)
            yield point, there, tuple(_slice(axis, ranges) for axis in fixed)


def _at(axis: Axis, values: dict[str, int]) -> Axis:
    """The axis with some indices fixed."""
    offset = axis.offset + sum(c * values[name] for name, c in axis.terms if name in values)
    return Axis(axis.extent, tuple(t for t in axis.terms if t[0] not in values), offset)


def _inside(access: Sequence[Axis], extents: dict[str, int]) -> dict[str, tuple[int, int]]:
    """For every index the range in which no address falls into the padding."""
    ranges = {name: (0, extent) for name, extent in extents.items()}
    for axis in access:
        if not axis.terms:
            if not 0 <= axis.offset < axis.extent:
                return dict.fromkeys(extents, (0, 0))
            continue
        ((name, step),) = axis.terms
        first, last = -(axis.offset // step), (axis.extent - 1 - axis.offset) // step
        start, stop = ranges[name]
        ranges[name] = (max(start, first), min(stop, last + 1))
    return ranges


def _slice(axis: Axis, ranges: dict[str, tuple[int, int]]) -> slice:
    if not axis.terms:
        return slice(axis.offset, axis.offset + 1)
    ((name, step),) = axis.terms
    start, stop = ranges[name]
    return slice(axis.offset + step * start, axis.offset + step * (stop - 1) + 1, step)


def _shift(access: Access, name: str, start: int) -> Access:
    return tuple(
        replace(a, offset=a.offset + sum(c * start for n, c in a.terms if n == name))
        for a in access
    )
