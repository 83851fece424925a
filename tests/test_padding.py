"""Padding layers: values against NumPy, ugly inputs, errors that say what does not fit."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.nn import functional as F

NUMPY = {"Reflection": "reflect", "Replication": "edge", "Circular": "wrap", "Zero": "constant"}
WIDTHS = {1: (2, 1), 2: (2, 1, 0, 3), 3: (2, 1, 0, 3, 1, 1)}


def numpy_pad(x, widths, mode, **options):
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2)
    pairs += [widths[i : i + 2] for i in range(len(widths) - 2, -1, -2)]
    return np.pad(x, pairs, mode, **options)


@pytest.mark.parametrize("kind", NUMPY)
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [(2, 3), (3,)])
def test_layers_against_numpy(kind, rank, batch):
    x = np.random.default_rng(0).normal(size=(*batch, 5, 4, 6)[: len(batch) + rank])
    layer = getattr(nn, f"{kind}Pad{rank}d")
    for widths in (WIDTHS[rank], 1):
        full = widths if isinstance(widths, tuple) else (widths,) * (2 * rank)
        made = layer(widths)
        assert made.padding == full
        np.testing.assert_array_equal(made(x), numpy_pad(x, full, NUMPY[kind]))
        t = limpid.tensor(x, requires_grad=True)
        y = made(t)
        np.testing.assert_array_equal(y.detach().numpy(), made(x))
        limpid.sum(y).backward()
        numbers = np.arange(x.size).reshape(x.shape)
        if kind == "Zero":
            counts = np.ones(x.shape)
        else:
            repeated = numpy_pad(numbers, full, NUMPY[kind])
            counts = np.bincount(repeated.ravel(), minlength=x.size).reshape(x.shape)
        np.testing.assert_array_equal(t.grad.numpy(), counts)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_constant_layers(rank):
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4, 6)[: 2 + rank])
    layer = getattr(nn, f"ConstantPad{rank}d")(WIDTHS[rank], 3.5)
    expected = numpy_pad(x, WIDTHS[rank], "constant", constant_values=3.5)
    np.testing.assert_array_equal(layer(x), expected)
    assert repr(layer) == f"ConstantPad{rank}d(padding={WIDTHS[rank]}, value=3.5)"


def test_a_gradient_flows_to_the_constant():
    x, value = np.ones((2, 3)), np.float64(2.0)
    slope = limpid.grad(lambda v: limpid.sum(F.pad(x, (1, 2), value=v)))(value)
    assert slope == 6


def test_negative_widths_take_away():
    x = np.arange(5.0)[None]
    assert F.pad(x, (-1, -2)).tolist() == [[1, 2]]
    assert F.pad(x, (-1, 2)).tolist() == [[1, 2, 3, 4, 0, 0]]
    assert F.pad(x, (-1, 2), "reflect").tolist() == [[1, 2, 3, 4, 3, 2]]
    assert F.pad(x, (3, -3), "reflect").tolist() == [[3, 2, 1, 0, 1]]
    assert F.pad(x, (-1, 2), "replicate").tolist() == [[1, 2, 3, 4, 4, 4]]
    assert F.pad(x, (-1, 2), "circular").tolist() == [[1, 2, 3, 4, 1, 2]]  # 0 is gone
    assert F.pad(x, (-2, -3)).shape == (1, 0)


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge", "wrap"])
@pytest.mark.parametrize("extent", [1, 2, 3, 5])
@pytest.mark.parametrize("width", [(0, 1), (4, 0), (3, 7), (11, 12)])
def test_widths_beyond_the_axis(mode, extent, width):
    """limpid.pad goes back and forth, as NumPy does; its transpose adds up what it repeated."""
    x = np.random.default_rng(0).normal(size=(extent, 2))
    widths = (width, (1, 2))
    np.testing.assert_array_equal(limpid.pad(x, widths, mode), np.pad(x, widths, mode))
    limpid.check_grad(lambda x: limpid.pad(x, widths, mode), x)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_layouts_of_memory(mode):
    base = np.random.default_rng(0).normal(size=(2, 3, 8, 10))
    for x in (base[:, :, ::2, ::-3], np.asfortranarray(base), base.transpose(1, 0, 3, 2)):
        x.flags.writeable = False
        widths = (1, 2, 2, 0)
        expected = F.pad(np.ascontiguousarray(x), widths, mode)
        np.testing.assert_array_equal(F.pad(x, widths, mode), expected)
        g = np.asfortranarray(np.random.default_rng(1).normal(size=expected.shape))
        pad = partial(F.pad, pad=widths, mode=mode)
        found = limpid.vjp(pad, x)[1](g)
        same = limpid.vjp(pad, x.copy())[1](g.copy("C"))
        np.testing.assert_array_equal(np.asarray(found), np.asarray(same))


def test_other_types():
    x = np.arange(6).reshape(2, 3)
    for mode in ("constant", "reflect", "replicate", "circular"):
        padded = F.pad(x, (1, 1), mode)
        assert padded.dtype == x.dtype
        assert F.pad(x.astype(np.float16), (1, 1), mode).dtype == np.float16
        assert F.pad(x > 2, (1, 1), mode).dtype == bool
        np.testing.assert_array_equal(F.pad(limpid.asarray(x), (1, 1), mode).numpy(), padded)


def test_no_elements():
    assert F.pad(np.zeros((0, 3, 4)), (1, 2), "reflect").shape == (0, 3, 7)
    assert F.pad(np.zeros((2, 0, 4)), (1, 2), "circular").shape == (2, 0, 7)
    assert F.pad(np.zeros((2, 3, 0)), (1, 2)).shape == (2, 3, 3)
    assert F.pad(np.zeros((2, 3)), ()).shape == (2, 3)
    assert nn.ReplicationPad2d(1)(np.zeros((0, 1, 2, 2))).shape == (0, 1, 4, 4)


x = np.zeros((2, 3, 4))
IMPOSSIBLE = [
    (lambda: F.pad(x, (4, 0), "reflect"), ShapeError, "at most 3 elements"),
    (lambda: F.pad(x, (0, 5), "circular"), ShapeError, "at most 4 elements"),
    (lambda: F.pad(x, (3, -3), "circular"), ShapeError, "at most 1 elements"),
    (lambda: F.pad(x[..., :0], (1, 0), "reflect"), ShapeError, "at most 0 elements"),
    (lambda: F.pad(x[..., :0], (1, 0), "replicate"), ShapeError, "at most 0 elements"),
    (lambda: F.pad(x, (-3, -2)), ShapeError, "leave nothing of axis 2"),
    (lambda: F.pad(x, (-5, 3)), ShapeError, "leave nothing of axis 2"),
    (lambda: F.pad(x, (-2, -2), "reflect"), ShapeError, "leave nothing of axis 2"),
    (lambda: F.pad(x, (1, 1, 1)), ArgumentError, "two numbers for each"),
    (lambda: F.pad(x, (1,) * 8), ArgumentError, "but 8 were given"),
    (lambda: F.pad(x, 1), ArgumentError, "tuple of integers"),
    (lambda: F.pad(x, (1.5, 1)), ArgumentError, "tuple of integers"),
    (lambda: F.pad(x, (1, 1), "edge"), ArgumentError, "mode is one of"),
    (lambda: F.pad(x, (1, 1), "reflect", 2.0), ArgumentError, "takes no value"),
    (lambda: F.pad(x, (1, 1) * 3, "reflect"), ShapeError, "limpid.pad pads any axes"),
    (lambda: F.pad(x[0, 0], (1, 1), "circular"), ShapeError, "1 axes of shape"),
    (lambda: F.pad("no", (1, 1)), DTypeError, "pad: limpid has no element type"),
    (lambda: nn.ReflectionPad1d(4)(x), ShapeError, "at most 3 elements"),
    (lambda: nn.ReflectionPad2d(1)(x[0]), ShapeError, "ReflectionPad2d: the input has 4 axes"),
    (lambda: nn.CircularPad3d((1, 2)), ArgumentError, "CircularPad3d: padding is an integer or 6"),
    (lambda: nn.ZeroPad2d(1.5), ArgumentError, "ZeroPad2d: padding is an integer or 4"),
]


@pytest.mark.parametrize("number", range(len(IMPOSSIBLE)))
def test_impossible_padding_says_why(number):
    call, kind, words = IMPOSSIBLE[number]
    with pytest.raises(kind, match=words):
        call()


def test_errors_name_the_layer_within_a_network():
    net = nn.Sequential(nn.Sequential(nn.ReflectionPad1d(4)))
    with pytest.raises(ShapeError, match=r"pad in 0\.0: mode 'reflect' adds at most 3"):
        net(limpid.tensor(x))
    with pytest.raises(ShapeError, match=r"ReflectionPad1d in 0\.0: the input has 3 axes"):
        net(limpid.tensor(x[0, 0]))


def test_layers_record():
    net = nn.Sequential(nn.ReflectionPad2d(1), nn.CircularPad2d((1, 0, 0, 1)), nn.ZeroPad2d(-1))
    a = np.random.default_rng(0).normal(size=(2, 1, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(limpid.record(net, a)(a).numpy(), net(a))
