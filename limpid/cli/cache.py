"""`limpid cache`: compiled objects on disk."""

from __future__ import annotations

import json as json_format
import time
from typing import Annotated, Any

import typer

from limpid.compiler.steps.reports.figures import size_text

TIMES = (("days", 86400), ("hours", 3600), ("minutes", 60))


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all entries.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show where compiled code is kept on disk, how much there is, and when it was last used.

    What has been compiled for this processor once is read from there, by every process. Removing
    it is always safe: it is compiled again when it is needed. When the folder is full, what was not
    used for longest goes first.

    The folder is that of the environment variable LIMPID_CACHE, where it is set; there is none if
    it is empty. It is used only if it is yours and nobody else may write to it.

    limpid cache

    limpid cache --clear
    """
    from limpid.compiler.machine import cache as kept

    removed = kept.clear() if clear else None
    found = _look(kept)
    if removed is not None:
        found["removed"] = removed
    typer.echo(json_format.dumps(found, indent=2) if json else "\n".join(_told(found)))


def _look(kept: Any) -> dict[str, Any]:
    """What there is; ages are seconds since an entry was last used."""
    folder = kept.cache_folder()
    entries = kept.measured()
    ages = sorted(max(0.0, time.time() - used) for used, _ in entries)
    return {
        "folder": None if folder is None else str(folder),
        "trusted": kept.is_trusted() if folder is not None and folder.exists() else None,
        "entries": len(entries),
        "bytes": sum(size for _, size in entries),
        "most_bytes": kept.LARGEST,
        "youngest_seconds": ages[0] if ages else None,
        "oldest_seconds": ages[-1] if ages else None,
    }


def _told(found: dict[str, Any]) -> list[str]:
    """The same for people."""
    folder = found["folder"]
    if folder is None:
        return ["Nothing is kept on disk: LIMPID_CACHE is empty."]
    lines = [f"Folder   {folder}"]
    if "removed" in found:
        lines.append(f"Removed  {found['removed']}")
    if found["trusted"] is False:
        lines.append("It is not used: it must be a folder of yours that nobody else may write to.")
        return lines
    lines.append(
        f"Entries  {found['entries']}, {size_text(found['bytes'])} of at most "
        f"{size_text(found['most_bytes'])}"
    )
    if found["entries"]:
        youngest, oldest = _age(found["youngest_seconds"]), _age(found["oldest_seconds"])
        lines.append(f"Used     between {oldest} and {youngest}")
    return lines


def _age(seconds: float) -> str:
    """How long ago something was.

    >>> _age(30.0), _age(7300.0)
    ('a moment ago', '2 hours ago')
    """
    for unit, size in TIMES:
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {unit if number > 1 else unit[:-1]} ago"
    return "a moment ago"
