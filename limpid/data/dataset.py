"""Data to train on: a training and a test part, checked and scaled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from limpid.data.scaling import AUTO, Scaling, fit_scaling
from limpid.data.splitting import split_by_class
from limpid.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Examples:
    """Inputs x (N, …) float32 with their classes y (N,) int64."""

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Dataset:
    """A training and a test part, the names of the classes and how the inputs were scaled.

    `digest` tells whether two datasets hold the same examples, before scaling.
    """

    name: str
    train: Examples
    test: Examples
    classes: tuple[str, ...]
    scaling: Scaling
    digest: str

    @property
    def features(self) -> int:
        """How many numbers one example has."""
        return int(np.prod(self.train.x.shape[1:], dtype=np.int64))


@dataclass(frozen=True)
class Parts:
    """What a reader found in a file: arrays as they are stored, the test part if there is one.

    `classes` are the names of the classes if the file has names; labels then count them.
    """

    x: Array
    y: Array
    x_test: Array | None = None
    y_test: Array | None = None
    classes: tuple[str, ...] | None = None


def build(name: str, parts: Parts, scale: str = AUTO, test_fraction: float = 0.2) -> Dataset:
    """Check what a reader found, hold out a test part if it has none, and scale.

    Raises DataError, in one line, for empty data, mismatched lengths, NaN and infinity, labels
    that are no class numbers, and fewer than two classes.
    """
    parts = replace(parts, x=_checked_inputs(parts.x, "x"), y=_checked_labels(parts.y, "y"))
    _check_lengths(parts.x, parts.y, "examples")
    names = parts.classes or _class_numbers(parts.y)
    if len(names) < 2:
        raise DataError(f"every label is {names[0]}: there is nothing to tell apart")
    first = int(names[0]) if parts.classes is None else 0
    if parts.x_test is None or parts.y_test is None:
        train, test = split_by_class(parts.y, test_fraction)
        parts = replace(
            parts, x=parts.x[train], y=parts.y[train], x_test=parts.x[test], y_test=parts.y[test]
        )
    else:
        parts = _checked_test_part(parts, names, first)
    assert parts.x_test is not None
    assert parts.y_test is not None
    scaling = fit_scaling(scale, parts.x)
    return Dataset(
        name,
        Examples(scaling.apply(parts.x), parts.y - first),
        Examples(scaling.apply(parts.x_test), parts.y_test - first),
        names,
        scaling,
        _digest(parts.x, parts.y, parts.x_test, parts.y_test),
    )


def _digest(*arrays: Array) -> str:
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.shape}{array.dtype}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()[:16]


def _checked_inputs(x: Array, name: str) -> Array:
    if x.dtype.kind not in "buif":
        raise DataError(f"{name} holds {x.dtype}, not numbers")
    if x.ndim < 2:
        raise DataError(f"{name} has shape {x.shape}; it must be (examples, features …)")
    if not x.size:
        raise DataError(f"{name} is empty: shape {x.shape}")
    if x.dtype.kind == "f":
        _check_finite(x, name)
    return x


def _check_finite(x: Array, name: str) -> None:
    fits = np.abs(x) <= np.finfo(np.float32).max  # false for NaN, too
    if not fits.all():
        place = tuple(int(i) for i in np.argwhere(~fits)[0])
        value = x[place]
        what = "is too large for float32" if np.isfinite(value) else "is not a number to train on"
        spot = f"row {place[0]}, column {', '.join(map(str, place[1:]))}, counted from 0"
        raise DataError(f"{name} holds {value} at {spot}: it {what}")


def _checked_labels(y: Array, name: str) -> Array:
    if y.ndim != 1:
        remedy = f"; for one-hot labels store {name}.argmax(axis=1)" if y.ndim == 2 else ""
        raise DataError(f"{name} has shape {y.shape}; labels are one number each{remedy}")
    if y.dtype.kind not in "buif":
        raise DataError(f"{name} holds {y.dtype}; labels are whole numbers")
    with np.errstate(invalid="ignore"):
        whole = y.astype(np.int64)
    if (whole != y).any():
        row = int(np.argmax(whole != y))
        raise DataError(f"{name}[{row}] is {y[row]}: labels are whole numbers, the classes")
    if (whole < 0).any():
        row = int(np.argmax(whole < 0))
        raise DataError(f"{name}[{row}] is {y[row]}, out of range: classes count from 0")
    return whole


def _check_lengths(x: Array, y: Array, what: str) -> None:
    if len(x) != len(y):
        raise DataError(f"{len(x)} {what} but {len(y)} labels; there must be one for each")


def _class_numbers(y: Array) -> tuple[str, ...]:
    """The class numbers from the least to the greatest label; each must occur."""
    found = np.unique(y)
    first, last = int(found[0]), int(found[-1])
    if len(found) <= last - first:
        gap = int(np.argmax(np.diff(found) > 1))
        row = int(np.argmax(y == found[gap + 1]))
        raise DataError(
            f"y[{row}] is {found[gap + 1]}, out of range: no label is "
            f"{found[gap] + 1}; classes are numbered without gaps"
        )
    return tuple(str(n) for n in range(first, last + 1))


def _checked_test_part(parts: Parts, names: tuple[str, ...], first: int) -> Parts:
    assert parts.x_test is not None
    assert parts.y_test is not None
    x, y = _checked_inputs(parts.x_test, "x_test"), _checked_labels(parts.y_test, "y_test")
    _check_lengths(x, y, "test examples")
    if x.shape[1:] != parts.x.shape[1:]:
        raise DataError(f"test examples have shape {x.shape[1:]}, the others {parts.x.shape[1:]}")
    known = (y >= first) & (y < first + len(names))
    if not known.all():
        row = int(np.argmin(known))
        raise DataError(
            f"y_test[{row}] is {y[row]}, out of range: "
            f"the training labels run from {first} to {first + len(names) - 1}"
        )
    return replace(parts, x_test=x, y_test=y)
