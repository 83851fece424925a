"""A sweep of learning rates: the loss after some epochs against the rate, with divergence."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, log
from typing import Any

import numpy as np

from limpid.compiler.steps.step import compile
from limpid.data.digits import load_digits
from limpid.diagnosis.experiments.networks import build, check_rate
from limpid.diagnosis.experiments.result import Curve, Experiment, Plot, Table, show
from limpid.errors import ArgumentError
from limpid.nn.functional.class_losses import cross_entropy
from limpid.ops.axes import integer
from limpid.optim import Optimizer
from limpid.training.construction import OPTIMIZERS
from limpid.training.step import Objective, evaluate, train_step

Array = np.ndarray[Any, np.dtype[Any]]

RATES = tuple(float(f"{rate:.3g}") for rate in np.geomspace(1e-3, 100, 16))
WIDTHS = (64, 32, 10)
BATCH = 32
GUESSING = log(WIDTHS[-1])  # the loss of who takes all classes for equally likely
SLACK = 0.02  # a loss must be so much below that to be better
WILD = 1.1  # times the first loss, above which a run diverges

FALLS, STAYS, DIVERGES = "falls", "guesses", "diverges"


def compare_rates(
    rates: Sequence[float] = RATES,
    *,
    epochs: int = 5,
    optimizer: str = "sgd",
    seed: int = 0,
) -> Experiment:
    """Train on the digits at each rate from the same weights, 64 → 32 → 10 with ReLU.

    The loss falls; or the network guesses, with a loss no better than that of equally likely
    classes, log 10; or it diverges: the loss is above where it began, or no longer a number.

    optimizer  sgd, adam or adamw

    >>> found = compare_rates((0.1, 1000.0), epochs=1)
    >>> [result["course"] for result in found.results]
    ['falls', 'diverges']
    """
    integer(epochs, "epochs", 1)
    if optimizer not in OPTIMIZERS:
        raise ArgumentError(f"optimizer {optimizer!r} is unknown; choose from {list(OPTIMIZERS)}")
    if isinstance(rates, str) or not isinstance(rates, Sequence) or not rates:
        raise ArgumentError(f"rates is a list of numbers, not {rates!r}")
    rates = sorted({check_rate(rate, "a rate") for rate in rates})
    part = load_digits().train
    x, y = part.x.reshape(len(part), -1), part.y
    results = [_run(x, y, rate, epochs, optimizer, seed) for rate in rates]
    settings = {
        "rates": list(rates), "epochs": epochs, "optimizer": optimizer, "batch": BATCH,
        "examples": len(y), "widths": list(WIDTHS), "seed": seed,
    }  # fmt: skip
    headings = ["learning rate", f"loss after {epochs} epochs", "accuracy", "course"]
    rows = [[show(r["rate"]), show(r["losses"][-1]), f"{r['accuracy']:.1%}", r["course"]]
            for r in results]  # fmt: skip
    return Experiment(
        "rate",
        f"A sweep of learning rates ({optimizer})",
        _sentence(results, epochs),
        settings,
        results,
        Table(headings, rows),
        [_by_rate(results, epochs), _by_epoch(results)],
    )


def _run(x: Array, y: Array, rate: float, epochs: int, optimizer: str, seed: int) -> dict[str, Any]:
    model = build(WIDTHS, "relu", "kaiming", seed)
    method: Optimizer = OPTIMIZERS[optimizer](list(model.parameters()), rate)
    objective, step = Objective(cross_entropy), compile(train_step)
    rng = np.random.default_rng(seed)
    loss, predicted = evaluate(model, cross_entropy, x, y)
    losses = [loss]
    for _ in range(epochs):
        order = rng.permutation(len(y))[: len(y) // BATCH * BATCH].reshape(-1, BATCH)
        for chosen in order:
            step(model, objective, method, x[chosen], y[chosen])
        loss, predicted = evaluate(model, cross_entropy, x, y)
        losses.append(loss)
    accuracy = float(np.mean(predicted == y))
    return {"rate": rate, "losses": losses, "accuracy": accuracy, "course": _course(losses)}


def _course(losses: list[float]) -> str:
    first, last = losses[0], losses[-1]
    if not isfinite(last) or last > WILD * max(first, GUESSING):
        return DIVERGES
    return STAYS if last > GUESSING * (1 - SLACK) else FALLS


def _sentence(results: list[dict[str, Any]], epochs: int) -> str:
    falling = [r for r in results if r["course"] == FALLS]
    wild = [r["rate"] for r in results if r["course"] == DIVERGES]
    diverged = f"it diverges at {_listed(wild)}" if wild else "it diverges at none of these rates"
    if not falling:
        return f"The loss falls at none of these rates in {epochs} epochs; {diverged}."
    best = min(falling, key=lambda r: r["losses"][-1])
    return (
        f"After {epochs} epochs the loss is lowest, {best['losses'][-1]:.3g}, at a rate of "
        f"{best['rate']:.3g}; at the smallest, {results[0]['rate']:.3g}, it is "
        f"{results[0]['losses'][-1]:.3g}; {diverged}."
    )


def _listed(rates: list[float]) -> str:
    """Few rates one by one, many by the least of them."""
    if len(rates) == 1:
        return f"{rates[0]:.3g}"
    return f"{len(rates)} rates, the least of them {rates[0]:.3g}"


def _by_rate(results: list[dict[str, Any]], epochs: int) -> Plot:
    calm = [r for r in results if r["course"] != DIVERGES]
    marks = [(r["rate"], DIVERGES) for r in results if r["course"] == DIVERGES]
    curves = [
        Curve(f"after {epochs} epochs", [r["rate"] for r in calm], [r["losses"][-1] for r in calm]),
        Curve("before", [r["rate"] for r in results], [r["losses"][0] for r in results]),
    ]
    label = "loss of all examples"
    return Plot("loss against the learning rate", "learning rate", label, curves, "xy", marks)


def _by_epoch(results: list[dict[str, Any]]) -> Plot:
    """A few rates from the least to the first that diverges."""
    wild = [i for i, r in enumerate(results) if r["course"] == DIVERGES]
    last = wild[0] if wild else len(results) - 1
    chosen = sorted({round(i * last / 4) for i in range(5)})
    curves = [
        Curve(f"rate {r['rate']:.3g}", list(range(len(r["losses"]))), r["losses"])
        for r in (results[i] for i in chosen)
    ]
    return Plot("loss against epochs", "epochs", "loss of all examples", curves, "y")
