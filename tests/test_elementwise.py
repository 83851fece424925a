"""Elementwise primitives where the table does not look: kinks, domains, extremes, odd operands."""

from __future__ import annotations

import warnings
from typing import Any

import mpmath
import numpy as np
import pytest

import limpid
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.ops.arithmetic import LARGE, choose
from limpid.ops.power import root

NAN, INF = float("nan"), float("inf")


def gradient(function: Any, *point: Any) -> Any:
    """The gradients of the sum of a function."""
    arrays = [np.asarray(x, np.float64) for x in point]
    return limpid.grad(lambda *x: limpid.sum(function(*x)), range(len(arrays)))(*arrays)


KINKS = [
    ("abs", limpid.abs, [-1, 0, 1], [-1, 0, 1]),
    ("sign", lambda x: limpid.sign(x) + 0 * x, [0.0], [0]),
    ("relu", limpid.relu, [-1, 0, 1], [0, 0, 1]),
    ("relu6", limpid.relu6, [0, 3, 6], [0, 1, 0]),
    ("leaky_relu", lambda x: limpid.leaky_relu(x, 0.3), [-1, 0, 1], [0.3, 0.3, 1]),
    ("elu", lambda x: limpid.elu(x, 0.3), [0.0], [0.3]),
    ("selu", limpid.selu, [0.0], [1.0507009873554805 * 1.6732632423543772]),
    ("celu", lambda x: limpid.celu(x, 3.0), [0.0], [1]),
    ("hard_tanh", limpid.hard_tanh, [-1, 0, 1], [0, 1, 0]),
    ("hard_sigmoid", limpid.hard_sigmoid, [-3, 0, 3], [0, 1 / 6, 0]),
    ("hard_swish", limpid.hard_swish, [-3, 0, 3], [0, 0.5, 1]),
    ("soft_shrink", limpid.soft_shrink, [-0.5, 0, 0.5, 1], [0, 0, 0, 1]),
    ("hard_shrink", limpid.hard_shrink, [-0.5, 0, 0.5, 1], [0, 0, 0, 1]),
    ("threshold", lambda x: limpid.threshold(x, 1.0, 9.0), [0, 1, 2], [0, 0, 1]),
    ("softplus", lambda x: limpid.softplus(x, 1.0, 0.0), [0.0, 1e-9], [0.5, 1]),
    ("clip", lambda x: limpid.clip(x, -1, 1), [-2, -1, 0, 1, 2], [0, 1, 1, 1, 0]),
    ("floor", lambda x: limpid.floor(x) + x, [0.0, 0.5], [1, 1]),
    ("hypot", lambda x: limpid.hypot(x, x), [0.0], [0]),
    ("copysign", lambda x: limpid.copysign(x, -2.0), [-3, 0, 3], [1, 0, -1]),
    ("minimum", lambda x: limpid.minimum(x, 1.0), [0, 1, 2], [1, 0.5, 0]),
    ("maximum", lambda x: limpid.maximum(1.0, x), [0, 1, 2], [0, 0.5, 1]),
    ("maximum of one", lambda x: limpid.maximum(x, x), [2.0], [1]),
    ("remainder", lambda x: x % 2.0, [4.0], [1]),
    ("prelu", lambda x: limpid.prelu(x, np.array([0.3])), [-1, 0, 1], [0.3, 0.3, 1]),
    ("root", lambda x: root(x, power=2.0), [0, 0.25], [0, 1]),
    ("root of a negative power", lambda x: root(x, power=-1.0), [0, 1], [0, -1]),
]


@pytest.mark.parametrize(("function", "point", "expected"), [k[1:] for k in KINKS],
                         ids=[k[0] for k in KINKS])  # fmt: skip
def test_gradient_at_a_kink(function: Any, point: Any, expected: Any) -> None:
    np.testing.assert_allclose(gradient(function, point)[0], expected, rtol=1e-15)


