"""`limpid.verify` names the first node that differs: primitive, scope, line, both numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim
from limpid.compiler.steps import divergence, executor
from limpid.compiler.steps.comparison import difference
from limpid.compiler.steps.rounding import allowances
from limpid.graph.registry import primitives
from limpid.nn import functional as F
from tests.native import needs_native


def told(step: Any, *args: Any) -> str:
    with pytest.raises(errors.VerificationError) as raised:
        step.verify(*args)
    return str(raised.value)


def test_an_array_outside_that_was_changed_in_place() -> None:
    large = np.ones((100, 100))

    class Scale(nn.Module):
        def forward(self, x: Any) -> Any:
            shifted = x + 1.0
            return shifted * large

    model = nn.Sequential(nn.ReLU(), Scale())
    step = limpid.compile(lambda x: limpid.sum(limpid.exp(model(x))))
    step(np.zeros(100))
    step.verify(np.zeros(100))
    large[2, 3] = 5.0
    text = told(step, np.zeros(100))
    first = text.split("\n")[1]
    assert first.startswith("the first to differ is multiply in 1 at ")
    assert "test_verify.py:32: shifted * large: 1.0 at (2, 3), not 5.0 as the" in first
    assert "must come as an argument or be state" in text


def test_a_node_of_the_backward_pass() -> None:
    w, upstream = limpid.Parameter(np.ones((30, 50))), np.ones((30, 50))

    @limpid.compile
    def step(x: Any) -> None:
        w.grad = None
        F.relu(w * x).backward(limpid.asarray(upstream))

    step(np.ones(50))
    upstream[4, 5] = 7.0
    text = told(step, np.ones(50))
    assert "state.grad is not what" in text
    assert "the first to differ is where at" in text
    assert "1.0 at (4, 5), not 7.0" in text


def test_another_operation_and_more_or_fewer_of_them() -> None:
    mode = np.zeros(1000)  # too large to be looked at

    def f(x: Any) -> Any:
        y = limpid.sin(x)
        if mode[0] == 0:
            y = y * 2.0
        elif mode[0] == 1:
            y = y**2.0
        elif mode[0] == 2:
            y = limpid.flip(y * 2.0, axis=0)
        return y

    def found(now: int) -> str:
        mode[0] = 0
        step = limpid.compile(f)
        step(np.ones(3))
        mode[0] = now
        return told(step, np.arange(3.0))

    text = found(1)
    assert "multiply at" in text
    assert "where the function now has" in text
    assert "y**2.0" in text
    assert "y * 2.0, where the function now has nothing more" in found(3)
    assert "nothing more, where the function now has" in found(2)


def test_a_result_that_no_node_computes() -> None:
    large = np.zeros(1000)
    step = limpid.compile(lambda x: (x * 2.0, float(large[0])))
    step(np.ones(3))
    large[0] = 4.0
    text = told(step, np.ones(3))
    assert "result.1 is not what" in text
    assert "the first to differ" not in text


def test_compiled_code_that_is_wrong(monkeypatch: Any) -> None:
    right = executor._forward

    def wrong(node: Any) -> Any:
        if node.op.name == "tanh":
            return lambda x: np.tanh(x) * np.array([1.0, 1.5], np.float32)
        return right(node)

    monkeypatch.setattr(executor, "_forward", wrong)
    monkeypatch.setattr(divergence, "prepare", executor.Executor)
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
    step = limpid.compile(lambda x: model(x).sum())
    x = np.ones((4, 3), np.float32)
    step(x)
    step._recordings[0].executor = executor.Executor(step.graph)
    text = told(step, x)
    assert "the first to differ is tanh in 1 at" in text
    assert "at (0, 1), not" in text
    assert "as NumPy computes it" in text
    assert "LIMPID_NATIVE=0" in text


def before_normalisation(optimizer: Any, *more: Any) -> tuple[Any, Any, Any]:
    """A step with a bias before a batch normalisation, whose true gradient is zero; a batch."""
    limpid.manual_seed(0)
    layers = (nn.Linear(20, 16), nn.BatchNorm1d(16), nn.ReLU(), *more, nn.Linear(16, 4))
    model = nn.Sequential(*layers)
    optimizer = optimizer(model.parameters())

    @limpid.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    return step, rng.normal(size=(32, 20)).astype(np.float32), rng.integers(0, 4, 32)


OPTIMIZERS = [
    lambda parameters: optim.Adam(parameters, lr=0.01),
    lambda parameters: optim.SGD(parameters, lr=0.1, momentum=0.9),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_noise_in_the_place_of_zero_is_no_fault(optimizer: Any) -> None:
    step, x, y = before_normalisation(optimizer)
    for _ in range(4):
        step.verify(x, y)
        step(x, y)


@needs_native
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_small_fault_beside_noise_is_found(optimizer: Any, monkeypatch: Any) -> None:
    """A native function that is wrong in the fourth digit, in a net with such a bias."""
    monkeypatch.setattr(primitives["tanh"], "native", lambda x: np.tanh(x) * 1.0005)
    step, x, y = before_normalisation(optimizer, nn.Tanh())
    text = told(step, x, y)
    assert "the first to differ is tanh in 3 at" in text
    assert "as NumPy computes it" in text


@needs_native
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_noise_excuses_no_more_than_noise(optimizer: Any, monkeypatch: Any) -> None:
    """Gradients of 1e-6 in the place of zero, where rounding makes 1e-9."""
    add = primitives["sum"]
    monkeypatch.setattr(
        add, "native", lambda x, **params: add.forward(x, **params) + x.dtype.type(1e-6)
    )
    step, x, y = before_normalisation(optimizer)
    assert "the first to differ is sum in 0 at" in told(step, x, y)


def test_what_rounding_decides_is_allowed() -> None:
    def run(perturb: Any) -> dict[str, Any]:
        x = perturb(np.array([[1.0, 1.0, 0.0], [1.0, 2.0, 0.0]]))
        return {"order": x.argmax(1), "noise": x[:, 0] - x[:, 1] - [0.0, -1.0], "x": x, "none": 1}

    expected = run(lambda x: x)
    allowed = allowances(run)
    assert difference(expected["order"], np.array([1, 1]), allowed["order"]) == ""
    assert "at (1,)" in difference(expected["order"], np.array([0, 0]), allowed["order"])
    assert difference(expected["noise"], np.array([1e-15, -1e-15]), allowed["noise"]) == ""
    assert "at (1,)" in difference(expected["noise"], np.array([0.0, 1e-13]), allowed["noise"])
    assert 0 < allowed["x"] < 1e-13
    assert allowed["none"] == 0


def test_a_trial_that_leaves_the_domain_says_nothing() -> None:
    def run(perturb: Any) -> dict[str, Any]:
        x = perturb(np.array([1.0]))
        if x[0] > 1.0:
            raise errors.ArgumentError("at most 1")
        return {"x": x}

    assert 0 < allowances(run)["x"] < 1e-14


def test_what_can_not_be_recorded_any_more() -> None:
    large = np.ones(1000)
    step = limpid.compile(lambda x: x * 2.0 if large[0] == 1.0 or x[0] < 0 else -x)
    step(np.ones(3))
    step.verify(np.ones(3))
    large[0] = 2.0
    text = told(step, np.ones(3))
    assert "result is not what" in text
    assert "the first to differ" not in text


def test_nothing_is_left_behind() -> None:
    large = np.ones((100, 100))
    state = limpid.Buffer([0.0])

    @limpid.compile
    def step(x: Any) -> Any:
        limpid.assign(state, state + 1.0)
        return limpid.sum(large * x) + state

    step(np.ones(100))
    large[0, 0] = 3.0
    told(step, np.ones(100))
    assert (step.count, state.item()) == (1, 1.0)
