"""`limpid experiment`: the experiments of the lectures, each by one command."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from limpid.errors import ArgumentError

if TYPE_CHECKING:
    from limpid.diagnosis.experiments.result import Experiment

NAMES = ("depth", "batch", "rate", "shift")


def experiment(
    name: Annotated[str, typer.Argument(help=f"[bold]{', '.join(NAMES)}[/bold]")],
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A picture: .svg, .png, .pdf; or .json, .html."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="A page with picture and table.")] = None,
    dark: Annotated[
        bool,
        typer.Option("--dark", help="Light on dark; .html and .svg follow the reader's setting."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print all numbers as JSON.")] = False,
) -> None:
    r"""Make an experiment on the built-in digits and say what it shows.

    [bold]depth[/bold]: the gradient at the first layer against depth, 2 to 100 layers, for sigmoid,
    tanh, ReLU and ELU, and for several initialisations.

    [bold]batch[/bold]: stochastic, mini-batch and full-batch descent: loss against updates and
    against time.

    [bold]rate[/bold]: the loss after some epochs against the learning rate, and where it diverges.

    [bold]shift[/bold]: how much features change when an image moves a little, with and without
    max-pooling.

    limpid experiment depth -o depth.png

    limpid experiment rate --seed 3 --html rate.html

    Pictures and pages need matplotlib: pip install 'limpid\[pictures]'.
    """
    if name not in NAMES:
        raise ArgumentError(f"no experiment named {name!r}; there are {', '.join(NAMES)}")
    if html is not None and html.suffix.lower() != ".html":
        raise ArgumentError(f"--html takes a file that ends with .html, not {html}")
    from limpid.diagnosis.experiments import EXPERIMENTS

    found = EXPERIMENTS[name](seed=seed)
    written = [found.save(path, dark=dark) for path in (output, html) if path is not None]
    if json:
        typer.echo(json_format.dumps(found.data))
    else:
        _show(found)
    for path in written:
        typer.echo(f"wrote {path}", err=True)


def _show(found: Experiment) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for number, heading in enumerate(found.table.headings):
        cells = [str(row[number]) for row in found.table.rows]
        narrow = max(map(len, (*cells, *heading.split())))
        is_name = isinstance(found.table.rows[0][number], str) and not number
        table.add_column(fill(heading, narrow), justify="left" if is_name else "right")
    for row in found.table.rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console(highlight=False)
    console.print(Text(found.title, style="bold"))
    console.print(table)
    console.print(Text(found.sentence))
