"""Algebra on values: what a known number leaves out, and what has to stay for the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from limpid.compiler.program.values import evaluate, ordered
from tests.native import program

EDGES = np.array([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan, 1e-310, -1e308])
TRUTHS = np.array([True, False, True])


def left(forward: Any, x: Any) -> list[str]:
    """The functions that are still computed; they give NumPy's bits."""
    (made,) = program(forward, x)
    expected = np.asarray(forward(x))
    (actual,) = evaluate([made], [x])
    np.testing.assert_array_equal(actual.view(np.uint8), expected.astype(made.dtype).view(np.uint8))
    return [v.params["function"] for v in ordered([made]) if v.kind == "map"]


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x * 1.0,
        lambda x: 1.0 * x,
        lambda x: x / 1.0,
        lambda x: x - 0.0,
        lambda x: x + -0.0,
        lambda x: np.where(True, x, 2.0),
        lambda x: np.where(False, 2.0, x),
        lambda x: np.where(x > 1, x, x),
    ],
)
def test_what_is_left_out(forward: Any) -> None:
    assert left(forward, EDGES) in ([], ["greater"])


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x + 0.0,
        lambda x: x - -0.0,
        lambda x: x * 0.0,
        lambda x: 0.0 - x,
        lambda x: x * -1.0,
        lambda x: 1.0 / x,
        lambda x: x / 3.0,
        lambda x: x / 0.0,
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_stays(forward: Any) -> None:
    assert len(left(forward, EDGES)) == 1


@pytest.mark.parametrize("divisor", [2.0, -0.5, 64.0, 2.0**-1000, 2.0**1000])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_division_by_a_power_of_two_is_a_product(divisor: float) -> None:
    assert left(lambda x: x / divisor, EDGES) == ["multiply"]


@pytest.mark.parametrize("divisor", [2.0**-1074, 2.0**1023, 6.0])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_division_whose_reciprocal_is_not_exact_stays(divisor: float) -> None:
    assert left(lambda x: x / divisor, EDGES) == ["divide"]


def test_truths() -> None:
    assert left(lambda x: np.logical_and(x, np.True_), TRUTHS) == []
    assert left(lambda x: np.logical_or(np.False_, x), TRUTHS) == []
    assert left(lambda x: np.logical_and(x, np.False_), TRUTHS) == ["logical_and"]
