"""Pictures of a warp by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limpid.diagnosis.figures import (
    COLOURS,
    DARK,
    DASHES,
    LIGHT,
    MARKS,
    Ink,
    new_figure,
    styled,
    write_figure,
)
from limpid.diagnosis.pictures.canvas import clear
from limpid.diagnosis.warp.contours import join
from limpid.diagnosis.warp.frames import Plane
from limpid.diagnosis.warp.layout import Place, arrange
from limpid.diagnosis.warp.stages import View
from limpid.diagnosis.warp.warping import Warp

Array = np.ndarray[Any, np.dtype[Any]]

SIDE = 2.45  # inches of a panel
HEAD = 0.9  # inches above the panels
STRONGEST = 0.34  # of the shading, where the network is sure


def draw_still(warp: Warp, path: Path, dark: bool = False) -> None:
    """The last moment, as the file's name asks for: .svg, .png or .pdf."""
    ink = DARK if dark and path.suffix.lower() != ".svg" else LIGHT
    with styled(ink):
        panels = Panels(warp, ink)
        panels.show(len(warp.frames) - 1)
        write_figure(panels.figure, path, warp.title)


class Panels:
    """A figure with a panel for each view, the course of the loss and a legend.

    To be made inside `styled`; `show` puts a moment into it.
    """

    def __init__(self, warp: Warp, ink: Ink):
        self.warp = warp
        places = arrange(warp.views)
        rows, columns = max(2, 1 + max(p.row for p in places)), 1 + max(p.column for p in places)
        self.figure = new_figure(SIDE * max(columns, 3), SIDE * rows + HEAD)
        grid = self.figure.add_gridspec(rows, columns)
        self.panels = [
            _Panel(self.figure, grid, place, view, warp, ink)
            for place, view in zip(places, warp.views)
        ]
        self.course = _Course(self.figure.add_subplot(grid[1, 0]), warp, ink)
        if (1, columns - 1) not in {(place.row, place.column) for place in places}:
            _legend(self.figure.add_subplot(grid[1, columns - 1]), warp, ink)
        self.heading = self.figure.suptitle(" ", fontsize=10)
        self.show(0)
        self.figure.get_layout_engine().set(h_pad=0.08)
        for _ in range(2):  # the layout is found before anything moves, so that it stays
            self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")

    def show(self, number: int) -> None:
        """Put a moment into the figure."""
        frame = self.warp.frames[number]
        for panel, plane in zip(self.panels, frame.planes):
            panel.show(plane)
        self.course.show(number)
        right = round(frame.accuracy * len(self.warp.points))
        self.heading.set_text(
            f"{self.warp.title}\nafter {frame.epoch} epochs: loss {frame.loss:.3g}, "
            f"{right} of {len(self.warp.points)} points right, {frame.regions} regions"
        )

    def moving(self) -> list[Any]:
        """What differs from moment to moment, in the order in which it is drawn."""
        found = [self.heading, self.course.mark]
        for panel in self.panels:
            spines = panel.axes.spines.values()
            found += [*sorted(panel.shown, key=lambda artist: artist.get_zorder()), *spines]
        return found


