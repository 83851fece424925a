"""Dropout: how often what is dropped, the derivative given the noise, train and eval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, ShapeError
from limpid.nn import functional as F

LIMIT = 1.0507009873554805 * 1.6732632423543772  # λα of SELU
CHANNELS = [
    (F.dropout1d, (40, 50, 3), 2), (F.dropout1d, (2000, 3), 1),
    (F.dropout2d, (40, 50, 2, 3), 2), (F.dropout2d, (2000, 2, 3), 1),
    (F.dropout3d, (40, 50, 2, 1, 3), 2), (F.dropout3d, (2000, 2, 1, 3), 1),
]  # fmt: skip
LAYERS = [
    (nn.Dropout, (4, 6)), (nn.Dropout1d, (2, 3, 4)), (nn.Dropout2d, (2, 3, 4, 5)),
    (nn.Dropout3d, (2, 3, 4, 5, 6)), (nn.AlphaDropout, (4, 6)), (nn.FeatureAlphaDropout, (2, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("function", "shape", "leading"), CHANNELS)
def test_whole_channels_are_dropped(function: Any, shape: tuple[int, ...], leading: int) -> None:
    limpid.random.seed(0)
    y = function(limpid.ones(shape), 0.3).numpy()
    channels = y.reshape(int(np.prod(shape[:leading])), -1)
    assert (channels == channels[:, :1]).all()
    assert set(np.unique(channels)) == {0.0, np.float32(1 / 0.7)}
    dropped = (channels[:, 0] == 0).mean()
    assert abs(dropped - 0.3) < 4 * np.sqrt(0.3 * 0.7 / len(channels))


def test_elements_and_channels_are_dropped_independently() -> None:
    limpid.random.seed(1)
    kept = F.dropout(limpid.ones((200, 100)), 0.5).numpy() > 0
    assert abs(np.corrcoef(kept[:, 0], kept[:, 1])[0, 1]) < 0.3
    pairs = kept[:, :-1] == kept[:, 1:]
    assert abs(pairs.mean() - 0.5) < 0.02


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_alpha_dropout_keeps_mean_and_variance(p: float) -> None:
    limpid.random.seed(0)
    x = limpid.random.normal(shape=(400, 500), dtype="float64")
    y = F.alpha_dropout(x, p, training=True).numpy()
    assert abs(y.mean()) < 0.02
    assert abs(y.var() - 1) < 0.04
    a = 1 / np.sqrt((1 - p) * (1 + p * LIMIT**2))
    low = a * p * LIMIT - a * LIMIT
    dropped = np.abs(y - low) < 1e-12
    assert abs(dropped.mean() - p) < 0.01
    np.testing.assert_allclose(y[~dropped], a * x.numpy()[~dropped] + a * p * LIMIT, rtol=1e-12)


def test_feature_alpha_dropout_drops_channels() -> None:
    limpid.random.seed(0)
    for shape in ((30, 40), (30, 40, 3), (30, 40, 2, 3)):
        y = F.feature_alpha_dropout(limpid.ones(shape), 0.5, training=True).numpy()
        channels = y.reshape(1200, -1)
        assert (channels == channels[:, :1]).all()
        assert len(np.unique(channels)) == 2
        assert abs((channels[:, 0] == channels.min()).mean() - 0.5) < 0.06


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_the_derivative_is_that_of_the_noise(layer: Any, shape: tuple[int, ...]) -> None:
    """With the same numbers drawn the layer is affine, and differences give its slope."""
    module = layer(0.4)
    x = np.random.default_rng(0).normal(size=shape)
    v = np.random.default_rng(1).normal(size=shape)

    def same_noise(x: Any) -> Any:
        limpid.random.seed(5)
        return module(x)

    slope = limpid.jvp(same_noise, (x,), (v,))[1]
    difference = same_noise(x + v).numpy() - same_noise(x).numpy()
    np.testing.assert_allclose(slope, difference, atol=1e-12)
    gradient = limpid.grad(lambda x: limpid.sum(same_noise(x) * v))(x)
    np.testing.assert_allclose(gradient * v, slope * v, atol=1e-12)
    assert np.count_nonzero(gradient == 0) > 0


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_train_eval_and_the_ends(layer: Any, shape: tuple[int, ...]) -> None:
    x = limpid.asarray(np.random.default_rng(0).normal(size=shape))
    module = layer()
    assert module.p == 0.5
    assert (module(x).numpy() != x.numpy()).any()
    assert module.eval()(x) is x
    assert layer(0.0)(x) is x
    assert not layer(1.0)(x).numpy().any()
    assert repr(layer(0.25)) == f"{layer.__name__}(p=0.25, inplace=False)"
    for p in (-0.1, 1.5, float("nan")):
        with pytest.raises(ArgumentError, match="from 0 to 1"):
            layer(p)
    empty = limpid.zeros((0, *shape[1:]))
    assert module.train()(empty).shape == empty.shape
    strange = np.asfortranarray(x.numpy())[::-1]
    limpid.random.seed(2)
    first = module(strange).numpy()
    limpid.random.seed(2)
    np.testing.assert_array_equal(first, module(strange.copy()).numpy())


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_a_recording_draws_what_eager_draws(layer: Any, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    module = layer(0.5)
    limpid.random.seed(3)
    recorded = limpid.record(module, x)
    first, second = recorded(x).numpy(), recorded(x).numpy()
    assert (first != second).any()
    limpid.random.seed(3)
    np.testing.assert_array_equal(module(limpid.asarray(x)).numpy(), first)


def test_shapes_are_checked() -> None:
    for function, shape, axes in (
        (F.dropout1d, (3,), 3), (F.dropout1d, (2, 3, 4, 5), 3),
        (F.dropout2d, (2, 3), 4), (F.dropout2d, (1,) * 5, 4),
        (F.dropout3d, (2, 3, 4), 5), (F.dropout3d, (1,) * 6, 5),
    ):  # fmt: skip
        with pytest.raises(ShapeError, match=rf"{function.__name__}: the input has {axes} axes"):
            function(limpid.zeros(shape))
    with pytest.raises(ShapeError, match=r"\(N, C, …\), not \(3,\)"):
        F.feature_alpha_dropout(limpid.zeros(3), training=True)


def test_what_is_not_in_training_is_not_touched() -> None:
    x = limpid.tensor([1.0, 2.0])
    for function in (F.alpha_dropout, F.dropout):
        assert function(x, 0.9, training=False) is x
    assert F.feature_alpha_dropout(limpid.ones((1, 2))).tolist() == [[1.0, 1.0]]
