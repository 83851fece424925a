"""What a person sees when training has ended."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from shutil import which
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from limpid.training.runs import Result

MOST_CONFUSIONS = 10  # listed where the table is too wide for the terminal


def print_report(result: Result) -> None:
    """The confusion table, the accuracy, where the run is, and what to try next."""
    from rich.console import Console

    console = Console(highlight=False)
    table = draw_confusion(result.confusion, result.classes)
    unlimited = console.options.update(max_width=10_000)
    if console.measure(table, options=unlimited).maximum <= console.width:
        console.print("Rows: the true class. Columns: what the network says.", table, sep="\n")
    else:
        console.print(_worst_confusions(result.confusion, result.classes))
    right, total = int(result.confusion.trace()), int(result.confusion.sum())
    console.print(
        f"\nTest accuracy [bold]{result.test_accuracy:.1%}[/bold] ({right} of {total}) after "
        f"{len(result.metrics)} epochs, {result.seconds:.1f} s; {result.ended}.",
        soft_wrap=True,
    )
    files = ", ".join(sorted(path.name for path in result.folder.iterdir()))
    lines = [f"Run folder    {result.folder}", f"              {files}", "", *_next_steps(result)]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def draw_confusion(confusion: Any, classes: tuple[str, ...]) -> Table:
    """Rows are true classes, columns what the network said; the diagonal is right."""
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    table.add_column("", style="bold", justify="right")
    for name in classes:
        table.add_column(escape(name), justify="right")
    for i, name in enumerate(classes):
        table.add_row(escape(name), *(_cell(int(n), i == j) for j, n in enumerate(confusion[i])))
    return table


def _cell(count: int, right: bool) -> str:
    if not count:
        return "[dim]·[/dim]"
    return f"[green]{count}[/green]" if right else f"[bold red]{count}[/bold red]"


def _worst_confusions(confusion: Any, classes: tuple[str, ...]) -> str:
    from rich.markup import escape

    pairs = [
        (int(n), classes[i], classes[j])
        for i, row in enumerate(confusion)
        for j, n in enumerate(row)
        if i != j and n
    ]
    worst = sorted(pairs, reverse=True)[:MOST_CONFUSIONS]
    lines = [f"{escape(a)} taken for {escape(b)}: {n} times" for n, a, b in worst]
    return "\n".join(["Most frequent confusions", *lines])


def _next_steps(result: Result) -> list[str]:
    folder, data = quote(str(result.folder)), quote(result.config.data)
    if result.interrupted:
        return [f"Interrupted and saved. Go on with: {own_command()} train --resume {folder}"]
    limpid = own_command()
    images = result.config.data == "digits" and result.config.model == "mlp"
    lenet = f"  {limpid} train {data} --model lenet    a convolutional network"
    return [
        "Try next",
        *([lenet] if images else []),
        f"  {limpid} train --resume {folder} --epochs {2 * result.config.epochs}    train on",
        f"  {limpid} train {data} --hidden none    a linear classifier: how much do layers help?",
        f"  {limpid} train {data} --activation tanh --loss hinge --optimizer sgd --lr 0.1",
        f'  {limpid} explain "(x + y) * z" x=-2 y=5 z=-4    every edge of a backward pass',
        f"  {limpid} train --help    all settings; your own data: .npz, .csv, MNIST files",
    ]


def own_command() -> str:
    """How this command line was called: `limpid`, or the path of the script if it is not found."""
    if which("limpid"):
        return "limpid"
    script = Path(sys.argv[0])
    if script.name != "limpid":
        return "limpid"
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)
