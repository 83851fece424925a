"""Pictures: where in time the word was found, and how often, by its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from examples.svg import COLOURS, Box, Drawing
from examples.word_spotting.dataset import TESTS, TRAIN, Part, Parts
from examples.word_spotting.features import HIGHEST, LOWEST, STEP
from examples.word_spotting.network import SPAN, STRIDE, Spotter
from examples.word_spotting.recordings import SECONDS, TARGET
from examples.word_spotting.train import is_found
from limpid import nn

Array = np.ndarray[Any, np.dtype[Any]]

WIDTH, LEFT, RIGHT, TOP = 760, 64, 16, 40  # of a picture, and room around its panels
SPECTRUM, WINDOWS, GAP = 96, 64, 10  # heights: features, windows' outputs, between them
BLOCK = SPECTRUM + GAP + WINDOWS + 56  # of a recording with its texts
SHARES, KEY = 220, 180  # height of the panel of shares, width of its legend
MARK = "#e69f00"
BINS = 5  # places in half a recording


def draw_found(part: Part, rows: Sequence[int], spotters: Mapping[str, Spotter]) -> Drawing:
    """For each recording its features, and below them how sure each window is, over time.

    The true place of the word is framed; what a window says is drawn at its middle.
    """
    drawing = Drawing(WIDTH, TOP + len(rows) * BLOCK)
    drawing.text(LEFT, 22, f"Where is “{TARGET}”?", size=14, bold=True)
    drawing.legend(LEFT + 200, 18, spotters, step=(170, 0))
    for i, row in enumerate(rows):
        left, top, width = LEFT, TOP + i * BLOCK + 20, WIDTH - LEFT - RIGHT
        _draw_features(drawing, part.levels[row], (left, top, width, SPECTRUM))
        says = _draw_windows(
            drawing,
            part.x[row : row + 1],
            spotters,
            (left, top + SPECTRUM + GAP, width, WINDOWS),
        )
        drawing.text(left + width, top - 6, says, anchor="end")
        if part.contains[row]:
            start, end = part.spans[row] * STEP
            drawing.text(left, top - 6, f"“{TARGET}” from {start:.2f} to {end:.2f} s")
            x, length = left + start / SECONDS * width, (end - start) / SECONDS * width
            drawing.box((x, top, length, SPECTRUM + GAP + WINDOWS), stroke=MARK, width=2)
        else:
            drawing.text(left, top - 6, f"a recording without “{TARGET}”")
    return drawing


def _draw_features(drawing: Drawing, levels: Array, box: Box) -> None:
    left, top, _, height = box
    drawing.heat_map(levels[::-1], box)  # high frequencies on top
    drawing.text(left - 6, top + 9, f"{HIGHEST / 1000:g} kHz", anchor="end", size=11)
    drawing.text(left - 6, top + height, f"{LOWEST:g} Hz", anchor="end", size=11)


def _draw_windows(drawing: Drawing, x: Array, spotters: Mapping[str, Spotter], box: Box) -> str:
    """A curve for each network; returns how sure they are of the recording."""
    left, top, width, height = box
    _draw_frame(drawing, box, ("0", "1"))
    says = []
    for (name, spotter), colour in zip(spotters.items(), COLOURS):
        z = spotter.windows(x)  # (1, windows)
        says.append(f"{name.split()[-1]} {nn.functional.sigmoid(spotter.head(z)).item():.2f}")
        sure = nn.functional.sigmoid(z).detach().numpy()[0]
        middles = (np.arange(len(sure)) * STRIDE + SPAN / 2) * STEP
        points = zip(left + middles / SECONDS * width, top + height * (1 - sure))
        drawing.curve(points, colour=colour)
    return f"is it there?  {', '.join(says)}"


def draw_shares(parts: Parts, models: Mapping[str, nn.Module], who: str) -> Drawing:
    """How often each model finds the word, by where its middle lies, in test sets of some voices.

    The places at which the word was in training are shaded.
    """
    drawing = Drawing(WIDTH, TOP + SHARES + 50)
    title = f"How often “{TARGET}” by {who} voices is found, by its place in the recording"
    drawing.text(LEFT, 22, title, size=14, bold=True)
    left, top, width, height = box = LEFT, TOP + 16, WIDTH - LEFT - RIGHT - KEY, SHARES
    trained = parts[TRAIN].middles * STEP / SECONDS  # shares of the recording
    start, end = trained.min() * width, trained.max() * width
    drawing.box((left + start, top, end - start, height), fill="#eeeeee")
    drawing.text(left + (start + end) / 2, top - 6, "trained here", anchor="middle", size=11)
    _draw_frame(drawing, box, ("0 %", "50 %", "100 %"))
    drawing.legend(left + width + 16, top + 12, models, step=(0, 20))
    for test in (parts[name] for name, (voices, _) in TESTS.items() if voices == who):
        for model, colour in zip(models.values(), COLOURS):
            places, shares = _found_by_place(test, model)
            drawing.curve(zip(left + places * width, top + height * (1 - shares)), colour=colour)
    return drawing


def _found_by_place(test: Part, model: nn.Module) -> tuple[Array, Array]:
    """Places as shares of a recording, and how often the word is found there."""
    with_word = test.contains == 1
    middles, found = test.middles[with_word], is_found(model, test)[with_word]
    groups = np.array_split(np.argsort(middles), min(len(middles), BINS))
    places = np.array([middles[group].mean() for group in groups])
    return places * STEP / SECONDS, np.array([found[group].mean() for group in groups])


def _draw_frame(drawing: Drawing, box: Box, labels: Sequence[str]) -> None:
    """A frame with labels from bottom to top, and seconds below it."""
    left, top, width, height = box
    drawing.box(box, stroke="#aaaaaa")
    for i, label in enumerate(labels):
        y = top + height * (1 - i / (len(labels) - 1))
        drawing.text(left - 6, y + 4, label, anchor="end", size=11)
    for seconds in np.arange(0, SECONDS, 0.5):
        x = left + seconds / SECONDS * width
        drawing.line((x, top + height), (x, top + height + 4))
        drawing.text(x, top + height + 16, f"{seconds:g} s", anchor="middle", size=11)
