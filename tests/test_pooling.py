"""Pooling: layouts and ugly inputs, kinks, types, layers, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, DTypeError, IndexingError, LimpidError, ShapeError
from limpid.nn import functional as F
from limpid.ops.windows import addresses
from tests.pool_loops import slow_adaptive, slow_avg, slow_max
from tests.test_convolution import layouts

POOLS = {
    "max": lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    "max apart": lambda x: F.max_pool2d(x, 2),
    "max of all": lambda x: F.max_pool2d(x, (7, 6)),
    "average": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    "average apart": lambda x: F.avg_pool2d(x, 2),
    "average of all": lambda x: F.avg_pool2d(x, (7, 6)),
    "lp": lambda x: F.lp_pool2d(x, 2, 3, 1),
    "adaptive average": lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
    "adaptive max": lambda x: F.adaptive_max_pool2d(x, (3, 4)),
    "unfold": lambda x: F.unfold(x, 3, padding=1, stride=2),
    "global max": F.global_max_pool,
    "global average": F.global_avg_pool,
}
pools = pytest.mark.parametrize("name", POOLS)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def loss(name: str) -> Any:
    return lambda x: limpid.sum(limpid.sin(POOLS[name](x)))


@pools
@pytest.mark.parametrize("layout", layouts(), ids=lambda f: f.__name__)
def test_any_memory_layout(name: str, layout: Any) -> None:
    x = numbers(3, 20, 7, 6)
    given = layout(x)
    kept = given.copy()
    np.testing.assert_allclose(POOLS[name](given), POOLS[name](x), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        limpid.grad(loss(name))(given), limpid.grad(loss(name))(x), rtol=1e-12, atol=1e-15
    )
    np.testing.assert_array_equal(given, kept)


@pools
def test_parts_of_large_inputs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that is cut into parts, by its first axis or, without a batch, by another."""
    for shape in ((5, 4, 7, 6), (1, 9, 7, 6)):
        x = numbers(*shape)
        whole = POOLS[name](x), limpid.grad(loss(name))(x)
        monkeypatch.setattr(addresses, "PART", 100)
        monkeypatch.setattr(addresses, "BLOCK", 50)
        monkeypatch.setattr("limpid.ops.windows.max_pool.PART", 100)
        for got, wanted in zip((POOLS[name](x), limpid.grad(loss(name))(x)), whole, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-15)
        monkeypatch.undo()


@pytest.mark.parametrize("stride", [1, 2])
def test_results_lie_in_memory_as_the_input_does(stride: int) -> None:
    """Channels that are innermost stay so, forward and backward."""
    x = np.moveaxis(numbers(3, 7, 6, 20), -1, 1)
    window = {
        "kernel": (2, 2), "stride": (stride, stride), "padding": ((0, 0), (0, 0)),
        "dilation": (1, 1),
    }  # fmt: skip
    call = limpid.primitives
    y, winner = call["max_pool"](x, **window)
    total = call["sum_pool"](x, **window)
    back = call["window_put"](y, winner, extents=(7, 6), **window)
    spread = call["sum_pool_input"](total, extents=(7, 6), **window)
    picked = call["window_pick"](x, winner, **window)
    assert {z.strides[1] for z in (y, total, back, spread, picked)} == {8}
    np.testing.assert_array_equal(picked, y)


@pools
def test_nothing_in_the_batch(name: str) -> None:
    x = limpid.tensor(np.zeros((0, 3, 7, 6)), requires_grad=True)
    y = POOLS[name](x)
    assert y.shape[0] == 0
    assert y.shape[1:] == POOLS[name](np.zeros((1, 3, 7, 6))).shape[1:]
    limpid.sum(y).backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


@pools
def test_recorded_equals_eager(name: str) -> None:
    x = numbers(2, 3, 7, 6)
    recorded = limpid.record(loss(name), x)
    np.testing.assert_array_equal(recorded(x).numpy(), np.asarray(loss(name)(x)))


# Kinks


