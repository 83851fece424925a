"""Histograms over time, one behind the other: a landscape of ridges for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import AMOUNT, PAPER, SOFT, clear, power_of_ten
from limpid.diagnosis.pictures.history import GRADIENT, History, grouped
from limpid.diagnosis.pictures.picture import Picture
from limpid.errors import ArgumentError, OperandError

Array = np.ndarray[Any, np.dtype[Any]]
RIDGES, PANELS, ACROSS = 14, 12, 3
OVERLAP = 2.2  # how many distances between ridges the highest one reaches up


@dataclass(frozen=True)
class Ridge:
    """The histograms of one layer: counts (steps, bins) over edges (bins + 1)."""

    steps: list[Any]
    counts: Array
    edges: Array


def ridges(history: History, by: str) -> Picture:
    """The picture of the histograms of gradients over time."""
    series = history.series("histogram", GRADIENT)
    if history.steps and not series:
        there = ", ".join(history.statistics()) or "nothing"
        raise ArgumentError(
            f"the history has no histograms of gradients; it has {there}"
            "\nremedy: limpid.watch(…, stats=('norm', 'histogram'))"
        )
    layers = {
        name: _added([_ridge(history.steps, series[n], n) for n in names])
        for name, names in grouped(series, by).items()
    }
    title = "Histograms of gradients over time"
    data = {
        "unit": history.unit,
        "layers": {n: {"steps": r.steps, "counts": r.counts, "edges": r.edges}
                   for n, r in layers.items()},
    }  # fmt: skip
    rows = (min(len(layers), PANELS) + ACROSS - 1) // ACROSS
    return Picture(
        title, data, (history.unit, "layer", "from", "to", "count"),
        lambda: ((step, name, low, high, count) for name, r in layers.items()
                 for step, counts in zip(r.steps, r.counts.tolist(), strict=True)
                 for (low, high), count in zip(pairwise(r.edges.tolist()), counts, strict=True)),
        lambda figure: _paint(figure, title, layers, history.unit),
        (7.2, 0.7 + 2.3 * max(rows, 1)),
    )  # fmt: skip


def _ridge(steps: tuple[Any, ...], series: list[Any], name: str) -> Ridge:
    pairs = [(s, *read_histogram(x, name)) for s, x in zip(steps, series) if x is not None]
    edges = pairs[0][2]
    if any(e.shape != edges.shape or (e != edges).any() for _, _, e in pairs):
        edges = _common(np.concatenate([e for _, _, e in pairs]), len(edges))
        pairs = [(s, _spread(c, e, edges), edges) for s, c, e in pairs]
    return Ridge([s for s, _, _ in pairs], np.array([c for _, c, _ in pairs]), edges)


def read_histogram(given: Any, name: str) -> tuple[Array, Array]:
    """(counts, edges) of a histogram: a pair, or a dict with these names."""
    if isinstance(given, Mapping):
        given = given.get("counts"), given.get("edges")
    try:
        counts, edges = (np.asarray(x, np.float64) for x in given)
        fits = counts.ndim == 1 and edges.shape == (len(counts) + 1,) and len(counts) > 0
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise OperandError(
            f"{name}: a histogram is {{'counts': n numbers, 'edges': n + 1 numbers}}"
        )
    return counts, edges


def _common(edges: Array, count: int) -> Array:
    finite = edges[np.isfinite(edges)]
    if not finite.size:
        return np.linspace(-1, 1, count)
    low, high = finite.min(), finite.max()
    return np.linspace(low, high if high > low else low + 1, count)


def _spread(counts: Array, edges: Array, onto: Array) -> Array:
    """Counts over other edges, as if the elements of a bin were spread evenly over it."""
    below = np.concatenate([[0.0], np.cumsum(counts)])
    return np.diff(np.interp(onto, edges, below))


def _added(parts: list[Ridge]) -> Ridge:
    """The histograms of several parameters together, at the times at which all have one."""
    if len(parts) == 1:
        return parts[0]
    steps = [s for s in parts[0].steps if all(s in part.steps for part in parts)]
    edges = parts[0].edges
    if any(part.edges.shape != edges.shape or (part.edges != edges).any() for part in parts):
        edges = _common(np.concatenate([part.edges for part in parts]), len(edges))
    counts = [
        sum(_spread(part.counts[part.steps.index(s)], part.edges, edges) for part in parts)
        for s in steps
    ]
    return Ridge(steps, np.array(counts).reshape(len(steps), len(edges) - 1), edges)


def _paint(figure: Any, title: str, layers: dict[str, Ridge], unit: str) -> None:
    more = len(layers) - PANELS
    note = f"; {more} more layers are in the data" if more > 0 else ""
    figure.suptitle(title + note, x=0.01, ha="left", fontsize=11, fontweight="bold")
    rows = (min(len(layers), PANELS) + ACROSS - 1) // ACROSS
    for place, (name, ridge) in enumerate(list(layers.items())[:PANELS]):
        axes = figure.add_subplot(rows, min(ACROSS, len(layers)), place + 1)
        axes.set_title(clear(name))
        _paint_ridges(axes, ridge)
        if place % ACROSS == 0:
            axes.set_ylabel(unit)


def _paint_ridges(axes: Any, ridge: Ridge) -> None:
    """The first time is at the back, above; the latest in front."""
    import matplotlib

    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    if not ridge.steps:
        axes.set_axis_off()
        return
    chosen = np.unique(np.linspace(0, len(ridge.steps) - 1, RIDGES).round().astype(int))
    heights = ridge.counts[chosen]
    highest = heights.max() or 1.0
    colours = matplotlib.colormaps[AMOUNT](np.linspace(0.25, 0.92, len(chosen)))
    x = np.arange(heights.shape[1])
    for k, (line, colour) in enumerate(zip(heights, colours, strict=True)):
        base = float(len(chosen) - 1 - k)
        top = base + OVERLAP * line / highest
        axes.fill_between(x, base, top, color=colour, alpha=0.85, linewidth=0, zorder=2 * k)
        axes.plot(x, top, color=PAPER, linewidth=0.7, zorder=2 * k + 1)
    marks = [0, len(chosen) - 1] if len(chosen) < 4 else [0, len(chosen) // 2, len(chosen) - 1]
    axes.set_yticks(
        [len(chosen) - 1 - k for k in dict.fromkeys(marks)],
        [f"{ridge.steps[chosen[k]]:g}" for k in dict.fromkeys(marks)],
    )
    axes.tick_params(length=0)
    _label_bins(axes, ridge.edges)


def _label_bins(axes: Any, edges: Array) -> None:
    """The edges are evenly spaced in the picture, whatever they are: each is written out."""
    count = len(edges) - 1
    places = np.unique(np.linspace(0, count, 5).round().astype(int))
    axes.set_xticks(places - 0.5, [edge_text(edges[i]) for i in places], color=SOFT)


def edge_text(edge: float) -> str:
    """An edge of a bin, short.

    >>> edge_text(1e-6), edge_text(-0.25), edge_text(float("inf"))
    ('10⁻⁶', '-0.25', '∞')
    """
    if not np.isfinite(edge):
        return "NaN" if np.isnan(edge) else ("∞" if edge > 0 else "−∞")
    exponent = np.log10(abs(edge)) if edge else 0.0
    if abs(exponent) >= 3 and abs(exponent - round(exponent)) < 1e-6:
        return ("−" if edge < 0 else "") + power_of_ten(exponent)
    return f"{edge:.2g}"
