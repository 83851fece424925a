"""check_grad names the cause of wrong backward functions, and says it as data too."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.errors import GradientError, KinkWarning
from limpid.explanation.checking import CAUSES
from tests.wrong_rules import fresh, late, seen, unseen
from tests.wrong_rules.case import Case

SETS = {
    "seen": seen.CASES.found,
    "unseen": unseen.CASES.found,
    "late": late.CASES.found,
    "fresh": fresh.CASES.found,
}
ALL = [case for cases in SETS.values() for case in cases]
X = np.array([[0.3, -1.2, 2.0], [0.9, 0.1, -0.4]])


def failure(*args: Any, **options: Any) -> GradientError:
    """What check_grad raises."""
    with pytest.raises(GradientError) as caught:
        limpid.check_grad(*args, **options)
    return caught.value


def finding_of(case: Case, **options: Any) -> Any:
    pair = case.forward, case.backward
    return failure(pair, *case.arguments, like=case.like, **options).finding


def test_there_are_enough() -> None:
    assert len(seen.CASES.found) >= 30
    assert len(unseen.CASES.found) >= 30
    assert all(set(case.causes) <= set(CAUSES) for case in ALL)
    assert {case.forward.__name__ for case in unseen.CASES.found} - {
        case.forward.__name__ for case in seen.CASES.found
    }


@pytest.mark.parametrize("name", SETS)
def test_the_right_cause_is_named(name: str) -> None:
    cases = SETS[name]
    right = [case.name for case in cases if finding_of(case).cause in case.causes]
    assert len(right) >= 0.85 * len(cases), sorted({case.name for case in cases} - set(right))


def test_without_a_reference_too() -> None:
    """The numerical derivative is reference enough."""
    cases = [case for case in ALL if case.like is not None]
    right = sum(
        failure((case.forward, case.backward), *case.arguments).finding.cause in case.causes
        for case in cases
    )
    assert right >= 0.85 * len(cases)


def test_the_message_says_all() -> None:
    case = next(c for c in seen.CASES.found if c.name == "bias_averaged")
    error = failure((case.forward, case.backward), *case.arguments)
    text, finding = str(error), error.finding
    assert "bias_averaged: reverse mode is wrong in" in text
    assert "cause      b: a mean was taken where the forward sums" in text
    assert "analytic = 0.25 × right everywhere" in text
    assert "4 is the length of axis 0 of x" in text
    assert "remedy     do not divide by 4" in text
    assert (finding.operand, finding.cause) == ("b", "mean")
    assert finding.analytic == pytest.approx(finding.numeric / 4)
    data = json.loads(json.dumps(finding.to_json()))
    assert data["operand"] == "b"
    assert data["index"] == list(finding.index)


def test_of_a_function_and_of_a_primitive() -> None:
    class Square(limpid.Function):
        @staticmethod
        def forward(ctx: Any, side: Any) -> Any:
            ctx.save_for_backward(side)
            return side * side

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0]

    finding = failure(Square, X).finding
    assert (finding.operand, finding.cause, finding.function) == ("side", "factor", "Square")
    assert failure(lambda x: limpid.sin(Square.apply(x)) * 2, X).finding.cause == "factor"
    wrong = limpid.elementwise("wrong_cosine", np.cos, local=[lambda y, x: limpid.sin(x)])
    assert failure(wrong, X).finding.cause == "sign"


def test_a_wrong_operation_inside_a_function_is_named_with_its_line() -> None:
    wrong = limpid.elementwise("wrong_exp", np.exp, local=[lambda y, x: x])

    def network(x: Any, w: Any) -> Any:
        h = wrong(limpid.tanh(x @ w))
        return limpid.sum(h * h)

    error = failure(network, X, np.linspace(-0.5, 0.7, 12).reshape(3, 4))
    assert error.finding.cause == "input for output"
    assert error.finding.place.startswith("wrong_exp (")
    assert "test_wrong_rules.py" in error.finding.place
    assert "  where      wrong_exp (" in str(error)


def test_a_wrong_operation_among_large_ones() -> None:
    wrong = limpid.elementwise("wrong_square", np.square, local=[lambda y, x: x])
    x, w = np.random.default_rng(0).normal(size=(2, 60, 60))
    finding = failure(lambda x, w: limpid.tanh(wrong(x @ w / 8) @ w), x, w).finding
    assert finding.place.startswith("wrong_square (")


def test_a_backward_in_numpy_is_checked_at_first_order() -> None:
    class Cube(limpid.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.x = x.numpy()
            return ctx.x**3

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 3 * g.numpy() * ctx.x**2

    limpid.check_grad(Cube, X)
    with pytest.raises(limpid.errors.RuleError, match="leaves the graph"):
        limpid.check_grad(Cube, X, order=2)


def test_values_are_compared_with_the_reference() -> None:
    finding = failure(limpid.sin, X, like=limpid.cos).finding
    assert finding.cause == "value"
    assert "differ by up to" in finding.evidence
    finding = failure(lambda x: limpid.sum(x), X, like=limpid.sin).finding
    assert "shapes" in finding.evidence
    limpid.check_grad(limpid.sin, X, like=lambda x: limpid.cos(x - np.pi / 2))


def test_order_mode_and_type() -> None:
    cut = limpid.elementwise(
        "cut_sine", np.sin, local=[lambda y, x: limpid.stop_gradient(limpid.cos(x))]
    )
    assert failure(cut, X).finding.cause == "second order"
    odd = limpid.general(
        "odd_square",
        lambda x: x * x,
        vjp=[lambda g, y, x: 2 * g * x],
        jvp=[lambda dx, y, x: 3 * dx * x],
    )
    assert failure(odd, X).finding.cause == "forward mode"


def test_what_stops_or_returns_too_little() -> None:
    def forward(x: Any, w: Any) -> Any:
        return x @ w, (x, w)

    def one_gradient(g: Any, cache: Any) -> Any:
        return g @ cache[1].T

    w = np.ones((3, 2))
    assert failure((forward, one_gradient), X, w).finding.cause == "missing"
    with pytest.raises(limpid.errors.RuleError, match=r"must return \(output, cache\)"):
        limpid.check_grad((lambda x: x * 2, lambda g, cache: g), X)
    with pytest.raises(limpid.errors.ArgumentError, match="pair"):
        limpid.check_grad((np.sin,), X)


def test_kinks_are_left_out_and_said() -> None:
    at_zero = np.array([0.0, 1.0, -1.0, 2.0])
    with pytest.warns(KinkWarning, match=r"1 entry lies at a kink \(argument 0, index \(0,\)\)"):
        limpid.check_grad(limpid.relu, at_zero, order=1)

    def forward(x: Any) -> Any:
        return np.maximum(x, 0), x

    def reversed_mask(g: Any, x: Any) -> Any:
        return g * (x <= 0)

    finding = failure((forward, reversed_mask), at_zero).finding
    assert finding.cause == "mask"
    local = lambda y, x: limpid.where(x > 0, 1.0, 1.5 * (x == 0))
    beyond = limpid.elementwise("beyond_relu", lambda x: np.maximum(x, 0), local=[local])
    assert failure(beyond, at_zero, order=1).finding.cause == "kink"


def test_large_operands_need_a_reference() -> None:
    case = next(c for c in seen.CASES.found if c.name == "affine_weight_transposed")
    x, w, b = (np.random.default_rng(0).normal(size=s) for s in ((40, 50), (50, 30), (30,)))
    pair = case.forward, case.backward
    finding = failure(pair, x, w, b, like=case.like).finding
    assert finding.cause == "transposed"


@pytest.mark.parametrize("name", SETS)
def test_float32(name: str) -> None:
    """A function that insists on float32 is judged as well as that allows."""
    right = 0
    for case in SETS[name]:

        def narrow(*args: Any, case: Case = case) -> Any:
            out, cache = case.forward(*args)
            return out.astype("float32"), cache

        finding = failure((narrow, case.backward), *case.arguments).finding
        right += finding.cause in case.causes
    assert right >= 0.85 * len(SETS[name])
