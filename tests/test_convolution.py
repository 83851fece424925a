"""Convolutions: geometry, ugly inputs, errors, memory, and what they lower to."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import signal

import limpid
from limpid import nn
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.graph.node import spec_of
from limpid.nn import functional as F
from limpid.ops import workers
from limpid.ops.windows import execution
from tests.loops import slow_conv


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
def test_against_scipy(mode: str) -> None:
    x, w = numbers(7, 8), numbers(3, 5, seed=1)
    padding = {"valid": 0, "same": "same", "full": (2, 4)}[mode]
    y = F.conv2d(x[None, None], w[None, None], padding=padding)[0, 0]
    np.testing.assert_allclose(y, signal.correlate2d(x, w, mode), atol=1e-12)


def layouts() -> list[Any]:
    def read_only(x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x.flags.writeable = False
        return x

    def channels_last(x: np.ndarray) -> np.ndarray:
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)

    def every_other(x: np.ndarray) -> np.ndarray:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]))
        wide[..., ::2] = x
        return wide[..., ::2]

    def backwards(x: np.ndarray) -> np.ndarray:
        return x[..., ::-1].copy()[..., ::-1]

    return [np.asfortranarray, read_only, channels_last, every_other, backwards]


@pytest.mark.parametrize("layout", layouts(), ids=lambda f: f.__name__)
@pytest.mark.parametrize("channels", [3, 20])
def test_any_memory_layout(layout: Any, channels: int) -> None:
    x, w = numbers(3, channels, 6, 5), numbers(18, channels, 3, 2, seed=1)
    options = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}
    expected = slow_conv(x, w, **options)

    def loss(x: Any, w: Any) -> Any:
        return limpid.sum(limpid.sin(F.conv2d(x, w, **options)))

    np.testing.assert_allclose(F.conv2d(layout(x), layout(w), **options), expected, atol=1e-12)
    for got, wanted in zip(
        limpid.grad(loss, (0, 1))(layout(x), layout(w)),
        limpid.grad(loss, (0, 1))(x, w),
        strict=True,
    ):
        np.testing.assert_allclose(got, wanted, atol=1e-12)


def test_integers_are_convolved_as_such() -> None:
    y = F.conv1d(np.arange(5).reshape(1, 1, 5), np.array([[[1, 2]]]))
    assert y.dtype.kind == "i"
    assert y.tolist() == [[[2, 5, 8, 11]]]


@pytest.mark.parametrize("shape", [(0, 3, 6, 6), (2, 0, 6, 6)])
def test_nothing_to_convolve(shape: tuple[int, ...]) -> None:
    x = limpid.tensor(np.zeros(shape), requires_grad=True)
    w = limpid.tensor(np.zeros((4, shape[1], 3, 3)), requires_grad=True)
    y = F.conv2d(x, w, padding=1)
    assert y.shape == (shape[0], 4, 6, 6)
    limpid.sum(y).backward()
    assert x.grad.shape == shape
    assert not np.any(w.grad.numpy())


def test_nan_stays_in_its_windows() -> None:
    x = np.zeros((1, 1, 6))
    x[0, 0, 0] = np.nan
    y = F.conv1d(x, np.ones((1, 1, 3)))
    assert np.isnan(y[0, 0]).tolist() == [True, False, False, False]


def test_without_a_batch() -> None:
    x, layer = limpid.tensor(numbers(3, 8, 8)), nn.Conv2d(3, 4, 3, dtype="float64")
    assert layer(x).shape == (4, 6, 6)
    np.testing.assert_array_equal(layer(x).detach().numpy(), layer(x[None])[0].detach().numpy())


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes(mode: str) -> None:
    x = numbers(2, 3, 7)
    layer = nn.Conv1d(3, 2, 3, padding=2, padding_mode=mode, dtype="float64")
    padded = limpid.pad(x, ((0, 0), (0, 0), (2, 2)), mode)
    expected = F.conv1d(padded, layer.weight.detach().numpy(), layer.bias.detach().numpy())
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-12)


X = np.zeros((2, 4, 5, 6))
BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: F.conv2d(X, np.zeros((3, 4, 7, 2))), ShapeError, "window of 7 .* into 5"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 3, 2)), dilation=3), ShapeError, "3 with dilation 3"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 3, 0))), ShapeError, "kernel 0"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 1, 1)), stride=0), ArgumentError, "stride .* not 0"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 1, 1)), dilation=0), ArgumentError, "dilation .* not 0"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 1, 1)), padding=-1), ArgumentError, "padding .* not -1"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 1, 1)), padding=(1, 2, 3)), ArgumentError, "2 of them"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 1, 1)), stride=1.5), ArgumentError, "stride .* 1.5"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 3, 3)), 1, 2, "same"), ArgumentError, "needs stride 1"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 1, 1)), padding="full"), ArgumentError, "'full'"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 1, 1)), groups=3), ArgumentError, "3 groups .* 4 input"),
    (lambda: F.conv2d(X, np.zeros((3, 2, 1, 1)), groups=2), ArgumentError, "2 groups .* 3 output"),
    (lambda: F.conv2d(X, np.zeros((4, 4, 1, 1)), groups=0), ArgumentError, "groups .* not 0"),
    (lambda: F.conv2d(X, np.zeros((3, 3, 1, 1))), ShapeError, "takes 3 channels.*has 4"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 1))), ShapeError, "4 axes"),
    (lambda: F.conv2d(np.zeros((5, 6)), np.zeros((3, 4, 1, 1))), ShapeError, "4 axes .* 3"),
    (lambda: F.conv2d(X, np.zeros((3, 4, 1, 1)), np.zeros(4)), ShapeError, "bias"),
    (lambda: F.conv2d(X, limpid.zeros((3, 4, 1, 1))), DTypeError, "conv2d: the input is float64"),
    (
        lambda: F.conv_transpose2d(X, np.zeros((4, 3, 2, 2)), stride=2, output_padding=2),
        ArgumentError,
        "output_padding .* less than stride 2",
    ),
    (
        lambda: F.conv_transpose2d(X, np.zeros((4, 3, 1, 1)), padding=3),
        ShapeError,
        "lead to -1",
    ),
    (
        lambda: F.conv_transpose2d(X, np.zeros((3, 4, 1, 1))),
        ShapeError,
        "^conv_transpose2d: the input has 4 channels, but the weight .* takes 3",
    ),
    (
        lambda: nn.ConvTranspose2d(3, 8, 3)(limpid.zeros((4, 6, 6))),
        ShapeError,
        r"^conv_transpose2d: the input has 4 channels, .* \(3, 8, 3, 3\), .* takes 3",
    ),
    (lambda: F.locally_connected(X, np.zeros((2, 2, 3, 4, 3, 3))), ShapeError, r"\(3, 4\)"),
    (lambda: F.map_conv(X, np.zeros((1, 1, 1)), [(4, 0)], 2), ArgumentError, "channel 4 to 4"),
    (lambda: F.map_conv(X, np.zeros((2, 1, 1)), [(0, 0)], 2), ShapeError, "1 connections"),
    (lambda: nn.Conv2d(3, 8, 0), ArgumentError, "Conv2d: kernel_size .* not 0"),
    (lambda: nn.Conv2d(3, 8, 3, padding_mode="mirror"), ArgumentError, "Conv2d: padding_mode"),
    (lambda: nn.Conv2d(3, 8, 3, 2, "same"), ArgumentError, "Conv2d: .*stride 1"),
    (lambda: nn.ConvTranspose1d(3, 8, 3, padding="same"), ArgumentError, "ConvTranspose1d"),
    (lambda: nn.LocallyConnected1d(1, 1, 3, 5), ShapeError, "LocallyConnected1d: a window of 5"),
    (lambda: nn.random_table(3, 2, 4), ArgumentError, "3 inputs, not 4"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD, ids=[b[2] for b in BAD])
def test_bad_geometry_is_named(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()


def test_errors_name_the_layer_and_the_line() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 5))
    with pytest.raises(ShapeError) as caught:
        net(limpid.zeros((1, 3, 6, 6)))
    message = str(caught.value)
    assert "conv in 2:" in message
    assert "a window of 5 (kernel 5) does not fit into 4" in message
    assert "2.weight: float32[5, 4, 5, 5]" in message
    assert "test_convolution.py" in message


def test_transposed_convolution_takes_an_output_size() -> None:
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    assert layer(limpid.zeros((1, 2, 4, 4)), output_size=(8, 7)).shape == (1, 3, 8, 7)
    with pytest.raises(ShapeError, match=r"\(9, 8\) is not from \(7, 7\) to \(8, 8\)"):
        layer(limpid.zeros((1, 2, 4, 4)), output_size=(9, 8))


def slow_map(x: np.ndarray, w: np.ndarray, table: Any, out: int) -> np.ndarray:
    y = np.zeros((len(x), out, *(a - b + 1 for a, b in zip(x.shape[2:], w.shape[1:]))))
    for kernel, (i, o) in zip(w, table, strict=True):
        y[:, o] += slow_conv(x[:, i : i + 1], kernel[None, None])[:, 0]
    return y


def test_connection_table() -> None:
    table = [(0, 0), (2, 0), (1, 1), (1, 1), (2, 3)]
    x, w = numbers(2, 3, 6, 5), numbers(5, 3, 2, seed=1)
    np.testing.assert_allclose(F.map_conv(x, w, table, 4), slow_map(x, w, table, 4), atol=1e-12)
    limpid.check_grad(lambda x, w: F.map_conv(x, w, table, 4), x, w)
    g = numbers(2, 4, 4, 4, seed=2)
    back = [(o, i) for i, o in table]
    transposed = F.map_conv_transpose(g, w, back, 3)
    product = np.sum(F.map_conv(x, w, table, 4) * g)
    np.testing.assert_allclose(np.sum(transposed * x), product)
    layer = nn.MapConv2d(6, 16, nn.random_table(6, 16, 4), 5)
    assert layer(limpid.zeros((2, 6, 14, 14))).shape == (2, 16, 10, 10)
    assert layer.weight.shape == (64, 5, 5)


def test_row_convolution_keeps_channels_apart() -> None:
    layer, x = nn.RowConv1d(3, 2, dtype="float64"), numbers(2, 3, 6)
    w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = x[..., :-1] * w[:, 0, :1] + x[..., 1:] * w[:, 0, 1:] + b[:, None]
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("what", ["forward", "backward"])
def test_memory_does_not_grow_with_the_kernel(what: str) -> None:
    x = limpid.tensor(np.ones((4, 16, 128, 128), np.float32), requires_grad=True)
    w = limpid.tensor(np.ones((16, 16, 5, 5), np.float32), requires_grad=True)
    y = F.conv2d(x, w, padding=2)
    held = x.size + w.size + y.size + (y.size + x.size + w.size if what == "backward" else 0)
    g = limpid.asarray(np.ones(y.shape, np.float32))
    tracemalloc.start()
    if what == "forward":
        F.conv2d(x, w, padding=2)
    else:
        y.backward(g)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    allowed = 2 * 4 * held - 4 * (x.size + w.size)  # the operands were there before
    assert peak < allowed
    assert execution.BLOCK <= 4 << 20


def test_blocks_cover_large_windows() -> None:
    """Images and kernels so large that a block is a part of one sample, of one row, of a sum."""
    before = execution.BLOCK
    execution._kept_plan.cache_clear()
    try:
        execution.BLOCK = 256
        x, w = numbers(2, 4, 9, 8), numbers(6, 2, 3, 3, seed=1)
        options = {"stride": (1, 2), "padding": 1, "groups": 2}

        def loss(x: Any, w: Any) -> Any:
            return limpid.sum(limpid.sin(F.conv2d(x, w, **options)))

        small = F.conv2d(x, w, **options), *limpid.grad(loss, (0, 1))(x, w)
    finally:
        execution.BLOCK = before
        execution._kept_plan.cache_clear()
    np.testing.assert_allclose(small[0], slow_conv(x, w, **options), atol=1e-12)
    for got, wanted in zip(small[1:], limpid.grad(loss, (0, 1))(x, w), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-12)


@pytest.mark.parametrize("native", [True, False])
def test_parts_of_one_sum_are_not_shared_out(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few samples and several groups: sums over samples and groups are both cut."""
    from limpid.compiler.contraction import contract as contracting
    from limpid.ops import native as seam

    if not native:
        monkeypatch.setattr(seam, "provider", None)
        monkeypatch.setattr(execution, "BLOCK", 1 << 12)
    monkeypatch.setattr(execution, "LARGE", 0)
    monkeypatch.setattr(contracting, "LARGE", 0)
    monkeypatch.setattr(workers, "thread_count", lambda: 2)
    execution._kept_plan.cache_clear()
    contracting._plan.cache_clear()
    x, g = numbers(3, 27, 7, 8, 6), numbers(3, 27, 11, 8, 2, seed=1)
    window = {
        "stride": (1, 1, 1), "padding": ((2, 2), (3, 3), (0, 0)), "dilation": (3, 3, 2)
    }  # fmt: skip
    found = [
        limpid.primitives["conv_weight"](x, g, kernel=(1, 3, 3), groups=3, **window)
        for _ in range(10)
    ]
    execution._kept_plan.cache_clear()
    contracting._plan.cache_clear()
    w = numbers(27, 9, 1, 3, 3, seed=2)
    expected = np.sum(g * limpid.primitives["conv"](x, w, groups=3, **window))
    for weight in found:
        np.testing.assert_allclose(np.sum(w * weight), expected, rtol=1e-10)


