"""Files that are replaced as a whole: the old one or the new one, at every moment."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from limpid.errors import RunError


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file by new content: a file beside it, synced, renamed, the folder synced.

    Raises RunError if that fails; the old file stays as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
        _sync_folder(path.parent)
    except OSError as error:
        kept = "; the file from before is intact" if path.exists() else ""
        raise RunError(f"{path} could not be written: {error.strerror}{kept}") from None


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # folders can't be opened there; the rename is as durable as the system makes it
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial_files(folder: Path) -> None:
    """Take away what killed writers left."""
    for left in folder.glob(".*.partial"):
        with suppress(OSError):
            left.unlink()
