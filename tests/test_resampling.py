"""Resampling: what stays where, ugly numbers and layouts, memory, errors; values: tests/rows."""

from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.nn import functional as F
from limpid.ops.windows.band import KINDS
from limpid.ops.windows.resample import resample

MODES = {
    1: ["nearest", "nearest-exact", "linear", "area"],
    2: ["nearest", "nearest-exact", "bilinear", "bicubic", "area"],
    3: ["nearest", "nearest-exact", "trilinear", "area"],
}


def image(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_weights_add_up_to_one():
    """A constant stays a constant, whatever the extents."""
    for kind in KINDS:
        for n, m in [(1, 1), (1, 7), (7, 1), (5, 13), (13, 5), (64, 200), (300, 41)]:
            for align in (False, True):
                for scale in (None, [m / n * 1.01]):
                    made = resample(np.ones((2, n)), [1], [m], kind, align, scale)
                    np.testing.assert_allclose(made, 1, rtol=1e-13)


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_corners_stay_and_lines_stay_lines(kind):
    ramp = np.linspace(-1, 1, 9)[None]
    made = resample(ramp, [1], [25], kind, align_corners=True)
    inner = made[:, 3:-3] if kind == "cubic" else made  # at the borders elements are repeated
    expected = np.linspace(-1, 1, 25)[None]
    np.testing.assert_allclose(made[:, [0, -1]], ramp[:, [0, -1]])
    if kind == "linear":
        np.testing.assert_allclose(inner, expected, atol=1e-14)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_same_size_is_the_same_image(rank):
    x = image(2, 3, *(4, 5, 6)[:rank])
    for mode in MODES[rank]:
        t = limpid.tensor(x)
        y = F.interpolate(t, x.shape[2:], mode=mode)
        assert y is not t
        np.testing.assert_array_equal(y.numpy(), x)


PATHS = {  # images for each way in which a matrix is applied
    "taps": (1, 2, 6, 5),
    "at once": (8, 20, 6, 5),
    "blocks": (1, 40, 130, 70),
    "long": (1, 1, 3000, 1),
    "parts": (4, 20, 8, 160),
}


@pytest.mark.parametrize("shape", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("kind", KINDS)
def test_infinite_numbers_stay_where_they_are(shape, kind):
    """They reach what they have a weight in, and nothing else, forward and backward."""
    extents = (shape[2] // 2, shape[3] * 2)
    clean, ugly = image(*shape), image(*shape)
    ugly[0, -1, 2, 0], ugly[0, 0, -1, -1] = np.inf, np.nan
    _check_spread(lambda x: resample(x, [2, 3], extents, kind), clean, ugly)
    g = image(*shape[:2], *extents, seed=1)
    ugly = g.copy()
    ugly[0, -1, 1, 0], ugly[0, 0, -1, -1] = np.inf, np.nan
    pull = limpid.vjp(lambda x: resample(x, [2, 3], extents, kind), clean)[1]
    _check_spread(lambda g: np.asarray(pull(g)), g, ugly)


def _check_spread(call, clean, ugly):
    """What is not finite is what depends on what is not finite; the rest is as before."""
    marks = (~np.isfinite(ugly)).astype(float)
    with np.errstate(all="ignore"):
        made = call(ugly)
    reached = np.abs(call(marks * np.random.default_rng(2).uniform(1, 2, marks.shape))) > 1e-9
    np.testing.assert_array_equal(~np.isfinite(made), reached)
    np.testing.assert_allclose(made[~reached], call(np.where(marks, 0, clean))[~reached], 1e-9)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_layouts_of_memory(rank):
    base = image(4, 3, *(9, 8, 10)[:rank])
    turned = np.moveaxis(image(*base.shape[1:], 4), -1, 0)
    for x in (base[::2, :, ::-2], np.asfortranarray(base), turned):
        x.flags.writeable = False
        for mode in MODES[rank]:
            for factor in (2, 0.6):
                call = partial(F.interpolate, scale_factor=factor, mode=mode)
                expected = call(np.ascontiguousarray(x))
                np.testing.assert_allclose(call(x), expected, rtol=1e-14)
                g = np.asfortranarray(image(*expected.shape, seed=1))
                found, same = limpid.vjp(call, x)[1](g), limpid.vjp(call, x.copy())[1](g.copy("C"))
                np.testing.assert_allclose(np.asarray(found), np.asarray(same), rtol=1e-13)


def test_grids_in_any_layout():
    x, grid = image(2, 3, 6, 5), np.random.default_rng(1).uniform(-1.2, 1.2, (2, 4, 3, 2))
    expected = F.grid_sample(x, grid)
    for a, b in [
        (np.asfortranarray(x), np.asfortranarray(grid)),
        (np.repeat(x, 2, -1)[..., ::2], np.repeat(grid, 3, 1)[:, ::3]),
        (np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1), grid[:, ::-1].copy()[:, ::-1]),
    ]:
        a.flags.writeable = b.flags.writeable = False
        np.testing.assert_allclose(F.grid_sample(a, b), expected, rtol=1e-14)
        s, t = limpid.tensor(a, requires_grad=True), limpid.tensor(b, requires_grad=True)
        limpid.sum(F.grid_sample(s, t) ** 2).backward()
        limpid.check_grad(F.grid_sample, a, b)


def test_types():
    x = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    assert F.interpolate(x, scale_factor=2).dtype == np.uint8
    assert F.interpolate(x > 2, scale_factor=2).dtype == bool
    assert F.interpolate(x, scale_factor=2, mode="bilinear").dtype == np.float32
    assert F.interpolate(limpid.asarray(x), scale_factor=2, mode="area").dtype == limpid.float32
    for dtype in (np.float16, np.float32, np.float64):
        grid = np.zeros((1, 1, 1, 2), dtype)
        assert F.grid_sample(x, grid).dtype == dtype
        assert F.grid_sample(x.astype(dtype), grid).dtype == dtype
        for mode in MODES[2]:
            made = F.interpolate(x.astype(dtype), (3, 5), mode=mode)
            assert made.dtype == dtype
            np.testing.assert_allclose(
                made, F.interpolate(x.astype(float), (3, 5), mode=mode), 2e-3
            )
    assert F.affine_grid(np.ones((1, 2, 3), np.float32), (1, 1, 2, 2)).dtype == np.float32


def test_no_images():
    for rank, modes in MODES.items():
        for mode in modes:
            for shape in [(0, 2, *(3, 4, 5)[:rank]), (2, 0, *(3, 4, 5)[:rank])]:
                x = limpid.tensor(np.zeros(shape), requires_grad=True)
                y = F.interpolate(x, scale_factor=2, mode=mode)
                assert y.shape == (*shape[:2], *(6, 8, 10)[:rank])
                limpid.sum(y).backward()
                assert x.grad.shape == shape


def peak(call):
    """Bytes that were held at the same time, at most."""
    call()  # what is kept for later calls
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("mode", MODES[2])
@pytest.mark.parametrize("size", [(700, 650), (100, 90), (400, 900)])
def test_memory_of_interpolation(mode, size):
    x = image(2, 3, 300, 320).astype(np.float32)
    made, y = peak(lambda: F.interpolate(x, size, mode=mode))
    assert made < 2 * (x.nbytes + y.nbytes)
    x.setflags(write=False)
    pull = limpid.vjp(lambda x: F.interpolate(x, size, mode=mode), x)[1]
    made, _ = peak(lambda: pull(y))
    assert made < 2 * (x.nbytes + y.nbytes)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
def test_memory_of_grid_sampling(mode):
    """In blocks: no array of weights or addresses is as large as the images."""
    x = image(4, 3, 300, 320).astype(np.float32)
    grid = np.random.default_rng(1).uniform(-1, 1, (4, 350, 300, 2)).astype(np.float32)
    made, y = peak(lambda: F.grid_sample(x, grid, mode))
    assert made < y.nbytes + (8 << 20)
    s, t = limpid.asarray(x), limpid.asarray(grid)
    s.requires_grad = t.requires_grad = True

    def step():
        s.grad = t.grad = None
        limpid.sum(F.grid_sample(s, t, mode)).backward()

    made, _ = peak(step)
    assert made < 2 * (x.nbytes + grid.nbytes + y.nbytes)


def test_chunks_of_a_grid_agree():
    """Many images of few places, and few images of many places, go through in several pieces."""
    for images, places in [(300, (5, 6)), (1, (150, 160)), (3, (90, 100))]:
        x = image(images, 2, 7, 6)
        grid = np.random.default_rng(1).uniform(-1.1, 1.1, (images, *places, 2))
        whole = F.grid_sample(x, grid, "bicubic")
        for i in {0, images // 2, images - 1}:
            part = F.grid_sample(x[i : i + 1], grid[i : i + 1, -1:], "bicubic")
            np.testing.assert_allclose(whole[i : i + 1, :, -1:], part, rtol=1e-12)
        g = image(*whole.shape, seed=3)
        by_image, by_place = limpid.vjp(lambda x, t: F.grid_sample(x, t), x, grid)[1](g)
        i = images - 1
        alone = limpid.vjp(lambda x, t: F.grid_sample(x, t), x[i:], grid[i:])[1](g[i:])
        np.testing.assert_allclose(np.asarray(by_image)[i:], np.asarray(alone[0]), atol=1e-12)
        np.testing.assert_allclose(np.asarray(by_place)[i:], np.asarray(alone[1]), atol=1e-12)


def test_the_identity_samples_the_image():
    for shape in [(2, 3, 5, 4), (2, 3, 4, 5, 3)]:
        x, rank = image(*shape), len(shape) - 2
        theta = np.broadcast_to(np.eye(rank, rank + 1), (2, rank, rank + 1))
        for align in (False, True):
            grid = F.affine_grid(theta, shape, align)
            for mode in ("bilinear", "nearest"):
                made = F.grid_sample(x, grid, mode, align_corners=align)
                np.testing.assert_allclose(made, x, atol=1e-12)


def test_a_single_pixel_is_in_the_middle():
    theta = np.eye(2, 3)[None]
    for align in (False, True):
        grid = F.affine_grid(theta, (1, 1, 1, 3), align)
        np.testing.assert_allclose(grid[..., 1], 0)
        assert grid[0, 0, 1, 0] == 0


def test_slopes_at_the_kinks():
    x = np.array([[[[1.0, 2.0, 4.0, 8.0]]]])  # one row

    def slope(place, padding):
        """By the place in pixels."""
        at = (2 * place + 1) / 4 - 1
        grid = np.array([[[[at, 0.0]]]])
        g = limpid.grad(lambda t: limpid.sum(F.grid_sample(x, t, padding_mode=padding)))(grid)
        return g[0, 0, 0, 0] / 2

    assert slope(1, "zeros") == 2  # to the right
    assert slope(0, "border") == slope(3, "border") == 0  # held
    assert slope(0.5, "border") == 1
    assert slope(-3, "border") == slope(9, "border") == 0
    assert slope(-1.75, "reflection") == -1  # mirrored at −0.5
    assert slope(-3, "zeros") == slope(9, "zeros") == 0


def test_ugly_images_under_a_grid():
    """Outside is 0, even if the pixel at the border is infinite."""
    x = np.full((1, 1, 3, 3), np.inf)
    grid = np.array([[[[5.0, 5.0], [-3.0, 0.0]]]])
    np.testing.assert_array_equal(F.grid_sample(x, grid), 0)
    g = np.full((1, 1, 1, 2), np.nan)
    back = limpid.vjp(lambda x: F.grid_sample(x, grid), np.zeros((1, 1, 3, 3)))[1](g)
    np.testing.assert_array_equal(np.asarray(back), 0)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_places_very_far_away(mode, padding):
    x = image(1, 1, 4, 5)
    for far in (1e3, 1e9, 1e18, 1e300, 1.7e308, np.float32(3e38)):
        grid = np.array([[[[far, 0.3], [-far, -far]]]], np.asarray(far).dtype)
        made = F.grid_sample(x, grid, mode, padding)
        assert np.isfinite(made).all()
        if padding == "zeros":
            assert not made.any()
        if padding == "border" and mode != "bicubic":
            assert made[0, 0, 0, 1] == x[0, 0, 0, 0]
        slopes = limpid.grad(lambda t: limpid.sum(F.grid_sample(x, t, mode, padding)))
        assert np.isfinite(slopes(grid)).all()
        sample = partial(F.grid_sample, grid=grid, mode=mode, padding_mode=padding)
        back = limpid.vjp(sample, x)[1](made)
        assert np.isfinite(np.asarray(back)).all()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_grid_with_ugly_numbers_is_refused(number):
    x, grid = np.zeros((1, 2, 3, 3)), np.zeros((1, 4, 5, 2))
    grid[0, 3, 1, 1] = number
    words = rf"grid_sample.*: the grid is {number} at \(0, 3, 1, 1\)"
    with pytest.raises(ArgumentError, match=words):
        F.grid_sample(x, grid)
    t = limpid.tensor(grid, requires_grad=True)
    with pytest.raises(ArgumentError, match=words):
        F.grid_sample(limpid.tensor(x), t)
    recorded = limpid.record(F.grid_sample, x, np.zeros_like(grid))
    with pytest.raises(ArgumentError, match=words):
        recorded(x, grid)


def test_pixels_and_channels_come_back():
    x = image(2, 3, 8, 4, 6)
    np.testing.assert_array_equal(F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2), x)
    y = image(2, 6, 3)
    np.testing.assert_array_equal(F.channel_shuffle(F.channel_shuffle(y, 2), 3), y)
    z = np.zeros((1, 4, 2, 2))
    z[0, 1] = 1  # channel r·i + j goes to pixel (i, j)
    np.testing.assert_array_equal(F.pixel_shuffle(z, 2)[0, 0, ::2, 1::2], 1)
    assert F.pixel_shuffle(np.zeros((0, 8, 2, 2)), 2).shape == (0, 2, 4, 4)
    assert F.channel_shuffle(np.zeros((1, 8, 0)), 2).shape == (1, 8, 0)


def test_layers():
    x = image(2, 8, 4, 6).astype(np.float32)
    net = nn.Sequential(
        nn.Upsample(scale_factor=1.5, mode="bilinear"), nn.UpsamplingNearest2d(size=(4, 4)),
        nn.PixelShuffle(2), nn.ChannelShuffle(2), nn.PixelUnshuffle(4),
        nn.UpsamplingBilinear2d(scale_factor=2),
    )  # fmt: skip
    y = net(x)
    assert y.shape == (2, 32, 4, 4)
    np.testing.assert_array_equal(limpid.record(net, x)(x).numpy(), y)
    limpid.check_grad(net, x.astype(np.float64)[:1])


x = np.zeros((2, 4, 3, 5))
grid = np.zeros((2, 3, 3, 2))
IMPOSSIBLE = [
    (lambda: F.interpolate(x), ArgumentError, "either a size or a scale_factor"),
    (lambda: F.interpolate(x, 3, 2.0), ArgumentError, "either a size or a scale_factor"),
    (lambda: F.interpolate(x, (3, 3, 3)), ArgumentError, "size has 3 numbers for 2 spatial"),
    (lambda: F.interpolate(x, scale_factor=(2.0,)), ArgumentError, "has 1 numbers for 2"),
    (lambda: F.interpolate(x, 2.5), ArgumentError, "size must be an integer .* not 2.5"),
    (lambda: F.interpolate(x, 0), ShapeError, "3×5 can't become one of 0×0"),
    (lambda: F.interpolate(x, -1), ArgumentError, "size must be .* not -1"),
    (lambda: F.interpolate(x, scale_factor=0.1), ShapeError, "3×5 can't become one of 0×0"),
    (lambda: F.interpolate(x[..., :0], scale_factor=2), ShapeError, "an image of 3×0"),
    (lambda: F.interpolate(x, scale_factor=-2), ArgumentError, "a positive number, not -2"),
    (lambda: F.interpolate(x, scale_factor=0), ArgumentError, "a positive number, not 0"),
    (lambda: F.interpolate(x, scale_factor=np.nan), ArgumentError, "a positive number, not nan"),
    (lambda: F.interpolate(x, scale_factor="2x"), ArgumentError, "a positive number"),
    (lambda: F.interpolate(x, 2, mode="cubic"), ArgumentError, "mode is one of"),
    (lambda: F.interpolate(x, 2, mode="linear"), ShapeError, "'linear' is for .* of 3 axes"),
    (lambda: F.interpolate(x[0], 2, mode="bicubic"), ShapeError, "of 4 axes"),
    (lambda: F.interpolate(x[0, 0], 2), ShapeError, "of 3 or 4 or 5 axes"),
    (lambda: F.interpolate(x, 2, align_corners=True), ArgumentError, "does not go with mode"),
    (lambda: F.interpolate(x, 2, antialias=True), ArgumentError, "antialias goes with"),
    (lambda: F.interpolate(x, 2, mode="lanczos"), ArgumentError, "needs antialias=True"),
    (lambda: F.interpolate(x, 2, recompute_scale_factor=True), ArgumentError, "needs a scale"),
    (lambda: nn.Upsample(scale_factor=["a", 2])(x), ArgumentError, "a positive number, not 'a'"),
    (lambda: nn.Upsample()(x), ArgumentError, "either a size or a scale_factor"),
    (lambda: F.interpolate("no", 2), DTypeError, "interpolate: limpid has no element type"),
    (lambda: resample(x, [2], [4], "quintic"), ArgumentError, "kind is one of"),
    (lambda: resample(x, [2], [0], "linear"), ShapeError, "can't go from 3 to 0"),
    (lambda: F.grid_sample(x[0], grid), ShapeError, "4 or 5 axes, not shape"),
    (lambda: F.grid_sample(x, grid[..., :1]), ShapeError, "needs a grid"),
    (lambda: F.grid_sample(x, grid[0]), ShapeError, "needs a grid"),
    (lambda: F.grid_sample(x[:1], grid), ShapeError, "1 images but 2 grids"),
    (lambda: F.grid_sample(x[..., :0], grid), ShapeError, "nothing to sample"),
    (lambda: F.grid_sample(x, grid, "cubic"), ArgumentError, "mode is"),
    (lambda: F.grid_sample(x, grid, padding_mode="wrap"), ArgumentError, "padding is"),
    (lambda: F.grid_sample(x[..., None], np.zeros((2, 1, 1, 1, 3)), "bicubic"), ArgumentError,
     "two spatial axes"),
    (lambda: F.affine_grid(np.zeros((2, 2, 3)), (1, 1, 2, 2)), ShapeError, "theta must have shape"),
    (lambda: F.affine_grid(np.zeros((2, 3)), (1, 1, 2, 2)), ShapeError, "theta must have shape"),
    (lambda: F.affine_grid(np.zeros((1, 2, 3)), (1, 1, 0, 2)), ShapeError, "numbers from 1 on"),
    (lambda: F.affine_grid(np.zeros((1, 2, 3)), (1, 1, 2)), ShapeError, r"size is \(N, C, H, W\)"),
    (lambda: F.affine_grid(np.zeros((1, 2, 3), int), (1, 1, 2, 2)), DTypeError, "of floats"),
    (lambda: F.pixel_shuffle(x[0, 0], 2), ShapeError, "at least 3 axes"),
    (lambda: F.pixel_shuffle(x, 3), ShapeError, "4 channels can't be divided by 3² = 9"),
    (lambda: F.pixel_shuffle(x, 0), ArgumentError, "upscale_factor must be an integer from 1"),
    (lambda: nn.PixelUnshuffle(2)(x), ShapeError, "an image of 3×5 can't be divided by 2"),
    (lambda: nn.PixelUnshuffle(1.5)(x), ArgumentError, "downscale_factor must be an integer"),
    (lambda: F.channel_shuffle(x, 3), ShapeError, "4 channels can't be cut into 3 groups"),
    (lambda: F.channel_shuffle(x[0, 0], 2), ShapeError, "at least 3 axes"),
    (lambda: nn.ChannelShuffle(-1)(x), ArgumentError, "groups must be an integer from 1"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(IMPOSSIBLE)))
def test_impossible_geometry_says_why(number):
    call, kind, words = IMPOSSIBLE[number]
    with pytest.raises(kind, match=words):
        call()


def test_errors_name_the_layer_within_a_network():
    net = nn.Sequential(nn.Sequential(nn.Upsample(scale_factor=0.1)))
    with pytest.raises(ShapeError, match=r"interpolate in 0\.0: an image of 3×5 can't become"):
        net(limpid.tensor(x))
