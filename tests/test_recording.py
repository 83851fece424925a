"""Recording: no values, named slots, program order, text, and the same numbers when run again."""

from __future__ import annotations

import numpy as np
import pytest

import limpid
from limpid import errors
from limpid.graph.text import format_graph, parse_graph


def test_reads_after_an_assignment_see_the_new_value() -> None:
    w = limpid.Parameter([1.0, 2.0])

    def twice(x: limpid.Tensor) -> tuple[limpid.Tensor, limpid.Tensor]:
        before = w * x
        limpid.assign(w, w + 1.0)
        after = w * x
        limpid.assign(w, w * 10.0)
        return before, after

    recorded = limpid.record(twice, np.float32(1.0))
    before, after = recorded(np.float32(1.0))
    np.testing.assert_array_equal(before.numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(after.numpy(), [2.0, 3.0])
    np.testing.assert_array_equal(w.detach().numpy(), [20.0, 30.0])
    before, _ = recorded(np.float32(1.0))
    np.testing.assert_array_equal(before.numpy(), [20.0, 30.0])


def step(w: limpid.Tensor, x: limpid.Tensor) -> dict[str, limpid.Tensor]:
    w.grad = None
    loss = limpid.sum(limpid.tanh(x @ w))
    loss.backward()
    limpid.assign(w, w - 0.1 * w.grad)
    return {"loss": loss}


def test_a_training_step_runs_again_with_eager_numbers() -> None:
    rng = np.random.default_rng(0)
    start, batches = rng.normal(size=(3, 4)), rng.normal(size=(5, 6, 3))
    eager, recorded_w = limpid.Parameter(start), limpid.Parameter(start)
    recorded = limpid.record(lambda x: step(recorded_w, x), batches[0])
    np.testing.assert_array_equal(recorded_w.detach().numpy(), start)  # recording wrote nothing
    for x in batches:
        expected, found = step(eager, limpid.tensor(x)), recorded(x)
        np.testing.assert_array_equal(found["loss"].numpy(), expected["loss"].detach().numpy())
        np.testing.assert_array_equal(recorded_w.detach().numpy(), eager.detach().numpy())
        np.testing.assert_array_equal(recorded_w.grad.numpy(), eager.grad.numpy())


def test_a_gradient_left_before_the_step_is_state() -> None:
    w = limpid.Parameter([1.0, 2.0])
    w.grad = limpid.tensor([10.0, 10.0])
    recorded = limpid.record(lambda x: limpid.sum(w * x).backward(), np.ones(2, np.float32))
    recorded(np.ones(2, np.float32))
    np.testing.assert_array_equal(w.grad.numpy(), [11.0, 11.0])
    recorded(np.ones(2, np.float32))
    np.testing.assert_array_equal(w.grad.numpy(), [12.0, 12.0])


def test_backward_nodes_know_their_forward_node() -> None:
    recorded = limpid.record(limpid.grad(lambda x: limpid.sum(limpid.sin(x) * x)), np.ones(3))
    origins = {(n.origin.node.op.name, n.origin.role) for n in recorded.graph.nodes if n.origin}
    assert {("sin", "edge"), ("multiply", "edge"), ("sum", "edge")} <= origins
    assert any(role == "sum" for _, role in origins)
    for node in recorded.graph.nodes:
        assert node.source is not None


def test_the_text_parses_back() -> None:
    w = limpid.Parameter(np.ones((3, 4)))
    big = np.arange(100.0).reshape(25, 4)
    recorded = limpid.record(lambda x: (step(w, x), x @ w @ big.T), np.ones((6, 3)))
    text = format_graph(recorded.graph, comments=False)
    rebuilt = parse_graph(text, recorded.graph.constants())
    assert format_graph(rebuilt, comments=False) == text
    with pytest.raises(errors.GraphError, match="constants="):
        parse_graph(text)
    unknown = "def graph(x: float32[3]):\n    y: float32[3] = no(x)"
    for wrong in ("", "def graph(:", "x = 1", unknown):
        with pytest.raises(errors.GraphError):
            parse_graph(wrong)


def test_arguments_are_checked_when_it_runs() -> None:
    recorded = limpid.record(lambda batch: batch["x"] * 2.0, {"x": np.ones(3)})
    with pytest.raises(errors.ArgumentError, match="float64"):
        recorded({"x": np.ones(4)})
    np.testing.assert_array_equal(recorded({"x": np.ones(3)}).numpy(), [2.0, 2.0, 2.0])


def test_an_exception_while_recording_leaves_nothing_behind() -> None:
    w = limpid.Parameter([1.0])

    def fails(x: limpid.Tensor) -> None:
        limpid.assign(w, w + x)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        limpid.record(fails, np.ones(1, np.float32))
    assert w.item() == 1.0
    assert (w + 1.0).item() == 2.0


def test_two_training_steps_in_one_recording() -> None:
    rng = np.random.default_rng(1)
    start, x = rng.normal(size=(3, 4)), rng.normal(size=(6, 3))
    eager, recorded_w = limpid.Parameter(start), limpid.Parameter(start)

    def twice(w: limpid.Tensor, x: limpid.Tensor) -> limpid.Tensor:
        step(w, x)
        return step(w, x)["loss"]

    recorded = limpid.record(lambda x: twice(recorded_w, x), x)
    for _ in range(2):
        expected = twice(eager, limpid.tensor(x))
        np.testing.assert_array_equal(recorded(x).numpy(), expected.detach().numpy())
        np.testing.assert_array_equal(recorded_w.detach().numpy(), eager.detach().numpy())


def test_an_assigned_slot_carries_no_gradient_to_its_past() -> None:
    w = limpid.Parameter([2.0])

    def through(x: limpid.Tensor) -> limpid.Tensor:
        limpid.assign(w, x * 3.0)
        return limpid.sum(w * x)

    recorded = limpid.record(limpid.grad(through), np.ones(1, np.float32))
    assert recorded(np.ones(1, np.float32)).item() == limpid.grad(through)(np.ones(1)).item() == 3.0


def test_slots_of_a_nameless_container() -> None:
    """Names such as `0.weight` are no Python; the text writes `self[0].weight`."""
    model = limpid.nn.Sequential(limpid.nn.Linear(3, 2), limpid.nn.Tanh(), limpid.nn.Linear(2, 1))
    recorded = limpid.record(model, np.ones((4, 3), np.float32))
    assert list(recorded.graph.slots) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    text = format_graph(recorded.graph, comments=False)
    assert "self[0].weight: state[float32[2, 3]]" in text
    rebuilt = parse_graph(text)
    assert format_graph(rebuilt, comments=False) == text


def test_tensors_made_inside_are_constants() -> None:
    """Zeros that the recorded function makes itself are no state, unless they are assigned to."""

    def f(x):
        start = limpid.zeros(3)
        return start + x + start

    recorded = limpid.record(f, np.ones(3, np.float32))
    assert not recorded.graph.slots
    assert recorded(np.ones(3, np.float32)).tolist() == [1, 1, 1]

    def g(x):
        kept = limpid.zeros(3)
        before = kept + x
        limpid.assign(kept, x)
        return before, kept * 2

    before, after = limpid.record(g, np.ones(3, np.float32))(np.full(3, 5, np.float32))
    assert (before.tolist(), after.tolist()) == ([5, 5, 5], [10, 10, 10])


@pytest.mark.parametrize("derivative", ["reverse", "forward"])
def test_what_a_rule_casts_belongs_to_the_derivative(derivative: str) -> None:
    """A truth times a float: the rule needs the truth as a float."""

    def masked(x: limpid.Tensor) -> limpid.Tensor:
        return limpid.sum((x > 0.1) * x)

    def function(x: limpid.Tensor) -> limpid.Tensor:
        if derivative == "reverse":
            return limpid.grad(masked)(x)
        return limpid.jvp(masked, (x,), (limpid.ones_like(x),))[1]

    nodes = limpid.record(function, np.ones(3)).graph.nodes
    casts = [node for node in nodes if node.op.name == "cast"]
    assert casts
    for node in casts:
        assert node.origin is not None
        assert (node.origin.node.op.name, node.origin.role) == ("multiply", "local")
