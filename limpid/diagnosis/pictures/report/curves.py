"""Loss and accuracy over the epochs of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import BLUE, ORANGE
from limpid.diagnosis.pictures.contours import set_log_scale
from limpid.diagnosis.pictures.picture import Picture

PARTS = {"train": (BLUE, "-"), "test": (ORANGE, "--")}
RATIO = 30  # of the largest to the least, above which the scale is logarithmic


def curves(metrics: Sequence[Mapping[str, Any]], kind: str, title: str) -> Picture:
    """The curves of a kind, such as "loss", of the training and the test part."""
    epochs = [line["epoch"] for line in metrics]
    lines = {
        part: np.array([_number(line[f"{part}_{kind}"]) for line in metrics], np.float64)
        for part in PARTS
        if metrics and all(f"{part}_{kind}" in line for line in metrics)
    }
    data = {"epoch": epochs, **lines}
    return Picture(
        title, data, ("epoch", *lines), lambda: zip(epochs, *(x.tolist() for x in lines.values())),
        lambda figure: _paint(figure, title, kind, epochs, lines), (4.4, 2.9),
    )  # fmt: skip


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _paint(figure: Any, title: str, kind: str, epochs: list[Any], lines: dict[str, Any]) -> None:
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, fontweight="bold")
    axes.grid(True, axis="y")
    for part, y in lines.items():
        colour, dashes = PARTS[part]
        shown = np.where(np.isfinite(y), y, np.nan)
        marker = "o" if len(y) == 1 else None
        axes.plot(epochs, shown, dashes, color=colour, label=part, marker=marker)
    values = np.concatenate([y[np.isfinite(y)] for y in lines.values()] or [np.array([])])
    if values.size and values.min() > 0 and values.max() / values.min() > RATIO:
        set_log_scale(axes, values.max() / values.min())
    axes.set_xlabel("epoch")
    axes.set_ylabel(kind)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if lines:
        axes.legend()
