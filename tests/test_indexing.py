"""Indexing against NumPy: values, gradients, assignment, recorded shapes, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import limpid
from limpid.errors import AbstractError, DTypeError, IndexingError, InPlaceError, ShapeError
from limpid.ops.key import key_layout, split_key

quick = settings(max_examples=200, deadline=None)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


@st.composite
def slices(draw: Any, extent: int) -> slice:
    bound = st.none() | st.integers(-extent - 2, extent + 2)
    step = st.none() | st.sampled_from([1, 2, -1, -2, -3])
    return slice(draw(bound), draw(bound), draw(step))


@st.composite
def shapes_and_keys(draw: Any) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """A shape and a key of integers, slices, arrays, masks, None and Ellipsis that fits it."""
    shape = draw(SHAPES)
    block = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    parts: list[Any] = []
    for extent in shape[: draw(st.integers(0, len(shape)))]:
        kinds = ["slice", "mask", *(["integer", "array", "array"] if extent else [])]
        kind = draw(st.sampled_from(kinds))
        if kind == "slice":
            parts.append(draw(slices(extent)))
        elif kind == "integer":
            parts.append(draw(st.integers(-extent, extent - 1)))
        elif kind == "array":
            own = tuple(
                draw(st.sampled_from([1, n])) for n in block[draw(st.integers(0, len(block))) :]
            )
            parts.append(draw(hnp.arrays(np.int64, own, elements=st.integers(-extent, extent - 1))))
        else:
            parts.append(draw(hnp.arrays(np.bool_, (extent,))))
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.booleans()):
        cut = draw(st.integers(0, len(parts)))
        taken = sum(part is not None for part in parts[:cut])
        rest = [p for p in parts[cut:] if p is None]
        parts = [*parts[:cut], Ellipsis, *(rest if taken < len(shape) else [])]
    return shape, tuple(parts)


def sample(shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def numpy_item(x: Any, key: Any) -> Any:
    try:
        return np.asarray(x[key])
    except IndexError:
        return None


@quick
@given(shapes_and_keys())
def test_values_gradients_and_shapes(case: Any) -> None:
    shape, key = case
    x = sample(shape)
    expected = numpy_item(x, key)
    tensor = limpid.tensor(x, requires_grad=True)
    if expected is None:
        with pytest.raises(IndexingError):
            tensor[key]
        return
    y = tensor[key]
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    static, arrays = split_key(key, shape)
    assert key_layout(shape, static, [a.shape for a in arrays]).shape == expected.shape
    w = sample(expected.shape, 1)
    wanted = np.zeros(shape)
    np.add.at(wanted, key, w)
    limpid.sum(y * w).backward()
    np.testing.assert_allclose(tensor.grad.numpy(), wanted, atol=1e-14)
    recorded = limpid.record(lambda t: t[key], x)
    assert recorded.graph.outputs[0][0].outputs[0].shape == expected.shape
    np.testing.assert_array_equal(recorded(x).numpy(), expected)


@quick
@given(shapes_and_keys(), st.data())
def test_assignment(case: Any, data: Any) -> None:
    """Values, and the gradients of both: where an index occurs twice only the last one counts."""
    shape, key = case
    x = sample(shape)
    item = numpy_item(x, key)
    if item is None:
        return
    kept = item.shape[data.draw(st.integers(0, item.ndim)) :]
    value = sample(tuple(1 if data.draw(st.booleans()) else n for n in kept), 2)
    if 1 in [n for n, m in zip(value.shape, kept, strict=True) if m == 0]:
        return
    expected = x.copy()
    expected[key] = value
    w = sample(shape, 3)
    t, v = limpid.tensor(x, requires_grad=True), limpid.tensor(value, requires_grad=True)
    y = limpid.set_item(t, key, v)
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    limpid.sum(y * w).backward()
    for_x, for_value = assignment_gradients(shape, key, value, w)
    np.testing.assert_allclose(t.grad.numpy(), for_x, atol=1e-14)
    np.testing.assert_allclose(v.grad.numpy(), for_value, atol=1e-14)


def assignment_gradients(shape: Any, key: Any, value: Any, w: Any) -> tuple[Any, Any]:
    """By following every single element, with no derivative rule."""
    source = np.arange(int(np.prod(shape))).reshape(shape)
    source[key] = -1 - np.arange(value.size).reshape(value.shape)
    for_x = np.where(source >= 0, w, 0)
    for_value = np.zeros(value.size)
    for place, weight in zip(source.ravel(), w.ravel(), strict=True):
        if place < 0:
            for_value[-1 - place] += weight
    return for_x, for_value.reshape(value.shape)


@quick
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3))
def test_broadcasting(shapes: Any) -> None:
    (a_shape, b_shape), shape = shapes.input_shapes, shapes.result_shape
    a, b, w = sample(a_shape), sample(b_shape, 1), sample(shape, 2)
    ga, gb = limpid.grad(lambda a, b: limpid.sum(a * b * w), (0, 1), unused="zeros")(a, b)
    for g, other, own in ((ga, b, a_shape), (gb, a, b_shape)):
        full = np.broadcast_to(other, shape) * w
        extra = tuple(range(full.ndim - len(own)))
        kept = full.sum(extra)
        stretched = tuple(i for i, n in enumerate(own) if n == 1 and kept.shape[i] != 1)
        np.testing.assert_allclose(g, kept.sum(stretched, keepdims=True), atol=1e-13)


@quick
@given(SHAPES, st.data())
def test_layout_functions(shape: Any, data: Any) -> None:
    """flip, roll, repeat, tile, pad, moveaxis on any shape, zero extents included."""
    x = sample(shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = data.draw(st.integers(0, 3))
    for name, arguments in (
        ("flip", (axis,)), ("roll", (n - 1, axis)), ("repeat", (n, axis)), ("repeat", (n,)),
        ("tile", ((n, 2),)), ("pad", (n,)), ("moveaxis", (axis, -1)), ("expand_dims", (axis,)),
    ):  # fmt: skip
        expected = getattr(np, name)(x, *arguments)
        t = limpid.tensor(x, requires_grad=True)
        y = getattr(limpid, name)(t, *arguments)
        np.testing.assert_array_equal(y.detach().numpy(), expected)
        limpid.sum(y * y).backward()
        counts = {"repeat": n, "tile": 2 * n}.get(name, 1)
        np.testing.assert_allclose(t.grad.numpy(), 2 * x * counts)


X = np.arange(12.0).reshape(3, 4)
BAD_KEYS = [
    (5, "index 5 is out of range for axis 0 with extent 3"),
    ((slice(None), -5), "index -5 is out of range for axis 1 with extent 4"),
    (([0, 2], [0, 4]), "index 4 is out of range for axis 1 with extent 4"),
    ((0, 0, 0), "3 indices for 2 dimensions"),
    (1.0, "not 1.0"),
    (np.array([1.0]), "not an array of float64"),
    (slice(0, 1.5), "the bounds of a slice must be integers"),
    ("a", "not 'a'"),
    ((Ellipsis, Ellipsis), "only one ellipsis"),
    (([0, 1], [0, 1, 2]), r"shapes \(2,\) and \(3,\) do not broadcast"),
    (np.array([True, False]), "the mask has extent 2 where axis 0 has extent 3"),
    ((Ellipsis, np.array([True] * 5)), "the mask has extent 5 where axis 1 has extent 4"),
]


@pytest.mark.parametrize(("key", "message"), BAD_KEYS, ids=[m for _, m in BAD_KEYS])
def test_errors_name_axis_index_and_extent(key: Any, message: str) -> None:
    t = limpid.tensor(X)
    with pytest.raises(IndexingError, match=message) as error:
        t[key]
    assert "test_indexing.py" in str(error.value)
    with pytest.raises(IndexError, match=message):  # also an IndexError, as NumPy's
        t[key] = 0.0
    with pytest.raises(IndexingError, match=message):
        limpid.record(lambda t: t[key], X)(X)


def test_errors_of_gathering() -> None:
    t = limpid.tensor(X)
    for bad in (
        lambda: limpid.take(t, [4], axis=1),
        lambda: limpid.take_along_axis(t, np.array([[4]]), axis=1),
        lambda: limpid.scatter_add(t, np.full((3, 1), 4), np.ones((3, 1)), axis=1),
    ):
        with pytest.raises(IndexingError, match="index 4 is out of range for axis 1 with extent 4"):
            bad()
    with pytest.raises(IndexingError, match="class 3 is out of range for 3 classes"):
        limpid.one_hot(limpid.tensor([0, 3]), 3)
    with pytest.raises(IndexingError, match="indices must be integers, not float64"):
        limpid.take(t, np.array([0.0]), axis=0)
    with pytest.raises(ShapeError, match="reaches beyond x"):
        limpid.gather(t, 0, np.zeros((1, 5), int))


def test_a_mask_under_recording_names_the_remedy() -> None:
    with pytest.raises(AbstractError, match=r"limpid\.where\(mask, x, other\)"):
        limpid.record(lambda x: limpid.sum(x[x > 0]), X)

    def masked(x: Any) -> Any:
        x[x > 4] = 0.0  # one number at all places: the shape is known
        return x * 1

    np.testing.assert_array_equal(limpid.record(masked, X)(X).numpy(), np.where(X > 4, 0, X))
    constant = X > 4  # a mask that is known is no obstacle
    np.testing.assert_array_equal(limpid.record(lambda x: x[constant], X)(X).numpy(), X[constant])


def test_indices_can_be_tensors_that_are_recorded() -> None:
    recorded = limpid.record(lambda x, i: x[i, 1:], X, np.array([2, 0]))
    np.testing.assert_array_equal(recorded(X, np.array([1, 1])).numpy(), X[[1, 1], 1:])
    g = limpid.record(limpid.grad(lambda x, i: limpid.sum(x[i])), X, np.array(2))
    wanted = np.zeros_like(X)
    wanted[1] = 1
    np.testing.assert_array_equal(g(X, np.array(1)).numpy(), wanted)


def test_assignment_rebinds_and_records() -> None:
    def f(x: Any) -> Any:
        y = x * 1
        before = y[0]
        y[0] = x[1] * x[2]
        y[:, 1] += 1
        return limpid.sum(y * y) + limpid.sum(before)

    def reference(x: Any) -> Any:
        y = np.concatenate([(x[1] * x[2])[None], x[1:]])
        y = y + np.array([0.0, 1, 0, 0])
        return (y * y).sum() + x[0].sum()

    value, g = limpid.value_and_grad(f)(X)
    assert value == reference(X)
    numeric = np.zeros_like(X)
    for place in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[place] = 1e-5
        numeric[place] = (reference(X + step) - reference(X - step)) / 2e-5
    np.testing.assert_allclose(g, numeric, rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(limpid.record(limpid.grad(f), X)(X).numpy(), g)


def test_assignment_to_an_argument_stays_inside_the_function() -> None:
    """Recorded or differentiated, the input is what came in, not what its name stands for later."""

    def f(x: Any) -> Any:
        x *= 2
        x[0] = 0.0
        return limpid.sum(x * x)

    wanted = 8 * X
    wanted[0] = 0
    t = limpid.tensor(X)
    np.testing.assert_array_equal(limpid.grad(f)(t).detach().numpy(), wanted)
    np.testing.assert_array_equal(t.numpy(), X)
    assert limpid.record(f, X)(X).item() == (wanted * X / 2).sum()
    _, tangent = limpid.jvp(f, (t,), (limpid.ones(X.shape, "float64"),))
    assert tangent.detach().item() == wanted.sum()


def test_assignment_leaves_other_names_alone() -> None:
    t = limpid.tensor(X) * 1
    other, same_shape, cast = t, limpid.reshape(t, t.shape), limpid.copy(t)
    t[0] = 0.0
    assert other is t  # one object, two names of it
    np.testing.assert_array_equal(same_shape.numpy(), X)
    np.testing.assert_array_equal(cast.numpy(), X)


def test_assignment_to_a_leaf_and_of_the_wrong_kind() -> None:
    leaf = limpid.tensor(X, requires_grad=True)
    with pytest.raises(InPlaceError, match=r"test_indexing\.py"):
        leaf[0] = 1.0
    with limpid.no_grad():
        leaf[0] = 1.0
    np.testing.assert_array_equal(leaf.detach().numpy()[0], 1)
    with pytest.raises(DTypeError, match="floats can't be assigned"):
        limpid.tensor([1, 2])[0] = 0.5
    with pytest.raises(ShapeError, match=r"\(3,\) can't be assigned to items of shape \(4,\)"):
        (limpid.tensor(X) * 1)[0] = np.ones(3)
    single = limpid.tensor(X.astype("f4")) * 1
    single[0] = limpid.tensor(np.ones(4))
    assert single.dtype is limpid.float32


def test_structure_of_jacobians() -> None:
    from limpid.differentiation.relation import structure
    from limpid.graph.graph import input_specs

    def form(f: Any, operand: int = 0) -> str:
        node = f(limpid.tensor(X, requires_grad=True)).node
        return structure(node.op.relation(input_specs(node), node.params), operand)

    for key in (1, (slice(None), 3), slice(None, None, -1), [0, 0, 2], ([0, 1], [2, 2]), X > 3):
        assert form(lambda t, key=key: t[key]) == "selection"
    assert form(lambda t: t[:, :]) == "diagonal"
    assert form(lambda t: limpid.set_item(t, 0, 1.0)) == "diagonal"
    assert (
        form(lambda t: limpid.set_item(limpid.zeros((4, 3, 4), "float64"), 0, t), 1) == "selection"
    )
    assert form(lambda t: limpid.reshape(t, (2, 6))) == "selection"
    assert form(lambda t: limpid.reshape(t, (3, 2, 2))) == "diagonal"
    assert form(lambda t: limpid.primitives["add_at"](
        t, np.array([0, 0, 1]), key=("array",), shape=(2, 4))) == "block"  # fmt: skip


def test_index_gradients_stay_small_in_memory_of_rules() -> None:
    """What rules read is not found anew for every index."""
    t = limpid.tensor(np.ones((50, 2)), requires_grad=True)
    t[0], t[1:3]
    before = len(limpid.primitives["get_item"].reads_cache)
    for i in range(50):
        t[i]
        t[i : i + 3]
    assert len(limpid.primitives["get_item"].reads_cache) == before


def test_iteration_and_unpacking() -> None:
    t = limpid.tensor(X, requires_grad=True)
    a, b, c = t
    limpid.sum(a * b * c).backward()
    np.testing.assert_array_equal(t.grad.numpy(), [X[1] * X[2], X[0] * X[2], X[0] * X[1]])
    assert list(limpid.zeros((0, 3))) == []
    assert len(list(limpid.zeros((1, 3)))) == 1


def test_non_contiguous_and_read_only_operands() -> None:
    base = np.arange(24.0).reshape(4, 6)[::2, ::-2].T
    base.flags.writeable = False
    t = limpid.asarray(base)
    np.testing.assert_array_equal(t[[0, 2]].numpy(), base[[0, 2]])
    assigned = limpid.set_item(t, 0, 1.0)
    assert assigned.numpy()[0].tolist() == [1.0, 1.0]
    np.testing.assert_array_equal(t.numpy(), base)
    assert np.isnan(limpid.pad(limpid.tensor([np.nan]), 1).numpy()[1])
