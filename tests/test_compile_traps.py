"""What can go wrong with compiled steps: each a new recording, a right answer or an error."""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import functools
import gc
import random
import threading
import types
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim

SCALE = 2.0
SHIFT = 1.0
TABLE = {"scale": 2.0, "deep": {"er": [3.0]}}
ARRAY = np.array([1.0, 2.0, 3.0], np.float32)
TENSOR = limpid.tensor([1.0, 1.0, 1.0])
COUNT = 0
SETTINGS = types.ModuleType("settings")
SETTINGS.__file__ = __file__
SETTINGS.scale = 2.0  # type: ignore[attr-defined]
X = np.array([1.0, 2.0, 3.0], np.float32)


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


def factor() -> float:
    return SCALE


def through_a_helper(x: Any) -> Any:
    return x * factor()


class Config:
    scale = 2.0


# What changed outside


@pytest.mark.parametrize("function", [lambda x: x * SCALE, through_a_helper])
def test_a_changed_global(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    step = limpid.compile(function)
    module = globals()
    for value, count in ((2.0, 1), (3.0, 2), (2.0, 2), (float("2"), 2), (-0.0, 3), (0.0, 4)):
        monkeypatch.setitem(module, "SCALE", value)
        np.testing.assert_array_equal(step(X), X * np.float32(value))
        assert step.count == count
    monkeypatch.setitem(module, "SCALE", np.array([2.0, 0.0, 1.0], np.float32))
    assert step(X).tolist() == [2.0, 0.0, 3.0]
    assert "SCALE: 2.0 → 3.0" in step.why_recompiled()


def test_a_helper_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    step = limpid.compile(through_a_helper)
    assert step(X).tolist() == [2.0, 4.0, 6.0]
    monkeypatch.setitem(globals(), "factor", lambda: SHIFT)
    assert step(X).tolist() == [1.0, 2.0, 3.0]
    monkeypatch.setitem(globals(), "SHIFT", 5.0)
    assert step(X).tolist() == [5.0, 10.0, 15.0]


def test_changed_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    step = limpid.compile(lambda x: x * TABLE["scale"] * TABLE["deep"]["er"][0])
    assert step(ones(1)).item() == 6.0
    monkeypatch.setitem(TABLE, "scale", 4.0)
    assert step(ones(1)).item() == 12.0
    monkeypatch.setitem(TABLE["deep"], "er", [1.0])  # type: ignore[arg-type]
    assert step(ones(1)).item() == 4.0
    TABLE["deep"]["er"][0] = 2.0  # type: ignore[index]
    assert step(ones(1)).item() == 8.0
    assert "TABLE['scale']: 2.0 → 4.0" in step.why_recompiled()


def test_a_small_array_changed_in_place() -> None:
    step = limpid.compile(lambda x: x * ARRAY)
    assert step(ones(3)).tolist() == [1.0, 2.0, 3.0]
    ARRAY[1] = 7.0
    assert step(ones(3)).tolist() == [1.0, 7.0, 3.0]
    ARRAY[1] = 2.0
    assert step(ones(3)).tolist() == [1.0, 2.0, 3.0]
    assert step.count == 2


def test_a_tensor_that_is_assigned_to_or_stands_for_something_else() -> None:
    global TENSOR
    step = limpid.compile(lambda x: x * TENSOR)
    assert step(ones(3)).tolist() == [1.0, 1.0, 1.0]
    limpid.assign(TENSOR, TENSOR * 2)
    assert step(ones(3)).tolist() == [2.0, 2.0, 2.0]
    assert step.count == 1
    TENSOR += 1.0
    assert step(ones(3)).tolist() == [3.0, 3.0, 3.0]
    TENSOR = limpid.tensor([1.0, 1.0, 1.0])
    assert step(ones(3)).tolist() == [1.0, 1.0, 1.0]


def test_a_users_module_of_code_and_class(monkeypatch: pytest.MonkeyPatch) -> None:
    step = limpid.compile(lambda x: x * SETTINGS.scale * Config.scale)
    assert step(ones(1)).item() == 4.0
    monkeypatch.setattr(SETTINGS, "scale", 3.0)
    assert step(ones(1)).item() == 6.0
    monkeypatch.setattr(Config, "scale", 1.0)
    assert step(ones(1)).item() == 3.0
    assert "SETTINGS.scale: 2.0 → 3.0" in step.why_recompiled()


def test_a_changed_closure() -> None:
    scale, table = 2.0, [1.0]

    def inner(x: Any) -> Any:
        return x * scale * table[0]

    step = limpid.compile(lambda x: inner(x))
    assert step(ones(1)).item() == 2.0
    scale = 3.0
    assert step(ones(1)).item() == 3.0
    table[0] = 2.0
    assert step(ones(1)).item() == 6.0
    table.append(1.0)
    scale = 2.0
    assert step(ones(1)).item() == 4.0


def test_closures_of_one_factory() -> None:
    def make(scale: float) -> Any:
        return limpid.compile(lambda x: x * scale)

    assert [make(s)(ones(1)).item() for s in (2.0, 3.0)] == [2.0, 3.0]


def test_a_plain_object() -> None:
    @dataclass
    class Options:
        scale: float
        unread: int = 0

    class Slotted:
        __slots__ = ("scale",)

    options, slotted = Options(2.0), Slotted()
    slotted.scale = 1.0
    step = limpid.compile(lambda x: x * options.scale * slotted.scale)
    assert step(ones(1)).item() == 2.0
    options.unread = 3
    assert step(ones(1)).item() == 2.0
    assert step.count == 1
    options.scale = 3.0
    assert step(ones(1)).item() == 3.0
    slotted.scale = 2.0
    assert step(ones(1)).item() == 6.0
    assert "options.scale: 2.0 → 3.0" in step.why_recompiled()


class Net(nn.Module):
    def __init__(self) -> None:
        self.layers = [nn.Linear(3, 3, bias=False) for _ in range(2)]
        self.scale = 1.0
        self.seen = 0
        self.activation = limpid.tanh
        self.last: Any = None

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = self.activation(layer(x))
        self.last = x
        return self.helper(x)

    def helper(self, x: Any) -> Any:
        return x * self.scale


def changes_of_a_net(net: Net) -> dict[str, Any]:
    return {
        "attribute": lambda: setattr(net, "scale", 3.0),
        "function": lambda: setattr(net, "activation", limpid.sin),
        "parameter": lambda: setattr(net.layers[0], "weight", limpid.Parameter(ones(3, 3))),
        "layer in a list": lambda: net.layers.__setitem__(1, nn.Linear(3, 2)),
        "one more layer": lambda: net.layers.append(nn.Linear(3, 4)),
        "value": lambda: limpid.assign(net.layers[1].weight, ones(3, 3)),
        "state": lambda: net.load_state_dict({k: v * 2 for k, v in net.state_dict().items()}),
        "frozen": lambda: net.requires_grad_(False),
    }


@pytest.mark.parametrize("change", changes_of_a_net(Net()))
def test_a_changed_module(change: str) -> None:
    net = Net()
    step = limpid.compile(lambda x: net(x))
    step(ones(2, 3))
    changes_of_a_net(net)[change]()
    for _ in range(2):
        found, expected = step(ones(2, 3)), net(ones(2, 3))
        np.testing.assert_array_equal(found.detach(), expected.detach())
        assert found.requires_grad == expected.requires_grad
    assert step.count == (1 if change in ("value", "state") else 2)


def test_attributes_that_nobody_reads() -> None:
    net = Net()
    step = limpid.compile(lambda x: net(x))
    for i in range(3):
        step(ones(2, 3))
        net.seen += 1
        net.note = i
    assert step.count == 1


def test_what_a_module_keeps_is_there_after_every_call() -> None:
    net = Net()
    step = limpid.compile(lambda x: net(x))
    for value in (1.0, 2.0):
        y = step(ones(2, 3) * np.float32(value))
        np.testing.assert_array_equal(net.last.detach(), y.detach())
    assert step.count == 1


def test_a_layer_that_is_added_or_replaced() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    step = limpid.compile(lambda x: net(x))
    step(ones(1, 3))
    net.append(nn.Linear(3, 2))
    assert step(ones(1, 3)).shape == (1, 2)
    setattr(net, "2", nn.Linear(3, 4))
    assert step(ones(1, 3)).shape == (1, 4)


def test_parameters_that_are_frozen_for_training() -> None:
    net = nn.Linear(3, 1)
    optimizer = optim.SGD(net.parameters(), lr=0.1)

    @limpid.compile
    def step(x: Any) -> None:
        optimizer.zero_grad()
        limpid.sum(net(x)).backward()
        optimizer.step()

    step(ones(1, 3))
    net.weight.requires_grad = False
    before = net.state_dict()
    step(ones(1, 3))
    after = net.state_dict()
    np.testing.assert_array_equal(after["weight"], before["weight"])
    assert (after["bias"] != before["bias"]).all()
    assert net.weight.grad is None
    assert "weight.requires_grad: True → False" in step.why_recompiled()


def test_an_optimiser_with_more_parameters() -> None:
    first, second = limpid.Parameter([1.0]), limpid.Parameter([1.0])
    optimizer = optim.SGD([first], lr=0.5)

    @limpid.compile
    def step() -> None:
        optimizer.zero_grad()
        limpid.sum(first + second).backward()
        optimizer.step()

    step()
    optimizer.add_param_group({"params": [second], "lr": 0.25})
    step()
    assert (first.item(), second.item()) == (0.0, 0.75)
    optimizer.param_groups[1]["maximize"] = True
    step()
    assert (first.item(), second.item()) == (-0.5, 1.0)


def through_no_grad() -> tuple[Any, Any]:
    box = {"scale": 2.0}

    @limpid.no_grad()
    def helper(x: Any) -> Any:
        return x * box["scale"]

    return lambda x: helper(x), lambda: box.update(scale=3.0)


def through_a_decorator() -> tuple[Any, Any]:
    scale = 2.0

    def twice(function: Any) -> Any:
        @functools.wraps(function)
        def run(x: Any) -> Any:
            return function(x)

        return run

    @twice
    def helper(x: Any) -> Any:
        return x * scale

    def change() -> None:
        nonlocal scale
        scale = 3.0

    return lambda x: helper(x), change


def through_a_context_manager() -> tuple[Any, Any]:
    found = types.SimpleNamespace(scale=2.0)

    @contextlib.contextmanager
    def scaled() -> Any:
        yield found.scale

    def f(x: Any) -> Any:
        with scaled() as scale:
            return x * scale

    return f, lambda: setattr(found, "scale", 3.0)


def through_a_namespace() -> tuple[Any, Any]:
    options = argparse.Namespace(scale=2.0)
    return lambda x: x * options.scale, lambda: setattr(options, "scale", 3.0)


def through_a_local_name() -> tuple[Any, Any]:
    options = types.SimpleNamespace(inner=types.SimpleNamespace(scale=2.0))

    def f(x: Any) -> Any:
        inner = options.inner
        return x * inner.scale

    return f, lambda: setattr(options.inner, "scale", 3.0)


def through_a_functions_attribute() -> tuple[Any, Any]:
    def helper(x: Any) -> Any:
        return x * helper.scale  # type: ignore[attr-defined]

    helper.scale = 2.0  # type: ignore[attr-defined]
    return lambda x: helper(x), lambda: setattr(helper, "scale", 3.0)


def through_a_default() -> tuple[Any, Any]:
    table = {"scale": 2.0}
    return lambda x, table=table: x * table["scale"], lambda: table.update(scale=3.0)


def through_partial() -> tuple[Any, Any]:
    table = [2.0]
    return (
        functools.partial(lambda x, table: x * table[0], table=table),
        lambda: table.__setitem__(0, 3.0),
    )


def through_a_callable_object() -> tuple[Any, Any]:
    class Scale:
        def __init__(self) -> None:
            self.factors = [2.0]

        def __call__(self, x: Any) -> Any:
            return self.apply(x)

        def apply(self, x: Any) -> Any:
            return x * self.factors[0]

    scale = Scale()
    return scale, lambda: scale.factors.__setitem__(0, 3.0)


def through_getattr() -> tuple[Any, Any]:
    options = types.SimpleNamespace(scale=2.0)
    return lambda x: x * getattr(options, "sca" + "le"), lambda: setattr(options, "scale", 3.0)


def through_a_property() -> tuple[Any, Any]:
    class Options:
        low = 1.0

        @property
        def scale(self) -> float:
            return 2.0 * self.low

    options = Options()
    return lambda x: x * options.scale, lambda: setattr(options, "low", 1.5)


def through_a_base_class() -> tuple[Any, Any]:
    class Base(nn.Module):
        scale = 2.0

        def forward(self, x: Any) -> Any:
            return self.scaled(x)

        def scaled(self, x: Any) -> Any:
            return x * self.scale

    class Derived(Base):
        def forward(self, x: Any) -> Any:
            return super().forward(x)

    net = Derived()
    return net, lambda: setattr(Base, "scale", 3.0)


def through_the_options_of_a_module() -> tuple[Any, Any]:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            self.options = types.SimpleNamespace(inner={"scale": 2.0})

        def forward(self, x: Any) -> Any:
            return x * self.options.inner["scale"]

    net = nn.Sequential(Scaled())
    return lambda x: net(x), lambda: net[0].options.inner.update(scale=3.0)


def through_many_modules() -> tuple[Any, Any]:
    class Scaled(nn.Module):
        scale = 1.0

        def forward(self, x: Any) -> Any:
            return x * self.scale

    nets = [Scaled() for _ in range(100)]
    nets[99].scale = 2.0

    def f(x: Any) -> Any:
        for net in nets:
            x = net(x)
        return x

    return f, lambda: setattr(nets[99], "scale", 3.0)


def through_grad() -> tuple[Any, Any]:
    scale = [1.0]
    slope = limpid.grad(lambda x: limpid.sum(x * x * scale[0]))
    return slope, lambda: scale.__setitem__(0, 1.5)


def through_scan() -> tuple[Any, Any]:
    scale = {"by": 2.0}

    def f(x: Any) -> Any:
        return limpid.scan(lambda c, _: (c * scale["by"], c), x, limpid.zeros(1))[0]

    return f, lambda: scale.update(by=3.0)


WAYS = [value for name, value in list(globals().items()) if name.startswith("through_")][1:]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_number_that_is_reached(way: Any) -> None:
    function, change = way()
    step = limpid.compile(function)
    for _ in range(2):
        assert step(X).tolist() == [2.0, 4.0, 6.0]
    assert step.count == 1
    change()
    for _ in range(2):
        assert step(X).tolist() == [3.0, 6.0, 9.0]
    assert step.count == 2, step.why_recompiled()


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


# What a function sets outside


def test_globals_and_closures_that_the_function_sets() -> None:
    calls, last, seen = 0, None, []

    @limpid.compile
    def step(x: Any) -> Any:
        global COUNT
        nonlocal calls, last
        COUNT += 1
        calls += 1
        last = x * 2.0
        seen.append(last)
        return x * calls

    for k in (1, 2, 3):
        assert step(ones(1)).item() == k
        assert (COUNT, calls, len(seen)) == (k, k, k)
        assert last.item() == seen[-1].item() == 2.0
    assert [x.item() for x in seen] == [2.0, 2.0, 2.0]


def test_a_closure_that_is_only_written_is_recorded_once() -> None:
    last = None

    @limpid.compile
    def step(x: Any) -> None:
        nonlocal last
        last = x * 2.0

    for value in (1.0, 2.0):
        step(np.full(1, value))
        assert last.item() == 2 * value
    assert step.count == 1


def test_a_tensor_that_adds_up() -> None:
    total = limpid.tensor([0.0])

    @limpid.compile
    def step(x: Any) -> None:
        nonlocal total
        total += x

    for k in (1, 2, 3):
        held = total
        step(ones(1))
        assert total is held
        assert total.item() == k


def test_hidden_state_of_a_module() -> None:
    class Memory(nn.Module):
        def __init__(self) -> None:
            self.cell = nn.RNNCell(1, 2)
            self.hidden: Any = None

        def forward(self, x: Any) -> Any:
            self.hidden = self.cell(x, self.hidden).detach()
            return self.hidden

    found = []
    for compiled in (False, True):
        limpid.manual_seed(0)
        net = Memory()
        step = limpid.compile(net) if compiled else net
        found.append([step(ones(1, 1)).tolist() for _ in range(3)])
    assert found[0] == found[1]


def test_modes_that_the_function_sets() -> None:
    net = nn.Sequential(nn.Dropout(1.0))

    @limpid.compile
    def step(x: Any) -> Any:
        net.train()
        return net(x)

    for _ in range(2):
        net.eval()
        assert step(ones(1)).item() == 0.0
        assert net[0].training
        assert step(ones(1)).item() == 0.0
    assert step.count == 2


def test_parameters_made_inside() -> None:
    def fit(x: Any) -> Any:
        w = limpid.Parameter(ones(3))
        for _ in range(2):
            limpid.sum(w * w * x).backward()
            limpid.assign(w, w - 0.1 * w.grad)
        net = nn.Sequential(nn.Linear(3, 1))
        nn.init.ones_(net[0].weight)
        return w * 1.0, w.grad, net(x) * 0.0

    step = limpid.compile(fit)
    expected = fit(limpid.tensor(X))
    for _ in range(3):
        for a, b in zip(step(X), expected, strict=True):
            np.testing.assert_array_equal(a.detach(), b.detach())
    assert step.count == 1
    with pytest.raises(errors.ArgumentError, match="a new one for each"):
        limpid.compile(lambda: limpid.Parameter(ones(3)))()


def test_parameters_made_when_a_module_is_first_called() -> None:
    class Lazy(nn.Module):
        weight: Any = None

        def forward(self, x: Any) -> Any:
            if self.weight is None:
                self.weight = limpid.Parameter(ones(x.shape[-1]))
            return self.weight * x

    net = Lazy()
    step = limpid.compile(lambda x: net(x))
    assert step(X).tolist() == [1.0, 2.0, 3.0]
    assert isinstance(net.weight, limpid.Parameter)
    limpid.assign(net.weight, X)
    assert step(X).tolist() == step(X).tolist() == [1.0, 4.0, 9.0]
    assert step.count == 2


# Random numbers


def test_random_numbers_are_fresh_and_those_of_eager() -> None:
    own = limpid.random.Generator(5)

    def f(x: Any) -> Any:
        return x + limpid.random.normal(shape=3), limpid.random.uniform(shape=2, generator=own)

    step = limpid.compile(f)
    results = []
    for function in (f, step):
        limpid.manual_seed(1)
        own.seed(5)
        results.append([[y.tolist() for y in function(limpid.tensor(X))] for _ in range(3)])
        results[-1].append(limpid.random.uniform(shape=2).tolist())
    assert results[0] == results[1]
    assert results[1][0] != results[1][1]
    limpid.manual_seed(1)
    assert step(X)[0].tolist() == results[0][0][0]
    assert step.count == 1


def test_each_thread_draws_its_own_numbers() -> None:
    step = limpid.compile(lambda x: x + limpid.random.uniform(shape=3))
    limpid.manual_seed(1)
    step(X)
    mine = limpid.random.default_generator().state_dict()
    found: dict[str, Any] = {}

    def elsewhere() -> None:
        limpid.manual_seed(7)
        found["compiled"] = step(X).tolist()
        limpid.manual_seed(7)
        found["eager"] = step.function(limpid.tensor(X)).tolist()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found["compiled"] == found["eager"]
    assert step.count == 1
    np.testing.assert_equal(limpid.random.default_generator().state_dict(), mine)


def test_random_numbers_that_are_not_limpids() -> None:
    generator = np.random.default_rng(0)
    for draw in (lambda: np.random.rand(), random.random, lambda: generator.random()):
        with pytest.raises(errors.AbstractError, match=r"limpid\.random"):
            limpid.compile(lambda x, draw=draw: x * draw())(X)


# State


def test_what_is_seen_after_a_step() -> None:
    net = nn.Linear(3, 1)
    optimizer = optim.SGD(net.parameters(), lr=0.5)

    @limpid.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(net(x))
        loss.backward()
        optimizer.step()
        return loss

    start = net.weight.detach().numpy()
    saved, held = net.state_dict(), net.weight.detach()
    step(ones(1, 3))
    first = net.weight.grad
    np.testing.assert_array_equal(net.weight.detach(), saved["weight"] - 0.5)
    np.testing.assert_array_equal(net.state_dict()["weight"], net.weight.detach())
    np.testing.assert_array_equal(start, saved["weight"])  # whoever held the old value keeps it
    np.testing.assert_array_equal(held, saved["weight"])
    step(2 * ones(1, 3))
    assert (first.tolist(), net.weight.grad.tolist()) == ([[1.0] * 3], [[2.0] * 3])


def test_writes_from_outside_are_seen() -> None:
    net = nn.Linear(2, 1, bias=False)
    step = limpid.compile(lambda x: net(x))
    x = ones(1, 2)
    step(x)
    with limpid.no_grad():
        net.weight -= net.weight
    assert step(x).item() == 0.0
    limpid.assign(net.weight, [[1.0, 2.0]])
    assert step(x).item() == 3.0
    net.load_state_dict({"weight": np.float32([[2.0, 2.0]])})
    assert step(x).item() == 4.0
    nn.init.ones_(net.weight)
    assert step(x).item() == 2.0
    assert step.count == 1


def test_a_gradient_that_needs_a_value_from_before_a_step() -> None:
    w = limpid.Parameter([2.0])
    y = limpid.sum(w * w)
    limpid.compile(lambda: limpid.assign(w, w * 2.0))()
    with pytest.raises(errors.OverwrittenError, match=r"test_compile_traps\.py"):
        y.backward()


def test_gradients_given_from_outside() -> None:
    w = limpid.Parameter([1.0, 1.0])
    optimizer = optim.SGD([w], lr=1.0)
    step = limpid.compile(lambda: optimizer.step())
    step()
    assert w.tolist() == [1.0, 1.0]
    for value in (1.0, 2.0):
        w.grad = limpid.tensor([value, value])
        step()
    assert w.tolist() == [-2.0, -2.0]
    assert w.grad.tolist() == [2.0, 2.0]
    assert step.count == 2


# Threads and memory


def test_threads_share_a_step() -> None:
    total = limpid.Buffer(np.zeros((), np.int64))

    @limpid.compile
    def step(x: Any) -> Any:
        limpid.assign(total, total + 1)
        return limpid.sum(x * x)

    wrong = []

    def work(number: int) -> None:
        for k in range(50):
            x = np.full(number + k % 3 + 1, 2.0)
            if step(x).item() != 4.0 * x.size:
                wrong.append(x.size)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert total.item() == 200
    assert step.count == 6


def test_old_recordings_are_let_go() -> None:
    @limpid.compile(capacity=2)
    def step(net: Any, x: Any) -> Any:
        return net(x)

    alive = []
    for _ in range(5):
        net = nn.Linear(3, 2)
        alive.append(weakref.ref(net))
        step(net, ones(1, 3))
    del net
    gc.collect()
    assert [ref() is None for ref in alive] == [True, True, True, False, False]


def test_a_step_and_its_model_are_let_go_together() -> None:
    def make() -> Any:
        net = nn.Linear(3, 2)
        step = limpid.compile(lambda x: net(x))
        step(ones(1, 3))
        return step, weakref.ref(net)

    step, net = make()
    del step
    gc.collect()
    assert net() is None


def test_repeated_calls_keep_memory_flat() -> None:
    import tracemalloc

    net = nn.Linear(20, 20)
    optimizer = optim.Adam(net.parameters(), lr=0.1)

    @limpid.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(net(x) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    gc.disable()
    try:
        for _ in range(20):
            step(ones(4, 20))
        tracemalloc.start()
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            step(ones(4, 20))
        grown = tracemalloc.get_traced_memory()[0] - first
    finally:
        tracemalloc.stop()
        gc.enable()
    assert grown < 20_000


# What an object carries


def test_a_step_in_a_module_is_copied_with_it() -> None:
    class Quick(nn.Module):
        def __init__(self) -> None:
            self.weight = limpid.Parameter(ones(3))
            self.run = limpid.compile(self.forward)

        def forward(self, x: Any) -> Any:
            return self.weight * x

    net = Quick()
    assert net.run(X).tolist() == [1.0, 2.0, 3.0]
    twin = copy.deepcopy(net)
    limpid.assign(twin.weight, X)
    assert twin.run(X).tolist() == [1.0, 4.0, 9.0]
    assert net.run(X).tolist() == [1.0, 2.0, 3.0]
    assert (net.run.count, twin.run.count) == (1, 1)


def test_attributes_that_the_function_makes_on_plain_objects() -> None:
    box = types.SimpleNamespace()

    @limpid.compile
    def step(x: Any) -> None:
        box.seen = x * 2.0

    for value in (1.0, 2.0):
        step(np.full(1, value))
        assert box.seen.item() == 2 * value
    assert step.count == 1


def test_a_value_that_got_away() -> None:
    """A place that nobody watches holds a tensor without a value, which says so."""
    away: Any = collections.deque()
    limpid.compile(lambda x: away.append(x * 2.0))(X)
    with pytest.raises(errors.AbstractError, match="return it from the recorded function"):
        away[0].tolist()
