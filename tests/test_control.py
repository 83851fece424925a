"""scan and cond: eager against recorded, every derivative against an unrolled loop, errors."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors
from limpid.graph.node import reachable
from limpid.graph.text import format_graph, parse_graph
from limpid.transforms.recording import apply_graph

RNG = np.random.default_rng(5)
STEPS, BATCH, WIDTH, HIDDEN = 6, 4, 3, 5
WEIGHTS = {
    "w": RNG.normal(size=(HIDDEN, HIDDEN)) / 2,  # (hidden, hidden)
    "u": RNG.normal(size=(WIDTH, HIDDEN)),  # (width, hidden)
    "b": RNG.normal(size=HIDDEN),
}
XS = RNG.normal(size=(STEPS, BATCH, WIDTH))
START = RNG.normal(size=(BATCH, HIDDEN))


def cell(p: Any, h: Any, x: Any) -> Any:
    return limpid.tanh(h @ p["w"] + x @ p["u"] + p["b"])  # (batch, hidden)


def by_scan(p: Any, h: Any, xs: Any) -> Any:
    def body(h: Any, x: Any) -> Any:
        h = cell(p, h, x)
        return h, limpid.sum(h * h, axis=1)

    return limpid.scan(body, h, xs)


def by_loop(p: Any, h: Any, xs: Any) -> Any:
    ys = []
    for t in range(STEPS):
        h = cell(p, h, xs[t])
        ys.append(limpid.sum(h * h, axis=1))
    return h, limpid.stack(ys)


def loss_of(network: Any) -> Any:
    def loss(p: Any, h: Any, xs: Any) -> Any:
        h, ys = network(p, h, xs)
        return limpid.sum(limpid.sin(h)) + limpid.sum(ys * ys) / 7

    return loss


def leaves(value: Any) -> list[np.ndarray]:
    if isinstance(value, dict):
        return [x for part in value.values() for x in leaves(part)]
    if isinstance(value, tuple | list):
        return [x for part in value for x in leaves(part)]
    return [value.detach().numpy() if isinstance(value, limpid.Tensor) else np.asarray(value)]


def agree(actual: Any, expected: Any, tolerance: float = 1e-13) -> None:
    for a, e in zip(leaves(actual), leaves(expected), strict=True):
        assert a.dtype == e.dtype
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


def eager_and_recorded(function: Any, *args: Any) -> list[Any]:
    return [function(*args), limpid.record(function, *args)(*args)]


def ops(graph: Any) -> list[str]:
    return [node.op.name for node in graph.nodes]


# A recurrent network against the same unrolled


def test_elman_values_and_gradients() -> None:
    point = (WEIGHTS, START, XS)
    for made in eager_and_recorded(by_scan, *point):
        agree(made, by_loop(*point))
    expected = limpid.grad(loss_of(by_loop), (0, 1, 2))(*point)
    for made in eager_and_recorded(limpid.grad(loss_of(by_scan), (0, 1, 2)), *point):
        agree(made, expected)


def test_elman_with_parameters_and_backward() -> None:
    """Weights closed over as parameters; the recorded function leaves .grad as eager does."""
    p = {name: limpid.Parameter(value, dtype="float64") for name, value in WEIGHTS.items()}

    def step() -> Any:
        loss = loss_of(by_scan)(p, limpid.asarray(START), limpid.asarray(XS))
        loss.backward()
        return loss

    expected = limpid.grad(loss_of(by_loop))(WEIGHTS, START, XS)
    step()
    agree({n: q.grad for n, q in p.items()}, expected)
    for q in p.values():
        q.grad = None
    recorded = limpid.record(step)
    recorded()
    agree({n: q.grad for n, q in p.items()}, expected)


def test_elman_forward_mode() -> None:
    point = (WEIGHTS, START, XS)
    directions = ({n: np.cos(w) for n, w in WEIGHTS.items()}, START * 2, XS - 1)

    def push(network: Any) -> Any:
        return lambda *p: limpid.jvp(network, p, directions)

    for made in eager_and_recorded(push(by_scan), *point):
        agree(made, push(by_loop)(*point))


def test_elman_second_order_in_all_modes() -> None:
    """Forward over reverse, reverse over forward, reverse over reverse: recorded and eager."""
    point = (START, XS)
    direction = (np.cos(START), np.sin(XS))

    def hessian_products(network: Any) -> Any:
        def loss(h: Any, xs: Any) -> Any:
            return loss_of(network)(WEIGHTS, h, xs)

        gradient = limpid.grad(loss, (0, 1))

        def dot(g: Any) -> Any:
            return limpid.sum(g[0] * direction[0]) + limpid.sum(g[1] * direction[1])

        def products(h: Any, xs: Any) -> Any:
            over_reverse = limpid.jvp(gradient, (h, xs), direction)[1]
            slope = lambda h, xs: limpid.jvp(loss, (h, xs), direction)[1]
            over_forward = limpid.grad(slope, (0, 1))(h, xs)
            twice = limpid.grad(lambda h, xs: dot(gradient(h, xs)), (0, 1))(h, xs)
            return over_reverse, over_forward, twice

        return products

    expected = hessian_products(by_loop)(*point)
    agree(expected[1:], (expected[0], expected[0]), 1e-11)
    for made in eager_and_recorded(hessian_products(by_scan), *point):
        agree(made, expected, 1e-12)


def test_third_order() -> None:
    def power(x: Any) -> Any:  # x⁶ · sin x
        return limpid.scan(lambda c, _: (c * x, None), limpid.sin(x), length=6)[0]

    def third(x: Any) -> Any:
        return limpid.grad(limpid.grad(limpid.grad(power)))(x)

    x = 0.7
    expected = (120 * x**3 - 18 * x**5) * np.sin(x) + (90 * x**4 - x**6) * np.cos(x)
    for made in eager_and_recorded(third, np.array(x)):
        np.testing.assert_allclose(leaves(made)[0], expected, rtol=1e-12)


# What is recorded


def test_recorded_size_does_not_depend_on_length() -> None:
    def gradient(xs: Any) -> Any:
        return limpid.grad(lambda p, h: loss_of(by_scan)(p, h, xs), (0, 1))(WEIGHTS, START)

    texts = []
    for steps in (3, 30_000):
        xs = np.broadcast_to(np.zeros(()), (steps, BATCH, WIDTH))
        graph = limpid.record(gradient, xs).graph
        texts.append(format_graph(graph, comments=False).replace(str(steps), "n"))
    assert len(texts[0].splitlines()) == len(texts[1].splitlines())


def test_backward_keeps_what_rules_read_and_runs_nothing_twice() -> None:
    graph = limpid.record(limpid.grad(loss_of(by_scan)), WEIGHTS, START, XS).graph
    first, second = [node for node in graph.nodes if node.op.name == "scan"]
    body = first.params["body"]
    kept = body.outputs[2:]
    assert {node.op.name for node, _ in kept} == {"tanh", "input"}
    assert "tanh" not in ops(second.params["body"])
    assert second.params["reverse"]
    for node in second.params["body"].nodes:
        assert node.scope == "scan[i]" or node.op.name == "add"
    assert any(n.origin and n.origin.node in body.nodes for n in second.params["body"].nodes)


def test_nothing_is_kept_where_no_gradient_can_flow() -> None:
    def outputs(function: Any) -> int:
        graph = limpid.record(function, WEIGHTS, START, XS).graph
        return len(next(n for n in graph.nodes if n.op.name == "scan").outputs)

    assert outputs(by_scan) == 2
    assert outputs(limpid.no_grad()(by_scan)) == 2
    p = {name: limpid.Parameter(value, dtype="float64") for name, value in WEIGHTS.items()}
    assert outputs(lambda _, h, xs: by_scan(p, h, xs)) == 4
    assert outputs(lambda _, h, xs: limpid.no_grad()(by_scan)(p, h, xs)) == 2


def test_gradients_that_nobody_asked_for_are_not_computed() -> None:
    def backward_scan(wrt: int) -> Any:
        gradient = limpid.grad(loss_of(by_scan), wrt)
        graph = limpid.record(gradient, WEIGHTS, START, XS).graph
        return [n for n in graph.nodes if n.op.name == "scan"][1]

    assert len(backward_scan(0).outputs) == 4  # carry, w, u, b
    assert len(backward_scan(1).outputs) == 1  # the carry alone
    assert len(backward_scan(2).outputs) == 2  # carry and xs


def test_text_and_back() -> None:
    gradient = limpid.grad(loss_of(by_scan), (0, 1))
    scale = np.arange(20.0)  # a constant too long to be written out
    for function in (
        gradient,
        lambda p, h, xs: limpid.scan(lambda c, x: (c * scale, x), scale, xs),
        lambda p, h, xs: limpid.cond(
            h[0, 0] > 0, lambda: by_scan(p, h, xs), lambda: by_scan(p, -h, xs)
        ),
    ):
        recorded = limpid.record(function, WEIGHTS, START, XS)
        recorded.graph.check()
        text = format_graph(recorded.graph, comments=False)
        rebuilt = parse_graph(text, recorded.graph.constants())
        assert format_graph(rebuilt, comments=False) == text
        values, _ = rebuilt.evaluate([*WEIGHTS.values(), START, XS])
        agree(list(values), function(WEIGHTS, START, XS))


def test_a_graph_read_from_text_can_be_differentiated() -> None:
    recorded = limpid.record(loss_of(by_scan), WEIGHTS, START, XS)
    rebuilt = parse_graph(format_graph(recorded.graph), recorded.graph.constants())

    def loss(*inputs: Any) -> Any:
        return apply_graph(rebuilt, list(inputs))[0]

    expected = limpid.grad(loss_of(by_loop), (0, 1, 2))(WEIGHTS, START, XS)
    inputs = (*WEIGHTS.values(), START, XS)
    for made in eager_and_recorded(limpid.grad(loss, range(5)), *inputs):
        agree(made, expected)


# Eager


def test_eager_iterations_are_ordinary_nodes() -> None:
    x = limpid.tensor([1.0, 2.0, 3.0], requires_grad=True)
    total, ys = limpid.scan(lambda c, x: (c + x * x, c * x), 1.0, x)
    nodes = reachable([total.node, ys.node])
    assert {n.scope for n in nodes if n.scope} == {"scan[0]", "scan[1]", "scan[2]"}
    names = [n.op.name for n in nodes]
    assert names.count("unstack") == 1  # not one get_item for each: that would be quadratic
    assert "get_item" not in names
    with limpid.graph.context.scope("rnn"):
        total, _ = limpid.scan(lambda c, x: (c * x, None), 1.0, x, reverse=True)
    assert total.node.scope == "rnn.scan[0]"


def test_plain_arrays_give_plain_arrays() -> None:
    carry, ys = limpid.scan(lambda c, x: (c + x, {"y": c}), np.zeros(2), np.ones((3, 2)))
    assert type(carry) is np.ndarray
    assert type(ys["y"]) is np.ndarray
    np.testing.assert_array_equal(ys["y"][:, 0], [0, 1, 2])
    chosen = limpid.cond(np.array(True), lambda x: x + 1, lambda x: x, np.zeros(2))
    assert type(chosen) is np.ndarray


def test_in_place_spellings_in_a_body_rebind_nothing_outside() -> None:
    def body(total: Any, x: Any) -> Any:
        total += x
        return total, total

    start, xs = limpid.tensor([0.0]), limpid.tensor([[1.0], [2.0], [3.0]])
    for total, ys in eager_and_recorded(lambda s, xs: limpid.scan(body, s, xs), start, xs):
        assert total.tolist() == [6.0]
        assert ys.tolist() == [[1.0], [3.0], [6.0]]
        assert start.tolist() == [0.0]
    w = limpid.tensor([1.0], requires_grad=True)
    total, _ = limpid.scan(lambda c, x: body(c * w, x), start, xs)
    with pytest.raises(ValueError, match="read-only"):
        limpid.scan(body, np.zeros(1), np.ones((2, 1)))
    gradient = limpid.record(limpid.grad(lambda s: limpid.sum(limpid.scan(body, s, xs)[1])), start)
    assert gradient(start).tolist() == [3.0]


# Nestings, types, sizes


@dataclass
class Carry:
    h: Any
    n: Any


Item = namedtuple("Item", "x flag")


def test_nestings_integers_and_booleans() -> None:
    def body(carry: Carry, item: Item) -> Any:
        h = limpid.where(item.flag, carry.h * item.x, carry.h)
        return Carry(h, carry.n + 1), (h, {"seen": item.flag, "n": [carry.n, None]})

    def run(h: Any, xs: Any, flags: Any) -> Any:
        last, (hs, rest) = limpid.scan(body, Carry(h, 10), Item(xs, flags))
        return last.h, last.n, hs, rest["seen"], rest["n"][0]

    point = (np.array([1.0, 2.0]), RNG.normal(size=(3, 2)), np.array([True, False, True]))
    results = eager_and_recorded(run, *point)
    agree(results[1], results[0], 0)
    assert leaves(results[0])[1:2] == [13]
    assert leaves(results[0])[4].tolist() == [10, 11, 12]
    assert leaves(results[0])[3].dtype == bool

    def loss(h: Any, xs: Any) -> Any:
        last = run(h, xs, point[2])
        return limpid.sum(last[0]) + limpid.sum(
            last[2] * limpid.astype(last[4], "float64")[:, None]
        )

    made = eager_and_recorded(limpid.grad(loss, (0, 1)), *point[:2])
    agree(made[1], made[0])
    agree(
        eager_and_recorded(lambda *p: limpid.jvp(loss, p, p), *point[:2])[1],
        limpid.jvp(loss, point[:2], point[:2]),
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_no_iterations(reverse: bool) -> None:
    def run(h: Any, xs: Any) -> Any:
        return limpid.scan(lambda h, x: (h * x, [limpid.sum(h), 1]), h, xs, reverse=reverse)

    point = (np.ones(2), np.zeros((0, 2)))
    for made in eager_and_recorded(run, *point):
        (h, (ys, ones)) = made
        agree(h, point[0])
        assert (ys.shape, ones.shape) == ((0,), (0,))
        assert ones.dtype == np.int64
    gradient = limpid.grad(lambda h, xs: limpid.sum(run(h, xs)[0] * 3.0), (0, 1), unused="zeros")
    for made in eager_and_recorded(gradient, *point):
        agree(made, (np.full(2, 3.0), np.zeros((0, 2))))


def test_zero_size_and_unused_parts() -> None:
    def run(h: Any, xs: Any) -> Any:
        return limpid.scan(lambda h, x: (h, x * 2.0), h, xs)

    point = (np.zeros((0, 2)), np.ones((3, 0)))
    for h, ys in eager_and_recorded(run, *point):
        assert (h.shape, ys.shape) == ((0, 2), (3, 0))
    nothing = lambda h: limpid.scan(lambda c, x: (None, None), None, h)
    for made in eager_and_recorded(nothing, np.ones(3)):
        assert made == (None, None)
    for made in eager_and_recorded(lambda x: limpid.scan(lambda c, x: (c, 2.0), 1, x), np.ones(3)):
        assert leaves(made)[0] == 1
        assert leaves(made)[1].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_python_numbers_are_weak(dtype: str) -> None:
    xs = np.arange(3).astype(dtype)
    for made in eager_and_recorded(lambda x: limpid.scan(lambda c, x: (c + x, 0), 0.0, x), xs):
        assert leaves(made)[0].dtype == dtype
    reset = lambda x: limpid.scan(lambda c, x: (0, c), x[0], x)
    for made in eager_and_recorded(reset, xs):
        assert leaves(made)[0].dtype == dtype
    choose = lambda x: limpid.cond(x[0] > 1, lambda x: x[0], lambda x: 0.0, x)
    for made in eager_and_recorded(choose, xs):
        assert leaves(made)[0].dtype == dtype


def test_dicts_built_in_another_order_are_the_same() -> None:
    def body(c: Any, x: Any) -> Any:
        y = {"p": x, "q": c["a"]} if next(turns) else {"q": c["a"], "p": x}
        return {"b": c["b"] * x, "a": c["a"] + x}, y

    def run(x: Any) -> Any:
        made = limpid.cond(x[0] > 0, lambda: {"u": x, "v": x * 2.0}, lambda: {"v": x, "u": -x})
        carry, ys = limpid.scan(body, {"a": 0.0, "b": 1.0}, x)
        return carry, ys["p"], ys["q"], made["u"], made["v"]

    for x in (np.array([1.0, 2.0, 4.0]), np.array([-1.0, 2.0, 4.0])):
        turns = iter([True, False, True, False])
        results = eager_and_recorded(run, x)
        agree(results[1], results[0], 0)
        assert leaves(results[0])[:2] == [x.sum(), x.prod()]


def test_reverse_is_a_scan_of_the_flipped() -> None:
    body = lambda c, x: (c * 0.5 + x, c * x)
    xs = RNG.normal(size=(5, 2))
    for made in eager_and_recorded(lambda x: limpid.scan(body, x[0], x, reverse=True), xs):
        c, ys = limpid.scan(body, xs[0], xs[::-1])
        agree(made, (c, ys[::-1]))


# What a body may do


def test_no_grad_and_stop_gradient_in_a_body_cut_in_both_modes() -> None:
    def run(cut: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            return c * cut(lambda: limpid.sin(c) * x) + x, c

        return lambda c, xs: limpid.sum(limpid.scan(body, c, xs)[0])

    point = (np.array([0.3, 0.4]), RNG.normal(size=(4, 2)))
    for cut in (limpid.no_grad()(lambda f: f()), lambda f: limpid.stop_gradient(f())):
        made = eager_and_recorded(limpid.grad(run(cut), (0, 1)), *point)
        agree(made[1], made[0])
    uncut = limpid.grad(run(lambda f: f()), (0, 1))(*point)
    assert not np.allclose(uncut[0], leaves(made[0])[0])


def test_a_slot_that_a_body_assigns_is_carried() -> None:
    mean = limpid.Buffer(np.zeros(2))

    def body(c: Any, x: Any) -> Any:
        limpid.assign(mean, mean * 0.9 + x * 0.1)
        now = mean * 1.0  # eager would find the mean itself overwritten
        return c + now * x, limpid.sum(now)

    def run(xs: Any) -> Any:
        c, ys = limpid.scan(body, limpid.asarray(np.zeros(2)), xs)
        return limpid.sum(c * mean) + limpid.sum(ys)

    xs = RNG.normal(size=(4, 2))
    found = []
    for function in (run, limpid.grad(run)):
        for mode in (lambda f, x: f(x), lambda f, x: limpid.record(f, x)(x)):
            limpid.assign(mean, np.zeros(2))
            found.append((leaves(mode(function, limpid.asarray(xs)))[0], mean.numpy().copy()))
    agree(found[1], found[0])
    agree(found[3], found[2])
    assert found[0][1].any()


def test_random_numbers_in_bodies_are_those_of_eager() -> None:
    g = limpid.random.Generator(6)
    draw = limpid.random.normal

    def loss(x: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            noise = draw(shape=2, dtype="float64", generator=g)
            kept = limpid.random.bernoulli(0.5, (2,), generator=g)
            noisy = limpid.cond(
                limpid.sum(x) > 0,
                lambda: x * draw(shape=2, dtype="float64", generator=g),
                lambda: x * 0.0,
            )
            return limpid.where(kept, c * noise + noisy, c), None

        return limpid.sum(limpid.scan(body, x[0], x)[0] ** 2)

    xs = RNG.normal(size=(5, 2))
    for function in (loss, limpid.grad(loss), lambda x: limpid.hvp(loss, (x,), (x,))):
        results = []
        for made in (function, limpid.record(function, xs)):
            g.seed(6)
            first = made(limpid.asarray(xs))
            results.append((first, made(limpid.asarray(xs))))
            position = g.state.numpy()[1]
        agree(results[1], results[0])
        assert not np.array_equal(leaves(results[0][0])[0], leaves(results[0][1])[0])
        assert position > 20


def test_scan_in_a_cond_in_a_scan_closing_over_both_levels() -> None:
    def run(a: Any, xs: Any) -> Any:
        def outer(c: Any, row: Any) -> Any:
            inner = lambda d, x: (limpid.tanh(d * a + x * c), d)
            d, ds = limpid.cond(
                limpid.sum(row) > 0,
                lambda: limpid.scan(inner, c, row),
                lambda: limpid.scan(inner, a * c, row, reverse=True),
            )
            return d, ds

        c, ys = limpid.scan(outer, a, xs)
        return limpid.sum(ys * ys) + c

    point = (np.array(0.8), RNG.normal(size=(4, 3)))
    for function in (
        run,
        limpid.grad(run, (0, 1)),
        lambda *p: limpid.jvp(run, p, p),
        lambda *p: limpid.hvp(run, p, p),
    ):
        made = eager_and_recorded(function, *point)
        agree(made[1], made[0], 1e-12)


# cond


def test_cond_runs_the_chosen_branch_only() -> None:
    ran = []

    def branch(name: str) -> Any:
        def function(x: Any, w: Any) -> Any:
            ran.append(name)
            return (x * w, limpid.sum(x)) if name == "a" else (limpid.log(x), 1.5)

        return function

    def run(p: Any, x: Any, w: Any) -> Any:
        return limpid.cond(p, branch("a"), branch("b"), x, w)

    x, w = np.array([1.0, -2.0]), np.array([3.0, 4.0])
    run(True, x, w)
    assert ran == ["a"]
    recorded = limpid.record(run, np.array(True), x, w)
    assert ran == ["a", "a", "b"]
    agree(recorded(np.array(True), x, w), run(True, x, w))
    agree(recorded(np.array(False), -x, w), run(np.array(False), -x, w))
    assert ops(recorded.graph) == ["cond"]

    def loss(p: Any) -> Any:
        return lambda x, w: limpid.sum(run(p, x, w)[0])

    recorded = limpid.record(
        lambda p, x, w: limpid.grad(loss(p), (0, 1))(x, w), np.array(True), x, w
    )
    agree(recorded(np.array(True), x, w), (w, x))
    agree(recorded(np.array(False), np.abs(x), w), (1 / np.abs(x), np.zeros(2)))


def test_cond_on_a_recorded_value_and_on_a_known_one() -> None:
    def run(x: Any) -> Any:
        return limpid.cond(limpid.sum(x) > 0, lambda: x * 2.0, lambda: x)

    recorded = limpid.record(run, np.ones(2))
    for x in (np.ones(2), -np.ones(2)):
        agree(recorded(x), run(x))
    for predicate in (True, 1, np.float64(2.0), np.array([[1]]), limpid.tensor([3.0])):
        assert limpid.cond(predicate, lambda: 1.0, lambda: 2.0) == 1.0
        made = limpid.record(
            lambda x, p=predicate: limpid.cond(p, lambda: x, lambda: -x), np.ones(2)
        )
        agree(made(np.ones(2)), np.ones(2))


def test_a_slot_that_one_branch_assigns() -> None:
    count = limpid.Buffer(np.zeros((), np.int64))

    def hit(x: Any) -> Any:
        limpid.assign(count, count + 1)
        return x * 2.0

    def run(x: Any) -> Any:
        return limpid.cond(limpid.sum(x) > 0, hit, lambda x: x, x)

    recorded = limpid.record(run, np.ones(2))
    for x, expected in ((np.ones(2), 1), (-np.ones(2), 1), (np.ones(2), 2)):
        recorded(x)
        assert count.item() == expected


# Errors

XS3 = np.ones((3, 2))


def scan_with(body: Any, init: Any = 0.0, xs: Any = XS3, **options: Any) -> Any:
    return lambda: limpid.scan(body, init, xs, **options)


def cond_with(one: Any, other: Any) -> Any:
    """Both branches are compared only where both are recorded."""
    return lambda: limpid.record(lambda x: limpid.cond(x[0] > 0, one, other, x), np.ones(2))


SAME = lambda c, x: (c, None)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (scan_with(lambda c, x: (c + x, None)), errors.ShapeError, r"carry is float64\[\].*\[2\]"),
        (
            scan_with(lambda c, x: ({"h": c["h"], "n": 0.5}, None), {"h": 1.0, "n": 0}),
            errors.DTypeError,
            r"carry\[n\] is int64\[\]",
        ),
        (scan_with(lambda c, x: (c + 0.5, None), 0), errors.DTypeError, r"carry is int64"),
        (
            scan_with(lambda c, x: ({"a": c["a"]}, None), {"a": 1.0, "b": 2.0}),
            errors.ArgumentError,
            r"\(a, b\).*\(a\)",
        ),
        (scan_with(lambda c, x: c), errors.ArgumentError, r"\(carry, y\)"),
        (scan_with(lambda c, x: [c, None]), errors.ArgumentError, r"\(carry, y\)"),
        (
            scan_with(SAME, 0.0, {"a": np.ones(3), "b": np.ones(4)}),
            errors.ShapeError,
            r"xs\[a\] has 3, xs\[b\] has 4",
        ),
        (scan_with(SAME, length=4), errors.ShapeError, "length has 4"),
        (scan_with(SAME, 0.0, None), errors.ArgumentError, "length"),
        (scan_with(SAME, 0.0, None, length=-1), errors.ArgumentError, "-1"),
        (scan_with(SAME, 0.0, None, length=2.5), errors.ArgumentError, "2.5"),
        (scan_with(SAME, 0.0, np.array(1.0)), errors.ShapeError, "0-d"),
        (scan_with(SAME, "text"), errors.DTypeError, "element type"),
        (cond_with(lambda x: x, lambda x: x[0]), errors.ShapeError, r"float64\[2\].*float64\[\]"),
        (
            cond_with(lambda x: {"a": x}, lambda x: {"a": limpid.astype(x, "float32")}),
            errors.DTypeError,
            r"result\[a\]",
        ),
        (cond_with(lambda x: x, lambda x: (x, x)), errors.ArgumentError, r"\(result\).*\(0, 1\)"),
        (lambda: limpid.cond(np.ones(2), lambda: 1, lambda: 2), errors.ShapeError, "one value"),
    ],
)
def test_errors(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call()
    with pytest.raises(error, match=words):
        limpid.record(lambda: call())


def test_errors_of_recording() -> None:
    def reads(c: Any, x: Any) -> Any:
        return (c if float(x[0]) > 0 else -c), None

    with pytest.raises(errors.AbstractError, match=r"test_control\.py"):
        limpid.record(lambda xs: limpid.scan(reads, 0.0, xs), XS3)
    w = limpid.Parameter([1.0])

    def leaves_gradient(c: Any, x: Any) -> Any:
        limpid.sum(w * x).backward()
        return c, None

    with pytest.raises(errors.ArgumentError, match="body of a recorded scan"):
        limpid.record(lambda xs: limpid.scan(leaves_gradient, 0.0, xs), XS3.astype("f4"))
    assert w.grad is None
    changing = iter([1.0, np.ones(2), 1.0])
    with pytest.raises(errors.ShapeError, match="y was"):
        limpid.scan(lambda c, x: (c, next(changing)), 0.0, XS3)
