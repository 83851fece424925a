"""Creation functions against NumPy's: values, dtypes, kinds, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid.errors import ArgumentError, DTypeError, ShapeError


def check(made: Any, expected: Any, dtype: str) -> None:
    assert isinstance(made, limpid.Tensor)
    assert made.dtype.name == dtype
    assert not made.requires_grad
    np.testing.assert_array_equal(made.numpy(), np.asarray(expected, dtype))


@pytest.mark.parametrize("shape", [(), 3, (2, 0, 3), [2, 1], np.int64(2), (np.int32(2), 3)])
def test_from_a_shape(shape: Any) -> None:
    given = tuple(shape) if isinstance(shape, list) else shape
    check(limpid.zeros(shape), np.zeros(given), "float32")
    check(limpid.ones(shape, dtype=limpid.float64), np.ones(given), "float64")
    check(limpid.empty(shape, "int32"), np.zeros(given), "int32")
    check(limpid.full(shape, 2.5), np.full(given, 2.5), "float32")
    check(limpid.full(shape, 2), np.full(given, 2), "int64")
    check(limpid.full(shape, True), np.full(given, True), "bool")


def test_ranges() -> None:
    check(limpid.arange(5), np.arange(5), "int64")
    check(limpid.arange(1, 2, 0.25), np.arange(1, 2, 0.25), "float32")
    check(limpid.arange(5, 0, -2), np.arange(5, 0, -2), "int64")
    check(limpid.arange(3, dtype="float64"), np.arange(3.0), "float64")
    check(limpid.arange(limpid.tensor(4)), np.arange(4), "int64")
    check(limpid.arange(2, 2), [], "int64")
    check(limpid.linspace(0, 1, 5), np.linspace(0, 1, 5), "float32")
    check(limpid.linspace(-1, 1, 4, dtype="float64", endpoint=False), [-1, -0.5, 0, 0.5], "float64")
    check(limpid.linspace(3, 4, 1), [3], "float32")
    check(limpid.linspace(3, 4, 0), [], "float32")
    check(limpid.eye(2, 3, k=1), np.eye(2, 3, 1), "float32")
    check(limpid.eye(0), np.eye(0), "float32")


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "empty_like"])
def test_like_keeps_the_kind(name: str) -> None:
    function = getattr(limpid, name)
    x = np.arange(6, dtype=np.int32).reshape(2, 3)
    fill = 1 if name == "ones_like" else 0
    check(function(limpid.tensor(x)), np.full((2, 3), fill), "int32")
    check(function(limpid.tensor(x), dtype="float64"), np.full((2, 3), fill), "float64")
    assert type(function(x)) is np.ndarray
    assert function([1.0, 2.0]).dtype == np.float32
    recorded = limpid.record(lambda t: t + function(t), np.ones(2))
    np.testing.assert_array_equal(recorded(np.ones(2)).numpy(), 1 + fill)


def test_full_like() -> None:
    check(limpid.full_like(limpid.tensor([1.0, 2.0]), 3), [3, 3], "float32")
    assert limpid.full_like(np.ones(2), 3).tolist() == [3.0, 3.0]
    value, gradient = limpid.value_and_grad(
        lambda v: limpid.sum(limpid.full_like(limpid.zeros((2, 3)), v))
    )(np.float64(2))
    assert (value, gradient) == (12, 6)


def test_errors() -> None:
    with pytest.raises(ShapeError, match="0 or more"):
        limpid.zeros((2, -1))
    with pytest.raises(ArgumentError, match="a shape is"):
        limpid.ones(2.5)
    with pytest.raises(ArgumentError, match="step"):
        limpid.arange(0, 3, 0)
    with pytest.raises(ArgumentError, match="num"):
        limpid.linspace(0, 1, -1)
    with pytest.raises(DTypeError):
        limpid.zeros(2, dtype="complex64")
    with pytest.raises(ShapeError, match="can't be broadcast"):
        limpid.full((2,), [1, 2, 3])


def test_gradients_reach_tensors_that_fill() -> None:
    a, b = np.array([0.5, -1.0]), np.array(2.0)
    w = np.random.default_rng(0).normal(size=(5, 2))

    def f(a: Any, b: Any) -> Any:
        return limpid.sum(limpid.linspace(a, b, 5) * w) + limpid.sum(limpid.full((2, 2), b))

    for_a, for_b = limpid.grad(f, (0, 1))(a, b)
    share = np.linspace(0, 1, 5)[:, None]
    np.testing.assert_allclose(for_a, (w * (1 - share)).sum(0))
    np.testing.assert_allclose(for_b, (w * share).sum() + 4)
    between = limpid.linspace(limpid.tensor(a), limpid.tensor(b), 4, endpoint=False)
    np.testing.assert_allclose(between.numpy(), np.linspace(a, b, 4, endpoint=False))
    assert limpid.jvp(lambda b: limpid.full((3,), b), (b,), (b,))[1].tolist() == [2.0] * 3
