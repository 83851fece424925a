"""Nested state in one safetensors file.

The file holds arrays by name and, in its metadata, JSON for everything else and a checksum over
both. Any safetensors reader opens it.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

from limpid.errors import RunError
from limpid.files.durable import write_durably
from limpid.files.packing import Arrays, pack, unpack


def write_state(path: str | os.PathLike[str], state: Any, kind: str) -> None:
    """Write nested state (dicts, lists, numbers, strings, arrays, tensors) to one file.

    `kind` says what it is: "limpid checkpoint 1". Raises RunError if the disk is full; the old file
    stays.
    """
    from safetensors.numpy import save

    arrays, packed = pack(state)
    text = json.dumps(packed)
    metadata = {"format": kind, "state": text, "checksum": _checksum(arrays, text)}
    write_durably(Path(path), save(arrays, metadata))


def read_state(path: str | os.PathLike[str], kind: str) -> Any:
    """The state in a file. Raises RunError if it is missing, damaged or of another kind."""
    from safetensors import SafetensorError, safe_open

    what = kind.split()[1]
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise RunError(f"{path}: no such {what}") from None
    except (SafetensorError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: damaged, or no {what}: {reason}") from None
    if metadata.get("format") != kind:
        found = metadata.get("format", "no format named")
        raise RunError(f"{path}: not a {what} that this version reads ({found})")
    text = metadata.get("state", "")
    if metadata.get("checksum") != _checksum(arrays, text):
        raise RunError(f"{path}: damaged: its contents don't match their checksum")
    return unpack(arrays, json.loads(text))


def _checksum(arrays: Arrays, text: str) -> str:
    total = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        total = zlib.crc32(f"{name}{array.dtype}{array.shape}".encode(), total)
        total = zlib.crc32(array.reshape(-1).view("u1").data, total)
    return f"{total:08x}"
