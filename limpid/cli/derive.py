"""`limpid derive`: the derivation of gradients, equation by equation."""

from __future__ import annotations

import json as json_format
from typing import Annotated

import typer

from limpid.cli.programs import find_output, leaves_named
from limpid.explanation import derive as derive_tensor


def derive(
    expression: Annotated[
        str,
        typer.Argument(
            help='What to differentiate, such as "sum((W @ x)**2)"; or FILE.py:NAME, a tensor or '
            "a function that makes one.",
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
        typer.Option(help="Only the gradient of this parameter or value; may come again."),
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    shapes: Annotated[
        bool, typer.Option("--shapes", help="With its shape under every name.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the equations as JSON.")] = False,
) -> None:
    """Derive gradients as one does on a board: in matrices, from the output back.

    Equations are NumPy text that can be run, or LaTeX. The cost of forward and of reverse mode
    stands below.

    limpid derive "sum((W @ x)**2)" "W=[[0.1,0.5],[-0.3,0.8]]" "x=[0.2,0.4]" --wrt W

    limpid derive train.py:loss --wrt fc1.weight --latex
    """
    output = find_output(expression, values or [])
    derivation = derive_tensor(output, leaves_named(output, wrt or []) or None)
    if json:
        typer.echo(json_format.dumps(derivation.to_json(), indent=2))
    elif latex:
        typer.echo(derivation.latex(shapes))
    else:
        typer.echo(f"{derivation.text(shapes)}\n\n{derivation.orders}")
