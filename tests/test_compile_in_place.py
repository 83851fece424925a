"""State that native code updates in place: whoever holds an array or a view keeps what he saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from limpid.compiler.machine.target import native_target
from limpid.errors import LimpidError

X = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
LABELS = np.arange(8) % 3


class Training:
    """A small network and its step."""

    def __init__(self, momentum: float = 0.9) -> None:
        limpid.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1, momentum=momentum)
        self.step = limpid.compile(self.run)

    def run(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    @property
    def weight(self) -> Any:
        return self.model[0].weight

    def state(self) -> dict[str, Any]:
        return {name: x.copy() for name, x in self.model.state_dict().items()}


def same(a: Any, b: Any) -> None:
    np.testing.assert_equal(a, b)


def after(steps: int, between: Callable[[Training, int], Any] = lambda t, n: None) -> Training:
    """A training after some steps, something done before each."""
    training = Training()
    for n in range(steps):
        between(training, n)
        training.step(X, LABELS)
    return training


EXPECTED = after(5)


def test_arrays_stay_where_they_are_if_nobody_looks() -> None:
    training = after(2)
    place = training.weight.detach().numpy().__array_interface__["data"][0]
    for _ in range(3):
        training.step(X, LABELS)
    if native_target() is not None:
        assert training.weight.detach().numpy().__array_interface__["data"][0] == place
    same(training.state(), EXPECTED.state())


@pytest.mark.parametrize(
    "hold",
    [
        lambda t: t.weight.detach().numpy(),
        lambda t: t.weight.detach().numpy()[1:],
        lambda t: t.weight.detach(),
        lambda t: t.weight.value,
        lambda t: t.weight.grad,
        lambda t: t.weight.grad.numpy() if t.weight.grad is not None else None,
        lambda t: t.model.state_dict(),
        lambda t: t.optimizer.state_dict(),
        lambda t: limpid.sum(t.weight * t.weight),
    ],
)
def test_what_is_held_stays(hold: Any) -> None:
    held: list[Any] = []

    def between(training: Training, n: int) -> None:
        held.append((hold(training), copied(hold(training))))

    training = after(5, between)
    for now, then in held:
        same(copied(now), then)
    same(training.state(), EXPECTED.state())


def copied(x: Any) -> Any:
    """Its numbers."""
    if isinstance(x, dict):
        return {name: copied(part) for name, part in x.items()}
    if isinstance(x, list | tuple):
        return [copied(part) for part in x]
    if isinstance(x, limpid.Tensor):
        return x.detach().numpy().copy()
    return x.copy() if isinstance(x, np.ndarray) else x


def test_a_gradient_taken_away_and_kept() -> None:
    held: list[Any] = []

    def between(training: Training, n: int) -> None:
        gradient = training.weight.grad
        if gradient is not None:
            held.append((gradient, gradient.numpy().copy()))
        training.weight.grad = None

    training = after(5, between)
    assert len(held) == 4
    for gradient, then in held:
        same(gradient.numpy(), then)
    same(training.state(), EXPECTED.state())


def test_a_saved_value_is_noticed_to_be_overwritten() -> None:
    training = after(1)
    y = limpid.sum(training.weight * training.weight)
    training.step(X, LABELS)
    with pytest.raises(LimpidError, match="overwritten"):
        y.backward()


def test_writes_from_outside_are_seen() -> None:
    def between(training: Training, n: int) -> None:
        if n == 3:
            limpid.assign(training.weight, training.weight.detach() * 0)

    training, expected = Training(), Training()
    for n in range(5):
        between(training, n)
        between(expected, n)
        training.step(X, LABELS)
        expected.run(X, LABELS)
    for a, b in zip(training.state().values(), expected.state().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_loading_goes_back() -> None:
    training = after(2)
    state, moments = training.state(), copied(training.optimizer.state_dict())
    for _ in range(3):
        training.step(X, LABELS)
    last = training.state()
    training.model.load_state_dict(state)
    training.optimizer.load_state_dict(moments)
    for _ in range(3):
        training.step(X, LABELS)
    same(training.state(), last)


def test_two_steps_on_the_same_parameters() -> None:
    training = Training()
    other = limpid.compile(lambda x, y: training.run(x * 0.5, y))
    expected = Training()
    for n in range(6):
        (other if n % 2 else training.step)(X, LABELS)
        expected.run(X * np.float32(0.5) if n % 2 else X, LABELS)
    for a, b in zip(training.state().values(), expected.state().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_call_that_fails_changes_nothing() -> None:
    training = after(3)
    before, moments = training.state(), copied(training.optimizer.state_dict())
    for _ in range(2):
        with pytest.raises(LimpidError, match="label"):
            training.step(X, np.where(LABELS == 1, 7, LABELS))
    same(training.state(), before)
    same(copied(training.optimizer.state_dict()), moments)
    training.step(X, LABELS)
    training.step(X, LABELS)
    same(training.state(), EXPECTED.state())


def test_results_are_the_callers() -> None:
    weights = np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32)
    step = limpid.compile(lambda x: (x @ weights, limpid.sum(x)))
    inputs = [np.full((64, 64), n, np.float32) for n in range(4)]
    results = [step(x) for x in inputs]
    for x, (product, total) in zip(inputs, results, strict=True):
        np.testing.assert_allclose(product.numpy(), x @ weights, rtol=1e-4, atol=1e-3)
        assert total.item() == x.sum()


def test_arguments_of_any_layout() -> None:
    step = limpid.compile(lambda x: limpid.sum(x * 2.0, axis=0))
    x = np.arange(24.0).reshape(4, 6)
    frozen = x.copy()
    frozen.flags.writeable = False
    for given in (x, np.asfortranarray(x), x[:, ::-1][:, ::-1], frozen):
        same(step(given).numpy(), (x * 2).sum(0))
    assert step.count == 1


def test_state_in_another_order_than_its_product() -> None:
    """A small product may be written with its first axis innermost; a slot is row-major."""
    from limpid.ops.state import assign

    rng = np.random.default_rng(1)
    held = limpid.Buffer(np.ones((4, 8), np.float32))
    weight = limpid.tensor(rng.normal(size=(8, 8)).astype(np.float32))

    def run(x: Any) -> None:
        assign(held, (limpid.asarray(x) * 2) @ weight.T)

    x = rng.normal(size=(4, 8)).astype(np.float32)
    run(x)
    expected = held.numpy().copy()
    limpid.compile(run)(x)
    np.testing.assert_allclose(held.numpy(), expected, rtol=1e-5, atol=1e-5)
