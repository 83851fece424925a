"""Space warping: how a network bends the plane until a line separates the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from limpid.diagnosis.warp.frames import Frame, Plane, find_views, look
from limpid.diagnosis.warp.points import Points, find_points
from limpid.diagnosis.warp.stages import View, check_network
from limpid.diagnosis.warp.training import build_network, choose, train
from limpid.errors import ArgumentError, OperandError
from limpid.explanation.drawing.faces import clean
from limpid.nn.containers import Sequential

EPOCHS, RATE, FRAMES = 500, 0.03, 48
HIDDEN = (2, 2, 2, 2)
USUAL_HIDDEN = {"moons": (2, 2, 2), "circles": (3,), "xor": (3,)}  # else HIDDEN
STILL, MOVING = (".svg", ".png", ".pdf"), (".gif", ".apng")


@dataclass(frozen=True)
class Warp:
    """What a network does to the plane, at several moments of its training.

    model   the network, as trained
    views   one for each panel: the plane before the network and after each module
    frames  one for each moment, oldest first; `frames[i].planes[k]` is what `views[k]` shows
    course  (epoch, loss), also at moments of which there is no frame
    """

    points: Points
    model: Sequential
    views: tuple[View, ...]
    frames: tuple[Frame, ...]
    course: tuple[tuple[int, float], ...]
    title: str

    @property
    def sentence(self) -> str:
        """What came out, in one sentence."""
        last = self.frames[-1]
        right = round(last.accuracy * len(self.points))
        scale = ", standardised," if self.points.note else ""
        return (
            f"After {last.epoch} epochs {right} of {len(self.points)} points{scale} are on their "
            f"side of the boundary, at a loss of {last.loss:.3g}; the hidden units cut the plane "
            f"shown into {last.regions} region{'s' * (last.regions != 1)}."
        )

    @cached_property
    def layers_with_lines(self) -> list[int]:
        """The layers whose units' zeros are drawn."""
        planes = [plane for frame in self.frames for plane in frame.planes]
        straight = {line.layer for plane in planes for line in plane.hyperplanes}
        return sorted(straight | {fold.layer for plane in planes for fold in plane.folds})

    @cached_property
    def data(self) -> dict[str, Any]:
        """All that the pictures show, as JSON can hold it."""
        return {
            "kind": "limpid warp",
            "version": 1,
            "title": self.title,
            "sentence": self.sentence,
            "classes": list(self.points.classes),
            "labels": self.points.y.tolist(),
            "axes": list(self.points.axes),
            "course": [list(point) for point in self.course],
            "views": [_view_data(view) for view in self.views],
            "frames": [_frame_data(frame) for frame in self.frames],
        }

    def save(self, path: str | Path, *, dark: bool = False) -> Path:
        """Write what the file's name asks for: a page, a picture, an animation or the data.

        .html   the animation as a page that opens from disk and needs no network
        .svg .png .pdf   the last moment; .gif .apng the animation: these need matplotlib
        .json   `data`
        dark    .png, .pdf, .gif and .apng light on dark; .svg and .html follow the reader's setting
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".html":
            from limpid.diagnosis.warp.page import render_page

            path.write_text(render_page(self), encoding="utf-8")
        elif suffix == ".json":
            import json

            path.write_text(json.dumps(self.data), encoding="utf-8")
        elif suffix in STILL:
            from limpid.diagnosis.warp.picture import draw_still

            draw_still(self, path, dark)
        elif suffix in MOVING:
            from limpid.diagnosis.warp.motion import draw_animation

            draw_animation(self, path, dark)
        else:
            known = ", ".join((".html", *STILL, *MOVING, ".json"))
            raise ArgumentError(f"{path}: of unknown kind; a warp can be written as {known}")
        return path

    def __repr__(self) -> str:
        return f"<warp of {self.title}: {len(self.views)} panels at {len(self.frames)} moments>"


def warp(
    data: Points | str | Path,
    hidden: Sequence[int] | None = None,
    *,
    activation: str = "tanh",
    epochs: int = EPOCHS,
    lr: float = RATE,
    seed: int = 0,
    frames: int = FRAMES,
    n: int | None = None,
    noise: float | None = None,
    label: str | None = None,
    model: Sequential | None = None,
) -> Warp:
    """Train a network on points of the plane, and show how each of its layers warps the plane.

    data        "spirals", "moons", "circles" or "xor"; the path of a .csv with two columns of
                numbers and a label; or `Points`
    hidden      widths of the hidden layers; those of two are drawn whole, wider ones by their first
                two principal components
    activation  after each hidden layer: tanh, relu, sigmoid …
    seed        decides the points, the first weights and the order of the points
    frames      how many moments to look at; 1: the last one only
    n, noise    of the points that are made: how many, and their deviation
    label       the label's column in a .csv
    model       a Sequential that begins with a Linear of two inputs, in place of `hidden`: it is
                trained from the weights that it has; epochs=0 shows it as it is

    >>> found = warp("xor", (2,), epochs=1, n=8, frames=1)
    >>> found
    <warp of xor, 2 → 2 → 2, tanh: 4 panels at 1 moments>
    >>> [view.stage.title for view in found.views]
    ['before the network', 'layer 1: linear map', 'layer 1: Tanh', 'layer 2: the scores']
    """
    points = data if isinstance(data, Points) else _find(data, n, noise, seed, label)
    if model is None:
        usual = USUAL_HIDDEN.get(points.name, HIDDEN)
        hidden = usual if hidden is None else tuple(hidden)
        model = build_network(len(points.classes), hidden, activation, seed)
        widths = " → ".join(map(str, (2, *hidden, len(points.classes))))
        title = f"{points.name}, {widths}" + (f", {activation}" if hidden else "")
    else:
        title = f"{points.name}, {type(model).__name__} of {len(check_network(model))} modules"
    check_network(model)
    course = list(train(model, points, epochs, lr, seed, frames))
    moments = choose(course, frames)
    views = find_views(model, points, moments)
    _check_scores(views[-1], points)
    shown = tuple(look(model, views, points, moment) for moment in moments)
    losses = tuple((moment.epoch, moment.loss) for moment in course)
    return Warp(points, model, tuple(views), shown, losses, clean(title))


def _find(data: Any, n: int | None, noise: float | None, seed: int, label: str | None) -> Points:
    if not isinstance(data, str | Path):
        raise OperandError(
            f"points are given by name, by the path of a .csv or as Points, not as "
            f"{type(data).__name__}; limpid.diagnosis.warp.from_arrays makes them of arrays"
        )
    return find_points(data, n=n, noise=noise, seed=seed, label=label)


def _check_scores(last: View, points: Points) -> None:
    if last.stage.width != len(points.classes):
        raise ArgumentError(
            f"the network gives {last.stage.width} scores, but there are "
            f"{len(points.classes)} classes"
        )


def _view_data(view: View) -> dict[str, Any]:
    left, right, bottom, top = view.window.bounds
    return {
        "title": view.stage.title,
        "kind": view.stage.kind,
        "layer": view.stage.layer,
        "width": view.stage.width,
        "note": view.note,
        "shares": list(view.shares) if view.is_projected else None,
        "directions": view.directions.tolist(),
        "middle": view.middle.tolist(),
        "window": {"left": left, "right": right, "bottom": bottom, "top": top},
    }


def _frame_data(frame: Frame) -> dict[str, Any]:
    return {
        "epoch": frame.epoch,
        "loss": frame.loss,
        "accuracy": frame.accuracy,
        "regions": frame.regions,
        "planes": [_plane_data(plane) for plane in frame.planes],
    }


def _plane_data(plane: Plane) -> dict[str, Any]:
    return {name: _listed(value) for name, value in asdict(plane).items()}


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [_listed(part) for part in value]
    if isinstance(value, dict):
        return {name: _listed(part) for name, part in value.items()}
    return value
