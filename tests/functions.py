"""Functions written by hand, for the tests of `Function`."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid

X = np.array([0.3, -1.2, 2.0])


class Exp(limpid.Function):
    @staticmethod
    def forward(ctx, x):
        y = limpid.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_y):
        (y,) = ctx.saved_tensors
        return grad_y * y


class Product(limpid.Function):
    """x·y and x + y·factor, with plain functions in place of static methods."""

    def forward(ctx, x, y, factor=2.0):
        ctx.save_for_backward(x, y)
        ctx.factor = factor
        return x * y, x + y * factor

    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * y + h, g * x + h * ctx.factor, None


class NumpyTanh(limpid.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.y = np.tanh(x.numpy())
        return ctx.y

    @staticmethod
    def backward(ctx, g):
        return g.numpy() * (1 - ctx.y**2)


def cubed_exp(x: Any) -> Any:
    return limpid.sum(Exp.apply(x) * x * x)


def plain_cubed_exp(x: Any) -> Any:
    return limpid.sum(limpid.exp(x) * x * x)


def function(forward: Any, backward: Any) -> Any:
    return type("Custom", (limpid.Function,), {"forward": forward, "backward": backward})
