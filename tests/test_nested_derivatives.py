"""Derivatives of derivatives, gradients of modules and through closures."""

from __future__ import annotations

import threading
import time
from itertools import product
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.graph.node import next_number
from limpid.transforms.inputs import Inputs

X = np.array([0.5, -1.0, 2.0])


# Modules


def network() -> Any:
    limpid.random.seed(0)
    return limpid.nn.Sequential(limpid.nn.Linear(3, 4), limpid.nn.Tanh(), limpid.nn.Linear(4, 1))


def test_gradient_with_respect_to_a_module() -> None:
    model = network()
    x = limpid.tensor(X, dtype="float32")

    def loss(m: Any, scale: Any) -> Any:
        return limpid.sum(m(x)) * scale

    value, (gm, gs) = limpid.value_and_grad(loss, (0, 1))(model, 2.0)
    named = dict(model.named_parameters())
    assert gm.keys() == named.keys()
    assert type(gs) is float
    assert all(p.grad is None for p in named.values())
    loss(model, 2.0).backward()
    for name, p in named.items():
        np.testing.assert_allclose(gm[name].numpy(), p.grad.numpy(), rtol=1e-6)
    assert gs == pytest.approx(float(value) / 2, rel=1e-6)


def test_modules_within_nestings() -> None:
    model = network()
    x = limpid.tensor(X, dtype="float32")
    g = limpid.grad(lambda p: limpid.sum(p["model"](x)) * p["scale"][0])(
        {"model": model, "scale": [3.0]}
    )
    assert g["model"].keys() == dict(model.named_parameters()).keys()
    assert type(g["scale"][0]) is float


def test_frozen_parameters_are_left_out() -> None:
    model = network()
    frozen = next(iter(model.parameters()))
    frozen.requires_grad = False
    g = limpid.grad(lambda m: limpid.sum(m(limpid.tensor(X, dtype="float32"))))(model)
    assert len(g) == len(list(model.parameters())) - 1


def test_tangents_and_curvature_of_a_module() -> None:
    class Quadratic(limpid.nn.Module):
        def __init__(self) -> None:
            self.w = limpid.Parameter(X)

        def forward(self, x: Any) -> Any:
            return limpid.sum(self.w**3 * x)

    module = Quadratic()
    tangent = {"w": np.ones(3)}
    _, dy = limpid.jvp(lambda m: m(X), (module,), (tangent,))
    np.testing.assert_allclose(dy.item(), (3 * X**3).sum())
    (product_,) = limpid.hvp(lambda m: m(X), (module,), (tangent,))
    np.testing.assert_allclose(product_["w"].numpy(), 6 * X * X)
    hessian = limpid.hessian(lambda m: m(X))(module)
    np.testing.assert_allclose(hessian["w"]["w"].numpy(), np.diag(6 * X * X))


def test_what_was_computed_before_is_constant() -> None:
    """∂/∂w of a(w)·w with a computed outside is a, for a module as for any other argument."""

    class One(limpid.nn.Module):
        def __init__(self) -> None:
            self.w = limpid.Parameter(np.array(3.0))

    m = One()
    outside = m.w * m.w

    def outer(m: Any) -> Any:
        a = m.w * m.w
        return limpid.grad(lambda m: a * m.w)(m)["w"]

    assert limpid.grad(lambda m: outside * m.w)(m)["w"].item() == 9.0
    assert outer(m).item() == 9.0
    assert limpid.grad(outer)(m)["w"].item() == 6.0


# Nested derivatives


def derivative(f: Any, mode: str) -> Any:
    if mode == "reverse":
        return limpid.grad(f)
    return lambda x: limpid.jvp(f, (x,), (1.0,))[1]


MODES = ("reverse", "forward")


@pytest.mark.parametrize(("outer", "inner"), list(product(MODES, MODES)))
def test_no_perturbation_confusion(outer: str, inner: str) -> None:
    """d/dx of x·d/dy(x + y) is 1, and other cases from the literature."""

    def d(f: Any, mode: str, x: float) -> Any:
        return derivative(f, mode)(x)

    assert d(lambda x: x * d(lambda y: x + y, inner, 1.0), outer, 1.0) == 1.0
    assert d(lambda x: x * d(lambda y: x * y, inner, 2.0), outer, 3.0) == 6.0
    # Siskind and Pearlmutter 2005: the inner variable takes the outer one's value
    assert d(lambda x: x * d(lambda y: x * y * y, inner, x), outer, 2.0) == 24.0
    # the inner function ignores its own variable
    zero = limpid.grad(lambda y: 0.0 * y, unused="zeros")
    assert d(lambda x: x * x + zero(x), outer, 3.0) == 6.0
    # Manzyuk et al. 2019: a function that returns a function, differentiated and applied twice

    def shift(offset: Any) -> Any:
        return lambda f: lambda x: f(x + offset)

    def hat(f: Any) -> Any:
        return lambda x: d(lambda offset: shift(offset)(f)(x), inner, 0.0)

    assert hat(hat(limpid.exp))(1.0) == pytest.approx(np.exp(np.float32(1.0)), rel=1e-6)


@pytest.mark.parametrize("modes", list(product(MODES, repeat=3)))
def test_third_order(modes: tuple[str, ...]) -> None:
    def f(x: Any) -> Any:
        return x**5

    for mode in modes:
        f = derivative(f, mode)
    assert f(np.float64(2.0)) == pytest.approx(240.0)
    g = limpid.sin
    for mode in modes:
        g = derivative(g, mode)
    assert g(np.float64(0.7)) == pytest.approx(-np.cos(0.7), rel=1e-14)


