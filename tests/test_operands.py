"""Odd operands and questions: each has NumPy's answer, or an error that says what to do."""

from __future__ import annotations

from array import array
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.errors import ArgumentError, DTypeError, LimpidError, OperandError, ShapeError

POINT = np.array([1.0, 2.0, 3.0])
SINGLE = limpid.tensor([1.0, 2.0], requires_grad=True)


def leaf(value: Any = POINT) -> limpid.Tensor:
    return limpid.tensor(value, requires_grad=True)


@pytest.mark.parametrize("number", [2, 2.0, True, np.float64(2), np.longdouble(2), np.int8(2)])
def test_numbers_are_weak(number: Any) -> None:
    assert (SINGLE * number).dtype is limpid.float32
    assert (number * SINGLE).dtype is limpid.float32


@pytest.mark.parametrize(
    "operand",
    [
        None, "text", 1j, {1}, object(), Fraction(1, 2), Decimal(1), timedelta(1), [[1], [1, 2]],
        np.complex64(1j), np.datetime64("2020-01-01"), np.timedelta64(1, "s"), np.str_("a"),
        np.zeros(2, [("a", "f4")])[0], np.ones(2, complex), np.array(["a", "b"]),
        np.array([1, None]), np.ma.masked_array([1.0, 2.0], [True, False]),
    ],
    ids=lambda operand: type(operand).__name__,
)  # fmt: skip
def test_what_is_no_operand_is_refused_with_the_line(operand: Any) -> None:
    for function in (lambda: SINGLE * operand, lambda: limpid.record(lambda t: t * operand, POINT)):
        with pytest.raises((OperandError, DTypeError), match=r"test_operands.py:\d+: .* operand"):
            function()


def test_out_of_range() -> None:
    with pytest.raises(DTypeError, match="300 out of bounds for uint8"):
        limpid.tensor([1], "uint8") + 300
    with pytest.raises(DTypeError, match=r"too large.*\n.*\n.*test_operands.py"):
        SINGLE * 10**400
    with pytest.raises(ArgumentError, match="negative integer powers"):
        limpid.tensor([1, 2]) ** -1


def test_arrays_in_lists_keep_their_dtype() -> None:
    assert limpid.tensor([POINT, POINT]).dtype is limpid.float64
    assert limpid.tensor([np.float64(1.0)]).dtype is limpid.float64
    assert limpid.tensor([limpid.tensor(POINT)]).dtype is limpid.float64
    assert limpid.tensor(array("d", [1.0])).dtype is limpid.float64
    assert limpid.tensor([[1.0], [2.0]]).dtype is limpid.float32
    assert limpid.tensor([]).dtype is limpid.float32


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool"])
@pytest.mark.parametrize("name", ["atan2", "hypot", "power", "divide", "maximum", "remainder"])
def test_integers_among_floats_do_not_wrap_around_in_rules(name: str, dtype: str) -> None:
    operation, b = getattr(limpid, name), np.array([1.5, 2.5])
    a = np.array([100, 1]).astype(dtype)

    def function(t: Any, other: Any) -> Any:
        return limpid.sum(operation(other, t) + operation(t, other))

    expected = limpid.grad(function)(b, a.astype(float))
    second = limpid.hessian(function)(b, a.astype(float))
    for given in (a, limpid.tensor(a)):
        np.testing.assert_allclose(limpid.grad(function)(b, given), expected)
        np.testing.assert_allclose(limpid.hessian(function)(b, given), second)
    for point, closure in (((b, a), function), ((b,), lambda t: function(t, a))):
        recorded = limpid.record(limpid.grad(closure), *point)
        np.testing.assert_allclose(recorded(*point).numpy(), expected)


@pytest.mark.parametrize("name", ["square", "floor_divide", "remainder", "power", "subtract"])
def test_recorded_booleans_have_eager_dtypes(name: str) -> None:
    operation, flags = getattr(limpid, name), limpid.tensor([True, True])
    operands = (flags,) if name == "square" else (flags, flags)
    if name == "subtract":
        with pytest.raises(DTypeError):
            limpid.record(operation, *operands)
        return
    reference = limpid.record(operation, *operands).graph.outputs[0]
    assert reference[0].outputs[0] == operation(*operands).spec


