"""Checkpoints: one safetensors file, whole or not there at all.

The file holds arrays by name and, in its metadata, JSON for everything else and a checksum over
both. Any safetensors reader opens it; the parameters are under `model.`.
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from limpid.errors import RunError
from limpid.training.packing import Arrays, pack, unpack

FORMAT = "limpid checkpoint 1"


def save_checkpoint(path: str | os.PathLike[str], state: Any) -> None:
    """Write nested state (dicts, lists, numbers, strings, arrays, tensors) to one file.

    At every moment the path names the old file or the new one, each complete, even if the process
    is killed or the power fails. Raises RunError if the disk is full; the old file stays.

    >>> import numpy as np, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "checkpoint.safetensors")
    ...     save_checkpoint(path, {"epoch": 3, "model": {"w": np.ones(2)}})
    ...     load_checkpoint(path)
    {'epoch': 3, 'model': {'w': array([1., 1.])}}
    """
    from safetensors.numpy import save

    arrays, packed = pack(state)
    text = json.dumps(packed)
    metadata = {"format": FORMAT, "state": text, "checksum": _checksum(arrays, text)}
    write_durably(Path(path), save(arrays, metadata))


def load_checkpoint(path: str | os.PathLike[str]) -> Any:
    """The state in a checkpoint file. Raises RunError if it is missing, damaged or not ours."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise RunError(f"{path}: no such checkpoint") from None
    except (SafetensorError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: damaged, or no checkpoint: {reason}") from None
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "no format named")
        raise RunError(f"{path}: not a checkpoint that this version reads ({found})")
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
