"""What watching costs: steps with the norms of ten tensors as probes, and without any.

    python -m benchmarks.watching

Both run in one process, in turns. A norm is the square root of a sum of squares in double
precision, computed within the step at every call; five are of gradients of parameters and five of
what modules return, where there are as many, spread over the network.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import limpid
from benchmarks.contenders.limpid_models import training_step
from benchmarks.machine import pin, usable_cores
from benchmarks.worker import time_steps
from benchmarks.workloads import WORKLOADS
from limpid.compiler.steps.sight import select_in

NORMS = 10
USUAL = ("mlp32", "mlp512", "lenet5", "conv4", "deep300")


def main() -> None:
    arguments = parse()
    pin(arguments.threads)
    print("| workload | step, µs | with norms, µs | norms | ratio | µs more |")
    print("| --- | --- | --- | --- | --- | --- |")
    for workload in arguments.only:
        plain, watched, count = steps(workload)
        times = measure([plain, watched], arguments.rounds, arguments.seconds)
        print(row(workload, count, times), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=31, help="that are counted (31)")
    parser.add_argument("--seconds", type=float, default=0.05, help="of each in a round (0.05)")
    parser.add_argument("--threads", type=int, default=len(usable_cores()))
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(USUAL))
    return parser.parse_args()


def steps(workload: str) -> tuple[Callable[[], Any], Callable[[], Any], int]:
    """The step without probes and another one with them; how many those are."""
    made = []
    for _ in range(2):
        function, args = training_step(WORKLOADS[workload])
        made.append((limpid.compile(function), args))
        made[-1][0](*args)
    (plain, first), (watched, second) = made
    watched.probe(*norms(watched))
    for step, args in made:
        step(*args)
    return lambda: plain(*first), lambda: watched(*second), len(watched.probed)


def norms(step: limpid.Step) -> list[str]:
    """The names of the probes."""
    found: list[str] = []
    for pattern in ("norm:grad:*", "norm:*"):
        names = [probe.name for probe in select_in(step.latest(), [pattern])]
        numbers = np.linspace(0, len(names) - 1, min(len(names), NORMS // 2)).round()
        found += [names[int(n)] for n in numbers]
    return found


def measure(
    steps: Sequence[Callable[[], Any]], rounds: int, seconds: float
) -> np.ndarray[Any, Any]:
    """Median seconds of each, round by round; another one begins each time."""
    times = np.zeros((rounds, len(steps)))
    for n in range(rounds):
        for k in range(len(steps)):
            number = (n + k) % len(steps)
            times[n, number] = time_steps(steps[number], seconds)
    return times


def row(workload: str, count: int, times: np.ndarray[Any, Any]) -> str:
    """Medians of rounds; ratio and difference are those of one round."""
    plain, watched = (np.median(times, axis=0) * 1e6).tolist()
    ratio = np.median(times[:, 1] / times[:, 0])
    more = np.median(times[:, 1] - times[:, 0]) * 1e6
    cells = [workload, f"{plain:.1f}", f"{watched:.1f}", str(count), f"{ratio:.3f}", f"{more:.1f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
