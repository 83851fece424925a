"""Masked branches are found, in numbers and in formulas; healthy choices are left in peace."""

from __future__ import annotations

import linecache
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.diagnosis import MaskedBranch, masked_branches, warn_of_masked_branches
from limpid.errors import ArgumentError, MaskedBranchWarning
from limpid.graph.registry import primitives
from tests.faults.case import Case, Program
from tests.faults.corpus import CASES as CORPUS
from tests.faults.corpus import RUNS
from tests.table import ROWS, Row
from tests.test_safe_where import CASES, plain, safe

FAMILIES = {
    name
    for name, op in primitives.items()
    if op.domain is not None or op.smooth is not None or "loss" in name  # type: ignore[attr-defined]  # primitives
}
Function = Callable[..., Any]
where = limpid.where


def total(x: Any) -> Any:
    return limpid.sum(x)


# Each of one operand; what is found there, with harmless numbers.
FAULTS: dict[str, tuple[Function, str]] = {
    "log": (lambda x: where(x > 0, limpid.log(x), 0.0), "log"),
    "log with a margin": (lambda x: where(x > 1e-6, limpid.log(x), 0.0), "log"),
    "log, not chosen second": (lambda x: where(x <= 0, 0.0, limpid.log(x)), "log"),
    "log1p": (lambda x: where(x > -1, limpid.log1p(x), 0.0), "log1p"),
    "sqrt": (lambda x: where(x > 0, limpid.sqrt(x), 0.0), "sqrt"),
    "sqrt with the border chosen": (lambda x: where(x >= 0, limpid.sqrt(x), 0.0), "sqrt"),
    "division": (lambda x: where(x != 0, limpid.sin(x) / x, 1.0), "divide"),
    "division by a difference": (lambda x: where(x != 3, 1 / (x - 3), 0.0), "divide"),
    "power": (lambda x: where(x > 0, x**0.3, 0.0), "power"),
    "arccos": (lambda x: where(limpid.abs(x) < 1, limpid.arccos(x), 0.0), "acos"),
    "exp": (lambda x: where(x < 20, limpid.exp(x), 0.0), "exp"),
    "elu": (lambda x: where(x > 0, x, limpid.exp(x) - 1), "exp"),
    "softplus": (lambda x: where(x > 20, x, limpid.log(1 + limpid.exp(x))), "exp"),
    "a chain": (lambda x: where(x < 2, limpid.log(2 - x), 0.0), "log"),
    "a norm": (lambda x: where(rows(x) > 0, limpid.sqrt(rows(x)), 0.0), "sqrt"),
    "a mean of nothing": (
        lambda x: where(limpid.sum(limpid.abs(x)) > 0, x / limpid.sum(limpid.abs(x)), 0.0),
        "divide",
    ),
    "another shape": (
        lambda x: where(x[:, None] > 0, limpid.log(x)[:, None], np.zeros((1, 3))), "log",
    ),
    "a slice": (lambda x: where(x[1:] > 0, limpid.log(x[1:]), 0.0), "log"),
    "missing numbers": (lambda x: where(limpid.isnan(x), 0.0, limpid.square(x)), "square"),
    "a choice within a choice": (
        lambda x: where(x > 0, where(x < 9, limpid.log(x), x), 0.0), "log",
    ),
    "an entropy": (
        lambda x: (lambda p: where(p > 0, p * limpid.log(p), 0.0))(limpid.softmax(x)), "log",
    ),
    "a decay": (lambda x: where(x > -20, limpid.exp(-x), 0.0), "exp"),
    "a mask of several": (
        lambda x: where((x > 0) & (x < 9), limpid.log(x), 0.0), "log",
    ),
}  # fmt: skip
HEALTHY: dict[str, Function] = {
    "chosen before, too": lambda x: where(x > 0, limpid.log(where(x > 0, x, 1.0)), 0.0),
    "clipped": lambda x: where(x > 0.1, limpid.log(limpid.clip(x, 0.1, None)), 0.0),
    "maximum": lambda x: where(x > 0, limpid.sqrt(limpid.maximum(x, 1e-3)), 0.0),
    "softened": lambda x: where(x > 0, limpid.log(limpid.abs(x) + 1e-3), 0.0),
    "squares and more": lambda x: where(x > 0, limpid.sqrt(x * x + 1), 0.0),
    "softplus": lambda x: where(x > 0, limpid.log(limpid.softplus(x) + 1e-9), 0.0),
    "exp is positive": lambda x: where(x > 0, limpid.log(limpid.exp(-limpid.abs(x)) + 1), 0.0),
    "held exp": lambda x: where(x > 0, x, limpid.exp(limpid.minimum(x, 0.0)) - 1),
    "a Huber loss": lambda x: where(limpid.abs(x) < 1, x * x / 2, limpid.abs(x) - 0.5),
    "sin or cos": lambda x: where(x > 0, limpid.sin(x), limpid.cos(x)),
    "a norm that is softened": lambda x: where(rows(x) > 0, limpid.sqrt(rows(x) + 1e-6), 0.0),
    "log of probabilities": lambda x: where(x > 0, limpid.log_softmax(x), 0.0),
    "a mask from outside": lambda x: where(np.arange(3) > 0, limpid.log(x), 0.0),
    "safe": lambda x: where(x > 0, limpid.log(x), 0.0, safe=True),
    "safe, within another": lambda x: where(
        x > 1, where(x > 0, limpid.log(x), 0.0, safe=True), 0.0
    ),
    "without gradients": lambda x: where(x > 0, limpid.log(limpid.stop_gradient(x)), x),
    "a mask of its own": lambda x: where(limpid.cos(7 * x) > 0, limpid.log(x), 0.0),
    "the elu of limpid": limpid.elu,
    "xlogy by nn": lambda x: limpid.nn.functional.huber_loss(x, np.ones(3)),
}


