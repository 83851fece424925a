"""`limpid warp`: how each layer of a network bends the plane, moving as it trains."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer

from limpid.cli.arguments import parse_list


def warp(
    data: Annotated[
        str,
        typer.Argument(
            help="[bold]spirals, moons, circles[/bold] or [bold]xor[/bold]; or FILE.csv with two "
            "columns of numbers and a label.",
        ),
    ] = "spirals",
    hidden: Annotated[
        str | None,
        typer.Option(
            help="Widths of the hidden layers; none for none. Those of 2 are drawn whole, wider "
            "ones by their first two principal components.",
            metavar="N ...",
            show_default="2 2 2 2; moons: 2 2 2; circles, xor: 3",
        ),
    ] = None,
    activation: Annotated[
        str, typer.Option(help="After each hidden layer: tanh, relu, sigmoid, elu …")
    ] = "tanh",
    epochs: Annotated[int, typer.Option(help="How often every point is used.")] = 500,
    lr: Annotated[float, typer.Option(help="Learning rate, of Adam.")] = 0.03,
    seed: Annotated[int, typer.Option(help="Decides points, first weights and order.")] = 0,
    points: Annotated[
        int | None, typer.Option(help="How many points to make.", show_default="200")
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            help="The deviation of what is added to their places.",
            show_default="spirals 0.02, moons 0.1, circles and xor 0.05",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="The label's column in a .csv: its name or number.",
            show_default="label, class, y or the last",
        ),
    ] = None,
    frames: Annotated[int, typer.Option(help="Moments of the animation.")] = 48,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The file to write: .html plays in a browser; .gif .apng move; .svg .png .pdf "
            "show the end; .json has the numbers.",
            metavar="FILE",
        ),
    ] = Path("warp.html"),
    dark: Annotated[
        bool,
        typer.Option("--dark", help="Light on dark; .html and .svg follow the reader's setting."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what came out as JSON.")] = False,
) -> None:
    r"""Show what each layer of a network does to the plane until a line separates the classes.

    Points and grid lines before the network and after each linear map and activation, the lines
    where units are zero, the decision boundary.

    limpid warp spirals

    limpid warp circles --hidden 2 -o circles.html

    limpid warp moons --activation relu --hidden 8 2 -o moons.gif

    limpid warp measurements.csv --label species -o measurements.png

    Pages need nothing else; pictures need matplotlib: pip install 'limpid\[pictures]'.
    """
    from limpid.diagnosis.warp import warp as make

    widths = None if hidden is None else parse_list("--hidden", hidden)
    moments = 1 if output.suffix.lower() in (".svg", ".png", ".pdf") else frames
    found = make(
        data, widths, activation=activation, epochs=epochs, lr=lr, seed=seed, frames=moments,
        n=points, noise=noise, label=label,
    )  # fmt: skip
    found.save(output, dark=dark)
    if json:
        typer.echo(json_format.dumps(_told(found, output)))
    else:
        typer.echo(f"{found.sentence}\nwrote {output}: {found!r}", err=True)


def _told(found: Any, output: Path) -> dict[str, Any]:
    last = found.frames[-1]
    return {
        "file": str(output), "title": found.title, "sentence": found.sentence, "epochs": last.epoch,
        "loss": last.loss, "accuracy": last.accuracy, "regions": last.regions,
        "panels": [view.stage.title for view in found.views], "moments": len(found.frames),
    }  # fmt: skip
