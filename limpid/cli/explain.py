"""`limpid explain`: every edge of the backward pass of an expression or of a program."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from limpid.cli.programs import find_output, leaves_named
from limpid.explanation import explain as explain_tensor
from limpid.explanation.expression import allowed_functions

FUNCTIONS = ", ".join(allowed_functions())


def explain(
    expression: Annotated[
        str,
        typer.Argument(
            help='What to differentiate, such as "(x + y) * z" or "sum((W @ x)**2)"; or '
            "FILE.py:NAME, a tensor or a function that makes one.",
        ),
    ],
    values: Annotated[
        list[str] | None,
        typer.Argument(
            help="A number or a list for each name: x=-2 W=[[0.1,0.5],[-0.3,0.8]].",
            metavar="NAME=VALUE ...",
        ),
    ] = None,
    wrt: Annotated[
        list[str] | None,
        typer.Option(help="Only edges on the ways to this parameter or value; may come again."),
    ] = None,
    module: Annotated[
        str | None, typer.Option(help="Only edges of this module, such as blocks.3.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(help="Only edges so many steps behind the output at most.")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(help="Only edges that bring this share of a gradient at least, as 0.01."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page that opens without network.", metavar="FILE")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Show every edge of the backward pass: upstream × local = downstream.

    Each edge has its numbers, its rule, the form of its Jacobian and how its gate behaves: add
    distributes, multiply swaps and multiplies, max routes, fan-out adds.

    limpid explain "(x + y) * z" x=-2 y=5 z=-4

    limpid explain "sum((W @ x)**2)" "W=[[0.1,0.5],[-0.3,0.8]]" "x=[0.2,0.4]" --wrt W

    limpid explain train.py:loss --wrt fc1.weight --html gradient.html

    An expression that begins with a minus comes after --, as in: limpid explain -- "-x * y" x=1 y=2
    """
    output = find_output(expression, values or [])
    record = explain_tensor(output, wrt=leaves_named(output, wrt or []) or None)
    record = record.only(module, depth, share)
    if html is not None:
        html.write_text(record.html(), encoding="utf-8")
        typer.echo(f"wrote {html}", err=True)
    elif latex:
        typer.echo(record.latex())
    else:
        typer.echo(json_format.dumps(record.to_json(), indent=2) if json else str(record))


explain.__doc__ = f"{explain.__doc__}\n\n    Functions: {FUNCTIONS}.\n"
