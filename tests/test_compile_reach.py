"""A number that a compiled step reaches in some way is noticed when it changes."""

from __future__ import annotations

import argparse
import contextlib
import functools
import types
from typing import Any

import pytest

import limpid
from limpid import nn
from tests.compiled import X


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
