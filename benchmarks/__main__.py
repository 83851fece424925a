"""Every contender on every workload: own processes, interleaved rounds, ratios with spread.

What a full run finds is written to benchmarks/results: compiled.md with compiled.svg for compiled
steps, eager.md and windows.md for eager ones. A run of some workloads or contenders only prints.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.groups import CONTENDERS, GROUPS, Group, entrants
from benchmarks.machine import Watch, pin, usable_cores
from benchmarks.picture import draw
from benchmarks.rounds import measure
from benchmarks.tables import Results, Run, compiled_tables, eager_tables
from benchmarks.workloads import WORKLOADS
from limpid.compiler.machine.rates import Rates, measure_rates

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    arguments = parse()
    pin(arguments.threads)
    watch = Watch()
    results: Results = {}
    rates: list[Rates] = []
    for workload in arguments.only:
        rates.append(measure_rates(arguments.threads))
        names = [name for name in entrants(workload) if name in arguments.contenders]
        print(f"{workload}: {', '.join(names)} …", flush=True)
        results[workload] = measure(
            workload, names, arguments.threads, arguments.rounds, arguments.seconds
        )
    run = Run(arguments.threads, arguments.rounds, arguments.seconds, rates, watch.others())
    for file, group in GROUPS.items():
        chosen = choose(group, results)
        if chosen:
            report(file, group, chosen, run, arguments.results)


def parse() -> argparse.Namespace:
    cores = len(usable_cores())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="that are counted (9)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a contender's round (0.5)")
    parser.add_argument("--threads", type=int, default=cores, help="all cores of the process")
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument(
        "--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS)
    )
    parser.add_argument("--results", type=Path, help="folder to write to")
    arguments = parser.parse_args()
    if not 1 <= arguments.threads <= cores:
        parser.error(f"--threads is from 1 to {cores}, the cores of this process")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("--rounds and --seconds are above 0")
    whole = set(arguments.only) == set(WORKLOADS) and set(arguments.contenders) == set(CONTENDERS)
    if arguments.results is None and whole:
        arguments.results = RESULTS
    return arguments


def choose(group: Group, results: Results) -> Results:
    """What belongs to a group."""
    chosen = {
        workload: {n: found[n] for n in group.entrants(workload) if n in found}
        for workload, found in results.items()
        if workload in group.workloads
    }
    return {workload: found for workload, found in chosen.items() if found}


def report(file: str, group: Group, results: Results, run: Run, folder: Path | None) -> None:
    """Print the tables; write them and the picture if there is a folder."""
    compiled = file == "compiled"
    text = (compiled_tables if compiled else eager_tables)(group, results, run)
    print(f"\n{text}", flush=True)
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{file}.md").write_text(text)
    if compiled:
        draw(results, folder / f"{file}.svg")


if __name__ == "__main__":
    main()
