"""Resampling and padding layers against PyTorch; most functions are rows of the table."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import LimpidError
from limpid.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:Since version 1.3.0")]
T = torch.nn.functional

LAYERS = [
    ("ConstantPad1d", ((1, 2), 3.5), 1), ("ConstantPad2d", (1, 0.5), 2),
    ("ConstantPad3d", ((1, 0, 2, 1, 0, -1), 2.0), 3), ("ZeroPad1d", (2,), 1),
    ("ZeroPad2d", ((1, -1, 0, 2),), 2), ("ZeroPad3d", (1,), 3), ("ReflectionPad1d", (2,), 1),
    ("ReflectionPad2d", ((2, 1, 0, 1),), 2), ("ReflectionPad3d", (1,), 3),
    ("ReplicationPad1d", ((5, 0),), 1), ("ReplicationPad2d", (1,), 2),
    ("ReplicationPad3d", ((1, 2, 0, 1, 3, 0),), 3), ("CircularPad1d", ((1, 3),), 1),
    ("CircularPad2d", (2,), 2), ("CircularPad3d", ((1, 0, 0, 2, 1, 1),), 3),
]  # fmt: skip
UPSAMPLING: list[tuple[str, dict[str, Any], int]] = [
    ("Upsample", {"scale_factor": 2}, 1), ("Upsample", {"size": 7, "mode": "linear"}, 1),
    ("Upsample", {"size": (3, 9)}, 2), ("Upsample", {"scale_factor": (1.5, 2.0)}, 2),
    ("Upsample", {"scale_factor": 2.5, "mode": "bilinear", "align_corners": True}, 2),
    ("Upsample", {"scale_factor": 1.6, "mode": "bicubic", "recompute_scale_factor": True}, 2),
    ("Upsample", {"scale_factor": 2, "mode": "trilinear"}, 3),
    ("UpsamplingNearest2d", {"scale_factor": 3}, 2), ("UpsamplingNearest2d", {"size": 5}, 2),
    ("UpsamplingBilinear2d", {"scale_factor": 2}, 2), ("UpsamplingBilinear2d", {"size": (3, 8)}, 2),
]  # fmt: skip
SHUFFLES = [("PixelShuffle", (2,)), ("PixelUnshuffle", (2,)), ("ChannelShuffle", (4,))]


def same(mine: Any, theirs: Any, shape: tuple[int, ...], dtype: str) -> None:
    """The same text, values and gradients."""
    assert repr(mine) == repr(theirs)
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    a, b = limpid.tensor(x, requires_grad=True), torch.from_numpy(x).requires_grad_()
    y, z = mine(a), theirs(b)
    limpid.sum(y * y).backward()
    (z * z).sum().backward()
    tolerance = 1e-10 if dtype == "float64" else 2e-5
    for found, expected in ((y, z), (a.grad, b.grad)):
        expected = expected.detach().numpy()
        assert found.shape == expected.shape
        assert str(found.dtype).endswith(str(expected.dtype))
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "arguments", "rank"), LAYERS, ids=[n for n, _, _ in LAYERS])
def test_padding_layers(name: str, arguments: Any, rank: int, dtype: str) -> None:
    for batch in ((2, 3), (3,), (0, 3)):
        mine, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
        same(mine, theirs, (*batch, *(4, 5, 6)[:rank]), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "options", "rank"), UPSAMPLING, ids=[f"{n}-{o}" for n, o, _ in UPSAMPLING]
)
def test_upsampling_layers(name: str, options: Any, rank: int, dtype: str) -> None:
    for images in (2, 0):
        mine, theirs = getattr(nn, name)(**options), getattr(torch.nn, name)(**options)
        same(mine, theirs, (images, 3, *(4, 3, 5)[:rank]), dtype)


@pytest.mark.parametrize(("name", "arguments"), SHUFFLES)
def test_shuffling_layers(name: str, arguments: Any) -> None:
    same(
        getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments), (2, 8, 4, 6), "float64"
    )


def test_signatures_follow_pytorch() -> None:
    for name in ("pad", "interpolate", "grid_sample", "affine_grid"):
        mine = inspect.signature(getattr(F, name)).parameters
        theirs = inspect.signature(getattr(T, name)).parameters
        assert list(mine) == list(theirs)
        assert [p.default for p in mine.values()] == [p.default for p in theirs.values()]
    for name in [n for n, *_ in LAYERS + UPSAMPLING + SHUFFLES]:
        mine = inspect.signature(getattr(nn, name)).parameters
        theirs = inspect.signature(getattr(torch.nn, name)).parameters
        assert list(mine) == list(theirs)
        assert [p.default for p in mine.values()] == [p.default for p in theirs.values()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_the_nearest_pixel_is_the_same_one(mode: str, dtype: str) -> None:
    """Also where rounding decides between two."""
    for n in [*range(1, 30), 100, 333]:
        x = np.arange(n, dtype=dtype)[None, None]
        given = torch.from_numpy(x)
        for m in [*range(1, 50), 97, 250]:
            mine = F.interpolate(x, m, mode=mode)
            np.testing.assert_array_equal(mine, T.interpolate(given, m, mode=mode).numpy())
        for scale in (2, 0.5, 1 / 3, 0.7, 1.1, 2.3, 7.7):
            if int(n * scale):
                mine = F.interpolate(x, scale_factor=scale, mode=mode)
                theirs = T.interpolate(given, scale_factor=scale, mode=mode).numpy()
                np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("align", [False, True])
def test_many_sizes(align: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        n, m = rng.integers(1, 40, 2), rng.integers(1, 60, 2)
        x = rng.normal(size=(2, 17, *n))
        given = torch.from_numpy(x)
        for mode in ("bilinear", "bicubic", "area"):
            options: dict[str, Any] = {} if mode == "area" else {"align_corners": align}
            size = tuple(m.tolist())
            # Where one column is left, PyTorch's antialiasing makes all rows equal to the first.
            for antialias in (False, True)[: 1 if mode == "area" or m[1] == 1 else 2]:
                mine = F.interpolate(x, size, mode=mode, antialias=antialias, **options)
                theirs = T.interpolate(given, size, mode=mode, antialias=antialias, **options)
                np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_antialiasing_leaves_an_axis_of_the_same_extent_alone(mode: str) -> None:
    """Whatever the scale says; in PyTorch it is so in the forward pass, not in the backward one."""
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 8))
    for scales in [(1.05, 1.1), (0.6, 1.009)]:
        mine = F.interpolate(x, scale_factor=scales, mode=mode, antialias=True)
        given = torch.from_numpy(x)
        theirs = T.interpolate(given, scale_factor=scales, mode=mode, antialias=True)
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grids_far_outside(mode: str, padding: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for extents in ((4, 5), (1, 1), (1, 3), (7, 2)):
        for span in (1.0, 3.0, 50.0):
            for align in (False, True):
                x = rng.normal(size=(2, 3, *extents)).astype(dtype)
                grid = rng.uniform(-span, span, (2, 6, 5, 2)).astype(dtype)
                a, b = (limpid.tensor(v, requires_grad=True) for v in (x, grid))
                c, d = (torch.from_numpy(v).requires_grad_() for v in (x, grid))
                y = F.grid_sample(a, b, mode, padding, align)
                z = T.grid_sample(c, d, mode, padding, align)
                limpid.sum(y * y).backward()
                (z * z).sum().backward()
                tolerance = 1e-9 if dtype == "float64" else 5e-4 * max(span, 1)
                for found, expected in ((y, z), (a.grad, c.grad), (b.grad, d.grad)):
                    if dtype == "float32" and mode == "nearest":
                        continue  # rounding decides between two pixels
                    np.testing.assert_allclose(
                        found.detach().numpy(), expected.detach().numpy(), tolerance, tolerance
                    )


def test_affine_grids_of_one_pixel() -> None:
    theta = np.random.default_rng(0).normal(size=(1, 2, 3))
    for size in ((1, 1, 1, 3), (1, 2, 1, 1)):
        mine = F.affine_grid(theta, size, True)
        theirs = T.affine_grid(torch.from_numpy(theta), size, True)
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-12)


IMAGE = np.zeros((1, 4, 3, 4))
REFUSED = [
    lambda f, x: f.pad(x, (4, 0, 0, 0), "reflect"), lambda f, x: f.pad(x, (5, 0, 0, 0), "circular"),
    lambda f, x: f.pad(x, (-3, -2)), lambda f, x: f.pad(x, (1, 1), "reflect"),
    lambda f, x: f.pad(x, (1, 1, 1)), lambda f, x: f.pad(x, (1, 1), "edge"),
    lambda f, x: f.pad(x, (1, 1, 1, 1), "replicate", 1.0),
    lambda f, x: f.interpolate(x), lambda f, x: f.interpolate(x, 3, 2.0),
    lambda f, x: f.interpolate(x, 0), lambda f, x: f.interpolate(x, scale_factor=0.1),
    lambda f, x: f.interpolate(x, scale_factor=-1.0), lambda f, x: f.interpolate(x, (2, 2, 2)),
    lambda f, x: f.interpolate(x, 2, mode="linear"), lambda f, x: f.interpolate(x, 2, mode="best"),
    lambda f, x: f.interpolate(x, 2, align_corners=False),
    lambda f, x: f.interpolate(x, 2, antialias=True),
    lambda f, x: f.interpolate(x, 2, mode="lanczos"),
    lambda f, x: f.interpolate(x, 2, recompute_scale_factor=True),
    lambda f, x: f.grid_sample(x, x[..., :3]), lambda f, x: f.grid_sample(x, x[0, :, :, :2]),
    lambda f, x: f.grid_sample(x, x[..., :2], "cubic"),
    lambda f, x: f.grid_sample(x[..., :0], x[..., :2]),
    lambda f, x: f.affine_grid(x[0], (1, 1, 3, 4)), lambda f, x: f.affine_grid(x[0], (4, 1, 0, 4)),
    lambda f, x: f.pixel_shuffle(x, 3), lambda f, x: f.pixel_shuffle(x, 0),
    lambda f, x: f.pixel_unshuffle(x, 2), lambda f, x: f.channel_shuffle(x, 3),
    lambda f, x: f.channel_shuffle(x[0, 0], 2),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Default")
@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_pytorch_refuses_is_refused(number: int) -> None:
    call: Any = REFUSED[number]
    with pytest.raises((RuntimeError, ValueError, NotImplementedError)):
        call(T, torch.from_numpy(IMAGE))
    with pytest.raises(LimpidError):
        call(F, IMAGE)
