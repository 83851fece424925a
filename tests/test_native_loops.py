"""Loops and choices in native code: programs within the program."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.compiler.program.translation import translate
from limpid.compiler.runtime import native as runtime
from limpid.compiler.runtime.assembly import Part
from limpid.compiler.runtime.native import Native
from limpid.errors import LimpidError
from tests.native import close, cut_all_bands, native, needs_native, numbers

pytestmark = needs_native

W, U, H, XS = numbers(6, 6, seed=1) / 9, numbers(4, 6, seed=2) / 9, numbers(3, 6), numbers(7, 3, 4)


def run(function: Any, *inputs: Any) -> Native:
    """Check a recorded function against the graph on NumPy; all of it is one native call."""
    graph = limpid.record(function, *inputs).graph
    expected, _ = graph.evaluate(inputs)
    made = native(translate(graph).outputs)
    assert [type(part) for part in made.parts] == [Part]
    for actual, value in zip(made.run(inputs), expected, strict=True):
        close(actual, np.asarray(value))
    return made


def elman(w: Any, u: Any, h: Any, xs: Any, reverse: bool = False) -> Any:
    def cell(h: Any, x: Any) -> Any:
        h = limpid.tanh(h @ w + x @ u)
        return h, limpid.sum(h, axis=1)

    return limpid.scan(cell, h, xs, reverse=reverse)


def loss(w: Any, u: Any, h: Any, xs: Any, reverse: bool = False) -> Any:
    h, ys = elman(w, u, h, xs, reverse)
    return limpid.sum(h) + limpid.sum(ys * ys)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 7])
@pytest.mark.parametrize("cut", [False, True])
def test_scan(length: int, reverse: bool, cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if cut:
        cut_all_bands(monkeypatch)
    xs = XS[:length]
    run(lambda *given: elman(*given, reverse=reverse), W, U, H, xs)
    gradient = limpid.grad(lambda *given: loss(*given, reverse=reverse), argnums=(0, 1, 2, 3))
    run(gradient, W, U, H, xs)


def test_tangents_of_a_scan() -> None:
    run(lambda w, u, h, xs: limpid.jvp(elman, (w, u, h, xs), (w, u, h, xs))[1], W, U, H, XS)


def test_second_derivatives_of_a_scan() -> None:
    def penalty(w: Any, u: Any, h: Any, xs: Any) -> Any:
        return limpid.sum(limpid.grad(loss)(w, u, h, xs) ** 2)

    run(limpid.grad(penalty), W, U, H, XS)


def test_carries_that_change_places() -> None:
    """What is carried is written in place, so a swap needs a copy."""

    def body(carry: Any, x: Any) -> Any:
        a, b, c = carry
        return (b, c + x, a), a

    run(lambda a, b, c, xs: limpid.scan(body, (a, b, c), xs), H[0], H[1], H[2], numbers(5, 6))


def test_a_carry_that_stays_and_a_result_twice() -> None:
    def body(carry: Any, x: Any) -> Any:
        return (carry[0], x), (x, x, carry[1])

    run(lambda a, xs: limpid.scan(body, (a, a), xs), H[0], numbers(5, 6))


def only_body(made: Native) -> Native:
    ((inner,),) = made.nested.values()
    return inner


def test_what_is_not_read_is_not_computed() -> None:
    run(lambda w, u, h, xs: elman(w, u, h, xs)[1], W, U, H, XS)
    assert len(only_body(run(lambda w, u, h, xs: elman(w, u, h, xs)[0], W, U, H, XS)).ends) == 1

    def body(carry: Any, x: Any) -> Any:
        a, b, unread = carry
        return (a + b, b * x, unread + x), (a, limpid.sum(unread))

    def scanned(a: Any, xs: Any) -> Any:
        (first, _, _), (ys, _) = limpid.scan(body, (a, a, a), xs)
        return first, ys

    assert len(only_body(run(scanned, H[0], numbers(5, 6))).ends) == 3


def test_what_is_only_kept_for_a_gradient_is_not_computed_without_one() -> None:
    """A recorded scan of parameters keeps what their gradients would read."""
    cell = nn.LSTM(4, 6)
    graph = limpid.record(lambda xs: cell(xs)[0], XS.astype(np.float32)).graph
    state = [node.op.evaluate((), {}) for node in graph.slots.values()]
    made = native(translate(graph).outputs)
    expected, _ = graph.evaluate([XS.astype(np.float32)])
    close(made.run([XS.astype(np.float32), *state])[0], expected[0], 1e-6)
    (loop,) = (node for node in graph.nodes if node.op.name == "scan")
    assert len(only_body(made).ends) < len(loop.outputs)


def test_scanned_over_in_another_order() -> None:
    """Slices have to lie in one piece."""
    run(
        lambda w, u, h, xs: elman(w.T, u, h, limpid.permute_dims(xs, (1, 0, 2))),
        W,
        U,
        numbers(7, 6),
        XS,
    )


def test_a_loop_in_a_loop() -> None:
    def outer(total: Any, x: Any) -> Any:
        inner = limpid.scan(lambda c, v: (c * 0.5 + v, c), limpid.sum(total), x)
        return total + inner[0], inner[1]

    run(lambda t, xs: limpid.scan(outer, t, xs), H[0], XS[:, 0])
    run(limpid.grad(lambda t, xs: limpid.sum(limpid.scan(outer, t, xs)[1])), H[0], XS[:, 0])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cond(sign: float) -> None:
    def chosen(s: Any, x: Any, w: Any) -> Any:
        return limpid.cond(
            s > 0, lambda x: (x * limpid.sum(w), x), lambda x: (limpid.exp(x), x[::-1]), x
        )

    s = np.array(sign)
    run(chosen, s, H, W)
    run(limpid.grad(lambda *given: limpid.sum(chosen(*given)[0]), argnums=(1, 2)), s, H, W)


def test_a_choice_in_a_loop() -> None:
    def body(c: Any, x: Any) -> Any:
        c = limpid.cond(limpid.sum(c) > 1, lambda: c * 0.5, lambda: c + x)
        return c, c

    run(lambda c, xs: limpid.scan(body, c, xs), H[0] * 0, np.abs(numbers(9, 6)))
    run(
        limpid.grad(lambda c, xs: limpid.sum(limpid.scan(body, c, xs)[1]), argnums=(0, 1)),
        H[0] * 0,
        np.abs(numbers(9, 6)),
    )


def test_work_of_numpy_in_a_loop() -> None:
    """Then the loop is NumPy's."""

    @limpid.compile
    def step(xs: Any) -> Any:
        return limpid.scan(lambda c, x: (c + limpid.linalg.inv(x), None), np.eye(3), xs)[0]

    xs = numbers(4, 3, 3) + 9 * np.eye(3)
    np.testing.assert_allclose(step(xs), np.eye(3) + np.linalg.inv(xs).sum(0), rtol=1e-12)


