"""One contender on one workload, in a process of its own; it answers on stdout in JSON.

First come the losses of three steps and the seconds of the first one. Then, for each line on stdin,
which says for how many seconds, the median time of a step; at the end of stdin the peak memory.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.workloads import WORKLOADS

LEAST = 3  # steps that are timed in a round, however long they take


def main() -> None:
    contender, workload = sys.argv[1:3]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    step = importlib.import_module(f"benchmarks.contenders.{contender}").build(WORKLOADS[workload])

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    start = time.perf_counter()
    losses = [step().item()]
    first = time.perf_counter() - start
    losses += [step().item() for _ in range(2)]
    answer(losses=losses, first=first)
    for line in sys.stdin:
        answer(median=time_steps(step, float(line)))
    answer(memory=peak_memory())


def time_steps(step: Callable[[], Any], seconds: float) -> float:
    """The median over so many seconds, after one step that wakes up threads and fills caches."""
    step()
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(times) < LEAST:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_memory() -> int:
    """The most bytes that this process had in memory, with what it imports."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the process that this one was forked from
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    main()
