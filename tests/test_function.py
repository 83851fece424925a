"""Function: forward and backward written by hand."""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import limpid
from tests.functions import Exp, NumpyTanh, Product, X, cubed_exp, plain_cubed_exp


def test_value_and_gradient() -> None:
    np.testing.assert_array_equal(Exp.apply(X), np.exp(X))
    x = limpid.tensor(X, requires_grad=True)
    y = Exp.apply(x)
    assert isinstance(y, limpid.Tensor)
    limpid.sum(y).backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), np.exp(X), rtol=1e-15)
    g = limpid.grad(lambda x: limpid.sum(NumpyTanh.apply(x)))(X)
    np.testing.assert_allclose(g, 1 - np.tanh(X) ** 2, rtol=1e-15)


def test_arrays_in_arrays_out() -> None:
    assert isinstance(Exp.apply(X), np.ndarray)
    a, b = Product.apply(X, X)
    np.testing.assert_array_equal(a, X * X)
    np.testing.assert_array_equal(b, 3 * X)
    assert isinstance(Exp.apply(limpid.tensor(X)), limpid.Tensor)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(dtype: str) -> None:
    x = X.astype(dtype)
    g = limpid.grad(lambda x: limpid.sum(Exp.apply(x)))(x)
    assert g.dtype == dtype
    y, dy = limpid.jvp(Exp.apply, (x,), (x,))
    assert y.dtype == dy.dtype == dtype


def test_every_order_and_mode() -> None:
    for transform in (limpid.grad, limpid.hessian):
        np.testing.assert_allclose(
            transform(cubed_exp)(X), transform(plain_cubed_exp)(X), rtol=1e-13
        )
    third = limpid.jacobian(limpid.hessian(cubed_exp))(X)
    np.testing.assert_allclose(
        third, limpid.jacobian(limpid.hessian(plain_cubed_exp))(X), rtol=1e-13
    )
    reverse_twice = limpid.jacobian(limpid.grad(cubed_exp), mode="reverse")(X)
    np.testing.assert_allclose(reverse_twice, limpid.hessian(plain_cubed_exp)(X), rtol=1e-13)
    forward_twice = limpid.jacobian(limpid.jacobian(cubed_exp, mode="forward"), mode="forward")(X)
    np.testing.assert_allclose(forward_twice, limpid.hessian(plain_cubed_exp)(X), rtol=1e-13)


def test_check_grad_accepts_a_function() -> None:
    limpid.check_grad(Exp, X)
    limpid.check_grad(Product, X, X[::-1].copy(), 3.0, argnums=(0, 1))


def test_several_outputs_and_arguments_that_are_no_tensors() -> None:
    y = np.array([1.0, 2.0, 3.0])
    gx, gy = limpid.grad(lambda x, y: limpid.sum(Product.apply(x, y, 5.0)[0]), (0, 1))(X, y)
    np.testing.assert_array_equal(gx, y)
    np.testing.assert_array_equal(gy, X)
    gx, gy = limpid.grad(lambda x, y: limpid.sum(Product.apply(x, y, factor=5.0)[1]), (0, 1))(X, y)
    np.testing.assert_array_equal(gx, np.ones(3))
    np.testing.assert_array_equal(gy, np.full(3, 5.0))
    _, tangent = limpid.jvp(lambda x, y: Product.apply(x, y), (X, y), (y, X))
    np.testing.assert_allclose(tangent[0], y * y + X * X)
    np.testing.assert_allclose(tangent[1], y + 2 * X)


def test_defaults_need_no_gradient_and_spare_ones_are_none() -> None:
    class Scale(limpid.Function):
        def forward(ctx, x, factor=3.0):
            ctx.factor = factor
            return x * factor

        def backward(ctx, g):
            return (g * ctx.factor,)  # none for factor, which was not given

    np.testing.assert_array_equal(
        limpid.grad(lambda x: limpid.sum(Scale.apply(x)))(X), np.full(3, 3.0)
    )

    class Spare(Scale):
        def backward(ctx, g):
            return g * ctx.factor, None, None

    np.testing.assert_array_equal(
        limpid.grad(lambda x: limpid.sum(Spare.apply(x)))(X), np.full(3, 3.0)
    )


def test_keyword_only_and_variadic_arguments() -> None:
    class Total(limpid.Function):
        def forward(ctx, *parts, scale):
            ctx.scale, ctx.count = scale, len(parts)
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            return total * scale

        def backward(ctx, g):
            return (g * ctx.scale,) * ctx.count

    gradients = limpid.grad(lambda *p: limpid.sum(Total.apply(*p, scale=2.0)), range(3))(X, X, X)
    for g in gradients:
        np.testing.assert_array_equal(g, np.full(3, 2.0))
    limpid.check_grad(lambda a, b: Total.apply(a, b, scale=0.5), X, X)


def test_needs_input_grad() -> None:
    seen = []

    class Multiply(limpid.Function):
        def forward(ctx, a, b, k):
            seen.append(ctx.needs_input_grad)
            ctx.save_for_backward(a, b)
            return a * b * k

        def backward(ctx, g):
            a, b = ctx.saved_tensors
            assert not (ctx.needs_input_grad[0] and ctx.needs_input_grad[2])
            return g * b if ctx.needs_input_grad[0] else None, g * a, None

    limpid.grad(lambda a: limpid.sum(Multiply.apply(a, X, 1.0)))(X)
    a = limpid.tensor(X)
    limpid.grad(lambda b: limpid.sum(Multiply.apply(a, b, 1.0)))(X)
    with limpid.no_grad():
        Multiply.apply(limpid.tensor(X, requires_grad=True), X, 1.0)
    assert seen == [(True, False, False), (False, True, False), (False, False, False)]


