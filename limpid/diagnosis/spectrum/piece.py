"""A piece of a graph between two cuts, as a linear map that is applied and never formed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from limpid.diagnosis.spectrum.lanczos import Operator
from limpid.differentiation.forward import push_forward
from limpid.differentiation.reverse import reverse
from limpid.graph.node import Array, Node, Spec
from limpid.tensor import Tensor
from limpid.transforms.pattern import Digit, follow, tidy
from limpid.transforms.structure import JacobianStructure, describe_structure

Place = tuple[Node, int]  # a node and the number of one of its outputs


def gradient_at(found: Mapping[Node, Any], place: Place) -> Array | None:
    """The gradient of a value among those of nodes, None where nothing arrived."""
    g = found.get(place[0])
    return g[place[1]] if isinstance(g, list) else g


def spec_at(place: Place) -> Spec:
    """Shape and type of a value."""
    return place[0].outputs[place[1]]


@dataclass(frozen=True, eq=False)
class Piece:
    """What a graph computes from the values `start` to the values `end`, with values saved.

    nodes  all that lie between, oldest first, the end with them; those of the start are not
    """

    start: tuple[Place, ...]
    end: tuple[Place, ...]
    nodes: tuple[Node, ...]

    @property
    def since(self) -> int:
        """The number of the oldest node: what is older, and no start, is constant."""
        return self.nodes[0].number if self.nodes else 0

    def push(self, tangents: Sequence[Array]) -> list[Array]:
        """J · tangents."""
        given: dict[Node, Any] = {}
        for (node, k), dx in zip(self.start, tangents, strict=True):
            if len(node.outputs) == 1:
                given[node] = dx
            else:
                parts = given.get(node, (None,) * len(node.outputs))
                given[node] = (*parts[:k], dx, *parts[k + 1 :])
        outputs = [Tensor(node, index, None) for node, index in self.end]
        with np.errstate(all="ignore"):
            pushed = push_forward(outputs, given, False, self.since)
        return [_or_zeros(dy, spec_at(y)) for dy, y in zip(pushed, self.end, strict=True)]

    def pull(self, gradients: Sequence[Array]) -> list[Array]:
        """Jᵀ · gradients."""
        outputs = [Tensor(node, index, None) for node, index in self.end]
        wanted = list(dict.fromkeys(node for node, _ in self.start))
        with np.errstate(all="ignore"):
            found, _ = reverse(outputs, gradients, wanted, False, self.since)
        return [_or_zeros(gradient_at(found, place), spec_at(place)) for place in self.start]

    @cached_property
    def structure(self) -> JacobianStructure | None:
        """What declarations say of the Jacobian; None where there are several starts or ends."""
        if len(self.start) > 1 or len(self.end) > 1:
            return None
        (start, _), end = self.start[0], self.end[0]
        pattern = follow(start, self.nodes).get(end)
        return describe_structure(pattern, spec_at(end).shape, spec_at(self.start[0]).shape)

    @property
    def rearranges(self) -> bool:
        """Whether each number of the end depends on one number of the start, and all on others."""
        found = self.structure
        if found is None or found.kind not in ("diagonal", "selection") or found.moved:
            return False
        return prod(found.output) == prod(found.input)

    @cached_property
    def examples(self) -> int:
        """How many examples there are, if none depends on another one; else 0.

        Examples lie along the first axes. Whether they are independent is read off the index
        relations of the primitives, so it holds for all values.
        """
        if any(k for _, k in self.start):
            return 0  # relations are followed from first outputs
        shapes = [spec_at(place).shape for place in (*self.start, *self.end)]
        if not all(shapes) or len({shape[0] for shape in shapes}) > 1:
            return 0
        count = shapes[0][0]
        own = tidy([Digit(0, 1, count)])
        for start, _ in self.start:
            patterns = follow(start, self.nodes)
            reached = [patterns[place] for place in self.end if place in patterns]
            if any(pattern.axes[0] != own for pattern in reached):
                return 0
        return count

    def operator(self) -> Operator:
        """The Jacobian as one map for each example, or as a whole where examples are mixed."""
        groups = self.examples or 1
        sizes = [sum(spec_at(x).size for x in side) // groups for side in (self.start, self.end)]
        types = [spec_at(x).dtype.storage for x in (*self.start, *self.end)]
        return Operator(
            lambda v: join(self.push(part(v, self.start)), groups),
            lambda u: join(self.pull(part(u, self.end)), groups),
            groups,
            sizes[0],
            sizes[1],
            max(float(np.finfo(dtype).eps) for dtype in types),
        )


def part(joined: Array, places: Sequence[Place]) -> list[Array]:
    """Vectors, one for each group, as arrays of the shapes and types of the values."""
    groups, found, end = len(joined), [], 0
    for place in places:
        spec = spec_at(place)
        begin, end = end, end + spec.size // groups
        found.append(
            joined[:, begin:end].reshape(spec.shape).astype(spec.dtype.storage, copy=False)
        )
    return found


def join(parts: Sequence[Array], groups: int) -> Array:
    """The reverse of `part`: one vector for each group."""
    if len(parts) == 1:
        return np.asarray(parts[0]).reshape(groups, -1)
    return np.concatenate([np.asarray(x).reshape(groups, -1) for x in parts], axis=1)


def _or_zeros(x: Array | None, spec: Spec) -> Array:
    return np.zeros(spec.shape, spec.dtype.storage) if x is None else x
