"""Forwards traced to values: what is read, written and moved, against NumPy itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from limpid.compiler.program.tracing import Untraceable, trace
from limpid.compiler.program.values import Value, evaluate, ordered
from limpid.compiler.program.views import VIEWS, locate
from limpid.ops.plain.functions import recurrence, scatter_add, scatter_along, scatter_max


def traced(forward: Callable[..., Any], *arrays: np.ndarray) -> tuple[Value, ...]:
    inputs = [Value("input", x.shape, x.dtype, params={"number": n}) for n, x in enumerate(arrays)]
    return trace(forward, inputs, {})


def agree(forward: Callable[..., Any], *arrays: np.ndarray) -> tuple[Value, ...]:
    """The values, whose meaning on NumPy is what the forward does to the arrays."""
    made = traced(forward, *arrays)
    expected = forward(*(x.copy() for x in arrays))
    expected = expected if isinstance(expected, tuple | list) else (expected,)
    for value, actual, wanted in zip(made, evaluate(made, arrays), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
        assert value.dtype == np.asarray(wanted).dtype
        assert value.shape == np.shape(wanted)
        shown(value, arrays)
    return made


def shown(value: Value, arrays: Any) -> None:
    """A view has in memory what NumPy says."""
    if value.kind not in VIEWS or not value.size or any(
        v.kind == "reshape" for v in ordered([value])
    ):  # fmt: skip
        return
    found = locate(value)
    base = np.ascontiguousarray(evaluate([found.base], arrays)[0]).reshape(-1)
    strides = [n * base.itemsize for n in found.strides]
    seen = as_strided(base[found.offset :], value.shape, strides)
    np.testing.assert_array_equal(seen, evaluate([value], arrays)[0])


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def kinds(made: Any) -> set[str]:
    return {value.kind for value in ordered(made)} - {"input", "constant"}


# Reading

BASIC = hnp.basic_indices((3, 4, 5), max_dims=5, allow_newaxis=True)


@settings(max_examples=200, deadline=None)
@given(BASIC)
def test_basic_keys(key: Any) -> None:
    made = agree(lambda x: x[key], numbers(3, 4, 5))
    assert kinds(made) <= {"slice", "reshape"}


def index_parts(extent: int) -> Any:
    arrays = hnp.arrays(
        st.sampled_from([np.int64, np.int8, np.int32]),
        st.sampled_from([(), (2,), (3, 1), (1, 2), (3, 2)]),
        elements=st.integers(-extent, extent - 1),
    )
    whole = st.integers(-extent, extent - 1)
    return st.one_of(st.slices(extent), whole, arrays, arrays)


@st.composite
def advanced_keys(draw: Any) -> tuple[Any, ...]:
    parts = [draw(index_parts(extent)) for extent in (3, 4, 5)]
    parts = parts[: draw(st.integers(1, 3))]
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), ...)
    return tuple(parts)


@settings(max_examples=300, deadline=None)
@given(advanced_keys())
def test_keys_of_arrays(key: tuple[Any, ...]) -> None:
    x = numbers(3, 4, 5)
    agree(lambda x: x[key], x)
    arrays = [part for part in key if isinstance(part, np.ndarray)]

    def given_as_operands(x: Any, *indices: Any) -> Any:
        rest = iter(indices)
        return x[tuple(next(rest) if isinstance(p, np.ndarray) else p for p in key)]

    agree(given_as_operands, x, *arrays)


def test_nothing_outside_an_array_is_read() -> None:
    index = np.array([0, 7, -9, 3])
    (made,) = traced(lambda x, i: x[i], numbers(4), index)
    actual = evaluate([made], [np.arange(4.0), index])[0]
    np.testing.assert_array_equal(actual, [0, 3, 0, 3])


def test_unsigned_indices() -> None:
    agree(lambda x, i: x[:, i], numbers(3, 4), np.array([3, 0], np.uint8))


# Writing


@settings(max_examples=200, deadline=None)
@given(BASIC, st.booleans())
def test_writing_by_basic_keys(key: Any, fresh: bool) -> None:
    x = numbers(3, 4, 5)
    shape = x[key].shape

    def forward(x: Any, v: Any) -> Any:
        y = np.zeros_like(x) if fresh else x.copy()
        y[key] = v
        return y

    made = agree(forward, x, numbers(*shape, seed=1))
    assert kinds(made) <= {"slice", "reshape", "join", "broadcast", "map"}
    agree(forward, x, numbers(seed=2))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.slices(7), st.slices(6)), min_size=1, max_size=4))
def test_writing_several_times(keys: Any) -> None:
    x = numbers(7, 6)

    def forward(x: Any) -> Any:
        y = np.full_like(x, 9.0)
        for number, key in enumerate(keys):
            y[key] = x[key] + number
        return y

    agree(forward, x)


def test_phases_are_one_join() -> None:
    def forward(x: Any) -> Any:
        y = np.empty_like(x, shape=(4, 8))
        for a in range(2):
            for b in range(2):
                y[a::2, b::2] = x * (a + 2 * b)
        return y

    (made,) = agree(forward, numbers(2, 4))
    assert made.kind == "join"
    assert made.params["fill"] is None
    assert len(made.operands) == 4


@settings(max_examples=200, deadline=None)
@given(advanced_keys())
def test_writing_at_indices(key: tuple[Any, ...]) -> None:
    """Where indices meet, the last value stays."""
    x = numbers(3, 4, 5)
    shape = x[key].shape

    def forward(x: Any, v: Any) -> Any:
        y, z = x.copy(), np.zeros_like(x)
        y[key] = v
        z[key] = 1
        return y, z

    agree(forward, x, numbers(*shape, seed=1))
    agree(forward, x, numbers(seed=2))


@settings(max_examples=200, deadline=None)
@given(advanced_keys())
def test_adding_at_keys(key: tuple[Any, ...]) -> None:
    x = np.round(numbers(3, 4, 5), 2) * 64  # sums are exact in any order
    shape = x[key].shape
    g = np.round(numbers(*shape, seed=1) * 8)

    def forward(x: Any, g: Any) -> Any:
        y, z = np.zeros_like(x), x.copy()
        np.add.at(y, key, g)
        np.add.at(z, key, g)
        return y, z

    made = traced(forward, x, g)
    for actual, expected in zip(evaluate(made, [x, g]), forward(x, g), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-11)


def test_a_copy_is_another_array() -> None:
    def forward(x: Any) -> Any:
        y = x.astype(np.float64)
        y += 1
        return x, y

    agree(forward, numbers(3))


# NumPy's functions

FUNCTIONS: list[Callable[[Any], Any]] = [
    lambda x: np.flip(x, (0, 2)),
    lambda x: np.roll(x, (1, -7, 0), (0, 1, 2)),
    lambda x: np.moveaxis(x, (0, -1), (2, 0)),
    lambda x: x.swapaxes(0, -1).T.mT,
    lambda x: np.concatenate([x, x[:, :1] * 2, x[:, :0]], axis=1),
    lambda x: np.concatenate([x, np.ones((3, 2, 5), np.float32)], axis=-2),
    lambda x: np.stack([x, -x], axis=-1),
    lambda x: np.split(x, [1, 1, 3], axis=1)[2],
    lambda x: tuple(np.split(x, [1, 1, 3], axis=1)),
    lambda x: np.tril(x, 1),
    lambda x: np.triu(x, -1),
    lambda x: np.diagonal(x, 1, 1, 2),
    lambda x: np.diagonal(x, -2, 0, 1),
    lambda x: np.diagonal(x, 7, -2, -1),
    lambda x: np.diagonal(x.swapaxes(1, 2), -9, -2, -1),
    lambda x: np.argmax(x, axis=1),
    lambda x: np.argmin(x, axis=-1, keepdims=True),
    lambda x: np.argmax(x),
    lambda x: np.argmax(np.rint(x), axis=2),
    lambda x: np.take(x, [[0, -1], [2, 1]], axis=1),
    lambda x: np.take_along_axis(x, np.argsort(numbers(3, 4, 5), axis=1), axis=1),
    lambda x: np.round(x, 2),
    lambda x: np.round((x * 1000).astype(np.int64), -2),
    lambda x: np.round((x * 1000).astype(np.int64)),
    lambda x: np.maximum.accumulate(x, 1),
    lambda x: np.add.accumulate((x * 9).astype(np.int32), 0),
    lambda x: np.logaddexp.accumulate(x, -1),
    lambda x: np.multiply.accumulate(x[::-1], 0)[::-1],
    lambda x: sliding_window_view(x, (2, 3), (1, 2)),
    lambda x: sliding_window_view(x[:, ::-1], 3, -2)[..., ::2],
    lambda x: sliding_window_view(x, (2, 3), (1, 2)).sum((-1, -2)),
    lambda x: np.ones_like(x, np.int32) + np.full_like(x, 2.5, shape=(5,)),
    lambda x: np.broadcast_arrays(x, np.zeros((2, 1, 1, 5)))[1],
    lambda x: np.logical_and.reduce(x > -2, axis=(0, 2)),
    lambda x: np.multiply.reduce(x, axis=(0, 2)),
    lambda x: (x > 0).any(1, keepdims=True),
    lambda x: x.astype(np.float32).view(np.int32) >> 23,
    lambda x: (x.view(np.uint64) ^ np.uint64(5)) % np.uint64(1000) // np.uint64(7),
    lambda x: tuple(row * 2 for row in x),
    lambda x: x[0].squeeze() + x[:1].squeeze(0),
    lambda x: np.result_type(x, np.float32, 1) == np.float64 and x + 1,
]


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_functions(number: int) -> None:
    agree(FUNCTIONS[number], numbers(3, 4, 5))


def test_the_first_extreme_and_the_first_nan() -> None:
    x = np.array([[1.0, 3.0, 3.0], [np.nan, 5.0, np.nan], [-np.inf, -np.inf, -np.inf]])
    agree(lambda x: (np.argmax(x, 1), np.argmin(x, 1), np.argmax(x), np.argmin(x, 0)), x)


def test_an_extreme_among_several_axes() -> None:
    x = numbers(2, 3, 4)
    (made,) = traced(lambda x: np.argmax(x), x)
    value = Value("reduce", (3,), made.dtype, made.operands, {"function": "argmax", "axes": (0, 2)})
    expected = x.transpose(1, 0, 2).reshape(3, 8).argmax(1)
    np.testing.assert_array_equal(evaluate([value], [x])[0], expected)


def test_transposes_of_gathering() -> None:
    x, g = numbers(3, 5), np.round(numbers(3, 2, 4, seed=1) * 8)
    index = np.array([[0, 4, 4, 1], [4, 0, 2, 2]])
    (made,) = agree(lambda g, i: scatter_add(g, i, axis=1, extent=5), g, index)
    assert made.kind == "scatter_add"
    expected = np.zeros_like(x)
    for a, b in np.ndindex(2, 4):
        expected[:, index[a, b]] += g[:, a, b]
    np.testing.assert_array_equal(evaluate([made], [g, index])[0], expected)
    along = np.array([[0, 4, 4], [1, 1, 1], [2, 3, 2]])
    (made,) = agree(lambda g, i: scatter_along(g, i, axis=1, extent=5), g[:, 0, :3], along)
    assert made.kind == "scatter_along"
    expected = np.zeros_like(x)
    for a, b in np.ndindex(3, 3):
        expected[a, along[a, b]] += g[a, 0, b]
    np.testing.assert_array_equal(evaluate([made], [g[:, 0, :3], along])[0], expected)


def test_the_largest_at_a_place() -> None:
    index = np.array([[0, 4, 4], [1, 1, 1], [2, 3, 2]])
    g = numbers(3, 3)
    g[2, 2] = np.nan
    (made,) = agree(lambda g, i: scatter_max(g, i, axis=1, extent=5, fill=-1.5), g, index)
    assert made.kind == "scatter_max"
    expected = np.full((3, 5), -1.5)
    for a, b in np.ndindex(3, 3):
        expected[a, index[a, b]] = np.maximum(expected[a, index[a, b]], g[a, b])
    np.testing.assert_array_equal(evaluate([made], [g, index])[0], expected)


def test_a_recurrence() -> None:
    a, b = numbers(4, 3), numbers(4, 3, seed=1)
    (made,) = agree(lambda a, b: recurrence(a, b, axis=0), a, b)
    h, expected = np.zeros(3), []
    for factor, term in zip(a, b, strict=True):
        h = factor * h + term
        expected.append(h)
    np.testing.assert_allclose(evaluate([made], [a, b])[0], expected, rtol=1e-15)


def test_windows_are_views() -> None:
    (made,) = agree(lambda x: sliding_window_view(x, (2, 3), (1, 2)), numbers(3, 4, 5))
    assert made.kind == "window"
    assert locate(made).strides == (20, 5, 1, 5, 1)


def test_powers_without_a_logarithm() -> None:
    x = np.abs(numbers(20)) + 0.1
    for exponent in (-4, -3, -2, -1, -0.5, 0.5, 1, 2, 3, 4):
        (made,) = traced(lambda x, e=exponent: x**e, x)
        assert "power" not in {v.params.get("function") for v in ordered([made])}
        np.testing.assert_allclose(evaluate([made], [x])[0], x**exponent, rtol=4e-16)


def test_what_is_known_is_computed() -> None:
    def forward(x: Any, i: Any) -> Any:
        return x[np.where(i < 0, i + 4, i) * 1]

    given = Value("constant", (2,), np.dtype(np.int64), params={"array": np.array([-1, 2])})
    x = Value("input", (4,), np.dtype(np.float64), params={"number": 0})
    (made,) = trace(forward, [x, given], {})
    assert kinds([made]) == {"gather"}


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda x: x.astype(np.int8) + 300, "300 beside int8"),
        (lambda x: x.reshape(4, 4), "as"),
        (lambda x: np.take(x, [0]), "take with options"),
        (lambda x: x[np.array([True, False, True])], "mask"),
        (lambda x: x[True], "bool"),
        (lambda x: np.roll(x, 1), "roll of all"),
        (lambda x: NotImplemented, "no plain steps"),
        (lambda x: np.add.at(np.zeros(3), [0], x[0, 0]), "add.at"),
        (lambda x: np.maximum.at(np.zeros_like(x), [0], 1.0), "maximum.at"),
    ],
)
def test_what_is_refused(forward: Any, reason: str) -> None:
    with pytest.raises(Untraceable, match=reason):
        traced(forward, numbers(3, 4))