def test_values_are_checked_before_anything_is_written() -> None:
    """Labels out of range, in the last iteration only."""
    model = nn.Linear(4, 3)
    optimizer = limpid.optim.SGD(model.parameters(), lr=0.1)

    def run(xs: Any, labels: Any) -> Any:
        def body(total: Any, given: Any) -> Any:
            x, y = given
            return total + nn.functional.cross_entropy(model(x), y), None

        optimizer.zero_grad()
        total = limpid.scan(body, np.float32(0), (xs, labels))[0]
        total.backward()
        optimizer.step()
        return total

    step = limpid.compile(run)
    xs, labels = XS.astype(np.float32), np.zeros((7, 3), np.int64)
    step(xs, labels)
    before = model.weight.detach().numpy().copy()
    wrong = labels.copy()
    wrong[6, 2] = 5
    with pytest.raises(LimpidError, match="5"):
        step(xs, wrong)
    np.testing.assert_array_equal(model.weight.detach().numpy(), before)
    step(xs, labels)
    assert np.any(model.weight.detach().numpy() != before)


def test_labels_of_the_branch_that_is_not_chosen() -> None:
    @limpid.compile
    def step(s: Any, x: Any, y: Any) -> Any:
        return limpid.cond(s > 0, lambda: nn.functional.cross_entropy(x, y), lambda: limpid.sum(x))

    x, wrong = XS[0], np.array([0, 1, 9])
    np.testing.assert_allclose(step(np.array(-1.0), x, wrong), x.sum(), rtol=1e-12)
    with pytest.raises(LimpidError, match="9"):
        step(np.array(1.0), x, wrong)


def test_what_stays_the_same_is_computed_once() -> None:
    """Packed weights, and what depends on nothing that changes; ends are written each time."""

    def scanned(w: Any, h: Any, xs: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            scaled = limpid.exp(w) @ w
            return limpid.tanh(c @ scaled.T + x @ U), limpid.sum(scaled)

        return limpid.scan(body, h, xs)

    made = run(scanned, W, H, XS)
    inner = only_body(made)
    assert inner.schedule.once > 0
    assert 0 < inner.once < len(inner.schedule.phases)


def test_any_length_has_the_same_functions() -> None:
    def count(length: int) -> int:
        return len(run(limpid.grad(loss), W, U, H, numbers(length, 3, 4)).functions.texts)

    assert count(3) == count(40)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits whether threads share the work within an iteration or not."""
    w, u, h = (numbers(256, 256, seed=n) / 60 for n in range(3))
    xs = numbers(3, 256, 256)
    graph = limpid.record(limpid.grad(loss, argnums=(0, 1, 2, 3)), w, u, h, xs).graph
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(runtime, "thread_count", lambda threads=threads: threads)
        made = native(translate(graph).outputs)
        assert made.is_shared
        found.append(made.run([w, u, h, xs]))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_state_and_random_numbers_in_a_loop() -> None:
    """Slots that the body assigns are carried; the same bits as eager."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.drop = nn.BatchNorm1d(4), nn.Dropout(0.5)

        def forward(self, xs: Any) -> Any:
            return limpid.scan(
                lambda c, x: (c + self.drop(self.norm(x)), None), np.zeros((3, 4), np.float32), xs
            )[0]

    def results(compiled: bool) -> Any:
        limpid.manual_seed(3)
        net = Net()
        call = limpid.compile(lambda xs: net(xs)) if compiled else net
        made = [np.asarray(call(XS.astype(np.float32)).detach()) for _ in range(3)]
        return made, net.state_dict()

    (actual, state), (expected, wanted) = results(True), results(False)
    assert not np.array_equal(actual[0], actual[1])
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6)
    np.testing.assert_equal(np.asarray(actual) == 0, np.asarray(expected) == 0)
    for name, x in wanted.items():
        np.testing.assert_allclose(state[name], x, rtol=1e-6)


def test_the_listing_shows_bodies() -> None:
    step = limpid.compile(lambda w, u, h, xs: elman(w, u, h, xs))
    step(W, U, H, XS)
    text = step.listing()
    assert "7 times" in text
    assert "xs[i]" in text
    assert step.profile(W, U, H, XS, runs=2).rows
    assert step.memory().peak > 0
