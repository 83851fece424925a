"""What the machine is, and how much of it others use."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import numpy as np

FEATURES = (
    "avx512f", "avx512bf16", "avx512fp16", "avx2", "fma", "amx-tile", "neon", "dotprod", "sve",
    "sve2", "sme",
)  # fmt: skip


def usable_cores() -> list[int]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(threads: int) -> None:
    """Keep this process, and those that it starts, on so many cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, usable_cores()[:threads])


class Watch:
    """How much of this process's cores others use, from here on."""

    def __init__(self) -> None:
        self._start = self._now()

    def others(self) -> float | None:
        """The share of the cores' time; None where the system doesn't tell."""
        if self._start is None:
            return None
        passed, busy, own = np.subtract(self._now(), self._start)
        return float(max(0.0, busy - own) / passed)

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        """Seconds of all these cores, those of work, those of this process and its children."""
        status = Path("/proc/stat")
        if not status.exists():
            return None
        total = busy = 0
        names = {f"cpu{core}" for core in usable_cores()}
        for name, *numbers in map(str.split, status.read_text().splitlines()):
            if name in names:
                user, nice, system, idle, wait, *rest = map(int, numbers[:8])
                busy += user + nice + system + sum(rest)
                total += user + nice + system + idle + wait + sum(rest)
        ticks, own = os.sysconf("SC_CLK_TCK"), os.times()
        return total / ticks, busy / ticks, sum(own[:4])


def description() -> str:
    """Processor, what it has, system, Python: one line."""
    return (
        f"{_processor()} ({_name()}), {os.cpu_count()} cores, {', '.join(_features())}; "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def _name() -> str:
    """The processor as LLVM calls it."""
    from llvmlite import binding

    return binding.get_host_cpu_name()


def _features() -> list[str]:
    """Those that matter to matrix products."""
    from llvmlite import binding

    found = binding.get_host_cpu_features()
    return [name for name in FEATURES if found.get(name)]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()
