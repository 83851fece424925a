"""NumPy's functions on tensors: each finds its operation, or raises with line and remedy."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.errors import AbstractError, CutError, OperandError
from limpid.protocols.dispatch import UFUNCS
from limpid.protocols.functions import DERIVED, FUNCTIONS

HERE = "test_numpy_protocols.py"
X = np.random.default_rng(0).normal(size=(3, 4))
SQUARE = X[:, :3] + 3 * np.eye(3)
SYMMETRIC = SQUARE @ SQUARE.T


def carrying(x: Any) -> Any:
    """A tensor that carries a gradient and is no leaf."""
    return limpid.tensor(x, requires_grad=True) * 1


# NumPy alone is named in what follows: the same call on arrays is the reference.
CALLS: dict[str, Callable[..., Any]] = {
    "sum": lambda x: np.sum(x, axis=0, keepdims=True),
    "prod": lambda x: np.prod(x, 1),
    "max": lambda x: np.max(x, axis=-1),
    "min": lambda x: np.min(x),
    "amax": lambda x: np.amax(x, 0),
    "amin": lambda x: np.amin(x, axis=1),
    "mean": lambda x: np.mean(x, axis=(0, 1)),
    "std": lambda x: np.std(x, axis=0, ddof=1),
    "var": lambda x: np.var(x, 1, keepdims=True),
    "any": lambda x: np.any(x > 0, axis=0),
    "all": lambda x: np.all(x > 0),
    "argmax": lambda x: np.argmax(x, axis=1),
    "argmin": lambda x: np.argmin(x, 0),
    "count_nonzero": lambda x: np.count_nonzero(x > 0, axis=0),
    "median": lambda x: np.median(x, axis=1),
    "quantile": lambda x: np.quantile(x, 0.3, axis=0),
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "cumprod": lambda x: np.cumprod(x),
    "sort": lambda x: np.sort(x, axis=0, kind="stable"),
    "argsort": lambda x: np.argsort(x),
    "round": lambda x: np.round(x, 1),
    "around": lambda x: np.around(x),
    "fix": lambda x: np.fix(x),
    "clip": lambda x: np.clip(x, -0.5, 0.5),
    "where": lambda x: np.where(x > 0, x, 2 * x),
    "dot": lambda x: np.dot(x, x.T),
    "inner": lambda x: np.inner(x, x),
    "outer": lambda x: np.outer(x[0], x[1]),
    "kron": lambda x: np.kron(x[:2, :2], x),
    "cross": lambda x: np.cross(x[:, :3], x[:, 1:]),
    "tensordot": lambda x: np.tensordot(x, x, axes=([0], [0])),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x, optimize=True),
    "trace": lambda x: np.trace(x, offset=1),
    "diagonal": lambda x: np.diagonal(x, 1),
    "diag": lambda x: np.diag(x[0], k=1),
    "tril": lambda x: np.tril(x, -1),
    "triu": lambda x: np.triu(x),
    "reshape": lambda x: np.reshape(x, (4, 3)),
    "transpose": lambda x: np.transpose(x, (1, 0)),
    "matrix_transpose": lambda x: np.matrix_transpose(x),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "expand_dims": lambda x: np.expand_dims(x, (0, 2)),
    "squeeze": lambda x: np.squeeze(x[:1], axis=0),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 4)),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x, x[0])[1],
    "meshgrid": lambda x: np.meshgrid(x[0], x[1], indexing="ij")[1],
    "flip": lambda x: np.flip(x, 1),
    "roll": lambda x: np.roll(x, 1, axis=0),
    "tile": lambda x: np.tile(x, (2, 1)),
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "pad": lambda x: np.pad(x, ((1, 0), (0, 2)), mode="edge"),
    "concatenate": lambda x: np.concatenate([x, np.ones((1, 4))], axis=0),
    "stack": lambda x: np.stack([x, x], axis=-1),
    "vstack": lambda x: np.vstack([x, x[0]]),
    "hstack": lambda x: np.hstack((x, x)),
    "dstack": lambda x: np.dstack((x, x)),
    "column_stack": lambda x: np.column_stack((x[0], x[1])),
    "unstack": lambda x: np.unstack(x)[1],
    "split": lambda x: np.split(x, 2, axis=1)[0],
    "take": lambda x: np.take(x, [0, 2], axis=1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[1], [0], [3]]), axis=1),
    "zeros_like": lambda x: np.zeros_like(x) + x,
    "ones_like": lambda x: np.ones_like(x, dtype=np.float32),
    "empty_like": lambda x: np.empty_like(x) * 0,
    "full_like": lambda x: np.full_like(x, 2.5),
    "linspace": lambda x: np.linspace(x[0, 0], x[0, 1], 5),
    "copy": lambda x: np.copy(x),
    "astype": lambda x: np.astype(x, np.float32),
    "linalg.norm": lambda x: np.linalg.norm(x, axis=1),
    "linalg.vector_norm": lambda x: np.linalg.vector_norm(x, axis=0),
    "linalg.matrix_norm": lambda x: np.linalg.matrix_norm(x),
    "linalg.pinv": lambda x: np.linalg.pinv(x),
    "linalg.matrix_transpose": lambda x: np.linalg.matrix_transpose(x),
    "linalg.matmul": lambda x: np.linalg.matmul(x, x.T),
    "linalg.outer": lambda x: np.linalg.outer(x[0], x[1]),
    "linalg.cross": lambda x: np.linalg.cross(x[:, :3], x[:, 1:]),
    "linalg.tensordot": lambda x: np.linalg.tensordot(x, x, axes=2),
    "linalg.vecdot": lambda x: np.linalg.vecdot(x, x),
    "linalg.multi_dot": lambda x: np.linalg.multi_dot([x, x.T, x]),
    "linalg.svdvals": lambda x: np.linalg.svdvals(x),
    "linalg.qr": lambda x: np.abs(np.linalg.qr(x.T)[1]),
    "linalg.svd": lambda x: np.linalg.svd(x, compute_uv=False),
    "linalg.trace": lambda x: np.linalg.trace(np.stack([x, x])),
    "linalg.diagonal": lambda x: np.linalg.diagonal(np.stack([x, x]), offset=1),
    "linalg.matrix_rank": lambda x: np.linalg.matrix_rank(x),
    "shape": lambda x: np.asarray(np.shape(x)),
    "ndim": lambda x: np.asarray(np.ndim(x)),
    "size": lambda x: np.asarray([np.size(x), np.size(x, 1)]),
    "isclose": lambda x: np.isclose(x, np.where(x > 0, np.inf, x + 1e-9)),
    "allclose": lambda x: np.asarray(np.allclose(x, x + 1e-9)),
    "array_equal": lambda x: np.asarray([np.array_equal(x, x + 0), np.array_equal(x, x[0])]),
    "iscomplexobj": lambda x: np.asarray(np.iscomplexobj(x)),
    "isrealobj": lambda x: np.asarray(np.isrealobj(x)),
    "result_type": lambda x: np.zeros(1, np.result_type(x, np.float32)),
    "can_cast": lambda x: np.asarray(np.can_cast(x, np.dtype(x.dtype))),
    "ravel": lambda x: np.ravel(x),
    "atleast_1d": lambda x: np.atleast_1d(x[0, 0]),
    "atleast_2d": lambda x: np.atleast_2d(x[0]),
    "atleast_3d": lambda x: np.concatenate(np.atleast_3d(x[:1], x[0]), axis=0),
    "fliplr": lambda x: np.fliplr(x),
    "flipud": lambda x: np.flipud(x),
    "vdot": lambda x: np.vdot(x, x),
    "append": lambda x: np.append(x, x[0]),
    "diff": lambda x: np.diff(x, n=2, axis=1),
    "percentile": lambda x: np.percentile(x, 30, axis=0),
    "ptp": lambda x: np.ptp(x, axis=0),
    "average": lambda x: np.average(x, axis=1, weights=np.arange(12.0).reshape(3, 4)),
    "array_split": lambda x: np.array_split(x, 3, axis=1)[0],
    "hsplit": lambda x: np.hsplit(x, 2)[1],
    "vsplit": lambda x: np.vsplit(x, [1])[1],
    "dsplit": lambda x: np.dsplit(np.stack([x, x]), 2)[1],
}
ON_MATRICES = {
    "linalg.inv": lambda x: np.linalg.inv(x),
    "linalg.solve": lambda x: np.linalg.solve(x, x[0]),
    "linalg.det": lambda x: np.linalg.det(x),
    "linalg.slogdet": lambda x: np.linalg.slogdet(x)[1],
    "linalg.cholesky": lambda x: np.linalg.cholesky(x),
    "linalg.eigh": lambda x: np.linalg.eigh(x)[0],
    "linalg.eigvalsh": lambda x: np.linalg.eigvalsh(x),
    "linalg.matrix_power": lambda x: np.linalg.matrix_power(x, 3),
}
TEXTS = {"array_repr", "array_str", "array2string"}


def test_every_entry_of_the_table_is_tested() -> None:
    assert {*CALLS, *ON_MATRICES, *TEXTS} == {*FUNCTIONS, *DERIVED}


@pytest.mark.parametrize("name", [*CALLS, *ON_MATRICES])
def test_functions_agree_with_numpy(name: str) -> None:
    """The same value, and a gradient whenever the value is a float."""
    home = np.linalg if name.startswith("linalg.") else np
    if not hasattr(home, name.removeprefix("linalg.")):
        pytest.skip("this version of NumPy lacks it")
    call, x = (CALLS[name], X) if name in CALLS else (ON_MATRICES[name], SYMMETRIC)
    expected, result = call(x), call(carrying(x))
    value = result.detach().numpy() if isinstance(result, limpid.Tensor) else result
    np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12)
    assert value.shape == np.shape(expected)
    if name not in NO_GRADIENT:
        direction = np.random.default_rng(1).normal(size=x.shape)
        weights = np.random.default_rng(2).normal(size=np.shape(expected))
        direction = direction + direction.T if name in ON_MATRICES else direction
        _, slope = limpid.jvp(lambda t: np.sum(call(t) * weights), (x,), (direction,))
        step = 1e-5 * direction
        numeric = ((call(x + step) - call(x - step)) * weights).sum() / 2e-5
        np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-8)


NO_GRADIENT = {
    "any", "all", "argmax", "argmin", "count_nonzero", "argsort", "round", "around", "fix",
    "ones_like", "empty_like", "full_like", "shape", "ndim", "size", "isclose", "allclose",
    "array_equal", "iscomplexobj", "isrealobj", "result_type", "can_cast", "linalg.matrix_rank",
    "astype",
}  # fmt: skip


def test_texts() -> None:
    t = carrying(X)
    assert np.array_repr(t) == np.array_str(t) == np.array2string(t) == repr(t)


BINARY = ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "arctan2",
          "hypot", "logaddexp", "less", "equal", "matmul"]  # fmt: skip
UNARY = ["sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "arcsin", "arccosh", "abs", "negative",
         "square", "expm1", "log1p", "floor", "sign", "isnan", "cbrt", "reciprocal", "fabs",
         "positive", "rint", "exp2", "log2", "log10", "conjugate"]  # fmt: skip


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_ufuncs(name: str) -> None:
    ufunc = getattr(np, name)
    a = SYMMETRIC + 10 if name != "arcsin" else SYMMETRIC / 100
    arrays = (a,) if ufunc.nin == 1 else (a, SQUARE)
    for operands in ((carrying(a), *arrays[1:]), (a, carrying(SQUARE))[: ufunc.nin]):
        if not any(isinstance(x, limpid.Tensor) for x in operands):
            continue
        result = ufunc(*operands)
        assert isinstance(result, limpid.Tensor)
        np.testing.assert_allclose(result.detach().numpy(), ufunc(*arrays), rtol=1e-12)


def test_scipy_ufuncs_and_strangers() -> None:
    special = pytest.importorskip("scipy.special")
    t = carrying(np.array([0.5, 2.0]))
    for name in ("expit", "erf", "gammaln", "psi", "log_expit"):
        np.testing.assert_allclose(
            getattr(special, name)(t).detach().numpy(),
            getattr(special, name)([0.5, 2.0]),
            rtol=1e-12,
        )
    assert UFUNCS["expit"] == "sigmoid"
    stranger = np.frompyfunc(lambda x: x + 1, 1, 1)  # whatever it means
    with pytest.raises(CutError, match="has no counterpart"):
        stranger(t)


def test_arrays_and_numpy_scalars_on_the_left() -> None:
    t = carrying(X)
    for result, expected in (
        (X * t, X * X), (X + t, X + X), (X - t, 0 * X), (X / t, X / X), (X.T @ t, X.T @ X),
        (np.float64(2) * t, 2 * X), (np.float32(2) - t, 2 - X), (abs(X) ** t, abs(X) ** X),
        (np.int64(2) ** t, 2.0**X),
        (operator.gt(X, t), X > X), (operator.eq(X, t), X == X), (X // t, X // X),
    ):  # fmt: skip
        assert isinstance(result, limpid.Tensor)
        np.testing.assert_allclose(result.detach().numpy(), expected)
    single = limpid.tensor(X.astype("f4"), requires_grad=True)
    assert (np.float64(2) * single).dtype is limpid.float32  # NumPy's scalars are weak


REDUCED = {
    "add": np.sum, "multiply": np.prod, "maximum": np.max, "minimum": np.min,
    "logaddexp": lambda x, axis, keepdims: np.log(np.exp(x).sum(axis, keepdims=keepdims)),
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCED)
def test_reduce_accumulate_outer(name: str) -> None:
    ufunc, t = getattr(np, name), carrying(X)
    for arguments in ({}, {"axis": 1}, {"axis": None}, {"axis": -1, "keepdims": True}):
        np.testing.assert_allclose(
            ufunc.reduce(t, **arguments).detach().numpy(), ufunc.reduce(X, **arguments)
        )
    np.testing.assert_allclose(ufunc.accumulate(t).detach().numpy(), ufunc.accumulate(X))
    np.testing.assert_allclose(ufunc.accumulate(t, 1).detach().numpy(), ufunc.accumulate(X, 1))
    np.testing.assert_allclose(ufunc.outer(X, t[0]).detach().numpy(), ufunc.outer(X, X[0]))
    assert np.logical_and.reduce(t > 0).tolist() == np.logical_and.reduce(X > 0).tolist()
    for call in (
        lambda: ufunc.reduce(t, where=X > 0),
        lambda: ufunc.reduce(t, initial=0.0),
        lambda: ufunc.reduce(t, dtype=np.float32),
        lambda: ufunc.reduce(t, out=X[0].copy()),
        lambda: ufunc.reduceat(t, [0, 1]),
        lambda: ufunc.at(t, 0, 1.0),
    ):
        raises(call, rf"np\.{name}\.")


def raises(call: Callable[[], Any], *patterns: str, kind: type[Exception] = CutError) -> str:
    """The message of the error, which names this file and a remedy."""
    with pytest.raises(kind) as error:
        call()
    message = str(error.value)
    for pattern in (*patterns, re.escape(HERE) + r":\d+", "remedy"):
        assert re.search(pattern, message), message
    return message


def test_what_limpid_lacks_raises_with_name_and_remedy() -> None:
    t, z = carrying(X), X.copy()
    lacking = r"has no counterpart in limpid"
    raises(lambda: np.unique(t), r"np\.unique", lacking, r"np\.unique\(t\.detach\(\)\.numpy\(\)\)")
    raises(lambda: np.linalg.eig(t @ t.T), r"np\.linalg\.eig", lacking)
    raises(lambda: np.fft.fft(t), r"np\.fft\.fft", lacking)
    raises(lambda: np.heaviside(t, 0), r"np\.heaviside", lacking)
    raises(lambda: np.interp(t, [0, 1], [0, 1]), lacking)
    raises(lambda: np.apply_along_axis(sum, 0, t), lacking)
    raises(lambda: np.save("nowhere", t), lacking)
    for call in (
        lambda: np.add(t, 1, out=z), lambda: np.sum(t, axis=0, out=z[0]),
        lambda: np.sum(z, axis=0, out=t), lambda: np.concatenate([t, t], out=z),
        lambda: np.dot(t, z.T, out=z), lambda: np.clip(t, 0, 1, out=z),
    ):  # fmt: skip
        raises(call, r"out=", "use the result")
    raises(lambda: z.__iadd__(t), r"for z \+= t write z = z \+ t")
    for call, argument in (
        (lambda: np.sum(t, dtype=np.float32), "dtype="),
        (lambda: np.sum(t, where=X > 0), "where="),
        (lambda: np.max(t, initial=0.0), "initial="),
        (lambda: np.add(t, 1, where=X > 0), "where="),
        (lambda: np.reshape(t, (4, 3), order="F"), "order="),
        (lambda: np.take(t, [9], mode="wrap"), "mode="),
        (lambda: np.pad(t, 1, mode="reflect", reflect_type="odd"), "reflect_type="),
        (lambda: np.diff(t, prepend=0), "prepend"),
    ):
        raises(call, argument)
    np.sum(t, dtype=None, where=True, initial=np._NoValue)  # the defaults, spelled out
    with pytest.raises(OperandError, match="needs the argument 'x'"):
        np.where(t > 0)
    for call in (
        lambda: np.copyto(z, t), lambda: np.full_like(z, t[0, 0]), lambda: np.put(z, [0], t[0]),
        lambda: np.putmask(z, z > 0, t), lambda: np.place(t, z > 0, 0),
    ):  # fmt: skip
        raises(call, "would write a tensor into an array")
    np.testing.assert_array_equal(z, X)  # nothing was written


# Every way out of the graph. `z` is an array, `t` a tensor with shape (3,), `s` one of its items.
def store_item(z: Any, t: Any, s: Any) -> None:
    z[0] = s


def store_slice(z: Any, t: Any, s: Any) -> None:
    z[:] = t


def store_list(z: Any, t: Any, s: Any) -> None:
    z[:] = [s, s, s]


LOSSES = {
    "np.array of a list": (lambda z, t, s: np.array([s, s]), r"limpid\.stack"),
    "np.array": (lambda z, t, s: np.array(t), r"\.detach\(\)\.numpy\(\)"),
    "np.asarray": (lambda z, t, s: np.asarray(t), r"\.detach\(\)\.numpy\(\)"),
    "numpy method": (lambda z, t, s: t.numpy(), r"\.detach\(\)\.numpy\(\)"),
    "index an array": (lambda z, t, s: z[t], r"limpid\.asarray\(X\)\[t\]"),
    "np.full": (lambda z, t, s: np.full(3, s), r"\.detach\(\)\.numpy\(\)"),
    "np.vectorize": (lambda z, t, s: np.vectorize(abs)(t), r"\.detach\(\)\.numpy\(\)"),
    "method of an array": (lambda z, t, s: z.dot(t), r"X @ t for X\.dot\(t\)"),
    "sum of a list": (lambda z, t, s: np.sum([s, s]), r"limpid\.stack"),
    "random": (lambda z, t, s: np.random.default_rng(0).normal(t), r"\.detach\(\)"),
    "z[:] = t": (store_slice, r"limpid\.stack"),
    "z[:] = [t]": (store_list, r"limpid\.stack"),
}
NUMBERS = {
    "float": lambda z, t, s: float(s),
    "int": lambda z, t, s: int(s),
    "item": lambda z, t, s: s.item(),
    "tolist": lambda z, t, s: t.tolist(),
    "np.float64": lambda z, t, s: np.float64(s),
    "math": lambda z, t, s: __import__("math").sin(s),
}


def attempt(convert: Callable[..., Any], t: Any) -> Any:
    convert(np.zeros(3), t, t[0])
    return limpid.sum(t)


@pytest.mark.parametrize("name", LOSSES)
def test_conversions_that_would_lose_a_gradient(name: str) -> None:
    convert, remedy = LOSSES[name]
    raises(lambda: attempt(convert, carrying(np.ones(3))), remedy)
    raises(lambda: limpid.grad(lambda t: attempt(convert, t))(np.ones(3)), remedy)
    raises(lambda: limpid.jvp(lambda t: attempt(convert, t), (np.ones(3),), (np.ones(3),)), remedy)
    raises(lambda: limpid.record(lambda t: attempt(convert, t), np.ones(3)), kind=AbstractError)
    if name != "numpy method":  # without a gradient each is a plain conversion
        convert(np.zeros(3), limpid.tensor([0, 1, 1]), limpid.tensor(1))


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_leave_outside_a_transform_only(name: str) -> None:
    """`float(loss)` for a log is common, and leaves a mark; inside a transform it is a mistake."""
    convert = NUMBERS[name]
    t = carrying(np.ones(3))
    convert(np.zeros(3), t, t[0])
    raises(lambda: limpid.grad(lambda t: attempt(convert, t))(np.ones(3)), r"\.detach\(\)")
    raises(lambda: limpid.record(lambda t: attempt(convert, t), np.ones(3)), kind=AbstractError)


@pytest.mark.parametrize("where", ["eager", "grad", "record"])
def test_storing_one_item(where: str) -> None:
    """NumPy calls float(t) for z[0] = t and raises an error of its own, with limpid's as cause."""
    z = np.zeros(3)

    def f(t: Any) -> Any:
        store_item(z, t, t[0])
        return limpid.sum(t)

    run = {
        "eager": lambda: f(carrying(np.ones(3))),
        "grad": lambda: limpid.grad(f)(np.ones(3)),
        "record": lambda: limpid.record(f, np.ones(3)),
    }[where]
    with pytest.raises(ValueError, match="setting an array element") as error:
        run()
    cause = error.value.__cause__
    assert isinstance(cause, AbstractError if where == "record" else CutError)
    assert HERE in str(cause)
    assert "z[0]" in str(cause)
    assert "remedy" in str(cause)
    assert not z.any()
    z[0] = limpid.tensor(2.0)  # no gradient, nothing to lose
    assert z[0] == 2


