"""Compiled equals eager for every row of the table, for values and gradients, and for programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from tests.compiled import assert_same
from tests.programs import random_program
from tests.table import Row
from tests.test_random_programs import EXACT, Run
from tests.test_table import RECORDABLE, Case, close, rows


def nested(value: Any) -> list[Any]:
    """The arrays in what a function returned."""
    parts = value if isinstance(value, tuple | list) else [value]
    return [np.asarray(x.detach() if isinstance(x, limpid.Tensor) else x) for x in parts]


def tensors(point: list[Any]) -> list[limpid.Tensor]:
    return [limpid.asarray(x) for x in point]  # of the same layout: sums depend on it


@rows(RECORDABLE)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values(row: Row, dtype: str) -> None:
    if dtype not in row.dtypes:
        return
    case = Case(row, dtype)
    step = limpid.compile(case.full)
    for _ in range(2):
        for found, expected in zip(
            nested(step(*case.point)), nested(case.full(*tensors(case.point))), strict=True
        ):
            assert_same(found, expected)
    assert step.count == 1


@rows([row for row in RECORDABLE if row.order >= 1])
def test_gradients(row: Row) -> None:
    case = Case(row)
    step = limpid.compile(case.gradient)
    for found, expected in zip(step(*case.point), case.gradient(*case.point), strict=True):
        close(found, expected, 1e-13)


@pytest.mark.parametrize("seed", range(60))
def test_programs(seed: int) -> None:
    run = Run(random_program(seed, 2 + seed % 7))
    for function in (run.value, run.gradient):
        step = limpid.compile(function)
        for found, expected in zip(
            nested(step(*run.point)), nested(function(*run.point)), strict=True
        ):
            close(found, expected, EXACT)