def test_index_outputs_carry_no_gradient() -> None:
    """The numbers that topk returns beside values are integers in what follows."""

    def function(t: Any) -> Any:
        values, index = limpid.topk(t, 2)
        return limpid.sum(values * values * index)

    point = np.array([1.0, 3.0, 2.0])
    assert limpid.grad(function)(point).tolist() == [0.0, 6.0, 8.0]
    assert np.diag(limpid.hessian(function)(point)).tolist() == [0.0, 2.0, 4.0]
    x = leaf(point)
    function(x).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 6.0, 8.0]


def test_comparing_with_anything() -> None:
    x = leaf()
    for other in (None, "text", object()):
        assert (x == other) is False
        assert (x != other) is True
        assert other not in [x]
    assert 3.0 in x
    assert 7.0 not in limpid.tensor([[1.0], [2.0]])
    assert len({x, leaf()}) == 2
    with pytest.raises(ShapeError):
        x == np.ones(4)  # noqa: B015  # the comparison itself raises


@pytest.mark.parametrize(
    "ask",
    [bool, float, int, lambda t: t.item(), lambda t: f"{t:.2f}"],
    ids=["bool", "float", "int", "item", "format"],
)
def test_one_element_is_needed(ask: Any) -> None:
    with pytest.raises(ShapeError, match=r"float64\[3\].*\n?.*test_operands.py"):
        ask(leaf())
    with pytest.raises(ShapeError):
        ask(limpid.tensor(np.zeros(0)))
    assert ask(limpid.tensor([[1.0]])) in (1, "1.00")


def test_rounding_with_python() -> None:
    assert round(limpid.tensor(2.567), 1).item() == pytest.approx(2.6)


def test_computed_constants_can_become_leaves() -> None:
    for x in (leaf().detach(), limpid.reshape(limpid.tensor(POINT), (3, 1))):
        x.requires_grad = True
        limpid.sum(x * x).backward()
        assert x.grad is not None
        assert x.grad.numpy().ravel().tolist() == [2.0, 4.0, 6.0]


def test_retained_gradients_follow_the_name() -> None:
    x = leaf()
    y = x * x
    y.retain_grad()
    y += 1
    limpid.sum(3 * y).backward()
    assert y.grad is not None
    assert y.grad.tolist() == [3.0, 3.0, 3.0]


def test_no_grad_as_any_decorator() -> None:
    def doubled(t: Any) -> Any:
        yield t * 2
        sent = yield t * 3
        yield sent
        return t * 4

    def collect(generator: Any) -> list[Any]:
        made = [next(generator), next(generator), generator.send(SINGLE * 5)]
        with pytest.raises(StopIteration) as end:
            next(generator)
        return [*made, end.value.value]

    assert [t.requires_grad for t in collect(doubled(SINGLE))] == [True] * 4
    for decorated in (limpid.no_grad(doubled), limpid.no_grad()(doubled)):
        assert [t.requires_grad for t in collect(decorated(SINGLE))] == [False, False, True, False]
    assert not limpid.no_grad(lambda t: t * 2)(SINGLE).requires_grad
    assert limpid.is_grad_enabled()


def test_operands_are_named_as_they_are_written() -> None:
    a, b = leaf(np.ones((2, 3))), leaf(np.ones((4, 5)))
    q = a * 1

    def updated() -> None:
        nonlocal q
        q += b

    def replaced() -> None:
        q[0] = b

    expected: list[tuple[str, Any]] = [
        ("q: .*; b: ", updated),
        ("q: .*; value: ", replaced),
        ("a: .*; b: ", lambda: limpid.concat([a, b])),
        ("a: .*; b: ", lambda: np.stack([a, b])),
    ]
    for names, function in expected:
        with pytest.raises(ShapeError, match=f"\n  {names}"):
            function()


@pytest.mark.parametrize(
    "function",
    [
        lambda t: t.sum(axis=5),
        lambda t: t.reshape(7),
        lambda t: limpid.concat([t, t], axis=3),
        lambda t: limpid.concat([]),
        lambda t: limpid.squeeze(t, axis=0),
        lambda t: limpid.split(t, 2),
        lambda t: limpid.broadcast_to(t, (2, 2)),
        lambda t: limpid.permute_dims(t, (0, 0)),
        lambda t: limpid.einsum("ij,jk", t, t),
    ],
)
def test_misuse_names_the_line(function: Any) -> None:
    with pytest.raises(LimpidError, match=r"at \S*test_operands.py:\d+: "):
        function(leaf())
