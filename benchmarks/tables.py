"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.groups import CONTENDERS, Group
from benchmarks.machine import description
from benchmarks.rounds import Measured
from benchmarks.startup import import_times
from benchmarks.workloads import DESCRIPTIONS, WORKLOADS, Logistic, multiply_adds
from limpid.compiler.machine.rates import Rates

Results = dict[str, dict[str, Measured]]  # workload → contender → what was found


@dataclass(frozen=True)
class Run:
    """How it was measured.

    rates   measured before each workload
    others  the share of the cores that other processes used meanwhile; None if that can't be known
    """

    threads: int
    rounds: int
    seconds: float
    rates: Sequence[Rates]
    others: float | None

    @property
    def peak(self) -> float | None:
        found = [rates.flops for rates in self.rates if rates.flops]
        return float(np.median(found)) if found else None

    @property
    def bandwidth(self) -> float:
        return float(np.median([rates.bandwidth for rates in self.rates]))


def eager_tables(group: Group, results: Results, run: Run) -> str:
    """Milliseconds of a step, and how many times limpid's they are (median, min to max)."""
    names = [n for n in group.contenders if any(n in found for found in results.values())]
    titles = [f"{CONTENDERS[n].title} ({CONTENDERS[n].version})" for n in names]
    lines = [
        _preface(run),
        "",
        "Median of a step in ms; in brackets its ratio to limpid's in the same round (min … max);",
        "above 1 means that limpid is faster.",
        "",
        *_header("workload", *titles),
    ]
    for workload, found in results.items():
        cells = [_eager_cell(found, name) for name in names]
        lines.append(_row(workload, *cells))
    if group.imports:
        lines += ["", *_imports([CONTENDERS[n].package for n in names])]
    return "\n".join([f"# {group.title}", "", *lines]) + "\n"


def _eager_cell(found: dict[str, Measured], name: str) -> str:
    mine, its = found.get("limpid_eager"), found.get(name)
    if its is None or not its.times:
        return "–"
    shown = f"{its.median * 1e3:.3f}"
    if its is mine or mine is None or not mine.times:
        return shown
    ratios = np.divide(its.times, mine.times)
    return f"{shown} ({np.median(ratios):.2f}×, {ratios.min():.2f} … {ratios.max():.2f})"


def _imports(packages: Sequence[str]) -> list[str]:
    """How long each import takes beyond NumPy's."""
    lines = _header("import, beyond NumPy's own", "median ms", "min … max")
    for package, (median, least, most) in import_times(list(packages)).items():
        lines.append(_row(package, f"{median * 1e3:.0f}", f"{least * 1e3:.0f} … {most * 1e3:.0f}"))
    return lines


def compiled_tables(group: Group, results: Results, run: Run) -> str:
    """One table of all medians, then one for each workload."""
    names = [n for n in group.contenders if any(n in found for found in results.values())]
    lines = [
        f"# {group.title}",
        "",
        "Whole training steps: forward, backward, update. [How to read this](../README.md).",
        "",
        _preface(run),
        "",
        f"The machine's peak, measured in this run: {_flops(run.peak)} in float32, "
        f"{run.bandwidth / 1e9:.1f} GB/s copied (read and written).",
        "",
        f"Versions: {', '.join(dict.fromkeys(CONTENDERS[n].version for n in names))}.",
        "",
        "![Time of a step relative to the fastest peer](compiled.svg)",
        "",
        "Median of a step in ms:",
        "",
        *_header("workload", *(CONTENDERS[n].title for n in names), "limpid × fastest peer"),
    ]
    for workload, found in results.items():
        cells = [_milliseconds(found.get(name)) for name in names]
        lines.append(_row(workload, *cells, _gain(found, "limpid_compiled")))
    for workload, found in results.items():
        lines += ["", *_workload(workload, found, run)]
    return "\n".join(lines) + "\n"


