"""Figures by matplotlib, an optional library: imported when a picture is made, and never pyplot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from limpid.errors import ArgumentError, MissingLibraryError

# Told apart by the colour-blind, and by marks and dashes in grey; source: Okabe and Ito 2008.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 1)), (0, (9, 3)), "-")
KINDS = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Ink:
    """The colours of a figure besides those of its series."""

    paper: str
    ink: str
    muted: str
    faint: str


LIGHT = Ink(paper="#ffffff", ink="#1d2733", muted="#566270", faint="#c3ccd6")
DARK = Ink(paper="#11161c", ink="#e4eaf0", muted="#9aa7b4", faint="#3a4653")


def matplotlib() -> Any:
    """The library; MissingLibraryError names the remedy where it is not installed."""
    try:
        import matplotlib as found
        import matplotlib.figure
    except ImportError:
        raise MissingLibraryError(
            "pictures need matplotlib\nremedy: pip install 'limpid[pictures]'; pages (.html) and "
            "data (.json) of a warp need nothing"
        ) from None
    return found


@contextmanager
def styled(ink: Ink) -> Iterator[None]:
    """Inside, figures are made and written with limpid's settings, whatever the user's are."""
    found = matplotlib()
    settings = {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "limpid",  # the same picture, the same file
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.linewidth": 0.8,
        "axes.facecolor": ink.paper,
        "figure.facecolor": ink.paper,
        "savefig.facecolor": ink.paper,
        "legend.frameon": False,
        "text.usetex": False,
        "text.parse_math": False,  # names are text, also with dollar signs
    }
    settings |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), ink.ink)
    settings |= dict.fromkeys(("xtick.color", "ytick.color"), ink.muted)
    with found.rc_context():
        found.rcdefaults()
        found.rcParams.update(settings)
        yield


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches, drawn by Agg; to be used inside `styled`."""
    library = matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = library.figure.Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_figure(figure: Any, path: Path) -> None:
    """Write .svg, .png or .pdf, without dates, so that the same picture is the same file."""
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise ArgumentError(f"{path}: a picture is written as {', '.join(KINDS)}")
    figure.savefig(path, format=suffix[1:], dpi=160, metadata=_metadata(suffix))


def svg_of(figure: Any) -> str:
    """The SVG element of a figure, to be put into a page."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata=_metadata(".svg"), transparent=True)
    found = text.getvalue()
    return found[found.index("<svg") :]


def _metadata(suffix: str) -> dict[str, Any]:
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix, {})