def test_every_kink_is_written_down() -> None:
    for name in ("abs", "relu", "minimum", "maximum", "clip", "power", "softplus", "round"):
        assert limpid.primitives[name].kink
    for name in ("relu6", "leaky_relu", "prelu", "elu", "selu", "hard_tanh", "threshold"):
        assert limpid.primitives[name].kink


def test_clip_routes_to_its_limits() -> None:
    x, low, high = [-2.0, 0.0, 2.0, 0.0], [-1.0, -1, -1, 3], [1.0, 1, 1, 1]
    for g, expected in zip(
        gradient(limpid.clip, x, low, high),
        ([0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]),
        strict=True,
    ):
        np.testing.assert_array_equal(g, expected)


def test_clip_of_integers_stays_integer() -> None:
    x = limpid.tensor(np.array([-3, 5, 90], np.int8))
    assert limpid.clip(x, min=0).dtype is limpid.int8
    assert limpid.clip(x, min=0).tolist() == [0, 5, 90]
    assert limpid.clip(x, max=4).tolist() == [-3, 4, 4]
    assert limpid.clip(x).tolist() == [-3, 5, 90]
    assert limpid.clip(limpid.tensor([True, False]), max=False).tolist() == [False, False]


# Domains


DOMAINS = [
    ("log", [1e-300, 2], [0, -1]),
    ("log1p", [-0.999, 2], [-1, -2]),
    ("sqrt", [0, 2], [-1]),
    ("rsqrt", [1e-300], [0, -1]),
    ("asin", [-1, 0, 1], [1.1, -2]),
    ("acos", [-1, 0, 1], [1.1, -2]),
    ("acosh", [1, 9], [0.9]),
    ("atanh", [-0.9, 0.9], [-1, 1]),
    ("reciprocal", [-1, 1e-300], [0]),
    ("lgamma", [0.1, -0.5, -7.3], [0, -1, -7]),
    ("digamma", [0.1, -0.5, -7.3], [0, -1, -7]),
]


@pytest.mark.parametrize(("name", "inside", "outside"), DOMAINS, ids=[d[0] for d in DOMAINS])
def test_domain(name: str, inside: Any, outside: Any) -> None:
    op = limpid.primitives[name]
    inside, outside = np.array(inside, float), np.array(outside, float)
    assert np.isfinite(op(inside)).all()
    assert op.domain(inside).all()
    with np.errstate(all="ignore"):
        assert not np.isfinite(op(outside)).any()
    assert not op.domain(outside).any()


@pytest.mark.parametrize(
    ("name", "smooth", "other"),
    [("sqrt", [1e-300, 1], [0]), ("cbrt", [-1, 1], [0]), ("asin", [0.9], [1, -1]),
     ("acosh", [1.1], [1]), ("power", [2], [0])],
)  # fmt: skip
def test_smooth_is_where_the_derivative_is_finite(name: str, smooth: Any, other: Any) -> None:
    op = limpid.primitives[name]
    more = (np.array(0.5),) if name == "power" else ()
    with np.errstate(all="ignore"):
        for points, finite in ((smooth, True), (other, False)):
            at = np.array(points, float)
            assert (op.smooth(at, *more) == finite).all()
            slope = gradient(lambda x, op=op, more=more: op(x, *more), at)[0]
            assert (np.isfinite(slope) == finite).all()


# Extremes

