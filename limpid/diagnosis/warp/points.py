"""Points of the plane with their classes: made by a formula, or read from a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from limpid.data.dataset import Parts, build
from limpid.data.table import read_csv
from limpid.errors import ArgumentError, DataError
from limpid.ops.axes import integer

Array = np.ndarray[Any, np.dtype[Any]]

MOST_CLASSES = 6  # that colours and marks tell apart
TURNS = 1.0  # of each arm of the spirals
GAP = 0.5  # the radius of the inner circle
TABLES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Points:
    """Points x (N, 2) float32 with their classes y (N,) int64; `classes` are the classes' names.

    name, axes  what the points and their two coordinates are called
    note        what was done to the coordinates, if anything
    """

    name: str
    x: Array
    y: Array
    classes: tuple[str, ...]
    axes: tuple[str, str] = ("x₁", "x₂")
    note: str = ""

    def __len__(self) -> int:
        return len(self.y)


def make_points(kind: str, n: int = 200, noise: float | None = None, seed: int = 0) -> Points:
    """Points of a known shape, of two classes: spirals, moons, circles or xor.

    n      how many points, half of them of each class
    noise  the standard deviation of what is added to each coordinate; None for the usual one
    seed   decides the noise and, for xor, the places

    >>> points = make_points("moons", n=6, noise=0.0)
    >>> points.x.shape, points.y.tolist()
    ((6, 2), [0, 0, 0, 1, 1, 1])
    """
    if kind not in SHAPES:
        raise ArgumentError(f"no points named {kind!r}; there are {', '.join(SHAPES)}")
    shape, usual = SHAPES[kind]
    noise = usual if noise is None else noise
    integer(n, "n", 2)
    if not is_number(noise) or noise < 0:
        raise ArgumentError(f"noise must be a number of at least 0, not {noise!r}")
    rng = np.random.default_rng(integer(seed, "seed"))
    parts = [shape(n - n // 2, 0, rng), shape(n // 2, 1, rng)]
    x = np.concatenate(parts)  # (N, 2)
    x = x + rng.normal(size=x.shape) * noise
    y = np.repeat([0, 1], [len(part) for part in parts])
    return Points(kind, x.astype(np.float32), y, ("0", "1"))


def _spirals(n: int, arm: int, rng: Any) -> Array:
    """Two arms around one another, each half a turn from the other."""
    angle = 2 * np.pi * TURNS * np.linspace(0.25, 1, n)
    radius = angle / (2 * np.pi * TURNS)
    sign = 1 - 2 * arm
    return sign * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _moons(n: int, moon: int, rng: Any) -> Array:
    """Two half circles, each reaching into the other."""
    angle = np.linspace(0, np.pi, n)
    sign = 1 - 2 * moon
    return np.stack([sign * np.cos(angle) - sign * 0.5, sign * np.sin(angle) - sign * 0.25], axis=1)


def _circles(n: int, inner: int, rng: Any) -> Array:
    """A circle within a circle."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    radius = GAP if inner else 1.0
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _xor(n: int, unequal: int, rng: Any) -> Array:
    """Four clouds: class 1 where the signs of the coordinates differ."""
    signs = np.where(np.arange(n) % 2, 1.0, -1.0)
    places = np.abs(rng.uniform(0.15, 1.0, (n, 2))) * signs[:, None]
    places[:, 1] *= 1 - 2 * unequal
    return places


SHAPES: dict[str, tuple[Callable[[int, int, Any], Array], float]] = {  # → (shape, usual noise)
    "spirals": (_spirals, 0.02),
    "moons": (_moons, 0.1),
    "circles": (_circles, 0.05),
    "xor": (_xor, 0.05),
}


def read_points(path: str | Path, label: str | None = None) -> Points:
    """The points of a .csv: two columns of numbers and one of labels.

    label  the label's column: its name, or its number counted from 1; by default the one called
           label, class, target or y, else the last

    Coordinates are standardised, so that training goes well: mean 0 and deviation 1 for each.
    Raises DataError for whatever else the file holds.
    """
    path = Path(path)
    try:
        parts = read_csv(path, label)
        return from_arrays(parts.x, parts.y, parts.classes, path.stem, standardise=True)
    except DataError as error:
        text = str(error).removesuffix(f" [{DataError.id}]")
        raise error if str(path) in text else DataError(f"{path}: {text}") from None


def from_arrays(
    x: Any,
    y: Any,
    classes: tuple[str, ...] | None = None,
    name: str = "points",
    *,
    standardise: bool = False,
) -> Points:
    """Points from arrays: coordinates (N, 2) and class numbers (N,).

    >>> import numpy as np
    >>> len(from_arrays(np.eye(2), np.array([0, 1])))
    2
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim == 2 and x.shape[1] != 2:
        raise DataError(
            f"{x.shape[1]} feature{'s' * (x.shape[1] != 1)}, but the plane has 2 coordinates; "
            "leave two columns and the label"
        )
    parts = Parts(x, y, x, y, classes)  # all points are trained on, and all are looked at
    data = build(name, parts, "standard" if standardise else "none")
    if len(data.classes) > MOST_CLASSES:
        raise DataError(
            f"{len(data.classes)} classes; up to {MOST_CLASSES} can be told apart in a picture"
        )
    note = "standardised" if standardise else ""
    return Points(name, data.train.x, data.train.y, data.classes, note=note)


def find_points(
    source: str | Path,
    *,
    n: int | None = None,
    noise: float | None = None,
    seed: int = 0,
    label: str | None = None,
) -> Points:
    """The points that a name or the path of a table means; see `make_points`, `read_points`."""
    name = str(source)
    if name in SHAPES:
        if label is not None:
            raise ArgumentError(f"a label's column can be chosen in a .csv, not in {name}")
        return make_points(name, 200 if n is None else n, noise, seed)
    if not name.lower().endswith(TABLES):
        raise ArgumentError(f"no points named {name!r}; there are {', '.join(SHAPES)}, or a .csv")
    if n is not None or noise is not None:
        raise ArgumentError(f"{name} has the points it has: leave out their number and the noise")
    return read_points(source, label)


def is_number(value: Any) -> bool:
    """Whether it is a finite number, True and False not counted."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
