"""Finding the reader for what a person names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from limpid.data.archive import read_npz
from limpid.data.dataset import Dataset, Parts, build
from limpid.data.digits import read_digits
from limpid.data.idx import read_idx_folder, read_idx_pair
from limpid.data.scaling import AUTO
from limpid.data.table import read_csv
from limpid.errors import ArgumentError, DataError

BUILT_IN = {"digits": read_digits}


def load(
    source: str | Path,
    *,
    label: str | None = None,
    scale: str = AUTO,
    test_fraction: float = 0.2,
) -> Dataset:
    """Data by name or path, checked, scaled, with a test part.

    source         "digits", a folder with MNIST-format files, one such images file, an .npz or a
                   .csv file
    label          the label's column in a .csv: its name, or its number counted from 1
    scale          "auto", "unit", "standard" or "none": see limpid.data.scaling
    test_fraction  what to hold out of each class where the files have no test part

    Raises DataError, in one line, for everything that is wrong with the data.

    >>> from limpid.data import load
    >>> load("digits").features
    64
    """
    if label is not None and not str(source).lower().endswith((".csv", ".tsv", ".txt")):
        raise ArgumentError(f"a label column can be chosen in a .csv file, not in {source}")
    if str(source) in BUILT_IN and not Path(source).is_file():
        return build(str(source), BUILT_IN[str(source)](), scale)
    path = Path(source)
    try:
        return build(path.name.split(".")[0], _read(path, label), scale, test_fraction)
    except DataError as error:
        raise error if str(path) in str(error) else _prefixed(path, error) from None


def from_arrays(
    x: Any,
    y: Any,
    x_test: Any = None,
    y_test: Any = None,
    *,
    name: str = "arrays",
    scale: str = AUTO,
    test_fraction: float = 0.2,
) -> Dataset:
    """Data from arrays in memory: inputs (N, …) and classes (N,); options as `load`.

    >>> import numpy as np
    >>> from limpid.data import from_arrays
    >>> len(from_arrays(np.random.rand(20, 3), np.arange(20) % 2).test)
    4
    """
    if (x_test is None) != (y_test is None):
        raise ArgumentError("x_test and y_test belong together")
    given = [None if a is None else np.asarray(a) for a in (x, y, x_test, y_test)]
    return build(name, Parts(*given), scale, test_fraction)  # type: ignore[arg-type]  # x, y are there


def _prefixed(path: Path, error: DataError) -> DataError:
    return DataError(f"{path}: {str(error).removesuffix(f' [{DataError.id}]')}")


def _read(path: Path, label: str | None) -> Parts:
    if path.is_dir():
        return read_idx_folder(path)
    if not path.exists():
        known = ", ".join(BUILT_IN)
        raise DataError(
            f"no data named {str(path)!r}: neither built in ({known}) nor a file or folder"
        )
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return read_npz(path)
    if suffix in (".csv", ".tsv", ".txt"):
        return read_csv(path, label)
    if "idx" in path.name or "ubyte" in path.name:
        return read_idx_pair(path)
    raise DataError(
        f"{path}: of unknown kind; limpid reads .npz, .csv and MNIST-format files "
        "(a folder with train-images-idx3-ubyte …)"
    )


def absolute(source: str | Path) -> str:
    """The source in a form that means the same from any working directory."""
    name = str(source)
    return name if name in BUILT_IN and not Path(name).is_file() else str(Path(name).resolve())
