"""Derivations: as the lectures write them, and each equation evaluated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.explanation.derivation.derivation import Derivation
from limpid.explanation.formulas.text import identifier, text
from limpid.graph.registry import primitives

RNG = np.random.default_rng(0)


def leaf(*shape: int) -> Any:
    return limpid.tensor(RNG.normal(size=shape), requires_grad=True)


def number(value: float) -> Any:
    return limpid.tensor(value, requires_grad=True, dtype="float64")


def close(actual: Any, expected: Any) -> None:
    tolerance = 1e-5 if expected.dtype == np.float32 else 1e-9
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance / 100)


def evaluated(derivation: Derivation) -> dict[str, Any]:
    """All names, by running the equations as the NumPy text that they are."""
    names: dict[str, Any] = {name: op.forward for name, op in primitives.items()}
    own = ("sum", "outer", "ones", "squeeze", "reshape", "where")
    names |= {name: getattr(np, name) for name in own}
    names |= {"np": np, **derivation.values}
    for equation in (*derivation.forward, *derivation.gradients):
        right = np.asarray(eval(text(equation.right), names))
        if equation.further is not None:
            further = np.asarray(eval(text(equation.further), names))
            close(further, right)
        shape = tuple(n for n in equation.left.shape if n != 1)
        names[identifier(equation.left.name)] = np.broadcast_to(right, shape)
    return names


def check(loss: Any, **wrt: Any) -> Derivation:
    """The equations give the gradients that backward gives."""
    derivation = limpid.derive(loss)
    names = evaluated(derivation)
    np.testing.assert_allclose(names[identifier(derivation.output)], loss.item(), rtol=1e-12)
    loss.backward()
    for name, x in wrt.items():
        found = names[f"d{identifier(derivation.output)}_d{name}"]
        close(found, np.squeeze(x.grad.numpy()))
    return derivation


def test_sum_times_z() -> None:
    x, y, z = number(-2), number(5), number(-4)
    f = (x + y) * z
    assert str(check(f, x=x, y=y, z=z)).splitlines() == [
        "forward",
        "  f = (x + y) * z",
        "backward",
        "  df_dz = x + y",
        "  df_dy = z",
        "  df_dx = z",
    ]


def test_sigmoid_gate_as_one_node() -> None:
    w, x = leaf(3), leaf(3)
    s = w @ x
    f = limpid.sigmoid(s)
    lines = str(check(f, w=w, x=x)).splitlines()
    assert "  df_ds = f * (1 - f)" in lines
    assert "        = f * (1 - f) * x" in lines


def test_sigmoid_gate_written_out() -> None:
    w, x = leaf(3), leaf(3)
    s = w @ x
    f = 1 / (1 + limpid.exp(-s))
    check(f, w=w, x=x)


def test_squared_norm() -> None:
    W, x = leaf(3, 2), leaf(2)
    q = W @ x
    L = limpid.sum(q**2)
    derivation = check(L, W=W, x=x)
    assert str(derivation.results["W"]) == "dL_dW = outer(dL_dq, x)\n      = 2 * outer(q, x)"
    assert str(derivation.results["x"]) == "dL_dx = W.T @ dL_dq\n      = 2 * (W.T @ q)"
    assert derivation.results["W"].latex().endswith(r"2 \, q \, x^\top")


def test_linear_layer_on_a_batch() -> None:
    X, W, b = leaf(5, 3), leaf(3, 4), leaf(4)
    Y = X @ W + b
    L = limpid.sum(limpid.tanh(Y))
    derivation = check(L, X=X, W=W, b=b)
    assert str(derivation.forward[0]) == "Y = X @ W + b"
    rights = {name: text(e.right) for name, e in derivation.results.items()}
    assert rights == {"X": "dL_dY @ W.T", "W": "X.T @ dL_dY", "b": "sum(dL_dY, axis=0)"}


def test_four_layers_and_softmax() -> None:
    x, y = RNG.normal(size=3), np.array([0.0, 0.0, 1.0])
    W1, W2, W3, W4 = leaf(5, 3), leaf(4, 5), leaf(4, 4), leaf(3, 4)
    b1, b2, b3, b4 = leaf(5), leaf(4), leaf(4), leaf(3)
    z1 = W1 @ x + b1
    o1 = limpid.sigmoid(z1)
    z2 = W2 @ o1 + b2
    o2 = limpid.sigmoid(z2)
    z3 = W3 @ o2 + b3
    o3 = limpid.sigmoid(z3)
    z4 = W4 @ o3 + b4
    yhat = limpid.softmax(z4)
    L = -limpid.sum(y * limpid.log(yhat))
    derivation = check(L, W1=W1, W2=W2, W3=W3, W4=W4, b1=b1, b2=b2, b3=b3, b4=b4)
    gradients = {e.left.name: e for e in derivation.gradients}
    assert text(gradients["dL_dz4"].shortest) == "yhat - y"
    for k in (1, 2, 3):
        assert text(gradients[f"dL_do{k}"].right) == f"W{k + 1}.T @ dL_dz{k + 1}"
        assert text(gradients[f"dL_dz{k}"].right) == f"dL_do{k} * o{k} * (1 - o{k})"
    for k, before in enumerate(("x", "o1", "o2", "o3"), 1):
        assert text(gradients[f"dL_dW{k}"].right) == f"outer(dL_dz{k}, {before})"
        assert text(gradients[f"dL_db{k}"].right) == f"dL_dz{k}"
    assert text(derivation.results["W4"].shortest) == "outer(yhat - y, o3)"
    assert derivation.results["W4"].latex().splitlines() == [
        r"\frac{\partial L}{\partial W^{4}} "
        r"&= \frac{\partial L}{\partial z^{4}} \, {o^{3}}^\top \\",
        r"&= \left(\hat{y} - y\right) \, {o^{3}}^\top",
    ]


def test_logistic_regression() -> None:
    w, x = leaf(3), RNG.normal(size=3)
    p = limpid.sigmoid(w @ x)
    L = -limpid.log(p)
    derivation = check(L, w=w)
    assert text(derivation.results["w"].shortest) == "-(1 - p) * x"


def test_hinge_loss() -> None:
    w, x = number(0.3), 2.0
    s = w * x
    L = limpid.relu(1 - s)
    assert text(check(L, w=w).results["w"].shortest) == "-2 * where(L > 0, 1, 0)"


def test_shared_parameter_sums() -> None:
    """Each use adds its share."""
    w, x = number(0.4), number(1.5)
    a = limpid.tanh(w * x)
    b = limpid.tanh(w * a)
    derivation = check(b, w=w, x=x)
    assert text(derivation.results["w"].right).count("+") == 1


def test_product_of_jacobians() -> None:
    """A deep linear network: transposes of all weights above."""
    W1, W2, W3, x = leaf(3, 2), leaf(3, 3), leaf(2, 3), leaf(2)
    L = limpid.sum(W3 @ (W2 @ (W1 @ x)))
    derivation = check(L, W1=W1, W2=W2, W3=W3, x=x)
    assert text(derivation.results["x"].shortest).startswith("W1.T @ (W2.T @ ")


def test_modules_and_labels() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x, y = RNG.normal(size=(5, 3)).astype(np.float32), np.array([0, 1, 1, 0, 1])
    loss = nn.functional.cross_entropy(model(x), y)
    derivation = limpid.derive(loss)
    names = evaluated(derivation)
    loss.backward()
    for name, p in model.named_parameters():
        found = names[f"dloss_d{identifier(name)}"]
        close(found, p.grad.numpy())


def test_axes_of_extent_one() -> None:
    X, W, b = leaf(1, 3), leaf(3, 4), leaf(1, 4)
    Y = limpid.softmax(X @ W + b, axis=1)
    L = limpid.sum(Y * Y)
    check(L, X=X, W=W, b=b)


def test_more_axes_than_matrices_have() -> None:
    X, W = leaf(2, 3, 4), leaf(4, 5)
    Y = X @ W
    L = limpid.sum(limpid.tanh(Y) ** 2)
    assert "np.einsum(" in str(check(L, X=X, W=W))


def test_forward_and_reverse_cost() -> None:
    W, x = leaf(50, 40), leaf(40)
    orders = limpid.derive(limpid.sum(W @ x), wrt=x).orders
    assert (orders.inputs, orders.outputs) == (40, 1)
    assert orders.forward == 40 * orders.reverse
    assert "reverse is 40 times as cheap" in str(orders)


def test_what_cannot_be_derived() -> None:
    x = leaf(3)
    with pytest.raises(limpid.errors.NoGradientError, match="requires_grad"):
        limpid.derive(limpid.tensor(1.0))
    with pytest.raises(limpid.errors.ArgumentError, match="single number"):
        limpid.derive(x * 2)
    with pytest.raises(limpid.errors.ArgumentError, match="does not depend"):
        limpid.derive(limpid.sum(x), wrt=leaf(3))


FUNCTIONS = [limpid.tanh, limpid.sigmoid, limpid.exp, limpid.sin, limpid.softmax, limpid.relu]


def program(rng: np.random.Generator) -> tuple[Any, list[Any]]:
    """A random program of matrices and vectors: (loss, leaves)."""
    n = int(rng.integers(2, 5))

    def new(*shape: int) -> Any:
        return limpid.tensor(rng.normal(size=shape) / 2, requires_grad=True)

    A, B, u, v = new(n, n), new(n, n), new(n), new(n)
    vectors, matrices = [u, v], [A, B]
    for _ in range(int(rng.integers(3, 7))):
        M, N = (matrices[rng.integers(len(matrices))] for _ in range(2))
        x, y = (vectors[rng.integers(len(vectors))] for _ in range(2))
        f = FUNCTIONS[rng.integers(len(FUNCTIONS))]
        choice = int(rng.integers(9))
        if choice < 5:
            made = [f(x), M @ x, x * y - u, x @ M, limpid.sum(M * N, axis=1)][choice]
            vectors.append(made)
        else:
            made = [f(M), M @ N.T, M * N + y, limpid.mean(x) * M][choice - 5]
            matrices.append(made)
    loss = limpid.sum(vectors[-1] * vectors[-1]) + limpid.mean(limpid.tanh(matrices[-1]))
    return loss, [A, B, u, v]


@pytest.mark.parametrize("seed", range(30))
def test_random_programs(seed: int) -> None:
    """Written after `derive` was: nothing there knows these."""
    loss, leaves = program(np.random.default_rng(seed))
    loss.backward()
    used = [x for x in leaves if x.grad is not None]
    derivation = limpid.derive(loss, wrt=used)
    names = evaluated(derivation)
    close(names["loss"], np.asarray(loss.item()))
    for name, x in zip(derivation.results, used, strict=True):
        close(names[f"dloss_d{identifier(name)}"], x.grad.numpy())


def test_local_derivatives_and_chains() -> None:
    W1, W2, b, x = leaf(4, 3), leaf(2, 4), leaf(4), RNG.normal(size=3)
    z = W1 @ x + b
    o = limpid.tanh(z)
    s = W2 @ o
    L = s @ s
    derivation = limpid.derive(L, wrt=[W1, b])
    assert list(map(str, derivation.locals)) == [
        "dL/ds = 2 * s",
        "ds/do = W2",
        "do/dz = diag(1 - o ** 2)",
        "dz/db = diag(ones(4))",
        "dz/dW1: g -> outer(g, x)",
    ]
    assert derivation.chains["W1"] == [("L", "s", "o", "z", "W1")]
    assert "dL/db = dL/ds · ds/do · do/dz · dz/db" in str(derivation)
    assert r"\frac{\partial o}{\partial z} &= \operatorname{diag}" in derivation.latex()


def test_a_quantity_that_is_used_twice_has_two_chains() -> None:
    w = number(0.4)
    a = limpid.tanh(w)
    b = limpid.sin(w)
    L = a * b
    assert sorted(limpid.derive(L).chains["w"]) == [("L", "a", "w"), ("L", "b", "w")]


def test_shapes_under_names() -> None:
    W, x = leaf(3, 2), leaf(2)
    q = W @ x
    L = limpid.sum(q * q)
    assert limpid.derive(L, wrt=W).text(shapes=True).splitlines()[-6:] == [
        "  dL_dq = 2 * q",
        "  3           3",
        "  dL_dW = outer(dL_dq, x)",
        "  3×2           3      2",
        "        = 2 * outer(q, x)",
        "                    3  2",
    ]
