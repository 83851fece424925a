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


@pytest.mark.parametrize("row", RECORDABLE, ids=[row.id for row in RECORDABLE])
def test_programs_of_rows(row: Row) -> None:
    """The value, and the gradient where there is one, as a program on NumPy."""
    case = Case(row)
    wanted = [case.full] if row.order == 0 else [case.full, case.gradient]
    for function in wanted:
        graph = limpid.record(function, *case.point).graph
        expected, _ = graph.evaluate(case.point)
        found = run(translate(graph), graph, case.point)
        for actual, value in zip(found, expected, strict=True):
            same(actual, value)


def value(*shape: int, dtype: Any = np.float32) -> Value:
    return Value("input", shape, np.dtype(dtype), params={"number": 0})


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda x: x if x > 0 else -x, "a truth"),
        (lambda x: float(x), "a truth"),
        (lambda x: np.asarray(x), "__array"),
        (lambda x: np.cumsum(x), "cumsum"),
        (lambda x: x[x > 0], "an index that is an array"),
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


def test_a_training_step_is_nearly_all_values() -> None:
    """Of an MLP's step only the loss and its slope are called; all else is traced."""
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
    called = {v.params["primitive"].name for v in ordered(program.outputs) if v.kind == "call"}
    assert called <= {"cross_entropy", "less_target"}
    outputs, writes = recorded.graph.evaluate([x, y])
    found = run(program, recorded.graph, [x, y])
    for actual, wanted in zip(found, [*outputs, *writes.values()], strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-6, atol=1e-7)
    for v in program.sources:
        assert dtype_of(v.dtype)
