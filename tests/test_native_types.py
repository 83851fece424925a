"""Functions of integers and truths, casts and floats beyond what integers hold, in native code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.native import agree, needs_native

pytestmark = needs_native
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def integers(dtype: str, count: int = 40, seed: int = 0) -> Any:
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    some = rng.integers(limits.min, limits.max, count, dtype, endpoint=True)
    small = rng.integers(max(limits.min, -4), 5, count).astype(dtype)
    return np.concatenate([some, small, np.array([limits.min, limits.max, 0, 1], dtype)])


@pytest.mark.parametrize("given", ["float32", "float64"])
@pytest.mark.parametrize("wanted", INTEGERS)
def test_floats_become_integers(wanted: str, given: str) -> None:
    limits = np.iinfo(wanted)
    ends = [0.9, -0.9, -1.0, 1.5, 127.5, 255.9, 300.0, 70000.5, 3e9, -3e9, 5e9, 1.5e19, 3e38]
    sizes = [2.0**n for n in range(7, 65)]
    x = np.array([*ends, *sizes, *(-n for n in sizes), np.inf, -np.inf, np.nan], given)
    if wanted == "uint32":  # beyond 32 bits NumPy's results depend on where in an array they are
        x = x[(np.abs(x) < 2**31) | ((x > 0) & (x < 2**32))]
    else:
        assert (x.astype(np.float64) > float(limits.max)).any()
    agree(lambda x: x.astype(wanted), x, tolerance=0)


@pytest.mark.parametrize("given", [*INTEGERS, "bool"])
@pytest.mark.parametrize("wanted", [*INTEGERS, "bool", "float32", "float64"])
def test_integers_become_other_types(wanted: str, given: str) -> None:
    x = integers("int64").astype(given)
    agree(lambda x: x.astype(wanted), x, tolerance=0)


@pytest.mark.parametrize("function", ["absolute", "sign", "negative", "square", "invert", "isnan",
                                      "isfinite", "logical_not"])  # fmt: skip
@pytest.mark.parametrize("dtype", INTEGERS)
def test_functions_of_integers(function: str, dtype: str) -> None:
    agree(getattr(np, function), integers(dtype), tolerance=0)


@pytest.mark.parametrize("function", ["add", "multiply", "floor_divide", "remainder", "fmod",
    "bitwise_and", "bitwise_or", "bitwise_xor", "logical_xor", "maximum", "greater"])  # fmt: skip
@pytest.mark.parametrize("dtype", INTEGERS)
def test_functions_of_two_integers(function: str, dtype: str) -> None:
    a, b = integers(dtype), np.random.default_rng(1).permutation(integers(dtype, seed=2))
    b[:8], a[8:16] = 0, np.iinfo(dtype).min
    b[8:16] = np.array(-1).astype(dtype)
    agree(getattr(np, function), a, b, tolerance=0)


@pytest.mark.parametrize("function", ["left_shift", "right_shift", "power"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts_and_powers(function: str, dtype: str) -> None:
    a = integers(dtype)
    n = np.random.default_rng(1).integers(0, 70, a.shape).astype(dtype)
    agree(getattr(np, function), a, n, tolerance=0)


@pytest.mark.parametrize("function", ["greater", "greater_equal", "less", "less_equal", "equal",
    "not_equal", "logical_xor", "add", "multiply", "maximum", "minimum"])  # fmt: skip
def test_functions_of_truths(function: str) -> None:
    a, b = np.array([True, False] * 9), np.array([True, True, False] * 6)
    agree(getattr(np, function), a, b, tolerance=0)
    agree(lambda a: (np.absolute(a), np.isnan(a), np.logical_not(a)), a, tolerance=0)


@pytest.mark.parametrize("function", ["floor_divide", "remainder", "fmod"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_division_with_a_rest(function: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    special = [0.0, -0.0, 1.0, -1.0, 0.1, 3.0, -3.0, 1e-30, 1e30, np.inf, -np.inf, np.nan]
    a, b = np.meshgrid(special, special)
    a = np.concatenate([a.ravel(), rng.normal(size=100) * 9, rng.integers(-9, 9, 100)])
    b = np.concatenate([b.ravel(), rng.normal(size=100), rng.integers(-3, 4, 100)])
    made = agree(getattr(np, function), a.astype(dtype), b.astype(dtype), tolerance=0)
    (y,) = made.run([a.astype(dtype), b.astype(dtype)])
    expected = getattr(np, function)(a.astype(dtype), b.astype(dtype))
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y[numbers]), np.signbit(expected[numbers]))


def test_signs_and_bits() -> None:
    x = np.array([0.0, -0.0, 1.5, -np.inf, 2.5])
    agree(lambda x: (np.signbit(x), x.view(np.int64) & 15), x, tolerance=0)
    agree(lambda x: x.view(np.float32) * 2, np.arange(30, dtype=np.int32) << 23, tolerance=0)
