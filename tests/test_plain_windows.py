"""Plain steps of pooling, unfolding, padding and resampling against their forwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import limpid
from limpid import nn
from limpid.errors import ShapeError
from limpid.graph.registry import primitives
from limpid.ops.windows.grid import grid_sample
from limpid.ops.windows.resample import resample
from tests.plain import agree, numbers

F = nn.functional

# Windows


@st.composite
def windows(draw: Any) -> dict[str, Any]:
    rank = draw(st.integers(1, 2))
    largest = draw(st.sampled_from([3, 5, 20])) if rank == 1 else draw(st.sampled_from([3, 6]))
    side = st.tuples(
        st.integers(1, 12), st.integers(1, largest), st.integers(1, 4), st.integers(0, 3),
        st.integers(0, 3), st.integers(1, 3),
    )  # fmt: skip
    sides = [draw(side) for _ in range(rank)]
    extents, kernel, stride, before, after, dilation = zip(*sides, strict=True)
    padding = tuple(zip(before, after, strict=True))
    params = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return {"extents": tuple(extents), **params}


@settings(max_examples=250, deadline=None)
@given(windows(), st.integers(0, 99))
def test_windows(window: dict[str, Any], seed: int) -> None:
    extents = window.pop("extents")
    x = np.round(numbers(2, *extents, seed=seed), 1)
    op = primitives
    try:
        y = op["sum_pool"](x, **window)
    except ShapeError:
        assume(False)
    back = {**window, "extents": extents}
    agree(lambda x: op["sum_pool"](x, **window), x)
    agree(lambda g: op["sum_pool_input"](g, **back), y)
    agree(lambda x: op["unfold"](x, **window), x)
    agree(lambda g: op["fold"](g, **back), numbers(*op["unfold"](x, **window).shape))


@settings(max_examples=250, deadline=None)
@given(windows(), st.integers(0, 99), st.sampled_from(["float64", "float32", "int8", "uint8"]))
def test_max_pooling(window: dict[str, Any], seed: int, dtype: str) -> None:
    extents = window.pop("extents")
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(2, *extents))).astype(dtype)  # with many ties
    if dtype.startswith("float"):
        x[rng.random(x.shape) < 0.3] = -np.inf
        x[rng.random(x.shape) < 0.05] = np.nan
    op = primitives
    try:
        y, winner = op["max_pool"](x, **window)
    except ShapeError:
        assume(False)
    back = {**window, "extents": extents}
    agree(lambda x: op["max_pool"](x, **window), x)
    agree(lambda x, w: op["window_pick"](x, w, **window), x, winner)
    agree(lambda w: op["window_positions"](w, **back), winner)
    g = numbers(*y.shape, dtype=np.float32)
    agree(lambda g, w: op["window_put"](g, w, **back), g, winner, tolerance=1e-6)


def test_a_dilated_window_is_not_the_whole_axis() -> None:
    window = {"kernel": (2,), "stride": (1,), "padding": ((0, 1),), "dilation": (2,)}
    agree(lambda x: primitives["sum_pool"](x, **window), numbers(2, 2))
    agree(lambda x: primitives["max_pool"](x, **window), -np.abs(numbers(2, 2)))


def test_folding_large_windows_axis_by_axis() -> None:
    window = {"kernel": (4, 5), "stride": (1, 1), "padding": ((0, 3), (1, 3)), "dilation": (1, 1)}
    places = primitives["unfold"](numbers(2, 3, 4), **window).shape
    agree(lambda g: primitives["fold"](g, extents=(3, 4), **window), numbers(*places))


@pytest.mark.parametrize("extent", [1, 2, 7, 30])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_pooling_of_everything(extent: int, dtype: str) -> None:
    x = np.round(numbers(3, 2, extent, extent) * 2)
    x[0, 0, 0, 0] = x[0, 0, -1, -1] = np.nan if dtype == "float32" else 9
    pool = {"kernel": (extent,) * 2, "stride": (1, 1), "padding": ((0, 0),) * 2, "dilation": (1, 1)}
    agree(lambda x: primitives["max_pool"](x, **pool), x.astype(dtype))


def test_large_pooling_needs_no_call() -> None:
    x = numbers(8, 16, 96, 96, dtype=np.float32)  # more than one part of eager's
    for layer in (
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.max_pool2d(x, 3, 2, 1),
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        lambda x: F.adaptive_avg_pool2d(x, 1),
        lambda x: F.adaptive_max_pool2d(x, (5, 7)),
        lambda x: F.local_response_norm(x, 5),
    ):
        weights = numbers(*layer(x).shape, dtype=np.float32, seed=1)
        agree(limpid.grad(lambda x: limpid.sum(layer(x) * weights)), x, tolerance=1e-5)  # noqa: B023  # called at once


# Padding, bins, resampling, grids


SIDES = st.tuples(st.integers(1, 5), st.integers(0, 9), st.integers(0, 9))
MODES = ["constant", "reflect", "symmetric", "edge", "wrap"]


@settings(max_examples=150, deadline=None)
@given(st.lists(SIDES, min_size=1, max_size=3), st.sampled_from(MODES))
def test_padding(sides: Any, mode: str) -> None:
    x = numbers(*(n for n, _, _ in sides))
    widths = tuple((a, b) for _, a, b in sides)
    y = limpid.pad(x, widths, mode)
    agree(lambda x: limpid.pad(x, widths, mode), x)
    weights = numbers(*y.shape, seed=1)
    agree(limpid.grad(lambda x: limpid.sum(limpid.pad(x, widths, mode) * weights)), x)


KINDS = ("nearest", "nearest-exact", "linear", "cubic", "area", "linear-antialias",
         "cubic-antialias", "lanczos-antialias")  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(KINDS), st.integers(1, 40), st.integers(1, 40), st.integers(1, 9),
    st.booleans(), st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_resampling(kind: str, n: int, m: int, k: int, align: bool, dtype: Any) -> None:
    x = numbers(3, n, k, dtype=dtype)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    align = align and kind in ("linear", "cubic")
    agree(lambda x: resample(x, [1, 2], [m, 2 * k], kind, align), x, tolerance=tolerance)
    weights = numbers(3, m, 2 * k, dtype=dtype, seed=1)

    def loss(x: Any) -> Any:
        return limpid.sum(resample(x, [1, 2], [m, 2 * k], kind, align) * weights)

    agree(limpid.grad(loss), x, tolerance=tolerance)


def test_resampling_of_infinite_numbers() -> None:
    x = numbers(2, 40)
    x[0, 3], x[1, 7], x[1, 20] = np.inf, np.nan, -np.inf
    for kind in KINDS:
        for m in (5, 13, 80, 90):
            agree(lambda x: resample(x, [1], [m], kind), x)  # noqa: B023  # called at once


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grids_of_many_places(mode: str, padding: str) -> None:
    x, grid = numbers(3, 2, 40, 50), numbers(3, 60, 70, 2, seed=1)
    x[0, 0, 3, 3] = np.inf
    agree(lambda x, grid: grid_sample(x, grid, mode, padding, True), x, grid)
    weights = numbers(3, 2, 60, 70, seed=2)

    def loss(x: Any, grid: Any) -> Any:
        return limpid.sum(grid_sample(x, grid, mode, padding) * weights)

    agree(limpid.grad(loss, (0, 1)), numbers(3, 2, 40, 50), grid, tolerance=1e-10)