def test_ties_go_to_the_first_of_the_window() -> None:
    x = np.array([[[1.0, 5.0, 5.0], [5.0, 5.0, 0.0], [5.0, 1.0, 5.0]]])
    first = [[[0, 2, 0], [1, 1, 0], [0, 0, 0]]]
    for pool in (lambda x: F.max_pool2d(x, 2, 1), lambda x: F.adaptive_max_pool2d(x, 2)):
        g = limpid.grad(lambda x, pool=pool: limpid.sum(pool(x)))(x)
        np.testing.assert_array_equal(g, first)
    g = limpid.grad(lambda x: limpid.sum(F.global_max_pool(x)))(x[None])
    np.testing.assert_array_equal(g[0], [[[0, 1, 0], [0, 0, 0], [0, 0, 0]]])


def test_nan_wins_and_stays_in_its_windows() -> None:
    x = np.arange(16.0).reshape(1, 4, 4)
    x[0, 0, 1] = np.nan
    for pool in (F.max_pool2d, F.avg_pool2d):
        y = pool(x, 2)
        assert np.isnan(y[0, 0, 0])
        assert np.isnan(y).sum() == 1
    assert F.max_pool2d(x, 2, return_indices=True)[1][0, 0, 0] == 1
    assert F.adaptive_max_pool2d(x, 3, return_indices=True)[1][0, 0, 0] == 1


def test_minus_infinity_has_a_position() -> None:
    """Also where the first places of the window are padding."""
    x = np.full((1, 3, 3), -np.inf)
    y, positions = F.max_pool2d(x, 3, 1, 1, return_indices=True)
    assert (y == -np.inf).all()
    np.testing.assert_array_equal(positions[0], [[0, 0, 1], [0, 0, 1], [3, 3, 4]])


def test_infinite_gradients_reach_the_largest_alone() -> None:
    x = limpid.tensor([[1.0, 2.0, 4.0, 3.0]], requires_grad=True)
    F.max_pool1d(x, 2).backward(np.array([[np.inf, 1.0]], np.float32))
    np.testing.assert_array_equal(x.grad, [[0, np.inf, 1, 0]])


def test_lp_pooling_has_no_gradient_at_zero() -> None:
    x = np.array([[0.0, 0.0, 3.0, 4.0]])
    g = limpid.grad(lambda x: limpid.sum(F.lp_pool1d(x, 2, 2)))(x)
    np.testing.assert_allclose(g, [[0, 0, 0.6, 0.8]])


def test_unpooling_twice_to_one_position() -> None:
    """The last value stays, and it alone receives the gradient."""
    x, indices = numbers(2, 5), np.array([[0, 3, 3, 1, 3], [2, 2, 2, 2, 2]])
    y = F.max_unpool1d(x, indices, 2)
    np.testing.assert_array_equal(y[0, [0, 1, 3]], x[0, [0, 3, 4]])
    assert y[1, 2] == x[1, 4]
    assert np.count_nonzero(y) == 4
    limpid.check_grad(lambda x: F.max_unpool1d(x, indices, 2) ** 2, x)
    g = limpid.grad(lambda x: limpid.sum(F.max_unpool1d(x, indices, 2)))(x)
    np.testing.assert_array_equal(g, [[1, 0, 0, 1, 1], [0, 0, 0, 0, 1]])


# Types and sizes


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "float16", "float32"])
def test_element_types(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 5, (2, 3, 6, 5)).astype(dtype)
    y, positions = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    expected, places = slow_max(x.astype(float), 3, 2, 1)
    assert y.dtype == dtype
    assert positions.dtype == np.int64
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(positions, places)
    mean = F.avg_pool2d(x, 3, 2, 1)
    assert mean.dtype == (dtype if dtype.startswith("float") else "float32")
    np.testing.assert_allclose(mean, slow_avg(x.astype(float), 3, 2, 1), rtol=1e-3)


def test_means_of_float16_do_not_overflow() -> None:
    x = np.full((1, 40, 40), 1000, np.float16)
    for y in (F.avg_pool2d(x, 40), F.adaptive_avg_pool2d(x, 1), F.adaptive_avg_pool2d(x, 3)):
        assert y.dtype == np.float16
        assert (y == 1000).all()


def test_long_sums_of_float32_keep_their_digits() -> None:
    x = np.full((1, 600, 600), 0.1, np.float32)
    np.testing.assert_allclose(F.avg_pool2d(x, 600), 0.1, rtol=1e-6)
    np.testing.assert_allclose(F.global_avg_pool(x[None]), 0.1, rtol=1e-6)


