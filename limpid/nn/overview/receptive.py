"""Receptive fields: which elements along the axes of an input an element of a value can see.

What a node reads comes from its declaration: the contractions that the primitive lowers to, the
index relation, and for linear primitives that move elements (slices, padding) the transpose. The
borders are left out of account: a field is that of an element in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from limpid.differentiation.relation import Relation, atoms
from limpid.graph.graph import Graph, input_specs
from limpid.graph.node import Node, Spec
from limpid.nn.overview.moving import moved_range
from limpid.nn.overview.ranges import Range, phased, plain, through, union, whole
from limpid.ops.windows.contraction import REDUCTION, Access, Contraction, lowered
from limpid.transforms.pattern import label_extents

Along = tuple[int, int]  # an input of the graph, and one of its axes
Fields = dict[Along, Range]
Ranges = tuple[Range, ...]  # one for each axis of an operand


class Tracker:
    """The fields of all values of a graph.

    spatial  the axes of the inputs along which windows slide; if there are none, those along which
             elements move
    """

    def __init__(self, graph: Graph) -> None:
        self.inputs = [node.outputs[0].shape for node in graph.inputs.values()]
        self.fields: dict[tuple[Node, int], Fields] = {}
        self._slid: set[Along] = set()
        self._moved: set[Along] = set()
        for number, node in enumerate(graph.inputs.values()):
            axes = range(1, node.outputs[0].ndim)  # 0 is the batch
            self.fields[node, 0] = {(number, axis): plain(axis) for axis in axes}
        for node in graph.nodes:
            self._visit(node)
        self.spatial = self._slid or self._moved

    def _visit(self, node: Node) -> None:
        for k in range(len(node.outputs)):
            found: Fields = {}
            for i, (x, j) in enumerate(zip(node.inputs, node.indices, strict=True)):
                if isinstance(x, Node) and self.fields.get((x, j)):
                    self._read(self.fields[x, j], ranges(node, i, k), found)
            self.fields[node, k] = found

    def _read(self, seen: Fields, read: Ranges, found: Fields) -> None:
        for along, before in seen.items():
            extent = self.inputs[along[0]][along[1]]
            now = before
            if before.axis is not None:
                step = read[before.axis]
                now = through(before, step, extent)
                if step.slid and not before.merged:
                    self._slid.add(along)
                elif step.axis is not None and not step.is_plain:
                    self._moved.add(along)
            found[along] = union(found[along], now, extent) if along in found else now


def ranges(node: Node, i: int, k: int) -> Ranges:
    """What an element of output k reads along each axis of operand i."""
    op: Any = node.op
    number = Spec((), node.outputs[0].dtype)
    specs = [x if isinstance(x, Spec) else number for x in input_specs(node)]
    accesses = [(part, part.right if i else part.left) for part in lowered(node) if i < 2]
    found = [_addressed(part, access) for part, access in accesses if access is not None]
    if found:
        return _united(found, specs[i].shape)
    relation = op.relation(specs, node.params)
    made = [y.shape for y in node.outputs]
    extents = label_extents(relation, [x.shape for x in specs], made)
    return tuple(
        _related(node, i, k, axis, relation, extents) for axis in range(len(specs[i].shape))
    )


def _united(found: Sequence[Ranges], shape: tuple[int, ...]) -> Ranges:
    """What several contractions read together."""
    first, *others = found
    for other in others:
        first = tuple(map(union, first, other, shape))
    return first


def _addressed(part: Contraction, access: Access) -> Ranges:
    """What a contraction reads along each axis of an operand."""
    extents = {i.name: i.extent for i in part.indices}
    summed = set(part.names(REDUCTION))
    places = _places(part.output, extents)
    found = []
    for axis in access:
        moving = [name for name, _ in axis.terms if name in places and name not in summed]
        name = max(moving, key=extents.__getitem__, default=None)
        low = high = Fraction(axis.offset)
        for other, coefficient in axis.terms:
            if other != name:
                reach = coefficient * (extents[other] - 1)
                low, high = low + min(reach, 0), high + max(reach, 0)
        if name is None:
            found.append(Range(None, Fraction(0), ((low, high),)))
            continue
        number, step, offset = places[name]
        stride = Fraction(dict(axis.terms)[name], step)
        ends = low - offset * stride, high - offset * stride
        alone = len(part.output[number].terms) == 1
        made = phased(number, stride, step, {offset % step: ends})
        found.append(replace(made, slid=alone and len(axis.terms) > 1))
    return tuple(found)


def _places(output: Access, extents: Mapping[str, int]) -> dict[str, tuple[int, int, int]]:
    """Indices that an axis of the output has to itself: its number, coefficient and offset."""
    places = {}
    for number, axis in enumerate(output):
        terms = [term for term in axis.terms if extents[term[0]] > 1] or axis.terms[:1]
        if len(terms) == 1:
            name, coefficient = terms[0]
            places[name] = (number, coefficient, axis.offset)
    return places


def _related(
    node: Node, i: int, k: int, axis: int, relation: Relation, extents: Mapping[Any, int]
) -> Range:
    """What the index relation says about one axis of an operand."""
    label, target = relation.operands[i][axis], relation.outputs[k]
    spec = input_specs(node)[i]
    if spec.shape[axis] == 1:
        return plain(target.index(label)) if label in target else whole(1)
    several = [part for part in atoms([label]) if extents.get(part) != 1]
    place = next((p for p, made in enumerate(target) if several[0] in atoms([made])), None)
    if len(several) > 1 or place is None:
        return whole(spec.shape[axis])
    atom = several[0]
    if atom in relation.moved | relation.mixed:
        return moved_range(node, i, axis, place) or whole(spec.shape[axis])
    others = [part for part in atoms([target[place]]) if part != atom and extents.get(part) != 1]
    return replace(plain(place), merged=bool(others))
