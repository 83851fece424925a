"""Stochastic, mini-batch and full-batch descent: loss against updates and against time."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from limpid.compiler.steps.step import compile
from limpid.data.digits import load_digits
from limpid.diagnosis.experiments.networks import build, check_numbers, check_rate
from limpid.diagnosis.experiments.result import Curve, Experiment, Plot, Table, show
from limpid.errors import ArgumentError
from limpid.graph.context import no_grad
from limpid.nn.containers import Sequential
from limpid.nn.functional.class_losses import cross_entropy
from limpid.ops.axes import integer
from limpid.optim import SGD
from limpid.tensor import asarray
from limpid.training.step import Objective, train_step

FULL = "full"
SIZES = (1, 32, FULL)
MOMENTS = 40  # at which the loss is computed
WIDTHS = (64, 32, 10)
NO_RATE = 1e-300  # 0 in float32, so nothing moves; the number 0 would be another step to compile

Array = np.ndarray[Any, np.dtype[Any]]


def compare_batches(
    sizes: Sequence[int | str] = SIZES, *, updates: int = 2000, lr: float = 0.1, seed: int = 0
) -> Experiment:
    """Gradient descent on the digits by one example, by some and by all of them in an update.

    Each run makes the same number of updates at the same learning rate from the same weights,
    64 → 32 → 10 with ReLU. The loss is that of all training examples. Seconds are those of the
    updates alone, in which the compiled step runs; all else is decided by the seed.

    sizes  examples in an update: numbers, or "full"

    >>> found = compare_batches((1, "full"), updates=5)
    >>> [result["updates"] for result in found.results]
    [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]]
    """
    integer(updates, "updates", 1)
    lr = check_rate(lr)
    part = load_digits().train
    x, y = part.x.reshape(len(part), -1), part.y
    results = [_run(x, y, size, updates, lr, seed) for size in _sizes(sizes, len(y))]
    names = [_name(result["size"], len(y)) for result in results]
    reached = max(min(result["losses"]) for result in results)
    firsts = [_first_at(result["losses"], reached) for result in results]
    settings = {
        "sizes": [result["size"] for result in results], "updates": updates, "lr": lr,
        "examples": len(y), "widths": list(WIDTHS), "seed": seed,
    }  # fmt: skip
    return Experiment(
        "batch",
        "Stochastic, mini-batch and full-batch descent",
        _sentence(results, names, firsts, reached),
        settings,
        results,
        _table(results, names, firsts, reached),
        _plots(results, names, len(y)),
        columns=3,
    )


def _sizes(sizes: Sequence[int | str], examples: int) -> list[int]:
    if isinstance(sizes, str) or not isinstance(sizes, Sequence):
        raise ArgumentError(f"sizes is a list of numbers or {FULL!r}, not {sizes!r}")
    found = check_numbers([examples if size == FULL else size for size in sizes], "sizes")
    if found[-1] > examples:
        raise ArgumentError(f"a batch of {found[-1]} is more than the {examples} examples")
    return list(found)


def _name(size: int, examples: int) -> str:
    if size == 1:
        return "stochastic (1)"
    return f"full batch ({size})" if size == examples else f"mini-batch ({size})"


def _moments(updates: int) -> list[int]:
    """0, 1, and on in equal ratios to the last update."""
    return [0, *np.unique(np.round(np.geomspace(1, updates, MOMENTS)).astype(int)).tolist()]


def _order(examples: int, size: int, updates: int, seed: int) -> Array:
    """Which examples each update uses, (updates, size): a new order in each epoch."""
    rng = np.random.default_rng(seed)
    each = examples // size
    epochs = [
        rng.permutation(examples)[: each * size].reshape(each, size)
        for _ in range(-(-updates // each))
    ]
    return np.concatenate(epochs)[:updates]


def _run(x: Array, y: Array, size: int, updates: int, lr: float, seed: int) -> dict[str, Any]:
    model = build(WIDTHS, "relu", "kaiming", seed)
    objective, optimizer = Objective(cross_entropy), SGD(list(model.parameters()), lr)
    step = compile(train_step)
    order = _order(len(y), size, updates, seed)
    optimizer.param_groups[0]["lr"] = NO_RATE
    for chosen in order[:3]:  # compiles and warms up, which takes no part and changes no weight
        step(model, objective, optimizer, x[chosen], y[chosen])
    optimizer.param_groups[0]["lr"] = lr
    moments, losses, seconds, spent, done = _moments(updates), [], [], 0.0, 0
    for moment in moments:
        chunk, done = order[done:moment], moment
        if len(chunk):
            start = perf_counter()
            for chosen in chunk:
                step(model, objective, optimizer, x[chosen], y[chosen])
            spent += perf_counter() - start
        losses.append(_loss(model, x, y))
        seconds.append(spent)
    return {"size": size, "updates": moments, "losses": losses, "seconds": seconds}


@no_grad()
def _loss(model: Sequential, x: Any, y: Any) -> float:
    """Of all examples; the model's mode stays, so that no step is looked at anew."""
    return cross_entropy(model(asarray(x)), asarray(y)).item()


def _first_at(losses: list[float], reached: float) -> int | None:
    """The first moment at which the loss is as low; None where it never is."""
    return next((i for i, loss in enumerate(losses) if loss <= reached), None)


def _sentence(
    results: list[dict[str, Any]], names: list[str], firsts: list[int | None], reached: float
) -> str:
    if None in firsts:
        lost = [name for name, first in zip(names, firsts) if first is None]
        return f"At this learning rate the loss of {', '.join(lost)} is not finite: it diverges."
    parts = []
    for result, name, first in zip(results, names, firsts):
        assert first is not None
        updates, seconds = result["updates"][first], result["seconds"][first]
        parts.append(
            f"{name} takes {updates} updates of {_average(result):.3g} ms ({seconds:.3g} s)"
        )
    return f"To a loss of {reached:.3g}, " + "; ".join(parts) + "."


def _average(result: dict[str, Any]) -> float:
    """Milliseconds of an update."""
    return float(1e3 * result["seconds"][-1] / result["updates"][-1])


def _table(
    results: list[dict[str, Any]], names: list[str], firsts: list[int | None], reached: float
) -> Table:
    rows = []
    for result, name, first in zip(results, names, firsts):
        at = ["never"] * 3 if first is None else [
            str(result["updates"][first]),
            str(result["updates"][first] * result["size"]),
            show(result["seconds"][first]),
        ]  # fmt: skip
        rows.append([name, *at, show(_average(result)), show(result["losses"][-1])])
    to = f"to loss {reached:.3g}"
    last = results[0]["updates"][-1]
    headings = [f"updates {to}", f"examples {to}", f"seconds {to}", "ms an update"]
    return Table(["descent", *headings, f"loss after {last} updates"], rows)


def _plots(results: list[dict[str, Any]], names: list[str], examples: int) -> list[Plot]:
    axes: dict[str, list[list[float]]] = {
        "updates": [r["updates"] for r in results],
        "epochs": [[n * r["size"] / examples for n in r["updates"]] for r in results],
        "seconds": [r["seconds"] for r in results],
    }
    losses, plots = [r["losses"] for r in results], []
    for what, places in axes.items():
        curves = [Curve(*curve) for curve in zip(names, places, losses)]
        plots.append(Plot(f"loss against {what}", what, "loss of all examples", curves, "xy"))
    return plots
