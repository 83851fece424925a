"""In which order values lie, and how far a chunk of a program reaches, so that memory is quick."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn
from limpid.compiler.program.translation import translate
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import locate
from limpid.compiler.runtime.native import Native
from limpid.compiler.schedule.stages import PRODUCT
from tests.native import close, native, needs_native

pytestmark = needs_native


def program(f: Any, *inputs: Any) -> Native:
    """A function's program, which computes what the function does."""
    graph = limpid.record(f, *inputs).graph
    made = native(translate(graph).outputs)
    for actual, expected in zip(made.run(inputs), graph.evaluate(inputs)[0], strict=True):
        close(actual, expected, 1e-5)
    return made


def side_by_side(x: Value) -> int:
    """The axis along which a value lies side by side in memory."""
    strides = locate(x).strides
    return min((n for n in range(len(x.shape)) if x.shape[n] > 1), key=lambda n: strides[n])


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def test_gradients_lie_as_what_they_are_the_gradients_of() -> None:
    """No element-by-element step reads one operand along memory and another across it."""

    def loss(x: Any, *p: Any) -> Any:
        h = limpid.relu(x @ p[0].mT + p[1])
        return limpid.sum(limpid.relu(h @ p[2].mT + p[3]) ** 2)

    shapes = [(128, 200), (256, 200), (256,), (256, 256), (256,)]
    point = [numbers(*shape, seed=n) / 8 for n, shape in enumerate(shapes)]
    made = program(lambda *xs: limpid.grad(loss, argnums=(1, 2, 3, 4))(*xs), *point)
    for stage in made.schedule.stages:
        for value in stage.values:
            large = [x for x in (value, *value.operands) if x.shape == (128, 256)]
            large = [x for x in large if 0 not in locate(x).strides]
            turned = value.kind == "map" and value.params["function"] == "cast"
            if stage.kind != PRODUCT and value.kind == "map" and not turned:
                assert len({side_by_side(x) for x in large}) <= 1


def test_what_pooling_sends_back_keeps_channels_side_by_side() -> None:
    w = numbers(32, 32, 3, 3, seed=1)

    def loss(x: Any) -> Any:
        y = nn.functional.conv2d(x, w, padding=1)
        y = nn.functional.max_pool2d(limpid.relu(y), 2)
        return limpid.sum(nn.functional.conv2d(y, w, padding=1) ** 2)

    made = program(lambda x: limpid.grad(loss)(limpid.sin(x)), numbers(2, 32, 16, 16))
    spread = [
        value
        for stage in made.schedule.stages
        for value in stage.values
        if value.kind == "map" and value.shape == (2, 32, 8, 2, 8, 2)
    ]
    assert spread
    assert {side_by_side(value) for value in spread} == {1}


def test_data_that_is_read_again_stays_in_the_cache() -> None:
    """Both products of a linear model go over the data once, chunk after chunk."""
    x, w = numbers(20_000, 300), numbers(300, seed=1)

    def gradient(x: Any, w: Any) -> Any:
        return limpid.grad(lambda w: limpid.sum(limpid.tanh(x @ w)))(w)

    made = program(gradient, x, w)
    bands = [block.band for phase in made.schedule.phases for block in phase]
    (band,) = [b for b in bands if b is not None and b.extent == 20_000]
    assert band.chunk * 300 * 4 <= 1 << 20
    readers = [
        block
        for phase in made.schedule.phases
        for block in phase
        for stage in block.stages
        if any(locate(o).base.kind == "input" and o.size > 10**6
               for v in stage.values for o in v.operands)
    ]  # fmt: skip
    assert len(set(readers)) == 1


def test_large_weights_are_not_read_for_every_few_rows() -> None:
    """A layer whose weights are beyond the cache is cut along its outputs, not along the batch."""
    filters, weight = numbers(64, 64, 3, 3, seed=1) / 20, numbers(128, 4096, seed=2) / 100

    def loss(x: Any, weight: Any) -> Any:
        for _ in range(8):
            x = limpid.relu(nn.functional.conv2d(x, filters, padding=1))
        return limpid.sum((limpid.reshape(x, (64, 4096)) @ weight.mT) ** 2)

    gradients = limpid.grad(loss, argnums=(0, 1))
    made = program(lambda x, w: gradients(x, w), numbers(64, 64, 8, 8), weight)
    found = {
        stage.values[0].shape: block.band
        for phase in made.schedule.phases
        for block in phase
        for stage in block.stages
        if stage.kind == PRODUCT
    }
    assert found[64, 64, 8, 8].extent == 64
    assert found[64, 128].extent == 128
