"""Histograms of what a network holds and computes: weights, activations, gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import COLOURS, SOFT, clear
from limpid.diagnosis.pictures.passes import (
    gradients_of,
    parameters_of,
    run_noted,
    scalar,
    without_trace,
)
from limpid.diagnosis.pictures.picture import Picture
from limpid.errors import ArgumentError, OperandError
from limpid.nn.module import Module, children
from limpid.ops.axes import integer
from limpid.tensor import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
SORTS = ("weights", "gradients", "activations")  # rows of the first two belong together
ROWS = 14  # that are drawn
WIDEST = 1e290  # edges beyond have no room on an axis


@dataclass(frozen=True)
class Histogram:
    """How the finite elements of an array are spread, and how many there are of other kinds."""

    counts: Array
    edges: Array
    size: int
    zeros: int
    not_finite: int
    mean: float
    deviation: float

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return dict(vars(self))


def histograms(
    source: Any, x: Any = None, loss: Callable[[Any], Any] | None = None, *, bins: int = 40
) -> Picture:
    """Histograms of a model's weights, and of activations and gradients of one pass.

    source  a model; or arrays and tensors by name
    x       a batch for the model (a tuple for several arguments): what its innermost modules return
            is shown beside the weights
    loss    a function of the model's output that gives a scalar: the gradients of the parameters,
            too. The model runs in the mode in which it is, and nothing of it changes
    bins    how many; from the least to the greatest finite element

    `data["histograms"]` has {sort: {name: counts, edges, size, zeros, not_finite, mean,
    deviation}}.

    >>> import numpy as np
    >>> from limpid import diagnosis, nn
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    >>> picture = diagnosis.histograms(model, np.zeros((2, 3), np.float32))
    >>> {sort: list(found) for sort, found in picture.data["histograms"].items()}
    {'weights': ['0.weight', '0.bias'], 'activations': ['0', '1']}
    """
    bins = integer(bins, "bins", 1)
    found = _named(source, x, loss)
    made = {s: {n: histogram(a, bins) for n, a in named.items()} for s, named in found.items()}
    data = {"histograms": {s: {n: h.to_dict() for n, h in one.items()} for s, one in made.items()}}
    rows = min(ROWS, max((len(one) for one in made.values()), default=0))
    title = "Histograms"
    return Picture(
        title, data, ("sort", "name", "from", "to", "count"),
        lambda: ((sort, name, low, high, count) for sort, one in made.items()
                 for name, h in one.items()
                 for (low, high), count in zip(pairwise(h.edges.tolist()), h.counts.tolist())),
        lambda figure: _paint(figure, made, rows),
        (2.5 * max(len(made), 2), 0.6 + 0.85 * max(rows, 1)),
    )  # fmt: skip


def histogram(array: Any, bins: int) -> Histogram:
    """How an array is spread."""
    x = np.asarray(array)
    finite = x[np.isfinite(x)].astype(np.float64) if x.dtype.kind == "f" else x.astype(np.float64)
    finite = finite.ravel()
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if high / 2 - low / 2 <= 1e-12 * max(abs(low), abs(high)):
        margin = max(abs(low), 1.0) / 2
        low, high = low - margin, high + margin
    scale = 1.0 if np.isfinite(high - low) else 16.0  # a range that has a length
    counts, edges = np.histogram(finite / scale, bins, (low / scale, high / scale))
    edges = edges * scale
    with np.errstate(all="ignore"):
        mean, deviation = (
            (float(finite.mean()), float(finite.std())) if finite.size else (np.nan, np.nan)
        )
    zeros = int(np.count_nonzero(x == 0))
    return Histogram(counts, edges, x.size, zeros, x.size - finite.size, mean, deviation)


def _named(source: Any, x: Any, loss: Any) -> dict[str, dict[str, Any]]:
    """Arrays by sort and name."""
    if isinstance(source, Mapping):
        if x is not None or loss is not None:
            raise ArgumentError(
                "x and loss belong to a model; arrays by name are shown as they are"
            )
        return {"values": {str(name): _array(name, value) for name, value in source.items()}}
    parameters = parameters_of(source, "histograms")
    found: dict[str, dict[str, Any]] = {"weights": {n: p.value for n, p in parameters.items()}}
    if x is None:
        if loss is not None:
            raise ArgumentError("loss needs x, the batch that it is computed from")
        return found
    with without_trace(source, evaluating=False):
        output, returns = run_noted(source, x)
        found["activations"] = {
            name or type(module).__name__: tensors[0].value
            for name, (module, tensors) in returns.found.items()
            if tensors and _is_innermost(module)
        }
        if loss is not None:
            total = scalar(loss(output), "the loss")
            gradients = gradients_of(total, list(parameters.values()))
            found["gradients"] = {
                n: g for n, g in zip(parameters, gradients, strict=True) if g is not None
            }
    return {sort: found[sort] for sort in SORTS if sort in found}


def _is_innermost(module: Module) -> bool:
    return next(children(module), None) is None


def _array(name: object, value: Any) -> Array:
    array = np.asarray(value.value if isinstance(value, Tensor) else value)
    if array.dtype.kind not in "fiub":
        raise OperandError(f"{name}: a histogram is of numbers, not {array.dtype}")
    return array


def _paint(figure: Any, made: dict[str, dict[str, Histogram]], rows: int) -> None:
    for column, (sort, one) in enumerate(made.items()):
        more = f", {ROWS} of {len(one)}" if len(one) > ROWS else ""
        for row, (name, h) in enumerate(list(one.items())[:ROWS]):
            axes = figure.add_subplot(max(rows, 1), len(made), row * len(made) + column + 1)
            if row == 0:
                axes.set_title(sort + more, fontsize=11, fontweight="bold", pad=14)
            axes.text(0, 1.02, clear(name, 24), transform=axes.transAxes, fontsize=8, va="bottom")
            _paint_one(axes, h, COLOURS[column % len(COLOURS)])


def _paint_one(axes: Any, h: Histogram, colour: str) -> None:
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.set_yticks([])
    if np.abs(h.edges).max() < WIDEST:
        _paint_bars(axes, h, colour)
    else:
        axes.set_xticks([0.0, 1.0], [f"{edge:.1e}" for edge in h.edges[[0, -1]]])
        axes.text(0.5, 0.5, "too wide to draw", transform=axes.transAxes, ha="center", color=SOFT)
    notes = [f"{h.zeros / h.size:.0%} zero"] if h.zeros > 0.005 * h.size else []
    notes += [f"{h.not_finite} not finite"] if h.not_finite else []
    notes += ["empty"] if not h.size else []
    axes.text(1, 1.02, ", ".join(notes), transform=axes.transAxes, fontsize=7, ha="right",
              va="bottom", color=COLOURS[1] if h.not_finite else SOFT)  # fmt: skip


def _paint_bars(axes: Any, h: Histogram, colour: str) -> None:
    axes.stairs(h.counts, h.edges, fill=True, color=colour)
    axes.set_xlim(h.edges[0], h.edges[-1])
    axes.set_ylim(0, max(1, h.counts.max()) * 1.05)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(length=2, labelsize=7)
    axes.ticklabel_format(axis="x", scilimits=(-2, 3), useOffset=False)
    axes.xaxis.get_offset_text().set_size(7)
