"""Tables in text files, .csv: one example in a row, one column the label."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from limpid.data.dataset import Parts
from limpid.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]
Row = tuple[int, list[str]]  # line number, cells
Word = tuple[int, str]  # line number, label

LABEL_NAMES = ("label", "labels", "class", "target", "y")


def read_csv(path: Path, label: str | None = None) -> Parts:
    """Features and labels of a table separated by commas, semicolons or tabs.

    A first row that isn't made of numbers names the columns. The label is the column of that name
    or number (counted from 1); by default the one called label, class, target or y, else the last.
    Labels are class numbers or words. DataError names the row and the column.
    """
    rows = _rows(path)
    head = [row for _, row in zip(range(2), rows)]
    if not head:
        raise DataError(f"{path}: empty")
    names = _header(head)
    if names is not None:
        head = head[1:]
    width = len(names or head[0][1])
    if not head or width < 2:
        raise DataError(f"{path}: {'one column only' if head else 'a header but no rows'}")
    columns = names or [str(i + 1) for i in range(width)]
    column = _label_column(path, columns, names is not None, label)
    x, words = _read_cells(path, chain(head, rows), columns, column)
    y, classes = _classes(path, words, columns[column])
    return Parts(x.astype(np.uint8) if _are_bytes(x) else x, y, classes=classes)


def _rows(path: Path) -> Iterator[Row]:
    """The rows that are not blank, with their line numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=delimiter)
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path}: row {reader.line_num}: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _header(head: list[Row]) -> list[str] | None:
    """The names of the columns, if the first row is one of words above numbers or of words only."""
    first = head[0][1]
    if not any(_is_number(cell) for cell in first):
        return [cell.strip() for cell in first]
    below = head[1][1] if len(head) > 1 else []
    if any(_is_number(b) and not _is_number(a) and a.strip() for a, b in zip(first, below)):
        return [cell.strip() for cell in first]
    return None


def _label_column(path: Path, columns: list[str], named: bool, label: str | None) -> int:
    if label is None:
        lowered = [name.lower() for name in columns]
        usual = [lowered.index(name) for name in LABEL_NAMES if name in lowered]
        return usual[0] if usual else len(columns) - 1
    if named and label in columns:
        return columns.index(label)
    if label.isdecimal() and 1 <= int(label) <= len(columns):
        return int(label) - 1
    shown = ", ".join(columns[:6]) + (", …" if len(columns) > 6 else "")
    known = f"they are {shown}" if named else f"they are numbered 1 to {len(columns)}"
    raise DataError(f"{path}: no column {label!r} for the label; {known}")


def _read_cells(
    path: Path, rows: Iterator[Row], columns: list[str], label: int
) -> tuple[Array, list[Word]]:
    numbers, words = array("d"), []
    for line, cells in rows:
        if len(cells) != len(columns):
            raise DataError(f"{path}: row {line} has {len(cells)} cells, not {len(columns)}")
        words.append((line, cells[label].strip()))
        cells[label] = "0"
        try:
            values = array("d", map(float, cells))
        except ValueError:
            raise _bad_cell(path, line, cells, columns) from None
        if not all(map(math.isfinite, values)):
            raise _bad_cell(path, line, cells, columns)
        del values[label]
        numbers.extend(values)
    return np.frombuffer(numbers, np.float64).reshape(len(words), -1), words


def _bad_cell(path: Path, line: int, cells: list[str], columns: list[str]) -> DataError:
    """The error for the first cell of a row that is no finite number."""
    i = [_is_number(cell) and math.isfinite(float(cell)) for cell in cells].index(False)
    shown = repr(cells[i]) if cells[i].strip() else "an empty cell"
    return DataError(f"{path}: row {line}, column {columns[i]}: {shown} is not a number")


def _classes(path: Path, words: list[Word], column: str) -> tuple[Array, tuple[str, ...] | None]:
    """Words become classes in alphabetical order; numbers stay the class numbers they are."""
    if _is_number(words[0][1]):
        return np.array([_class_number(path, word, column) for word in words]), None
    for line, word in words:
        if not word:
            raise DataError(f"{path}: row {line}, column {column}: the label is empty")
    names = sorted({word for _, word in words})
    numbers = {name: i for i, name in enumerate(names)}
    return np.array([numbers[word] for _, word in words]), tuple(names)


def _class_number(path: Path, word: Word, column: str) -> int:
    line, text = word
    if not _is_number(text) or not float(text).is_integer() or float(text) < 0:
        raise DataError(
            f"{path}: row {line}, column {column}: the label {text!r} is no class number 0, 1, 2 …;"
            " if another column holds the label, name it"
        )
    return int(float(text))


def _are_bytes(x: Array) -> bool:
    """Whether all are whole numbers from 0 to 255, as in a table of pixels."""
    return bool(((x >= 0) & (x <= 255) & (x == np.floor(x))).all())
