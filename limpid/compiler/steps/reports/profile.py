"""What the stages of a step take, and how much of the machine they use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limpid.compiler.machine.rates import Rates, machine_rates
from limpid.compiler.runtime.timing import Timing, timed
from limpid.compiler.schedule.stages import CALL, NESTED, PRODUCT, Stage
from limpid.compiler.steps.reports.figures import rounded, time_text
from limpid.compiler.steps.reports.origins import Place, place_of
from limpid.compiler.steps.reports.reading import Reading
from limpid.compiler.steps.reports.work import moved, operations, widest_float
from limpid.errors import ArgumentError
from limpid.ops.axes import integer
from limpid.ops.workers import thread_count

WIDTH = 100
NAMES = 28  # columns for what a stage computes
KINDS = {PRODUCT: "product", CALL: "call"}


@dataclass(frozen=True)
class Row:
    """A stage of a profile.

    number   in the listing
    kind     "loop", "product" or "call"
    values   what it writes to memory, by name
    seconds  as they pass in a run
    flops    operations in a run; bytes: of arrays that are read and written
    peak     the share of the machine's operations a second; None where that was not measured
    copy     bytes a second as a share of those of a copy in memory; in caches it is above 1
    places   the lines that it comes from
    """

    number: int
    kind: str
    functions: tuple[str, ...]
    values: tuple[str, ...]
    seconds: float
    flops: int
    bytes: int
    peak: float | None
    copy: float
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Profile:
    """Seconds of a run and of each stage; `print` shows it, the longest first.

    seconds  of a run of the native code, without what Python does around it
    timed    the same while stages are timed, of which `rows` and `rest` are parts
    threads  that work on it
    rates    what the machine can do at most, on `machine_threads`
    """

    step: str
    runs: int
    seconds: float
    timed: float
    threads: int
    rates: Rates
    machine_threads: int
    rows: tuple[Row, ...]

    @property
    def rest(self) -> float:
        """Seconds between stages: waiting for other threads, and what starts them."""
        return max(0.0, self.timed - sum(row.seconds for row in self.rows))

    @property
    def flops(self) -> int:
        """Operations in a run."""
        return sum(row.flops for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        found = asdict(self)
        stages = found.pop("rows")
        for row, stage in zip(self.rows, stages, strict=True):
            stage["places"] = [place.to_dict() for place in row.places]
        return {**found, "rest": self.rest, "flops": self.flops, "stages": stages}

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def profile(reading: Reading, runs: int | None) -> Profile:
    """Run the program on the inputs that are set."""
    if runs is not None and integer(runs, "runs") < 1:
        raise ArgumentError(f"runs must be at least 1, not {runs}")
    native, threads = reading.native, thread_count()
    timing, functions = timed(native, runs), reading.functions()
    rates = machine_rates(threads, _fastest(reading.runs, timing))
    rows = [
        _row(reading, stage, timing, rates, tuple(functions.get(stage, ())))
        for stage in reading.runs
        if stage.kind != NESTED
    ]
    workers = native.buffers.workers
    return Profile(
        reading.step, timing.runs, timing.whole, timing.timed, workers, rates, threads, tuple(rows)
    )


def _fastest(runs: Mapping[Stage, int], timing: Timing) -> float:
    """The most float32 operations a second that any contraction did."""
    return max(
        (
            operations(stage) * often / seconds
            for stage, often in runs.items()
            if stage.kind == PRODUCT and widest_float(stage) == np.float32
            if (seconds := timing.stages.get(stage, 0.0))
        ),
        default=0.0,
    )


def _row(
    reading: Reading, stage: Stage, timing: Timing, rates: Rates, functions: tuple[str, ...]
) -> Row:
    buffered, often = reading.buffered, reading.runs[stage]
    seconds = timing.stages.get(stage, 0.0)
    flops, amount = operations(stage) * often, moved(stage, buffered) * often
    peak = rates.peak(widest_float(stage))
    return Row(
        reading.numbers[stage],
        KINDS.get(stage.kind, "loop"),
        functions,
        tuple(reading.names[v] for v in stage.values if v in buffered),
        seconds,
        flops,
        amount,
        _share(flops, seconds, peak) if peak and stage.kind != CALL else None,
        _share(amount, seconds, rates.bandwidth),
        tuple(dict.fromkeys(p for v in stage.values if (p := place_of(v.node)) is not None)),
    )


def _share(amount: float, seconds: float, most: float) -> float:
    return amount / seconds / most if seconds else 0.0


# As text


def _lines(profile: Profile) -> Iterator[str]:
    rates = profile.rates
    peak = "" if rates.flops is None else f"{rounded(rates.flops / 1e9)} GFLOP/s, "
    yield (
        f"{profile.step}: {time_text(profile.seconds)} a run on {_threads(profile.threads)}, "
        f"{rounded(profile.flops / max(profile.seconds, 1e-12) / 1e9)} GFLOP/s"
    )
    yield (
        f"the machine on {_threads(profile.machine_threads)}: {peak}"
        f"copies {rounded(rates.bandwidth / 1e9)} GB/s"
    )
    yield "      µs      %  GFLOP/s   peak    GB/s   copy  stage"
    for row in sorted(profile.rows, key=lambda row: -row.seconds):
        yield _line(row, profile.timed)
    yield f"{_time(profile.rest, profile.timed)}{'':34}between stages"


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


def _time(seconds: float, whole: float) -> str:
    return f"{rounded(seconds * 1e6):>8} {100 * seconds / whole if whole else 0:6.1f}"


def _line(row: Row, whole: float) -> str:
    a_second = [x / row.seconds / 1e9 if row.seconds else 0.0 for x in (row.flops, row.bytes)]
    operations = f"{rounded(a_second[0]):>9} {_percent(row.peak):>6}" if row.flops else f"{'':16}"
    bytes_ = f"{rounded(a_second[1]):>7} {_percent(row.copy):>6}"
    names = f"{row.number:>3} {row.kind} {', '.join(row.values)}"
    left = f"{_time(row.seconds, whole)}{operations} {bytes_}  {_fitted(names, NAMES):{NAMES}}"
    places = [place.short for place in row.places]
    return f"{left} {_fitted(', '.join(dict.fromkeys(places)), WIDTH - len(left) - 1)}".rstrip()


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _fitted(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
