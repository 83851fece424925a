"""What goes wrong with compiled steps elsewhere: a new recording, a right answer or an error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim
from tests.compiled import Net, X, ones

SCALE = 2.0


# Arguments


def test_the_same_tensor_twice() -> None:
    def f(a: Any, b: Any) -> Any:
        a += 1.0
        return a * b

    step = limpid.compile(f)
    for _ in range(2):
        one, other = limpid.tensor([2.0]), limpid.tensor([2.0])
        assert step(one, other).item() == 6.0
        assert (one.item(), other.item()) == (3.0, 2.0)
        one = limpid.tensor([2.0])
        assert step(one, one).item() == 9.0
        assert one.item() == 3.0
    assert step.count == 2


def test_the_same_parameter_twice() -> None:
    w = limpid.Parameter([3.0])

    @limpid.compile
    def step(a: Any, b: Any) -> Any:
        a.grad = b.grad = None
        (a * b).sum().backward()
        limpid.assign(a, a - 0.5 * b.grad)
        return b * 1.0

    assert step(w, w).item() == 0.0
    assert (w.item(), w.grad.item()) == (0.0, 6.0)


def test_an_output_that_is_an_input() -> None:
    step = limpid.compile(lambda x, w: (x, [x, w], x.reshape((1, 3))))
    w = limpid.Parameter([1.0])
    for given in (X, limpid.tensor(X), X.copy()):
        first, (second, third), view = step(given, w)
        assert first is second is given
        assert third is w
        if isinstance(given, np.ndarray):
            assert not np.shares_memory(view.value, given)
    assert step.count == 1


def test_an_argument_that_a_slot_takes() -> None:
    kept = limpid.Buffer(ones(3))
    step = limpid.compile(lambda x: limpid.assign(kept, x))
    given = X.copy()
    step(given)
    given[:] = 7.0
    assert kept.tolist() == [1.0, 2.0, 3.0]
    step(given.reshape(3, 1)[:, 0])
    given[:] = 8.0
    assert kept.tolist() == [7.0, 7.0, 7.0]


def test_two_slots_that_change_places() -> None:
    a, b = limpid.Buffer([1.0]), limpid.Buffer([2.0])

    @limpid.compile
    def swap() -> None:
        held = a * 1.0
        limpid.assign(a, b)
        limpid.assign(b, held)

    swap()
    assert (a.item(), b.item()) == (2.0, 1.0)
    swap()
    assert (a.item(), b.item()) == (1.0, 2.0)


LAYOUTS = {
    "read-only": lambda: np.broadcast_to(np.float32(2.0), (3, 4)),
    "reversed": lambda: np.arange(12, dtype=np.float32).reshape(3, 4)[::-1, ::-1],
    "strided": lambda: np.arange(24, dtype=np.float32).reshape(3, 8)[:, ::2],
    "Fortran": lambda: np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    "transposed": lambda: np.arange(12, dtype=np.float32).reshape(4, 3).T,
    "byte-swapped": lambda: np.arange(12).reshape(3, 4).astype(">f4"),
    "a subclass": lambda: np.arange(12, dtype=np.float32).reshape(3, 4).view(np.recarray),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_of_any_layout(layout: str) -> None:
    step = limpid.compile(lambda x: (limpid.matmul(x, np.ones((4, 2), np.float32)), x * 2.0))
    step(ones(3, 4))
    x = LAYOUTS[layout]()
    product, double = step(x)
    plain = np.array(x, np.float32)
    np.testing.assert_array_equal(product, plain @ np.ones((4, 2), np.float32))
    np.testing.assert_array_equal(double, plain * 2)
    assert step.count == 1


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1,)])
def test_small_and_empty_arguments(shape: tuple[int, ...]) -> None:
    step = limpid.compile(lambda x: (limpid.sum(x), x + 1.0))
    for dtype in (np.float32, np.float64, np.int64, bool):
        x = np.ones(shape, dtype)
        total, more = step(x)
        assert total.item() == x.size
        assert more.shape == shape
    assert step.count == 4


def test_numbers_are_constants() -> None:
    step = limpid.compile(lambda x, n: x * n)
    for n in (2, 2, 3, 2, 2.0, np.float64(2.0), True):
        expected = limpid.tensor(X) * n
        found = step(X, n)
        assert found.dtype is expected.dtype
        assert found.tolist() == expected.tolist()
    assert step.count == 5
    assert "argument n: 2 → 3 (a number is a constant" in step.why_recompiled()


def test_wrong_arguments_raise_as_without_compiling() -> None:
    step = limpid.compile(lambda x, y: x + y)
    with pytest.raises(TypeError, match="missing 1 required"):
        step(X)
    with pytest.raises(errors.ShapeError):
        step(X, ones(4))
    with pytest.raises(errors.DTypeError):
        step(X, np.array(["a"]))
    with pytest.raises(errors.OperandError, match="masked"):
        step(X, np.ma.array(X))
    assert step(X, X).tolist() == [2.0, 4.0, 6.0]


def test_containers_among_the_arguments_are_not_changed() -> None:
    @limpid.compile
    def f(batch: Any) -> None:
        batch["y"] = batch["x"] * 2.0

    with pytest.raises(errors.InPlaceError, match="return the new one"):
        f({"x": X})

    @limpid.compile
    def g(x: Any) -> Any:
        x *= 2.0
        return x

    with pytest.raises(errors.InPlaceError, match="argument x in place"):
        g(X)
    t = limpid.tensor(X)
    assert g(t) is t
    assert t.tolist() == [2.0, 4.0, 6.0]
    with pytest.raises(errors.InPlaceError, match="argument x in place"):
        g(X)
    assert X.tolist() == [1.0, 2.0, 3.0]


# Gradients that would get lost


def test_an_argument_that_carries_a_gradient() -> None:
    step = limpid.compile(lambda x: limpid.sum(x * x))
    w = limpid.tensor([3.0], requires_grad=True)
    step(w * 2.0).backward()
    assert w.grad.item() == 24.0
    assert limpid.grad(step)(np.array([3.0])).tolist() == [6.0]
    assert limpid.jacobian(step)(np.array([3.0])).tolist() == [6.0]
    assert limpid.hessian(step)(np.array([3.0])).tolist() == [[2.0]]
    assert step.count == 0
    with limpid.no_grad():
        assert step(w * 2.0).item() == step(w * 2.0).item() == 36.0
    assert step.count == 1


def test_a_leaf_that_requires_a_gradient_is_itself() -> None:
    step = limpid.compile(lambda w: limpid.sum(w * w).backward())
    for value in (3.0, 4.0):
        w = limpid.tensor([value], requires_grad=True)
        for k in (1, 2):
            step(w)
            assert w.grad.item() == 2 * k * value


def test_no_gradient_gets_back_into_a_step() -> None:
    net = nn.Linear(3, 1)
    step = limpid.compile(lambda x: net(x))
    loss = limpid.sum(step(ones(2, 3)))
    assert loss.requires_grad
    with pytest.raises(errors.NoGradientError, match="came out of a compiled step"):
        loss.backward()
    with pytest.raises(errors.CutError):
        step(ones(2, 3)).numpy()
    assert limpid.grad(lambda m: limpid.sum(step(ones(2, 3))))(net)["bias"].tolist() == [2.0]


# Recording


def test_values_are_not_there_while_recording() -> None:
    def branch(x: Any) -> Any:
        return x if limpid.sum(x) > 0 else -x

    def read(x: Any) -> Any:
        return x * limpid.max(x).item()

    def loop(x: Any) -> Any:
        while limpid.sum(x) < 100:
            x = x * 2
        return x

    for function in (branch, read, loop):
        with pytest.raises(errors.AbstractError) as error:
            limpid.compile(function)(X)
        for part in ("limpid.where", "limpid.cond", "limpid.scan", "test_compile_traps.py"):
            assert part in str(error.value)


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("kind", [KeyError, Interrupted])
def test_an_exception_while_recording(kind: Any) -> None:
    limpid.manual_seed(3)
    net, fails = Net(), True
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    log: list[Any] = []

    @limpid.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(nn.functional.dropout(net(x)))
        loss.backward()
        optimizer.step()
        net.scale = 1.0
        net.seen = 5
        log.append(loss)
        if fails:
            raise kind("mine")
        return loss

    before = net.state_dict(), limpid.random.default_generator().state_dict(), dict(vars(net))
    gradient = limpid.tensor(ones(3, 3))
    net.layers[0].weight.grad = gradient
    for _ in range(2):
        with pytest.raises(kind):
            step(ones(2, 3))
        assert (net.last, net.seen, log) == (None, 0, [])
        np.testing.assert_equal(net.state_dict(), before[0])
        np.testing.assert_equal(limpid.random.default_generator().state_dict(), before[1])
        assert optimizer.state_dict()["state"] == {}
        assert net.layers[0].weight.grad is gradient
        assert net.layers[1].weight.grad is None
    assert (step.count, limpid.is_grad_enabled()) == (0, True)
    assert (limpid.tensor(2.0) * 3).item() == 6.0
    fails = False
    loss = step(ones(2, 3))
    assert log[0].item() == loss.item()
    assert net.seen == 5


def test_an_exception_while_running() -> None:
    total = limpid.Buffer(ones(2))

    @limpid.compile
    def solve(a: Any) -> Any:
        limpid.assign(total, total + 1.0)
        return limpid.linalg.inv(a)

    assert solve(np.eye(2, dtype=np.float32)).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(
        errors.MatrixError, match=r"test_compile_traps\.py.*limpid\.linalg\.inv\(a\)"
    ):
        solve(np.zeros((2, 2), np.float32))
    assert total.tolist() == [2.0, 2.0]
    solve(np.eye(2, dtype=np.float32))
    assert total.tolist() == [3.0, 3.0]


def test_nested_steps() -> None:
    w = limpid.Parameter([2.0])

    @limpid.compile
    def inner(x: Any) -> Any:
        return w * x * SCALE

    @limpid.compile
    def outer(x: Any) -> Any:
        w.grad = None
        loss = limpid.sum(inner(x) * inner(x))
        loss.backward()
        return loss

    assert outer(ones(1)).item() == 16.0
    assert w.grad.item() == 16.0
    assert (inner.count, outer.count) == (0, 1)
    assert limpid.record(inner, ones(1))(ones(1)).item() == 4.0
    global SCALE
    SCALE = 1.0
    try:
        assert outer(ones(1)).item() == 4.0
    finally:
        SCALE = 2.0
    scanned = limpid.compile(lambda xs: limpid.scan(lambda c, x: (c + inner(x), c), ones(1), xs)[0])
    assert scanned(ones(3, 1)).tolist() == [13.0]


def test_a_step_within_recompute() -> None:
    step = limpid.compile(lambda x: limpid.sum(limpid.tanh(x) * x))
    x = limpid.tensor([1.0, 2.0], requires_grad=True)
    limpid.recompute(lambda x: step(x * 1.0))(x).backward()
    expected = limpid.grad(step)(np.float32([1.0, 2.0]))
    np.testing.assert_allclose(x.grad, expected, rtol=1e-6)
