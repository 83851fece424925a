"""What a linear primitive reads along an axis, found by its transpose: where an impulse goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from limpid.differentiation.rules import downstream
from limpid.graph.context import no_grad
from limpid.graph.graph import input_specs
from limpid.graph.node import Node
from limpid.nn.overview.ranges import Range, phased

SAMPLES = 8  # elements in the middle of an axis that are looked at
Seen = tuple[int, int, int]  # an index of the output, the first and the last element that it reads


def moved_range(node: Node, i: int, axis: int, place: int) -> Range | None:
    """The elements along an axis of operand i that an output reads, which counts along `place`.

    None where the primitive is not linear, an index is not known, or there is no such range.
    """
    op: Any = node.op
    constants = op.masks(len(node.inputs))
    if not op.jointly_linear or op.outputs > 1:
        return None
    if any(mask and isinstance(x, Node) for mask, x in zip(constants, node.inputs)):
        return None
    seen = list(_seen(node, i, axis, place))
    inner = seen[SAMPLES // 4 : -SAMPLES // 4]  # of a short axis all but the borders
    found = _range(node, i, axis, place, seen)
    return found or (_range(node, i, axis, place, inner) if len(inner) > 2 else None)


def _range(node: Node, i: int, axis: int, place: int, seen: Sequence[Seen]) -> Range | None:
    """The range that explains what was seen."""
    strides = [Fraction(b[1] - a[1]) for a, b in pairwise(seen)][:1]
    strides.append(Fraction(input_specs(node)[i].shape[axis], node.outputs[0].shape[place]))
    return next(filter(None, (_fitted(place, seen, stride) for stride in strides)), None)


def _fitted(place: int, seen: Sequence[Seen], stride: Fraction) -> Range | None:
    """The range with this stride, if there is one."""
    period = stride.denominator
    ends = {o % period: (first - stride * o, last - stride * o) for o, first, last in seen}
    fits = all(
        ends[o % period] == (first - stride * o, last - stride * o) for o, first, last in seen
    )
    return phased(place, stride, period, ends) if seen and fits and period <= SAMPLES else None


def _seen(node: Node, i: int, axis: int, place: int) -> Iterator[Seen]:
    """What outputs in the middle of an axis read; nothing of those that read nothing."""
    op: Any = node.op
    operands = input_specs(node)
    constants = op.masks(len(operands))
    values = [x if mask else spec for mask, x, spec in zip(constants, node.inputs, operands)]
    shape = node.outputs[0].shape
    start = max(0, (shape[place] - SAMPLES) // 2)
    for o in range(start, min(start + SAMPLES, shape[place])):
        impulse = np.zeros(shape)
        impulse[(slice(None),) * place + (o,)] = 1
        with no_grad():
            back = np.asarray(downstream(op, i, impulse, None, values, node.params))
        found = np.nonzero(back)[axis]
        if found.size:
            yield o, int(found.min()), int(found.max())
