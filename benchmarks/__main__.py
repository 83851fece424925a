"""Every contender on every workload: own processes, interleaved rounds, ratios with spread.

    python -m benchmarks [--rounds N] [--seconds S] [--threads T] [--only WORKLOAD …]

Markdown tables are printed and written to benchmarks/results: eager.md for networks of linear
layers and chains, windows.md for convolutional networks.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.startup import import_times
from benchmarks.workloads import WORKLOADS, Convolutional

PEERS = {
    "limpid_eager": "limpid",
    "torch_eager": "torch",
    "hips_autograd": "autograd",
    "mygrad_eager": "mygrad",
}
LAYOUTS = {
    "limpid_eager": "limpid",
    "torch_eager": "torch",
    "torch_channels_last": "torch, channels last",
}
RESULTS = Path(__file__).parent / "results"
TITLES = {
    "eager": "Eager limpid beside its peers",
    "windows": "Convolutional networks, eager, beside PyTorch's two memory layouts",
}


class Contender:
    """A worker process."""

    def __init__(self, name: str, workload: str, threads: int):
        variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, workload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(variables, str(threads)),
        )
        self.losses = [float(x) for x in self._line().split()]

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a contender stopped: {self.process.args}")
        return line

    def round(self, seconds: float) -> float:
        """The median time of a step over so many seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return float(self._line())

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def contenders_of(workload: str) -> dict[str, str]:
    """Who can do it: worker module → what the table calls it."""
    return LAYOUTS if isinstance(WORKLOADS[workload], Convolutional) else PEERS


def measure(workload: str, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Times of each contender, one for each round."""
    contenders = contenders_of(workload)
    running = {name: Contender(name, workload, arguments.threads) for name in contenders}
    first = running["limpid_eager"].losses
    for name, contender in running.items():
        if not np.allclose(contender.losses, first, rtol=1e-3):
            raise SystemExit(f"{name} computes something else: {contender.losses} and {first}")
    times: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(arguments.rounds + 1):
        for name, contender in running.items():
            times[name].append(contender.round(arguments.seconds))
    for contender in running.values():
        contender.stop()
    return {name: values[1:] for name, values in times.items()}  # the first round warms up


def table(results: dict[str, dict[str, list[float]]], threads: int) -> str:
    """Milliseconds of a step, and how many times limpid's they are (median, min to max)."""
    contenders = contenders_of(next(iter(results)))
    lines = [
        f"Measured on {platform.machine()}, {_processor()}, {os.cpu_count()} cores, {threads} "
        f"threads, Python {platform.python_version()}.",
        "Median of a step in ms; in brackets its ratio to limpid's in the same round (min … max);",
        "above 1 means that limpid is faster.",
        "",
        "| workload | " + " | ".join(map(_title, contenders.values())) + " |",
        "|---" * (len(contenders) + 1) + "|",
    ]
    for workload, times in results.items():
        cells = [f"{statistics.median(times[n]) * 1e3:.3f}{_ratio(times, n)}" for n in contenders]
        lines.append(f"| {workload} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def startup_table() -> str:
    """How long each import takes beyond NumPy's."""
    lines = ["", "| import, beyond NumPy's own | median ms | min … max |", "|---|---|---|"]
    for package, (median, least, most) in import_times(list(PEERS.values())).items():
        lines.append(f"| {package} | {median * 1e3:.0f} | {least * 1e3:.0f} … {most * 1e3:.0f} |")
    return "\n".join(lines) + "\n"


def _title(contender: str) -> str:
    package, *rest = contender.split(", ")
    return ", ".join([f"{package} {version(package)}", *rest])


def _ratio(times: dict[str, list[float]], name: str) -> str:
    if name == "limpid_eager":
        return ""
    ratios = [t / mine for t, mine in zip(times[name], times["limpid_eager"], strict=True)]
    return f" ({statistics.median(ratios):.2f}×, {min(ratios):.2f} … {max(ratios):.2f})"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    arguments = parser.parse_args()
    groups = {"eager": PEERS, "windows": LAYOUTS}
    for file, contenders in groups.items():
        wanted = [w for w in arguments.only if contenders_of(w) is contenders]
        if not wanted:
            continue
        text = table({w: measure(w, arguments) for w in wanted}, arguments.threads)
        text += startup_table() if contenders is PEERS else ""
        print(text)
        (RESULTS / f"{file}.md").write_text(f"# {TITLES[file]}\n\n{text}")


if __name__ == "__main__":
    main()
