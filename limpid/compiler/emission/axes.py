"""The loops of a nest: their order, which of them are one, and which is done in vectors.

Axes that follow on from one another in every array are one loop. Loops that a reduction runs over
are the inner ones. One axis, along which most arrays lie side by side, is done in vectors, but none
along which elements come one after the other.
"""

from __future__ import annotations

from typing import NamedTuple

from limpid.compiler.emission.accesses import Extent
from limpid.compiler.emission.arrays import Arrays, Key
from limpid.compiler.program.values import Value
from limpid.compiler.schedule.stages import FOLDED, Stage, in_turn, kept_axes


class Axis(NamedTuple):
    """A loop: its extent, the step of each array, and whether reductions run over it.

    counts  the steps of what counts how far it is
    turn    whether elements along it come one after the other
    """

    extent: Extent
    steps: dict[Key, int]
    counts: dict[Value, int]
    summed: bool = False
    turn: bool = False
    vector: bool = False


def loops(stage: Stage, arrays: Arrays) -> list[Axis]:
    """The loops, outermost first: kept axes, then those that are summed over."""
    folded = next((v for v in stage.values if v.kind in FOLDED), None)
    kept = (True,) * len(stage.domain) if folded is None else kept_axes(folded)
    turns = frozenset().union(*map(in_turn, stage.values))
    axes = [
        Axis(
            Extent(n, axis == stage.band),
            {key: r.steps[axis] for key, r in arrays.readings.items()},
            {value: counts[axis] for value, counts in arrays.counts.items()},
            not kept[axis],
            axis in turns,
        )
        for axis, n in enumerate(stage.domain)
    ]
    if not axes:
        none = dict.fromkeys(arrays.readings, 0)
        axes = [Axis(Extent(1), none, dict.fromkeys(arrays.counts, 0))]
    free = [n for n, axis in enumerate(axes) if not axis.turn]
    vector = max(free, key=lambda n: (_smooth(axes[n]), n), default=None)
    along = [a._replace(vector=n == vector) for n, a in enumerate(axes)]
    outer, inner = ([a for a in along if a.summed is summed] for summed in (False, True))
    return [*_merged(_sorted(outer)), *_merged(_sorted(inner))]


def _smooth(axis: Axis) -> int:
    """How many arrays lie side by side along an axis, less those that lie apart."""
    weights = [1 if s == 1 else -1 if s else 0 for s in axis.steps.values()]
    return 3 * sum(weights) + (axis.extent.static >= 4)


def _sorted(axes: list[Axis]) -> list[Axis]:
    """Long steps first, the one in vectors last; those in turn stay in order."""
    made = sorted(axes, key=lambda a: (a.vector, -max(map(abs, a.steps.values()))))
    turns = iter([a for a in axes if a.turn])
    return [next(turns) if a.turn else a for a in made]


def _merged(axes: list[Axis]) -> list[Axis]:
    """Axes of which one goes on where the next ends, in all arrays, as one."""
    made: list[Axis] = []
    for axis in axes:
        if made and not axis.extent.chunked and made[-1].turn == axis.turn:
            outer, inner = made[-1], axis.extent.static
            steps = all(outer.steps[key] == inner * n for key, n in axis.steps.items())
            if steps and all(outer.counts[v] == inner * n for v, n in axis.counts.items()):
                made.pop()
                axis = axis._replace(extent=outer.extent.times(inner))
        made.append(axis)
    return made
