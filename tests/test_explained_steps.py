"""Explanations of compiled steps: the same records as eager ones, in the step's own numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
LABELS = np.arange(6) % 3


class Training:
    def __init__(self) -> None:
        limpid.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.step = limpid.compile(self.run)

    def loss(self, x: Any, y: Any) -> Any:
        loss = nn.functional.cross_entropy(self.model(x), y)
        return loss

    def run(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        return loss


@pytest.fixture
def training() -> Training:
    made = Training()
    for _ in range(3):
        made.step(X, LABELS)
    return made


def test_a_step_is_explained_as_eager_is(training: Training) -> None:
    eager = limpid.explain(training.loss(X, LABELS))
    before = {name: x.copy() for name, x in training.model.state_dict().items()}
    record = training.step.explain(X, LABELS)
    assert [(e.id, e.node, e.kind, e.pattern, e.structure) for e in record.edges] == [
        (e.id, e.node, e.kind, e.pattern, e.structure) for e in eager.edges
    ]
    for a, b in zip(record.edges, eager.edges, strict=True):
        np.testing.assert_allclose(a.downstream.array, b.downstream.array, rtol=1e-5, atol=1e-7)
    np.testing.assert_equal(training.model.state_dict(), before)


def test_the_numbers_are_those_of_the_step(training: Training) -> None:
    """Gradients are bitwise what the step leaves in `.grad`."""
    record = training.step.explain(X, LABELS)
    loss = training.step(X, LABELS)
    assert record[record.output].value.array == loss.item()
    for name, p in training.model.named_parameters():
        np.testing.assert_array_equal(record[name].gradient.array, p.grad.numpy())


def test_only_what_leads_to_some_parameters(training: Training) -> None:
    by_name = training.step.explain(X, LABELS, wrt="0.bias")
    by_tensor = training.step.explain(X, LABELS, wrt=training.model[0].bias)
    assert by_name.to_json() == by_tensor.to_json()
    assert {e.to for e in by_name.edges if e.to.startswith("x")} == {by_name["0.bias"].id}
    assert {e.node for e in training.step.explain(X, LABELS, at="v2").edges} == {"v2"}
    with pytest.raises(errors.ArgumentError, match="depends on no 'fc'"):
        training.step.explain(X, LABELS, wrt="fc")


def test_a_step_is_derived(training: Training) -> None:
    derivation = training.step.derive(X, LABELS, wrt=["2.weight"])
    assert list(derivation.results) == ["2.weight"]
    assert str(derivation.results["2.weight"]).startswith("dloss_d_2_weight = dloss_d_2.T @ _1")


def test_one_of_several_gradients() -> None:
    w = limpid.Parameter([1.0, 2.0])

    @limpid.compile
    def step(x: Any) -> Any:
        first = limpid.sum(w * x)
        second = limpid.sum(limpid.exp(w) * x)
        first.backward()
        second.backward()
        return first, second

    x = np.ones(2, np.float32)
    assert {s.op for s in step.explain(x, output="first").steps} == {"input", "multiply", "sum"}
    assert "exp" in {s.op for s in step.explain(x).steps}
    with pytest.raises(errors.ArgumentError, match="'third'"):
        step.explain(x, output="third")


def test_a_transform_in_a_step() -> None:
    step = limpid.compile(lambda w: limpid.grad(lambda w: limpid.sum(limpid.tanh(w) ** 2))(w))
    w = np.array([0.5, -1.0])
    record = step.explain(w)
    (total,) = [s.gradients[0] for s in record.steps if s.op == "identity" and s.gradients[0]]
    np.testing.assert_allclose(total.array, step(w), rtol=1e-12)


def test_a_step_without_gradients() -> None:
    step = limpid.compile(lambda x: x * 2)
    with pytest.raises(errors.NoGradientError, match="nothing to explain"):
        step.explain(np.ones(3))