def rows(x: Any) -> Any:
    return limpid.sum(limpid.square(x), axis=-1)


HARMLESS = np.array([1.0, 1.25, 1.5])


@pytest.mark.parametrize(("function", "operation"), FAULTS.values(), ids=FAULTS.keys())
def test_the_formula_is_enough(function: Function, operation: str) -> None:
    found = masked_branches(lambda x: total(function(x)), HARMLESS / 2)
    assert [branch.operation for branch in found] == [operation]
    assert not found[0].happens
    assert found[0].cause.endswith("not with the numbers of now")
    assert found[0].poisoned == 0


@pytest.mark.parametrize("function", HEALTHY.values(), ids=HEALTHY.keys())
def test_no_false_alarms(function: Function) -> None:
    assert masked_branches(lambda x: total(function(x)), HARMLESS) == []


SEEN = {name: case for name, case in CASES.items() if "recompu" not in name}  # a black box here


@pytest.mark.parametrize("case", SEEN.values(), ids=SEEN.keys())
@np.errstate(all="ignore")
def test_in_numbers_where_the_gradient_has_nan(case: Any) -> None:
    """Every masked branch of the safe choice's tests, eager and as a function."""
    first, *rest = case.operands
    for choose, expected in ((plain, True), (safe, False)):
        x = limpid.tensor(first, requires_grad=True)
        eager = masked_branches(case.call(choose, x, *rest))
        called = masked_branches(
            limpid.grad(lambda x, *r, c=choose: case.call(c, x, *r)), *case.operands
        )
        assert any(branch.happens for branch in eager) is expected
        assert [(b.operation, b.poisoned) for b in called if b.happens] == [
            (b.operation, b.poisoned) for b in eager if b.happens
        ]


def lines_found(program: Program) -> set[str]:
    """The lines of choices that are found in the calls of a program, between its steps."""
    found: set[str] = set()
    with np.errstate(all="ignore"):
        for batch in program.batches[:4]:
            found.update(branch.line for branch in masked_branches(program.step, *batch))
            program.step(*batch)
    return found


@pytest.mark.parametrize("case", CORPUS, ids=[case.name for case in CORPUS])
def test_in_the_corpus_of_faults(case: Case) -> None:
    assert lines_found(case.faulty()) == ({case.masked} if case.masked else set())
    assert lines_found(case.healthy()) == set()


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS.keys())
def test_nothing_in_healthy_runs(make: Callable[[], Program]) -> None:
    assert lines_found(make()) == set()


OWN = [row for row in ROWS if row.recordable and row.order and row.primitive in FAMILIES]


@pytest.mark.parametrize("row", OWN, ids=[row.id for row in OWN])
def test_nothing_in_functions_of_limpid(row: Row) -> None:
    """Those made of choices, and those with a domain."""

    def call(*operands: Any) -> Any:
        made = row.call(*operands)
        parts = made if isinstance(made, tuple) else (made,)
        return sum(total(limpid.sin(y)) for y in parts if y.dtype.kind == "float")

    assert masked_branches(call, *row.sample()) == []


def _step(x: Any, w: Any) -> Any:
    def loss(w: Any) -> Any:
        energy = limpid.square(x @ w)
        level = limpid.where(energy > 0, limpid.log(energy), 0.0)
        return limpid.sum(level)

    return limpid.grad(loss)(w)