def test_none_is_a_zero_gradient() -> None:
    class First(limpid.Function):
        def forward(ctx, a, b):
            return a * 1.0

        def backward(ctx, g):
            return g, None

    a = limpid.tensor(X, requires_grad=True)
    b = limpid.tensor(X, requires_grad=True)
    limpid.sum(First.apply(a, b)).backward()
    assert b.grad is None
    assert a.grad is not None
    np.testing.assert_array_equal(limpid.jvp(First.apply, (X, X), (X, X))[1], X)
    _, gb = limpid.grad(lambda a, b: limpid.sum(First.apply(a, b)), (0, 1), unused="zeros")(X, X)
    np.testing.assert_array_equal(gb, np.zeros(3))


class SortedValues(limpid.Function):
    """The elements in order and their indices, which have no derivative."""

    @staticmethod
    def forward(ctx, x):
        order = np.argsort(x.numpy())
        ctx.order = order
        ranks = np.asarray(order, float)
        ctx.mark_non_differentiable(ranks)
        return x[order], order, ranks

    @staticmethod
    def backward(ctx, g, g_order, g_ranks):
        assert g_order.shape == g_ranks.shape == g.shape
        assert not g_ranks.numpy().any()
        back = np.argsort(ctx.order)
        return g[back]


def test_outputs_without_derivative() -> None:
    x = limpid.tensor(X, requires_grad=True)
    values, order, ranks = SortedValues.apply(x)
    assert values.requires_grad
    assert not order.requires_grad
    assert not ranks.requires_grad
    limpid.sum(values * np.array([1.0, 2.0, 3.0])).backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 1.0, 3.0])
    _, tangents = limpid.jvp(lambda x: SortedValues.apply(x)[0], (X,), (X,))
    np.testing.assert_array_equal(tangents, np.sort(X))


def test_an_integer_output_that_comes_first() -> None:
    class Where(limpid.Function):
        def forward(ctx, x):
            return (x.numpy() > 0).astype(int), x * 2.0

        def backward(ctx, g_sign, g):
            return g * 2.0

    x = limpid.tensor(X, requires_grad=True)
    sign, twice = Where.apply(x)
    assert not sign.requires_grad
    limpid.sum(twice * sign).backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), 2.0 * (X > 0))
    recorded = limpid.record(limpid.grad(lambda x: limpid.sum(Where.apply(x)[1])), X)
    np.testing.assert_array_equal(recorded(X).numpy(), np.full(3, 2.0))


def test_marking_what_is_not_returned() -> None:
    class Wrong(limpid.Function):
        def forward(ctx, x):
            ctx.mark_non_differentiable(x * 2)
            return x * 3

        def backward(ctx, g):
            return g

    with pytest.raises(limpid.errors.RuleError, match=r"Wrong\.forward marked"):
        Wrong.apply(X)


def test_nothing_is_recorded_in_forward() -> None:
    class Loud(limpid.Function):
        def forward(ctx, x):
            assert not x.requires_grad
            assert not limpid.is_grad_enabled()
            assert float(x[0]) == X[0]  # values may be read, even inside a transform
            return (x * x).detach() * 1.0

        def backward(ctx, g):
            assert not limpid.is_grad_enabled()
            return g * 7.0

    np.testing.assert_array_equal(
        limpid.grad(lambda x: limpid.sum(Loud.apply(x)))(X), np.full(3, 7.0)
    )


def test_returning_an_input_makes_a_new_value() -> None:
    class Same(limpid.Function):
        def forward(ctx, x):
            return x

        def backward(ctx, g):
            return -g  # gradient reversal

    w = limpid.Parameter(X)
    y = Same.apply(w)
    assert y is not w
    limpid.sum(y).backward()
    assert w.grad is not None
    np.testing.assert_array_equal(w.grad.numpy(), -np.ones(3))


def test_arrays_are_kept_as_they_were() -> None:
    class Times(limpid.Function):
        def forward(ctx, x, a):
            ctx.save_for_backward(a)
            return x * a

        def backward(ctx, g):
            (a,) = ctx.saved_tensors
            return g * a, None

    a = X.copy()
    x = limpid.tensor(X, requires_grad=True)
    y = Times.apply(x, a)
    a[:] = 0
    limpid.sum(y).backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), X)


# Running for long, and in parallel


def test_memory_stays_flat_without_the_cyclic_collector() -> None:
    x = limpid.tensor(np.ones(1000), requires_grad=True)

    def iteration() -> None:
        x.grad = None
        a, b = Product.apply(Exp.apply(x), x)
        limpid.sum(a * b).backward()

    gc.collect()
    gc.disable()
    try:
        for _ in range(2500):  # Python keeps up to 2,000 freed tuples of each size
            iteration()
        before = sys.getallocatedblocks()
        for _ in range(10_000):
            iteration()
        grown = sys.getallocatedblocks() - before
    finally:
        gc.enable()
    assert grown < 1000


def test_saved_values_are_freed_by_backward() -> None:
    class Heavy(limpid.Function):
        def forward(ctx, x):
            ctx.work = np.ones(2_000_000)
            return x * 1.0

        def backward(ctx, g):
            return g * 1.0

    x = limpid.tensor(X, requires_grad=True)
    y = limpid.sum(Heavy.apply(x))
    tracemalloc.start()
    held = limpid.sum(Heavy.apply(x))
    full = tracemalloc.get_traced_memory()[0]
    held.backward()
    assert tracemalloc.get_traced_memory()[0] < full - 10_000_000
    tracemalloc.stop()
    y.backward()


def test_threads() -> None:
    wrong = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=5)
        for _ in range(50):
            g = limpid.grad(cubed_exp)(x)
            if not np.allclose(g, limpid.grad(plain_cubed_exp)(x), rtol=1e-12):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
