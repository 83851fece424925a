"""What a compiled step reads outside, changed between calls: never a stale value."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from tests.compiled import Net, X, assert_same, ones

SCALE = 2.0
SHIFT = 1.0
TABLE = {"scale": 2.0, "deep": {"er": [3.0]}}
ARRAY = np.array([1.0, 2.0, 3.0], np.float32)
TENSOR = limpid.tensor([1.0, 1.0, 1.0])
SETTINGS = types.ModuleType("settings")
SETTINGS.__file__ = __file__
SETTINGS.scale = 2.0  # type: ignore[attr-defined]


def factor() -> float:
    return SCALE


def through_a_helper(x: Any) -> Any:
    return x * factor()


class Config:
    scale = 2.0


@pytest.mark.parametrize("function", [lambda x: x * SCALE, through_a_helper])
def test_a_changed_global(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    step = limpid.compile(function)
    module = globals()
    for value, count in ((2.0, 1), (3.0, 2), (2.0, 2), (float("2"), 2), (-0.0, 3), (0.0, 4)):
        monkeypatch.setitem(module, "SCALE", value)
        np.testing.assert_array_equal(step(X), X * np.float32(value))
        assert step.count == count
    monkeypatch.setitem(module, "SCALE", np.array([2.0, 0.0, 1.0], np.float32))
    assert step(X).tolist() == [2.0, 0.0, 3.0]
    assert "SCALE: 2.0 → 3.0" in step.why_recompiled()


def test_a_helper_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    step = limpid.compile(through_a_helper)
    assert step(X).tolist() == [2.0, 4.0, 6.0]
    monkeypatch.setitem(globals(), "factor", lambda: SHIFT)
    assert step(X).tolist() == [1.0, 2.0, 3.0]
    monkeypatch.setitem(globals(), "SHIFT", 5.0)
    assert step(X).tolist() == [5.0, 10.0, 15.0]


def test_changed_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    step = limpid.compile(lambda x: x * TABLE["scale"] * TABLE["deep"]["er"][0])
    assert step(ones(1)).item() == 6.0
    monkeypatch.setitem(TABLE, "scale", 4.0)
    assert step(ones(1)).item() == 12.0
    monkeypatch.setitem(TABLE["deep"], "er", [1.0])  # type: ignore[arg-type]
    assert step(ones(1)).item() == 4.0
    TABLE["deep"]["er"][0] = 2.0  # type: ignore[index]
    assert step(ones(1)).item() == 8.0
    assert "TABLE['scale']: 2.0 → 4.0" in step.why_recompiled()


def test_a_small_array_changed_in_place() -> None:
    step = limpid.compile(lambda x: x * ARRAY)
    assert step(ones(3)).tolist() == [1.0, 2.0, 3.0]
    ARRAY[1] = 7.0
    assert step(ones(3)).tolist() == [1.0, 7.0, 3.0]
    ARRAY[1] = 2.0
    assert step(ones(3)).tolist() == [1.0, 2.0, 3.0]
    assert step.count == 2


def test_a_tensor_that_is_assigned_to_or_stands_for_something_else() -> None:
    global TENSOR
    step = limpid.compile(lambda x: x * TENSOR)
    assert step(ones(3)).tolist() == [1.0, 1.0, 1.0]
    limpid.assign(TENSOR, TENSOR * 2)
    assert step(ones(3)).tolist() == [2.0, 2.0, 2.0]
    assert step.count == 1
    TENSOR += 1.0
    assert step(ones(3)).tolist() == [3.0, 3.0, 3.0]
    TENSOR = limpid.tensor([1.0, 1.0, 1.0])
    assert step(ones(3)).tolist() == [1.0, 1.0, 1.0]


def test_a_users_module_of_code_and_class(monkeypatch: pytest.MonkeyPatch) -> None:
    step = limpid.compile(lambda x: x * SETTINGS.scale * Config.scale)
    assert step(ones(1)).item() == 4.0
    monkeypatch.setattr(SETTINGS, "scale", 3.0)
    assert step(ones(1)).item() == 6.0
    monkeypatch.setattr(Config, "scale", 1.0)
    assert step(ones(1)).item() == 3.0
    assert "SETTINGS.scale: 2.0 → 3.0" in step.why_recompiled()


def test_a_changed_closure() -> None:
    scale, table = 2.0, [1.0]

    def inner(x: Any) -> Any:
        return x * scale * table[0]

    step = limpid.compile(lambda x: inner(x))
    assert step(ones(1)).item() == 2.0
    scale = 3.0
    assert step(ones(1)).item() == 3.0
    table[0] = 2.0
    assert step(ones(1)).item() == 6.0
    table.append(1.0)
    scale = 2.0
    assert step(ones(1)).item() == 4.0


def test_closures_of_one_factory() -> None:
    def make(scale: float) -> Any:
        return limpid.compile(lambda x: x * scale)

    assert [make(s)(ones(1)).item() for s in (2.0, 3.0)] == [2.0, 3.0]


def test_a_plain_object() -> None:
    @dataclass
    class Options:
        scale: float
        unread: int = 0

    class Slotted:
        __slots__ = ("scale",)

    options, slotted = Options(2.0), Slotted()
    slotted.scale = 1.0
    step = limpid.compile(lambda x: x * options.scale * slotted.scale)
    assert step(ones(1)).item() == 2.0
    options.unread = 3
    assert step(ones(1)).item() == 2.0
    assert step.count == 1
    options.scale = 3.0
    assert step(ones(1)).item() == 3.0
    slotted.scale = 2.0
    assert step(ones(1)).item() == 6.0
    assert "options.scale: 2.0 → 3.0" in step.why_recompiled()


def changes_of_a_net(net: Net) -> dict[str, Any]:
    return {
        "attribute": lambda: setattr(net, "scale", 3.0),
        "function": lambda: setattr(net, "activation", limpid.sin),
        "parameter": lambda: setattr(net.layers[0], "weight", limpid.Parameter(ones(3, 3))),
        "layer in a list": lambda: net.layers.__setitem__(1, nn.Linear(3, 2)),
        "one more layer": lambda: net.layers.append(nn.Linear(3, 4)),
        "value": lambda: limpid.assign(net.layers[1].weight, ones(3, 3)),
        "state": lambda: net.load_state_dict({k: v * 2 for k, v in net.state_dict().items()}),
        "frozen": lambda: net.requires_grad_(False),
    }


@pytest.mark.parametrize("change", changes_of_a_net(Net()))
def test_a_changed_module(change: str) -> None:
    net = Net()
    step = limpid.compile(lambda x: net(x))
    step(ones(2, 3))
    changes_of_a_net(net)[change]()
    for _ in range(2):
        found, expected = step(ones(2, 3)), net(ones(2, 3))
        assert_same(found, expected)
        assert found.requires_grad == expected.requires_grad
    assert step.count == (1 if change in ("value", "state") else 2)


def test_attributes_that_nobody_reads() -> None:
    net = Net()
    step = limpid.compile(lambda x: net(x))
    for i in range(3):
        step(ones(2, 3))
        net.seen += 1
        net.note = i
    assert step.count == 1


def test_what_a_module_keeps_is_there_after_every_call() -> None:
    net = Net()
    step = limpid.compile(lambda x: net(x))
    for value in (1.0, 2.0):
        y = step(ones(2, 3) * np.float32(value))
        np.testing.assert_array_equal(net.last.detach(), y.detach())
    assert step.count == 1


def test_a_layer_that_is_added_or_replaced() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    step = limpid.compile(lambda x: net(x))
    step(ones(1, 3))
    net.append(nn.Linear(3, 2))
    assert step(ones(1, 3)).shape == (1, 2)
    setattr(net, "2", nn.Linear(3, 4))
    assert step(ones(1, 3)).shape == (1, 4)


def test_parameters_that_are_frozen_for_training() -> None:
    net = nn.Linear(3, 1)
    optimizer = optim.SGD(net.parameters(), lr=0.1)

    @limpid.compile
    def step(x: Any) -> None:
        optimizer.zero_grad()
        limpid.sum(net(x)).backward()
        optimizer.step()

    step(ones(1, 3))
    net.weight.requires_grad = False
    before = net.state_dict()
    step(ones(1, 3))
    after = net.state_dict()
    np.testing.assert_array_equal(after["weight"], before["weight"])
    assert (after["bias"] != before["bias"]).all()
    assert net.weight.grad is None
    assert "weight.requires_grad: True → False" in step.why_recompiled()


def test_an_optimiser_with_more_parameters() -> None:
    first, second = limpid.Parameter([1.0]), limpid.Parameter([1.0])
    optimizer = optim.SGD([first], lr=0.5)

    @limpid.compile
    def step() -> None:
        optimizer.zero_grad()
        limpid.sum(first + second).backward()
        optimizer.step()

    step()
    optimizer.add_param_group({"params": [second], "lr": 0.25})
    step()
    assert (first.item(), second.item()) == (0.0, 0.75)
    optimizer.param_groups[1]["maximize"] = True
    step()
    assert (first.item(), second.item()) == (-0.5, 1.0)
