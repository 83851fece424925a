"""`limpid explain`: every edge of the backward pass of an expression."""

from __future__ import annotations

import json as json_format
from typing import Annotated

import typer

from limpid.errors import ArgumentError
from limpid.explanation import explain as explain_tensor
from limpid.explanation.expression import allowed_functions, evaluate_expression, parse_value

FUNCTIONS = ", ".join(allowed_functions())


def explain(
    expression: Annotated[
        str,
        typer.Argument(help='What to differentiate, such as "(x + y) * z" or "sum((W @ x)**2)".'),
    ],
    values: Annotated[
        list[str] | None,
        typer.Argument(
            help="A number or a list for each name: x=-2 W=[[0.1,0.5],[-0.3,0.8]].",
            metavar="NAME=VALUE ...",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Show every edge of the backward pass: upstream × local = downstream.

    Each edge has its numbers, its rule, the form of its Jacobian and how its gate behaves: add
    distributes, multiply swaps and multiplies, max routes, fan-out adds.

    limpid explain "(x + y) * z" x=-2 y=5 z=-4

    limpid explain "sum((W @ x)**2)" "W=[[0.1,0.5],[-0.3,0.8]]" "x=[0.2,0.4]"

    An expression that begins with a minus comes after --, as in: limpid explain -- "-x * y" x=1 y=2
    """
    given = dict(parse_value(text) for text in values or [])
    if len(given) < len(values or []):
        raise ArgumentError("a name was given twice")
    output = evaluate_expression(expression, given)
    if output.size != 1:
        raise ArgumentError(
            f"{expression!r} has shape {output.shape}; a gradient starts from a single number: "
            f"put sum(…), mean(…) or max(…) around it"
        )
    record = explain_tensor(output)
    typer.echo(json_format.dumps(record.to_json(), indent=2) if json else str(record))


explain.__doc__ = f"{explain.__doc__}\n\n    Functions: {FUNCTIONS}.\n"
