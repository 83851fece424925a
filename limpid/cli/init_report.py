"""`--init-report`: how initialisations carry signals and gradients, before training."""

from __future__ import annotations

import json as json_format
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from limpid.cli.models import BUILDERS, find_model, take_apart, told
from limpid.cli.summary import parse_input
from limpid.errors import ArgumentError

if TYPE_CHECKING:
    from rich.table import Table

    from limpid.diagnosis import InitialReport

BATCH = 4  # examples that a model is run on
INTEGERS = 2  # random integers are below this: every table that is looked up has as many rows


def report_initialisation(
    model: str, input: list[str] | None = None, json: bool = False, seed: int = 0
) -> None:
    """Compare initialisations of a model, on normal inputs, and print what is found.

    model  the name of a builder, or FILE.py:NAME; or `mlp`, for networks of 20 layers with each
           of the usual activations
    input  shapes without the batch, as `limpid summary --input` takes them
    """
    found = compare(model, input or [], seed)
    if json:
        typer.echo(json_format.dumps(found.to_json(), indent=2))
        return
    print_report(found)


def compare(model: str, input: list[str], seed: int) -> InitialReport:
    """The report for a model that a person names. Raises ArgumentError for what is wrong."""
    from limpid.diagnosis import initial_report

    if model == "mlp":
        if input:
            raise ArgumentError("--input: the networks of mlp have inputs of their own")
        return initial_report(seed=seed)
    file, _ = take_apart(model)
    if not input and model not in BUILDERS:
        raise ArgumentError("the shape of an input is needed: --input 3,32,32, without the batch")
    given = [parse_input(text) for text in input] or [(BUILDERS[model][1], None)]
    net = find_model(model, [shape for shape, _ in given])
    random = np.random.default_rng(seed)
    batch = tuple(_draw(random, shape, dtype) for shape, dtype in given)
    with told(model, file or model):
        return initial_report(net, batch, seed=seed)


def _draw(random: np.random.Generator, shape: tuple[int, ...], dtype: str | None) -> Any:
    """Normal numbers, or small integers."""
    try:
        wanted = np.dtype(dtype or "float32")
    except TypeError:
        raise ArgumentError(f"--input: {dtype!r:.40} is no type such as int64") from None
    if wanted.kind in "iu":
        return random.integers(0, INTEGERS, (BATCH, *shape)).astype(wanted)
    return random.standard_normal((BATCH, *shape)).astype(wanted)


def print_report(report: InitialReport) -> None:
    """The table and its notes on the terminal."""
    from rich.console import Console

    from limpid.diagnosis.spectrum.initial_table import notes_of

    console = Console(highlight=False)
    table = draw_table(report)
    unlimited = console.options.update(max_width=10_000)
    if console.measure(table, options=unlimited).maximum > console.width:
        console.print(str(report), markup=False, soft_wrap=True)
        return
    first, *rest = notes_of(report)
    console.print(first, markup=False)
    console.print(table)
    console.print("\n".join(rest), markup=False, soft_wrap=True)


def draw_table(report: InitialReport) -> Table:
    """The starts; the nearest to keeping sizes of each activation is bold. Names are text."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from limpid.diagnosis.spectrum.initial_table import HEAD, rows_of

    best = {(name, report.best(name).initialisation) for name in report.activations}
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True)
    for n, head in enumerate(HEAD):
        table.add_column(Text(head), justify="left" if n < 2 else "right")
    for row in rows_of(report):
        style = "bold" if row[:2] in best else ""
        table.add_row(*(Text(cell) for cell in row), style=style)
    return table
