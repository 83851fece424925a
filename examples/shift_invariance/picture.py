"""A picture: what the networks say about a few canvases, and how often they are right, by place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import limpid
from examples.fitting import scores_of
from examples.shift_invariance.canvases import (
    CANVAS,
    DIGIT,
    LEFT,
    PLACES,
    RIGHT,
    Array,
    digits_to_test,
    place,
)
from examples.shift_invariance.network import MARGIN, Scanner
from examples.svg import Drawing
from limpid import nn
from limpid.data import load_digits

WIDTH, EDGE, TOP = 760, 20, 56
SIDE, GAP = 165, 20  # of a canvas, and between two
MAP, BETWEEN = 208, 48  # side of a map of places, and between two
MAPS = TOP + SIDE + 82  # where the maps begin
MARK = "#d55e00"


def draw(models: Mapping[str, nn.Module], scanner: Scanner, tries: int) -> Drawing:
    """Canvases with digits above, and maps of all places below, with so many digits at each."""
    drawing = Drawing(WIDTH, MAPS + MAP + 20)
    drawing.text(EDGE, 20, "Digits at places never trained on", size=14, bold=True)
    _note(drawing, 20, "framed: the window that decided")
    _draw_canvases(drawing, models, scanner)
    drawing.text(EDGE, MAPS - 46, "How often they are recognised, by place", size=14, bold=True)
    _note(drawing, MAPS - 46, "dark: always; framed: places in training")
    for i, (name, model) in enumerate(models.items()):
        _draw_map(drawing, name, accuracy_by_place(model, tries), EDGE + i * (MAP + BETWEEN))
    return drawing


def _note(drawing: Drawing, y: float, text: str) -> None:
    drawing.text(WIDTH - EDGE, y, text, anchor="end", colour=MARK)


def _draw_canvases(drawing: Drawing, models: Mapping[str, nn.Module], scanner: Scanner) -> None:
    x, y = (part[:4] for part in digits_to_test(RIGHT, seed=0))
    says = [scores_of(models[name], x).argmax(axis=1) for name in ("scanning", "plain MLP")]
    scale = SIDE / CANVAS
    for i, (row, column) in enumerate(best_windows(scanner, x)):
        left = EDGE + i * (SIDE + GAP)
        drawing.heat_map(x[i, 0], (left, TOP, SIDE, SIDE))
        drawing.box((left, TOP, SIDE, SIDE), stroke="#aaaaaa")
        corner = left + column * scale, TOP + row * scale
        drawing.box((*corner, DIGIT * scale, DIGIT * scale), stroke=MARK, width=2)
        drawing.text(left, TOP - 8, f"a {y[i]}: scanning {says[0][i]}, plain {says[1][i]}")


def best_windows(scanner: Scanner, x: Array) -> list[tuple[int, int]]:
    """The row and column at which the window begins that decides each canvas (N, 1, H, W)."""
    with limpid.no_grad():
        scores = scanner.windows(limpid.asarray(x)).numpy()  # (N, 10, rows, columns)
    best = scores.max(axis=1).reshape(len(x), -1).argmax(axis=1)
    rows, columns = np.unravel_index(best, scores.shape[2:])
    return [(int(r) - MARGIN, int(c) - MARGIN) for r, c in zip(rows, columns)]


def _draw_map(drawing: Drawing, name: str, shares: Array, left: float) -> None:
    drawing.heat_map(shares, (left, MAPS, MAP, MAP), low=0, high=1)
    drawing.box((left, MAPS, MAP, MAP), stroke="#aaaaaa")
    scale = MAP / PLACES  # pixels of a place
    drawing.box((left + LEFT.start * scale, MAPS, len(LEFT) * scale, MAP), stroke=MARK, width=2)
    inside, outside = shares[:, LEFT].mean(), np.delete(shares, LEFT, axis=1).mean()
    drawing.text(left, MAPS - 24, name, bold=True)
    drawing.text(left, MAPS - 8, f"{inside:.0%} in the frame, {outside:.0%} outside")


def accuracy_by_place(model: nn.Module, tries: int) -> Array:
    """How often a model is right about so many digits at each place: (rows, columns)."""
    digits = load_digits().test
    x, y = digits.x[:tries], digits.y[:tries]
    shares = np.empty((PLACES, PLACES))
    for row, column in np.ndindex(shares.shape):
        canvases = place(x, np.full(len(x), row), np.full(len(x), column))
        shares[row, column] = np.mean(scores_of(model, canvases).argmax(axis=1) == y)
    return shares
