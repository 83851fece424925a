"""The memory that pooling takes, and the contractions that its primitives lower to."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.graph.node import spec_of
from limpid.nn import functional as F


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(("call", "beside"), [
    (lambda x: F.max_pool2d(x, 5, 1, 2), 1), (lambda x: F.max_pool2d(x, 9, 1, 4), 1),
    (lambda x: F.avg_pool2d(x, 5, 1, 2), 0), (lambda x: F.adaptive_max_pool2d(x, 100), 8),
])  # fmt: skip
def test_memory_does_not_grow_with_the_kernel(call: Any, beside: int) -> None:
    """Twice inputs and outputs, of which some have that many bytes for a position."""
    forward, both, x, y = peaks(call, (16, 16, 128, 128))
    held = 4 * x + (4 + beside) * y
    assert forward < 2 * held
    assert both < 2 * (held + 4 * x)


@pytest.mark.parametrize("shape", [(1, 64, 32, 64, 64), (4, 16, 32, 64, 64)])
@pytest.mark.parametrize(("call", "beside"), [
    (lambda x: F.max_pool3d(x, 3, 1, 1), 1), (lambda x: F.adaptive_max_pool3d(x, (20, 40, 40)), 8),
])  # fmt: skip
def test_memory_of_few_large_volumes(call: Any, beside: int, shape: Any) -> None:
    forward, both, x, y = peaks(call, shape)
    held = 4 * x + (4 + beside) * y
    assert forward < 2 * held
    assert both < 2 * (held + 4 * x)


@pytest.mark.parametrize("call", [
    lambda x: F.lp_pool2d(x, 2, 3, 1), lambda x: F.feature_lp_pool(x, 2, 4),
    lambda x: F.local_response_norm(x, 5),
])  # fmt: skip
def test_memory_of_powers(call: Any) -> None:
    """Twice inputs, outputs and, on the way back, their gradients."""
    forward, both, x, y = peaks(call, (32, 16, 128, 128))
    assert forward < 2 * 4 * (x + y)
    assert both + 4 * y < 2 * 4 * 2 * (x + y)


def peaks(call: Any, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Bytes, with those of the input, in a forward pass and in both; elements of input, output.

    The upstream gradient takes none.
    """
    x = limpid.tensor(np.ones(shape, np.float32), requires_grad=True)
    limpid.grad(lambda x: limpid.sum(call(x)))(np.ones((1, *shape[1:])))  # fills caches
    tracemalloc.start()
    y = call(x)
    forward = tracemalloc.get_traced_memory()[1]
    y.backward(limpid.asarray(np.broadcast_to(np.float32(1), y.shape)))
    both = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return forward + 4 * x.size, both + 4 * x.size, x.size, y.size  # the input was there before


def evaluate(contraction: Any, x: np.ndarray) -> np.ndarray:
    """A contraction of one operand, by a loop over all its indices."""
    largest = contraction.combine == "max"
    shape = tuple(axis.extent for axis in contraction.output)
    y = np.full(shape, -np.inf if largest else 0.0)
    names = [i.name for i in contraction.indices]
    for point in np.ndindex(*(i.extent for i in contraction.indices)):
        at = dict(zip(names, point, strict=True))
        here, there = (
            tuple(axis.offset + sum(c * at[n] for n, c in axis.terms) for axis in access)
            for access in (contraction.left, contraction.output)
        )
        if all(0 <= i < n for i, n in zip(here, x.shape, strict=True)):
            y[there] = max(y[there], x[here]) if largest else y[there] + x[here]
    return y


WINDOW = {"kernel": (2, 3), "stride": (2, 1), "padding": ((0, 1), (1, 1)), "dilation": (2, 1)}


@pytest.mark.parametrize("stride", [(2, 1), (3, 2)])
@pytest.mark.parametrize("name", ["max_pool", "sum_pool", "sum_pool_input", "unfold", "fold"])
def test_primitives_are_the_contractions_that_they_lower_to(name: str, stride: Any) -> None:
    x, primitive = numbers(2, 6, 5), limpid.primitives[name]
    window = {**WINDOW, "stride": stride}
    if name in ("sum_pool_input", "fold"):
        forward = "sum_pool" if name == "sum_pool_input" else "unfold"
        x = numbers(*limpid.primitives[forward](x, **window).shape)
        window["extents"] = (6, 5)
    y = primitive(x, **window)
    parts = [evaluate(part, x) for part in primitive.lower(spec_of(x), **window)]
    np.testing.assert_allclose(sum(parts), y[0] if name == "max_pool" else y, atol=1e-12)
