"""The page of a warp: one file with everything in it, that plays without a network."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from limpid.diagnosis.figures import COLOURS
from limpid.diagnosis.warp.contours import Window
from limpid.diagnosis.warp.frames import SHADES, Frame, Plane
from limpid.diagnosis.warp.layout import arrange
from limpid.diagnosis.warp.stages import View
from limpid.diagnosis.warp.warping import Warp
from limpid.explanation.drawing.faces import clean

Array = np.ndarray[Any, np.dtype[Any]]

UNIT = 8192  # the side of a window in the whole numbers in which places are written
SURE = 31  # the greatest confidence in the bytes of the shading; the class is above it
MARKS = "●■▲◆▼✚"
DASHES = ("", "7 3", "2 2", "8 3 2 3", "4 2", "12 4")


def render_page(warp: Warp) -> str:
    """The warp as HTML that needs no network, nor lets itself be given one."""
    script, css = _file("page.js"), _file("page.css")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    rules = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    title = escape(warp.title)
    last = len(warp.frames) - 1
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{rules}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{title}</title><style>{css}</style></head><body>",
            f"<header><h1>{title}</h1>",
            '<div id="controls"><button id="play" aria-label="Play">▶</button>',
            f'<input id="time" type="range" min="0" max="{last}" value="{last}" step="1"',
            ' aria-label="Moment of training"><output id="told"></output></div>',
            f'<div id="shown">{"".join(_switches())}</div></header>',
            '<main id="panels"></main>',
            f'<footer><p>{escape(warp.sentence)}</p><p id="legend">{"".join(_legend(warp))}</p>',
            "<p>Point at a point to see where it is in every panel. Space plays, ← and → go to the",
            " moment before and after.</p></footer>",
            "<noscript>The animation needs JavaScript; a picture (.svg, .png) or .gif does not.",
            "</noscript>",
            f'<script type="application/json" id="data">{_harmless(_data(warp))}</script>',
            f"<script>{script}</script></body></html>\n",
        ]
    )


@cache
def _file(name: str) -> str:
    return files("limpid.diagnosis.warp").joinpath(name).read_text("utf-8")


def _harmless(data: Any) -> str:
    """JSON in which nothing can be taken for markup."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _switches() -> Iterator[str]:
    for name, words in (
        ("points", "points"), ("grid", "grid"), ("lines", "units’ lines"),
        ("boundary", "boundary"), ("shading", "shading"),
    ):  # fmt: skip
        yield f'<label><input type="checkbox" id="show-{name}" checked> {words}</label>'


def _legend(warp: Warp) -> Iterator[str]:
    for colour, mark, name in zip(COLOURS, MARKS, warp.points.classes):
        yield f'<span><b style="color:{colour}">{mark}</b> class {escape(clean(name))}</span>'
    yield '<span><svg width="26" height="8"><path class="thick" d="M0 4h26"/></svg> decision '
    yield "boundary</span>"
    for layer in warp.layers_with_lines:
        dash = DASHES[(layer - 1) % len(DASHES)]
        line = f'<path stroke-dasharray="{dash}" d="M0 4h26"/>'
        yield f'<span><svg width="26" height="8">{line}</svg>'
        yield f" units of layer {layer} are 0</span>"


def _data(warp: Warp) -> dict[str, Any]:
    places: list[Array] = []
    shading: list[Array] = []
    frames = [_frame(frame, warp.views, places, shading) for frame in warp.frames]
    grid = warp.frames[0].planes[0].grid
    return {
        "labels": warp.points.y.tolist(),
        "classes": len(warp.points.classes),
        "views": [_view(warp, number) for number in range(len(warp.views))],
        "course": [[epoch, float(f"{loss:.4g}")] for epoch, loss in warp.course],
        "frames": frames,
        "grid": grid.shape[:2],
        "unit": UNIT,
        "shades": SHADES,
        "sure": SURE,
        "colours": COLOURS,
        "dashes": [[int(part) for part in dash.split()] for dash in DASHES],
        "places": _packed(places, "<i2"),
        "shading": _packed(shading, "u1"),
    }


def _packed(arrays: list[Array], kind: str) -> str:
    whole = np.concatenate([array.reshape(-1) for array in arrays] or [np.zeros(0)])
    return b64encode(whole.astype(kind).tobytes()).decode()


def _view(warp: Warp, number: int) -> dict[str, Any]:
    view, place = warp.views[number], arrange(warp.views)[number]
    note = view.note or (warp.points.note if not number else "")
    window = [float(f"{bound:.6g}") for bound in view.window.bounds]
    return {
        "title": view.stage.title, "note": note, "window": window, "row": place.row,
        "column": place.column, "shaded": view.stage.is_plane,
    }  # fmt: skip


def _frame(
    frame: Frame, views: tuple[View, ...], places: list[Array], shading: list[Array]
) -> dict[str, Any]:
    """What is not in the two long lists of numbers, which grow by what is."""
    planes = []
    for view, plane in zip(views, frame.planes):
        window = view.window
        parts = [plane.points, plane.grid, plane.boundary, *(f.segments for f in plane.folds)]
        places += [whole_numbers(part, window) for part in parts]
        if plane.winners.size:
            shading.append(_shades(plane))
        lines = [
            [line.layer, *whole_numbers(line.ends, window).reshape(-1).tolist(),
             *(round(float(part), 3) for part in line.normal)]
            for line in plane.hyperplanes
        ]  # fmt: skip
        folds = [[fold.layer, len(fold.segments)] for fold in plane.folds]
        planes.append({"boundary": len(plane.boundary), "lines": lines, "folds": folds})
    loss, accuracy = float(f"{frame.loss:.4g}"), round(frame.accuracy, 6)
    told = {"epoch": frame.epoch, "loss": loss, "accuracy": accuracy, "regions": frame.regions}
    return {**told, "planes": planes}


def whole_numbers(points: Array, window: Window) -> Array:
    """Places (…, 2) as whole numbers from 0 to UNIT within the window, cut off far outside it."""
    corner = np.array([window.x - window.half, window.y - window.half])
    scaled = np.round((points - corner) * (UNIT / (2 * window.half)))
    return np.asarray(np.clip(scaled, -32767, 32767).astype(np.int64))


def _shades(plane: Plane) -> Array:
    sure = np.clip(np.round(plane.confidence * SURE), 0, SURE).astype(np.int64)
    return np.asarray(plane.winners * (SURE + 1) + sure)
