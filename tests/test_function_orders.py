"""Function: second derivatives, and recorded graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid.graph.node import Spec
from tests.functions import Exp, NumpyTanh, Product, X, cubed_exp, function, plain_cubed_exp

# Second derivatives


def test_double_backward() -> None:
    x = limpid.tensor(X, requires_grad=True)
    limpid.sum(Exp.apply(x)).backward(create_graph=True)
    first = x.grad
    assert first is not None
    x.grad = None
    limpid.sum(first * first).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(2 * X), rtol=1e-14)


def test_numpy_in_backward_is_refused_where_it_would_cut() -> None:
    for transform in (
        limpid.hessian,
        lambda f: lambda x: limpid.jvp(f, (x,), (x,)),
    ):
        with pytest.raises(limpid.errors.RuleError, match=r"NumpyTanh\.backward leaves the graph"):
            transform(lambda x: limpid.sum(NumpyTanh.apply(x)))(X)


def test_detach_in_backward_is_noticed() -> None:
    custom = function(lambda ctx, x: x * 2.0, lambda ctx, g: g.detach() * 2.0)
    limpid.grad(lambda x: limpid.sum(custom.apply(x)))(X)
    with pytest.raises(limpid.errors.RuleError, match=r"Custom\.backward left the graph"):
        limpid.jvp(custom.apply, (X,), (X,))
    with pytest.raises(limpid.errors.RuleError, match=r"Custom\.backward left the graph"):
        limpid.hessian(lambda x: limpid.sum(custom.apply(x)))(X)


class Logistic(limpid.Function):
    """Saves an intermediate value, which has no known derivative."""

    @staticmethod
    def forward(ctx, x):
        e = limpid.exp(-x)
        ctx.save_for_backward(e)
        return 1 / (1 + e)

    @staticmethod
    def backward(ctx, g):
        (e,) = ctx.saved_tensors
        return g * e / ((1 + e) * (1 + e))


def test_saved_intermediate_values() -> None:
    s = 1 / (1 + np.exp(-X))
    np.testing.assert_allclose(
        limpid.grad(lambda x: limpid.sum(Logistic.apply(x)))(X), s * (1 - s), rtol=1e-14
    )
    np.testing.assert_allclose(
        limpid.jvp(Logistic.apply, (X,), (X,))[1], X * s * (1 - s), rtol=1e-14
    )
    with pytest.raises(limpid.errors.RuleError, match="neither took nor returned"):
        limpid.hessian(lambda x: limpid.sum(Logistic.apply(x)))(X)
    with pytest.raises(limpid.errors.RuleError, match="neither took nor returned"):
        limpid.grad(lambda x: limpid.jvp(lambda x: limpid.sum(Logistic.apply(x)), (x,), (X,))[1])(X)


def test_a_parameter_that_forward_closes_over() -> None:
    w = limpid.Parameter(X)

    class Weigh(limpid.Function):
        def forward(ctx, x):
            ctx.save_for_backward(w)
            return x * w

        def backward(ctx, g):
            (w,) = ctx.saved_tensors
            return g * w

    x = limpid.tensor(np.ones(3), requires_grad=True)
    (g,) = (limpid.grad(lambda x: limpid.sum(Weigh.apply(x)))(x),)
    limpid.sum(g * g).backward()
    assert w.grad is not None  # of the second derivative, ∂x∂w
    np.testing.assert_allclose(w.grad.numpy(), 2 * X)


# Recording


def test_recorded_it_is_one_node() -> None:
    recorded = limpid.record(lambda x: Exp.apply(x * 2), X)
    assert [n.op.name for n in recorded.graph.nodes] == ["multiply", "Exp"]
    assert "Exp(" in str(recorded)
    recorded.graph.check()
    np.testing.assert_array_equal(recorded(X).numpy(), np.exp(2 * X))
    np.testing.assert_array_equal(recorded(X + 1).numpy(), np.exp(2 * X + 2))


def test_recorded_its_gradient_is_one_node() -> None:
    recorded = limpid.record(limpid.grad(lambda x: limpid.sum(NumpyTanh.apply(x))), X)
    names = [n.op.name for n in recorded.graph.nodes]
    assert names.count("NumpyTanh.backward") == 1
    text = str(recorded)
    assert "NumpyTanh.backward(" in text
    assert "test_function_orders.py" in text
    np.testing.assert_allclose(recorded(X).numpy(), 1 - np.tanh(X) ** 2, rtol=1e-15)


def test_recorded_with_two_arguments_backward_runs_once() -> None:
    runs = []

    class Counted(limpid.Function):
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        def backward(ctx, g):
            runs.append(1)
            a, b = ctx.saved_tensors
            return g * b, g * a

    def loss(a: Any, b: Any) -> Any:
        return limpid.sum(Counted.apply(a, b))

    limpid.grad(loss, (0, 1))(X, X)
    assert len(runs) == 1
    recorded = limpid.record(limpid.grad(loss, (0, 1)), X, X)
    assert len(runs) == 1
    for g in recorded(X, 2 * X):
        assert g.shape == (3,)
    assert len(runs) == 2


def test_recorded_to_any_order() -> None:
    for transform in (
        limpid.hessian,
        lambda f: limpid.jacobian(limpid.jacobian(f, mode="forward"), mode="forward"),
        lambda f: limpid.jacobian(limpid.jacobian(f, mode="forward"), mode="reverse"),
        lambda f: limpid.jacobian(limpid.hessian(f)),
    ):
        recorded = limpid.record(transform(cubed_exp), X)
        recorded.graph.check()
        np.testing.assert_allclose(recorded(X).numpy(), transform(plain_cubed_exp)(X), rtol=1e-12)


def test_recorded_with_arguments_that_are_no_tensors() -> None:
    recorded = limpid.record(
        limpid.grad(lambda x, y: limpid.sum(Product.apply(x, y, [5.0][0])[1]), (0, 1)), X, X
    )
    assert "factor=5.0" in str(recorded)
    np.testing.assert_array_equal(recorded(X, X)[1].numpy(), np.full(3, 5.0))

    class Apply(limpid.Function):
        def forward(ctx, x, f, table):
            return f(x) * table["k"]

        def backward(ctx, g):
            return g, None, None

    recorded = limpid.record(lambda x: Apply.apply(x, lambda x: x + 1, {"k": 2.0}), X)
    assert "lambda" in str(recorded)
    np.testing.assert_array_equal(recorded(X).numpy(), (X + 1) * 2)


def test_recorded_mask_of_this_run() -> None:
    """The backward of a run uses what the forward of the same run kept."""
    rng = np.random.default_rng(0)

    class Drop(limpid.Function):
        def forward(ctx, x):
            ctx.mask = (rng.random(x.shape) < 0.5).astype(float)
            return x * ctx.mask

        def backward(ctx, g):
            return g * ctx.mask

    recorded = limpid.record(
        lambda x: limpid.value_and_grad(lambda x: limpid.sum(Drop.apply(x) * 1.0))(x), np.ones(20)
    )
    for _ in range(5):
        value, g = recorded(np.ones(20))
        assert float(value) == g.numpy().sum()


def test_recording_needs_shapes() -> None:
    class Picky(limpid.Function):
        def forward(ctx, x):
            if x.numpy()[0] == 1.0:
                raise ValueError("ones are no good")
            return x[1:]

        def backward(ctx, g):
            return limpid.concat([g[:1] * 0, g])

    with pytest.raises(limpid.errors.RuleError, match="tried on ones"):
        limpid.record(Picky.apply, X)

    class Told(Picky):
        @staticmethod
        def shape(x):
            return Spec((x.shape[0] - 1,), x.dtype)

    recorded = limpid.record(limpid.grad(lambda x: limpid.sum(Told.apply(x))), X)
    np.testing.assert_array_equal(recorded(X).numpy(), [0.0, 1.0, 1.0])


def test_the_trial_leaves_no_traces() -> None:
    counter = limpid.Buffer(np.zeros(()))
    generator = limpid.random.Generator(3)

    class Noisy(limpid.Function):
        def forward(ctx, x):
            limpid.assign(counter, counter + 1.0)
            return x + limpid.random.normal(shape=(3,), generator=generator, dtype="float64")

        def backward(ctx, g):
            return g

    before = repr(generator)
    limpid.record(Noisy.apply, X)
    assert counter.item() == 0.0
    assert repr(generator) == before


def test_recorded_backward_of_a_loss() -> None:
    w = limpid.Parameter(X)

    def step(x: Any) -> Any:
        loss = limpid.sum(Exp.apply(w) * x)
        loss.backward()
        return loss

    recorded = limpid.record(step, X)
    w.grad = None
    recorded(X)
    assert w.grad is not None
    np.testing.assert_allclose(w.grad.numpy(), np.exp(X) * X, rtol=1e-15)
