"""How rules and names are spelled in explanations."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.graph.registry import primitives
from limpid.nn import functional as F

LABELLED = [op for op in primitives.values() if op.label != op.name]  # type: ignore[attr-defined]  # primitives


def rules(output: Any) -> dict[str, str]:
    """The rules of the first edge of each primitive."""
    record = limpid.explain(output)
    found: dict[str, str] = {}
    for edge in record.edges:
        found.setdefault(record[edge.node].op, edge.rule)
    return found


def test_comparisons_are_written_as_in_the_program() -> None:
    x = limpid.tensor([1.0, -2.0], requires_grad=True)
    hinge = limpid.relu(1 - x)
    assert rules(limpid.sum(hinge))["relu"] == "(hinge > 0) * g"


def test_comparisons_within_products_and_functions() -> None:
    x = limpid.tensor([1.0, -2.0], requires_grad=True)
    y = limpid.tensor([0.0, 0.0])
    assert rules(limpid.sum(limpid.clip(x, 0.0, 1.0)))["clip"] == "(x >= 0) * (x <= 1) * g"
    largest = limpid.maximum(x, y)
    assert rules(limpid.sum(largest))["maximum"] == "g * where(x == y, 0.5, x > y)"


@pytest.mark.parametrize("op", LABELLED, ids=lambda op: op.name)
def test_labels_are_expressions_with_a_place_for_each_operand(op: Any) -> None:
    assert op.label.count("_") == len(op.operand_names)
    ast.parse(op.label.replace("_", "x"), mode="eval")


def test_settings_that_are_the_usual_ones_are_left_out() -> None:
    x = limpid.tensor(np.ones((2, 3)), requires_grad=True)
    usual = rules(F.cross_entropy(x, np.array([0, 2])))["cross_entropy"]
    assert "label_smoothing" not in usual
    assert "reduction" not in usual
    other = rules(F.cross_entropy(x, np.array([0, 2]), label_smoothing=0.25, reduction="sum"))
    assert "label_smoothing=0.25, reduction='sum'" in other["cross_entropy"]


class Net(nn.Module):
    """Its layers are called like operations."""

    def __init__(self) -> None:
        self.conv1 = nn.Conv2d(1, 2, 3)
        self.linear = nn.Linear(2, 2)

    def forward(self, image: Any) -> Any:
        hidden = limpid.relu(self.conv1(image))
        return self.linear(hidden.mean((2, 3)))


def test_what_stands_before_a_dot_is_an_operand_only_of_methods_of_tensors() -> None:
    image = limpid.tensor(np.ones((2, 1, 4, 4), np.float32), requires_grad=True)
    record = limpid.explain(limpid.sum(Net()(image)))
    names = [step.name for step in record.steps]
    assert "image" in names
    assert "self" not in names
    assert [step.name for step in record.steps if step.op == "relu"] == ["hidden"]
