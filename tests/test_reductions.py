"""Reductions and running operations where the table does not go: ties, zeros, NaN, ∞, nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid.differentiation.relation import structure
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.node import Spec

INF = np.inf


def gradient(function: Any, values: Any, **kwargs: Any) -> np.ndarray:
    x = np.asarray(values, float)
    return limpid.grad(lambda v: limpid.sum(_first(function(v, **kwargs))))(x)


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def array(values: Any) -> np.ndarray:
    return np.asarray(values, float)


# Ties


@pytest.mark.parametrize("name", ["max", "min", "median"])
def test_ties_share_equally(name: str) -> None:
    same = gradient(getattr(limpid, name), [[2.0, 2.0, 2.0], [2.0, 1.0, 3.0]], axis=1)
    np.testing.assert_allclose(same[0], 1 / 3)
    assert sorted(same[1]) == [0, 0, 1]
    assert gradient(limpid.max, [[1.0, 4.0], [4.0, 4.0]]).tolist() == [[0, 1 / 3], [1 / 3, 1 / 3]]


def test_median_of_an_even_number_with_ties() -> None:
    assert gradient(limpid.median, [1.0, 3.0, 3.0, 9.0]).tolist() == [0, 0.5, 0.5, 0]
    assert gradient(limpid.median, [1.0, 1.0, 3.0, 9.0]).tolist() == [0.25, 0.25, 0.5, 0]


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantiles_of_any_number(method: str) -> None:
    """What the rule reads is found once, so it must not depend on the extent."""
    for size in (4, 5, 1, 2, 3):
        x = np.arange(size) ** 2.0
        found = gradient(limpid.quantile, x, q=0.5, method=method)
        assert found.sum() == 1
        assert found @ x == np.quantile(x, 0.5, method=method)


@pytest.mark.parametrize("name", ["sort", "topk", "cummax", "cummin"])
def test_indices_route_to_the_first(name: str) -> None:
    options = {"k": 1} if name == "topk" else {}
    values, indices = getattr(limpid, name)(array([5, 5, 5]), **options), [0, 0, 0]
    if name == "sort":
        values, indices = (values, limpid.argsort(array([5, 5, 5]))), [0, 1, 2]
    assert values[1].tolist() == indices[: len(values[1])]
    weights = np.arange(1.0, 1 + len(values[1]))
    found = limpid.grad(
        lambda x: limpid.sum(_first(getattr(limpid, name)(x, **options)) * weights)
    )(array([5, 5, 5]))
    expected = np.zeros(3)
    np.add.at(expected, indices[: len(weights)], weights)
    assert found.tolist() == expected.tolist()


def test_sorting_is_stable_in_both_directions() -> None:
    x = np.array([1, 0, 1, 0, 1])
    assert limpid.argsort(x).tolist() == [1, 3, 0, 2, 4]
    assert limpid.argsort(x, descending=True).tolist() == [0, 2, 4, 1, 3]
    assert limpid.topk(x, 2)[1].tolist() == [0, 2]
    assert limpid.topk(x, 3, largest=False)[1].tolist() == [1, 3, 0]
    smallest = np.array([-128, 127, -128], np.int8)  # whose negative is itself
    assert limpid.argsort(smallest, descending=True).tolist() == [1, 0, 2]


def test_maximal_norms_share_ties_and_keep_signs() -> None:
    assert gradient(limpid.vector_norm, [3.0, -3.0, 1.0], ord=INF).tolist() == [0.5, -0.5, 0]
    assert gradient(limpid.vector_norm, [3.0, -1.0, 1.0], ord=-INF).tolist() == [0, -0.5, 0.5]


# Zeros


def polynomial_gradient(x: np.ndarray) -> list[float]:
    return [float(np.prod(np.delete(x, i))) for i in range(x.size)]


@pytest.mark.parametrize("zeros", [(), (0,), (3,), (1, 2), (0, 1, 2, 3)])
def test_prod_with_zeros(zeros: tuple[int, ...]) -> None:
    x = np.array([2.0, -3.0, 0.5, 4.0])
    x[list(zeros)] = 0
    np.testing.assert_allclose(gradient(limpid.prod, x), polynomial_gradient(x))
    np.testing.assert_allclose(
        gradient(limpid.prod, x.reshape(2, 2)).ravel(), polynomial_gradient(x)
    )

    def second(v: Any) -> Any:  # ∂²/∂x₀∂x₁ of the product
        return limpid.grad(limpid.prod)(v)[0]

    expected = [0.0, x[2] * x[3], x[1] * x[3], x[1] * x[2]]
    np.testing.assert_allclose(limpid.grad(second)(x), expected, atol=1e-15)
    third = limpid.grad(lambda v: limpid.grad(second)(v)[1])(x)
    np.testing.assert_allclose(third, [0, 0, x[3], x[2]], atol=1e-15)


def test_cumprod_does_not_divide() -> None:
    x = array([3.0, 0.0, 5.0, 0.0, 2.0])
    assert gradient(limpid.cumprod, x).tolist() == [1, 3 + 15, 0, 0, 0]
    large = array([1e200, 0.0, 1e200])
    assert gradient(limpid.cumprod, large)[0] == 1


@pytest.mark.parametrize("order", [0.5, 1, 1.5, 2, 3, INF, -INF])
def test_norms_at_zero(order: float) -> None:
    assert limpid.vector_norm(np.zeros(3), ord=order) == 0
    assert gradient(limpid.vector_norm, np.zeros(3), ord=order).tolist() == [0, 0, 0]
    partly = gradient(limpid.vector_norm, [0.0, 2.0], ord=order)
    assert np.isfinite(partly).all()
    assert partly[0] == 0


def test_norm_of_negative_order_with_a_zero() -> None:
    assert limpid.vector_norm(array([0.0, 2.0]), ord=-2) == 0
    assert gradient(limpid.vector_norm, [0.0, 2.0], ord=-2).tolist() == [0, 0]


def test_norm_of_order_zero_counts() -> None:
    assert limpid.vector_norm(array([0.0, 2.0, -1.0]), ord=0) == 2
    assert limpid.norm(limpid.tensor([0.0, 2.0]), 0).dtype == limpid.float32


def test_std_without_variance() -> None:
    assert gradient(limpid.std, [2.0, 2.0, 2.0]).tolist() == [0, 0, 0]
    smooth = limpid.primitives["std"].smooth
    where = smooth(array([[1, 1], [1, 2]]), axis=(1,), correction=0, keepdims=False)
    assert where.tolist() == [False, True]


# Nothing


@pytest.mark.parametrize(
    ("name", "expected"),
    [("sum", 0), ("prod", 1), ("logsumexp", -INF), ("any", False), ("all", True), ("norm", 0)],
)
def test_of_no_elements(name: str, expected: float) -> None:
    function = getattr(limpid, name)
    axis = {"axis": 1}
    assert function(np.zeros(0)) == expected
    found = function(limpid.zeros((2, 0)), **axis)
    assert found.shape == (2,)
    assert (found == expected).numpy().all()
    assert function(np.zeros((0, 3)), **axis).shape == (0,)


def test_mean_and_var_of_no_elements() -> None:
    assert np.isnan(limpid.mean(np.zeros(0)))
    assert np.isnan(limpid.var(np.zeros(0)))
    assert np.isnan(limpid.var(np.ones(1), correction=1))
    assert limpid.var(array([1, 3]), correction=2) == INF


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "median"])
def test_no_extreme_of_no_elements(name: str) -> None:
    function = getattr(limpid, name)
    with pytest.raises(ShapeError, match=f"{name}: axis 1 of shape .2, 0, 3. has no elements"):
        function(limpid.zeros((2, 0, 3)), axis=1)
    assert function(np.zeros((2, 0, 3)), axis=2).shape == (2, 0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cumsum", "cumprod", "logcumsumexp"])
def test_along_no_elements(name: str) -> None:
    for shape, axis in (((0, 3), 0), ((3, 0), 0), ((0,), 0)):
        assert gradient(getattr(limpid, name), np.zeros(shape), axis=axis).shape == shape


# NaN and infinity


@pytest.mark.parametrize("name", ["max", "min", "median", "logsumexp", "std", "norm"])
def test_nan_propagates(name: str) -> None:
    x = array([1.0, np.nan, 3.0])
    assert np.isnan(getattr(limpid, name)(x))
    assert np.isnan(gradient(getattr(limpid, name), x)).all()  # never a silent zero


def test_nan_along_an_axis() -> None:
    x = array([2.0, np.nan, 3.0, np.nan])
    values, indices = limpid.cummax(x)
    np.testing.assert_array_equal(values, [2, np.nan, np.nan, np.nan])
    assert indices.tolist() == [0, 1, 1, 1]
    np.testing.assert_array_equal(limpid.sort(x), np.sort(x))
    np.testing.assert_array_equal(limpid.sort(x, descending=True), [np.nan, np.nan, 3, 2])
    assert limpid.argmax(x) == 1
    assert limpid.count_nonzero(x) == 4


def test_logsumexp_of_minus_infinity() -> None:
    x = array([[-INF, -INF], [-INF, 1.0]])
    assert limpid.logsumexp(x, 1).tolist() == [-INF, 1]
    assert gradient(limpid.logsumexp, x, axis=1).tolist() == [[0, 0], [0, 1]]
    assert gradient(limpid.logcumsumexp, [-INF, -INF, 0.0]).tolist() == [0, 0, 1]
    assert limpid.logsumexp(array([INF, 1.0])) == INF
    hessian = limpid.jvp(limpid.grad(limpid.logsumexp), (x[0],), (np.ones(2),))[1]
    assert hessian.tolist() == [0, 0]


def test_softmax_far_from_zero() -> None:
    for dtype in (np.float32, np.float64):
        x = np.array([1e4, 1e4, -1e4], dtype)
        assert limpid.softmax(x).tolist() == [0.5, 0.5, 0]
        np.testing.assert_allclose(limpid.log_softmax(x)[2], -2e4 - np.log(2), rtol=1e-6)
        np.testing.assert_allclose(limpid.logsumexp(x), 1e4 + np.log(2), rtol=1e-6)
        assert gradient(limpid.softmax, x).tolist() == [0, 0, 0]
    masked = limpid.softmax(array([0.0, -INF]))
    assert masked.tolist() == [1, 0]


def test_ugly_inputs() -> None:
    assert limpid.sum([[1.0, 2.0], [3.0, 4.0]]) == 10
    assert limpid.max(3.0) == 3
    x = np.arange(24.0).reshape(4, 6)[::2, ::-3]
    x.flags.writeable = False
    for name in ("sum", "mean", "prod", "std", "softmax", "sort", "cumprod", "cummax", "median"):
        once = gradient(getattr(limpid, name), x)
        np.testing.assert_allclose(once, gradient(getattr(limpid, name), x.copy()))


# Arguments


@pytest.mark.parametrize(
    "name",
    [
        "sum",
        "mean",
        "prod",
        "max",
        "argmin",
        "logsumexp",
        "softmax",
        "cumsum",
        "sort",
        "any",
        "std",
    ],
)
def test_axes_out_of_range(name: str) -> None:
    for axis in (2, -3):
        with pytest.raises(ArgumentError, match=f"axis {axis} is out of range for 2 dimensions"):
            getattr(limpid, name)(limpid.ones((2, 2)), axis=axis)
    with pytest.raises(ArgumentError, match="must be an integer"):
        getattr(limpid, name)(limpid.ones((2, 2)), axis="rows")


def test_bad_arguments() -> None:
    x = limpid.ones((2, 3))
    for call, message in [
        (lambda: limpid.sum(x, (0, -2)), "name an axis twice"),
        (lambda: limpid.argmax(x, (0, 1)), "argmax takes one axis"),
        (lambda: limpid.topk(x, 4), "k=4, but axis 1 has 3 elements"),
        (lambda: limpid.topk(x, 1.5), "k must be an integer"),
        (lambda: limpid.quantile(x, 1.5), "q must be from 0 to 1, not 1.5"),
        (lambda: limpid.quantile(x, 0.5, method="cubic"), "method must be one of linear"),
        (lambda: limpid.vector_norm(x, ord="nuc"), "order of a vector norm is a number"),
        (lambda: limpid.norm(limpid.ones((1, 2, 3)), 1), "order 1 over 3 axes"),
        (lambda: limpid.norm(x, "fro", 0), "order of a vector norm is a number"),
        (lambda: limpid.var(x, correction="n"), "correction must be a number"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            call()
    with pytest.raises(ShapeError, match="do not broadcast"):
        limpid.linear_recurrence(limpid.ones(2), limpid.ones(3))


def test_methods() -> None:
    values = np.array([[3.0, 1.0], [2.0, 5.0]])
    x = limpid.tensor(values)
    for name in ("sum", "mean", "prod", "max", "min", "argmax", "argmin", "std", "cumsum"):
        for axis in (None, 0, -1):
            found = getattr(x, name)(axis=axis)
            np.testing.assert_array_equal(found.numpy(), getattr(values, name)(axis=axis))
    np.testing.assert_allclose(x.var(1, correction=1).numpy(), values.var(1, ddof=1))
    assert x.argsort(0).numpy().tolist() == values.argsort(0).tolist()
    assert x.cumprod(1).numpy().tolist() == values.cumprod(1).tolist()
    assert (x > 1).any(0).numpy().tolist() == [True, True]
    assert not (x > 1).all().item()
    assert x.max(axis=(0, 1), keepdims=True).shape == (1, 1)


def test_a_number_in_a_recurrence_takes_the_float_type() -> None:
    b = np.ones(3)
    assert limpid.linear_recurrence(0.1, b)[1] == 1.1
    assert limpid.linear_recurrence(0.1, b.astype(np.float32)).dtype == np.float32
    assert limpid.linear_recurrence(0.5 * b, np.ones(3, int)).tolist() == [1, 1.5, 1.75]
    assert limpid.linear_recurrence(limpid.tensor(0.5 * b), 1).tolist() == [1, 1.5, 1.75]


# What is seen


@pytest.mark.parametrize(
    "name",
    [
        "sum",
        "mean",
        "prod",
        "max",
        "min",
        "var",
        "std",
        "median",
        "logsumexp",
        "softmax",
        "log_softmax",
        "cumsum",
        "cumprod",
        "norm",
    ],
)
def test_each_is_one_box(name: str) -> None:
    graph = limpid.record(getattr(limpid, name), np.ones((2, 3))).graph
    boxes = [node.op.name for node in graph.nodes if node.op.name != "reshape"]
    assert boxes == [name]


def test_families_are_closed() -> None:
    def boxes(function: Any) -> set[str]:
        graph = limpid.record(limpid.grad(lambda x: limpid.sum(function(x))), np.ones(5)).graph
        return {node.op.name for node in graph.nodes} - {"sum", "broadcast_to"}

    assert boxes(lambda x: limpid.cumsum(x) ** 2) >= {"cumsum"}
    assert "cumprod" in boxes(limpid.prod)
    assert boxes(limpid.cumprod) >= {"cumprod", "shift", "linear_recurrence", "multiply"}
    assert boxes(limpid.sort) >= {"sort", "scatter_add"}


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("sum", {"axis": (1,), "keepdims": False}, "block"),
        ("sum", {"axis": (0, 1), "keepdims": False}, "dense"),
        ("softmax", {"axis": (1,)}, "block"),
        ("softmax", {"axis": (0, 1)}, "dense"),
        ("cumsum", {"axis": 0, "reverse": False}, "block"),
        ("shift", {"axis": 0, "by": 1}, "selection"),
        ("sort", {"axis": 1, "descending": False}, "block"),
    ],
)
def test_structure_of_the_jacobian(name: str, params: Any, expected: str) -> None:
    relation = limpid.primitives[name].relation([Spec((3, 4), limpid.float64)], params)
    assert structure(relation, 0) == expected
