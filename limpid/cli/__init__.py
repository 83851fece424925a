"""The command line `limpid`: one file for each command."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit status: 0, 1 for errors, 2 for a wrong call, 130 for Ctrl-C.

    Errors are one line on stderr. `arguments` are those of the process by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:  # asked by scripts: no need to load anything
        return show_version()
    from limpid.cli.application import run

    return run(given)


def show_version() -> int:
    """Print name and version."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(f"limpid {version('limpid')}")
    except PackageNotFoundError:  # run from a source folder that was not installed
        print("limpid (not installed)")
    return 0
