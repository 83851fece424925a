"""Figures of several panels, on light or dark paper, as files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpid.diagnosis.pictures import canvas
from limpid.errors import ArgumentError

# Told apart by the colour-blind, and by marks and dashes in grey; source: Okabe and Ito 2008.
COLOURS = (*canvas.COLOURS, "#56b4e9", "#7f7f7f")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 1)), (0, (9, 3)), "-")
KINDS = (".svg", ".png", ".pdf")
DPI = 160


@dataclass(frozen=True)
class Ink:
    """The colours of a figure besides those of its series."""

    paper: str
    ink: str
    muted: str
    faint: str


LIGHT = Ink(canvas.PAPER, canvas.INK, canvas.SOFT, canvas.LINE)
DARK = Ink(paper="#16191d", ink="#e6e8eb", muted="#9aa4af", faint="#3a4149")


@contextmanager
def styled(ink: Ink) -> Iterator[None]:
    """Inside, figures are made and written with limpid's settings, whatever the user's are."""
    settings = dict.fromkeys(("axes.facecolor", "figure.facecolor", "savefig.facecolor"), ink.paper)
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor")
    settings |= dict.fromkeys(inked, ink.ink)
    for axis in "xy":
        settings |= dict.fromkeys((f"{axis}tick.color", f"{axis}tick.labelcolor"), ink.muted)
    more = {"axes.titlelocation": "center", "axes.spines.top": True, "axes.spines.right": True}
    with canvas.styled(), canvas.library().rc_context({**settings, **more}):
        yield


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches, drawn by Agg; to be used inside `styled`."""
    figure = canvas.new_figure(width, height)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    return figure


def write_figure(figure: Any, path: Path, title: str) -> None:
    """Write .svg, .png or .pdf, without dates, so that the same picture is the same file.

    An .svg follows the reader's light or dark setting.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ArgumentError(f"{path}: a picture is written as {', '.join(KINDS)}")
    if kind == ".svg":
        path.write_text(canvas.svg_of(figure, title) + "\n", encoding="utf-8")
    else:
        nothing = {"CreationDate": None} if kind == ".pdf" else {"Software": None}
        figure.savefig(path, format=kind[1:], dpi=DPI, metadata=nothing)


def svg_of(figure: Any, title: str) -> str:
    """The figure as SVG that can stand in a page."""
    return canvas.svg_of(figure, title)
