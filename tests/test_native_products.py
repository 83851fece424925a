"""Contractions that are loops in native code: grouped, depthwise and local ones, of any type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.compiler.program.translation import translate
from limpid.compiler.runtime.native import Native
from limpid.nn.functional import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from tests.native import agree, close, cut, native, needs_native, numbers  # noqa: F401  # a fixture

pytestmark = [needs_native, pytest.mark.usefixtures("cut")]
Function = Callable[..., Any]


def same(f: Function, *inputs: Any, width: int | None = None, tolerance: float = 1e-12) -> Native:
    """Check what a recorded function computes; nothing of it may be left to NumPy."""
    graph = limpid.record(f, *inputs).graph
    expected, _ = graph.evaluate(inputs)
    made = native(translate(graph).outputs, width)
    assert not any(block.is_call for phase in made.schedule.phases for block in phase)
    for actual, value in zip(made.run(inputs), expected, strict=True):
        close(actual, value, tolerance)
    return made


def with_gradients(f: Function) -> Function:
    def function(*inputs: Any) -> Any:
        gradient = limpid.grad(lambda *xs: limpid.sum(limpid.sin(f(*xs))), argnums=(0, 1))
        return f(*inputs), *gradient(*inputs)

    return function


@pytest.mark.parametrize("width", [16, 64])
@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2}, {"dilation": 2},
    {"stride": 3, "padding": 2, "dilation": 2}], ids=str)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3, 9, 16])
def test_depthwise(channels: int, options: dict[str, Any], width: int) -> None:
    def convolve(x: Any, w: Any) -> Any:
        return conv2d(x, w, groups=channels, **options)

    inputs = numbers(2, channels, 9, 11), numbers(channels, 1, 3, 2, seed=1)
    same(with_gradients(convolve), *inputs, width=width)


@pytest.mark.parametrize("groups", [2, 3])
def test_few_channels_in_each_group(groups: int) -> None:
    def convolve(x: Any, w: Any) -> Any:
        return conv1d(x, w, groups=groups, padding=2, stride=2)

    same(with_gradients(convolve), numbers(3, 2 * groups, 17), numbers(3 * groups, 2, 3, seed=1))


def test_channels_last() -> None:
    def convolve(x: Any, w: Any) -> Any:
        y = conv2d(limpid.permute_dims(x, (0, 3, 1, 2)), w, groups=16, padding=1)
        return limpid.permute_dims(y, (0, 2, 3, 1))

    same(with_gradients(convolve), numbers(2, 7, 6, 16), numbers(16, 1, 3, 3, seed=1))


@pytest.mark.parametrize(("stride", "kernel"), [(3, 2), (2, 1), (2, 3)])
@pytest.mark.parametrize(("given", "made"), [(1, 8), (8, 1), (16, 24)])
@pytest.mark.parametrize("n", [1, 3])
def test_places_that_nothing_reaches(
    n: int, given: int, made: int, stride: int, kernel: int
) -> None:
    x, w = numbers(n, given, 30), numbers(given, made, kernel, seed=1)
    same(lambda x, w: conv_transpose1d(x, w, stride=stride), x, w)
    x, w = numbers(n, given, 5, 4), numbers(given, made, kernel, 1, seed=1)
    same(lambda x, w: conv_transpose2d(x, w, stride=(stride, 2)), x, w)


def test_single_precision_sums_well() -> None:
    def convolve(x: Any, w: Any) -> Any:
        return conv2d(x, w, groups=8, padding=1)

    inputs = numbers(4, 8, 20, 20, dtype="float32"), numbers(8, 1, 3, 3, seed=1, dtype="float32")
    made = same(with_gradients(convolve), *inputs, tolerance=1e-5)
    graph = limpid.record(with_gradients(convolve), *inputs).graph
    eager, _ = graph.evaluate(inputs)
    doubles = [x.astype(float) for x in inputs]
    exact, _ = limpid.record(with_gradients(convolve), *doubles).graph.evaluate(doubles)
    for a, b, c in zip(made.run(inputs), eager, exact, strict=True):
        allowed = 4 * np.abs(b - c).max() + 4 * np.spacing(np.abs(c).max().astype(np.float32))
        assert np.abs(a - c).max() <= allowed


@pytest.mark.parametrize("shapes", [((5, 7), (7, 9)), ((7,), (7, 9)), ((5, 7), (7,)), ((2, 5, 0),
    (2, 0, 3)), ((0, 7), (7, 9)), ((2, 1, 5, 7), (3, 7, 4))], ids=str)  # fmt: skip
@pytest.mark.parametrize("dtype", ["int64", "int32", "bool", "float64"])
def test_products_of_matrices(dtype: str, shapes: Any) -> None:
    a, b = (numbers(*shape, seed=n, dtype=dtype) for n, shape in enumerate(shapes))
    agree(np.matmul, a, b)


def test_products_with_transposed_and_sliced_operands() -> None:
    def forward(a: Any, b: Any) -> Any:
        return np.matmul(a.T, b[::2]), np.matmul(b[1], a[:, ::-1])

    agree(forward, numbers(9, 9), numbers(18, 9))


@pytest.mark.parametrize("width", [16, 64])
@pytest.mark.parametrize("extent", [2, 7, 14, 16])
@pytest.mark.parametrize("channels", [(6, 16), (3, 5), (9, 8)])
def test_images_that_are_no_wider_than_a_vector(
    channels: tuple[int, int], extent: int, width: int
) -> None:
    """Lanes along rows of an image: vectors of a tile are several rows, the last of them alone."""
    given, made = channels

    def convolve(x: Any, w: Any) -> Any:
        return conv2d(x, w, padding=1)

    inputs = numbers(5, given, extent, extent), numbers(made, given, 3, 3, seed=1)
    same(with_gradients(convolve), *inputs, width=width)
