"""Histograms over time, one behind the other: a landscape of ridges for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import AMOUNT, ORANGE, PAPER, clear, colour_map, power_of_ten
from limpid.diagnosis.pictures.history import GRADIENT, History, grouped
from limpid.diagnosis.pictures.picture import Picture
from limpid.errors import ArgumentError, OperandError
from limpid.ops.plain.magnitudes import BINS, NAN, ZERO, bin_edges

Array = np.ndarray[Any, np.dtype[Any]]
RIDGES, PANELS, ACROSS = 14, 12, 3
OVERLAP = 2.2  # how many distances between ridges the highest one reaches up


@dataclass(frozen=True)
class Ridge:
    """The histograms of one layer: counts (steps, bins) over edges (bins + 1), and of NaN."""

    steps: list[Any]
    counts: Array
    edges: Array
    wrong: Array

    def without_signs(self) -> Ridge:
        """A watch's histograms by magnitude alone, zero first; others as they are."""
        if not _same(self.edges, bin_edges()):
            return self
        counts = self.counts[:, ZERO:].copy()
        counts[:, 1:] += self.counts[:, :ZERO][:, ::-1]
        return replace(self, counts=counts, edges=self.edges[ZERO:])

    def used(self) -> tuple[int, int]:
        """The first and the last bin in which there ever was anything."""
        used = np.flatnonzero(self.counts.any(axis=0))
        return (int(used[0]), int(used[-1])) if used.size else (0, self.counts.shape[1] - 1)


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
        "layers": {n: {"steps": r.steps, "counts": r.counts, "edges": r.edges, "nan": r.wrong}
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
    found = [(s, *read_histogram(x, name)) for s, x in zip(steps, series) if x is not None]
    edges = found[0][2]
    if any(not _same(e, edges) for _, _, e, _ in found):
        edges = _common(np.concatenate([e for _, _, e, _ in found]), len(edges))
        found = [(s, _spread(c, e, edges), edges, wrong) for s, c, e, wrong in found]
    counts = np.array([c for _, c, _, _ in found])
    return Ridge([s for s, *_ in found], counts, edges, np.array([w for *_, w in found]))


def read_histogram(given: Any, name: str) -> tuple[Array, Array, float]:
    """(counts, edges, how many are NaN) of a histogram.

    A watch has counts over orders of magnitude; others are a pair or a dict of counts and edges.
    """
    if isinstance(given, Mapping):
        given = given.get("counts"), given.get("edges")
    try:
        if len(given) == BINS:
            counts = np.asarray(given, np.float64)
            return counts[:NAN], bin_edges(), float(counts[NAN])
        counts, edges = (np.asarray(x, np.float64) for x in given)
        fits = counts.ndim == 1 and edges.shape == (len(counts) + 1,) and len(counts) > 0
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise OperandError(
            f"{name}: a histogram is {{'counts': n numbers, 'edges': n + 1 numbers}}, or the "
            f"{BINS} counts of a watch"
        )
    return counts, edges, 0.0


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool((one == other).all())


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
    same = all(_same(part.edges, edges) for part in parts)
    if not same:
        edges = _common(np.concatenate([part.edges for part in parts]), len(edges))
    counts, wrong = np.zeros((len(steps), len(edges) - 1)), np.zeros(len(steps))
    for part in parts:
        for k, step in enumerate(steps):
            place = part.steps.index(step)
            found = part.counts[place]
            counts[k] += found if same else _spread(found, part.edges, edges)
            wrong[k] += part.wrong[place]
    return Ridge(steps, counts, edges, wrong)


def _paint(figure: Any, title: str, layers: dict[str, Ridge], unit: str) -> None:
    more = len(layers) - PANELS
    note = f"; {more} more layers are in the data" if more > 0 else ""
    figure.suptitle(title + note, x=0.01, ha="left", fontsize=11, fontweight="bold")
    shown = {name: ridge.without_signs() for name, ridge in list(layers.items())[:PANELS]}
    alike = len({ridge.edges.tobytes() for ridge in shown.values()}) == 1
    rows = -(-len(shown) // ACROSS)
    for place, (name, ridge) in enumerate(shown.items()):
        axes = figure.add_subplot(rows, min(ACROSS, len(shown)), place + 1)
        axes.set_title(clear(name))
        if ridge.wrong.any():
            first = ridge.steps[int(np.flatnonzero(ridge.wrong)[0])]
            axes.set_title(f"NaN from {unit} {first:g}", loc="right", fontsize=8, color=ORANGE)
        ends = [r.used() for r in shown.values()] if alike else [ridge.used()]
        low, high = min(a for a, _ in ends), max(b for _, b in ends)
        _paint_ridges(axes, ridge, max(0, low - 1), min(ridge.counts.shape[1], high + 2))
        if ridge.edges[0] == 0:
            axes.set_xlabel("|gradient|")
        if place % ACROSS == 0:
            axes.set_ylabel(unit)


def _paint_ridges(axes: Any, ridge: Ridge, low: int, high: int) -> None:
    """The bins from low to high; the first time is at the back, above; the latest in front."""
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    if not ridge.steps:
        axes.set_axis_off()
        return
    chosen = np.unique(np.linspace(0, len(ridge.steps) - 1, RIDGES).round().astype(int))
    heights = ridge.counts[chosen, low:high]
    highest = heights.max() or 1.0
    colours = colour_map(AMOUNT)(np.linspace(0.25, 0.92, len(chosen)))
    x = np.arange(low, high)
    for k, (line, colour) in enumerate(zip(heights, colours, strict=True)):
        base = float(len(chosen) - 1 - k)
        top = base + OVERLAP * line / highest
        outline = np.concatenate([[base], top, [base]])
        across = [x[0] - 0.7, *x, x[-1] + 0.7]
        axes.fill(across, outline, facecolor=colour, edgecolor=PAPER, linewidth=0.6, zorder=k)
    axes.margins(x=0.02)
    marks = dict.fromkeys([0, len(chosen) // 2, len(chosen) - 1])
    axes.set_yticks(
        [len(chosen) - 1 - k for k in marks], [f"{ridge.steps[chosen[k]]:g}" for k in marks]
    )
    axes.tick_params(length=0)
    _label_bins(axes, ridge.edges, low, high)


def _label_bins(axes: Any, edges: Array, low: int, high: int) -> None:
    """Bins are drawn equally wide, whatever they are: so edges are written out, zero among them."""
    zero = [k for k in range(low, high + 1) if edges[k] == 0][:1]
    every = max(1, -(-(high - low) // 4))
    places = [k for k in range(low, high + 1, every) if all(abs(k - z) > every / 2 for z in zero)]
    places = sorted({*places, *zero})
    axes.set_xticks([k - 0.5 for k in places], [edge_text(edges[k]) for k in places])


def edge_text(edge: float) -> str:
    """An edge of a bin, short.

    >>> edge_text(4.0**-12), edge_text(-0.25), edge_text(float("inf"))
    ('6·10⁻⁸', '−0.25', '∞')
    """
    sign = "−" if edge < 0 else ""
    if not np.isfinite(edge):
        return f"{sign}∞"
    if edge and not 1e-3 <= abs(edge) < 1e4:
        leading, exponent = f"{abs(edge):.0e}".split("e")
        power = power_of_ten(int(exponent))
        return f"{sign}{power}" if leading == "1" else f"{sign}{leading}·{power}"
    return f"{sign}{abs(edge):.2g}"