def _workload(workload: str, found: dict[str, Measured], run: Run) -> list[str]:
    """The table of one workload, with notes."""
    peer = fastest_peer(found)
    lines = [
        f"## {workload}",
        "",
        f"{DESCRIPTIONS[workload][0].upper()}{DESCRIPTIONS[workload][1:]}.",
    ]
    lines += _amount(workload, run)
    if peer:
        lines.append(f"Fastest peer: {CONTENDERS[peer].title}.")
    lines += ["", *_header(
        "contender", "median ms", "quartiles", "× fastest peer", "of the peak",
        "first step, cold, s", "from disk, s", "memory, MB",
    )]  # fmt: skip
    for name, measured in found.items():
        lines.append(_detail(workload, name, measured, found, run))
    for name, measured in found.items():
        if measured.reason:
            lines += ["", f"{CONTENDERS[name].title} can't run here: `{measured.reason}`"]
    return lines


def _amount(workload: str, run: Run) -> list[str]:
    """How much there is to do, and how long it takes at least."""
    work, products = WORKLOADS[workload], multiply_adds(WORKLOADS[workload])
    if products:
        least = f", {2e3 * products / run.peak:.3g} ms at the peak" if run.peak else ""
        return [f"Its contractions take {2 * products / 1e6:.4g} million operations a step{least}."]
    if isinstance(work, Logistic):
        size = 4 * work.rows * (work.features + 1)
        least = 1e3 * size / run.bandwidth
        return [f"One pass over its {size / 1e6:.0f} MB takes {least:.3g} ms at the copy's rate."]
    return []


def _detail(
    workload: str, name: str, measured: Measured, found: dict[str, Measured], run: Run
) -> str:
    if not measured.times:
        return _row(CONTENDERS[name].title, *"–––––––")
    low, high = np.quantile(measured.times, [0.25, 0.75]) * 1e3
    products = multiply_adds(WORKLOADS[workload])
    share = products and run.peak and 2 * products / measured.median / run.peak
    return _row(
        CONTENDERS[name].title,
        _milliseconds(measured),
        f"{_digits(low)} … {_digits(high)}",
        _gain(found, name),
        f"{share:.0%}" if share else "–",
        _seconds(measured.cold),
        _seconds(measured.warm),
        f"{measured.memory / 1e6:.0f}",
    )


def fastest_peer(found: dict[str, Measured]) -> str | None:
    """The peer of the smallest median."""
    peers = [n for n, m in found.items() if CONTENDERS[n].is_peer and m.times]
    return min(peers, key=lambda name: found[name].median, default=None)


def relative(found: dict[str, Measured], name: str) -> np.ndarray | None:
    """Times relative to the fastest peer's, round by round."""
    peer = fastest_peer(found)
    if peer is None or name not in found or not found[name].times:
        return None
    return np.divide(found[name].times, found[peer].times)


def _gain(found: dict[str, Measured], name: str) -> str:
    """How many times as fast as the fastest peer, with quartiles."""
    times = relative(found, name)
    if times is None:
        return "–"
    low, middle, high = np.quantile(1 / times, [0.25, 0.5, 0.75])
    if name == fastest_peer(found):
        return "1"
    return f"{_digits(middle)} ({_digits(low)} … {_digits(high)})"


def _preface(run: Run) -> str:
    rounds = f"{run.threads} threads, {run.rounds} rounds of {run.seconds:g} s for each contender"
    if run.others is None:
        return f"{description()}. {rounds}."
    return f"{description()}. {rounds}; other processes used {run.others:.0%} of the cores."


def _header(*cells: str) -> list[str]:
    return [_row(*cells), _row(*["---"] * len(cells))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _milliseconds(measured: Measured | None) -> str:
    return _digits(measured.median * 1e3) if measured is not None and measured.times else "–"


def _digits(number: float) -> str:
    """Three digits, and never an exponent."""
    return f"{number:.{max(0, 2 - int(np.floor(np.log10(number))))}f}"


def _seconds(number: float | None) -> str:
    return "–" if number is None else _digits(number)


def _flops(peak: float | None) -> str:
    return "no native code to measure FLOP/s" if peak is None else f"{peak / 1e9:.0f} GFLOP/s"
