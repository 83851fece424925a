"""What an experiment gives: a sentence, a table and curves, as data that renderers show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from limpid.errors import ArgumentError


@dataclass(frozen=True)
class Curve:
    """A line through points; in logarithmic plots points that are not above 0 are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Plot:
    """Curves over common axes.

    log    which axes are logarithmic: "", "x", "y" or "xy"
    marks  places on the horizontal axis that have a name: where a run diverged
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    log: str = ""
    marks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class Table:
    """Rows of words and numbers under their headings."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Experiment:
    """An experiment that was made.

    sentence  what it shows, made of its numbers
    settings  all that decides the numbers, the seed among them
    results   all that was measured
    columns   of the picture
    """

    name: str
    title: str
    sentence: str
    settings: dict[str, Any]
    results: list[dict[str, Any]]
    table: Table
    plots: Sequence[Plot]
    columns: int = field(default=2)

    @property
    def data(self) -> dict[str, Any]:
        """Everything, as JSON can hold it: numbers that are not finite are words."""
        found: dict[str, Any] = _plain(asdict(self))
        return {"kind": "limpid experiment", "version": 1, **found}

    def save(self, path: str | Path, *, dark: bool = False) -> Path:
        """Write a page (.html), a picture (.svg .png .pdf), which need matplotlib, or .json."""
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".json":
            path.write_text(json.dumps(self.data), encoding="utf-8")
        elif suffix == ".html":
            from limpid.diagnosis.experiments.page import render_page

            path.write_text(render_page(self), encoding="utf-8")
        elif suffix in (".svg", ".png", ".pdf"):
            from limpid.diagnosis.experiments.picture import draw

            draw(self, path, dark)
        else:
            known = ".html, .svg, .png, .pdf, .json"
            raise ArgumentError(f"{path}: of unknown kind; an experiment is written as {known}")
        return path

    def __repr__(self) -> str:
        return f"<experiment {self.name}: {self.sentence}>"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if not isinstance(value, float) or isfinite(value) else str(value)


def show(value: Any) -> str:
    """A cell of a table.

    >>> show(0.25), show(1.5e-30), show(12), show("sgd"), show(float("nan"))
    ('0.25', '1.5e-30', '12', 'sgd', 'nan')
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)
