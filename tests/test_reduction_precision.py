"""Reductions and running operations: precision and element types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid


def test_float32_with_a_large_offset() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(50_000, 3)) + 10_000).astype(np.float32)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(limpid.mean(x, 0), exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(limpid.sum(x, 0, keepdims=True)[0], exact.sum(0), rtol=1e-7)
    np.testing.assert_allclose(limpid.var(x, 0), exact.var(0), rtol=1e-5)
    np.testing.assert_allclose(limpid.var(x), exact.var(), rtol=1e-5)
    for shape, axis in (((50, 1000, 3), (0, 1)), ((3, 16_666, 3), 1), ((32, 25, 62, 3), (0, 1, 2))):
        part = x.ravel()[: np.prod(shape)].reshape(shape)
        wanted = part.astype(np.float64).sum(axis, keepdims=True)
        np.testing.assert_allclose(limpid.sum(part, axis, keepdims=True), wanted, rtol=1e-7)
    running = limpid.logcumsumexp(x[:, 0])
    np.testing.assert_allclose(running, np.logaddexp.accumulate(exact[:, 0]), rtol=1e-6)


def test_float16_is_added_up_in_float32() -> None:
    ones = np.ones(4096, np.float16)
    assert limpid.sum(np.ones((4096, 2), np.float16), 0).tolist() == [4096, 4096]
    assert limpid.mean(np.full(70_000, 2, np.float16)) == 2
    assert limpid.cumsum(ones)[-1] == 4096
    assert limpid.var(np.array([-300, 300] * 50, np.float16)) == np.inf
    assert limpid.std(np.array([-300, 300] * 50, np.float16)) == 300
    for name in ("sum", "mean", "std", "norm", "logsumexp", "softmax", "logcumsumexp"):
        x = limpid.tensor(ones[:3], requires_grad=True)
        y = getattr(limpid, name)(x)
        limpid.sum(y).backward()
        assert y.dtype == x.grad.dtype == limpid.float16


# Element types


def test_integers_and_booleans() -> None:
    x = limpid.tensor(np.array([[True, False], [True, True]]))
    assert limpid.sum(x).dtype == limpid.int64
    assert limpid.sum(x).item() == 3
    assert limpid.mean(x).dtype == limpid.float32
    assert limpid.mean(x).item() == 0.75
    assert limpid.max(x, 0).numpy().tolist() == [True, True]
    small = limpid.tensor(np.array([100, 100], np.int8))
    assert limpid.sum(small).item() == 200
    assert limpid.prod(small).item() == 10_000
    assert limpid.cumsum(small).dtype == limpid.int64
    assert limpid.sum(limpid.tensor(np.array([200, 100], np.uint8))).dtype == limpid.uint64
    assert limpid.max(small).dtype == limpid.int8
    for name in ("mean", "var", "std", "median", "logsumexp", "norm", "softmax", "logcumsumexp"):
        assert getattr(limpid, name)(small).dtype == limpid.float32
        recorded = limpid.record(getattr(limpid, name), small)
        assert recorded(small).dtype == limpid.float32


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint8, np.int64, np.float32])
def test_plain_arrays_are_as_in_numpy(dtype: Any) -> None:
    x = np.array([[1, 0, 3], [2, 1, 1]]).astype(dtype)
    for name in ("sum", "prod", "mean", "max", "min", "any", "all", "cumsum", "cumprod", "argmax"):
        found, expected = getattr(limpid, name)(x), getattr(np, name)(x)
        assert isinstance(found, np.ndarray | np.generic)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    for name in ("softmax", "logsumexp", "norm"):
        assert not isinstance(getattr(limpid, name)(x), limpid.Tensor)
