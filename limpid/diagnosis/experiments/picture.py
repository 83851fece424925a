"""The picture of an experiment by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limpid.diagnosis.experiments.result import Experiment, Plot
from limpid.diagnosis.figures import (
    COLOURS,
    DARK,
    DASHES,
    LIGHT,
    MARKS,
    Ink,
    new_figure,
    styled,
    svg_of,
    write_figure,
)

WIDTH, HEIGHT = 3.6, 3.1  # inches of a plot
MANY = 12  # points, from which on they have no marks
FEW = 8  # different x, up to which each is named
FINE = 300  # the ratio of an axis' ends below which it has numbers between powers of ten


def draw(experiment: Experiment, path: Path, dark: bool = False) -> None:
    """The plots side by side, as .svg, .png or .pdf."""
    ink = DARK if dark and path.suffix.lower() != ".svg" else LIGHT
    with styled(ink):
        write_figure(_figure(experiment, ink), path, experiment.title)


def draw_svg(experiment: Experiment) -> str:
    """The plots as an SVG element for a page."""
    with styled(LIGHT):
        return svg_of(_figure(experiment, LIGHT, heading=False), experiment.title)


def _figure(experiment: Experiment, ink: Ink, heading: bool = True) -> Any:
    plots, columns = experiment.plots, min(experiment.columns, len(experiment.plots))
    rows = -(-len(plots) // columns)
    wide = 1.6 if len(plots) == 1 else 1.0  # a single plot has room for its legend
    figure = new_figure(WIDTH * columns * wide, HEIGHT * rows * wide + 0.4 * heading)
    figure.get_layout_engine().set(h_pad=0.09, w_pad=0.07)
    if heading:
        figure.suptitle(experiment.title, fontsize=11, fontweight="bold")
    for number, plot in enumerate(plots):
        _draw(figure.add_subplot(rows, columns, number + 1), plot, ink)
    return figure


def _draw(axes: Any, plot: Plot, ink: Ink) -> None:
    for number, curve in enumerate(plot.curves):
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        mark = MARKS[number % len(MARKS)] if len(curve.x) <= MANY else None
        axes.plot(curve.x, curve.y, color=colour, linestyle=dash, marker=mark, markersize=4, lw=1.6,
                  label=curve.name)  # fmt: skip
    if "x" in plot.log:
        axes.set_xscale("log")
    if "y" in plot.log:
        axes.set_yscale("log")
    axes.set_title(plot.title, fontweight="bold", color=ink.ink)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.grid(color=ink.faint, linewidth=0.5, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    _name_ticks(axes, plot)
    _mark(axes, plot, ink)
    axes.legend(fontsize=8, labelcolor=ink.ink, frameon=True, facecolor=ink.paper, edgecolor="none",
                framealpha=0.8)  # fmt: skip


def _name_ticks(axes: Any, plot: Plot) -> None:
    """Numbers at the axes as plain text, few enough to be read."""
    from matplotlib.ticker import LogLocator

    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if name in plot.log:
            low, high = axis.get_view_interval()
            if low > 0 and high < FINE * low:
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(_nothing)
    places = sorted({x for curve in plot.curves for x in curve.x})
    if "x" in plot.log and len(places) <= FEW:
        axes.set_xticks(places, [f"{x:g}" for x in places])


def _nothing(value: float, position: int | None = None) -> str:
    """No words at the small marks of an axis."""
    return ""


def _mark(axes: Any, plot: Plot, ink: Ink) -> None:
    """Crosses at the top for what has no place in the plot."""
    if plot.marks:
        x = [place for place, _ in plot.marks]
        # A filled mark: style sheets for dark screens reach the fill of a mark, not its lines.
        axes.plot(x, [0.95] * len(x), "X", color=ink.ink, markersize=8, mew=0, linestyle="none",
                  transform=axes.get_xaxis_transform(), label=plot.marks[0][1])  # fmt: skip
