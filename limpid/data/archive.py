"""NumPy archives, .npz."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from limpid.data.dataset import Parts
from limpid.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

INPUTS, LABELS = ("x", "images", "data"), ("y", "labels", "label", "target")
TRAIN, TEST = ("", "_train", "train_"), ("_test", "test_")


def read_npz(path: Path) -> Parts:
    """Arrays x and y, or x_train, y_train, x_test and y_test; `images` and `labels` will do, too.

    Capitals don't matter. DataError if the file is damaged or lacks one of them.
    """
    try:
        if not zipfile.is_zipfile(path):
            path.read_bytes()  # a file that can't be read says so
            raise zipfile.BadZipFile("no zip file")
        with np.load(path, allow_pickle=False) as file:
            return _find_parts(path, {name.lower(): name for name in file.files}, file)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: damaged or truncated .npz file: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: {str(error).splitlines()[0]}") from None


def _find_parts(path: Path, names: dict[str, str], file: Any) -> Parts:
    x, y = _name(names, INPUTS, TRAIN), _name(names, LABELS, TRAIN)
    if x is None or y is None:
        held = ", ".join(names.values()) or "nothing"
        raise DataError(f"{path}: needs x and y, or x_train and y_train; it holds {held}")
    x_test, y_test = _name(names, INPUTS, TEST), _name(names, LABELS, TEST)
    if (x_test is None) != (y_test is None):
        raise DataError(f"{path}: holds {x_test or y_test} but not its other half")
    if x_test is None or y_test is None:
        return Parts(file[x], file[y])
    return Parts(file[x], file[y], file[x_test], file[y_test])


def _name(names: dict[str, str], stems: Iterable[str], affixes: Iterable[str]) -> str | None:
    """The first array called by a stem and an affix: x, x_train, train_x …"""
    spellings = [a + s if a.endswith("_") else s + a for s in stems for a in affixes]
    return next((names[s] for s in spellings if s in names), None)
