"""How long imports take, each in processes of their own."""

from __future__ import annotations

import statistics
import subprocess
import sys

CODE = """
import time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import {package}
print(middle - start, time.perf_counter() - middle)
"""


def import_times(packages: list[str], repeats: int = 9) -> dict[str, tuple[float, float, float]]:
    """Seconds beyond NumPy's own import: median, least and most; interleaved, first one dropped."""
    times: dict[str, list[float]] = {package: [] for package in packages}
    for _ in range(repeats + 1):
        for package in packages:
            times[package].append(_once(package))
    return {
        package: (statistics.median(found[1:]), min(found[1:]), max(found[1:]))
        for package, found in times.items()
    }


def _once(package: str) -> float:
    command = [sys.executable, "-c", CODE.format(package=package)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[1])
