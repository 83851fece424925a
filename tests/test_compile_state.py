"""Random numbers, state, threads and memory of compiled steps."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim
from tests.compiled import X, ones


def test_random_numbers_are_fresh_and_those_of_eager() -> None:
    own = limpid.random.Generator(5)

    def f(x: Any) -> Any:
        return x + limpid.random.normal(shape=3), limpid.random.uniform(shape=2, generator=own)

    step = limpid.compile(f)
    results = []
    for function in (f, step):
        limpid.manual_seed(1)
        own.seed(5)
        results.append([[y.tolist() for y in function(limpid.tensor(X))] for _ in range(3)])
        results[-1].append(limpid.random.uniform(shape=2).tolist())
    assert results[0] == results[1]
    assert results[1][0] != results[1][1]
    limpid.manual_seed(1)
    assert step(X)[0].tolist() == results[0][0][0]
    assert step.count == 1


def test_each_thread_draws_its_own_numbers() -> None:
    step = limpid.compile(lambda x: x + limpid.random.uniform(shape=3))
    limpid.manual_seed(1)
    step(X)
    mine = limpid.random.default_generator().state_dict()
    found: dict[str, Any] = {}

    def elsewhere() -> None:
        limpid.manual_seed(7)
        found["compiled"] = step(X).tolist()
        limpid.manual_seed(7)
        found["eager"] = step.function(limpid.tensor(X)).tolist()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found["compiled"] == found["eager"]
    assert step.count == 1
    np.testing.assert_equal(limpid.random.default_generator().state_dict(), mine)


def test_random_numbers_that_are_not_limpids() -> None:
    new, old, own = np.random.default_rng(0), np.random.RandomState(0), random.Random(0)
    draws = [np.random.rand, random.random, lambda: new.random(), lambda: old.rand(), own.random]
    for draw in draws:
        with pytest.raises(errors.AbstractError, match=r"limpid\.random"):
            limpid.compile(lambda x, draw=draw: x * draw())(X)


def test_what_is_seen_after_a_step() -> None:
    net = nn.Linear(3, 1)
    optimizer = optim.SGD(net.parameters(), lr=0.5)

    @limpid.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(net(x))
        loss.backward()
        optimizer.step()
        return loss

    start = net.weight.detach().numpy()
    saved, held = net.state_dict(), net.weight.detach()
    step(ones(1, 3))
    first = net.weight.grad
    np.testing.assert_array_equal(net.weight.detach(), saved["weight"] - 0.5)
    np.testing.assert_array_equal(net.state_dict()["weight"], net.weight.detach())
    np.testing.assert_array_equal(start, saved["weight"])  # whoever held the old value keeps it
    np.testing.assert_array_equal(held, saved["weight"])
    step(2 * ones(1, 3))
    assert (first.tolist(), net.weight.grad.tolist()) == ([[1.0] * 3], [[2.0] * 3])


def test_writes_from_outside_are_seen() -> None:
    net = nn.Linear(2, 1, bias=False)
    step = limpid.compile(lambda x: net(x))
    x = ones(1, 2)
    step(x)
    with limpid.no_grad():
        net.weight -= net.weight
    assert step(x).item() == 0.0
    limpid.assign(net.weight, [[1.0, 2.0]])
    assert step(x).item() == 3.0
    net.load_state_dict({"weight": np.float32([[2.0, 2.0]])})
    assert step(x).item() == 4.0
    nn.init.ones_(net.weight)
    assert step(x).item() == 2.0
    assert step.count == 1


def test_a_gradient_that_needs_a_value_from_before_a_step() -> None:
    w = limpid.Parameter([2.0])
    y = limpid.sum(w * w)
    limpid.compile(lambda: limpid.assign(w, w * 2.0))()
    with pytest.raises(errors.OverwrittenError, match=r"test_compile_state\.py"):
        y.backward()


def test_gradients_given_from_outside() -> None:
    w = limpid.Parameter([1.0, 1.0])
    optimizer = optim.SGD([w], lr=1.0)
    step = limpid.compile(lambda: optimizer.step())
    step()
    assert w.tolist() == [1.0, 1.0]
    for value in (1.0, 2.0):
        w.grad = limpid.tensor([value, value])
        step()
    assert w.tolist() == [-2.0, -2.0]
    assert w.grad.tolist() == [2.0, 2.0]
    assert step.count == 2


def test_threads_share_a_step() -> None:
    total = limpid.Buffer(np.zeros((), np.int64))

    @limpid.compile
    def step(x: Any) -> Any:
        limpid.assign(total, total + 1)
        return limpid.sum(x * x)

    wrong = []

    def work(number: int) -> None:
        for k in range(50):
            x = np.full(number + k % 3 + 1, 2.0)
            if step(x).item() != 4.0 * x.size:
                wrong.append(x.size)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert total.item() == 200
    assert step.count == 6


def test_old_recordings_are_let_go() -> None:
    @limpid.compile(capacity=2)
    def step(net: Any, x: Any) -> Any:
        return net(x)

    alive = []
    for _ in range(5):
        net = nn.Linear(3, 2)
        alive.append(weakref.ref(net))
        step(net, ones(1, 3))
    del net
    gc.collect()
    assert [ref() is None for ref in alive] == [True, True, True, False, False]


def test_a_step_and_its_model_are_let_go_together() -> None:
    def make() -> Any:
        net = nn.Linear(3, 2)
        step = limpid.compile(lambda x: net(x))
        step(ones(1, 3))
        return step, weakref.ref(net)

    step, net = make()
    del step
    gc.collect()
    assert net() is None


def test_repeated_calls_keep_memory_flat() -> None:
    import tracemalloc

    net = nn.Linear(20, 20)
    optimizer = optim.Adam(net.parameters(), lr=0.1)

    @limpid.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(net(x) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    gc.disable()
    try:
        for _ in range(20):
            step(ones(4, 20))
        tracemalloc.start()
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            step(ones(4, 20))
        grown = tracemalloc.get_traced_memory()[0] - first
    finally:
        tracemalloc.stop()
        gc.enable()
    assert grown < 20_000


def test_steps_that_share_state_see_what_the_others_wrote() -> None:
    """One step updates, one only reads, and a second one updates: all in turns, as eager does."""

    def run(prepare: Any) -> list[Any]:
        limpid.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def train(x: Any) -> Any:
            loss = limpid.sum(limpid.square(model(x)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        def shrink() -> Any:
            return limpid.assign(model.bias, model.bias * 0.5)

        train, look, shrink = prepare(train), prepare(lambda x: model(x)), prepare(shrink)
        x = np.ones((4, 3), np.float32)
        found = []
        for turn in range(8):
            train(x)
            found.append(look(x).tolist())
            if turn > 3:
                shrink()
                found.append(look(x).tolist())
            found.append(look(x).tolist())
            found.append(model.bias.tolist())
        return found

    for compiled, eager in zip(run(limpid.compile), run(lambda function: function)):
        np.testing.assert_allclose(compiled, eager, rtol=1e-5)
