"""Compiled equals eager for every row of the table: as accurate, and the same bits in all ways."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
import pytest

import limpid
from tests.bits import assert_same_bits, threads
from tests.extended import HAS_LONGDOUBLE, assert_as_accurate, wider_than
from tests.native import cut_all_bands
from tests.table import Row
from tests.test_table import RECORDABLE, Case, close, float_results, rows

POINTS = 4  # where errors are measured


def nested(value: Any) -> list[Any]:
    """The arrays in what a function returned."""
    parts = value if isinstance(value, tuple | list) else [value]
    return [np.asarray(x.detach() if isinstance(x, limpid.Tensor) else x) for x in parts]


def tensors(point: list[Any]) -> list[limpid.Tensor]:
    return [limpid.asarray(x) for x in point]  # of the same layout: sums depend on it


class Whole:
    """A row as a function of all its arrays: what it gives, and the gradient."""

    def __init__(self, row: Row, dtype: str):
        case = Case(row, dtype)
        self.row, self.given, self.weights = row, case.operands, case.weights
        self.places = [i for i, x in enumerate(self.given) if isinstance(x, np.ndarray)]
        self.wrt = case.numbers

    def __call__(self, *arrays: Any) -> Any:
        operands = list(self.given)
        for i, x in zip(self.places, arrays, strict=True):
            operands[i] = x
        made = self.row.call(*operands)
        if not self.wrt:
            return nested_tensors(made)

        def scalar(*point: Any) -> Any:
            for i, x in zip(self.wrt, point, strict=True):
                operands[i] = x
            results = float_results(self.row.call(*operands))
            return sum(limpid.sum(r * w) for r, w in zip(results, self.weights, strict=True))

        point = [operands[i] for i in self.wrt]
        gradient = limpid.grad(scalar, range(len(point)), unused="zeros")(*point)
        return [*nested_tensors(made), *gradient]

    def arrays(self, point: int = 0) -> list[Any]:
        """The arguments; what is differentiated differs from point to point in its last bits."""
        rng = np.random.default_rng(point)
        found = []
        for i in self.places:
            x = self.given[i]
            if i in self.wrt and point:
                x = x * (1 + rng.normal(size=x.shape) * 20 * np.finfo(x.dtype).eps).astype(x.dtype)
            found.append(np.asarray(x))
        return found

    def widened(self, wide: Any) -> Whole:
        """The same for wider numbers."""
        made = copy(self)
        made.given, made.weights = widened(self.given, wide), widened(self.weights, wide)
        return made


def widened(values: list[Any], wide: Any) -> list[Any]:
    return [
        x.astype(wide) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in values
    ]


def nested_tensors(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple | list) else [value]


@rows(RECORDABLE)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_as_accurate_as_eager(row: Row, dtype: str) -> None:
    if dtype not in row.dtypes:
        return
    whole = Whole(row, dtype)
    points = [whole.arrays(n) for n in range(POINTS if whole.wrt else 1)]
    step = limpid.compile(whole.__call__)
    found = [by_name(step(*point)) for point in points]
    eager = [by_name(whole(*tensors(point))) for point in points]
    assert step.count == 1
    exact = extended(whole, points, dtype)
    for name in found[0]:
        runs = ([run[name] for run in of_one] for of_one in (found, eager, exact or eager))
        if exact:
            assert_as_accurate(name, *runs)
        else:
            close(found[0][name], eager[0][name], 1e-13)


def extended(whole: Whole, points: list[list[Any]], dtype: str) -> list[dict[str, Any]] | None:
    """What it gives in extended precision; None where there is none."""
    if dtype == "float64" and not HAS_LONGDOUBLE:
        return None
    with wider_than(dtype) as wide:
        wider = whole.widened(wide)
        try:
            return [by_name(wider(*tensors(widened(point, wide)))) for point in points]
        except TypeError as error:  # there is no linear algebra of wider numbers than float64
            if "unsupported in linalg" not in str(error):
                raise
            return None


@rows(RECORDABLE)
def test_the_same_bits(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any number of threads, with probes, again and in replays; with all loops cut."""
    cut_all_bands(monkeypatch)
    whole = Whole(row, "float64")
    arrays = whole.arrays()

    def run(step: Any) -> dict[str, Any]:
        return by_name(step(*arrays))

    with threads(2):
        step = limpid.compile(whole.__call__)
        found = run(step)
        for a, b in zip(found.values(), nested(whole(*tensors(arrays))), strict=True):
            close(a, b, 1e-12)
        assert_same_bits("a second run", run(step), found)
        probed = limpid.compile(whole.__call__, keep=1, probe="result*")
        assert_same_bits("a probed run", run(probed), found)
        assert_same_bits("a replay", by_name(probed.replay(1).result), found)
    with threads(1):
        assert_same_bits("one thread", run(limpid.compile(whole.__call__)), found)


def by_name(result: Any) -> dict[str, Any]:
    return {f"result {n}": x for n, x in enumerate(nested(result))}
