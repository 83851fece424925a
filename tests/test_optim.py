"""Optimisers: formulas, groups, numbers as state, recorded steps, state dicts, clipping."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from limpid.errors import ArgumentError, NoGradientError, OperandError, StateError

OPTIONS: list[tuple[Any, dict[str, Any]]] = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "weight_decay": 0.01, "maximize": True}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    (optim.Adam, {"lr": 0.01}),
    (optim.Adam, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    (optim.Adam, {"lr": 0.01, "amsgrad": True, "maximize": True}),
    (optim.AdamW, {"lr": 0.01}),
    (optim.AdamW, {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True}),
]
IDS = [f"{kind.__name__}-{'-'.join(options)}" for kind, options in OPTIONS]
each_kind = pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=IDS)


def network(dtype: str = "float64") -> nn.Module:
    limpid.random.seed(0)
    return nn.Sequential(nn.Linear(4, 5, dtype=dtype), nn.Tanh(), nn.Linear(5, 3, dtype=dtype))


def batch(dtype: str = "float64") -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 4)).astype(dtype), rng.integers(0, 3, 6)


def train_step(model: Any, optimizer: Any) -> Any:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


@each_kind
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_recorded_step_gives_eagers_numbers(kind: Any, options: Any, dtype: str) -> None:
    """Forward, loss, backward and update as one graph; lr and counts are read from slots."""
    eager_model, model = network(dtype), network(dtype)
    eager, optimizer = (kind(m.parameters(), **options) for m in (eager_model, model))
    x, y = batch(dtype)
    recorded = limpid.record(train_step(model, optimizer), x, y)
    assert "lr" in recorded.graph.slots
    recorded.graph.check()
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    for rate in (0.1, 0.1, 0.1, 0.02, 0.02):
        for o in (eager, optimizer):
            o.param_groups[0]["lr"] = rate
        a = train_step(eager_model, eager)(x, y)
        b = recorded(x, y)
        np.testing.assert_allclose(b.item(), a.item(), rtol=tolerance)
    for p, q in zip(eager_model.parameters(), model.parameters(), strict=True):
        np.testing.assert_allclose(q.detach(), p.detach(), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(q.grad, p.grad, rtol=tolerance, atol=tolerance)
    first, second = eager.state_dict(), optimizer.state_dict()
    assert first["param_groups"] == second["param_groups"]
    for number, slots in first["state"].items():
        for name, value in slots.items():
            np.testing.assert_allclose(
                second["state"][number][name], value, rtol=tolerance, atol=tolerance
            )


def test_a_recorded_sgd_step_is_bitwise_eagers() -> None:
    models = network("float32"), network("float32")
    optimizers = [optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in models]
    x, y = batch("float32")
    recorded = limpid.record(train_step(models[1], optimizers[1]), x, y)
    for _ in range(5):
        train_step(models[0], optimizers[0])(x, y)
        recorded(x, y)
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        np.testing.assert_array_equal(p.detach(), q.detach())


def test_recording_after_steps_with_gradients_left_over() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = batch()
    train_step(model, optimizer)(x, y)
    recorded = limpid.record(train_step(model, optimizer), x, y)
    optimizer.zero_grad()
    recorded(x, y)
    assert not any(name.endswith(".grad") for name in recorded.graph.slots)


def test_slots_of_a_recorded_step_have_names() -> None:
    model = network()
    optimizer = optim.AdamW(
        [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.5}]
    )
    list(model.named_parameters())
    recorded = limpid.record(train_step(model, optimizer), *batch())
    assert {
        "0.weight", "2.bias", "lr", "lr_2", "betas_1", "betas_2", "eps", "weight_decay",
        "0.weight.exp_avg", "2.bias.step",
    } <= recorded.graph.slots.keys()  # fmt: skip
    assert {"0.weight", "0.weight.exp_avg", "2.bias.step"} <= recorded.graph.writes.keys()
    assert "lr" not in recorded.graph.writes


def test_a_schedule_inside_a_recording() -> None:
    w = limpid.Parameter([1.0])
    optimizer = optim.SGD([w], lr=1.0)

    def step() -> None:
        optimizer.zero_grad()
        limpid.sum(w).backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] *= 0.5

    recorded = limpid.record(step)
    for _ in range(3):
        recorded()
    assert w.item() == 1 - 1 - 0.5 - 0.25
    assert optimizer.param_groups[0]["lr"].item() == 0.125


def test_sgd_by_hand() -> None:
    w = limpid.Parameter(np.array([1.0, -2.0]))
    optimizer = optim.SGD([w], lr=0.1, momentum=0.5, dampening=0.25, weight_decay=0.2)
    expected, b = np.array([1.0, -2.0]), None
    for _ in range(4):
        optimizer.zero_grad()
        limpid.sum(w * w).backward()
        g = 2 * expected + 0.2 * expected
        b = g if b is None else 0.5 * b + 0.75 * g
        expected = expected - 0.1 * b
        optimizer.step()
        np.testing.assert_allclose(w.detach(), expected, rtol=1e-13)


def test_numbers_are_state() -> None:
    w = limpid.Parameter([1.0])
    optimizer = optim.SGD([w], lr=0.1)
    group = optimizer.param_groups[0]
    slot = group["lr"]
    assert isinstance(slot, limpid.Slot)
    before = slot.storage.version
    group["lr"] = 0.01
    assert group["lr"] is slot
    assert slot.storage.version > before
    assert slot.item() == 0.01
    group.update(lr=0.02)
    assert slot.item() == 0.02
    with pytest.raises(ArgumentError, match="lr takes a number"):
        group["lr"] = "fast"
    adam = optim.Adam([w])
    adam.param_groups[0]["betas"] = (0.5, 0.6)
    assert adam.param_groups[0].numbers()["betas"] == (0.5, 0.6)
    with pytest.raises(ArgumentError, match="betas takes 2 numbers"):
        adam.param_groups[0]["betas"] = 0.5


def test_a_term_appears_when_its_option_becomes_a_number() -> None:
    w = limpid.Parameter(np.array([1.0]))
    optimizer = optim.SGD([w], lr=0.1)
    for momentum, expected in ((0, 0.9), (0.5, 0.8), (0.5, 0.65)):
        optimizer.param_groups[0]["momentum"] = momentum
        w.grad = np.array([1.0])
        optimizer.step()
        np.testing.assert_allclose(w.item(), expected, rtol=1e-14)


def test_a_shared_slot_as_learning_rate() -> None:
    rate = limpid.Buffer(np.float64(0.5))
    a, b = limpid.Parameter([1.0]), limpid.Parameter([1.0])
    first, second = optim.SGD([a], lr=rate), optim.SGD([b], lr=rate)
    first.param_groups[0]["lr"] = 0.25
    for optimizer, p in ((first, a), (second, b)):
        p.grad = np.ones(1, np.float32)
        optimizer.step()
        assert p.item() == 0.75


def test_groups() -> None:
    a, b, c = (limpid.Parameter([1.0]) for _ in range(3))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": [("c", c)], "momentum": 0.9})
    for p in (a, b, c):
        p.grad = np.ones(1, np.float32)
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == pytest.approx([0.9, 0.5, 0.9])
    for group in ({"params": [a]}, {"params": [limpid.Parameter([1.0])] * 2}):
        with pytest.raises(ArgumentError, match="given to the optimiser twice"):
            optimizer.add_param_group(group)
    with pytest.raises(ArgumentError, match="no option 'rate'"):
        optimizer.add_param_group({"params": [limpid.Parameter([1.0])], "rate": 1})
    assert len(optimizer.param_groups) == 3


def test_what_can_be_optimised() -> None:
    w = limpid.Parameter([1.0])
    with pytest.raises(OperandError, match=r"model\.parameters\(\)"):
        optim.SGD(w)
    with pytest.raises(ArgumentError, match="no parameters"):
        optim.SGD([])
    for wrong in (w * 2, np.ones(1)):
        with pytest.raises(OperandError, match="only parameters can be optimised"):
            optim.SGD([wrong])
    leaf = limpid.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD(iter([leaf]), lr=1.0)
    leaf.sum().backward()
    optimizer.step()
    assert leaf.item() == 0.0


def test_impossible_options() -> None:
    w = [limpid.Parameter([1.0])]
    for options in (
        {"lr": -1}, {"lr": np.nan}, {"momentum": -0.1}, {"weight_decay": -1}, {"nesterov": True},
        {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
    ):  # fmt: skip
        with pytest.raises(ArgumentError):
            optim.SGD(w, **options)
    for options in ({"betas": (1.0, 0.9)}, {"betas": (0.9,)}, {"eps": -1}, {"lr": -1}):
        with pytest.raises(ArgumentError):
            optim.AdamW(w, **options)


def test_parameters_without_gradient_and_frozen_ones_are_left_alone() -> None:
    model = network()
    model[0].requires_grad_(False)
    before = model.state_dict()
    optimizer = optim.AdamW(model.parameters(), lr=0.1)
    train_step(model, optimizer)(*batch())
    after = model.state_dict()
    np.testing.assert_array_equal(after["0.weight"], before["0.weight"])
    assert (after["2.weight"] != before["2.weight"]).all()
    assert list(optimizer.state_dict()["state"]) == [2, 3]


def test_a_tied_parameter_is_updated_once() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    before = model[0].weight.detach().numpy().copy()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model(limpid.ones((1, 2))).sum().backward()
    g = model[0].weight.grad.numpy()
    optimizer.step()
    np.testing.assert_allclose(model[1].weight.detach(), before - np.float32(0.1) * g, rtol=1e-6)


def test_zero_grad_and_closure() -> None:
    w = limpid.Parameter([3.0])
    optimizer = optim.SGD([w], lr=0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(w * w)
        loss.backward()
        return loss

    with limpid.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert w.item() == pytest.approx(2.4)
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert w.grad is None


def test_old_values_are_never_changed() -> None:
    """Whoever holds the value of a parameter keeps it."""
    w = limpid.Parameter([1.0])
    view, cut, saved = w.detach().numpy(), w.detach(), limpid.reshape(w, (1, 1))
    w.grad = np.ones(1, np.float32)
    optim.SGD([w], lr=0.5).step()
    assert w.item() == 0.5
    assert view.tolist() == cut.tolist() == [1.0]
    assert saved.detach().tolist() == [[1.0]]


def test_shapes_and_layouts() -> None:
    for shape in ((), (0,), (2, 0), (2, 3)):
        w = limpid.Parameter(np.ones(shape))
        w.grad = np.full(shape, 2.0, order="F")
        optim.AdamW([w], lr=0.1, weight_decay=0).step()
        assert w.shape == shape
        np.testing.assert_allclose(w.detach(), np.full(shape, 0.9), rtol=1e-7)
        assert w.value.flags.c_contiguous
    w = limpid.Parameter(np.ones(2, np.float32))
    w.grad = np.ones(2)
    optim.SGD([w], lr=0.5, momentum=0.9).step()
    assert w.dtype is limpid.float32


@each_kind
def test_going_on_from_a_state_dict_is_bitwise_the_same(kind: Any, options: Any) -> None:
    x, y = batch()
    model = network()
    optimizer = kind(model.parameters(), **options)
    for _ in range(3):
        train_step(model, optimizer)(x, y)
    saved = pickle.loads(pickle.dumps((model.state_dict(), optimizer.state_dict())))
    other = network()
    resumed = kind(other.parameters(), lr=99.0)
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    for _ in range(3):
        train_step(model, optimizer)(x, y)
        train_step(other, resumed)(x, y)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach(), q.detach())
    assert repr(optimizer) == repr(resumed)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_a_model_with_its_optimiser_go_on_alike(twin: Any) -> None:
    x, y = batch()
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    train_step(model, optimizer)(x, y)
    optimizer.zero_grad()
    other, resumed = twin((model, optimizer))
    for _ in range(2):
        train_step(model, optimizer)(x, y)
        train_step(other, resumed)(x, y)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert p is not q
        np.testing.assert_array_equal(p.detach(), q.detach())


def test_loading_lists_what_does_not_fit_and_changes_nothing() -> None:
    w, v = limpid.Parameter([1.0, 2.0]), limpid.Parameter([1.0])
    optimizer = optim.Adam([w, v], lr=0.1)
    w.grad = np.ones(2, np.float32)
    optimizer.step()
    state = optimizer.state_dict()
    broken = copy.deepcopy(state)
    broken["state"][0]["exp_avg"] = np.zeros(3)
    del broken["state"][0]["exp_avg_sq"]
    broken["state"][0]["other"] = np.zeros(2)
    with pytest.raises(StateError) as raised:
        optimizer.load_state_dict(broken)
    for part in ("exp_avg: shape [3], not [2]", "missing for parameter 0: exp_avg_sq",
                 "unexpected for parameter 0: other", "nothing was changed"):  # fmt: skip
        assert part in str(raised.value)
    broken = copy.deepcopy(state)
    del broken["param_groups"][0]["eps"]
    broken["param_groups"][0]["rho"] = 1.0
    broken["param_groups"][0]["params"] = [0]
    with pytest.raises(StateError) as raised:
        optimizer.load_state_dict(broken)
    for part in ("missing in group 0: eps", "unexpected in group 0: rho", "2 parameters, not 1"):
        assert part in str(raised.value)
    for wrong in ({}, 3, {"state": {}, "param_groups": []}):
        with pytest.raises(StateError):
            optimizer.load_state_dict(wrong)
    np.testing.assert_array_equal(optimizer.state_dict()["state"][0]["exp_avg"],
                                  state["state"][0]["exp_avg"])  # fmt: skip


def test_clipping_by_norm() -> None:
    w, v = limpid.Parameter([3.0]), limpid.Parameter([[4.0]])
    idle = limpid.Parameter([1.0])

    def fill() -> None:
        w.grad, v.grad = np.float32([3.0]), np.float32([[-4.0]])

    for p, norm in ((2.0, 5.0), (1.0, 7.0), (np.inf, 4.0), (3.0, 91 ** (1 / 3))):
        fill()
        assert optim.clip_grad_norm_([w, v, idle], 1.0, p).item() == pytest.approx(norm)
        np.testing.assert_allclose(w.grad, [3 / norm], rtol=1e-5)
    fill()
    optim.clip_grad_norm_(iter([w, v]), 100.0)
    assert w.grad.tolist() == [3.0]
    assert optim.clip_grad_norm_([idle], 1.0).item() == 0.0
    w.grad = np.float32([np.nan])
    with pytest.raises(NoGradientError, match="nan"):
        optim.clip_grad_norm_(w, 1.0, error_if_nonfinite=True)
    with pytest.raises(ArgumentError, match="norm_type"):
        optim.clip_grad_norm_(w, 1.0, 0.0)


def test_clipping_by_value() -> None:
    w = limpid.Parameter([1.0, 1.0, 1.0])
    w.grad = np.float32([-5.0, 0.5, 5.0])
    optim.clip_grad_value_([w], 1.0)
    assert w.grad.tolist() == [-1.0, 0.5, 1.0]


def test_clipping_in_a_recorded_step() -> None:
    models = network(), network()
    optimizers = [optim.SGD(m.parameters(), lr=0.1) for m in models]

    def step(model: Any, optimizer: Any) -> Any:
        def run(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            norm = optim.clip_grad_norm_(model.parameters(), 0.01)
            optimizer.step()
            return norm

        return run

    x, y = batch()
    recorded = limpid.record(step(models[1], optimizers[1]), x, y)
    for _ in range(3):
        assert recorded(x, y).item() == pytest.approx(
            step(models[0], optimizers[0])(x, y).item(), rel=1e-12
        )


def test_training_keeps_memory_flat() -> None:
    import gc
    import tracemalloc

    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    step, (x, y) = train_step(model, optimizer), batch()
    gc.disable()
    try:
        for _ in range(20):
            step(x, y)
        tracemalloc.start()
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            step(x, y)
        grown = tracemalloc.get_traced_memory()[0] - first
    finally:
        tracemalloc.stop()
        gc.enable()
    assert grown < 20_000


def test_a_small_network_learns() -> None:
    x, y = batch()
    for kind, options in ((optim.SGD, {"lr": 0.5, "momentum": 0.9}), (optim.AdamW, {"lr": 0.05})):
        model = network()
        optimizer = kind(model.parameters(), **options)
        step = train_step(model, optimizer)
        first = step(x, y).item()
        for _ in range(100):
            last = step(x, y).item()
        assert last < 0.05 * first
