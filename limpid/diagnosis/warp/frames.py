"""What one moment of training looks like: each plane with its grid, lines and classes, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from limpid.diagnosis.warp.contours import Window, line_in_window, window_around, zero_segments
from limpid.diagnosis.warp.points import Points
from limpid.diagnosis.warp.stages import (
    Stage,
    View,
    apply_all,
    find_stages,
    follow,
    principal_directions,
)
from limpid.diagnosis.warp.training import Moment
from limpid.nn.containers import Sequential
from limpid.nn.layers.linear import Linear
from limpid.nn.module import Module

Array = np.ndarray[Any, np.dtype[Any]]

SHADES = 48  # cells of the shading along each side of a plane
LATTICE = 56  # points along each side on which curves are looked for
GRID = 13  # lines of the grid in each direction
SAMPLES = 33  # points on each of them
MOST_FOLDS = 24  # units of deeper layers whose curves are drawn


@dataclass(frozen=True)
class Hyperplane:
    """Where weight·p + bias = 0 for one unit: the ends (2, 2), and the way to its positive side."""

    layer: int
    unit: int
    ends: Array
    normal: Array


@dataclass(frozen=True)
class Fold:
    """Where a unit of a deeper layer is zero before its activation, seen in the input: (K, 2, 2).

    A straight line of the space that the unit sees; here it is bent by all layers before.
    """

    layer: int
    unit: int
    segments: Array


@dataclass(frozen=True)
class Plane:
    """One panel at one moment.

    points      (N, 2), where the points are
    grid        (lines, samples, 2), where the lines of the input's grid are
    hyperplanes of the units of the linear map that comes next
    folds       in the input's panel only
    boundary    (K, 2, 2) segments on which the two best classes have equal probability: of this
                plane, or where it is a projection, of the input's boundary
    winners     (size, size) the likelier class in each cell, from the lower left corner
    confidence  (size, size) its probability; both are empty where the plane is a projection
    """

    points: Array
    grid: Array
    hyperplanes: tuple[Hyperplane, ...]
    folds: tuple[Fold, ...]
    boundary: Array
    winners: Array
    confidence: Array


@dataclass(frozen=True)
class Frame:
    """All panels after so many epochs.

    regions  how many patterns of positive and negative units the lattice of the input meets: for
             ReLU the pieces on each of which the network is one linear map
    """

    epoch: int
    loss: float
    accuracy: float
    regions: int
    planes: tuple[Plane, ...]


def find_views(model: Sequential, points: Points, moments: Sequence[Moment]) -> list[View]:
    """How each stage is shown: the same way at all moments, so that nothing moves but the values.

    Principal components are those of the last moment.
    """
    modules = list(model)
    stages = find_stages(modules)
    seen: list[list[Array]] = [[] for _ in stages]
    for moment in moments:
        model.load_state_dict(moment.state)
        for before, values in zip(seen, follow(modules, points.x)):
            before.append(values)
    return [_find_view(stage, values) for stage, values in zip(stages, seen)]


def _find_view(stage: Stage, values: Sequence[Array]) -> View:
    middle, directions, shares = np.zeros(2), np.eye(2), (1.0, 1.0)
    if not stage.is_plane:
        middle, directions, shares = principal_directions(values[-1])
    view = View(stage, middle, directions, shares, Window(0, 0, 1))
    shown = np.stack([view.project(value) for value in values])  # (moments, N, 2)
    window = window_around(shown)
    return View(stage, middle, directions, shares, window)


def look(model: Sequential, views: Sequence[View], points: Points, moment: Moment) -> Frame:
    """The panels of one moment."""
    model.load_state_dict(moment.state)
    modules = list(model)
    grid = grid_lines(views[0].window)
    places, lines = follow(modules, points.x), follow(modules, grid)
    boundary = find_boundary(modules, views[0].window)
    followed = follow(modules, boundary)  # where it goes, for panels of which only a part is seen
    planes = [
        _plane(modules, view, *map(view.project, values))
        for view, *values in zip(views, places, lines, followed)
    ]
    regions = count_regions(modules, views[0].window)
    return Frame(moment.epoch, moment.loss, moment.accuracy, regions, tuple(planes))


def grid_lines(window: Window) -> Array:
    """Vertical, then horizontal lines across a window: (2·GRID, SAMPLES, 2) float32."""
    left, right, bottom, top = window.bounds
    x, y = np.linspace(left, right, GRID), np.linspace(bottom, top, GRID)
    along = np.linspace(0, 1, SAMPLES)
    vertical = np.stack(np.broadcast_arrays(x[:, None], bottom + along * (top - bottom)), -1)
    level = np.stack(np.broadcast_arrays(left + along * (right - left), y[:, None]), -1)
    return np.concatenate([vertical, level]).astype(np.float32)


def _plane(
    modules: Sequence[Module], view: View, places: Array, grid: Array, boundary: Array
) -> Plane:
    rest = modules[view.stage.modules :]
    if not view.stage.is_plane:
        empty = np.zeros((0, 0))
        return Plane(places, grid, (), (), boundary, empty, empty)
    scores = apply_all(rest, view.window.lattice(SHADES).reshape(-1, 2))
    winners = scores.argmax(axis=1).reshape(SHADES, SHADES)
    best = np.exp(scores - _logsumexp(scores)).max(axis=1).reshape(SHADES, SHADES)
    return Plane(
        places,
        grid,
        tuple(_hyperplanes(rest, view)),
        tuple(_folds(modules, view.window)) if not view.stage.modules else (),
        find_boundary(rest, view.window) if view.stage.modules else boundary,
        winners,
        best,
    )


def _logsumexp(scores: Array) -> Array:
    most = scores.max(axis=1, keepdims=True)
    return most + np.log(np.exp(scores - most).sum(axis=1, keepdims=True))


def _hyperplanes(rest: Sequence[Module], view: View) -> list[Hyperplane]:
    """Those of the linear map that comes next, unless it is the last: its lines are no limits."""
    if len(rest) < 2 or not isinstance(rest[0], Linear):
        return []
    weight, bias = _parameters(rest[0])
    found = []
    for unit, (row, constant) in enumerate(zip(weight, bias)):
        ends = line_in_window(row, float(constant), view.window)
        if len(ends):
            normal = row / np.hypot(*row)
            found.append(Hyperplane(view.stage.layer + 1, unit, ends, normal))
    return found


def _parameters(layer: Linear) -> tuple[Array, Array]:
    weight = layer.weight.detach().numpy().astype(np.float64)
    bias = (
        np.zeros(len(weight))
        if layer.bias is None
        else layer.bias.detach().numpy().astype(np.float64)
    )
    return weight, bias


def hidden_maps(modules: Sequence[Module]) -> list[int]:
    """The places of the linear maps that an activation follows."""
    return [i for i, (m, after) in enumerate(pairwise(modules)) if isinstance(m, Linear)
            and not isinstance(after, Linear)]  # fmt: skip


def _folds(modules: Sequence[Module], window: Window) -> list[Fold]:
    """The curves of deeper units in the input, if there are few enough to be told apart."""
    deeper = hidden_maps(modules)[1:]
    widths = [len(_parameters(modules[i])[1]) for i in deeper]  # type: ignore[arg-type]  # linear
    if sum(widths) > MOST_FOLDS:
        return []
    found = []
    for number, (place, width) in enumerate(zip(deeper, widths), 2):
        before = modules[: place + 1]
        for unit in range(width):
            segments = zero_segments(partial(_unit, before, unit), window, LATTICE)
            found.append(Fold(number, unit, segments))
    return found


def find_boundary(rest: Sequence[Module], window: Window) -> Array:
    """Segments (K, 2, 2) of a plane on which the two best classes are equally likely.

    rest  the modules from this plane to the scores
    """
    classes = apply_all(rest, np.zeros((1, 2))).shape[1]
    found = [np.zeros((0, 2, 2))]
    for first in range(classes - 1):
        segments = zero_segments(partial(_margin, rest, first), window, LATTICE)
        scores = apply_all(rest, segments.mean(axis=1)).copy()
        scores[:, first] = -np.inf
        found.append(segments[scores.argmax(axis=1) > first])  # else it was found before
    return np.concatenate(found)


def _unit(modules: Sequence[Module], unit: int, points: Array) -> Array:
    """What modules give for one unit."""
    return apply_all(modules, points)[:, unit]


def _margin(rest: Sequence[Module], first: int, points: Array) -> Array:
    """By how much a class is ahead of all others."""
    scores = apply_all(rest, points)
    others = np.delete(scores, first, axis=1)
    return np.asarray(scores[:, first] - others.max(axis=1))


def count_regions(modules: Sequence[Module], window: Window) -> int:
    """How many patterns of signs before the activations a lattice over the input meets."""
    places = hidden_maps(modules)
    if not places:
        return 1
    values = follow(modules, window.lattice(2 * LATTICE).reshape(-1, 2))
    signs = np.concatenate([values[i + 1] > 0 for i in places], axis=1)
    return len(np.unique(np.packbits(signs, axis=1), axis=0))


__all__ = ["Fold", "Frame", "Hyperplane", "Plane", "find_boundary", "find_views", "look"]
