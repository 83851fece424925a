"""check_grad accepts what is right and catches what is wrong."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.transforms.nesting import flatten
from tests.table import ROWS, Row

SMOOTH = [row for row in ROWS if row.order >= 1]
X = np.array([[0.3, -1.2, 2.0], [0.9, 0.1, -0.4]])


@pytest.mark.parametrize("row", SMOOTH, ids=[row.id for row in SMOOTH])
def test_every_row_of_the_table_is_right(row: Row) -> None:
    limpid.check_grad(
        row.call, *row.sample(), argnums=row.differentiated(), order=min(row.order, 2)
    )


def float_results(result: Any) -> list[Any]:
    return [y for _, y in flatten(result)[0] if getattr(y.dtype, "kind", "") in ("f", "float")]


@pytest.mark.parametrize("row", SMOOTH[::4], ids=[row.id for row in SMOOTH[::4]])
def test_one_part_in_a_thousand_is_caught(row: Row) -> None:
    """Of every fourth row: the same values with derivatives that are a little off."""

    def first(*operands: Any) -> Any:
        results = float_results(row.call(*operands))
        return [y + 1e-3 * (y - limpid.stop_gradient(y)) for y in results]

    def second(*operands: Any) -> Any:
        results = float_results(row.call(*operands))
        return [y + 0.1 * (y - limpid.stop_gradient(y)) ** 2 for y in results]

    numbers, operands = row.differentiated(), row.sample()
    jacobian = limpid.jacobian(lambda *x: float_results(row.call(*x)), numbers)(*operands)
    sizes = [np.abs(block).max(initial=0) for _, block in flatten(jacobian)[0]]
    if max(sizes, default=0) < 1e-3:
        return  # nothing there to be wrong
    with pytest.raises(limpid.errors.RuleError, match="mode is wrong in"):
        limpid.check_grad(first, *operands, argnums=numbers, order=1)
    if row.order >= 2:
        with pytest.raises(limpid.errors.RuleError, match=r"over (reverse|forward) mode is wrong"):
            limpid.check_grad(second, *operands, argnums=numbers)


def wrong(name: str, local: Any) -> Any:
    """sin·x with a derivative of one's choice."""
    return limpid.elementwise(name, lambda x: np.sin(x) * x, local=[local])


RIGHT = wrong("right", lambda y, x: limpid.cos(x) * x + limpid.sin(x))
WRONG = {
    "sign": wrong("wrong sign", lambda y, x: -limpid.cos(x) * x - limpid.sin(x)),
    "factor": wrong("factor 2", lambda y, x: 2 * limpid.cos(x) * x + 2 * limpid.sin(x)),
    "term": wrong("missing term", lambda y, x: limpid.cos(x) * x),
    "zero": wrong("no derivative", lambda y, x: x * 0.0),
    "nan": wrong("not a number", lambda y, x: x * np.nan),
}
CUT = wrong("cut", lambda y, x: limpid.stop_gradient(limpid.cos(x) * x + limpid.sin(x)))
HALF_CUT = wrong("half cut", lambda y, x: limpid.stop_gradient(limpid.cos(x)) * x + limpid.sin(x))


def test_a_right_rule_is_right() -> None:
    assert limpid.check_grad(RIGHT, X, order=3) is None


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("modes", [("reverse",), ("forward",), ("forward", "reverse")])
def test_wrong_at_order_one(kind: str, modes: tuple[str, ...]) -> None:
    with pytest.raises(limpid.errors.RuleError) as caught:
        limpid.check_grad(WRONG[kind], X, order=1, modes=modes)
    text = str(caught.value)
    assert WRONG[kind].name in text
    assert f"{modes[0]} mode is wrong in" in text


@pytest.mark.parametrize("rule", [CUT, HALF_CUT], ids=["cut", "half cut"])
def test_right_at_order_one_and_wrong_at_order_two(rule: Any) -> None:
    limpid.check_grad(rule, X, order=1)
    for modes, label in [
        (("reverse",), "reverse over reverse mode"),
        (("forward",), "forward over forward mode"),
        (("reverse", "forward"), "reverse over reverse mode"),
    ]:
        with pytest.raises(limpid.errors.RuleError, match=label):
            limpid.check_grad(rule, X, modes=modes)