def test_sums_that_are_shared_out_leave_other_places_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A strided adjoint writes every second place at a time; here each is a long sum of its own."""
    from limpid.ops import native as seam

    monkeypatch.setattr(seam, "provider", None)
    monkeypatch.setattr(execution, "BLOCK", 1 << 10)
    monkeypatch.setattr(execution, "LARGE", 0)
    monkeypatch.setattr(np, "empty_like", lambda x: np.full_like(x, np.nan))
    execution._kept_plan.cache_clear()
    g, w = numbers(1, 4096, 1), numbers(4096, 3, 2, seed=1)
    window = {"stride": (2,), "padding": ((0, 0),), "dilation": (1,)}
    found = limpid.primitives["conv_input"](g, w, extents=(2,), groups=1, **window)
    execution._kept_plan.cache_clear()
    np.testing.assert_allclose(found, np.einsum("nco,cik->nik", g, w), rtol=1e-10)


def test_lowers_to_contractions() -> None:
    x, w = np.zeros((2, 4, 9, 9)), np.zeros((6, 2, 3, 3))
    window = {
        "stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 2
    }  # fmt: skip
    (forward,) = limpid.primitives["conv"].lower(spec_of(x), spec_of(w), **window)
    assert forward.multiply_adds() == 2 * 6 * 5 * 5 * 2 * 9
    assert {i.name: i.role for i in forward.indices} == {
        "n": "outer", "g": "outer", "o0": "row", "o1": "row", "c": "lane",
        "i": "reduction", "k0": "reduction", "k1": "reduction",
    }  # fmt: skip
    assert forward.left[2].terms == (("o0", 2), ("k0", 1))
    assert forward.left[2].offset == -1
    y = np.zeros((2, 6, 5, 5))
    phases = limpid.primitives["conv_input"].lower(spec_of(y), spec_of(w), extents=(9, 9), **window)
    assert len(phases) == 4  # a stride of 2 along two axes
    assert sum(p.multiply_adds() for p in phases) < 2 * forward.multiply_adds()


def test_gradients_flow_through_a_stack_in_all_modes() -> None:
    net = nn.Sequential(
        nn.Conv1d(2, 3, 3, dtype="float64"), nn.Tanh(),
        nn.ConvTranspose1d(3, 2, 3, stride=2, dtype="float64"),
    )  # fmt: skip
    limpid.check_grad(lambda x: net(x), numbers(2, 2, 6))


def test_recorded_step_equals_eager() -> None:
    layer = nn.Conv2d(2, 3, 3, padding=1)
    x = np.ones((2, 2, 5, 5), np.float32)

    def loss(x: Any) -> Any:
        return limpid.sum(layer(x) ** 2)

    recorded = limpid.record(loss, x)
    np.testing.assert_array_equal(recorded(x).numpy(), loss(x).detach().numpy())
    assert "conv(arg0, weight" in str(recorded.graph)
