"""The explanations of twelve models: each edge is upstream × local, each sum is its shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.explanation.build import number_nodes
from limpid.explanation.record import Edge, Explanation
from limpid.explanation.values import forward_values
from limpid.graph.graph import pick
from limpid.graph.node import Node, reachable
from tests.extended import assert_as_accurate
from tests.models import MODELS, Model

every_model = pytest.mark.parametrize(("name", "build"), MODELS, ids=[name for name, _ in MODELS])
Build = Callable[..., Model]
POINTS = 4  # where errors are measured


def products(node: Node, edge: Edge, operands: list[Any]) -> tuple[float, float, float]:
    """⟨upstream, local · t⟩ by forward mode, ⟨downstream, t⟩, and the size of what is summed."""
    x = np.asarray(operands[edge.operand], np.float64)
    t = np.random.default_rng(edge.operand).normal(size=x.shape)

    def function(x: Any) -> Any:
        given = [x if n == edge.operand else other for n, other in enumerate(operands)]
        op: Any = node.op
        return op(*given, **node.params)

    _, moved = limpid.jvp(function, (x,), (t,))
    outputs = moved if isinstance(moved, tuple) else (moved,)
    pairs = [g.array * dy for g, dy in zip(edge.upstreams, outputs, strict=True) if g is not None]
    parts, passed = np.concatenate([np.ravel(pair) for pair in pairs]), edge.downstream.array * t
    return parts.sum(), passed.sum(), np.abs(parts).sum() + np.abs(passed).sum()


@every_model
def test_each_edge_is_upstream_times_local(name: str, build: Build) -> None:
    loss = build().run()
    assert loss.node is not None
    nodes = reachable([loss.node])
    values, by_id = forward_values(nodes), {v: k for k, v in number_nodes(nodes).items()}
    record = limpid.explain(loss)
    assert record.edges
    for edge in record.edges:
        node = by_id[edge.node]
        operands = [pick(values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]
        through, passed, scale = products(node, edge, operands)
        assert abs(through - passed) <= 1e-10 * scale, (edge.node, edge.rule)
        if edge.local is not None and edge.local.array.dtype != bool:
            product = edge.upstream.array * edge.local.array
            if product.shape == edge.downstream.shape:
                np.testing.assert_allclose(product, edge.downstream.array, rtol=1e-10, atol=1e-300)


@every_model
def test_sums_are_what_their_shares_say(name: str, build: Build) -> None:
    model = build()
    loss = model.run()
    record = limpid.explain(loss)
    for total in record.sums:
        assert sum(c.share for c in total.contributions) == pytest.approx(1.0, abs=1e-12)
        added = sum(c.value.array for c in total.contributions)
        np.testing.assert_allclose(added, total.total.array, rtol=1e-10, atol=1e-13)
    loss.backward()
    found = [s.gradient.array for s in record.steps if not s.inputs and s.gradient is not None]
    for p in model.parameters.values():
        if p.grad is not None:
            assert any(np.array_equal(p.grad.numpy(), g) for g in found)


def close(a: Explanation, b: Explanation) -> None:
    """The same edges, and numbers within 1e-10 of the largest that goes in or out."""
    for one, other in zip(a.edges, b.edges, strict=True):
        same = [(e.id, e.node, e.to, e.words, e.pattern, e.structure) for e in (one, other)]
        assert same[0] == same[1]
        arrays = [other.downstream, *(g for g in other.upstreams if g is not None)]
        scale = max(float(np.abs(x.array).max(initial=0)) for x in arrays)
        difference = np.abs(one.downstream.array - other.downstream.array).max(initial=0)
        assert difference <= 1e-10 * scale


@every_model
def test_compiled_models_tell_the_same(name: str, build: Build) -> None:
    """But for loops and choices, which are one node each when recorded."""
    model = build()
    step = limpid.compile(backward_of(model))
    record = step.explain(*model.arguments)
    for p in model.parameters.values():
        p.grad = None
    loss = build().run()
    if name in ("scan", "cond"):
        loss.backward()
        assert record[record.output].value.array == pytest.approx(loss.item(), rel=1e-12)
    else:
        close(record, limpid.explain(loss))


def numbers_of(record: Explanation) -> dict[str, Any]:
    """What goes along edges, and values and gradients of the nodes at their ends."""
    ends = {end for edge in record.edges for end in (edge.node, edge.to)}
    found = {}
    for step in record.steps:
        if step.id not in ends:
            continue
        for k, (value, gradient) in enumerate(zip(step.values, step.gradients, strict=True)):
            found[f"{step.id}.{k}"] = value.array
            if gradient is not None:
                found[f"grad {step.id}.{k}"] = gradient.array
    return found | {edge.id: edge.downstream.array for edge in record.edges}


SAME = [(name, build) for name, build in MODELS if name not in ("scan", "cond")]


@pytest.mark.parametrize(("name", "build"), SAME, ids=[name for name, _ in SAME])
def test_compiled_records_are_as_accurate_as_eager_ones(name: str, build: Build) -> None:
    """In float32, beside float64: by the rule of `assert_as_accurate`."""
    found, eager, exact = [], [], []
    step = None
    for point in range(POINTS):
        model = build("float32")
        arguments = [moved(x, point) for x in model.arguments]
        if step is None:
            step = limpid.compile(backward_of(model))
        found.append(numbers_of(step.explain(*arguments)))
        eager.append(numbers_of(limpid.explain(model.loss(*arguments))))
        wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in arguments]
        exact.append(numbers_of(limpid.explain(build("float64").loss(*wide))))
    for key in eager[0]:
        assert_as_accurate(f"{name} {key}", *([r[key] for r in of] for of in (found, eager, exact)))


def moved(x: Any, point: int) -> Any:
    """An argument that differs from point to point in its last bits."""
    if x.dtype.kind != "f":
        return x
    noise = np.random.default_rng(point).normal(size=x.shape) * 20 * np.finfo(x.dtype).eps
    return (x * (1 + noise * bool(point))).astype(x.dtype)


def backward_of(model: Model) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        loss = model.loss(*arguments)
        loss.backward()
        return loss

    return run


@every_model
def test_derivations_of_models(name: str, build: Build) -> None:
    """They can be written, whatever is in them."""
    derivation = limpid.derive(build().run())
    assert derivation.results
    assert str(derivation)
    assert derivation.latex().count("{") == derivation.latex().count("}")
