"""recompute: fewer values are kept."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.graph.node import reachable


def saved_elements(*outputs: limpid.Tensor) -> int:
    """How many elements the nodes behind some outputs keep, each array counted once."""
    arrays = {
        id(x): x.size
        for node in reachable([y.node for y in outputs])
        for x in node.saved or ()
        if isinstance(x, np.ndarray)
    }
    return sum(arrays.values())


def chain(x: Any, wrap: Any) -> Any:
    def part(x: Any) -> Any:
        for _ in range(8):
            x = limpid.tanh(limpid.sin(x) * 1.5)
        return x

    for _ in range(10):
        x = wrap(part)(x)
    return x


def test_fewer_values_are_kept() -> None:
    x = limpid.tensor(np.ones(100), requires_grad=True)
    plain = saved_elements(chain(x, lambda f: f))
    saving = saved_elements(chain(x, limpid.recompute))
    assert saving == 10 * 100  # the input of each part
    assert plain >= 80 * 100
    nested = saved_elements(limpid.recompute(lambda x: chain(x, limpid.recompute))(x))
    assert nested == 100


def test_memory_is_really_given_back() -> None:
    x = limpid.tensor(np.ones(100_000), requires_grad=True)
    sizes = []
    for wrap in (limpid.recompute, lambda f: f):
        tracemalloc.start()
        y = chain(x, wrap)
        sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        del y
    assert sizes[0] < sizes[1] / 7


def test_memory_stays_flat_without_the_cyclic_collector() -> None:
    x = limpid.tensor(np.ones(100), requires_grad=True)
    f = limpid.recompute(lambda x: limpid.tanh(x) * limpid.random.normal(shape=(100,)))

    def iteration() -> None:
        x.grad = None
        limpid.sum(f(x)).backward()

    gc.collect()
    gc.disable()
    try:
        for _ in range(2500):  # Python keeps up to 2,000 freed tuples of each size
            iteration()
        before = sys.getallocatedblocks()
        for _ in range(3000):
            iteration()
        grown = sys.getallocatedblocks() - before
    finally:
        gc.enable()
    assert grown < 1000


def test_long_chains() -> None:
    x = limpid.tensor(np.float64(0.5), requires_grad=True)
    f = limpid.recompute(lambda x: x * 1.0000001)
    y = x
    for _ in range(5000):
        y = f(y)
    y.backward()
    assert x.grad.item() == pytest.approx(1.0000001**5000)
