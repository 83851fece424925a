"""What watching costs: whole steps with watches, and without any.

    python -m benchmarks.watching

All run in one process, in turns, in blocks of many steps: means, so that steps which are looked at
count as often as they come. Watched are all that modules return, all parameters, and for the second
column all gradients; histograms of all of that at every tenth step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import limpid
from benchmarks.contenders.limpid_models import training_step
from benchmarks.machine import pin, usable_cores
from benchmarks.workloads import WORKLOADS

USUAL = ("mlp32", "mlp512", "lenet5", "conv4", "deep300")
TENTH = 10  # steps in a block are a multiple of it
KINDS = ("activations", "parameters")
WATCHES: dict[str, dict[str, Any] | None] = {
    "no watch": None,
    "no watch again": None,
    "norms": {"stats": "norm", "of": KINDS},
    "norms, gradients too": {"stats": "norm", "of": (*KINDS, "gradients")},
    "usual": {},
    "histograms every 10": {"every": TENTH, "stats": "histogram"},
}


class Contender(NamedTuple):
    """A step, and how many values are looked at in it."""

    run: Callable[[], Any]
    values: int
    watch: Any


def main() -> None:
    arguments = parse()
    pin(arguments.threads)
    print("| workload | | values | step, µs | ratio | µs more |")
    print("| --- | --- | --- | --- | --- | --- |")
    for workload in arguments.only:
        contenders = [contender(workload, options) for options in WATCHES.values()]
        times = measure([c.run for c in contenders], arguments.rounds, arguments.seconds)
        for number, name in enumerate(WATCHES):
            print(row(workload, name, contenders[number].values, times, number), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=31, help="that are counted (31)")
    parser.add_argument("--seconds", type=float, default=0.05, help="of each in a round (0.05)")
    parser.add_argument("--threads", type=int, default=len(usable_cores()))
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(USUAL))
    return parser.parse_args()


def contender(workload: str, options: dict[str, Any] | None) -> Contender:
    """A step of its own, with its model, that has run often enough to have made all programs."""
    function, args = training_step(WORKLOADS[workload])
    step = limpid.compile(function)
    watch = None if options is None else limpid.watch(step, **options)
    for _ in range(TENTH + 2):
        step(*args)
    return Contender(lambda: step(*args), 0 if watch is None else len(watch.last), watch)


def measure(
    steps: Sequence[Callable[[], Any]], rounds: int, seconds: float
) -> np.ndarray[Any, Any]:
    """Seconds of a step of each, round by round; another one begins each time."""
    counts = [block_size(step, seconds) for step in steps]
    times = np.zeros((rounds, len(steps)))
    for n in range(rounds):
        for k in range(len(steps)):
            number = (n + k) % len(steps)
            times[n, number] = time_block(steps[number], counts[number])
    return times


def block_size(step: Callable[[], Any], seconds: float) -> int:
    """How many steps take about so long, in tens."""
    return TENTH * max(1, round(seconds / time_block(step, TENTH) / TENTH))


def time_block(step: Callable[[], Any], count: int) -> float:
    """The mean over a block."""
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count


def row(workload: str, name: str, values: int, times: np.ndarray[Any, Any], number: int) -> str:
    """The median of rounds; ratio and difference to the first are those of one round."""
    mine, plain = times[:, number], times[:, 0]
    low, ratio, high = np.percentile(mine / plain, [25, 50, 75])
    more = np.median(mine - plain) * 1e6
    cells = [
        workload, name, str(values), f"{np.median(mine) * 1e6:.1f}",
        f"{ratio:.3f} ({low:.3f} … {high:.3f})", f"{more:+.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
