"""Links: along which axes a value goes hand in hand with its operands.

Element i of a value along a linked axis comes from element i of an operand along its axis, and from
nothing else of it. So a value can be computed for some i only, from these parts of its operands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from limpid.compiler.program.values import Shape, Value
from limpid.ops.windows.contraction import Access, Contraction


class Link(NamedTuple):
    """An index that runs along one axis of a value and of operands, or is summed over."""

    output: int | None  # the axis of the value; None if it is summed over
    operands: tuple[tuple[int, int], ...]  # numbers of operands, each with its axis

    def axis_of(self, number: int) -> int | None:
        """The axis of an operand that the index runs along."""
        return dict(self.operands).get(number)


def links(value: Value) -> list[Link]:
    """All links of a value; none where nothing is known."""
    find = _LINKS.get(value.kind)
    return [] if find is None else find(value)


def _map(value: Value) -> list[Link]:
    found = []
    for axis, extent in enumerate(value.shape):
        operands = []
        for number, x in enumerate(value.operands):
            own = axis - (len(value.shape) - len(x.shape))
            if own >= 0 and x.shape[own] == extent:
                operands.append((number, own))
        found.append(Link(axis, tuple(operands)))
    return found


def _reduce(value: Value) -> list[Link]:
    found, kept = [], 1 if "slots" in value.params else 0
    for axis in range(len(value.operands[0].shape)):
        if axis in value.params["axes"]:
            found.append(Link(None, ((0, axis),)))
        else:
            found.append(Link(kept, ((0, axis),)))
            kept += 1
    return found


def _permute(value: Value) -> list[Link]:
    return [Link(n, ((0, axis),)) for n, axis in enumerate(value.params["axes"])]


def _slice(value: Value) -> list[Link]:
    (x,) = value.operands
    starts, steps = value.params["starts"], value.params["steps"]
    return [
        Link(axis, ((0, axis),))
        for axis, extent in enumerate(value.shape)
        if extent == x.shape[axis] and starts[axis] == 0 and steps[axis] == 1
    ]


def _reshape(value: Value) -> list[Link]:
    pairs = _same_places(value.operands[0].shape, value.shape)
    return [Link(b, ((0, a),)) for a, b in pairs]


def _same_places(given: Shape, made: Shape) -> list[tuple[int, int]]:
    """Axes with the same extent, and as many elements before them."""
    places = {}
    before = 1
    for axis, extent in enumerate(given):
        places[before, extent] = axis
        before *= extent
    found, before = [], 1
    for axis, extent in enumerate(made):
        if extent != 1 and (before, extent) in places:
            found.append((places[before, extent], axis))
        before *= extent
    return found


def _join(value: Value) -> list[Link]:
    found = []
    for axis, extent in enumerate(value.shape):
        whole = all(
            x.shape[axis] == extent and starts[axis] == 0 and steps[axis] == 1
            for x, (starts, steps) in zip(value.operands, value.params["places"], strict=True)
        )
        if whole:
            found.append(Link(axis, tuple((n, axis) for n in range(len(value.operands)))))
    return found


def _take_along(value: Value) -> list[Link]:
    axis = value.params["axis"]
    found = [Link(n, ((0, n), (1, n))) for n in range(len(value.shape)) if n != axis]
    return [*found, Link(axis, ((1, axis),))]


def _gather(value: Value) -> list[Link]:
    x, index = value.operands
    axis, many = value.params["axis"], len(index.shape)
    found = [Link(n, ((0, n),)) for n in range(axis)]
    found += [Link(axis + n, ((1, n),)) for n in range(many)]
    return found + [Link(n + many - 1, ((0, n),)) for n in range(axis + 1, len(x.shape))]


def _scatter_along(value: Value) -> list[Link]:
    return [Link(n, ((0, n), (1, n))) for n in range(len(value.shape)) if n != value.params["axis"]]


def _scatter_add(value: Value) -> list[Link]:
    axis, many = value.params["axis"], len(value.operands[1].shape)
    found = [Link(n, ((0, n),)) for n in range(axis)]
    return found + [Link(n, ((0, n + many - 1),)) for n in range(axis + 1, len(value.shape))]


def _window(value: Value) -> list[Link]:
    axes = range(len(value.operands[0].shape))
    return [Link(n, ((0, n),)) for n in axes if n not in value.params["axes"]]


def _affine(value: Value) -> list[Link]:
    (x,) = value.operands
    places = value.params["places"]
    used = [axis for _, terms in places for axis, _ in terms]
    found = []
    for own, (start, terms) in enumerate(places):
        if start == 0 and len(terms) == 1 and terms[0][1] == 1:
            axis = terms[0][0]
            if used.count(axis) == 1 and value.shape[axis] == x.shape[own]:
                found.append(Link(axis, ((0, own),)))
    return found


def _accumulate(value: Value) -> list[Link]:
    count = len(value.operands)
    return [
        Link(n, tuple((k, n) for k in range(count)))
        for n in range(len(value.shape))
        if n != value.params["axis"]
    ]


def _contract(value: Value) -> list[Link]:
    found = [set(_contraction_links(part)) for part in value.params["parts"]]
    shift = 1 if "slots" in value.params else 0
    return [
        Link(None if link.output is None else link.output + shift, link.operands)
        for link in sorted(set.intersection(*found), key=str)
    ]


def _contraction_links(part: Contraction) -> list[Link]:
    found = [_contraction_link(part, index.name) for index in part.indices]
    return [link for link in found if link is not None]


def _contraction_link(part: Contraction, name: str) -> Link | None:
    assert part.right is not None
    accesses = (part.output, part.left, part.right)
    axes = [_axis(access, name, part.extent(name)) for access in accesses]
    if -1 in axes:
        return None
    output, *operands = axes
    return Link(output, tuple((n, axis) for n, axis in enumerate(operands) if axis is not None))


def index_along(part: Contraction, link: Link) -> str:
    """The name of the index of a contraction that a link is."""
    found = next(i.name for i in part.indices if _contraction_link(part, i.name) == link)
    return str(found)


def _axis(access: Access, name: str, extent: int) -> int | None:
    """The axis that an index alone runs along from end to end; None for none, −1 otherwise."""
    axes = [n for n, axis in enumerate(access) if name in dict(axis.terms)]
    if not axes:
        return None
    axis = access[axes[0]]
    alone = axis.terms == ((name, 1),) and axis.offset == 0 and axis.extent == extent
    return axes[0] if alone and len(axes) == 1 else -1


_LINKS: dict[str, Callable[[Value], list[Link]]] = {
    "map": _map,
    "reduce": _reduce,
    "permute": _permute,
    "broadcast": _map,
    "slice": _slice,
    "reshape": _reshape,
    "join": _join,
    "contract": _contract,
    "take_along": _take_along,
    "gather": _gather,
    "scatter_along": _scatter_along,
    "scatter_max": _scatter_along,
    "scatter_add": _scatter_add,
    "window": _window,
    "affine": _affine,
    "accumulate": _accumulate,
}
