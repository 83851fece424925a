"""`limpid debug`: go through an expression or a function of a file, forward and backward."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from limpid.cli.programs import find_output
from limpid.explanation.stepping.debugger import debugger_of
from limpid.explanation.stepping.snapshots import watching
from limpid.explanation.stepping.terminal import Terminal


def debug(
    what: Annotated[
        str,
        typer.Argument(
            help='An expression such as "(x + y) * z"; or FILE.py:NAME, a tensor or a function '
            "that makes one.",
            metavar="EXPRESSION|FILE.py:NAME",
        ),
    ],
    values: Annotated[
        list[str] | None,
        typer.Argument(
            help="A number or a list for each name: x=-2 W=[[0.1,0.5],[-0.3,0.8]].",
            metavar="NAME=VALUE ...",
        ),
    ] = None,
    break_on: Annotated[
        list[str] | None,
        typer.Option("--break", help='Stop where this holds: "nan", "grad norm < 1e-8".'),
    ] = None,
) -> None:
    """Go through the forward and the backward pass step by step, both ways.

    The commands are forward, back, until, where, run, break, sums … `help` lists them. They are
    read from the terminal, or from a pipe.

    limpid debug "(x + y) * z" x=-2 y=5 z=-4

    limpid debug MODEL.py:loss
    """
    with watching() as watcher:
        output = find_output(what, values or [])
    debugger = debugger_of(output, watcher)
    for condition in break_on or []:
        debugger.break_on(condition)
    Terminal(debugger, None if sys.stdin.isatty() else sys.stdin).run()