def test_views_are_read_only() -> None:
    t = limpid.tensor(X)
    for view in (np.asarray(t), t.numpy(), carrying(X).detach().numpy()):
        assert not view.flags.writeable
    assert np.array(t).flags.writeable  # a copy of one's own
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    assert np.shares_memory(np.asarray(t), t.numpy())


def test_integer_tensors_index_arrays() -> None:
    i = limpid.tensor([2, 0])
    np.testing.assert_array_equal(X[i], X[[2, 0]])
    np.testing.assert_array_equal(X[limpid.tensor(1)], X[1])
    np.testing.assert_array_equal(X[limpid.tensor(X) > 0], X[X > 0])
    assert limpid.asarray(X)[i].shape == (2, 4)

    def inside(t: Any) -> Any:
        return np.sum(t * X[np.argmax(t)])

    best = int(np.argmax([0.0, 3.0, 1.0, 2.0]) % 3)
    g = limpid.grad(lambda t: np.sum(t[:3] * X[np.argmax(t[:3]) % 3, :3]))
    np.testing.assert_array_equal(g(np.array([0.0, 3.0, 1.0])), X[best, :3])
    raises(lambda: limpid.record(inside, np.ones(4)), kind=AbstractError)


# Code that was written for arrays: it names NumPy and nothing else.


