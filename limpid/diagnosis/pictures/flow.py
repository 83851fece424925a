"""How gradients flow: their norms by layer over time, and their histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.diagnosis.pictures.history import (
    GRADIENT,
    STATE,
    UPDATE,
    History,
    grouped,
    read_history,
)
from limpid.diagnosis.pictures.logmap import LogMap, paint_map, thin_out
from limpid.diagnosis.pictures.picture import Picture
from limpid.diagnosis.pictures.ridges import ridges
from limpid.errors import ArgumentError, OperandError

WORDS = {GRADIENT: "gradients", STATE: "weights", UPDATE: "updates", "": "what modules return"}
Array = np.ndarray[Any, np.dtype[Any]]


def gradient_flow(history: Any, *, kind: str = "heat", by: str = "layer") -> Picture:
    """Gradients by layer over time: where they vanish on their way back, and where they explode.

    history  a watch or its history; a run folder, its path or the result of a run, which have
             norms for each epoch
    kind     "heat": a map of log₁₀ of the norms, first layers above; a norm over several
             parameters is √Σ norm². "ridge": a histogram of the gradients for each layer and time,
             which only a watch with the statistic "histogram" has
    by       "layer" takes the parameters of a module together, "parameter" each by itself

    Zeros, NaN and infinities have colours of their own. `data` has `steps`, `layers` and `norms`
    (layers, steps), NaN where none was `taken`; or `counts` (steps, bins) and `edges` by layer.

    >>> from limpid import diagnosis
    >>> history = [{"step": s, "values": {"grad:fc1.weight": {"norm": 3.0 / s},
    ...     "grad:fc1.bias": {"norm": 4.0 / s}}} for s in (1, 2)]
    >>> diagnosis.gradient_flow(history).data["norms"]
    array([[5. , 2.5]])
    """
    read = read_history(history)
    if kind == "ridge":
        return ridges(read, by)
    if kind != "heat":
        raise ArgumentError(f"kind is 'heat' or 'ridge', not {kind!r}")
    return norm_map(read, GRADIENT, by, "Gradient flow", "norm of the gradient")


def norm_map(history: History, kind: str, by: str, title: str, label: str) -> Picture:
    """The map of the norms of a kind: of gradients, of weights, of what modules return ("")."""
    series = _norms(history, kind)
    layers = grouped(series, by) if kind else {name: [name] for name in series}
    found = {name: _together([series[n] for n in names]) for name, names in layers.items()}
    return _map(history, found, title, label)


def ratio_map(history: History, title: str, label: str) -> Picture:
    """The map of ‖Δw‖/‖w‖ by layer, of updates to weights."""
    updates, weights = (_norms(history, kind) for kind in (UPDATE, STATE))
    found = {}
    for layer, names in grouped([n for n in updates if n in weights], "layer").items():
        pairs = [_together([series[n] for n in names]) for series in (updates, weights)]
        (update, moved), (weight, known) = pairs
        with np.errstate(all="ignore"):
            ratio = np.where(update == 0, 0.0, update / weight)
        found[layer] = ratio, moved & known
    return _map(history, found, title, label)


def _norms(history: History, kind: str) -> dict[str, list[Any]]:
    series = history.series("norm", kind)
    if history.steps and not series:
        there = ", ".join(history.statistics()) or "nothing"
        raise ArgumentError(
            f"the history has no norms of {WORDS[kind]}; it has {there}"
            "\nremedy: limpid.watch(…, stats=('norm',))"
        )
    return series


def _map(
    history: History, layers: dict[str, tuple[Array, Array]], title: str, label: str
) -> Picture:
    """The picture of numbers by layer and time, each with where it was taken."""
    shape = len(layers), len(history.steps)
    norms = np.array([norms for norms, _ in layers.values()], np.float64).reshape(shape)
    taken = np.array([taken for _, taken in layers.values()], np.bool_).reshape(shape)
    steps, names = list(history.steps), list(layers)
    shown = LogMap(*thin_out(steps, norms, taken), names, history.unit, label)
    data = {"steps": steps, "unit": history.unit, "layers": names, "norms": norms, "taken": taken}
    return Picture(
        title, data, (history.unit, "layer", "norm"),
        lambda: ((steps[j], names[i], norms[i, j].item()) for j, i in np.argwhere(taken.T)),
        lambda figure: paint_map(figure, title, shown),
        (6.4, 1.25 + min(8.0, 0.24 * max(len(names), 3))),
    )  # fmt: skip


def _together(series: list[list[Any]]) -> tuple[Array, Array]:
    """√Σ norm² of several parameters, NaN where none was taken; and where one was."""
    taken = np.array([[x is not None for x in line] for line in series])
    norms = np.array([[0.0 if x is None else _number(x) for x in line] for line in series])
    with np.errstate(all="ignore"):
        largest = norms.max(axis=0)
        scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        total = scale * np.sqrt(np.square(norms / scale).sum(axis=0))  # squares stay in range
    known = np.asarray(taken.any(axis=0))
    total[~known] = np.nan
    return total, known


def _number(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError):
        raise OperandError(f"a norm in a history is a number, not {given!r:.40}") from None
