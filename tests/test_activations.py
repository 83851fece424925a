"""Activations that are more than a formula: random slopes, and axes that are not named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, ShapeError
from limpid.nn import functional as F

X = np.random.default_rng(0).normal(size=(40, 50))


def test_random_slopes_in_training() -> None:
    limpid.random.seed(0)
    layer = nn.RReLU(0.2, 0.6)
    x = limpid.tensor(X, requires_grad=True)
    y = layer(x)
    slopes = (y / x).detach().numpy()
    np.testing.assert_allclose(slopes[X > 0], 1)
    below = slopes[X < 0]
    assert 0.2 <= below.min() < 0.21
    assert 0.59 < below.max() < 0.6 + 1e-12
    assert abs(below.mean() - 0.4) < 0.02
    y.sum().backward()
    np.testing.assert_allclose(x.grad, slopes)
    assert (layer(x).detach().numpy() != y.detach().numpy()).any()
    assert y.dtype is limpid.float64
    assert layer(np.float32(X)).dtype is limpid.float32


def test_the_mean_slope_in_eval() -> None:
    for layer in (nn.RReLU(0.2, 0.6).eval(), lambda x: F.rrelu(x, 0.2, 0.6)):
        np.testing.assert_allclose(layer(X), np.where(X > 0, X, 0.4 * X))
    assert F.rrelu(np.zeros((0, 3)), training=True).shape == (0, 3)
    assert F.rrelu(-1.0, 0.5, 0.5, training=True).item() == -0.5


def test_slopes_that_are_given() -> None:
    slopes = np.linspace(0, 1, 50)
    x, s = limpid.tensor(X, requires_grad=True), limpid.tensor(slopes, requires_grad=True)
    y = F.rrelu(x, noise=s)
    y.sum().backward()
    np.testing.assert_allclose(y.detach(), np.where(X > 0, X, slopes * X))
    np.testing.assert_allclose(x.grad, np.where(X > 0, 1, slopes))
    np.testing.assert_allclose(s.grad, np.minimum(X, 0).sum(0))
    np.testing.assert_allclose(F.rrelu(X, noise=0.5), np.where(X > 0, X, 0.5 * X))
    with pytest.raises(ArgumentError, match="lower must not exceed upper"):
        nn.RReLU(0.6, 0.2)(X)


def test_slopes_in_a_recording_are_drawn_anew() -> None:
    limpid.random.seed(3)
    layer = nn.RReLU()
    recorded = limpid.record(layer, X)
    first, second = recorded(X).numpy(), recorded(X).numpy()
    assert (first != second).any()
    limpid.random.seed(3)
    np.testing.assert_array_equal(layer(limpid.asarray(X)).numpy(), first)


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_the_axis_of_classes_without_dim(name: str) -> None:
    function: Any = getattr(F, name)
    for shape, axis in (((5,), 0), ((3, 5), 1)):
        x = X.reshape(-1)[: int(np.prod(shape))].reshape(shape)
        np.testing.assert_array_equal(function(x), function(x, dim=axis))
    for shape, axis in (((2, 3, 4), 0), ((2, 3, 4, 5), 1), ((1, 2, 3, 4, 5), 1)):
        x = X.reshape(-1)[: int(np.prod(shape))].reshape(shape)
        with pytest.warns(UserWarning, match=f"{name} of {len(shape)} axes .* dim={axis}"):
            y = function(x)
        np.testing.assert_array_equal(y, function(x, dim=axis))
    assert function(np.float32([1, 2]), dtype="float64").dtype == np.float64


def test_softmax_of_channels() -> None:
    x = X[:, :48].reshape(4, 10, 6, 8)
    np.testing.assert_allclose(np.sum(nn.Softmax2d()(x), 1), 1)
    np.testing.assert_array_equal(nn.Softmax2d()(x[0]), F.softmax(x, dim=1)[0])
    for shape in ((3,), (3, 4), (1,) * 5):
        with pytest.raises(ShapeError, match="Softmax2d"):
            nn.Softmax2d()(np.ones(shape))
