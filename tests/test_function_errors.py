"""Function: mistakes, and what they leave behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from tests.functions import Exp, X, function


@pytest.mark.parametrize(
    ("backward", "words"),
    [
        (lambda ctx, g: (g, g), "Custom.backward returned 2 gradients, but forward takes 1"),
        (lambda ctx, g: (), "returned 0 gradients"),
        (lambda ctx, g: g[:2], r"argument x .* shape \(2,\).* argument's shape \(3,\)"),
        (lambda ctx, g: limpid.sum(g), r"shape \(\); it must have the argument's shape \(3,\)"),
        (lambda ctx, g: limpid.astype(g, "float32"), "dtype float32.* argument's dtype float64"),
        (lambda ctx, g: [[1.0, 2.0, 3.0]], "a gradient is a tensor, an array or None"),
        (lambda ctx, g: 1.0, "a gradient is a tensor"),
    ],
)
def test_gradients_that_do_not_fit(backward: Any, words: str) -> None:
    custom = function(lambda ctx, x: x * 2.0, backward)
    x = limpid.tensor(X, requires_grad=True)
    with pytest.raises(limpid.errors.RuleError, match=words):
        limpid.sum(custom.apply(x)).backward()
    assert x.grad is None


@pytest.mark.parametrize("result", [None, "x", 3.0, [], {"y": 1}, (X, None)])
def test_forward_that_returns_no_array(result: Any) -> None:
    custom = function(lambda ctx, x: result, lambda ctx, g: g)
    with pytest.raises(limpid.errors.RuleError, match=r"Custom\.forward returned"):
        custom.apply(X)


def test_mistakes_in_the_class_and_the_call() -> None:
    class Half(limpid.Function):
        def forward(ctx, x):
            return x

    with pytest.raises(limpid.errors.DeclarationError, match="does not define backward"):
        Half.apply(X)
    with pytest.raises(limpid.errors.DeclarationError, match=r"Exp\.apply"):
        Exp()
    with pytest.raises(limpid.errors.ArgumentError, match=r"Exp\.apply: too many"):
        Exp.apply(X, X)
    with pytest.raises(limpid.errors.ArgumentError, match=r"Exp\.apply: missing"):
        Exp.apply()
    x = limpid.tensor(X, requires_grad=True)
    custom = function(lambda ctx, xs: xs[0], lambda ctx, g: None)
    with pytest.raises(limpid.errors.OperandError, match=r"xs\.0 of Custom"):
        custom.apply([x])
    custom = function(lambda ctx, x: ctx.save_for_backward(3), lambda ctx, g: None)
    with pytest.raises(limpid.errors.OperandError, match="keep other things as attributes"):
        custom.apply(x)


def test_exceptions_in_backward_leave_gradients_and_graph_usable() -> None:
    fail = [True]

    class Fragile(limpid.Function):
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        def backward(ctx, g):
            if fail[0]:
                raise ZeroDivisionError("not now")
            (x,) = ctx.saved_tensors
            return 2 * g * x

    x = limpid.tensor(X, requires_grad=True)
    other = limpid.tensor(X, requires_grad=True)
    loss = limpid.sum(Fragile.apply(x) * other)
    with pytest.raises(ZeroDivisionError, match="not now"):
        loss.backward()
    assert x.grad is None
    assert other.grad is None
    assert limpid.is_grad_enabled()
    fail[0] = False
    loss.backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 2 * X * X)
    fail[0] = True
    with pytest.raises(ZeroDivisionError):
        limpid.grad(lambda x: limpid.sum(Fragile.apply(x)))(X)
    assert (limpid.tensor(X, requires_grad=True) * 2).requires_grad


def test_saved_slots_may_not_be_overwritten() -> None:
    class Square(limpid.Function):
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * g * x

    w = limpid.Parameter(X)
    loss = limpid.sum(Square.apply(w))
    limpid.assign(w, w * 0.5)
    with pytest.raises(limpid.errors.OverwrittenError, match="gradient of Square"):
        loss.backward()
    loss = limpid.sum(Exp.apply(w))  # reads its output only
    limpid.assign(w, w * 0.5)
    loss.backward()


def test_a_second_backward_is_refused_and_memory_returned() -> None:
    x = limpid.tensor(X, requires_grad=True)
    y = Exp.apply(x)
    limpid.sum(y).backward()
    with pytest.raises(limpid.errors.FreedError, match="Exp"):
        limpid.sum(y).backward()
