"""`limpid summary`: a model in numbers, layer by layer."""

from __future__ import annotations

import json as json_format
from typing import Annotated

import typer

from limpid.cli.models import BUILDERS, find_model, take_apart, told
from limpid.errors import ArgumentError

Shape = tuple[int, ...]


def summary(
    model: Annotated[
        str,
        typer.Argument(
            help=f"[bold]{', '.join(BUILDERS)}[/bold], or your own: FILE.py:NAME, where NAME is a "
            "model, or a class or function that makes one.",
            metavar="MODEL",
        ),
    ],
    input: Annotated[
        list[str] | None,
        typer.Option(
            help="The shape of an input without the batch, such as 3,32,32, and its type if it is "
            "no float: 20:int64. Once for each input.",
            metavar="N,N,…",
            show_default="what a shipped model is made for",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Fail where (W - K + 2P)/S + 1 is not a whole number, instead of a note.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Show what each layer makes, holds, computes and sees, for one example.

    Output shapes, parameters, multiply-adds, units, memory of activations in bytes, and the
    receptive field: how many elements of the input an output depends on, how far apart those of
    two neighbours begin (stride), and where those of the first one begin (offset).

    [bold]Examples[/bold]

    limpid summary lenet5

    limpid summary alexnet --input 3,227,227 --json

    limpid summary my_model.py:Net --input 3,32,32 --strict

    limpid summary my_model.py:Tagger --input 20:int64
    """
    from limpid.nn import init
    from limpid.nn.overview.report import summary as summarise

    file, _ = take_apart(model)
    shapes, dtypes = _inputs(model, input or [])
    with init.skip_draws():  # the values of the weights don't matter
        made = find_model(model, shapes)
    with told(model, file or model):
        found = summarise(made, *shapes, dtype=dtypes, strict=strict)
    typer.echo(json_format.dumps(found.to_json(), indent=2) if json else str(found))


def _inputs(model: str, given: list[str]) -> tuple[list[Shape], list[str | None]]:
    """Shapes and types of the inputs."""
    if given:
        shapes, dtypes = zip(*map(parse_input, given), strict=True)
        return list(shapes), list(dtypes)
    if model not in BUILDERS:
        raise ArgumentError("the shape of an input is needed: --input 3,32,32, without the batch")
    return [BUILDERS[model][1]], [None]


def parse_input(text: str) -> tuple[Shape, str | None]:
    """The shape and the type in `20:int64`; None if there is no type.

    >>> parse_input("3,32,32"), parse_input("20:int64")
    (((3, 32, 32), None), ((20,), 'int64'))
    """
    numbers, _, dtype = text.partition(":")
    try:
        shape = tuple(int(part) for part in numbers.split(",") if part.strip())
    except ValueError:
        raise ArgumentError(f"--input takes a shape such as 3,32,32, not {text!r}") from None
    return shape, dtype or None
