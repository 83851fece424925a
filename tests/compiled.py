"""What the tests of compiled steps share."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn
from limpid.compiler.machine.target import native_target

EXACT = native_target() is None  # NumPy runs the graph, as eager runs the function
ROUNDING = {"float16": 1e-3, "float32": 2e-6, "float64": 1e-14}  # of an array's largest number

X = np.array([1.0, 2.0, 3.0], np.float32)


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


class Net(nn.Module):
    def __init__(self) -> None:
        self.layers = [nn.Linear(3, 3, bias=False) for _ in range(2)]
        self.scale = 1.0
        self.seen = 0
        self.activation = limpid.tanh
        self.last: Any = None

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = self.activation(layer(x))
        self.last = x
        return self.helper(x)

    def helper(self, x: Any) -> Any:
        return x * self.scale


def assert_same(found: Any, expected: Any, steps: float = 1, floor: float = 0) -> None:
    """What a compiled step gave is what eager gave, up to rounding where it is native.

    steps  how many roundings may have added up
    floor  of what largest number at least, where numbers are what is left of larger ones
    """
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b, steps, floor)
        return
    a, b = (
        np.asarray(x.detach() if isinstance(x, limpid.Tensor) else x) for x in (found, expected)
    )
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    if EXACT or b.dtype.kind != "f":
        np.testing.assert_array_equal(a, b)
        return
    finite = np.abs(b[np.isfinite(b)], dtype=np.float64).max(initial=floor)
    limit = steps * ROUNDING[b.dtype.name]
    np.testing.assert_allclose(a, b, rtol=limit, atol=limit * finite)