def test_forward_and_reverse_mode_that_disagree() -> None:
    odd = limpid.general(
        "odd",
        lambda x: x * x,
        vjp=[lambda g, y, x: 2 * g * x],
        jvp=[lambda dx, y, x: 3 * dx * x],
    )
    limpid.check_grad(odd, X, modes=["reverse"])
    with pytest.raises(limpid.errors.RuleError, match="forward mode is wrong"):
        limpid.check_grad(odd, X)


def test_the_message_lists_the_worst_entries() -> None:
    def f(p: Any) -> Any:
        w = p["w"]
        kept = limpid.stop_gradient(w)
        return limpid.sum(w * np.array([1.0, 10.0])) - 2 * (w[1] - kept[1]) * p["b"][0] ** 0

    with pytest.raises(limpid.errors.RuleError) as caught:
        limpid.check_grad(f, {"w": np.array([1.0, 2.0]), "b": [np.array(3.0)]})
    lines = str(caught.value).splitlines()
    assert "reverse mode is wrong in 1 of 3 entries" in lines[0]
    assert lines[1].split() == ["argument", "index", "output", "analytic", "numerical", "ratio"]
    assert lines[2].split()[:6] == ["0.w", "(1,)", "()", "8", "10", "0.8"]
    assert [line.split()[0] for line in lines[3:]] == ["cause", "evidence", "largest", "remedy"]


def test_a_long_list_is_cut_and_a_common_ratio_explained() -> None:
    with pytest.raises(limpid.errors.RuleError) as caught:
        limpid.check_grad(WRONG["factor"], np.linspace(-1, 1, 40))
    lines = str(caught.value).splitlines()
    assert len(lines) == 15
    assert lines[10].startswith("  … and ")
    assert "there is a factor 2 too much" in lines[11]


# What it is given


def test_functions_and_primitives_and_modules() -> None:
    class Cube(limpid.Function):
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * g * x * x

    limpid.check_grad(Cube, X)
    limpid.check_grad(Cube.apply, X)
    limpid.check_grad(limpid.primitives["multiply"], X, X)
    layer = limpid.nn.Linear(3, 2)
    limpid.check_grad(layer, X.astype("f4"))
    limpid.check_grad(lambda m, x: limpid.tanh(m(x)), layer, X)
    assert layer.weight.dtype == limpid.float32
    assert layer.weight.grad is None


def test_a_wrong_module() -> None:
    class Scale(limpid.nn.Module):
        def __init__(self) -> None:
            self.factor = limpid.Parameter([2.0, 3.0, 4.0])

        def forward(self, x: Any) -> Any:
            return x * self.factor.detach() + self.factor

    scale = Scale()
    with pytest.raises(limpid.errors.RuleError, match=r"Scale\.factor"):
        limpid.check_grad(scale, X)
    assert scale.factor.dtype == limpid.float32
    np.testing.assert_array_equal(scale.factor.detach().numpy(), [2, 3, 4])


def test_any_nesting_and_kind_of_argument() -> None:
    def f(p: Any, k: int, name: str, t: Any) -> Any:
        assert (k, name) == (2, "x")
        return {"a": p["w"] ** k * p["b"], "n": 3, "none": None, "t": (t * p["b"],)}

    limpid.check_grad(f, {"w": X, "b": 3.0}, 2, "x", limpid.tensor([1.0, 2.0]))
    limpid.check_grad(lambda x: x * x, 3.0)
    limpid.check_grad(lambda x: x * x, np.float32(3.0))
    limpid.check_grad(lambda x, y: limpid.sum(x * y), X, X, argnums=1)
    limpid.check_grad(lambda x: x * 2, np.zeros((0, 3)))
    limpid.check_grad(lambda x: limpid.sum(x * x), np.zeros((2, 0)))