def test_what_a_finding_says() -> None:
    x = np.array([[0.0, 0.0], [1.0, 2.0]])
    (found,) = masked_branches(_step, x, np.ones((2, 3)))
    assert found.operation == "log"
    assert found.line == "level = limpid.where(energy > 0, limpid.log(energy), 0.0)"
    assert found.at == found.chosen_at or found.at.line == found.chosen_at.line
    assert (found.discarded, found.outside, found.poisoned) == (3, 3, 3)
    assert found.example == "at x = 0 the local derivative is inf"
    text = str(found)
    assert "safe=True" in text
    assert "(now in 3 of 3 elements)" in text
    assert f"{__file__}:{found.chosen_at.line}" in text


def test_of_a_compiled_step_and_of_its_graph() -> None:
    x, w = np.array([[0.0, 0.0], [1.0, 2.0]]), np.ones((2, 3))
    step = limpid.compile(_step)
    with np.errstate(all="ignore"):
        step(x, w)
    assert [b.poisoned for b in masked_branches(step, x, w)] == [3]
    for target in (step, step.graph):
        (found,) = masked_branches(target)
        assert (found.operation, found.poisoned, found.happens) == ("log", None, False)


def test_of_a_recording() -> None:
    recorded = limpid.record(lambda x: total(where(x > 0, limpid.sqrt(x), 0.0)), HARMLESS)
    assert [b.operation for b in masked_branches(recorded)] == ["sqrt"]


def test_a_training_step_is_not_run() -> None:
    limpid.manual_seed(0)
    model = limpid.nn.Linear(3, 3)
    optimizer = limpid.optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        out = model(x)
        loss = total(where(out > 0, limpid.sqrt(out), 0.0))
        loss.backward()
        optimizer.step()
        return loss

    before = model.weight.detach().numpy().copy()
    found = masked_branches(step, np.float32([[1, 2, 3]]))
    assert [b.operation for b in found] == ["sqrt"]
    np.testing.assert_array_equal(model.weight.detach().numpy(), before)
    assert model.weight.grad is None


def test_a_value_outside_its_domain_that_harms_nothing_yet() -> None:
    """log −1 is NaN, but its derivative is −1: only the value is wrong, and it is discarded."""
    x = limpid.tensor([-1.0, 2.0], requires_grad=True)
    with np.errstate(all="ignore"):
        (found,) = masked_branches(where(x > 0, limpid.log(x), 0.0))
    assert (found.outside, found.poisoned, found.happens) == (1, 0, False)
    assert "values that log does not have, 1 of 1 now" in found.cause


def test_of_two_choices_the_one_that_discards_is_named() -> None:
    x = limpid.tensor([0.0, 0.3, 0.7], requires_grad=True)
    with np.errstate(all="ignore"):
        inner = limpid.where(x < 0.5, limpid.log(x), x)
        outer = limpid.where(x > 0, inner, 0.0)
        (found,) = masked_branches(outer)
    assert found.line == "outer = limpid.where(x > 0, inner, 0.0)"
    assert found.example == "at x = 0 the local derivative is inf"


def test_warnings_point_at_the_line() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = masked_branches(_step, np.zeros((1, 2)), np.ones((2, 3)))
        warn_of_masked_branches(found)
    (warning,) = caught
    assert warning.category is MaskedBranchWarning
    line = linecache.getline(warning.filename, warning.lineno)
    assert "limpid.where(energy > 0" in line
    assert "safe=True" in str(warning.message)


def test_nothing_is_said_of_no_findings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_masked_branches([])


def test_without_a_known_line() -> None:
    branch = MaskedBranch("log", None, None, "at x = 0 the local derivative is inf", 1, 1, 1)
    assert "an unknown line" in str(branch)
    with pytest.warns(MaskedBranchWarning, match="log"):
        warn_of_masked_branches([branch])


@pytest.mark.parametrize("target", [3, "x", np.ones(2), None])
def test_what_can_not_be_looked_at(target: Any) -> None:
    with pytest.raises(ArgumentError, match="masked_branches takes"):
        masked_branches(target)


def test_a_tensor_without_a_graph_has_none() -> None:
    assert masked_branches(limpid.tensor([1.0])) == []
    assert masked_branches(limpid.tensor([1.0], requires_grad=True)) == []


def test_empty_arrays() -> None:
    assert (
        masked_branches(lambda x: total(where(x > 0, limpid.sin(x), 0.0)), np.zeros((0, 3))) == []
    )