BOUNDED_SLOPE = {
    f.__name__: f
    for f in (
        limpid.sigmoid, limpid.log_sigmoid, limpid.hard_sigmoid, limpid.hard_tanh,
        limpid.soft_sign, limpid.softplus, limpid.silu, limpid.mish, limpid.gelu,
        limpid.hard_swish, limpid.tanh_shrink, limpid.relu, limpid.relu6, limpid.leaky_relu,
        limpid.elu, limpid.selu, limpid.celu, limpid.soft_shrink, limpid.hard_shrink,
        limpid.erf, limpid.erfc, limpid.tanh, limpid.atan, limpid.asinh,
    )
}  # fmt: skip
BOUNDED_SLOPE["gelu tanh"] = lambda x: limpid.gelu(x, approximate="tanh")
BOUNDED_SLOPE["threshold"] = lambda x: limpid.threshold(x, 0.0, 1.0)
BOUNDED_SLOPE["softplus sharp"] = lambda x: limpid.softplus(x, 3.0, 5.0)
BOUNDED_SLOPE["prelu"] = lambda x: limpid.prelu(x, np.float32([0.25]))
LIMITS = {  # at −∞ and ∞
    "sigmoid": (0, 1), "log_sigmoid": (-INF, 0), "hard_sigmoid": (0, 1), "hard_tanh": (-1, 1),
    "soft_sign": (-1, 1), "softplus": (0, INF), "silu": (0, INF), "mish": (0, INF),
    "gelu": (0, INF), "gelu tanh": (0, INF), "hard_swish": (0, INF), "relu": (0, INF),
    "relu6": (0, 6), "elu": (-1, INF), "celu": (-1, INF), "erf": (-1, 1), "erfc": (2, 0),
    "tanh": (-1, 1), "tanh_shrink": (-INF, INF), "leaky_relu": (-INF, INF),
    "soft_shrink": (-INF, INF), "hard_shrink": (-INF, INF), "threshold": (1, INF),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BOUNDED_SLOPE)
def test_large_and_tiny_arguments(name: str, dtype: str) -> None:
    """No warning, no NaN and no infinity in the value and two derivatives."""
    function = BOUNDED_SLOPE[name]
    if name == "prelu" and dtype == "float64":
        return
    tiny = float(np.finfo(dtype).smallest_subnormal)
    x = np.array([-1e4, -100, -20, -1e-6, -tiny, -0.0, 0, tiny, 1e-6, 20, 100, 1e4], dtype)

    def slope(t: Any) -> Any:
        return limpid.grad(lambda u: limpid.sum(function(u)))(t)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [function(x), slope(x)]
        found.append(limpid.grad(lambda t: limpid.sum(slope(t)), unused="zeros")(x))
    for values in found:
        assert values.dtype == dtype
        assert np.isfinite(values).all(), values


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LIMITS)
def test_infinite_arguments(name: str, dtype: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = BOUNDED_SLOPE[name](np.array([-INF, INF, NAN], dtype))
    np.testing.assert_array_equal(y, np.array([*LIMITS[name], NAN], dtype))


def test_sigmoids_keep_their_digits_in_the_tail() -> None:
    x = np.array([-30.0, -100.0, -700.0])
    np.testing.assert_allclose(limpid.sigmoid(x), np.exp(x), rtol=1e-12)
    np.testing.assert_allclose(limpid.softplus(x), np.exp(x), rtol=1e-12)
    np.testing.assert_allclose(limpid.silu(x), x * np.exp(x), rtol=1e-12)
    np.testing.assert_allclose(limpid.mish(x), x * np.exp(x), rtol=1e-12)
    np.testing.assert_allclose(limpid.log_sigmoid(-x), -np.exp(x), rtol=1e-12)
    expected = -20 * float(mpmath.ncdf(-20))  # rounding x/√2 alone changes it by x²·ε
    np.testing.assert_allclose(limpid.gelu(np.array(-20.0)), expected, rtol=400 * 1.2e-16)
    for function in (limpid.elu, limpid.celu, limpid.expm1):
        np.testing.assert_allclose(gradient(function, x)[0], np.exp(x), rtol=1e-14)


def test_logaddexp_of_infinities() -> None:
    with np.errstate(all="ignore"):
        assert gradient(limpid.logaddexp, -INF, 1.0) == (0, 1)
        assert gradient(limpid.logaddexp, INF, 1.0) == (1, 0)
        assert gradient(limpid.logaddexp, -INF, -INF) == (0.5, 0.5)
        found = gradient(limpid.logaddexp, 800.0, 801.0)
        np.testing.assert_allclose(found, (1 / (1 + np.e), np.e / (1 + np.e)), rtol=1e-15)


def test_hypotenuses_do_not_overflow() -> None:
    np.testing.assert_allclose(gradient(limpid.hypot, 3e200, 4e200), (0.6, 0.8))
    np.testing.assert_allclose(gradient(limpid.atan2, 3e200, 4e200), (1.6e-201, -1.2e-201))
    np.testing.assert_allclose(gradient(limpid.asinh, 1e200)[0], 1e-200)
    np.testing.assert_allclose(gradient(limpid.acosh, 1e200)[0], 1e-200)


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, np.float64(0.0), np.array(0.0)])
def test_dividing_by_zero_has_an_infinite_slope(zero: Any) -> None:
    """Also by Python's number, with which Python itself refuses to compute."""
    x = np.array([1.0, -2.0, 0.0])
    with np.errstate(all="ignore"):
        slope = np.copysign(np.inf, zero)
        function = limpid.grad(lambda x: limpid.sum(x / zero))
        np.testing.assert_array_equal(function(x), [slope] * 3)
        np.testing.assert_array_equal(limpid.record(function, x)(x), [slope] * 3)
        np.testing.assert_array_equal(limpid.jvp(lambda x: x / zero, (x,), (x,))[1], x / zero)


