"""Kinds of models side by side: each trained with several seeds, and tested."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from examples.fitting import count_parameters
from examples.table import draw_table, spread
from limpid import nn

Shares = dict[str, float]  # of a test set's examples that a model is right about, by its name


@dataclass
class Result:
    """What came of a kind of model: one model for each seed, and what they got right."""

    models: list[nn.Module] = field(default_factory=list)
    shares: list[Shares] = field(default_factory=list)


def compare(
    names: Iterable[str],
    seeds: Sequence[int],
    train: Callable[[str, int], nn.Module],
    test: Callable[[nn.Module, int], Shares],
    say: Callable[[str], None] = print,
) -> dict[str, Result]:
    """Train every kind of model with every seed, and test it."""
    results = {name: Result() for name in names}
    for name, result in results.items():
        for seed in seeds:
            start = time.perf_counter()
            model = train(name, seed)
            say(f"{name}, seed {seed}: trained in {time.perf_counter() - start:.0f} s")
            result.models.append(model)
            result.shares.append(test(model, seed))
    return results


def draw_results(results: dict[str, Result]) -> str:
    """The table of sizes and accuracies, in per cent: mean, least and greatest over the seeds."""
    tests = list(next(iter(results.values())).shares[0])
    rows = [
        [
            name,
            f"{count_parameters(result.models[0]):,}",
            *(spread([shares[test] for shares in result.shares]) for test in tests),
        ]
        for name, result in results.items()
    ]
    return draw_table(["network", "parameters", *tests], rows)
