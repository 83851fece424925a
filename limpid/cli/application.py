"""The commands put together, and how their errors are shown."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from inspect import cleandoc
from typing import Annotated, Any

import typer

from limpid.cli import show_version
from limpid.cli.arguments import CommandWithLists
from limpid.errors import LimpidError

# limpid/cli/<name>.py defines the function <name>, whose signature and docstring are the help
COMMANDS = (
    "train", "summary", "explain", "derive", "draw", "debug", "grade", "warp", "experiment",
    "doctor", "cache",
)  # fmt: skip

HELP = """Backpropagation you can see through, at native speed.

Begin with [bold]limpid train digits[/bold]: a network learns handwritten digits in seconds.
"""


def application() -> typer.Typer:
    """All commands under one roof."""
    app = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_options)
    for name in COMMANDS:
        command = getattr(import_module(f"limpid.cli.{name}"), name)
        app.command(name, cls=CommandWithLists, help=_joined(command.__doc__))(command)
    return app


def _joined(text: str) -> str:
    """Each paragraph as one line, since the terminal breaks it anew."""
    paragraphs = cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        raise typer.Exit(show_version())


def run(arguments: list[str]) -> int:
    """Run one command; every expected error becomes one line and an exit status."""
    try:
        status = application()(arguments, prog_name="limpid", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except LimpidError as error:
        return _fail(str(error), 1)
    except MemoryError as error:
        return _fail(f"not enough memory: {error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"{error.filename or 'the system'}: {error.strerror}", 1)
    except Exception as error:
        if not hasattr(error, "format_message"):  # a wrong call, as typer reports it
            raise
        return _fail(_usage(error), 2)


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "limpid"
    return f"{error.format_message()} ({path} --help explains)" if str(error) else ""


def _fail(message: str, status: int) -> int:
    line = " ".join(message.split())
    if line:
        print(f"limpid: {line}", file=sys.stderr)
    return status
