"""Compiled objects on disk, found by the hash of what they were compiled from.

An entry is a digest of its content, then the content: a damaged one is taken for none. Files are
written beside their place and renamed, so several processes can share the folder. It is used only
if it belongs to this user and nobody else may write to it, since what is in it is run.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

FOLDER = "LIMPID_CACHE"  # a folder; empty for no cache
LARGEST = 256 << 20  # bytes of all entries
UNSEEN = 64  # this part of them may be written before the folder is looked through again
DIGEST = hashlib.sha256().digest_size

_unseen: dict[Path, int] = {}  # bytes written to a folder since this process looked through it


def cache_folder() -> Path | None:
    """Where compiled objects are kept; None if the user wants none."""
    given = os.environ.get(FOLDER)
    if given is not None:
        return Path(given) if given else None
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "limpid"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "limpid"


def key(*parts: str) -> str:
    """The name of an entry, from all that its content depends on."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode())
        found.update(b"\0")
    return found.hexdigest()


def read(name: str) -> bytes | None:
    """The content of an entry; None if there is none that can be trusted."""
    folder = _trusted(create=False)
    if folder is None:
        return None
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, content = data[:DIGEST], data[DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        with suppress(OSError):
            path.unlink()
        return None
    with suppress(OSError):
        os.utime(path)  # the entries not used for longest go first
    return content


def write(name: str, content: bytes) -> None:
    """Keep an entry. A cache that can't be written to is no error."""
    folder = _trusted(create=True)
    if folder is None:
        return
    import tempfile  # which brings in much, for what is done once for a processor

    with suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(temporary, folder / name)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
        _shrink_now_and_then(folder, len(content))


def entries() -> list[Path]:
    """The entries, those used longest ago first."""
    folder = _trusted(create=False)
    if folder is None:
        return []
    found = []
    for path in folder.iterdir():
        with suppress(OSError):  # another process may remove it
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found)]


def measured() -> list[tuple[float, int]]:
    """For each entry, when it was last used (seconds since 1970) and its bytes."""
    found = []
    for path in entries():
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size))
    return found


def size() -> int:
    """The bytes of all entries."""
    return sum(size for _, size in measured())


def is_trusted() -> bool:
    """Whether there is a folder that may be used."""
    return _trusted(create=False) is not None


def clear() -> int:
    """Remove all entries; how many there were."""
    found = entries()
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _shrink_now_and_then(folder: Path, written: int) -> None:
    """Shrink after the first write and then after many: looking at all entries takes time."""
    _unseen[folder] = _unseen.get(folder, LARGEST) + written
    if _unseen[folder] > LARGEST // UNSEEN:
        _unseen[folder] = 0
        _shrink(folder)


def _shrink(folder: Path) -> None:
    """Remove what was not used for longest, until the rest is small enough."""
    excess = size() - LARGEST
    for path in entries():
        if excess <= 0:
            return
        excess -= path.stat().st_size
        path.unlink(missing_ok=True)


def _trusted(create: bool) -> Path | None:
    """The folder, if it is this user's and nobody else may write to it."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        if create:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None
    if hasattr(os, "getuid"):
        others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if status.st_uid != os.getuid() or others:
            return None
    return folder