def test_float32() -> None:
    x = X.astype(np.float32)
    limpid.check_grad(lambda x: limpid.tanh(x) * x, x)
    # A function that insists on float32 is checked as well as that allows.
    narrow = lambda x: limpid.astype(limpid.tanh(limpid.astype(x, "float32")), "float32")
    limpid.check_grad(narrow, x)
    layer = limpid.nn.Linear(3, 2)
    limpid.check_grad(lambda x: layer(x), x)
    with pytest.raises(limpid.errors.RuleError, match="wrong"):
        limpid.check_grad(lambda x: narrow(x) + 0.1 * (x - x.detach()), x)


def test_large_arguments_are_sampled() -> None:
    big = np.random.default_rng(0).normal(size=(300, 200))
    start = time.perf_counter()
    limpid.check_grad(lambda x: limpid.tanh(x) @ big.T[:, :5], big)
    assert time.perf_counter() - start < 20
    with pytest.raises(limpid.errors.RuleError, match="wrong"):
        limpid.check_grad(WRONG["factor"], big)


def test_kinks() -> None:
    """Any value between the derivatives of both sides is right."""
    limpid.check_grad(limpid.relu, np.array([0.0, 1.0, -1.0]), order=1)
    limpid.check_grad(limpid.abs, np.array(0.0), order=1)
    limpid.check_grad(lambda x: limpid.max(x), np.array([2.0, 2.0, 1.0]), order=1)
    beyond = limpid.elementwise(
        "beyond", lambda x: np.maximum(x, 0), local=[lambda y, x: limpid.where(x > 0, 1.0, 1.5)]
    )
    with pytest.raises(limpid.errors.RuleError):
        limpid.check_grad(beyond, np.array([0.0, 1.0]), order=1)


@pytest.mark.parametrize("x", [1e-8, 1e-3, 1.0, 40.0, 1e6])
def test_every_magnitude(x: float) -> None:
    limpid.check_grad(limpid.log, np.array(x))
    limpid.check_grad(lambda v: 1 / v, np.array(x))
    limpid.check_grad(lambda v: v**3, np.array([x, -x]))
    with pytest.raises(limpid.errors.RuleError):
        limpid.check_grad(lambda v: limpid.log(v) + 0.01 * (v - v.detach()) / x, np.array(x))


def test_large_offsets_and_steep_functions() -> None:
    limpid.check_grad(lambda x: 1e6 + limpid.sin(x), X)
    limpid.check_grad(lambda x: limpid.exp(20 * x), X)
    limpid.check_grad(lambda x: limpid.sin(50 * x), X)
    limpid.check_grad(lambda x: 1e-12 * limpid.sin(x), X)


def test_randomness_and_state() -> None:
    count = limpid.Buffer(np.zeros(()))
    generator = limpid.random.Generator(1)

    def noisy(x: Any) -> Any:
        limpid.assign(count, count + 1.0)
        return x * x * limpid.random.normal(shape=(3,), generator=generator, dtype="float64")

    before = repr(generator)
    limpid.check_grad(noisy, X)
    assert count.item() == 0
    assert repr(generator) == before
    rng = np.random.default_rng(0)
    with pytest.raises(limpid.errors.ArgumentError, match="different results"):
        limpid.check_grad(lambda x: x * rng.normal(), X)


def test_what_cannot_be_checked() -> None:
    for args, words in [
        ((lambda x: x > 0, X), "nothing of a float type"),
        ((lambda x: x, np.arange(3)), "no float argument"),
        ((limpid.log, np.array([1.0, -1.0])), "not finite at this point"),
        ((lambda x: limpid.floor(x) * 1.0, np.array(2.0)), "do not converge"),
    ]:
        with pytest.raises(limpid.errors.ArgumentError, match=words):
            limpid.check_grad(*args)
    for options in ({"order": 0}, {"modes": ("sideways",)}, {"modes": ()}):
        with pytest.raises(limpid.errors.ArgumentError, match="check_grad takes"):
            limpid.check_grad(limpid.sin, X, **options)
    with pytest.raises(limpid.errors.ArgumentError, match="takes a function"):
        limpid.check_grad(3, X)


def test_an_argument_that_is_changed() -> None:
    def f(x: Any) -> Any:
        y = x * 2.0
        x.value[...] = 1.0
        return y

    with pytest.raises(limpid.errors.LimpidError, match=r"changes|different"):
        limpid.check_grad(f, X.copy())