class _Panel:
    """One plane: shading, grid, lines, boundary and points."""

    def __init__(self, figure: Any, grid: Any, place: Place, view: View, warp: Warp, ink: Ink):
        self.axes = figure.add_subplot(grid[place.row, place.column])
        self.view, self.warp, self.ink = view, warp, ink
        left, right, bottom, top = view.window.bounds
        self.axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        self.axes.locator_params(nbins=4)
        self.axes.tick_params(labelsize=7, length=2)
        self.axes.set_title(view.stage.title, color=ink.ink, fontweight="bold")
        self.axes.set_xlabel(_note(view, warp).replace(", ", "\n"), fontsize=7, color=ink.muted)
        self.shown: list[Any] = []

    def show(self, plane: Plane) -> None:
        """Draw a moment in place of the one before."""
        for artist in self.shown:
            artist.remove()
        self.shown = []
        if plane.winners.size:
            image = shade(plane, len(self.warp.points.classes))
            self._add(
                self.axes.imshow(
                    image, extent=self.view.window.bounds, origin="lower", aspect="equal",
                    interpolation="bilinear", zorder=0,
                )
            )  # fmt: skip
        self._lines(plane.grid, self.ink.muted, 0.5, alpha=0.55, zorder=1)
        for fold in plane.folds:
            self._lines(
                join(fold.segments), self.ink.ink, 0.9, DASHES[(fold.layer - 1) % 6], zorder=2
            )
        for line in plane.hyperplanes:
            dash = DASHES[(line.layer - 1) % 6]
            self._lines(line.ends[None], self.ink.ink, 1.1, dash, zorder=2)
            self._arrow(line.ends.mean(axis=0), line.normal)
        self._lines(join(plane.boundary), self.ink.paper, 4.0, zorder=3)
        self._lines(join(plane.boundary), self.ink.ink, 2.0, zorder=4)
        for number in range(len(self.warp.points.classes)):
            chosen = plane.points[self.warp.points.y == number]
            self._add(_scatter(self.axes, chosen, number, self.ink))

    def _add(self, artist: Any) -> None:
        self.shown.append(artist)

    def _lines(
        self,
        lines: Array | Sequence[Array],
        colour: str,
        width: float,
        dash: Any = "-",
        **more: Any,
    ) -> None:
        """Curves, each (points, 2)."""
        from matplotlib.collections import LineCollection

        if len(lines):
            drawn = LineCollection(
                list(lines),
                colors=colour,
                linewidths=width,
                linestyles=[dash],
                capstyle="round",
                **more,
            )
            self._add(self.axes.add_collection(drawn, autolim=False))

    def _arrow(self, foot: Array, normal: Array) -> None:
        """A short arrow to the positive side of a line."""
        tip = foot + normal * self.view.window.half * 0.14
        self._add(
            self.axes.annotate(
                "", tip, foot, arrowprops={"arrowstyle": "->", "color": self.ink.ink, "lw": 0.9},
                zorder=5, annotation_clip=True,
            )
        )  # fmt: skip


class _Course:
    """The loss at each moment, with a mark at the one that is shown."""

    def __init__(self, axes: Any, warp: Warp, ink: Ink):
        self.warp = warp
        axes.set_box_aspect(1)
        epochs, losses = zip(*warp.course)
        axes.plot(epochs, losses, color=ink.muted, lw=1.2)
        (self.mark,) = axes.plot([], [], "o", color=ink.ink, markersize=5)
        axes.set_title("loss", color=ink.ink, fontweight="bold")
        axes.set_xlabel("epochs", fontsize=7, color=ink.muted)
        if min(losses) > 0:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(_nothing)
        axes.tick_params(labelsize=7, length=2)
        axes.spines[["top", "right"]].set_visible(False)

    def show(self, number: int) -> None:
        """Move the mark."""
        frame = self.warp.frames[number]
        self.mark.set_data([frame.epoch], [frame.loss])


def _nothing(value: float, position: int | None = None) -> str:
    """No words at the small marks of an axis."""
    return ""


def _scatter(axes: Any, points: Array, number: int, ink: Ink, label: str | None = None) -> Any:
    return axes.scatter(
        points[:, 0], points[:, 1], s=13, c=COLOURS[number], marker=MARKS[number],
        edgecolors=ink.paper, linewidths=0.5, zorder=6, label=label,
    )  # fmt: skip


def _legend(axes: Any, warp: Warp, ink: Ink) -> None:
    """What marks and lines mean, in a place that no panel needs."""
    axes.set_axis_off()
    for number, name in enumerate(warp.points.classes):
        _scatter(axes, np.full((1, 2), np.nan), number, ink, f"class {clear(name, 18)}")
    axes.plot([], [], color=ink.ink, lw=2, label="decision boundary")
    for layer in warp.layers_with_lines:
        label = f"units of layer {layer} are 0"
        axes.plot([], [], color=ink.ink, lw=1, linestyle=DASHES[(layer - 1) % 6], label=label)
    axes.legend(loc="center", fontsize=8, labelcolor=ink.ink)


def _note(view: View, warp: Warp) -> str:
    if view.stage.modules:
        return view.note
    axes = " and ".join(warp.points.axes)
    return f"{axes}, {warp.points.note}" if warp.points.note else axes


def shade(plane: Plane, classes: int) -> Array:
    """The colour of each cell (size, size, 4): the likelier class, the surer the stronger."""
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(colour) for colour in COLOURS[:classes]])
    sure = (plane.confidence - 1 / classes) / (1 - 1 / classes)
    return np.concatenate([colours[plane.winners], STRONGEST * sure[..., None]], axis=-1)
