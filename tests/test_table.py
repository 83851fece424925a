"""Every check of every row of the table, with oracles that limpid did not write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid.differentiation.relation import atoms
from limpid.differentiation.rules import downstream, fit
from limpid.differentiation.saved import saved_values
from limpid.graph.graph import input_specs
from limpid.graph.node import Node, reachable
from limpid.graph.registry import primitives
from limpid.graph.text import format_graph, parse_graph
from tests.table import ROWS, Row

SMOOTH = [row for row in ROWS if row.order >= 1]
TWICE = [row for row in ROWS if row.order >= 2]
RECORDABLE = [row for row in ROWS if row.recordable]


def rows(which: list[Row]) -> Any:
    return pytest.mark.parametrize("row", which, ids=[row.id for row in which])


def float_results(result: Any) -> list[Any]:
    """The results that are differentiated."""
    found = result if isinstance(result, tuple | list) else (result,)
    return [r for r in found if getattr(r.dtype, "kind", "") in ("float", "f")]


class Case:
    """A row as a function of its differentiated operands, weighted to a scalar."""

    def __init__(self, row: Row, dtype: str = "float64"):
        self.row = row
        self.operands = row.sample(dtype)
        self.numbers = row.differentiated()
        self.point = [self.operands[i] for i in self.numbers]
        rng = np.random.default_rng(7)
        results = float_results(row.call(*self.operands))
        self.weights = [np.asarray(rng.normal(size=r.shape)).astype(dtype) for r in results]
        self.directions = [np.asarray(rng.normal(size=x.shape)).astype(dtype) for x in self.point]

    def full(self, *point: Any) -> Any:
        operands = list(self.operands)
        for i, x in zip(self.numbers, point, strict=True):
            operands[i] = x
        return self.row.call(*operands)

    def results(self, *point: Any) -> tuple[Any, ...]:
        return tuple(float_results(self.full(*point)))

    def scalar(self, *point: Any) -> Any:
        parts = [limpid.sum(r * w) for r, w in zip(self.results(*point), self.weights, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def gradient(self, *point: Any) -> Any:
        numbers = range(len(self.point))
        return limpid.grad(self.scalar, numbers, unused="zeros")(*point)

    def slope(self, *point: Any) -> Any:
        """The directional derivative of the scalar, in the fixed directions."""
        return limpid.jvp(self.scalar, point, tuple(self.directions))[1]


def central_difference(function: Any, case: Case, step: float) -> Any:
    """(f(x + h·v) − f(x − h·v)) / 2h along the case's directions."""
    ahead = [x + step * v for x, v in zip(case.point, case.directions, strict=True)]
    behind = [x - step * v for x, v in zip(case.point, case.directions, strict=True)]
    pairs = zip(function(*ahead), function(*behind), strict=True)
    return [(np.asarray(a) - np.asarray(b)) / (2 * step) for a, b in pairs]


def richardson(function: Any, case: Case, step: float = 1e-3) -> Any:
    """The central difference with its h² error removed."""
    coarse = central_difference(function, case, step)
    fine = central_difference(function, case, step / 2)
    return [(4 * f - c) / 3 for f, c in zip(fine, coarse, strict=True)]


def close(actual: Any, expected: Any, tolerance: float) -> None:
    """Equal within the tolerance, relative to the largest expected number."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    if actual.size == 0:
        return
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


def test_every_primitive_has_a_row() -> None:
    shipped = {n for n, p in primitives.items() if p.module.startswith("limpid.")}
    assert not shipped - {row.primitive for row in ROWS}


@rows(ROWS)
def test_value(row: Row) -> None:
    operands = row.sample()
    before = [np.array(x) for x in operands if isinstance(x, np.ndarray)]
    plain = row.call(*operands)
    traced = row.call(*[limpid.asarray(x) if isinstance(x, np.ndarray) else x for x in operands])
    assert before == [] or all(
        np.array_equal(b, a, equal_nan=b.dtype.kind == "f")
        for b, a in zip(before, [x for x in operands if isinstance(x, np.ndarray)], strict=True)
    ), "an operand was changed"
    for p, t in zip(_all(plain), _all(traced), strict=True):
        assert isinstance(p, np.ndarray | np.generic)
        assert p.dtype == t.dtype
        np.testing.assert_array_equal(p, t.numpy())
    if row.reference is not None:
        for p, r in zip(_all(plain), _all(row.reference(*operands)), strict=True):
            close(p, r, row.value_tolerance)


def _all(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


@rows(SMOOTH)
def test_jvp_against_finite_differences(row: Row) -> None:
    case = Case(row)
    tangents = limpid.jvp(case.results, tuple(case.point), tuple(case.directions))[1]
    expected = richardson(lambda *p: [np.asarray(r) for r in case.results(*p)], case)
    for actual, wanted in zip(tangents, expected, strict=True):
        close(actual, wanted, row.tolerance)


@rows(SMOOTH)
def test_reverse_equals_forward(row: Row) -> None:
    case = Case(row)
    slope = float(case.slope(*case.point))
    gradient = case.gradient(*case.point)
    products = [np.sum(g * v) for g, v in zip(gradient, case.directions, strict=True)]
    close(float(np.sum(products)), slope, 1e-12)
    for g, x in zip(gradient, case.point, strict=True):
        assert g.shape == x.shape
        assert g.dtype == x.dtype


@rows(TWICE)
def test_second_order(row: Row) -> None:
    case = Case(row)
    point, directions = tuple(case.point), tuple(case.directions)
    over_reverse = limpid.jvp(case.gradient, point, directions)[1]
    expected = richardson(case.gradient, case)
    for actual, wanted in zip(over_reverse, expected, strict=True):
        close(actual, wanted, row.tolerance)
    numbers = range(len(point))
    over_forward = limpid.grad(case.slope, numbers, unused="zeros")(*point)

    def weighted(*p: Any) -> Any:
        parts = [limpid.sum(g * v) for g, v in zip(case.gradient(*p), directions, strict=True)]
        return sum(parts[1:], parts[0])

    twice_reverse = limpid.grad(weighted, numbers, unused="zeros")(*point)
    for f, g, h in zip(over_reverse, over_forward, twice_reverse, strict=True):
        close(g, f, 1e-11)
        close(h, f, 1e-11)


@rows(RECORDABLE)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_recorded_graph(row: Row, dtype: str) -> None:
    """Shape rule, text form and evaluation of the graph agree with eager."""
    if dtype not in row.dtypes:
        return
    case = Case(row, dtype)
    recorded = limpid.record(case.full, *case.point)
    recorded.graph.check()
    tensors = [limpid.asarray(x) for x in case.point]
    eager = _all(case.full(*tensors))
    for actual, expected in zip(_all(recorded(*case.point)), eager, strict=True):
        expected = expected if isinstance(expected, limpid.Tensor) else limpid.asarray(expected)
        assert actual.spec == expected.spec
        np.testing.assert_array_equal(actual.numpy(), expected.numpy())
    text = format_graph(recorded.graph, comments=False)
    rebuilt = parse_graph(text, recorded.graph.constants())
    assert format_graph(rebuilt, comments=False) == text
    again, _ = rebuilt.evaluate(case.point)
    for actual, expected in zip(again, eager, strict=True):
        np.testing.assert_array_equal(np.asarray(actual), np.asarray(expected))


@rows([row for row in SMOOTH if row.recordable])
def test_recorded_gradient(row: Row) -> None:
    """The backward graph, recorded without values, gives eager's numbers, and has origins."""
    case = Case(row)
    recorded = limpid.record(case.gradient, *case.point)
    recorded.graph.check()
    for actual, wanted in zip(recorded(*case.point), case.gradient(*case.point), strict=True):
        close(actual.numpy(), wanted, 1e-12)


