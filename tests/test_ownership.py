"""Who owns memory: what a caller later writes into an array changes no gradient and no slot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import limpid

POINT = np.array([1.0, 2.0, 3.0])


def leaf(value: Any = POINT) -> limpid.Tensor:
    return limpid.tensor(value, requires_grad=True)


VIEWS: dict[str, Callable[[Any], Any]] = {
    "the array": lambda a: a,
    "a read-only view": lambda a: np.broadcast_to(a, (2, 3)),
    "a subclass": lambda a: a.view(np.recarray),
    "a buffer": lambda a: memoryview(a),
    "an object with __array__": lambda a: type("Column", (), {"__array__": lambda *_, **__: a})(),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_operands_written_before_backward(view: Any) -> None:
    owned = np.ones(3)
    x = leaf()
    y = limpid.sum(x * view(owned))
    owned[:] = 5
    y.backward()
    assert x.grad is not None
    assert set(x.grad.numpy() / (y.item() / 6)) == {1.0}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_constants_written_after_recording(view: Any) -> None:
    owned = np.ones(3)
    recorded = limpid.record(lambda t: limpid.sum(t * view(owned)), POINT)
    before = recorded(POINT).item()
    owned[:] = 5
    assert recorded(POINT).item() == before


def test_indices_and_masks_written_before_backward() -> None:
    index, mask = np.array([0, 1]), np.array([True, True, False])
    x = leaf()
    y = limpid.sum(x[index] * x[index]) + limpid.sum(limpid.where(mask, x, 0)) + limpid.sum(x[mask])
    index[:], mask[:] = 2, False
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4.0, 6.0, 0.0]


def test_upstream_written_after_backward() -> None:
    upstream = np.ones(3)
    x = leaf()
    (x + 1.0).backward(upstream)
    upstream[:] = 7
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


def test_argument_written_before_the_pullback() -> None:
    argument = POINT.copy()
    _, pullback = limpid.vjp(lambda t: t * t, argument)
    argument[:] = 50
    assert pullback(np.ones(3))[0].tolist() == [2.0, 4.0, 6.0]


def test_gradients_are_separate_tensors() -> None:
    """Add hands the same upstream to both operands; changing one gradient leaves the other."""
    for create_graph in (False, True):
        a, b, upstream = leaf(), leaf(), limpid.tensor(np.ones(3))
        (a + b).backward(upstream, create_graph=create_graph)
        assert a.grad is not None
        a.grad *= 2
        a.grad[0] = 9.0
        assert a.grad.tolist() == [9.0, 2.0, 2.0]
        assert b.grad is not None
        assert b.grad.tolist() == upstream.tolist() == [1.0, 1.0, 1.0]


def test_a_gradient_that_is_set_has_dtype_and_memory_of_its_own() -> None:
    given = np.ones(3, np.float32)
    x = leaf()
    x.grad = given  # type: ignore[assignment]  # arrays are taken, too
    given[:] = 9
    assert x.grad is not None
    assert x.grad.dtype is limpid.float64
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


def test_slots_own_what_is_assigned() -> None:
    given = np.ones(3)
    slot, column = limpid.Parameter(POINT), limpid.Parameter(np.ones((3, 1)))
    limpid.assign(slot, limpid.asarray(given))
    limpid.assign(column, limpid.reshape(limpid.asarray(given), (3, 1)))
    given[:] = 9
    assert slot.tolist() == [1.0, 1.0, 1.0]
    assert column.tolist() == [[1.0], [1.0], [1.0]]


def test_recorded_results_and_writes_are_not_the_arguments() -> None:
    slot = limpid.Parameter(np.zeros((3, 1)))

    def function(x: Any) -> Any:
        limpid.assign(slot, limpid.reshape(x, (3, 1)))
        return x

    argument = POINT.copy()
    result = limpid.record(function, argument)(argument)
    argument[:] = 99
    assert result.tolist() == [1.0, 2.0, 3.0]
    assert slot.tolist() == [[1.0], [2.0], [3.0]]
