"""Pictures as SVG: text, lines, curves and heat maps, with no library needed to draw them."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Box = tuple[float, float, float, float]  # left, top, width, height

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7f7f7f")  # also for the colour-blind
INK = ((255, 255, 255), (198, 214, 226), (92, 124, 158), (18, 30, 56))  # of heat maps, least first


class Drawing:
    """A picture that grows by what is drawn on it; the origin is at the top left.

    >>> drawing = Drawing(100, 50)
    >>> drawing.line((0, 0), (100, 50)); drawing.text(50, 20, "a < b")
    >>> str(drawing).count("a &lt; b")
    1
    """

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self.parts = [f'<rect width="{width}" height="{height}" fill="white"/>']

    def text(
        self, x: float, y: float, text: str, *, anchor: str = "start", size: int = 12,
        bold: bool = False, colour: str = "#222222",
    ) -> None:  # fmt: skip
        """Text that starts, has its middle or ends at a point."""
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
            f'{weight} fill="{colour}">{escape(text)}</text>'
        )

    def line(
        self, start: tuple[float, float], end: tuple[float, float], *, colour: str = "#444444",
        width: float = 1, dashed: bool = False,
    ) -> None:  # fmt: skip
        """A straight line."""
        self.curve([start, end], colour=colour, width=width, dashed=dashed)

    def curve(
        self, points: Iterable[tuple[float, float]], *, colour: str, width: float = 2,
        dashed: bool = False,
    ) -> None:  # fmt: skip
        """A line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"'
            f'{dashes} stroke-linejoin="round"/>'
        )

    def box(self, box: Box, *, fill: str = "none", stroke: str = "none", width: float = 1) -> None:
        """A rectangle."""
        self.parts.append(
            f'<rect {_place(box)} fill="{fill}" stroke="{stroke}" stroke-width="{width}"/>'
        )

    def heat_map(
        self, values: Array, box: Box, *, low: float | None = None, high: float | None = None
    ) -> None:
        """A matrix of numbers as shades, first row on top, from the lowest to the highest (dark).

        These are the least and the greatest number unless they are given.
        """
        low = float(values.min()) if low is None else low
        high = float(values.max()) if high is None else high
        scaled = (np.clip(values, low, high) - low) * (255 / ((high - low) or 1))
        cell = (
            ceil(box[3] / len(values)),
            ceil(box[2] / len(values[0])),
        )  # pixels, so none is blurred
        shades = np.kron(np.round(scaled), np.ones(cell)).astype(np.uint8)
        data = b64encode(encode_png(shades)).decode()
        self.parts.append(
            f'<image {_place(box)} preserveAspectRatio="none" '
            f'style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{data}"/>'
        )

    def legend(
        self, x: float, y: float, names: Iterable[str], *, step: tuple[float, float]
    ) -> None:
        """The names of curves beside their colours, a step from one to the next."""
        for i, (name, colour) in enumerate(zip(names, COLOURS)):
            left, middle = x + step[0] * i, y + step[1] * i
            self.line((left, middle), (left + 18, middle), colour=colour, width=3)
            self.text(left + 24, middle + 4, name)

    def __str__(self) -> str:
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}height="{self.height}" '
        return "\n".join([head + 'font-family="sans-serif">', *self.parts, "</svg>\n"])

    def save(self, path: Path) -> None:
        """Write the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(self), encoding="utf-8")


def encode_png(shades: Array) -> bytes:
    r"""Bytes (rows, columns) as a PNG file with the colours of `INK`.

    Source: W3C, Portable Network Graphics (PNG) Specification.

    >>> encode_png(np.zeros((2, 3), np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    rows, columns = shades.shape
    unfiltered = np.pad(shades, ((0, 0), (1, 0)))  # each row begins with its filter: 0, none
    stops = np.linspace(0, 255, len(INK))
    palette = [np.interp(range(256), stops, channel) for channel in zip(*INK)]
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", np.stack(palette, 1).astype(np.uint8).tobytes()),
            _chunk(b"IDAT", zlib.compress(unfiltered.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _place(box: Box) -> str:
    x, y, width, height = box
    return f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
