"""`limpid doctor`: what is wrong with a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limpid.errors import ArgumentError

FOUND = 3  # the exit status when there is something to mend


def doctor(
    run: Annotated[
        str,
        typer.Argument(
            help="The folder of a run, such as runs/2026-01-31_12-00-digits-1; with --init-report "
            "a model: FILE.py:NAME, one that ships with limpid, or mlp.",
            metavar="RUN",
        ),
    ],
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="Also write a page with the findings and pictures of the run; needs "
            "the extra: pip install 'limpid\\[pictures]'.",
            metavar="FILE",
        ),
    ] = None,
    init_report: Annotated[
        bool,
        typer.Option(
            "--init-report",
            help="Compare initialisations of a model before training: how they carry signals and "
            "gradients through its depth.",
        ),
    ] = False,
    input: Annotated[
        list[str] | None,
        typer.Option(
            help="For --init-report: the shape of an input without the batch, such as 3,32,32. "
            "Once for each input.",
            metavar="N,N,…",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what is found as JSON.")] = False,
) -> int:
    """Say what is wrong with a training run: evidence, likely cause, remedy.

    It reads what every run writes down: losses, norms of weights, gradients and updates, zeros and
    saturation of activations. `limpid train --doctor` sees more, since it watches the steps.

    The exit status is 0 if nothing was found, 3 if something was, 1 if the folder can't be read.

    [bold]Examples[/bold]

    limpid doctor runs/2026-01-31_12-00-digits-1

    limpid doctor runs/2026-01-31_12-00-digits-1 --html report.html

    limpid doctor my_model.py:Net --init-report --input 3,32,32
    """
    if init_report:
        if html is not None:
            raise ArgumentError("--html shows a run; --init-report has no pictures")
        from limpid.cli.init_report import report_initialisation

        report_initialisation(run, input, json)
        return 0
    if input:
        raise ArgumentError("--input belongs to --init-report: a run has its own data")
    from limpid.diagnosis.doctor.runs import examine_run

    report = examine_run(run)
    if html is not None:
        from limpid.diagnosis.pictures.report.page import report_page

        html.write_text(report_page(run, report.findings), encoding="utf-8")
        typer.echo(f"wrote {html}", err=True)
    if json:
        print(report.json())
    else:
        print_doctor(report)
    return FOUND if report else 0


def print_doctor(report: object, to_stderr: bool = False) -> None:
    """The report in a terminal, as it stands: names are no markup."""
    from rich.console import Console

    console = Console(stderr=to_stderr, highlight=False)
    console.print(str(report), markup=False, soft_wrap=True)
