"""recompute: the same results and gradients, with fewer values kept."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.graph.node import Node, reachable

X = np.array([[0.3, -1.2], [2.0, 0.7]])
W = np.array([[1.5, -0.5], [0.25, 1.0]])


def block(x: Any, w: Any) -> Any:
    return limpid.tanh(x @ w) * x


def loss(x: Any, w: Any) -> Any:
    return limpid.sum(block(block(x, w), w) * 2.0)


def saving_loss(x: Any, w: Any) -> Any:
    part = limpid.recompute(block)
    return limpid.sum(part(part(x, w), w) * 2.0)


def test_value_and_gradient() -> None:
    np.testing.assert_array_equal(saving_loss(X, W), loss(X, W))
    expected = limpid.grad(loss, (0, 1))(X, W)
    for actual, wanted in zip(limpid.grad(saving_loss, (0, 1))(X, W), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-14)
    x, w = (limpid.tensor(a, requires_grad=True) for a in (X, W))
    saving_loss(x, w).backward()
    np.testing.assert_allclose(x.grad.numpy(), expected[0], rtol=1e-14)
    np.testing.assert_allclose(w.grad.numpy(), expected[1], rtol=1e-14)


def test_every_mode_and_order() -> None:
    def flat(f: Any) -> Any:
        return lambda v: f(limpid.reshape(v[:4], (2, 2)), limpid.reshape(v[4:], (2, 2)))

    v = np.concatenate([X.ravel(), W.ravel()])
    transforms = [
        limpid.grad,
        limpid.hessian,
        lambda f: limpid.jacobian(f, mode="forward"),
        lambda f: limpid.jacobian(limpid.jacobian(f, mode="forward"), mode="forward"),
        lambda f: limpid.jacobian(limpid.jacobian(f, mode="forward"), mode="reverse"),
        lambda f: limpid.jacobian(limpid.grad(f), mode="reverse"),
        lambda f: limpid.jacobian(limpid.hessian(f)),
    ]
    for transform in transforms:
        actual, wanted = transform(flat(saving_loss))(v), transform(flat(loss))(v)
        np.testing.assert_allclose(actual, wanted, rtol=1e-11, atol=1e-12)
    limpid.check_grad(saving_loss, X, W)


def test_closed_over_tensors_and_parameters() -> None:
    w = limpid.Parameter(W)
    scale = limpid.tensor(X, requires_grad=True)
    computed = scale * 3.0  # neither a leaf nor an argument

    def run(wrap: Any) -> list[Any]:
        w.grad = scale.grad = None
        computed = scale * 3.0
        f = wrap(lambda x: limpid.tanh(x @ w) * computed)
        x = limpid.tensor(X, requires_grad=True)
        limpid.sum(f(f(x))).backward()
        return [t.grad.numpy() for t in (x, w, scale)]

    assert computed.requires_grad
    for actual, wanted in zip(run(limpid.recompute), run(lambda f: f), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-14)


def test_only_a_closed_over_parameter_needs_a_gradient() -> None:
    w = limpid.Parameter(W)
    limpid.sum(limpid.recompute(lambda x: x @ w)(X)).backward()
    assert w.grad is not None
    np.testing.assert_allclose(w.grad.numpy(), X.sum(0)[:, None] * np.ones((1, 2)))


def test_closing_over_one_output_of_several() -> None:
    class Parts(limpid.Function):
        def forward(ctx, x):
            return x * 2.0, x * 3.0

        def backward(ctx, g, h):
            return g * 2.0 + h * 3.0

    x = limpid.tensor(X, requires_grad=True)
    a, b = Parts.apply(x)
    y = limpid.recompute(lambda k: k * a * b)(limpid.tensor(2.0, dtype="float64"))
    limpid.sum(y).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * 2 * 6 * X)
    tangent = limpid.jvp(
        lambda x: limpid.recompute(lambda p: p[0] * p[1])(Parts.apply(x)), (X,), (np.ones((2, 2)),)
    )[1]
    np.testing.assert_allclose(tangent, 12 * X)


def test_any_nesting_of_arguments_and_results() -> None:
    def f(state: dict[str, Any], *, gain: float, names: tuple[str, ...]) -> dict[str, Any]:
        a, b = state["pair"]
        return {"sum": a + b, "product": [a * b * gain, None], "names": names, "count": 3}

    a = limpid.tensor([1.0, 2.0], requires_grad=True)
    b = limpid.tensor([3.0, 4.0])
    out = limpid.recompute(f)({"pair": (a, b)}, gain=2.0, names=("u", "v"))
    assert out["names"] == ("u", "v")
    assert out["count"] == 3
    limpid.sum(out["sum"] + out["product"][0]).backward()
    assert a.grad is not None
    np.testing.assert_array_equal(a.grad.numpy(), [7.0, 9.0])


def test_results_without_gradient_come_as_they_are() -> None:
    x = limpid.tensor(X, requires_grad=True)
    y, index, same = limpid.recompute(lambda x: (x * x, limpid.argmax(x), x))(x)
    assert y.requires_grad
    assert not index.requires_grad
    assert index.item() == 2
    limpid.sum(same * y).backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * X * X)
    np.testing.assert_array_equal(limpid.recompute(block)(X, W), block(X, W))
    with limpid.no_grad():
        assert not limpid.recompute(lambda x: x * x)(x).requires_grad


def test_an_argument_given_twice_or_closed_over_too() -> None:
    x = limpid.tensor(X, requires_grad=True)
    limpid.sum(limpid.recompute(lambda a, b: a * b * x)(x, x)).backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * X * X)


def test_in_place_spellings_inside() -> None:
    def f(x: Any) -> Any:
        x *= 2.0
        x[0] = 0.0
        return x * x

    x = limpid.tensor(X, requires_grad=True)
    limpid.sum(limpid.recompute(f)(x)).backward()
    np.testing.assert_array_equal(x.numpy() if not x.requires_grad else x.detach().numpy(), X)
    np.testing.assert_allclose(x.grad.numpy(), np.vstack([np.zeros(2), 8 * X[1]]))


def test_arrays_are_kept_as_they_were() -> None:
    a = X.copy()
    x = limpid.tensor(X, requires_grad=True)
    y = limpid.recompute(lambda x, a: x * a)(x, a)
    a[:] = 0
    limpid.sum(y).backward()
    np.testing.assert_array_equal(x.grad.numpy(), X)


# State and randomness


def test_random_numbers_repeat() -> None:
    def noisy(x: Any) -> Any:
        return x * limpid.random.normal(shape=(2, 2), dtype="float64")

    for wrap in (limpid.recompute, lambda f: limpid.recompute(limpid.recompute(f))):
        limpid.random.seed(5)
        x = limpid.tensor(X, requires_grad=True)
        y = wrap(noisy)(wrap(noisy)(x))
        after = limpid.random.normal(shape=(3,)).numpy()
        limpid.sum(y).backward()
        np.testing.assert_allclose(x.grad.numpy() * X, y.detach().numpy(), rtol=1e-14)
        ahead = limpid.random.normal(shape=(3,)).numpy()

        limpid.random.seed(5)
        noisy(noisy(X))
        np.testing.assert_array_equal(limpid.random.normal(shape=(3,)).numpy(), after)
        np.testing.assert_array_equal(limpid.random.normal(shape=(3,)).numpy(), ahead)


def test_random_numbers_of_a_generator_of_ones_own() -> None:
    generator = limpid.random.Generator(9)
    x = limpid.tensor(np.ones(50), requires_grad=True)
    mask = limpid.recompute(lambda x: x * limpid.random.uniform(shape=(50,), generator=generator))
    y = mask(x)
    before = repr(generator)
    limpid.sum(y).backward()
    assert repr(generator) == before
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


def test_assignments_happen_once() -> None:
    count = limpid.Buffer(np.zeros(()))
    running = limpid.Buffer(np.zeros(2))

    def f(x: Any) -> Any:
        limpid.assign(count, count + 1.0)
        limpid.assign(running, running * 0.5 + x.detach().sum(0))
        return x * x * count  # what was just assigned

    x = limpid.tensor(X, requires_grad=True)
    y = limpid.recompute(f)(x)
    z = limpid.recompute(f)(y)
    assert count.item() == 2.0
    kept = running.numpy()
    limpid.sum(z).backward()
    assert count.item() == 2.0
    np.testing.assert_array_equal(running.numpy(), kept)
    np.testing.assert_allclose(x.grad.numpy(), 2 * 4 * X**3)  # 2·(x²)², whose counts were 1 and 2


def test_a_slot_assigned_in_between() -> None:
    w = limpid.Parameter(W)
    buffer = limpid.Buffer(X)
    for slot in (w, buffer):
        y = limpid.sum(limpid.recompute(lambda x: x @ w * buffer)(X))
        limpid.assign(slot, slot * 2.0)
        with pytest.raises(limpid.errors.OverwrittenError, match="gradient of recompute"):
            y.backward()


def test_doing_something_else_the_second_time() -> None:
    shapes = iter([2, 3])

    def f(x: Any) -> Any:
        return limpid.broadcast_to(x, (next(shapes), 2))

    x = limpid.tensor(np.ones(2), requires_grad=True)
    y = limpid.sum(limpid.recompute(f)(x))
    with pytest.raises(limpid.errors.RuleError, match="did something else"):
        y.backward()


def test_an_exception_the_second_time_leaves_state_as_it_was() -> None:
    count = limpid.Buffer(np.zeros(()))
    fail = [False]

    def f(x: Any) -> Any:
        limpid.assign(count, count + 1.0)
        if fail[0]:
            raise ZeroDivisionError("not now")
        return x * x

    x = limpid.tensor(X, requires_grad=True)
    y = limpid.sum(limpid.recompute(f)(x))
    fail[0] = True
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert count.item() == 1.0
    assert x.grad is None
    fail[0] = False
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * X)


# Modules


def test_modules() -> None:
    model = limpid.nn.Sequential(limpid.nn.Linear(2, 8), limpid.nn.Tanh(), limpid.nn.Linear(8, 2))

    def run(wrap: Any, module: Any) -> Any:
        x = limpid.tensor(X, dtype="float32")
        return limpid.mean(wrap(module)(wrap(module)(x)) * 2.0)

    def gradients(wrap: Any) -> dict[str, Any]:
        return limpid.grad(lambda m: run(wrap, m))(model)

    saving, plain = gradients(limpid.recompute), gradients(lambda f: f)
    assert saving.keys() == plain.keys()
    for name in plain:
        np.testing.assert_allclose(saving[name].numpy(), plain[name].numpy(), rtol=1e-6)


def test_dropout_in_a_module() -> None:
    drop = limpid.nn.Dropout(0.5)
    x = limpid.tensor(np.ones((10, 10)), requires_grad=True)
    y = limpid.recompute(drop)(x)
    limpid.sum(y).backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


# Recording


def test_recorded_it_is_one_node_that_holds_a_graph() -> None:
    recorded = limpid.record(limpid.recompute(block), X, W)
    (node,) = recorded.graph.nodes
    assert node.op.name == "recompute"
    assert "tanh" in str(recorded)
    recorded.graph.check()
    np.testing.assert_array_equal(recorded(X, W).numpy(), block(X, W))


def test_recorded_gradients_make_the_nodes_again() -> None:
    recorded = limpid.record(limpid.value_and_grad(saving_loss, (0, 1)), X, W)
    recorded.graph.check()
    names = [n.op.name for n in recorded.graph.nodes]
    assert names.count("recompute") == 2
    assert names.count("tanh") == 2  # within the backward pass
    for actual, wanted in zip(recorded(X, W)[1], limpid.grad(loss, (0, 1))(X, W), strict=True):
        np.testing.assert_allclose(actual.numpy(), wanted, rtol=1e-14)


def test_recorded_to_any_order() -> None:
    for transform in (
        limpid.hessian,
        lambda f: limpid.jacobian(limpid.jacobian(f, mode="forward"), mode="forward"),
        lambda f: limpid.jacobian(limpid.hessian(f)),
    ):
        recorded = limpid.record(transform(lambda x: saving_loss(x, W)), X)
        recorded.graph.check()
        wanted = transform(lambda x: loss(x, W))(X)
        np.testing.assert_allclose(recorded(X).numpy(), wanted, rtol=1e-11, atol=1e-12)


def test_recorded_with_state_and_random_numbers() -> None:
    count = limpid.Buffer(np.zeros(()))
    w = limpid.Parameter(np.ones((2, 2)))

    def f(x: Any) -> Any:
        limpid.assign(count, count + 1.0)
        return x @ w * limpid.random.normal(shape=(2, 2), dtype="float64") * count

    def step(x: Any) -> Any:
        y = limpid.recompute(f)(x)
        limpid.sum(y).backward()
        return y

    recorded = limpid.record(step, X)
    assert count.item() == 0.0
    for turn in (1, 2):
        w.grad = None
        limpid.random.seed(turn)
        y = recorded(X)
        assert count.item() == turn
        limpid.random.seed(turn)
        noise = limpid.random.normal(shape=(2, 2), dtype="float64").numpy() * turn
        np.testing.assert_allclose(y.numpy(), X @ np.ones((2, 2)) * noise, rtol=1e-14)
        np.testing.assert_allclose(w.grad.numpy(), X.T @ noise, rtol=1e-14)


def test_scopes_are_those_of_the_first_run() -> None:
    class Net(limpid.nn.Module):
        def __init__(self) -> None:
            self.inner = limpid.nn.Linear(2, 2)

        def forward(self, x):
            return limpid.recompute(self.inner)(x)

    net = Net()
    x = limpid.tensor(X, dtype="float32", requires_grad=True)
    limpid.sum(net(x) ** 2).backward(create_graph=True)
    nodes: list[Node] = reachable([x.grad.node])
    assert {n.scope for n in nodes if n.op.name == "recompute"} <= {""}
    assert "inner" in {n.scope for n in nodes}


def test_threads() -> None:
    wrong = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        x, w = rng.normal(size=(2, 2)), rng.normal(size=(2, 2))
        for _ in range(30):
            g = limpid.grad(saving_loss)(x, w)
            if not np.allclose(g, limpid.grad(loss)(x, w), rtol=1e-12):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
