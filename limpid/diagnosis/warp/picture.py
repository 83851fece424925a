"""Pictures of a warp by matplotlib: one moment, or all of them in motion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    matplotlib,
    new_figure,
    styled,
    write_figure,
)
from limpid.diagnosis.warp.contours import join
from limpid.diagnosis.warp.frames import Plane
from limpid.diagnosis.warp.layout import Place, arrange
from limpid.diagnosis.warp.stages import View
from limpid.diagnosis.warp.warping import Warp
from limpid.errors import MissingLibraryError

Array = np.ndarray[Any, np.dtype[Any]]

SIDE = 2.45  # inches of a panel
HEAD = 0.9  # inches above the panels
RATE = 10  # frames in a second
LAST = 15  # times that the last one is shown
STRONGEST = 0.34  # of the shading, where the network is sure


def draw_still(warp: Warp, path: Path, dark: bool = False) -> None:
    """The last moment, as the file's name asks for: .svg, .png or .pdf."""
    ink = DARK if dark else LIGHT
    with styled(ink):
        figure, update = _panels(warp, ink)
        update(len(warp.frames) - 1)
        write_figure(figure, path)


def draw_animation(warp: Warp, path: Path, dark: bool = False) -> None:
    """All moments, as .gif or .apng."""
    matplotlib()
    try:
        from PIL import Image
    except ImportError:
        raise MissingLibraryError(
            "animations as .gif and .apng need pillow\nremedy: pip install pillow, or write .html"
        ) from None
    ink = DARK if dark else LIGHT
    images = []
    with styled(ink):
        figure, update = _panels(warp, ink)
        for number in range(len(warp.frames)):
            update(number)
            images.append(_image(figure, Image))
    palette = images[-1].quantize(255)  # one for all, so that still parts stay still
    images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    lasts = [1000 // RATE] * (len(images) - 1) + [LAST * 1000 // RATE]
    kind = "GIF" if path.suffix.lower() == ".gif" else "PNG"
    first, *rest = images
    first.save(path, kind, save_all=True, append_images=rest, duration=lasts, loop=0)


def _image(figure: Any, library: Any) -> Any:
    figure.canvas.draw()
    return library.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())


def _panels(warp: Warp, ink: Ink) -> tuple[Any, Callable[[int], None]]:
    """A figure with a panel for each view, and a function that shows a moment in it."""
    places = arrange(warp.views)
    rows, columns = max(2, 1 + max(p.row for p in places)), 1 + max(p.column for p in places)
    figure = new_figure(SIDE * max(columns, 3), SIDE * rows + HEAD)
    grid = figure.add_gridspec(rows, columns)
    panels = [
        _Panel(figure, grid, place, view, warp, ink) for place, view in zip(places, warp.views)
    ]
    course = _Course(figure.add_subplot(grid[1, 0]), warp, ink)
    if (1, columns - 1) not in {(place.row, place.column) for place in places}:
        _legend(figure.add_subplot(grid[1, columns - 1]), warp, ink)
    heading = figure.suptitle(" ", fontsize=10)

    def update(number: int) -> None:
        frame = warp.frames[number]
        for panel, plane in zip(panels, frame.planes):
            panel.show(plane)
        course.show(number)
        right = round(frame.accuracy * len(warp.points))
        heading.set_text(
            f"{warp.title}\nafter {frame.epoch} epochs: loss {frame.loss:.3g}, "
            f"{right} of {len(warp.points)} points right, {frame.regions} regions"
        )
        if figure.get_layout_engine() is not None:  # found once, so that nothing moves afterwards
            figure.draw_without_rendering()
            figure.set_layout_engine("none")

    return figure, update


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
        self.axes.set_xlabel(_note(view, warp), fontsize=7, color=ink.muted)
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
                lines, colors=colour, linewidths=width, linestyles=[dash], capstyle="round", **more
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
        epochs = [frame.epoch for frame in warp.frames]
        losses = [frame.loss for frame in warp.frames]
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
        shown = name if len(name) <= 18 else name[:17] + "…"
        _scatter(axes, np.full((1, 2), np.nan), number, ink, f"class {shown}")
    axes.plot([], [], color=ink.ink, lw=2, label="decision boundary")
    for layer in warp.layers_with_lines:
        label = f"units of layer {layer} are 0"
        axes.plot([], [], color=ink.ink, lw=1, linestyle=DASHES[(layer - 1) % 6], label=label)
    axes.legend(loc="center", fontsize=8, labelcolor=ink.ink)


def _note(view: View, warp: Warp) -> str:
    if view.stage.modules:
        return view.note
    return ", ".join(part for part in (" and ".join(warp.points.axes), warp.points.note) if part)


def shade(plane: Plane, classes: int) -> Array:
    """The colour of each cell (size, size, 4): the likelier class, the surer the stronger."""
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(colour) for colour in COLOURS[:classes]])
    sure = (plane.confidence - 1 / classes) / (1 - 1 / classes)
    return np.concatenate([colours[plane.winners], STRONGEST * sure[..., None]], axis=-1)