def test_kernels_with_more_places_than_a_byte_counts() -> None:
    x = numbers(2, 2, 24, 23)
    for options in ({}, {"stride": 3, "padding": 8, "ceil_mode": True}):
        y, positions = F.max_pool2d(x, 17, return_indices=True, **options)
        expected = slow_max(x, 17, **options)
        np.testing.assert_array_equal(y, expected[0])
        np.testing.assert_array_equal(positions, expected[1])
        g = limpid.grad(lambda x, o=options: limpid.sum(F.max_pool2d(x, 17, **o)))(x)
        assert g.sum() == y.size


def test_adaptive_sizes() -> None:
    x = numbers(2, 3, 5, 4)
    for out in ((5, 4), (1, 1), (3, 2), (7, 9)):
        np.testing.assert_allclose(F.adaptive_avg_pool2d(x, out), slow_adaptive(x, out, np.mean))
        np.testing.assert_allclose(F.adaptive_max_pool2d(x, out), slow_adaptive(x, out, np.max))
    assert F.adaptive_avg_pool2d(x, (0, 3)).shape == (2, 3, 0, 3)
    assert F.adaptive_max_pool2d(x, (None, 0)).shape == (2, 3, 5, 0)
    g = limpid.grad(lambda x: limpid.sum(F.adaptive_avg_pool2d(x, (0, 3))))(x)
    np.testing.assert_array_equal(g, np.zeros(x.shape))


def test_fractional_windows_come_from_this_threads_generator() -> None:
    x = numbers(2, 3, 9, 9)
    limpid.random.seed(3)
    first = F.fractional_max_pool2d(x, 2, output_ratio=0.6)
    second = F.fractional_max_pool2d(x, 2, output_ratio=0.6)
    limpid.random.seed(3)
    np.testing.assert_array_equal(F.fractional_max_pool2d(x, 2, 5).numpy(), first.numpy())
    assert not np.array_equal(first.numpy(), second.numpy())


def test_fractional_pooling_records() -> None:
    x, layer = numbers(2, 3, 9, 9), nn.FractionalMaxPool2d(2, output_size=(4, 5))
    recorded = limpid.record(lambda x: limpid.sum(layer(x)), x)
    limpid.random.seed(1)
    eager = layer(x).numpy().sum()
    limpid.random.seed(1)
    np.testing.assert_allclose(recorded(x).numpy(), eager)


def test_unfolded_windows_make_a_convolution() -> None:
    x, w = numbers(2, 3, 6, 5), numbers(4, 3, 3, 2, seed=1)
    columns = F.unfold(x, (3, 2), padding=1)  # (N, C·∏K, L)
    y = (w.reshape(4, -1) @ columns).reshape(2, 4, 6, 6)
    np.testing.assert_allclose(y, F.conv2d(x, w, padding=1), atol=1e-12)
    counts = F.fold(F.unfold(np.ones((1, 4, 4)), 3), (4, 4), 3)[0]
    np.testing.assert_array_equal(counts, np.outer([1, 2, 2, 1], [1, 2, 2, 1]))


# Layers


def test_subsampling_layer() -> None:
    layer = nn.SubSampling2d(3, (2, 3), 2, dtype="float64")
    assert {name: p.shape for name, p in layer.named_parameters()} == {"weight": (3,), "bias": (3,)}
    assert max(np.abs(p.detach().numpy()).max() for p in layer.parameters()) <= 1 / np.sqrt(6)
    x = numbers(2, 3, 6, 7)
    sums = slow_avg(x, (2, 3), 2, divisor_override=1)
    w, b = (p.detach().numpy()[:, None, None] for p in (layer.weight, layer.bias))
    np.testing.assert_allclose(layer(x).detach().numpy(), w * sums + b)
    assert repr(layer) == "SubSampling2d(3, kernel_size=(2, 3), stride=(2, 2))"
    limpid.check_grad(lambda x, layer: limpid.sum(layer(x) ** 2), x, layer)


