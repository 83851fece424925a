"""A picture: its data, and the figure that is drawn from it when it is looked at."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from io import StringIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import bytes_of, new_figure, styled, svg_of
from limpid.errors import ArgumentError, MissingLibraryError

Rows = Iterable[Sequence[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A picture made from plain data.

    title    what it shows
    data     what is drawn: {name: array, list, number or text}
    figure   a `matplotlib.figure.Figure`, drawn when it is first asked for; pyplot is not used

    `save` writes a file, notebooks show it. Drawing needs matplotlib (`pip install
    'limpid[pictures]'`) and raises MissingLibraryError without it; the data needs nothing.

    >>> from limpid import diagnosis, nn
    >>> picture = diagnosis.filters(nn.Conv2d(1, 4, 3))
    >>> picture
    <picture: Filters of Conv2d: 4 of 3×3>
    >>> picture.data["filters"].shape
    (4, 1, 3, 3)
    >>> picture.csv().splitlines()[0]
    'filter,channel,row,column,weight'
    """

    title: str
    data: Mapping[str, Any]
    columns: tuple[str, ...]
    rows: Callable[[], Rows]
    paint: Callable[[Any], None]
    size: tuple[float, float]

    @cached_property
    def figure(self) -> Any:
        """The picture as a matplotlib figure."""
        with styled():
            figure = new_figure(*self.size)
            self.paint(figure)
        return figure

    @cached_property
    def svg(self) -> str:
        """The picture as SVG, light or dark as the reader prefers."""
        return svg_of(self.figure, self.title)

    def to_dict(self) -> dict[str, Any]:
        """The data as JSON can hold it; NaN and infinities are strings."""
        return {"title": self.title, **{name: _plain(x) for name, x in self.data.items()}}

    def csv(self) -> str:
        """The data as a table, one line for each number."""
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows())
        return text.getvalue()

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a file: .svg, .png or .pdf; .json or .csv for the data.

        Raises ArgumentError for another ending.
        """
        path = Path(path)
        writers: dict[str, Callable[[], bytes]] = {
            ".svg": lambda: (self.svg + "\n").encode(),
            ".png": lambda: bytes_of(self.figure, "png"),
            ".pdf": lambda: bytes_of(self.figure, "pdf"),
            ".json": lambda: (json.dumps(self.to_dict()) + "\n").encode(),
            ".csv": lambda: self.csv().encode(),
        }
        write = writers.get(path.suffix.lower())
        if write is None:
            raise ArgumentError(f"{path}: the name must end in {', '.join(writers)}")
        path.write_bytes(write())
        return path

    def __repr__(self) -> str:
        return f"<picture: {self.title}>"

    def _repr_svg_(self) -> str | None:
        try:
            return self.svg
        except MissingLibraryError:
            return None

    def _repr_html_(self) -> str:
        try:
            return f'<div style="overflow-x:auto">{self.svg}</div>'
        except MissingLibraryError as error:
            return f"<pre>{escape(f'{self.title}: {error}')}</pre>"


def _plain(x: Any) -> Any:
    """Numbers, texts, lists and dicts; what is not finite as text."""
    if isinstance(x, np.ndarray):
        x = x.tolist()
    if isinstance(x, np.generic):
        x = x.item()
    if isinstance(x, Mapping):
        return {str(key): _plain(part) for key, part in x.items()}
    if isinstance(x, list | tuple):
        return [_plain(part) for part in x]
    return str(x) if isinstance(x, float) and not np.isfinite(x) else x


def indexed_rows(array: Any) -> Rows:
    """The elements of an array, each with its indices before it."""
    return ((*place, x.item()) for place, x in np.ndenumerate(array))