@rows([row for row in SMOOTH if "float32" in row.dtypes])
def test_float32_stays_float32(row: Row) -> None:
    case = Case(row, "float32")
    for g in case.gradient(*case.point):
        assert g.dtype == np.float32
    for t in limpid.jvp(case.results, tuple(case.point), tuple(case.directions))[1]:
        assert t.dtype == np.float32
    for r in case.results(*map(limpid.asarray, case.point)):
        assert r.dtype == limpid.float32
    double = Case(row)
    for g, wanted in zip(case.gradient(*case.point), double.gradient(*double.point), strict=True):
        close(g, wanted, 2e-3)


@rows(SMOOTH)
def test_index_relation(row: Row) -> None:
    """No element of a Jacobian is nonzero where the relation says that it can't be."""
    case = Case(row)
    inputs = [limpid.tensor(x, requires_grad=True) for x in case.point]
    results = case.results(*inputs)
    leaves = [x.node for x in inputs]
    for node in reachable([r.node for r in results], leaves):
        if node in leaves or node.op.name != row.primitive:
            continue
        check_relation(node)


def check_relation(node: Node) -> None:
    specs = input_specs(node)
    relation = node.op.relation(specs, node.params)
    for i, x in enumerate(node.inputs):
        shape = getattr(specs[i], "shape", ())
        assert len(relation.operands[i]) == len(shape)
        if not isinstance(x, Node) or not node.op.differentiable >> i & 1:
            continue
        for k, spec in enumerate(node.outputs):
            assert len(relation.outputs[k]) == spec.ndim
            if spec.dtype.kind == "float" and spec.size * specs[i].size:
                check_pattern(node, i, k, relation)


def check_pattern(node: Node, i: int, k: int, relation: Any) -> None:
    """Upstream of ones in one output element reaches no operand element it must not."""
    given, made = node.inputs[i].outputs[node.indices[i]], node.outputs[k]
    operands, y = saved_values(node)
    rng = np.random.default_rng(3)
    for flat in rng.permutation(made.size)[:6]:
        seeds = [np.zeros(spec.shape, spec.dtype.storage) for spec in node.outputs]
        at = np.unravel_index(flat, made.shape)
        seeds[k][at] = 1.0
        upstream = seeds[0] if len(seeds) == 1 else tuple(seeds)
        passed = downstream(node.op, i, upstream, y, operands, node.params)
        if passed is None:
            continue
        g = fit(passed, given, node.op)
        coordinates = dict(_coordinates(relation.outputs[k], at, made.shape, relation, given))
        for position in np.argwhere(np.asarray(g)):
            here = dict(_coordinates(relation.operands[i], position, given.shape, relation, given))
            for label in coordinates.keys() & here.keys():
                assert coordinates[label] == here[label], (node, relation, at, position)


def _coordinates(axes: Any, at: Any, shape: Any, relation: Any, spec: Any) -> list[tuple[Any, Any]]:
    """(label, index) of each simple mapped axis; others are passed over."""
    free = relation.moved | relation.mixed
    composite = {
        a
        for side in (*relation.operands, *relation.outputs)
        for label in side
        if isinstance(label, tuple)
        for a in atoms([label])
    }
    return [
        (label, int(n))
        for label, n in zip(axes, at, strict=True)
        if not isinstance(label, tuple) and label not in free and label not in composite
    ]