def test_feature_lp_pooling_layer() -> None:
    layer, x = nn.FeatureLPPool(3, 2, 2), numbers(2, 8, 4, 3)
    y = layer(x)
    for n, c, i, j in np.ndindex(y.shape):
        total = sum(x[n, 2 * c + k, i, j] ** 2 for k in range(3))
        np.testing.assert_allclose(y[n, c, i, j], total**0.5)
    np.testing.assert_allclose(layer(x[0, :, 0, 0]), y[0, :, 0, 0])
    assert repr(layer) == "FeatureLPPool(width=3, stride=2, power=2)"


def test_pooling_and_unpooling_as_an_autoencoder_does() -> None:
    pool, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    x = numbers(2, 3, 5, 5)
    y, where = pool(x)
    back = unpool(y, where, output_size=x.shape)
    assert back.shape == x.shape
    np.testing.assert_array_equal(pool(back)[0], np.maximum(y, 0))
    limpid.check_grad(lambda x: unpool(*pool(x), output_size=(5, 5)) ** 2, x)


def test_gradients_in_all_modes_through_a_stack() -> None:
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, dtype="float64"), nn.MaxPool2d(2, 1), nn.AvgPool2d(2, 1),
        nn.LPPool2d(2, 2),
    )  # fmt: skip
    limpid.check_grad(lambda x: net(x), numbers(2, 2, 7, 7))


# Errors