def test_strange_numbers_are_recognised() -> None:
    x = limpid.tensor([1.0, INF, -INF, NAN, -0.0])
    assert limpid.isnan(x).tolist() == [False, False, False, True, False]
    assert limpid.isinf(x).tolist() == [False, True, True, False, False]
    assert limpid.isfinite(x).tolist() == [True, False, False, False, True]
    assert limpid.signbit(x).tolist()[2] is limpid.signbit(x).tolist()[4] is True
    assert limpid.isnan(limpid.tensor([1, 2])).tolist() == [False, False]


# Odd operands

FAMILIES = {f"limpid.ops.{family}" for family in
            ("activation", "arithmetic", "elementary", "rectifier", "special")}  # fmt: skip
FLOAT_ONLY = [
    name
    for name, op in limpid.primitives.items()
    if op.module in FAMILIES and op.numeric == "float" and len(op.operand_names) == 1
]


def apply(name: str, x: Any) -> Any:
    public = {"hard_tanh": {}, "threshold": {"threshold": 0.0, "value": 1.0}}.get(name, {})
    if name == "polygamma":
        return limpid.polygamma(1, x)
    if name == "gelu_tanh":
        return limpid.gelu(x, "tanh")
    return getattr(limpid, name)(x, **public)


@pytest.mark.parametrize("name", FLOAT_ONLY)
def test_integers_become_floats(name: str) -> None:
    y = apply(name, limpid.tensor([1, 1]))
    assert y.dtype is limpid.float32
    if name not in ("atanh", "reciprocal"):
        np.testing.assert_allclose(y, apply(name, np.array([1, 1])), rtol=1e-6)


@pytest.mark.parametrize("name", FLOAT_ONLY)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_shapes_and_types_stay(name: str, dtype: str) -> None:
    base = np.full((4, 6), 1.25 if name == "acosh" else 0.5, dtype)
    for x in (base, base[::2, ::-3], base.T, base[0, 0, ...], base[:0], np.asarray(base[1, 1])):
        x.flags.writeable = False
        y = apply(name, limpid.asarray(x))
        assert (y.shape, y.dtype) == (x.shape, dtype)
        g = limpid.grad(lambda t: limpid.sum(apply(name, t)))(x)
        assert (g.shape, g.dtype) == (x.shape, dtype)
        plain = apply(name, x)
        assert isinstance(plain, np.ndarray | np.generic)
        np.testing.assert_array_equal(plain, y)


