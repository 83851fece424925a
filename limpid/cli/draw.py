"""`limpid draw`: a computational graph as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limpid.cli.programs import find_output
from limpid.explanation import draw as draw_tensor


def draw(
    expression: Annotated[
        str,
        typer.Argument(
            help='What to draw, such as "(x + y) * z"; or FILE.py:NAME, a tensor or a function '
            "that makes one.",
        ),
    ],
    values: Annotated[
        list[str] | None,
        typer.Argument(
            help="A number or a list for each name: x=-2 W=[[0.1,0.5],[-0.3,0.8]].",
            metavar="NAME=VALUE ...",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The file to write: .svg, or .html, where modules fold and boxes tell more.",
            metavar="FILE",
        ),
    ] = Path("graph.svg"),
    depth: Annotated[
        int | None,
        typer.Option(
            help="How deep modules and repeated blocks are unfolded: 0 not at all.",
            show_default="as far as it stays at 40 boxes",
            min=0,
        ),
    ] = None,
) -> None:
    r"""Draw a computational graph: values forward, and gradients back by width and colour.

    limpid draw -o g.svg "(x + y) * z" x=-2 y=5 z=-4

    limpid draw train.py:loss -o g.html

    No other program is needed; the library igraph is: pip install 'limpid\[draw]'.
    """
    drawing = draw_tensor(find_output(expression, values or []), depth=depth)
    typer.echo(f"wrote {drawing.save(output)}: {drawing!r}", err=True)
