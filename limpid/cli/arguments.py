"""Options that take several values: `--hidden 128 64`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from limpid.errors import ArgumentError

LISTS = ("--hidden",)  # the options that take any number of whole numbers
NOTHING = "none"


class CommandWithLists(TyperCommand):
    """A command that joins the values of such options before they are parsed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as always, after `--hidden 128 64` has become `--hidden=128,64`."""
        return super().parse_args(ctx, join_lists(args))


def join_lists(arguments: list[str]) -> list[str]:
    """The arguments with the numbers after a list option joined to it.

    >>> join_lists(["--hidden", "128", "64", "--lr", "0.1"])
    ['--hidden=128,64', '--lr', '0.1']
    """
    joined: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*joined, argument, *rest]
        if argument in LISTS:
            values = []
            while rest and _is_value(rest[0]):
                values.append(rest.pop(0))
            argument = f"{argument}={','.join(values) or NOTHING}"
        joined.append(argument)
    return joined


def _is_value(argument: str) -> bool:
    return argument == NOTHING or all(map(_is_number, argument.split(",")))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def parse_list(name: str, text: str) -> tuple[int, ...]:
    """The whole numbers in `128,64`; none at all in `none`.

    >>> parse_list("--hidden", "128,64")
    (128, 64)
    """
    try:
        return () if text == NOTHING else tuple(int(part) for part in text.split(",") if part)
    except ValueError:
        raise ArgumentError(f"{name} takes whole numbers such as 128 64, not {text!r}") from None