IMAGE = np.zeros((2, 3, 4, 5))
COLUMN = np.zeros((1, 1, 2, 2))
ERRORS = [
    (lambda: F.max_pool2d(IMAGE, 6), ShapeError, "max_pool2d: a window of 6 .* into 4"),
    (lambda: F.avg_pool2d(IMAGE, (2, 6)), ShapeError, "avg_pool2d: a window of 6 .* into 5"),
    (lambda: F.lp_pool2d(IMAGE, 2, 6), ShapeError, "lp_pool2d: a window of 6 .* into 4"),
    (lambda: F.unfold(IMAGE, 6), ShapeError, "unfold: a window of 6 .* into 4"),
    (lambda: F.max_pool2d(IMAGE, 2, dilation=4), ShapeError, "a window of 5 .*dilation 4"),
    (lambda: F.max_pool2d(IMAGE, 2, padding=2), ArgumentError, r"padding \(2, 2\) .* \(2, 2\)"),
    (lambda: F.avg_pool2d(IMAGE, 3, padding=2), ArgumentError, r"padding \(2, 2\) .* \(3, 3\)"),
    (lambda: F.max_pool2d(IMAGE, 0), ArgumentError, "kernel_size must be 1 or more, not 0"),
    (lambda: F.max_pool2d(IMAGE, 2, 0), ArgumentError, "max_pool2d: stride must be 1 or more"),
    (lambda: F.max_pool2d(IMAGE, 2, dilation=0), ArgumentError, "dilation must be 1 or more"),
    (lambda: F.avg_pool2d(IMAGE, 2, padding=-1), ArgumentError, "padding must be 0 or more"),
    (lambda: F.unfold(IMAGE, 2, stride=0), ArgumentError, "unfold: stride must be 1 or more"),
    (lambda: F.unfold(IMAGE, 2, padding=-1), ArgumentError, "unfold: padding must be 0"),
    (lambda: F.avg_pool2d(IMAGE, 2.5), ArgumentError, "kernel_size is an integer"),
    (lambda: F.avg_pool2d(IMAGE, np.array([2, 2])), ArgumentError, "kernel_size is an integer"),
    (lambda: F.avg_pool2d(IMAGE, (2, 2, 2)), ArgumentError, "kernel_size is .* 2 spatial axes"),
    (lambda: F.avg_pool2d(IMAGE, 2, divisor_override=0), ArgumentError, "other than 0"),
    (lambda: F.max_pool1d(IMAGE, 2), ShapeError, r"max_pool1d: .* \(2, 3, 4, 5\)"),
    (lambda: F.max_pool2d(IMAGE[0, 0], 2), ShapeError, r"max_pool2d: .* \(4, 5\)"),
    (lambda: F.max_pool2d(np.zeros((2, 3, 0, 4)), 1), ShapeError, r"max_pool2d: .* \(0, 4\)"),
    (lambda: F.max_pool1d(np.zeros((1, 3)), 2, 1, 1, 4), ShapeError, "1 windows? .*no element"),
    (lambda: F.lp_pool2d(IMAGE, 0, 2), ArgumentError, "norm_type is a number other than 0"),
    (lambda: F.lp_pool2d(IMAGE, float("nan"), 2), ArgumentError, "norm_type must not be NaN"),
    (lambda: F.adaptive_avg_pool2d(IMAGE, -1), ArgumentError, "output_size must be 0 or more"),
    (lambda: F.adaptive_max_pool2d(IMAGE, (1, 2, 3)), ArgumentError, "output_size is"),
    (lambda: F.fractional_max_pool2d(IMAGE, 2), ArgumentError, "output_size or output_ratio"),
    (lambda: F.fractional_max_pool2d(IMAGE, 3, 3), ShapeError, "3 windows of 3 .* into 4"),
    (lambda: F.fractional_max_pool2d(IMAGE, 2, None, 1.5), ArgumentError, "not 1.5"),
    (lambda: F.fractional_max_pool2d(IMAGE, 2, 2, _random_samples=np.full((2, 3, 2), np.nan)),
     ArgumentError, r"in \[0, 1\], not nan"),
    (lambda: F.fractional_max_pool2d(IMAGE, 2, 2, _random_samples=np.zeros((2, 2))),
     ShapeError, r"\(2, 3, 2\), not \(2, 2\)"),
    (lambda: F.max_unpool2d(COLUMN, np.full((1, 1, 2, 2), 16), 2), IndexingError, "index 16 .* 15"),
    (lambda: F.max_unpool2d(COLUMN, np.full((1, 1, 2, 2), -1), 2), IndexingError, "index -1 .* 15"),
    (lambda: F.max_unpool2d(COLUMN, COLUMN, 2), DTypeError, "indices are integers, not float64"),
    (lambda: F.max_unpool2d(COLUMN, np.zeros((1, 1, 2), int), 2), ShapeError, "indices have"),
    (lambda: F.max_unpool2d(COLUMN, COLUMN.astype(int), 2, output_size=(6, 4)), ArgumentError,
     "output_size 6 along spatial axis 0 must be more than 2 and less than 6"),
    (lambda: F.fold(np.zeros((1, 4, 8)), 4, 2), ShapeError, r"\(N, C·4, 9\).*\(1, 4, 8\)"),
    (lambda: F.fold(np.zeros((1, 5, 9)), 4, 2), ShapeError, r"\(N, C·4, 9\).*\(1, 5, 9\)"),
    (lambda: F.subsampling2d(IMAGE, np.ones(2), np.ones(2), 2), ShapeError, "3 channels"),
    (lambda: F.subsampling2d(IMAGE, np.ones(3, "f"), np.ones(3, "f"), 2), DTypeError, "float64"),
    (lambda: F.feature_lp_pool(IMAGE, 2, 4), ShapeError, "a window of 4 .* into 3"),
    (lambda: F.global_max_pool(IMAGE[0, 0]), ShapeError, r"global_max_pool: .* \(4, 5\)"),
    (lambda: nn.MaxUnpool2d(0), ArgumentError, "MaxUnpool2d: kernel_size must be 1 or more"),
    (lambda: nn.FractionalMaxPool2d(2), ArgumentError, "FractionalMaxPool2d: give either"),
    (lambda: nn.SubSampling1d(3, 2, 0), ArgumentError, "SubSampling1d: stride must be 1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=range(len(ERRORS)))
def test_bad_geometry_is_named(call: Any, kind: type[LimpidError], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()


def test_errors_name_the_layer_and_the_line() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(4))
    with pytest.raises(ShapeError, match=r"(?s)max_pool2d in 1: .*test_pooling.py"):
        net(limpid.zeros((1, 1, 5, 5)))


def test_errors_of_positions_name_the_layer_and_the_line() -> None:
    class Decoder(nn.Module):
        def __init__(self) -> None:
            self.up = nn.MaxUnpool1d(2)

        def forward(self, x: Any) -> Any:
            return self.up(x, np.array([[0, 4]]))

    with pytest.raises(IndexingError, match=r"(?s)unpool in up: index 4 .*test_pooling.py"):
        Decoder()(limpid.ones((1, 2)))
