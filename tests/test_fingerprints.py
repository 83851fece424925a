"""Fingerprints: graphs that compute something else have others, and code of others has none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.compiler.program.fingerprint import fingerprint
from limpid.graph.registry import primitives

Call = Callable[[], Any]


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def graph_of(function: Any, *arguments: Any) -> bytes | None:
    return fingerprint(limpid.record(function, *arguments).graph)


X = numbers(4, 6)
UNLIKE: dict[str, tuple[Call, Call]] = {
    "primitives": (lambda: graph_of(limpid.exp, X), lambda: graph_of(limpid.tanh, X)),
    "shapes": (lambda: graph_of(limpid.exp, X), lambda: graph_of(limpid.exp, X[1:])),
    "types": (
        lambda: graph_of(limpid.exp, X),
        lambda: graph_of(limpid.exp, X.astype(np.float64)),
    ),
    "params": (
        lambda: graph_of(lambda x: limpid.sum(x, axis=0), X),
        lambda: graph_of(lambda x: limpid.sum(x, axis=1), X),
    ),
    "signs of zero": (
        lambda: graph_of(lambda x: limpid.maximum(x, 0.0), X),
        lambda: graph_of(lambda x: limpid.maximum(x, -0.0), X),
    ),
    "numbers' types": (
        lambda: graph_of(lambda x: x * 2, X),
        lambda: graph_of(lambda x: x * 2.0, X),
    ),
    "constants": (
        lambda: graph_of(lambda x: x * np.arange(6), X),
        lambda: graph_of(lambda x: x * np.arange(1, 7), X),
    ),
    "constants' types": (
        lambda: graph_of(lambda x: x * np.arange(6, dtype=np.int32), X),
        lambda: graph_of(lambda x: x * np.arange(6, dtype=np.int64), X),
    ),
    "operands' order": (
        lambda: graph_of(lambda x, y: x - y, X, X + 1),
        lambda: graph_of(lambda x, y: y - x, X, X + 1),
    ),
    "what is used twice": (
        lambda: graph_of(lambda x, y: x * x, X, X + 1),
        lambda: graph_of(lambda x, y: x * y, X, X + 1),
    ),
    "outputs": (
        lambda: graph_of(lambda x: (limpid.exp(x), limpid.tanh(x)), X),
        lambda: graph_of(lambda x: (limpid.tanh(x), limpid.exp(x)), X),
    ),
    "outputs of a node": (
        lambda: graph_of(lambda x: limpid.linalg.qr(x)[0] * 1.0, numbers(4, 4)),
        lambda: graph_of(lambda x: limpid.linalg.qr(x)[1] * 1.0, numbers(4, 4)),
    ),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_unlike_graphs_have_other_fingerprints(name: str) -> None:
    one, other = (make() for make in UNLIKE[name])
    assert one is not None
    assert other is not None
    assert one != other
    assert UNLIKE[name][0]() == one


def test_writes_count() -> None:
    def step(order: bool) -> bytes | None:
        a, b = limpid.Buffer(numbers(3)), limpid.Buffer(numbers(3))

        def function(x: Any) -> None:
            made = a + x, b * x
            limpid.assign(a, made[order])
            limpid.assign(b, made[not order])

        return graph_of(function, numbers(3))

    assert step(True) != step(False)


def test_names_do_not_count() -> None:
    def step(x: Any) -> Any:
        return limpid.tanh(x * 2.0)

    def other(batch: Any) -> Any:
        doubled = batch * 2.0
        return limpid.tanh(doubled)

    assert graph_of(step, X) == graph_of(other, X)


def test_code_of_others_has_no_fingerprint() -> None:
    cube = limpid.elementwise("cube_of_test", lambda x: x * x * x, local=[lambda y, x: 3 * x * x])
    assert graph_of(lambda x: cube(x), X) is None

    class Twice(limpid.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * 2

    assert graph_of(lambda x: Twice.apply(x), X) is None


def test_other_code_of_a_primitive_has_no_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    add, x = primitives["sum"], numbers(4, 6)
    before = graph_of(limpid.sum, x)
    assert before is not None
    with monkeypatch.context() as patched:
        patched.setattr(add, "native", lambda x, **params: add.forward(x, **params) + 1)
        assert graph_of(limpid.sum, x) is None
        patched.setattr(add, "native", primitives["mean"].forward)
        assert graph_of(limpid.sum, x) not in (None, before)
    assert graph_of(limpid.sum, x) == before
