"""Plain steps of primitives against their forwards: ways that depend on extents and params."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import limpid
from limpid import nn
from limpid.compiler.program.translation import translate
from limpid.compiler.program.values import evaluate, ordered
from limpid.graph.registry import primitives
from limpid.ops.normalization import standardize
from tests.plain import agree, called, numbers

F = nn.functional

# Classes


@st.composite
def choices(draw: Any) -> dict[str, Any]:
    shape = draw(st.lists(st.integers(0, 4), max_size=2))
    return {
        "shape": tuple(shape),
        "classes": draw(st.integers(1, 6)),
        "axis": 1 if shape else 0,
        "ignore_index": draw(st.sampled_from([-100, 0, 2])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.25])),
        "weighted": draw(st.booleans()),
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "ignored": draw(st.booleans()),
        "label": draw(st.sampled_from(["int64", "uint8", "int32"])),
    }


@settings(max_examples=200, deadline=None)
@given(choices(), st.integers(0, 99))
def test_losses_of_classes(case: dict[str, Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, classes, axis = case["shape"], case["classes"], case["axis"]
    target = np.asarray(rng.integers(0, classes, shape))
    x = rng.normal(size=(*shape[:axis], classes, *shape[axis:])) * 3
    assume(0 not in shape or case["reduction"] != "mean")
    if case["ignored"] and case["label"] != "uint8":
        target = np.asarray(np.where(rng.random(shape) < 0.4, case["ignore_index"], target))
        np.moveaxis(x, axis, -1)[target == case["ignore_index"]] = np.nan
    params = {k: case[k] for k in ("ignore_index", "label_smoothing", "reduction")}
    weight = [rng.random(classes).round(1)] if case["weighted"] else []

    def loss(x: Any, target: Any, *weight: Any) -> Any:
        own = weight[0] if weight else None
        return F.cross_entropy(x, target, weight=own, **params)

    operands = [x, target.astype(case["label"]), *weight]
    agree(loss, *operands)
    upstream = rng.normal(size=loss(*operands).shape)
    agree(limpid.grad(lambda *a: limpid.sum(loss(*a) * upstream)), *operands)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_negative_log_likelihood(weighted: bool, reduction: str) -> None:
    x, weight = numbers(5, 4, 3), np.array([0.5, 0.0, 2.0, 1.0])
    target = np.array([[0, 1, 2], [3, -100, 0], [1, 1, -100], [2, 3, 0], [-100, -100, -100]])
    x[1, :, 1] = np.inf  # of an ignored row
    given = [weight] if weighted else []

    def loss(x: Any, target: Any, *weight: Any) -> Any:
        own = weight[0] if weight else None
        return F.nll_loss(x, target, own, reduction=reduction)

    agree(loss, x, target, *given)
    agree(limpid.grad(lambda *a: limpid.sum(loss(*a))), x, target, *given)


# Ways that eager takes for large arrays only


def test_large_arrays_need_no_call() -> None:
    x = numbers(700, 300)
    condition = x > 0
    agree(lambda x: limpid.where(x > 0.5, x, -x), x)
    agree(lambda x, c: limpid.where(c, x, 2.0), x, condition)
    agree(lambda x: limpid.softplus(x), x)
    single = x.astype(np.float32)
    agree(lambda x: (limpid.sum(x, 0), limpid.mean(x, 0), limpid.var(x, 0)), single, tolerance=1e-5)
    agree(lambda x: (limpid.lgamma(x), limpid.digamma(x), limpid.erf(x), limpid.erfc(x)), x)
    index = np.random.default_rng(0).integers(-700, 700, 2000)
    agree(lambda x, i: x[i], x, index)
    weights = numbers(2000, 300)
    agree(limpid.grad(lambda x, i: limpid.sum(x[i] * weights)), x, index)
    agree(lambda a, b: limpid.linear_recurrence(a, b, 0), x / 9, x)


def test_statistics_far_from_zero() -> None:
    """Within four times eager's own error, and four units of the last place of the largest."""
    for offset in (0.0, 3.0, 1e3, 1e5):
        wide = numbers(64, 6, 9, 9) + offset
        x = wide.astype(np.float32)
        exact = standardize(x.astype(np.float64), (0, 2, 3), 1e-5)
        eager = standardize(x, (0, 2, 3), 1e-5)
        graph = limpid.record(lambda x: standardize(x, (0, 2, 3), 1e-5), x).graph
        found = evaluate(translate(graph).outputs, [x])
        for actual, mine, right in zip(found, eager, exact, strict=True):
            last = float(np.spacing(np.float32(np.abs(right).max())))
            error = np.abs(mine - right).max()
            assert np.abs(actual - right).max() <= 4 * error + 4 * last


