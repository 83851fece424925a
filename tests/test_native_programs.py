"""Programs in native code: what loops can meet; `test_compile_rows` has all primitives."""

from __future__ import annotations

from math import fsum
from typing import Any

import numpy as np
import pytest

from limpid.compiler.program.tracing import trace
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import locate, packed, reshaped
from limpid.compiler.schedule.stages import NEST, schedule
from tests.native import agree, native, needs_native, numbers, program

pytestmark = needs_native


@pytest.mark.parametrize("width", [8, 16, 32, 64])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 31, 64, 65])
def test_any_extent_and_width(n: int, width: int) -> None:
    agree(lambda x, b: (np.maximum(x * b, 0) + 1).sum(1), numbers(3, n), numbers(n), width=width)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("function", ["sum", "max", "min"])
def test_reductions_along_any_axes(axis: Any, function: str) -> None:
    def forward(x: Any) -> Any:
        y = x * 2
        return getattr(y, function)(axis), y

    agree(forward, numbers(3, 5, 9))


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "uint8", "float32"])
def test_element_types(dtype: str) -> None:
    x = (numbers(4, 21) * 3).astype(dtype)
    agree(
        lambda x: (x.max(1), x.max(), x > 1, np.where(x > 1, x, x.dtype.type(0))), x, tolerance=1e-6
    )


def test_nan_and_infinity_go_through() -> None:
    x = np.array([[np.nan, 1.0, -np.inf], [np.inf, 0.0, -0.0]])
    agree(lambda x: (x.max(1), x.min(0), np.maximum(x, 0), x > 0, np.sqrt(np.abs(x)), x.sum(1)), x)


def test_nothing_to_do() -> None:
    agree(lambda x: (x.sum(0), x.sum(1), x * 2, x.sum()), np.zeros((0, 3)))
    agree(lambda x: (x.sum(1), x.sum(0), (x > 0).sum(), x + 1), np.zeros((3, 0, 2)))


def test_views_need_no_memory() -> None:
    def forward(x: Any) -> Any:
        y = x.transpose(2, 0, 1)[1:, :, ::2].reshape(-1, 2, 3)
        return y[:, None] * 2 + x[0, 0, 0]

    x = numbers(2, 6, 4)
    ends = program(forward, x)
    assert [stage.kind for stage in schedule(ends).stages] == [NEST]
    agree(forward, x)


def test_a_reshape_that_strides_cannot_say_is_copied() -> None:
    agree(lambda x: x.T.reshape(-1) + 1, numbers(3, 4))


def test_softmax_is_few_nests() -> None:
    def softmax(x: Any) -> Any:
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    assert len(schedule(program(softmax, numbers(4, 5))).stages) == 3
    agree(softmax, numbers(4, 5))


def test_long_sums_of_floats_are_accurate() -> None:
    x = np.full((1, 1 << 20), 0.1, np.float32)
    found = native(program(lambda x: x.sum(1), x)).run([x])[0]
    assert abs(float(found[0]) / (np.float64(np.float32(0.1)) * (1 << 20)) - 1) < 1e-7


@pytest.mark.parametrize("shape", [(100_000,), (300, 41), (41, 300), (7, 20, 50)])
def test_long_sums_of_doubles_are_exact_to_the_last_bit(shape: tuple[int, ...]) -> None:
    x = numbers(*shape)
    axes = [None, *range(len(shape))]
    ends = program(lambda x: tuple(x.sum(axis) for axis in axes), x)
    for actual, axis in zip(native(ends).run([x]), axes, strict=True):
        exact = fsum(x.flat) if axis is None else np.apply_along_axis(fsum, axis, x)
        assert np.abs(actual - exact).max() <= np.spacing(np.abs(exact).max())


def test_long_sums_of_doubles_that_are_infinite_or_nan() -> None:
    x = np.ones((6, 40))
    x[0, 3], x[1, 20], x[2, 2:4], x[3, 9] = np.inf, -np.inf, [np.inf, -np.inf], np.nan
    x[4, 5:7] = 1e308
    agree(lambda x: (x.sum(1), x.sum(0), (x * 0 - 0.0).sum(1)), x)


@pytest.mark.parametrize("seed", range(100))
def test_reshaped_strides_are_those_of_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.choice([1, 2, 3, 4, 6], rng.integers(1, 5)))
    x = np.arange(np.prod(shape)).reshape(shape).transpose(rng.permutation(len(shape)))
    x = x[tuple(slice(None, None, int(step)) for step in rng.choice([1, 1, 2], x.ndim))]
    wanted, left = [], x.size
    while left > 1:
        wanted.append(int(rng.choice([d for d in range(2, left + 1) if left % d == 0])))
        left //= wanted[-1]
    found = reshaped(x.shape, tuple(s // x.itemsize for s in x.strides), tuple(wanted))
    try:
        expected = x.reshape(wanted, copy=False)
    except ValueError:
        assert found is None
    else:
        assert found is not None
        again = np.lib.stride_tricks.as_strided(x, wanted, [s * x.itemsize for s in found])
        np.testing.assert_array_equal(again, expected)


def test_locating_goes_through_views() -> None:
    x = Value("input", (4, 6), np.dtype(float), params={"number": 0})
    (made,) = trace(lambda x: x.T[1:3, ::-1], [x], {})
    assert locate(made) == (x, 1 + 3 * 6, (1, -6))
    assert packed((2, 3, 4)) == (12, 4, 1)
