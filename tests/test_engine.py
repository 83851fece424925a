"""The engine's promises: depth, speed class, memory, threads, nesting."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc

import numpy as np
import pytest

import limpid

DEEP = 150_000


def chain(x: limpid.Tensor, length: int) -> limpid.Tensor:
    for _ in range(length):
        x = x * 1.0
    return x


def test_deep_chain_reverse() -> None:
    x = limpid.tensor(2.0, requires_grad=True)
    y = chain(x, DEEP)
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 1.0
    del y  # freed without recursion, or this would crash


def test_deep_chain_forward_and_recorded() -> None:
    value, tangent = limpid.jvp(lambda x: chain(x, DEEP), (np.array(2.0),), (np.array(3.0),))
    assert (value, tangent) == (2.0, 3.0)
    recorded = limpid.record(lambda x: chain(x, 20_000), np.array(2.0))
    assert recorded(np.array(2.0)).item() == 2.0


def test_time_grows_linearly_with_depth() -> None:
    """Four times the depth costs far less than sixteen times the time (a quadratic would)."""

    def seconds(length: int) -> float:
        best = np.inf
        for _ in range(3):
            x = limpid.tensor(1.0, requires_grad=True)
            start = time.process_time()
            chain(x, length).backward()
            best = min(best, time.process_time() - start)
        return best

    seconds(1_000)
    assert seconds(40_000) < 10 * seconds(10_000)


def test_sixty_doublings_are_exact() -> None:
    x = limpid.tensor(1.0, requires_grad=True, dtype="float64")
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert y.item() == 2.0**60
    assert x.grad is not None
    assert x.grad.item() == 2.0**60
    _, tangent = limpid.jvp(_double_sixty, (np.array(1.0),), (np.array(1.0),))
    assert tangent == 2.0**60


def _double_sixty(y: limpid.Tensor) -> limpid.Tensor:
    for _ in range(60):
        y = y + y
    return y


def training_step(w: limpid.Tensor, x: np.ndarray) -> None:
    w.grad = None
    loss = limpid.sum(limpid.tanh(x @ w) * 0.5)
    loss.backward()
    with limpid.no_grad():
        limpid.assign(w, w - 0.01 * w.grad)


def test_memory_stays_flat_without_the_cyclic_collector() -> None:
    w = limpid.Parameter(np.full((4, 3), 0.1))
    x = np.linspace(-1, 1, 8).reshape(2, 4)
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        for _ in range(2_500):  # the interpreter fills its free lists
            training_step(w, x)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(10_000):
            training_step(w, x)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 10_000


def test_threads_do_not_cross_talk() -> None:
    found: dict[int, float] = {}

    def differentiate(k: int) -> None:
        total = 0.0
        for _ in range(50):
            x = limpid.tensor(np.full(3, float(k)), requires_grad=True)
            with limpid.no_grad() if k % 2 else limpid.enable_grad():
                assert limpid.is_grad_enabled() == (k % 2 == 0)
            limpid.sum(chain(x * x, 20)).backward()
            total += float(x.grad.numpy().sum())
            total += float(limpid.grad(lambda v: limpid.sum(v * v * k))(np.ones(2)).sum())
        found[k] = total

    threads = [threading.Thread(target=differentiate, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: 50 * (6.0 * k + 4.0 * k) for k in range(8)}


def test_a_wrong_rule_is_caught() -> None:
    """The table's own check fails for a rule that is wrong at order 1, and at order 2 only."""
    from tests.table import Row, normal
    from tests.test_table import test_jvp_against_finite_differences, test_second_order

    wrong = limpid.elementwise("wrong_at_once", np.sin, local=[lambda y, x: limpid.cos(x) * 1.001])
    with pytest.raises(AssertionError):
        test_jvp_against_finite_differences(Row("wrong_at_once", wrong, (normal(3),)))
    hidden = limpid.elementwise(
        "wrong_later", np.sin, local=[lambda y, x: limpid.stop_gradient(limpid.cos(x))]
    )
    test_jvp_against_finite_differences(Row("wrong_later", hidden, (normal(3),)))
    with pytest.raises(AssertionError):
        test_second_order(Row("wrong_later", hidden, (normal(3),)))


def test_only_what_rules_read_is_saved() -> None:
    x = limpid.tensor(np.ones(5), requires_grad=True)
    assert (x + x).node.saved == (None, None, None)
    tanh = limpid.tanh(x).node.saved
    assert tanh[0] is not None
    assert tanh[1] is None
    product = (x * 3.0).node.saved
    assert product[:2] == (None, None)


def test_exceptions_in_backward_leave_state_usable() -> None:
    def explode(y: object, x: object) -> object:
        raise ZeroDivisionError("inside a rule")

    fragile = limpid.elementwise("fragile", np.sin, local=[lambda y, x: limpid.cos(x)])
    x = limpid.tensor([1.0, 2.0], requires_grad=True)
    loss = limpid.sum(fragile(x * 2.0))
    object.__setattr__(fragile, "local_rules", (explode,))
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    assert x.grad is None
    object.__setattr__(fragile, "local_rules", (lambda y, x: limpid.cos(x),))
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.cos([2.0, 4.0]), rtol=1e-6)


def test_rules_use_public_operations_only() -> None:
    """Every rule of every row records: a rule that touched NumPy would have failed to."""
    from limpid.differentiation.kinds import General, Local, Transpose
    from limpid.graph.registry import primitives

    for primitive in primitives.values():
        if not primitive.module.startswith("limpid."):
            continue
        for derivative in primitive.derivatives:
            rules = [
                getattr(derivative, name, None)
                for name in ("rule", "vjp", "jvp")
                if isinstance(derivative, Local | Transpose | General)
            ]
            for rule in rules:
                if callable(rule):
                    assert "np" not in rule.__code__.co_names, primitive.name