def test_constant_channels_stay_finite() -> None:
    x = np.full((4, 3, 5), 0.1, np.float32)
    agree(lambda x: standardize(x, (0, 2), 1e-5), x, tolerance=1e-6)
    graph = limpid.record(lambda x: standardize(x, (0, 2), 0.0)[2], x).graph
    assert (evaluate(translate(graph).outputs, [x])[0] >= 0).all()


# Random numbers


@pytest.mark.parametrize("count", [3, 1000, 40_000])
def test_random_numbers_have_eagers_bits(count: int) -> None:
    for draw in (
        lambda g: limpid.random.normal(1.0, 2.0, (count,), generator=g),
        lambda g: limpid.random.normal(0.0, 1.0, (count,), dtype="float64", generator=g),
        lambda g: limpid.random.truncated_normal(shape=(count,), low=0.5, generator=g),
        lambda g: limpid.random.integers(-7, 90, (count,), generator=g),
        lambda g: limpid.random.bernoulli(0.3, (count,), generator=g),
        lambda g: limpid.random.choice(4, (count,), p=np.array([0.1, 0.5, 0.0, 0.4]), generator=g),
    ):
        generator = limpid.random.Generator((1 << 63) + 12345)
        graph = limpid.record(lambda: draw(generator)).graph  # noqa: B023  # called at once
        program = translate(graph)
        assert not called(program)
        state = [node.op.evaluate((), {}) for node in graph.slots.values()]
        found = evaluate(program.outputs, state)
        np.testing.assert_array_equal(found[0], draw(generator).numpy())
        np.testing.assert_array_equal(found[1], generator.state.numpy())
        constants = [v.size for v in ordered(program.outputs) if v.kind == "constant"]
        assert max(constants) <= 4096


# Several at one place, and what is not there


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 99), st.integers(1, 4), st.integers(1, 9))
def test_unpooling_keeps_the_last(seed: int, count: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, 2 * size, (3, 2, count))
    op = primitives
    agree(
        lambda x, i: op["unpool"](x, i, extents=(2, size)),
        numbers(3, 2, count)[:, None],
        indices[:, None],
    )
    g = numbers(3, 2, size)[:, None]
    agree(lambda g, i: op["unpool_adjoint"](g, i, extents=(2, size)), g, indices[:, None])


@pytest.mark.parametrize("key", [(slice(1, None), 0), (0, slice(None, None, -2)), (0, ..., 0)])
def test_of_what_is_assigned_twice_the_last_has_the_gradient(key: Any) -> None:
    index = np.array([2, -1, 0, 2, 2])
    x = numbers(3, 3, 3)

    def assigned(x: Any, v: Any, i: Any) -> Any:
        parts = [i if part == 0 and not isinstance(part, slice) else part for part in key]
        return limpid.set_item(x, tuple(parts), v)

    v = numbers(*np.empty((3, 3, 3))[tuple(index if p == 0 else p for p in key)].shape, seed=1)
    agree(assigned, x, v, index)
    weights = numbers(3, 3, 3, seed=2)
    loss = limpid.grad(lambda x, v, i: limpid.sum(assigned(x, v, i) * weights), (0, 1))
    agree(loss, x, v, index)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 99), st.sampled_from(["float64", "int32"]))
def test_the_largest_of_bags(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    table = np.round(rng.normal(size=(6, 3)) * 2)
    if dtype == "float64":
        table[rng.random((6, 3)) < 0.2] = np.nan
        table[rng.random((6, 3)) < 0.3] = -np.inf
    bags = np.sort(rng.integers(0, 5, 12))
    rows = rng.integers(-1, 6, 12)
    op = primitives["bag_argmax"]
    agree(lambda t, b, i: op(t, b, i, count=5), table.astype(dtype), bags, rows)
    values = table.astype(dtype)
    largest = primitives["largest_at"]
    agree(lambda x, i, v: largest(x, i, v), values[:, 0], rows[:6], values[:, 1])


@pytest.mark.parametrize("layout", ["rows", "runs", "any"])
def test_sparse_products(layout: str) -> None:
    rng = np.random.default_rng(3)
    rows = {"rows": np.repeat(np.arange(6), 4), "runs": np.sort(rng.integers(-1, 6, 24)),
            "any": rng.integers(-1, 6, 24)}[layout]  # fmt: skip
    columns = rng.integers(-1, 5, 24)
    dense = numbers(5, 3)
    dense[0] = np.nan  # where −1 would read
    columns = np.where(columns == 0, -1, columns)
    product, sampled = primitives["sparse_matmul"], primitives["sampled_matmul"]
    agree(lambda v, d, r, c: product(v, d, r, c, extent=6), numbers(24), dense, rows, columns)
    agree(lambda a, b, r, c: sampled(a, b, r, c), numbers(6, 3), dense, rows, columns)
