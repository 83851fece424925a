"""Graphs of compiled steps as text: what people read there, and that it parses back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import limpid
from limpid import nn, optim
from limpid.graph.text import format_graph, parse_graph, slot_text
from limpid.nn import functional as F


def parses_back(graph: Any) -> str:
    """The text without comments; with them it parses to the same."""
    plain = format_graph(graph, comments=False)
    for text in (plain, str(graph)):
        rebuilt = parse_graph(text, graph.constants())
        rebuilt.check()
        assert format_graph(rebuilt, comments=False) == plain
        assert list(rebuilt.slots) == list(graph.slots)
        assert list(rebuilt.writes) == list(graph.writes)
    return plain


class Net(nn.Module):
    def __init__(self) -> None:
        self.fc1 = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Any) -> Any:
        return self.norm(limpid.tanh(self.fc1(x)))


def trained(make: Any = lambda p: optim.Adam(p, lr=0.01)) -> Any:
    model = Net()
    optimizer = make(model.parameters())

    @limpid.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        scores = model(x)
        loss = F.cross_entropy(scores, y)
        loss.backward()
        optimizer.step()
        model.last = loss
        return loss, {"scores": scores}

    step(np.ones((5, 4), np.float32), np.array([0, 1, 2, 0, 1]))
    return step.graph


def test_a_training_step_tells_what_is_what() -> None:
    lines = str(trained(lambda p: optim.SGD(p, lr=0.1))).splitlines()
    assert lines[0] == "def graph(x: float32[5, 4], y: int64[5]):"
    passes = [line.strip() for line in lines if line.strip().startswith("#")]
    assert passes == ["# forward", "# backward", "# after the backward pass"]
    tanh = next(line for line in lines if "= tanh(" in line)
    assert tanh.index("#") == 78
    assert tanh.endswith("  # test_graph_text.py:36")
    linear = next(line for line in lines if "= linear(" in line)
    assert linear.endswith("  # test_graph_text.py:36  fc1")
    assert any("fc1  edge of v1, argument 1" in line for line in lines)
    results = [line.split("#")[1].strip() for line in lines[lines.index("    return (") + 1 : -1]]
    assert results == [
        "result.0", "result.1.scores", "fc1.weight.grad", "fc1.bias.grad", "norm.weight.grad",
        "norm.bias.grad",
    ]  # fmt: skip
    assert lines[-1] == "    )"


def test_what_is_left_outside_is_named() -> None:
    model = Net()

    @limpid.compile
    def step(x: Any, t: Any) -> None:
        model.seen = limpid.sum(x)
        t += 1.0

    step(limpid.tensor([1.0]), limpid.tensor([2.0]))
    titles = step.graph.titles
    assert any("seen" in title for title in titles)
    parses_back(step.graph)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_optimisers_parse_back(name: str) -> None:
    parses_back(trained(lambda p: getattr(optim, name)(p, lr=0.01)))


def test_models_parse_back() -> None:
    for make, shape in ((nn.models.lenet5, (2, 1, 32, 32)), (nn.models.resnet20, (2, 3, 32, 32))):
        model = make()
        step = limpid.compile(lambda x: model(x).sum().backward())  # noqa: B023  # called at once
        step(np.zeros(shape, np.float32))
        parses_back(step.graph)


NAMES = [
    "v1", "c1", "v1.weight", "self", "self.x", "graph", "state", "constant", "class", "a-b.weight",
    "a b", "3", "blocks.03.w", "blocks.3.w", "x..y", "it's", 'q"', "]", "é", "ﬁ", "µ.x", "nan",
    "inf", "float", "None", "blocks.None", "def.lambda", "²", "٣.w",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_state_of_any_name(name: str) -> None:
    slot = limpid.Parameter([1.0, 2.0])
    slot.node.op.label = name
    big = np.arange(20.0, dtype=np.float32)

    @limpid.compile
    def step(x: Any) -> Any:
        slot.grad = None
        y = limpid.sum(slot * x) + limpid.sum(big) + limpid.sum(x, axis=0)
        y.backward()
        limpid.assign(slot, slot - slot.grad)
        return y

    step(limpid.ones(2))
    assert name in step.graph.slots
    plain = parses_back(step.graph)
    assert f"    {slot_text(name)} = " in plain


def test_states_whose_names_are_alike() -> None:
    slots = []
    for name in NAMES:
        slots.append(limpid.Buffer([1.0]))
        slots[-1].node.op.label = name

    @limpid.compile
    def step(v2: Any) -> None:
        for slot in slots:
            limpid.assign(slot, slot * v2 + 1.0)

    step(limpid.ones(1))
    parses_back(step.graph)


@pytest.mark.parametrize("name", NAMES)
def test_arguments_of_any_name(name: str) -> None:
    step = limpid.compile(lambda *args, **kwargs: sum(kwargs.values()) * args[0][name] * 2.0)
    step({name: np.ones(2)}, **{name: np.ones(2), "c1": np.arange(2.0)})
    parses_back(step.graph)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=3).map(".".join))
def test_names_of_slots_survive(name: str) -> None:
    import ast

    from limpid.graph.text import _slot_name

    statement: Any = ast.parse(f"{slot_text(name)} = 1").body[0]
    assert _slot_name(statement.targets[0]) == name
    assert ast.unparse(statement.targets[0]) == slot_text(name)
