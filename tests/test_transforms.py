"""Functions of functions: what they take and give, nested derivatives, Jacobians and structures."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.errors import (
    ArgumentError,
    CutError,
    DTypeError,
    OperandError,
    SeedError,
    UnconnectedError,
)

X = np.array([0.5, -1.0, 2.0])
Pair = namedtuple("Pair", "a b")


@dataclass(frozen=True)
class Frozen:
    w: Any
    b: Any = None


@dataclass
class Checked:
    w: Any
    doubled: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        if not hasattr(self.w, "shape"):
            raise TypeError("w must be an array")


def total(*parts: Any) -> Any:
    return sum((limpid.sum(p * p) for p in parts[1:]), limpid.sum(parts[0] * parts[0]))


# What goes in comes out


@pytest.mark.parametrize(
    "x",
    [
        3.0,
        np.float64(3.0),
        np.float32(3.0),
        np.array(3.0),
        np.array(3.0, np.float32),
        np.array([3.0]),
        limpid.tensor(3.0),
        limpid.tensor(3.0, dtype="float64"),
    ],
    ids=lambda x: f"{type(x).__name__}-{getattr(x, 'dtype', '')}-{getattr(x, 'shape', '')}",
)
def test_the_kind_of_thing_is_kept(x: Any) -> None:
    def same(result: Any) -> None:
        assert type(result) is type(x)
        assert getattr(result, "dtype", None) == getattr(x, "dtype", None)
        assert getattr(result, "shape", None) == getattr(x, "shape", None)

    def square(v: Any) -> Any:
        return v * v

    def scalar(v: Any) -> Any:
        return limpid.sum(v * v) if getattr(v, "shape", ()) else v * v

    value, g = limpid.value_and_grad(scalar)(x)
    same(g)
    assert float(np.ravel(g)[0] if isinstance(g, np.ndarray) else g) == 6
    if getattr(x, "shape", ()) == ():
        same(value)
    y, dy = limpid.jvp(square, (x,), (x,))
    same(y)
    same(dy)
    y, pullback = limpid.vjp(square, x)
    same(y)
    same(pullback(y)[0])
    same(limpid.hvp(scalar, (x,), (x,))[0])
    if getattr(x, "shape", ()) == ():
        same(limpid.jacobian(square)(x))
        same(limpid.hessian(square)(x))


def test_results_belong_to_the_caller() -> None:
    x = X.copy()
    gradients = limpid.grad(lambda a, b: limpid.sum(a + b), (0, 1))(x, x)
    gradients[0][0] = 7.0  # neither a view nor shared nor read-only
    np.testing.assert_array_equal(gradients[1], np.ones(3))
    value, pullback = limpid.vjp(lambda v: v, x)
    value[0] = 7.0
    g = X.copy()
    (back,) = pullback(g)
    back[0] = 9.0
    y, dy = limpid.jvp(lambda v: limpid.reshape(v, (3, 1)), (x,), (g,))
    y[0] = dy[0] = 9.0
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(g, X)


@pytest.mark.parametrize(
    "nested",
    [
        {"a": X, "b": [X, (X, None)]},
        [X, {"k": (X,)}],
        Pair(X, [X]),
        Frozen(X, {"c": X}),
        Frozen(X),
        Checked(X),
        OrderedDict(a=X, b=X),
        defaultdict(list, a=X),
        (),
        {"a": None, "b": []},
    ],
    ids=lambda n: type(n).__name__,
)
def test_any_nesting(nested: Any) -> None:
    from limpid.transforms.nesting import flatten

    def f(n: Any, x: Any) -> Any:
        assert type(n) is type(nested)
        return total(x, *(leaf for _, leaf in flatten(n)[0]))

    g, gx = limpid.grad(f, (0, 1))(nested, X)
    assert type(g) is type(nested)
    before, after = flatten(nested)[0], flatten(g)[0]
    assert [path for path, _ in before] == [path for path, _ in after]
    for (_, x), (_, leaf) in zip(before, after, strict=True):
        np.testing.assert_array_equal(leaf, 2 * x)
    np.testing.assert_array_equal(gx, 2 * X)
    tangent = limpid.jvp(f, (nested, X), (nested, X))[1]
    assert tangent == 2 * f(nested, X)


def test_nested_outputs() -> None:
    def f(x: Any) -> Any:
        return {"double": 2 * x, "rest": (limpid.sum(x), None)}

    value, tangent = limpid.jvp(f, (X,), (np.ones(3),))
    np.testing.assert_array_equal(tangent["double"], np.full(3, 2.0))
    assert value["rest"][1] is None
    assert tangent["rest"] == (3.0, None)
    _, pullback = limpid.vjp(f, X)
    np.testing.assert_array_equal(pullback({"rest": (1.0, None), "double": X})[0], 2 * X + 1)


def test_keys_are_matched_by_name_not_by_order() -> None:
    def f(p: Any) -> Any:
        return p["a"] * p["b"]

    p = {"a": np.array(2.0), "b": np.array(3.0)}
    dp = {"b": np.array(0.0), "a": np.array(1.0)}
    assert limpid.jvp(f, (p,), (dp,))[1] == 3.0


@pytest.mark.parametrize(
    ("tangents", "words"),
    [
        ((X,), "keys"),
        (([X, X], X), r"tangent at 0 must be nested like the original, a dict"),
        (({"a": X}, X), r"must have the keys \['a', 'b'\]"),
        (({"a": X, "b": [X]}, X), "tangent at 0.b must be one array"),
        (({"a": X, "b": X[:2]}, X), r"tangent of argument 0.b has shape \(2,\)"),
        (({"a": X, "b": None}, X), "must be one array, not None"),
    ],
)
def test_tangents_that_do_not_fit(tangents: Any, words: str) -> None:
    primals = ({"a": X, "b": X}, X)
    with pytest.raises((ArgumentError, SeedError), match=words):
        limpid.jvp(lambda p, x: p["a"] * x, primals, tangents)


def test_arguments_that_have_no_gradient() -> None:
    for x, error, words in [
        (3, DTypeError, r"argument 0 is int64"),
        (np.arange(3), DTypeError, r"argument 0 is int64\[3\]: only floats"),
        (True, DTypeError, "bool"),
        ({"w": X, "n": "name"}, OperandError, r"argument 0\.n is 'name'"),
        ({"w": X, "f": np.sin}, OperandError, r"argument 0\.f"),
        ([X, 2], DTypeError, r"argument 0\.1 is int64"),
    ]:
        with pytest.raises(error, match=words):
            limpid.grad(lambda p: limpid.sum(X))(x)
    with pytest.raises(DTypeError, match="argument 1 is int64"):
        limpid.grad(lambda x, n: limpid.sum(x) * n, 1)(X, 2)
    assert limpid.grad(lambda x, n: limpid.sum(x) * n)(X, 2).tolist() == [2, 2, 2]


def test_argnums() -> None:
    def f(a: Any, b: Any, *, k: float = 1.0) -> Any:
        return limpid.sum(a * b * k)

    a, b = X, X + 1
    np.testing.assert_array_equal(limpid.grad(f, -1)(a, b), a)
    np.testing.assert_array_equal(limpid.grad(f, np.int64(1))(a, b), a)
    gb, ga = limpid.grad(f, (1, 0))(a, b, k=2.0)
    np.testing.assert_array_equal(gb, 2 * a)
    np.testing.assert_array_equal(ga, 2 * b)
    assert limpid.grad(f, [0])(a, b)[0].shape == (3,)
    for argnums, words in [
        (2, "2 positional"),
        ((0, 0), "twice"),
        ((0, -2), "twice"),
        ("a", "an integer or several"),
        (0.5, "an integer or several"),
    ]:
        with pytest.raises(ArgumentError, match=words):
            limpid.grad(f, argnums)(a, b)
    with pytest.raises(ArgumentError, match="keyword arguments are not differentiated"):
        limpid.grad(f)(a=a, b=b)
    with pytest.raises(ArgumentError, match=r"grad\(f\)\(x\)"):
        limpid.grad(f(a, b))


def test_aux() -> None:
    def f(x: Any) -> Any:
        return limpid.sum(x * x), {"double": 2 * x, "note": "text", "n": 3}

    g, aux = limpid.grad(f, has_aux=True)(X)
    np.testing.assert_array_equal(g, 2 * X)
    np.testing.assert_array_equal(aux["double"], 2 * X)
    assert isinstance(aux["double"], np.ndarray)
    assert (aux["note"], aux["n"]) == ("text", 3)
    (value, aux), _ = limpid.value_and_grad(f, has_aux=True)(limpid.tensor(X))
    assert not value.requires_grad
    assert not aux["double"].requires_grad
    jacobian, aux = limpid.jacobian(lambda x: (x * 2, x * 3), has_aux=True)(X)
    np.testing.assert_array_equal(jacobian, 2 * np.eye(3))
    np.testing.assert_array_equal(aux, 3 * X)
    with pytest.raises(ArgumentError, match="pair"):
        limpid.grad(lambda x: limpid.sum(x), has_aux=True)(X)
    # Within another transform what comes out carries its gradient on.
    outer = limpid.grad(lambda x: limpid.sum(limpid.grad(f, has_aux=True)(x)[1]["double"]))
    np.testing.assert_array_equal(outer(X), np.full(3, 2.0))


def test_unused() -> None:
    def f(x: Any, y: Any) -> Any:
        return limpid.sum(x["used"])

    p = {"used": X, "spare": X}
    with pytest.raises(UnconnectedError, match=r"argument 0\.spare"):
        limpid.grad(f)(p, X)
    g = limpid.grad(f, (0, 1), unused="zeros")(p, X)
    np.testing.assert_array_equal(g[0]["spare"], np.zeros(3))
    np.testing.assert_array_equal(g[1], np.zeros(3))
    assert limpid.grad(lambda x: 3.0, unused="zeros")(1.0) == 0.0
    with pytest.raises(ArgumentError, match="unused"):
        limpid.grad(f, unused="ignore")


def test_what_the_function_returns() -> None:
    for result, words in [(X, "returns a scalar"), ("x", "scalar tensor"), (None, "scalar tensor")]:
        with pytest.raises(SeedError, match=words):
            limpid.grad(lambda x, r=result: r)(X)
    with pytest.raises(SeedError, match="float"):
        limpid.grad(lambda x: limpid.argmax(x))(X)


def test_exceptions_inside_leave_everything_as_it_was() -> None:
    from limpid.graph.context import context

    def fail(x: Any) -> Any:
        raise ZeroDivisionError("inside")

    before = {name: getattr(context.state, name) for name in type(context.state).__slots__}
    for transform in (
        lambda: limpid.grad(fail)(X),
        lambda: limpid.jvp(fail, (X,), (X,)),
        lambda: limpid.hessian(fail)(X),
        lambda: limpid.grad(lambda x: limpid.grad(fail)(x))(X),
        lambda: limpid.record(limpid.grad(fail), X),
        lambda: limpid.jacobian_structure(fail, X),
    ):
        with pytest.raises(ZeroDivisionError, match="inside"):
            transform()
        assert before == {name: getattr(context.state, name) for name in before}
    with limpid.no_grad(), pytest.raises(ZeroDivisionError):
        limpid.grad(fail)(X)
    assert limpid.is_grad_enabled()


def test_leaving_the_graph_inside_raises() -> None:
    for leave in (float, lambda x: x.item(), np.asarray, lambda x: x.tolist()):
        with pytest.raises(CutError):
            limpid.grad(lambda x, leave=leave: x * leave(x))(3.0)
    assert limpid.grad(lambda x: x * float(x.detach()))(3.0) == 3.0


def test_no_grad() -> None:
    with limpid.no_grad():
        np.testing.assert_array_equal(limpid.grad(lambda x: limpid.sum(x * x))(X), 2 * X)
        x = limpid.tensor(X, requires_grad=True)
        assert not limpid.grad(lambda x: limpid.sum(x * x))(x).requires_grad

    def cut(x: Any) -> Any:
        with limpid.no_grad():
            inner = limpid.jvp(lambda y: y * y * x, (x,), (1.0,))[1]
        return inner * x

    assert limpid.grad(cut)(3.0) == 18.0  # 2x² held fixed


def test_in_place_spellings_inside() -> None:
    def f(x: Any) -> Any:
        x *= 2.0
        x[0] = 0.0
        return limpid.sum(x * x)

    x = X.copy()
    np.testing.assert_array_equal(limpid.grad(f)(x), [0.0, 8 * X[1], 8 * X[2]])
    np.testing.assert_array_equal(x, X)
    t = limpid.tensor(X)
    np.testing.assert_array_equal(limpid.grad(f)(t).numpy(), [0.0, 8 * X[1], 8 * X[2]])
    np.testing.assert_array_equal(t.numpy(), X)
