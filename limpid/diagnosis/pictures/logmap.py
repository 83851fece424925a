"""Maps of positive numbers by name over time, coloured by their order of magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import (
    AMOUNT,
    SOFT,
    WRONG,
    ZERO,
    clear,
    colour_map,
    power_of_ten,
)

Array = np.ndarray[Any, np.dtype[Any]]
MOST = 600  # columns; more are put together, the largest of each group
NAMES = 40  # rows that are named


@dataclass(frozen=True)
class LogMap:
    """What is drawn: values (names, steps), and which of them were taken at all."""

    steps: list[Any]
    values: Array
    taken: Array
    names: list[str]
    unit: str
    label: str


def thin_out(steps: list[Any], values: Array, taken: Array) -> tuple[list[Any], Array, Array]:
    """Few enough columns to be seen: of each group the largest value, which is NaN if one is."""
    groups = -(-len(steps) // MOST)
    if groups <= 1:
        return steps, values, taken
    starts = np.arange(0, len(steps), groups)
    with np.errstate(invalid="ignore"):
        largest = np.maximum.reduceat(np.where(taken, values, 0.0), starts, axis=1)
    return [steps[i] for i in starts], largest, np.logical_or.reduceat(taken, starts, axis=1)


def paint_map(figure: Any, title: str, shown: LogMap) -> None:
    """The map, with a scale of powers of ten, and a legend of what has none."""
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, fontweight="bold")
    if not shown.values.size:
        _say_nothing(axes)
        return
    with np.errstate(all="ignore"):
        logs = np.log10(shown.values.astype(np.float64))
    finite = logs[np.isfinite(logs) & shown.taken]
    low, high = _range(finite)
    colours = _colours(logs, shown, low, high)
    axes.imshow(colours, aspect="auto", interpolation="none")
    for side in axes.spines.values():
        side.set_visible(False)
    _label(axes, shown)
    if finite.size:
        _scale(figure, axes, shown.label, low, high)
    _legend(axes, shown)


def _say_nothing(axes: Any) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, "nothing was measured yet", ha="center", va="center", color=SOFT,
              transform=axes.transAxes)  # fmt: skip


def _range(finite: Array) -> tuple[float, float]:
    """From the least to the greatest exponent, a decade at least, so that noise stays calm."""
    if not finite.size:
        return -1.0, 0.0
    low, high = float(finite.min()), float(finite.max())
    missing = max(0.0, 1.0 - (high - low)) / 2
    return low - missing, high + missing


def _colours(logs: Array, shown: LogMap, low: float, high: float) -> Array:
    """(names, steps, RGBA) in bytes."""
    import matplotlib

    scaled = np.clip((np.where(np.isfinite(logs), logs, low) - low) / (high - low), 0, 1)
    pixels = colour_map(AMOUNT)(scaled, bytes=True)
    to_rgba = matplotlib.colors.to_rgba
    for where, colour in ((_is_zero(shown), ZERO), (_is_wrong(shown), WRONG)):
        pixels[where] = np.round(255 * np.array(to_rgba(colour)))
    pixels[~shown.taken] = 0
    return pixels


def _is_zero(shown: LogMap) -> Array:
    return (shown.values == 0) & shown.taken


def _is_wrong(shown: LogMap) -> Array:
    return ~np.isfinite(shown.values) & shown.taken


def _label(axes: Any, shown: LogMap) -> None:
    axes.set_xlabel(shown.unit)
    axes.set_ylabel("layer, first above")
    count, rows = len(shown.steps), len(shown.names)
    places = range(0, count, -(-count // 8))
    axes.set_xticks(places, [f"{shown.steps[i]:g}" for i in places])
    every = -(-rows // NAMES)
    axes.set_yticks(range(0, rows, every), [clear(name) for name in shown.names[::every]])
    axes.tick_params(length=0)


def _scale(figure: Any, axes: Any, label: str, low: float, high: float) -> None:
    import matplotlib

    mapped = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(low, high), AMOUNT)
    bar = figure.colorbar(mapped, ax=axes, pad=0.02, aspect=18, fraction=0.06)
    ticks = _ticks(low, high)
    bar.set_ticks(ticks, labels=[_tick(t) for t in ticks])
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)


def _tick(exponent: float) -> str:
    return f"{10.0**exponent:g}" if -2.1 < exponent < 3.1 else power_of_ten(exponent)


def _ticks(low: float, high: float) -> Array:
    """Exponents of powers of ten; of 1, 2 and 5 times these where there are few."""
    if high - low < 2:
        fine = (np.arange(np.floor(low), np.ceil(high))[:, None] + np.log10([1, 2, 5])).ravel()
        return fine[(fine >= low) & (fine <= high)]
    return np.arange(np.ceil(low), np.floor(high) + 1, max(1, -(-int(high - low) // 6)))


def _legend(axes: Any, shown: LogMap) -> None:
    """Which colours stand for what has no logarithm, if there is any of it."""
    import matplotlib

    entries = [
        matplotlib.patches.Patch(facecolor=colour, label=words)
        for colour, words, there in (
            (ZERO, "zero", _is_zero(shown).any()),
            (WRONG, "NaN or infinite", _is_wrong(shown).any()),
        )
        if there
    ]
    if entries:
        axes.legend(handles=entries, loc="lower right", bbox_to_anchor=(1, 1), ncols=2,
                    borderaxespad=0.2, handlelength=1.0, handleheight=1.0)  # fmt: skip
