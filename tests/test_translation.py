"""Graphs as values: tracing forwards, and programs that compute what graphs do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from limpid.compiler.program.tracing import Untraceable, trace
from limpid.compiler.program.translation import Program, translate
from limpid.compiler.program.values import Value, evaluate, ordered
from limpid.compiler.program.views import GIVEN, VIEWS
from limpid.graph.dtype import dtype_of
from tests.table import ROWS, Row
from tests.test_table import Case

RECORDABLE = [row for row in ROWS if row.recordable]


def run(program: Program, graph: Any, inputs: list[Any]) -> list[np.ndarray]:
    state = [node.op.evaluate((), {}) for node in graph.slots.values()]
    return evaluate(program.outputs, [*inputs, *state])


def same(actual: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    scale = max(1.0, float(np.abs(expected, where=np.isfinite(expected), out=np.zeros(
        expected.shape)).max(initial=0))) if expected.dtype.kind == "f" else 1.0  # fmt: skip
    np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=1e-14 * scale)


# Primitives that NumPy is asked for; all others are values.
LAPACK = ("cholesky", "cofactor", "det", "eigh", "eigvalsh", "inv", "matrix_rank", "pinv", "qr",
          "slogdet", "solve", "solve_triangular", "svd", "svdvals")  # fmt: skip
ORDER = ("argsort", "bits_to_distinct", "bits_to_permutation", "median", "quantile", "sort", "topk")
DEPENDING_ON_VALUES = ("margin_violations", "multilabel_hinge")
CALLED = {*LAPACK, *ORDER, *DEPENDING_ON_VALUES}
CALLED_ROWS = {"get_item:true"}  # a truth as a key


def called(program: Program) -> set[str]:
    """The primitives that are called."""
    return {v.params["primitive"].name for v in ordered(program.outputs) if v.kind == "call"}


def assert_small(program: Program) -> None:
    """Nothing on the way is much larger than what comes in and goes out."""
    values = ordered(program.outputs)
    ends = {*program.inputs, *program.outputs, *(v for v in values if v.kind == "constant")}
    limit = 64 + 4 * sum(v.size for v in ends)
    assert all(v.size <= limit for v in values if v.kind not in VIEWS)


def check(row: Row, function: Any, inputs: list[Any]) -> None:
    """The program of a function does what its graph does, believes it, and calls what it may."""
    graph = limpid.record(function, *inputs).graph
    program = translate(graph)
    assert row.id in CALLED_ROWS or called(program) <= CALLED
    assert_small(program)
    expected, written = graph.evaluate(inputs)
    found = run(program, graph, inputs)
    for actual, value in zip(found, [*expected, *written.values()], strict=True):
        same(actual, value)
    state = [node.op.evaluate((), {}) for node in graph.slots.values()]
    assert all(evaluate([truth for truth, _ in program.checks], [*inputs, *state]))


@pytest.mark.parametrize("row", RECORDABLE, ids=[row.id for row in RECORDABLE])
def test_programs_of_rows(row: Row) -> None:
    """The value, and the gradient where there is one, as a program on NumPy."""
    case = Case(row)
    for function in [case.full] if row.order == 0 else [case.full, case.gradient]:
        check(row, function, case.point)


@pytest.mark.parametrize("row", RECORDABLE, ids=[row.id for row in RECORDABLE])
def test_programs_of_rows_that_know_no_operand(row: Row) -> None:
    """All arrays are inputs, also indices and masks."""
    operands = row.sample()
    numbers = [i for i, x in enumerate(operands) if isinstance(x, np.ndarray)]

    def function(*arrays: Any) -> Any:
        given = list(operands)
        for i, x in zip(numbers, arrays, strict=True):
            given[i] = x
        return row.call(*given)

    check(row, function, [operands[i] for i in numbers])


def value(*shape: int, dtype: Any = np.float32) -> Value:
    return Value("input", shape, np.dtype(dtype), params={"number": 0})


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda x: x if x > 0 else -x, "a truth"),
        (lambda x: float(x), "a truth"),
        (lambda x: np.asarray(x), "__array"),
        (lambda x: np.cumsum(x), "cumsum"),
        (lambda x: x[x > 0], "an index that is a mask"),
        (lambda x: x.tolist(), "no tolist"),
        (lambda x: np.exp(x, out=x[:1]), "of a view"),
    ],
)
def test_what_cannot_be_traced(forward: Any, reason: str) -> None:
    with pytest.raises(Untraceable, match=reason):
        trace(forward, [value(2)], {})


def test_writing_to_a_fresh_array_is_seen() -> None:
    def forward(x: Any) -> Any:
        y = np.exp(x)
        y += 1
        np.multiply(y, 2, out=y)
        return y

    (made,) = trace(forward, [value(3)], {})
    x = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(evaluate([made], [x])[0], (np.exp(x) + 1) * 2)


def test_writing_to_what_has_views_is_refused() -> None:
    def forward(x: Any) -> Any:
        y = np.exp(x)
        first = y[:1]
        y += 1
        return first

    with pytest.raises(Untraceable):
        trace(forward, [value(3)], {})


def test_types_are_those_of_numpy() -> None:
    (made,) = trace(lambda x, i: np.where(i > 0, x * 2, 0), [value(2), value(2, dtype="i8")], {})
    assert made.dtype == np.float32


def test_a_training_step_is_all_values() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = np.ones((4, 6), np.float32), np.array([0, 1, 2, 0])

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    recorded = limpid.record(step, x, y)
    program = translate(recorded.graph)
    assert not called(program)
    assert [node.op.name for _, node in program.checks] == ["cross_entropy", "less_target"]
    outputs, writes = recorded.graph.evaluate([x, y])
    found = run(program, recorded.graph, [x, y])
    for actual, wanted in zip(found, [*outputs, *writes.values()], strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-6, atol=1e-7)
    for value in ordered(program.outputs):
        assert dtype_of(value.dtype)
        assert (value.node is None) == (value.kind in GIVEN)
