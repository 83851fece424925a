"""Functional transforms against JAX in float64: the same functions, the same nestings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from tests.test_table import close

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.peers
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

TOLERANCE = 1e-9
RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 3))
W = RNG.normal(size=(3, 3)) + 2 * np.eye(3)


class Limpid:
    """limpid's functions under the names that both sides use here."""

    np = limpid
    softmax = staticmethod(lambda x: limpid.softmax(x, axis=-1))
    logsumexp = staticmethod(lambda x: limpid.logsumexp(x, axis=-1))


class Jax:
    """JAX's."""

    np = jnp
    softmax = staticmethod(lambda x: jax.nn.softmax(x, axis=-1))
    logsumexp = staticmethod(lambda x: jax.scipy.special.logsumexp(x, axis=-1))


def network(lib: Any, x: Any, w: Any) -> Any:
    hidden = lib.np.tanh(lib.np.matmul(x, w))
    return lib.np.sum(lib.logsumexp(hidden * hidden) - lib.np.sum(lib.softmax(hidden), axis=0)[0])


def recurrence(lib: Any, x: Any, w: Any) -> Any:
    state = x[0]
    for k in range(1, 4):
        state = lib.np.sin(lib.np.matmul(state, w) + x[k])
    return lib.np.sum(state * state)


def algebra(lib: Any, x: Any, w: Any) -> Any:
    solved = lib.np.linalg.solve(w, lib.np.matrix_transpose(x))
    _, log_volume = lib.np.linalg.slogdet(w)
    return lib.np.sum(solved * solved) + log_volume


def selection(lib: Any, x: Any, w: Any) -> Any:
    positive = lib.np.where(x > 0, lib.np.exp(x), x * x * x)
    return lib.np.sum(lib.np.max(positive, axis=1)) * lib.np.prod(w[0])


FUNCTIONS = [network, recurrence, algebra, selection]


def both(function: Any) -> tuple[Any, Any]:
    return (lambda x, w: function(Limpid, x, w)), (lambda x, w: function(Jax, x, w))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients(function: Any) -> None:
    mine, theirs = both(function)
    for g, t in zip(limpid.grad(mine, (0, 1))(X, W), jax.grad(theirs, (0, 1))(X, W), strict=True):
        close(g, t, TOLERANCE)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_tangents(function: Any) -> None:
    mine, theirs = both(function)
    directions = (np.cos(X), np.sin(W))
    for value, t in zip(
        limpid.jvp(mine, (X, W), directions), jax.jvp(theirs, (X, W), directions), strict=True
    ):
        close(value, t, TOLERANCE)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_hessians(function: Any) -> None:
    mine, theirs = both(function)
    close(limpid.hessian(mine, 1)(X, W), jax.hessian(theirs, 1)(X, W), TOLERANCE)


@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
def test_jacobians(mode: str) -> None:
    mine = limpid.jacobian(lambda x: limpid.tanh(x @ W) * limpid.sum(x), mode=mode)(X)
    theirs = jax.jacobian(lambda x: jnp.tanh(x @ W) * jnp.sum(x))(X)
    close(mine, theirs, TOLERANCE)


def test_third_derivatives() -> None:
    def mine(x: Any) -> Any:
        return limpid.sum(limpid.sin(x) * limpid.exp(x * 0.3))

    def theirs(x: Any) -> Any:
        return jnp.sum(jnp.sin(x) * jnp.exp(x * 0.3))

    x = np.float64(0.7)
    g, t = mine, theirs
    for _ in range(3):
        g, t = limpid.grad(g), jax.grad(t)
        close(g(x), t(x), TOLERANCE)


def test_scan_and_its_gradient() -> None:
    def mine(w: Any, xs: Any) -> Any:
        def body(h: Any, x: Any) -> tuple[Any, Any]:
            h = limpid.tanh(h @ w + x)
            return h, limpid.sum(h)

        last, sums = limpid.scan(body, np.zeros(3), xs)
        return limpid.sum(last) + limpid.sum(sums * sums)

    def theirs(w: Any, xs: Any) -> Any:
        def body(h: Any, x: Any) -> tuple[Any, Any]:
            h = jnp.tanh(h @ w + x)
            return h, jnp.sum(h)

        last, sums = jax.lax.scan(body, jnp.zeros(3), xs)
        return jnp.sum(last) + jnp.sum(sums * sums)

    wanted = jax.grad(theirs, (0, 1))(W, X)
    eager = limpid.grad(mine, (0, 1))(W, X)
    recorded = limpid.record(limpid.grad(mine, (0, 1)), W, X)(W, X)
    for e, r, t in zip(eager, recorded, wanted, strict=True):
        close(e, t, TOLERANCE)
        close(r.numpy(), t, TOLERANCE)
    close(limpid.hessian(mine, 0)(W, X), jax.hessian(theirs, 0)(W, X), TOLERANCE)
