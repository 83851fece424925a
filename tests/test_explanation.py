"""The explanation record: every edge, its numbers, its rule, its pattern; and its text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors
from limpid.explanation.expression import evaluate_expression, parse_value
from tests.table import ROWS, Row
from tests.test_table import Case


def leaf(value: object) -> limpid.Tensor:
    return limpid.tensor(value, requires_grad=True, dtype="float64")


def test_the_first_lecture_example() -> None:
    x, y, z = leaf(-2.0), leaf(5.0), leaf(-4.0)
    f = (x + y) * z
    record = limpid.explain(f)
    assert {s.name: float(s.value.array) for s in record.steps if s.op == "input"} == {
        "x": -2.0,
        "y": 5.0,
        "z": -4.0,
    }
    found = {
        (e.node, record.steps[[s.id for s in record.steps].index(e.to)].name): (
            float(e.upstream.array),
            float(e.local.array),
            float(e.downstream.array),
            e.pattern,
        )
        for e in record.edges
    }
    assert found == {
        ("v2", "x + y"): (1.0, -4.0, -4.0, "swaps and multiplies"),
        ("v2", "z"): (1.0, 3.0, 3.0, "swaps and multiplies"),
        ("v1", "x"): (-4.0, 1.0, -4.0, "distributes"),
        ("v1", "y"): (-4.0, 1.0, -4.0, "distributes"),
    }
    assert record["f"].formula == "(x + y) * z"
    assert "x: -4 × 1 = -4" in str(record)


def test_max_routes_and_fan_out_adds() -> None:
    x, y = leaf(3.0), leaf(1.0)
    record = limpid.explain(limpid.maximum(x, y) * 2.0 + x)
    patterns = {(e.pattern, float(e.downstream.array)) for e in record.edges}
    assert ("routes", 2.0) in patterns
    assert ("routes", 0.0) in patterns
    (total,) = record.sums
    assert [c.share for c in total.contributions] == pytest.approx([1 / 3, 2 / 3])
    assert float(total.total.array) == 3.0


def test_explained_after_backward_and_not_after_an_assignment() -> None:
    w = limpid.Parameter([1.0, 2.0])
    loss = limpid.sum(limpid.tanh(w * w))
    before = limpid.explain(loss).to_json()
    loss.backward()
    assert limpid.explain(loss).to_json() == before
    limpid.assign(w, [0.0, 0.0])
    with pytest.raises(errors.OverwrittenError):
        limpid.explain(loss)


@pytest.mark.parametrize("row", [r for r in ROWS if r.order >= 1], ids=lambda row: row.id)
def test_edges_of_every_primitive_sum_to_the_gradient(row: Row) -> None:
    """upstream × local = downstream on every edge, and what arrives is what backward gives."""
    case = Case(row)
    inputs = [leaf(x) for x in case.point]
    output = case.scalar(*inputs)
    if not output.requires_grad:
        return
    record = limpid.explain(output)
    gradients = case.gradient(*case.point)
    output.backward()
    for x, wanted in zip(inputs, gradients, strict=True):
        arrived = [s.gradient for s in record.steps if s.op == "input" and s.gradient]
        if x.grad is not None:
            np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-12, atol=1e-12)
            assert any(np.array_equal(a.array, x.grad.numpy(), equal_nan=True) for a in arrived)
    for edge in record.edges:
        if edge.local is not None and edge.local.array.dtype != bool:
            product = np.asarray(edge.upstream.array * edge.local.array)
            if product.shape == edge.downstream.shape:
                np.testing.assert_allclose(product, edge.downstream.array, rtol=1e-10, atol=1e-10)
    for total in record.sums:
        assert sum(c.share for c in total.contributions) == pytest.approx(1.0)
    json.dumps(record.to_json())
    assert str(record)


def test_large_arrays_are_given_by_statistics() -> None:
    x = leaf(np.ones((30, 40)))
    record = limpid.explain(limpid.sum(limpid.relu(x)))
    shown = record.to_json()["steps"][0]["values"][0]
    assert shown["statistics"]["norm"] == pytest.approx(np.sqrt(1200))
    assert "values" not in shown


def test_expressions() -> None:
    values = dict(parse_value(t) for t in ("W=[[0.1,0.5],[-0.3,0.8]]", "x=[0.2,0.4]"))
    output = evaluate_expression("sum((W @ x)**2)", values)
    assert output.item() == pytest.approx(0.116)
    record = limpid.explain(output)
    np.testing.assert_allclose(record["W"].gradient.array, [[0.088, 0.176], [0.104, 0.208]], 1e-5)
    values = dict(parse_value(t) for t in ("x=-2", "y=5"))
    assert evaluate_expression("max(stack((x, y)), axis=0) + x[None][0] * -pi", values)


@pytest.mark.parametrize(
    "expression",
    ["__import__('os').system('true')", "x.__class__", "(lambda: x)()", "[x for x in x]", "x +",
     "x if x else x", "open('f')", "q * 2", "sum(**x)", "f'{x}'", "x := 2", "'text'", "",
     "limpid.sum(x)", "x.T.node", "1 + 1", "((((" * 200, "matmul(x, x, out=x)"],
)  # fmt: skip
def test_whatever_is_not_on_the_list_is_refused(expression: str) -> None:
    with pytest.raises(errors.LimpidError) as error:
        evaluate_expression(expression, {"x": leaf(1.0)})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "given", ["x", "=2", "x=", "x=y", "x=[1,'a']", "x=__import__('os')", "2=3"]
)
def test_values_are_numbers_only(given: str) -> None:
    with pytest.raises(errors.ArgumentError):
        parse_value(given)


def test_the_digits_network() -> None:
    """A real network: names, scopes, statistics; what arrives is what backward leaves."""
    limpid.manual_seed(0)
    nn = limpid.nn
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    digits = limpid.data.load_digits().train
    images, labels = limpid.tensor(digits.x[:50]), limpid.tensor(digits.y[:50])
    loss = nn.functional.cross_entropy(model(images), labels)
    record = limpid.explain(loss)
    loss.backward()
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(
            record[name].gradient.array, parameter.grad.numpy(), rtol=1e-5, atol=1e-7
        )
    assert {e.scope for e in record.edges} >= {"1", "2", "3"}
    relu = next(e for e in record.edges if e.pattern == "routes")
    assert relu.structure == "diagonal"
    assert "% zero" in str(relu.downstream)
    assert len(json.dumps(record.to_json())) < 40_000


def network() -> tuple[Any, Any]:
    """A small network of modules: (model, loss)."""
    limpid.manual_seed(0)
    nn = limpid.nn
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Sequential(nn.Linear(5, 3), nn.ReLU()))
    x = limpid.tensor(np.random.default_rng(0).normal(size=(6, 4)), dtype="float32")
    return model, nn.functional.cross_entropy(model(x), np.arange(6) % 3)


def test_rules_are_formulas_in_the_names_of_the_program() -> None:
    W, x = leaf([[0.1, 0.5], [-0.3, 0.8]]), leaf([0.2, 0.4])
    q = W @ x
    record = limpid.explain(limpid.sum(q**2))
    rules = {(record[e.node].op, record[e.to].name): (e.rule, e.structure) for e in record.edges}
    assert rules == {
        ("sum", "q**2"): ("g * ones(2)", "low rank"),
        ("power", "q"): ("2 * (g * q)", "diagonal"),
        ("matmul", "W"): ("outer(g, x)", "block"),
        ("matmul", "x"): ("W.T @ g", "dense"),
    }
    assert record.edges_into("W")[0].latex == r"g \, x^\top"
    assert record.edges_into("W")[0].words == "upstream times the other operand, transposed"
    assert record["q"].expression == "W @ x"
    assert record.latex().startswith("\\begin{align}")


def test_only_what_leads_to_one_parameter() -> None:
    model, loss = network()
    bias = model[0].bias
    record = limpid.explain(loss, wrt=bias)
    assert {e.to for e in record.edges if record[e.to].op == "input"} == {record["0.bias"].id}
    whole = limpid.explain(loss)
    np.testing.assert_array_equal(record["0.bias"].gradient.array, whole["0.bias"].gradient.array)
    with pytest.raises(errors.ArgumentError, match="does not depend"):
        limpid.explain(loss, wrt=leaf(1.0))


def test_only_some_nodes_modules_and_depths() -> None:
    _, loss = network()
    record = limpid.explain(loss)
    assert {e.scope for e in record.only(module="2").edges} == {"2.0", "2.1"}
    assert {e.node for e in record.only(depth=1).edges} == {record.output}
    assert len(record.only(depth=99).edges) == len(record.edges)
    assert {e.node for e in limpid.explain(loss, at=record.output).edges} == {record.output}
    with pytest.raises(KeyError, match="no node called 'fc'"):
        limpid.explain(loss, at=["fc"])


def test_only_what_brings_much_of_the_gradient() -> None:
    x = leaf(1.0)
    y = x * 100.0 + x * 0.001
    record = limpid.explain(y).only(share=0.01)
    assert len(record.edges) == 3  # the sum's two, of which one goes on
    assert len(limpid.explain(y).only(share=0.0).edges) == 4


def test_bytes_that_are_kept() -> None:
    x = limpid.tensor(np.ones((8, 4), np.float32), requires_grad=True)
    loss = limpid.sum(limpid.tanh(x))
    before = {s.op: s.saved for s in limpid.explain(loss).steps}
    assert before == {"input": 0, "tanh": 128, "sum": 0}
    loss.backward()
    assert {s.op: s.saved for s in limpid.explain(loss).steps} == before


def test_quantities_have_parts_and_histograms() -> None:
    quantity = limpid.explain(limpid.sum(limpid.exp(leaf(np.arange(100.0)))))["v1"].value
    assert quantity[3:5].shape == (2,)
    counts, edges = quantity.histogram()
    assert sum(counts) == 100
    assert len(edges) == len(counts) + 1
    assert sum(quantity.to_json()["histogram"]["counts"]) == 100


def test_json_has_no_nan() -> None:
    """JSON knows neither NaN nor infinity."""
    text = json.dumps(limpid.explain(limpid.log(leaf(0.0))).to_json(), allow_nan=False)
    assert '"inf"' in text
