"""Depth against the gradient's norm, for activations and initialisations."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, log10
from typing import Any

import numpy as np

from limpid.data.digits import load_digits
from limpid.diagnosis.experiments.networks import build, check_names, check_numbers
from limpid.diagnosis.experiments.result import Curve, Experiment, Plot, Table, show
from limpid.graph.dtype import float64
from limpid.nn.functional.class_losses import cross_entropy
from limpid.nn.layers.linear import Linear
from limpid.ops.axes import integer
from limpid.training.construction import ACTIVATIONS, INITIALISATIONS

DEPTHS = (2, 5, 10, 20, 50, 100)
USUAL = ("sigmoid", "tanh", "relu", "elu")
STARTS = ("default", "xavier", "kaiming", "orthogonal")
CLASSES = 10
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def compare_depths(
    depths: Sequence[int] = DEPTHS,
    activations: Sequence[str] = USUAL,
    starts: Sequence[str] = STARTS,
    *,
    width: int = 32,
    examples: int = 64,
    seed: int = 0,
) -> Experiment:
    """How the gradient at the first layer changes with depth, before any training.

    ‖∂L/∂Wᵏ‖ of every linear layer k, for the cross-entropy of digits, in double precision so that
    what is tiny is still seen. Every network begins with the same seed.

    depths       numbers of linear layers, from 2 on
    activations  between them
    starts       how weights begin, by the names of `limpid train --init`

    >>> found = compare_depths((2, 4), ["tanh"], ["xavier"], width=8, examples=10)
    >>> [len(result["norms"]) for result in found.results]
    [2, 4]
    """
    depths = check_numbers(depths, "depths", 2)
    activations = check_names(activations, ACTIVATIONS, "activation")
    starts = check_names(starts, INITIALISATIONS, "initialisation")
    integer(width, "width", 1)
    x, y = _digits(integer(examples, "examples", 1))
    results = [
        {"activation": activation, "start": start, "depth": depth,
         "norms": gradient_norms(activation, start, depth, width, x, y, seed)}
        for activation in activations for start in starts for depth in depths
    ]  # fmt: skip
    settings = {
        "depths": list(depths), "activations": list(activations), "starts": list(starts),
        "width": width, "examples": len(y), "seed": seed,
    }  # fmt: skip
    return Experiment(
        "depth",
        "Depth against the norm of the gradient",
        _sentence(results, depths),
        settings,
        results,
        _table(results, depths),
        [*_by_depth(results, activations), *_by_layer(results, activations, depths[-1])],
        columns=len(activations),
    )


def _digits(examples: int) -> tuple[Any, Any]:
    """The first digits, standardised: (N, 64) float64 and their classes."""
    part = load_digits("standard").train
    return part.x[:examples].reshape(-1, 64).astype(np.float64), part.y[:examples]


def gradient_norms(
    activation: str, start: str, depth: int, width: int, x: Any, y: Any, seed: int
) -> list[float]:
    """‖∂L/∂Wᵏ‖ of each linear layer of a network of this depth, the first one first."""
    widths = (x.shape[1], *[width] * (depth - 1), CLASSES)
    model = build(widths, activation, start, seed, float64)
    cross_entropy(model(x), y).backward()
    layers = [layer for layer in model if isinstance(layer, Linear)]
    return [float(np.linalg.norm(layer.weight.grad.numpy())) for layer in layers]  # type: ignore[union-attr]  # backward has run


def _first(results: list[dict[str, Any]], activation: str, start: str) -> list[float]:
    """The norms at the first layer, by depth."""
    return [r["norms"][0] for r in results if (r["activation"], r["start"]) == (activation, start)]


def _pairs(results: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((r["activation"], r["start"]) for r in results))


def _sentence(results: list[dict[str, Any]], depths: Sequence[int]) -> str:
    if len(depths) < 2:
        return f"With one depth only, {depths[0]}, nothing can be said about the effect of depth."
    ratios = {pair: _ratio(_first(results, *pair)) for pair in _pairs(results)}
    steadiest = min(ratios, key=lambda pair: _size(ratios[pair]))
    farthest = max(ratios, key=lambda pair: _size(ratios[pair]))
    what = f"From {depths[0]} to {depths[-1]} layers the gradient at the first layer"
    if len(ratios) == 1:
        return f"{what} {_told(ratios[steadiest])} ({' with '.join(steadiest)} weights)."
    return (
        f"{what} {_told(ratios[farthest])} with {farthest[0]} and {farthest[1]} weights, and "
        f"{_told(ratios[steadiest])} with {steadiest[0]} and {steadiest[1]} weights, where it "
        "changes least."
    )


def _ratio(norms: list[float]) -> float:
    return norms[-1] / norms[0] if norms[0] else float("nan")


def _size(ratio: float) -> float:
    """By how many powers of ten it changes."""
    return abs(log10(ratio)) if ratio > 0 and isfinite(ratio) else inf


def _told(ratio: float) -> str:
    if not ratio > 0 or not isfinite(ratio):
        return "vanishes altogether" if ratio == 0 else "is not finite"
    word, factor = ("grows", ratio) if ratio >= 1 else ("shrinks", 1 / ratio)
    if factor < 1000:
        return f"{word} by a factor of {factor:.2g}"
    return f"{word} by a factor of 10{str(round(log10(factor))).translate(RAISED)}"


def _table(results: list[dict[str, Any]], depths: Sequence[int]) -> Table:
    rows = [[*pair, *map(show, _first(results, *pair))] for pair in _pairs(results)]
    return Table(["activation", "weights", *(f"depth {depth}" for depth in depths)], rows)


def _by_depth(results: list[dict[str, Any]], activations: Sequence[str]) -> list[Plot]:
    plots = []
    for activation in activations:
        own = [r for r in results if r["activation"] == activation]
        curves = [
            Curve(start, [r["depth"] for r in own if r["start"] == start],
                  _first(own, activation, start))
            for _, start in _pairs(own)
        ]  # fmt: skip
        label = "norm of ∂L/∂W of the first layer"
        plots.append(Plot(activation, "linear layers", label, curves, "xy"))
    return plots


def _by_layer(
    results: list[dict[str, Any]], activations: Sequence[str], deepest: int
) -> list[Plot]:
    plots = []
    for activation in activations:
        own = [r for r in results if (r["activation"], r["depth"]) == (activation, deepest)]
        curves = [Curve(r["start"], list(range(1, deepest + 1)), r["norms"]) for r in own]
        title = f"{activation}, all of {deepest} layers"
        plots.append(Plot(title, "layer, from the input", "norm of ∂L/∂W", curves, "y"))
    return plots
