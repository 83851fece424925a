"""`limpid grade`: partial credit for each function of a file."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from limpid.explanation.grading import Grade, Score


def grade(
    file: Annotated[Path, typer.Argument(help="The student's file.", metavar="FILE")],
    against: Annotated[
        Path, typer.Option(help="The file with the right functions.", metavar="REFERENCE")
    ],
    time_limit: Annotated[
        float, typer.Option(help="Seconds that each function may take.", metavar="SECONDS")
    ] = 10.0,
    json: Annotated[bool, typer.Option("--json", help="Print the grade as JSON.")] = False,
) -> None:
    """Compare the functions of FILE with those of the same names in REFERENCE.

    Both define pairs such as affine_forward(x, w, b), which returns (out, cache), and
    affine_backward(dout, cache); losses that return (loss, gradient); classes of the kind
    limpid.Function; plain functions, of which the values are compared. For each: does it run (1
    point), is the shape right (1), the value (3), the gradient (5, shared among its operands), and
    what is wrong with each gradient that is.

    Inputs are drawn; REFERENCE may say what they are: example_affine(rng) returns the operands of
    affine, or inputs() a dict of them.

    FILE runs in a process of its own, with limits of time and memory.

    [bold]Examples[/bold]

    limpid grade homework.py --against solution.py

    limpid grade homework.py --against solution.py --json
    """
    from limpid.explanation.grading import grade_file

    result = grade_file(file, against, time_limit)
    if json:
        typer.echo(json_format.dumps(result.to_json(), indent=2))
    else:
        _show(result)


def _show(result: Grade) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in ("function", "runs", "shape", "value", "gradient", "points"):
        first = name == "function"
        table.add_column(name, justify="left" if first else "right", overflow="fold")
    for score in result.scores:
        cells = [_cell(score, part) for part in ("runs", "shape", "value", "gradient")]
        table.add_row(Text(score.name), *cells, Text(f"{score.points:g} / {score.of:g}"))
    console = Console(highlight=False, markup=False)
    console.print(table)
    for score in result.scores:
        for line in _remarks(score):
            console.print(Text(line), soft_wrap=True)
    share = result.points / result.of if result.of else 0.0
    console.print(Text(f"{result.points:g} of {result.of:g} points ({share:.0%})", style="bold"))


def _cell(score: Score, part: str) -> Any:
    from rich.text import Text

    if part not in score.parts:
        return Text("")
    got, most = score.parts[part]
    style = "green" if got == most else "bold red" if not got else "yellow"
    return Text(f"{got:g}", style=style)


def _remarks(score: Score) -> list[str]:
    lines = [f"  {note}" for note in score.notes]
    for finding in score.findings:
        operand = f"gradient of {finding.operand}" if finding.operand else "gradient"
        lines.append(f"  {operand}: {finding.statement}")
        lines.append(f"      {finding.evidence}")
        if finding.index is not None and finding.analytic is not None:
            lines.append(
                f"      at {finding.index} it is {finding.analytic:.6g}, "
                f"it must be {finding.numeric:.6g}"
            )
        lines.append(f"      remedy: {finding.remedy}")
    return [score.name, *lines, ""] if lines else []
