"""One contender on one workload, in a process of its own; rounds are asked for on stdin."""

from __future__ import annotations

import importlib
import statistics
import sys
import time

from benchmarks.workloads import WORKLOADS, Chain, Convolutional, Network

KINDS = {Network: "network", Chain: "chain", Convolutional: "windows"}


def main() -> None:
    contender, workload = sys.argv[1:3]
    module = importlib.import_module(f"benchmarks.contenders.{contender}")
    work = WORKLOADS[workload]
    step = getattr(module, KINDS[type(work)])(work)
    losses = [step() for _ in range(3)]
    print(" ".join(f"{loss:.6f}" for loss in losses), flush=True)
    for line in sys.stdin:
        deadline = time.perf_counter() + float(line)
        times = []
        while time.perf_counter() < deadline:
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        print(statistics.median(times), flush=True)


if __name__ == "__main__":
    main()
