"""Checkpoints: one safetensors file, whole or not there at all.

Any safetensors reader opens it; the parameters are under `model.`.
"""

from __future__ import annotations

import os
from typing import Any

from limpid.files.state import read_state, write_state

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
    write_state(path, state, FORMAT)


def load_checkpoint(path: str | os.PathLike[str]) -> Any:
    """The state in a checkpoint file. Raises RunError if it is missing, damaged or not ours."""
    return read_state(path, FORMAT)