@pytest.mark.parametrize("name", FLOAT_ONLY)
def test_lists_and_numbers_are_plain_numpy(name: str) -> None:
    start = 1.25 if name == "acosh" else 0.5
    y = apply(name, [start, start])
    np.testing.assert_allclose(y, apply(name, np.array([start, start])), rtol=1e-6)
    np.testing.assert_allclose(apply(name, start), y[0], rtol=1e-6)


def test_relu_and_its_kin_keep_integers() -> None:
    x = limpid.tensor([-2, 0, 9])
    assert limpid.relu(x).tolist() == [0, 0, 9]
    assert limpid.relu6(x).dtype is limpid.int64
    assert limpid.abs(x).tolist() == [2, 0, 9]
    assert limpid.floor(x).dtype is limpid.int64
    assert (x // 2).tolist() == [-1, 0, 4]
    assert (x % 4).tolist() == [2, 0, 1]


def test_array_api_and_numpy_names_are_one_object() -> None:
    for ours, numpys in [("asin", "arcsin"), ("acos", "arccos"), ("atan", "arctan"),
                         ("atan2", "arctan2"), ("asinh", "arcsinh"), ("acosh", "arccosh"),
                         ("atanh", "arctanh"), ("pow", "power"), ("abs", "absolute")]:  # fmt: skip
        assert getattr(limpid, ours) is getattr(limpid, numpys)


def test_where_by_bit_patterns_is_where() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random(LARGE + 3) > 0.5
    x = rng.normal(size=mask.size)
    half = x.astype("f2")
    pairs = [
        (-1.0, 1.0),
        (np.float32(2), NAN),
        (x, -INF),
        (x.astype("f4"), 3),
        (1, 2),
        (half, -half),
        (x.reshape(1, -1), -x[::-1]),
        (mask, ~mask),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for a, b in pairs:
            chosen, expected = choose(mask, a, b), np.where(mask, a, b)
            assert chosen.dtype == expected.dtype
            np.testing.assert_array_equal(chosen, expected)


def test_where_takes_any_condition() -> None:
    x = limpid.tensor([1.0, 2.0], requires_grad=True)
    limpid.sum(limpid.where([0, 3], x * x, limpid.where(True, x, 0.0))).backward()
    assert x.grad.tolist() == [1.0, 4.0]


def test_impossible_arguments() -> None:
    x = limpid.tensor([[1.0, 2.0, 3.0]])
    for call in (
        lambda: limpid.celu(x, 0.0),
        lambda: limpid.softplus(x, beta=0),
        lambda: limpid.soft_shrink(x, -1.0),
        lambda: limpid.hard_tanh(x, 1.0, -1.0),
        lambda: limpid.gelu(x, "fast"),
        lambda: limpid.polygamma(-1, x),
        lambda: limpid.polygamma(1.5, x),
        lambda: limpid.polygamma(171, x),
        lambda: limpid.round(x, 0.5),
    ):
        with pytest.raises(ArgumentError):
            call()
    for call in (
        lambda: limpid.glu(x),
        lambda: limpid.glu(limpid.tensor(1.0), 0),
        lambda: limpid.maxout(x, 2),
        lambda: limpid.maxout(x, 0),
        lambda: limpid.prelu(x, limpid.tensor([1.0, 2.0])),
        lambda: limpid.prelu(x, limpid.tensor([[1.0]])),
    ):
        with pytest.raises((ShapeError, ArgumentError)):
            call()
    with pytest.raises(DTypeError):
        limpid.sign(limpid.tensor([True]))


def test_prelu_learns_a_slope_for_each_channel() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, 3, 4, 5)), np.array([0.1, 0.2, 0.3])
    y = limpid.prelu(x, w)
    np.testing.assert_array_equal(y[:, 1], np.where(x[:, 1] > 0, x[:, 1], 0.2 * x[:, 1]))
    _, g = gradient(limpid.prelu, x, w)
    np.testing.assert_allclose(g, np.minimum(x, 0).sum((0, 2, 3)), rtol=1e-12)
