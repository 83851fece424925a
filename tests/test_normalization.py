"""Normalisation: running statistics, precision, modes, recording, errors."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, DTypeError, OperandError, ShapeError
from limpid.nn import functional as F
from limpid.ops.normalization import standardize

RNG = np.random.default_rng(0)


def exact(x: np.ndarray, axis: tuple[int, ...], eps: float = 1e-5) -> np.ndarray:
    """Standardised in long doubles."""
    wide = x.astype(np.longdouble)
    centred = wide - wide.mean(axis, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis, keepdims=True) + eps)


@pytest.mark.parametrize("momentum", [0.1, 0.7, 1.0, None])
def test_running_statistics_follow_the_batches(momentum: float | None) -> None:
    layer = nn.BatchNorm1d(3, momentum=momentum, dtype="float64")
    mean, var = np.zeros(3), np.ones(3)
    for step in range(1, 5):
        x = RNG.normal(size=(5, 3, 4)) * 3 + step
        layer(x)
        share = 1 / step if momentum is None else momentum
        mean = (1 - share) * mean + share * x.mean((0, 2))
        var = (1 - share) * var + share * x.var((0, 2), ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-12)
    assert layer.num_batches_tracked.item() == 4
    x = RNG.normal(size=(2, 3, 4))
    expected = (x - mean[:, None]) / np.sqrt(var + 1e-5)[:, None]
    np.testing.assert_allclose(layer.eval()(x).detach().numpy(), expected, rtol=1e-12)
    assert layer.num_batches_tracked.item() == 4
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0.0] * 3
    assert layer.running_var.tolist() == [1.0] * 3
    assert layer.num_batches_tracked.item() == 0


def test_without_tracking_the_batch_counts_in_eval_mode_too() -> None:
    layer = nn.BatchNorm2d(2, track_running_stats=False, affine=False)
    x = RNG.normal(size=(4, 2, 3, 3)).astype("f4")
    np.testing.assert_array_equal(layer(x), layer.eval()(x))
    assert layer.state_dict() == {}
    assert list(layer.parameters()) == []


def test_an_empty_batch_changes_no_statistics() -> None:
    layer = nn.BatchNorm1d(3)
    x = limpid.tensor(np.zeros((0, 3), "f4"), requires_grad=True)
    y = layer(x)
    assert y.shape == (0, 3)
    limpid.sum(y).backward()
    assert x.grad.shape == (0, 3)
    assert layer.weight.grad.tolist() == [0.0] * 3
    assert layer.running_mean.tolist() == [0.0] * 3
    assert layer.running_var.tolist() == [1.0] * 3
    assert layer.num_batches_tracked.item() == 1
    tracked = nn.InstanceNorm1d(3, track_running_stats=True)
    assert tracked(np.zeros((0, 3, 4), "f4")).shape == (0, 3, 4)
    assert tracked.running_var.tolist() == [1.0] * 3


def test_instance_statistics_are_averaged_over_the_examples() -> None:
    layer = nn.InstanceNorm2d(3, affine=True, track_running_stats=True, dtype="float64")
    x = RNG.normal(size=(4, 3, 2, 5)) + 2
    layer(x)
    means, variances = x.mean((2, 3)).mean(0), x.var((2, 3), ddof=1).mean(0)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * means)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.9 + 0.1 * variances)
    single = layer(x[0]).detach().numpy()
    np.testing.assert_allclose(single, exact(x[0], (1, 2)).astype(float), rtol=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e2, 1e4, 1e6])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((64, 8, 16, 16), (0, 2, 3)), ((600, 7), (0,)), ((6, 300), (1,)), ((2, 3, 20_000), (2,))],
)
def test_float32_keeps_its_digits_far_from_zero(
    offset: float, shape: tuple[int, ...], axis: tuple[int, ...]
) -> None:
    x = (RNG.normal(size=shape) + offset).astype("f4")
    y, mean, var = standardize(x, axis, 1e-5)
    assert y.dtype == mean.dtype == var.dtype == np.float32
    np.testing.assert_allclose(y, exact(x, axis).astype(float), atol=1e-5, rtol=1e-6)
    np.testing.assert_allclose(var, x.astype(np.longdouble).var(axis, keepdims=True), rtol=1e-5)


def test_constant_channels_become_the_bias() -> None:
    for value in (0.0, 1e4, 12345.678, -3e-5):
        x = np.full((50, 3), value, "f4")
        assert np.all(F.batch_norm(x, None, None, training=True) == 0)


@pytest.mark.parametrize("shift", [0.0, 1e6])  # the mean is found again if it is far from zero
@pytest.mark.parametrize("compiled", [False, True])
def test_an_infinite_mean_stays_infinite(compiled: bool, shift: float) -> None:
    x = np.random.default_rng(0).normal(size=(6, 4))
    x[:, 3] += shift
    x[2, 0], x[3, 1], x[:2, 2] = np.inf, -np.inf, [np.inf, -np.inf]

    def function(x: Any) -> Any:
        return standardize(x, 0, eps=0.1)[1]

    run = limpid.compile(function) if compiled else function
    average = np.asarray(run(limpid.asarray(x)))
    np.testing.assert_array_equal(average.reshape(-1)[:3], [np.inf, -np.inf, np.nan])


def test_float16_has_statistics_in_float32() -> None:
    x = (RNG.normal(size=(32, 4, 9)) * 300).astype("f2")  # squares would overflow
    y, mean, var = standardize(x, (0, 2), 1e-5)
    assert (y.dtype, mean.dtype, var.dtype) == (np.float16, np.float32, np.float32)
    np.testing.assert_allclose(y, exact(x, (0, 2)).astype(float), atol=2e-3)
    layer = nn.BatchNorm1d(4, dtype="float16")
    given = limpid.tensor(x, requires_grad=True)
    z = layer(given)
    limpid.sum(z * z).backward()
    assert z.dtype is limpid.float16
    for gradient in (given.grad, layer.weight.grad, layer.bias.grad):
        assert gradient.dtype is limpid.float16
        assert np.all(np.isfinite(gradient.numpy()))
    assert layer.running_var.dtype is limpid.float16
    big = (RNG.normal(size=(2, 8)) * 300).astype("f2")
    expected = big / np.sqrt((big.astype(float) ** 2).mean(1, keepdims=True))
    np.testing.assert_allclose(F.rms_norm(big, 8), expected, atol=2e-3)
    response = F.local_response_norm(big.reshape(1, 2, 8), 3)
    assert response.dtype == np.float16
    assert np.all(np.isfinite(response))


def test_float16_by_running_statistics_is_rounded_once() -> None:
    x = (RNG.normal(size=(64, 4, 9)) + 100).astype("f2")
    slots = [value.astype("f2") for value in (x.mean((0, 2)), RNG.random(4), RNG.normal(size=4))]
    mean, var, weight = slots
    expected = F.batch_norm(*(a.astype(float) for a in (x, mean, var, weight)))
    y = F.batch_norm(x, mean, var, weight)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, expected, rtol=2**-11 * 1.01, atol=1e-7)
    slope = limpid.grad(lambda x: limpid.sum(F.batch_norm(x, mean, var, weight)))(x)
    assert slope.dtype == np.float16
    scale = weight.astype(float) / np.sqrt(var.astype(float) + 1e-5)
    np.testing.assert_allclose(slope, scale[:, None] + 0 * x, rtol=2**-11 * 1.01)


def test_statistics_can_be_differentiated() -> None:
    x = RNG.normal(size=(4, 3, 2))
    limpid.check_grad(lambda x: standardize(x, (0, 2), 1e-3)[2], x)
    limpid.check_grad(lambda x: standardize(x, (0, 2), 1e-3)[1], x)
    limpid.check_grad(lambda x: standardize(x, 1, 1e-3)[1:], x)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_recorded_training_step_moves_the_running_statistics(momentum: float | None) -> None:
    eager = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=momentum))
    recorded = copy.deepcopy(eager)
    x = RNG.normal(size=(6, 3)).astype("f4")
    run = limpid.record(lambda x: limpid.sum(recorded(x) ** 3), x)
    for _ in range(3):
        expected = limpid.sum(eager(x) ** 3).detach().numpy()
        np.testing.assert_allclose(run(x).numpy(), expected, rtol=1e-4, atol=1e-6)
    for name, value in eager.state_dict().items():
        np.testing.assert_allclose(recorded.state_dict()[name], value, rtol=1e-6, atol=1e-7)


def test_statistics_are_no_part_of_the_gradient() -> None:
    """A later update of the running statistics does not make backward fail."""
    layer = nn.BatchNorm1d(2)
    x = limpid.tensor(RNG.normal(size=(4, 2)), dtype="float32", requires_grad=True)
    first, second = layer(x), layer(x)
    limpid.sum(first * second).backward()
    assert not layer.running_mean.requires_grad
    assert layer.running_mean.is_leaf


def test_layers_are_modules_like_others() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.GroupNorm(3, 6), nn.LayerNorm(4, bias=False))
    assert list(model.state_dict()) == [
        "0.weight", "0.bias", "0.running_mean", "0.running_var", "0.num_batches_tracked",
        "1.weight", "1.bias", "2.weight",
    ]  # fmt: skip
    assert [name for name, _ in model.named_buffers()] == [
        "0.running_mean", "0.running_var", "0.num_batches_tracked",
    ]  # fmt: skip
    model[0].running_mean = np.ones(3)
    assert isinstance(model[0].running_mean, limpid.Buffer)
    twin = copy.deepcopy(model)
    limpid.assign(twin[0].weight, np.zeros(3))
    twin[0].reset_parameters()
    assert twin[0].weight.tolist() == [1.0] * 3
    assert model[0].running_mean is not twin[0].running_mean


SMALL = np.zeros((2, 3, 4), "f4")
MISTAKES: list[tuple[Any, type[Exception], str]] = [
    (lambda: nn.BatchNorm1d(3)(np.zeros((1, 3), "f4")), ShapeError,
     r"more than 1 value per channel, but the input has shape \(1, 3\)"),
    (lambda: nn.BatchNorm1d(4)(SMALL), ShapeError, "made for 4 channels, but the input has 3"),
    (lambda: nn.BatchNorm2d(3)(SMALL), ShapeError, r"BatchNorm2d: .* 4 axes, .*\(2, 3, 4\)"),
    (lambda: nn.BatchNorm3d(3)(SMALL), ShapeError, "BatchNorm3d: the input must have 5 axes"),
    (lambda: nn.BatchNorm1d(3)(np.zeros(3, "f4")), ShapeError, "2 or 3 axes"),
    (lambda: nn.BatchNorm1d(3, dtype="float64")(SMALL), DTypeError, "float32 but .* float64"),
    (lambda: nn.BatchNorm1d(-1), ArgumentError, "num_features"),
    (lambda: nn.BatchNorm1d(2.5), ArgumentError, "num_features"),
    (lambda: nn.InstanceNorm1d(3)(SMALL[..., :1]), ShapeError, "more than 1 value per channel"),
    (lambda: nn.InstanceNorm1d(4, affine=True)(SMALL), ShapeError, "made for 4 channels"),
    (lambda: nn.InstanceNorm2d(3)(np.zeros((3, 4), "f4")), ShapeError, "3 or 4 axes"),
    (lambda: nn.LayerNorm((3, 5))(SMALL), ShapeError, r"must end in \(3, 5\)"),
    (lambda: nn.LayerNorm((2, 2, 3, 4))(SMALL), ShapeError, "must end in"),
    (lambda: nn.LayerNorm("ab"), ArgumentError, "normalized_shape"),
    (lambda: nn.RMSNorm(()), ArgumentError, "normalized_shape"),
    (lambda: nn.RMSNorm(-1), ArgumentError, "normalized_shape"),
    (lambda: nn.GroupNorm(2, 3), ArgumentError, "2 groups do not divide 3 channels"),
    (lambda: nn.GroupNorm(0, 3), ArgumentError, "0 groups do not divide"),
    (lambda: nn.GroupNorm(2, 4)(SMALL), ShapeError, r"parameters of shape \(3,\), not \(4,\)"),
    (lambda: F.group_norm(SMALL, 2), ArgumentError, "2 groups do not divide 3 channels"),
    (lambda: F.group_norm(SMALL[:1, :, :1], 3), ShapeError, "more than 1 value per group"),
    (lambda: F.layer_norm(SMALL, 4, np.zeros(3, "f4")), ShapeError, r"shape \(4,\), not \(3,\)"),
    (lambda: F.batch_norm(SMALL, None, None), ArgumentError, "running_mean and running_var"),
    (lambda: F.batch_norm(SMALL, np.zeros(3, "f4"), None, training=True), OperandError, "slot"),
    (lambda: F.batch_norm(SMALL, None, None, training=True, eps=-1), ArgumentError, "eps"),
    (lambda: F.layer_norm(SMALL, 4, eps=float("nan")), ArgumentError, "eps"),
    (lambda: nn.LocalResponseNorm(0), ArgumentError, "size"),
    (lambda: F.local_response_norm(SMALL, -2), ArgumentError, "size"),
    (lambda: nn.LocalResponseNorm(3)(SMALL[0]), ShapeError, r"\(N, C, L, …\), not \(3, 4\)"),
    (lambda: F.normalize(SMALL, dim=5), ArgumentError, "dim 5 is out of range"),
    (lambda: F.normalize(SMALL, p="fro"), ArgumentError, "order"),
    (lambda: standardize(SMALL, 0, 1e-5, np.zeros(5)), ShapeError, "broadcast"),
    (lambda: standardize(SMALL, 0, 1e-5, np.zeros((2, 2, 3, 4))), ShapeError, "does not fit"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
