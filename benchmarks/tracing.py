"""What tracing NaNs costs: steps that are compiled with `trace_nans=True`, and without.

    python -m benchmarks.tracing

Both run in one process, in turns, on fresh arguments at each call, as training does. Between them a
step with the flag alone: one that doesn't know what state was before a call.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np

import limpid
from benchmarks.contenders.limpid_models import training_step
from benchmarks.machine import pin, usable_cores
from benchmarks.watching import USUAL, measure
from benchmarks.workloads import WORKLOADS

BYTES = 64 * 1024 * 1024  # of different arguments
MOST = 600  # calls with different arguments


def main() -> None:
    arguments = parse()
    pin(arguments.threads)
    print("| workload | step, µs | flag: ratio | µs more | tracing: ratio | µs more |")
    print("| --- | --- | --- | --- | --- | --- |")
    for workload in arguments.only:
        times = measure(steps(workload), arguments.rounds, arguments.seconds)
        print(row(workload, times), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=31, help="that are counted (31)")
    parser.add_argument("--seconds", type=float, default=0.05, help="of each in a round (0.05)")
    parser.add_argument("--threads", type=int, default=len(usable_cores()))
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(USUAL))
    return parser.parse_args()


def steps(workload: str) -> list[Callable[[], Any]]:
    """The step as it is, with the flag, and with tracing."""
    made = []
    for traced, keeps in ((False, False), (True, False), (True, True)):
        function, args = training_step(WORKLOADS[workload])
        step = limpid.compile(function, trace_nans=traced)
        step(*args)
        if traced and not keeps:
            step.latest().watch.keeps_history = False
        made.append(called(step, args))
    return made


def called(step: limpid.Step, args: Sequence[Any]) -> Callable[[], Any]:
    """Calls with other arrays each time."""
    size = sum(np.asarray(x).nbytes for x in args if hasattr(x, "dtype"))
    count = max(2, min(MOST, BYTES // max(size, 1)))
    calls = cycle([tuple(map(copied, args)) for _ in range(count)])
    return lambda: step(*next(calls))


def copied(x: Any) -> Any:
    """Another array with the same numbers."""
    if isinstance(x, limpid.Tensor):
        return limpid.asarray(np.array(x.value))
    return np.array(x) if isinstance(x, np.ndarray) else x


def row(workload: str, times: np.ndarray[Any, Any]) -> str:
    """Medians of rounds; ratios and differences are those of one round."""
    cells = [workload, f"{np.median(times[:, 0]) * 1e6:.1f}"]
    for k in (1, 2):
        cells.append(f"{np.median(times[:, k] / times[:, 0]):.3f}")
        cells.append(f"{np.median(times[:, k] - times[:, 0]) * 1e6:.1f}")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
