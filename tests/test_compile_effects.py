"""What a compiled function sets outside is set by every call."""

from __future__ import annotations

import collections
import copy
import types
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim
from tests.compiled import X, assert_same, ones

COUNT = 0


def test_globals_and_closures_that_the_function_sets() -> None:
    calls, last, seen = 0, None, []

    @limpid.compile
    def step(x: Any) -> Any:
        global COUNT
        nonlocal calls, last
        COUNT += 1
        calls += 1
        last = x * 2.0
        seen.append(last)
        return x * calls

    for k in (1, 2, 3):
        assert step(ones(1)).item() == k
        assert (COUNT, calls, len(seen)) == (k, k, k)
        assert last.item() == seen[-1].item() == 2.0
    assert [x.item() for x in seen] == [2.0, 2.0, 2.0]


def test_a_closure_that_is_only_written_is_recorded_once() -> None:
    last = None

    @limpid.compile
    def step(x: Any) -> None:
        nonlocal last
        last = x * 2.0

    for value in (1.0, 2.0):
        step(np.full(1, value))
        assert last.item() == 2 * value
    assert step.count == 1


def test_a_tensor_that_adds_up() -> None:
    total = limpid.tensor([0.0])

    @limpid.compile
    def step(x: Any) -> None:
        nonlocal total
        total += x

    for k in (1, 2, 3):
        held = total
        step(ones(1))
        assert total is held
        assert total.item() == k


def test_hidden_state_of_a_module() -> None:
    class Memory(nn.Module):
        def __init__(self) -> None:
            self.cell = nn.RNNCell(1, 2)
            self.hidden: Any = None

        def forward(self, x: Any) -> Any:
            self.hidden = self.cell(x, self.hidden).detach()
            return self.hidden

    found = []
    for compiled in (False, True):
        limpid.manual_seed(0)
        net = Memory()
        step = limpid.compile(net) if compiled else net
        found.append([step(ones(1, 1)).detach() for _ in range(3)])
    assert_same(found[1], found[0])


def test_modes_that_the_function_sets() -> None:
    net = nn.Sequential(nn.Dropout(1.0))

    @limpid.compile
    def step(x: Any) -> Any:
        net.train()
        return net(x)

    for _ in range(2):
        net.eval()
        assert step(ones(1)).item() == 0.0
        assert net[0].training
        assert step(ones(1)).item() == 0.0
    assert step.count == 2


def test_parameters_made_inside() -> None:
    def fit(x: Any) -> Any:
        w = limpid.Parameter(ones(3))
        for _ in range(2):
            limpid.sum(w * w * x).backward()
            limpid.assign(w, w - 0.1 * w.grad)
        net = nn.Sequential(nn.Linear(3, 1))
        nn.init.ones_(net[0].weight)
        return w * 1.0, w.grad, net(x) * 0.0

    step = limpid.compile(fit)
    expected = fit(limpid.tensor(X))
    for _ in range(3):
        for a, b in zip(step(X), expected, strict=True):
            assert_same(a, b)
    assert step.count == 1
    with pytest.raises(errors.ArgumentError, match="a new one for each"):
        limpid.compile(lambda: limpid.Parameter(ones(3)))()


def test_parameters_made_when_a_module_is_first_called() -> None:
    class Lazy(nn.Module):
        weight: Any = None

        def forward(self, x: Any) -> Any:
            if self.weight is None:
                self.weight = limpid.Parameter(ones(x.shape[-1]))
            return self.weight * x

    net = Lazy()
    step = limpid.compile(lambda x: net(x))
    assert step(X).tolist() == [1.0, 2.0, 3.0]
    assert isinstance(net.weight, limpid.Parameter)
    limpid.assign(net.weight, X)
    assert step(X).tolist() == step(X).tolist() == [1.0, 4.0, 9.0]
    assert step.count == 2


def test_a_step_in_a_module_is_copied_with_it() -> None:
    class Quick(nn.Module):
        def __init__(self) -> None:
            self.weight = limpid.Parameter(ones(3))
            self.run = limpid.compile(self.forward)

        def forward(self, x: Any) -> Any:
            return self.weight * x

    net = Quick()
    assert net.run(X).tolist() == [1.0, 2.0, 3.0]
    twin = copy.deepcopy(net)
    limpid.assign(twin.weight, X)
    assert twin.run(X).tolist() == [1.0, 4.0, 9.0]
    assert net.run(X).tolist() == [1.0, 2.0, 3.0]
    assert (net.run.count, twin.run.count) == (1, 1)


def test_attributes_that_the_function_makes_on_plain_objects() -> None:
    box = types.SimpleNamespace()

    @limpid.compile
    def step(x: Any) -> None:
        box.seen = x * 2.0

    for value in (1.0, 2.0):
        step(np.full(1, value))
        assert box.seen.item() == 2 * value
    assert step.count == 1


def test_a_value_that_got_away() -> None:
    """A place that nobody watches holds a tensor without a value, which says so."""
    away: Any = collections.deque()
    limpid.compile(lambda x: away.append(x * 2.0))(X)
    with pytest.raises(errors.AbstractError, match="return it from the recorded function"):
        away[0].tolist()


def test_options_of_an_optimiser_that_the_function_sets() -> None:
    found = []
    for compiled in (False, True):
        w = limpid.Parameter([1.0])
        optimizer = optim.SGD([w], lr=1.0, weight_decay=0.0)

        def step(w: Any = w, optimizer: Any = optimizer) -> Any:
            group = optimizer.param_groups[0]
            group["maximize"] = not group["maximize"]
            group["weight_decay"] = 0.5 if group["maximize"] else 0.0
            optimizer.zero_grad()
            limpid.sum(2.0 * w).backward()
            optimizer.step()
            return w.detach()

        run = limpid.compile(step) if compiled else step
        values = [run().item() for _ in range(4)]
        found.append((values, optimizer.param_groups[0].numbers()))
    assert found[0] == found[1]
    assert run.count == 2
