"""Joins, scatters, running reductions and places of extremes in native code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from limpid.compiler.program.values import evaluate
from limpid.compiler.runtime.native import Native
from limpid.ops.plain.functions import recurrence, scatter_add, scatter_along, scatter_max
from tests.native import HOST, agree, close, cut, native, needs_native, numbers, program  # noqa: F401  # a fixture

pytestmark = [needs_native, pytest.mark.usefixtures("cut")]
EXTENTS = [1, 7, 8, 9, 17]
DTYPES = ["float32", "float64", "int64", "bool"]


def indices(shape: tuple[int, ...], extent: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(0, extent, shape)


# Joins


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("n", EXTENTS)
def test_pieces_side_by_side(n: int, axis: int, dtype: str) -> None:
    shape = [2, 3, 4]
    pieces = []
    for seed, extent in enumerate((n, 1, 5)):
        shape[axis] = extent
        pieces.append(numbers(*shape, seed=seed, dtype=dtype))
    agree(lambda *xs: np.concatenate(xs, axis), *pieces, tolerance=0)


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_stack_of_what_is_computed(axis: int, width: int) -> None:
    def forward(x: Any) -> Any:
        y = x * x
        return np.stack([y, y + 1, x], axis), y

    agree(forward, numbers(5, 9), width=width)


@pytest.mark.parametrize("fill", [0.0, -np.inf, 2.5])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_elements_with_gaps_between(step: int, fill: float) -> None:
    def forward(x: Any) -> Any:
        y = np.full_like(x, fill, shape=(x.shape[0], 2 + step * x.shape[1], x.shape[2] + 3))
        y[:, 1 : 1 + step * x.shape[1] : step, 2:-1] = np.abs(x)
        return y, y.sum(1)

    agree(forward, numbers(6, 5, 9))


def test_joins_of_joins() -> None:
    def forward(x: Any, y: Any) -> Any:
        z = np.concatenate([x, y * 2], 1)
        return np.concatenate([z + 1, z.sum(1, keepdims=True), x], 1) * 2

    agree(forward, numbers(7, 3), numbers(7, 9, seed=1))


def test_what_only_a_join_reads_is_written_there() -> None:
    def forward(x: Any, y: Any) -> Any:
        return np.concatenate([x * 2, y + 1], 1)

    ends = program(forward, numbers(7, 3), numbers(7, 9))
    schedule = native(ends).schedule
    assert schedule.buffered == set(ends)
    agree(forward, numbers(7, 3), numbers(7, 9))


def test_empty_pieces_and_single_elements() -> None:
    agree(lambda x, y: np.concatenate([x, y], 1), numbers(3, 0), numbers(3, 2))
    agree(lambda x, y: np.stack([x, y]), numbers(), numbers(seed=1))
    agree(lambda x, y: np.concatenate([x, y], 1), numbers(0, 2), numbers(0, 3))


@pytest.mark.parametrize("turn", [1, 2])
def test_a_join_that_takes_the_place_of_what_it_reads(turn: int) -> None:
    def forward(old: Any, x: Any) -> Any:
        y = np.concatenate([old[turn:], x * old[:turn]])
        return y, old.sum(), y[::-1] * 2

    inputs = numbers(9, 5), numbers(turn, 5, seed=1)
    ends = program(forward, *inputs)
    assert HOST is not None
    made = Native(ends, HOST, homes={0: 0})
    for _ in range(2):
        for actual, expected in zip(made.run(inputs), evaluate(ends, inputs), strict=True):
            close(actual, expected)


# Scatters


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("n", EXTENTS)
def test_slices_added_at_indices(n: int, axis: int, dtype: str) -> None:
    shape = [4, 9, 5]
    shape[axis] = n
    index = indices((n,), 3)
    agree(
        lambda g, i: scatter_add(g, i, axis=axis, extent=3),
        numbers(*shape, dtype=dtype), index, tolerance=0,
    )  # fmt: skip


@pytest.mark.parametrize("axis", [0, 1])
def test_indices_with_many_axes(axis: int) -> None:
    shape = (6, 3, 4, 2) if axis else (3, 4, 6, 2)
    agree(
        lambda g, i: scatter_add(g * 2, i, axis=axis, extent=5),
        numbers(*shape, dtype="float32"), indices((3, 4), 5), tolerance=0,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("n", EXTENTS)
def test_elements_added_at_indices(n: int, axis: int, dtype: str) -> None:
    shape = [4, 9, 5]
    shape[axis] = n
    agree(
        lambda g, i: scatter_along(g, i, axis=axis, extent=3),
        numbers(*shape, dtype=dtype), indices(tuple(shape), 3), tolerance=0,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_the_largest_at_indices(axis: int, dtype: str) -> None:
    g = numbers(6, 9, dtype=dtype)
    if dtype == "float64":
        g[2, 3] = np.nan
    agree(
        lambda g, i: scatter_max(g, i, axis=axis, extent=4, fill=-1),
        g, indices((6, 9), 4), tolerance=0,
    )  # fmt: skip


@pytest.mark.parametrize("width", [8, 16, 64])
def test_scatters_of_what_is_computed_are_read_on(width: int) -> None:
    def forward(g: Any, i: Any) -> Any:
        y = scatter_along(np.exp(g), (i + 1) % 5, axis=1, extent=5)
        return y * 2, y.sum(0), scatter_add(g.sum(1), i[:, 0], axis=0, extent=5)

    agree(forward, numbers(9, 7), indices((9, 7), 5), width=width, tolerance=1e-14)


def test_scatters_of_lines_and_numbers() -> None:
    agree(lambda g, i: scatter_add(g, i, axis=0, extent=4), numbers(100), indices((100,), 4))
    agree(lambda g, i: scatter_add(g, i, axis=0, extent=4), numbers(3, 9), np.array([2, 2, 2]))
    agree(lambda g, i: scatter_along(g, i, axis=0, extent=4), numbers(1), indices((1,), 4))


# Running reductions


@pytest.mark.parametrize("function", ["add", "multiply", "maximum", "minimum", "logaddexp"])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("n", EXTENTS)
def test_running_reductions(n: int, axis: int, function: str) -> None:
    shape = [3, 10, 5]
    shape[axis] = n
    agree(lambda x: getattr(np, function).accumulate(x, axis), numbers(*shape))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", ["add", "maximum", "logical_or", "logical_and"])
def test_running_reductions_of_each_type(function: str, dtype: str) -> None:
    x = numbers(4, 21, dtype=dtype)
    tolerance = {"float32": 1e-6, "float64": 1e-15}.get(dtype, 0) if function == "add" else 0
    for axis in (0, 1):
        agree(lambda x, a=axis: getattr(np, function).accumulate(x, a), x, tolerance=tolerance)


@pytest.mark.parametrize("shape", [(1000,), (3, 1000), (1000, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_running_sums_are_as_accurate_as_eager_ones(dtype: str, shape: tuple[int, ...]) -> None:
    x, axis = numbers(*shape, dtype=dtype), int(np.argmax(shape))
    (found,) = native(program(lambda x: np.add.accumulate(x, axis), x)).run([x])
    exact = np.add.accumulate(x.astype(np.longdouble), axis)
    allowed = 4 * np.abs(np.add.accumulate(x, axis) - exact).max()
    assert np.abs(found - exact).max() <= allowed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1])
def test_recurrences(axis: int, dtype: str) -> None:
    a, b = numbers(9, 12, dtype=dtype), numbers(9, 12, seed=1, dtype=dtype)
    a[0, 0] = np.inf  # the first factor has nothing to be multiplied with
    agree(lambda a, b: recurrence(a, b, axis=axis), a, b, tolerance=0)


@pytest.mark.parametrize("width", [8, 16, 64])
def test_running_reductions_join_other_loops(width: int) -> None:
    def forward(x: Any) -> Any:
        y = np.add.accumulate(x * 2, 1)
        return y / 3, (y * x).sum(1), np.maximum.accumulate(y, 1), np.add.accumulate(y, 0)

    agree(forward, numbers(9, 7), width=width)


def test_running_reductions_of_lines_and_nan() -> None:
    x = numbers(50)
    x[20] = np.nan
    agree(lambda x: (np.add.accumulate(x * 2) + 1, np.maximum.accumulate(x)), x)
    x[:3] = 1, np.inf, -np.inf
    agree(lambda x: (np.add.accumulate(x), np.minimum.accumulate(x)), x)
    agree(lambda x: np.add.accumulate(x, 0), numbers(1, 1))
    agree(lambda x: np.add.accumulate(x, 1), numbers(3, 0))


def test_sums_of_nothing_in_chunks() -> None:
    def forward(x: Any, y: Any, z: Any) -> Any:
        nothing = x + y[:, :, None]  # (9, 7, 0)
        return nothing.sum(2), nothing.sum(2) + y * np.exp(z).sum(1)

    agree(forward, numbers(7, 0), numbers(9, 7), numbers(7, 50))


@pytest.mark.parametrize("width", [16, 64])
def test_short_products_of_sines(width: int) -> None:
    agree(lambda x: np.multiply.reduce(np.sin(x), 1), numbers(2, 2), width=width)  # LLVM fell over


# Places of extremes


@pytest.mark.parametrize("function", ["argmax", "argmin"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("n", EXTENTS)
def test_places_of_extremes(n: int, axis: int | None, function: str) -> None:
    for shape in ((n, 4, 5), (4, n, 5), (4, 5, n)):
        x = np.random.default_rng(n).integers(0, 6, shape).astype(float)  # there are ties
        agree(lambda x: getattr(np, function)(x, axis=axis), x, tolerance=0)
        x[tuple(np.random.default_rng(n).integers(0, shape, (3, 3)).T)] = np.nan
        agree(lambda x: getattr(np, function)(x, axis=axis), x, tolerance=0)


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("function", ["argmax", "argmin"])
def test_places_of_extremes_of_each_type(function: str, dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 3, (5, 19)).astype(dtype)
    agree(lambda x: (getattr(np, function)(x, axis=0), getattr(np, function)(x, axis=1)), x)
    agree(lambda x: getattr(np, function)(x, axis=1), np.full((2, 9), -np.inf, "float32"))


@pytest.mark.parametrize("width", [8, 16, 64])
def test_places_beside_other_reductions(width: int) -> None:
    def forward(x: Any) -> Any:
        y = np.abs(x)
        places = np.argmax(y, axis=1, keepdims=True)
        return y.sum(1), places, np.take_along_axis(y, places, 1) - y.max(1, keepdims=True)

    agree(forward, numbers(11, 9), width=width)


@pytest.mark.parametrize("width", [16, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64", "bool"])
@pytest.mark.parametrize("step", [2, 3, 4, 5, -2])
def test_elements_some_steps_apart(step: int, dtype: str, width: int) -> None:
    """Nothing is read beyond the last of them."""
    for extent in (3, 9, 31, 70):
        x = numbers(3, extent, dtype=dtype)
        agree(lambda x: (x[:, ::step] + x[1, ::step],), x, width=width)
        agree(lambda x: ((x[1:, 1::step] != 0).sum(axis=1),), x, width=width)
