"""How much work compiling is: it grows with the graph, and equal layers are written once.

Calls of Python are counted, not seconds.
"""

import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from limpid.compiler.machine import cache as disk
from limpid.compiler.program import translation
from limpid.compiler.runtime import commands
from limpid.compiler.runtime.native import Native
from tests.native import needs_native

pytestmark = needs_native
BEYOND = 0.1  # of the calls that doubling a network may add, more than it did before


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(disk.FOLDER, "")


def layers(depth: int) -> Any:
    """A training step of a network with equal layers."""
    limpid.manual_seed(0)
    parts = [part for _ in range(depth) for part in (nn.Linear(8, 8), nn.Tanh())]
    model = nn.Sequential(*parts)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step() -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(model(np.ones((4, 8), np.float32)) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    return step


def chain(depth: int) -> Any:
    """Small operations on one array, and back."""
    start = limpid.tensor(np.ones(8, np.float32), requires_grad=True)

    def step() -> Any:
        start.grad = None
        y = start
        for _ in range(10 * depth):
            y = limpid.sin(y * start)
        limpid.sum(y).backward()
        return y

    return step


def numbers(depth: int) -> Any:
    """Single numbers, each with a weight of its own."""
    weights = [limpid.Parameter(np.float32(n / 100)) for n in range(10 * depth)]
    optimizer = optim.SGD(weights, lr=0.1)

    def step() -> Any:
        optimizer.zero_grad()
        total = weights[0]
        for a, b in pairwise(weights):
            total = limpid.tanh(total * a + b)
        total.backward()
        optimizer.step()
        return total

    return step


def shapes(depth: int) -> Any:
    """Layers of different sizes, all of which read one number."""
    limpid.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(8 + n, 9 + n) for n in range(depth)])
    optimizer = optim.Adam(model.parameters(), lr=0.1)

    def step() -> Any:
        optimizer.zero_grad()
        loss = limpid.mean(model(np.ones((4, 8), np.float32)))
        loss.backward()
        optimizer.step()
        return loss

    return step


def executor_of(step: Any) -> Any:
    compiled = limpid.compile(step)
    compiled()
    return compiled.latest().executor


def calls(work: Callable[[], Any]) -> int:
    """How many calls of Python functions some work takes, resumptions of generators included."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("network", [layers, chain, numbers, shapes])
def test_work_grows_with_the_graph(network: Any) -> None:
    counts = []
    for depth in (15, 30, 60):
        made = executor_of(network(depth))
        counts.append(calls(made._made))
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    assert second <= (2 + BEYOND) * first


def test_equal_layers_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [written(layers(depth), monkeypatch) for depth in (6, 12, 24)]
    assert found[0] == found[1] == found[2]


def written(step: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, int]:
    """Forwards that are traced, stages whose text is made, and native functions."""
    counts = {"trace": 0, "emit": 0}

    def counted(name: str, function: Any) -> Any:
        def call(*args: Any) -> Any:
            counts[name] += 1
            return function(*args)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(translation, "trace", counted("trace", translation.trace))
        patched.setattr(commands, "emit", counted("emit", commands.emit))
        native: Native = executor_of(step).native
    return counts["trace"], counts["emit"], len(native.functions.texts)


def test_signs_of_zero_are_not_alike() -> None:
    """Stages, and nodes, that differ in nothing else are different."""

    def function(x: Any, y: Any) -> Any:
        padded = [nn.functional.pad(v, (1, 1), value=z) for v, z in ((x, 0.0), (y, -0.0))]
        return *padded, x * 0.0, y * -0.0

    x = np.ones(4, np.float32)
    found = [np.signbit(np.asarray(v)).tolist() for v in limpid.compile(function)(x, x + 1)]
    expected = [np.signbit(v.numpy()).tolist() for v in function(*map(limpid.tensor, (x, x + 1)))]
    assert found == expected
    assert found[0][0] != found[1][0]
    assert found[2] != found[3]
