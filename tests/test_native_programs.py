"""Programs in native code: every row of the table and its gradient, and what loops can meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid.compiler.program.tracing import trace
from limpid.compiler.program.translation import translate
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import locate, packed, reshaped
from limpid.compiler.schedule.stages import NEST, schedule
from tests.native import agree, close, cut_all_bands, native, needs_native, numbers, program
from tests.table import ROWS, Row
from tests.test_table import Case

pytestmark = needs_native
RECORDABLE = [row for row in ROWS if row.recordable]


@pytest.mark.parametrize("row", RECORDABLE, ids=[row.id for row in RECORDABLE])
def test_rows(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """All bands cut; `test_compile_rows` has the same rows with bands as they are."""
    cut_all_bands(monkeypatch)
    case = Case(row)
    for function in [case.full] if row.order == 0 else [case.full, case.gradient]:
        graph = limpid.record(function, *case.point).graph
        expected, _ = graph.evaluate(case.point)
        state = [node.op.evaluate((), {}) for node in graph.slots.values()]
        found = native(translate(graph).outputs).run([*case.point, *state])
        for actual, value in zip(found, expected, strict=True):
            close(actual, value)


@pytest.mark.parametrize("width", [8, 16, 32, 64])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 31, 64, 65])
def test_any_extent_and_width(n: int, width: int) -> None:
    agree(lambda x, b: (np.maximum(x * b, 0) + 1).sum(1), numbers(3, n), numbers(n), width=width)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("function", ["sum", "max", "min"])
def test_reductions_along_any_axes(axis: Any, function: str) -> None:
    def forward(x: Any) -> Any:
        y = x * 2
        return getattr(y, function)(axis), y

    agree(forward, numbers(3, 5, 9))


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "uint8", "float32"])
def test_element_types(dtype: str) -> None:
    x = (numbers(4, 21) * 3).astype(dtype)
    agree(
        lambda x: (x.max(1), x.max(), x > 1, np.where(x > 1, x, x.dtype.type(0))), x, tolerance=1e-6
    )


def test_nan_and_infinity_go_through() -> None:
    x = np.array([[np.nan, 1.0, -np.inf], [np.inf, 0.0, -0.0]])
    agree(lambda x: (x.max(1), x.min(0), np.maximum(x, 0), x > 0, np.sqrt(np.abs(x)), x.sum(1)), x)


def test_nothing_to_do() -> None:
    agree(lambda x: (x.sum(0), x.sum(1), x * 2, x.sum()), np.zeros((0, 3)))
    agree(lambda x: (x.sum(1), x.sum(0), (x > 0).sum(), x + 1), np.zeros((3, 0, 2)))


def test_views_need_no_memory() -> None:
    def forward(x: Any) -> Any:
        y = x.transpose(2, 0, 1)[1:, :, ::2].reshape(-1, 2, 3)
        return y[:, None] * 2 + x[0, 0, 0]

    x = numbers(2, 6, 4)
    ends = program(forward, x)
    assert [stage.kind for stage in schedule(ends).stages] == [NEST]
    agree(forward, x)


def test_a_reshape_that_strides_cannot_say_is_copied() -> None:
    agree(lambda x: x.T.reshape(-1) + 1, numbers(3, 4))


def test_softmax_is_few_nests() -> None:
    def softmax(x: Any) -> Any:
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    assert len(schedule(program(softmax, numbers(4, 5))).stages) == 3
    agree(softmax, numbers(4, 5))


def test_long_sums_of_floats_are_accurate() -> None:
    x = np.full((1, 1 << 20), 0.1, np.float32)
    found = native(program(lambda x: x.sum(1), x)).run([x])[0]
    assert abs(float(found[0]) / (np.float64(np.float32(0.1)) * (1 << 20)) - 1) < 1e-7


@pytest.mark.parametrize("seed", range(100))
def test_reshaped_strides_are_those_of_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.choice([1, 2, 3, 4, 6], rng.integers(1, 5)))
    x = np.arange(np.prod(shape)).reshape(shape).transpose(rng.permutation(len(shape)))
    x = x[tuple(slice(None, None, int(step)) for step in rng.choice([1, 1, 2], x.ndim))]
    wanted, left = [], x.size
    while left > 1:
        wanted.append(int(rng.choice([d for d in range(2, left + 1) if left % d == 0])))
        left //= wanted[-1]
    found = reshaped(x.shape, tuple(s // x.itemsize for s in x.strides), tuple(wanted))
    try:
        expected = x.reshape(wanted, copy=False)
    except ValueError:
        assert found is None
    else:
        assert found is not None
        again = np.lib.stride_tricks.as_strided(x, wanted, [s * x.itemsize for s in found])
        np.testing.assert_array_equal(again, expected)


def test_locating_goes_through_views() -> None:
    x = Value("input", (4, 6), np.dtype(float), params={"number": 0})
    (made,) = trace(lambda x: x.T[1:3, ::-1], [x], {})
    assert locate(made) == (x, 1 + 3 * 6, (1, -6))
    assert packed((2, 3, 4)) == (12, 4, 1)