def test_tenth_order() -> None:
    f: Any = limpid.exp
    for n in range(10):
        f = derivative(f, MODES[n % 2])
    assert f(np.float64(0.5)) == pytest.approx(np.exp(0.5), rel=1e-13)


@pytest.mark.parametrize(("outer", "inner"), list(product(MODES, MODES)))
def test_gradients_flow_through_closures(outer: str, inner: str) -> None:
    w = limpid.tensor(np.float64(2.0), requires_grad=True)
    x = limpid.tensor(np.float64(3.0))
    slope = derivative(lambda x: w * w * x**3, inner)(x)  # 3·w²·x²
    slope.backward()
    assert w.grad is not None
    assert w.grad.item() == 2 * 2 * 3 * 9
    mixed = derivative(lambda w: derivative(lambda x: w * w * x**3, inner)(np.float64(3.0)), outer)
    assert mixed(np.float64(2.0)) == 108.0


def test_gradient_penalty() -> None:
    w = limpid.Parameter(np.array([1.0, 2.0]))
    x = limpid.tensor(np.array([3.0, 4.0]))
    slope = limpid.grad(lambda x: limpid.sum(w * x * x))(x)
    limpid.sum(slope * slope).backward()  # Σ (2·w·x)²
    np.testing.assert_allclose(w.grad.numpy(), 8 * np.array([1.0, 2.0]) * np.array([9.0, 16.0]))


def test_hvp_is_hessian_times_vector() -> None:
    rng = np.random.default_rng(0)
    a, v = rng.normal(size=(4, 4)), rng.normal(size=4)
    x = rng.normal(size=4)

    def f(x: Any) -> Any:
        return limpid.sum(limpid.tanh(a @ x) ** 2) * limpid.sum(x * x)

    hessian = limpid.hessian(f)(x)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)
    np.testing.assert_allclose(limpid.hvp(f, (x,), (v,))[0], hessian @ v, rtol=1e-12)
    reverse_twice = limpid.grad(lambda x: limpid.sum(limpid.grad(f)(x) * v))(x)
    np.testing.assert_allclose(reverse_twice, hessian @ v, rtol=1e-12)


def test_gradient_of_a_jacobian() -> None:
    def f(x: Any) -> Any:
        return limpid.sin(x) * x[0]

    def h(x: Any, mode: str) -> Any:
        return limpid.sum(limpid.jacobian(f, mode=mode)(x) ** 2)

    steps = [np.eye(3)[i] * 1e-6 for i in range(3)]
    numeric = [(h(X + e, "reverse") - h(X - e, "reverse")) / 2e-6 for e in steps]
    for mode in ("forward", "reverse"):
        g = limpid.grad(lambda x, mode=mode: h(x, mode))(X)
        np.testing.assert_allclose(g, numeric, rtol=1e-7)
        np.testing.assert_allclose(
            limpid.jvp(lambda x, mode=mode: h(x, mode), (X,), (X,))[1], g @ X, rtol=1e-12
        )
        recorded = limpid.record(limpid.grad(lambda x, mode=mode: h(x, mode)), X)
        np.testing.assert_allclose(recorded(X).numpy(), g, rtol=1e-12)


def test_pullback_used_again_and_within_another_transform() -> None:
    _, pullback = limpid.vjp(lambda x: x * x, X)
    np.testing.assert_array_equal(pullback(X)[0], 2 * X * X)
    np.testing.assert_array_equal(pullback(np.ones(3))[0], 2 * X)
    np.testing.assert_array_equal(limpid.grad(lambda g: limpid.sum(pullback(g)[0]))(X), 2 * X)
    g = X.copy()
    first = pullback(g)[0]
    g[:] = 1.0
    np.testing.assert_array_equal(pullback(g)[0], 2 * X)
    np.testing.assert_array_equal(first, 2 * X * X)


def test_transforms_of_constants_while_recording() -> None:
    def f(x: Any) -> Any:
        slope = limpid.grad(lambda y: limpid.sum(y * y))(X)  # of an array, not an input
        _, tangent = limpid.jvp(limpid.sin, (X,), (X,))
        return x * slope + tangent

    recorded = limpid.record(f, X)
    assert not recorded.graph.slots
    np.testing.assert_allclose(recorded(X).numpy(), X * 2 * X + X * np.cos(X), rtol=1e-15)


def test_long_closed_over_histories_cost_nothing() -> None:
    """A transform looks at what its function did, not at what came before."""
    y = limpid.tensor(np.float64(1.0), requires_grad=True)
    for _ in range(20_000):
        y = y * 1.0
    inputs = Inputs((3.0,), 0)
    assert inputs.since <= next_number()
    start = time.process_time()
    for _ in range(100):
        limpid.grad(lambda x: x * y)(np.float64(2.0))
    assert time.process_time() - start < 1.0


def test_threads() -> None:
    wrong: list[int] = []
    shared = network()
    x32 = limpid.tensor(X, dtype="float32")
    expected = limpid.grad(lambda m: limpid.sum(m(x32)))(shared)

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=4)
        for _ in range(30):
            h = limpid.hessian(lambda x: limpid.sum(limpid.sin(x) * x * x))(x)
            exact = np.diag(2 * np.sin(x) + 4 * x * np.cos(x) - x * x * np.sin(x))
            g = limpid.grad(lambda m: limpid.sum(m(x32)))(shared)
            same = all(np.array_equal(g[n].numpy(), e.numpy()) for n, e in expected.items())
            if not (np.allclose(h, exact, rtol=1e-12) and same):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