def network(parameters: Any, x: Any, y: Any) -> Any:
    """Mean cross-entropy of a network with one hidden layer."""
    (w1, b1), (w2, b2) = parameters
    hidden = np.tanh(np.dot(x, w1) + b1)
    scores = hidden @ w2 + b2
    scores = scores - np.max(scores, axis=1, keepdims=True)
    logs = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    weights = np.concatenate([np.ravel(w1), np.ravel(w2)])
    return -np.mean(logs[np.arange(len(y)), y]) + 0.01 * np.sum(np.square(weights))


def logistic(w: Any, x: Any, y: Any) -> Any:
    """−log likelihood of logistic regression, the way people write it for arrays."""
    p = 1 / (1 + np.exp(-x @ w))
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p))


def lasso(w: Any, x: Any, y: Any) -> Any:
    residual = np.where(np.abs(w) > 0.1, w, 0 * w)
    rows = np.vstack([x @ residual, y])
    return np.linalg.norm(np.diff(rows, axis=0)) + np.clip(w, -1, 1).sum() + w.T.mean()


RNG = np.random.default_rng(5)
DATA = RNG.normal(size=(8, 4))
CLASSES = RNG.integers(0, 3, 8)
PROGRAMS: dict[str, tuple[Callable[..., Any], Any, tuple[Any, ...]]] = {
    "network": (
        network,
        [(RNG.normal(size=(4, 5)), RNG.normal(size=5)), (RNG.normal(size=(5, 3)), np.zeros(3))],
        (DATA, CLASSES),
    ),
    "logistic": (logistic, RNG.normal(size=4), (DATA, (CLASSES > 0) * 1.0)),
    "lasso": (lasso, RNG.normal(size=4), (DATA, RNG.normal(size=8))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_numpy_programs_become_differentiable(name: str) -> None:
    program, parameters, data = PROGRAMS[name]
    leaves, rebuild = limpid.transforms.nesting.flatten(parameters)
    points = [p for _, p in leaves]
    directions = [RNG.normal(size=p.shape) for p in points]

    def along(step: float) -> Any:
        moved = [p + step * d for p, d in zip(points, directions, strict=True)]
        return program(rebuild(iter(moved)), *data)

    numeric = (8 * (along(1e-4) - along(-1e-4)) - (along(2e-4) - along(-2e-4))) / 12e-4
    value, gradient = limpid.value_and_grad(program)(parameters, *data)
    np.testing.assert_allclose(value, program(parameters, *data), rtol=1e-12)
    found = [g for _, g in limpid.transforms.nesting.flatten(gradient)[0]]
    slope = sum(np.sum(g * d) for g, d in zip(found, directions, strict=True))
    np.testing.assert_allclose(slope, numeric, rtol=1e-7)
    _, tangent = limpid.jvp(
        lambda p: program(p, *data), (parameters,), (rebuild(iter(directions)),)
    )
    np.testing.assert_allclose(tangent, slope, rtol=1e-10)
    recorded = limpid.record(program, parameters, *data)
    np.testing.assert_allclose(recorded(parameters, *data).numpy(), value, rtol=1e-12)
    step = limpid.record(limpid.grad(program), parameters, *data)
    again = [g.numpy() for _, g in limpid.transforms.nesting.flatten(step(parameters, *data))[0]]
    for g, wanted in zip(again, found, strict=True):
        np.testing.assert_allclose(g, wanted, rtol=1e-10, atol=1e-12)


def test_logistic_regression_has_the_gradient_of_the_lecture() -> None:
    _, w, (x, y) = PROGRAMS["logistic"]
    p = 1 / (1 + np.exp(-x @ w))
    np.testing.assert_allclose(limpid.grad(logistic)(w, x, y), x.T @ (p - y), rtol=1e-10)


def test_a_node_belongs_to_the_line_that_called_numpy() -> None:
    from limpid.graph.source import locate

    t = carrying(X)
    for y in (np.sum(t), X * t, np.linalg.norm(t), np.add.reduce(t)):
        location = locate(y.node.source)
        assert location is not None
        assert location.file.endswith(HERE)
