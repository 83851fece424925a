"""Where the panels of a warp stand: a column for each layer, its linear map on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limpid.diagnosis.warp.stages import LINEAR, View


@dataclass(frozen=True)
class Place:
    """A row and a column, counted from 0."""

    row: int
    column: int


def arrange(views: Sequence[View]) -> list[Place]:
    """A place for each view: the input first, then each linear map with what follows it below."""
    places = [Place(0, 0)]
    for view in views[1:]:
        before = places[-1]
        if view.stage.kind == LINEAR:
            places.append(Place(0, before.column + 1))
        else:
            places.append(Place(before.row + 1, before.column))
    return places
