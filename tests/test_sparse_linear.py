"""Linear layers of sparse inputs, against the dense layer and against loops."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import (
    AbstractError,
    ArgumentError,
    DTypeError,
    IndexingError,
    ShapeError,
)
from limpid.nn import functional as F

RNG = np.random.default_rng(0)


def padded(rows: int, most: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of up to `most` elements, filled up with −1."""
    indices = RNG.integers(0, features, (rows, most))
    indices[np.arange(most) >= RNG.integers(0, most + 1, (rows, 1))] = -1
    return indices, RNG.normal(size=(rows, most))


def dense(indices: np.ndarray, values: np.ndarray, features: int) -> np.ndarray:
    x = np.zeros((len(indices), features))
    for n, row in enumerate(indices):
        for k, column in enumerate(row):
            if column >= 0:
                x[n, column] += values[n, k]
    return x


@pytest.mark.parametrize(
    ("rows", "most", "features", "out"),
    [(4, 3, 7, 2), (300, 40, 50, 70), (1, 1, 1, 1), (3, 2000, 30, 400), (5, 3, 4, 0)],
)
def test_sparse_linear_is_the_dense_layer(rows: int, most: int, features: int, out: int) -> None:
    """In value and in gradients; large enough that what is gathered comes in several parts."""
    indices, values = padded(rows, most, features)
    sparse = nn.SparseLinear(features, out, dtype="float64")
    full = nn.Linear(features, out, dtype="float64")
    full.load_state_dict(sparse.state_dict())
    v = limpid.tensor(values, requires_grad=True)
    x = limpid.tensor(dense(indices, values, features), requires_grad=True)
    y, z = sparse(indices, v), full(x)
    np.testing.assert_allclose(y.detach(), z.detach(), atol=1e-10)
    g = RNG.normal(size=y.shape)
    y.backward(g)
    z.backward(g)
    for name in ("weight", "bias"):
        np.testing.assert_allclose(getattr(sparse, name).grad, getattr(full, name).grad, atol=1e-10)
    each = np.take_along_axis(x.grad.numpy(), np.maximum(indices, 0), 1) * (indices >= 0)
    np.testing.assert_allclose(v.grad, each, atol=1e-10)


@pytest.mark.parametrize("ordered", [True, False])
def test_places_in_any_order(ordered: bool) -> None:
    count, rows, features, out = 30_000, 200, 300, 40
    at = RNG.integers(0, rows, count)
    places = np.stack([np.sort(at) if ordered else at, RNG.integers(0, features, count)])
    values, weight = RNG.normal(size=count), RNG.normal(size=(out, features))
    x = np.zeros((rows, features))
    np.add.at(x, tuple(places), values)
    np.testing.assert_allclose(
        F.sparse_linear(places, values, weight, rows=rows), x @ weight.T, atol=1e-9
    )
    assert F.sparse_linear(places[:, :5], values[:5], weight).shape == (
        places[0, :5].max() + 1,
        out,
    )
    empty = F.sparse_linear(np.zeros((2, 0), int), np.zeros(0), weight, rows=3)
    np.testing.assert_array_equal(empty, np.zeros((3, out)))


def test_leading_axes_and_strange_layouts() -> None:
    weight, bias = np.asfortranarray(RNG.normal(size=(3, 6))), RNG.normal(size=3)
    indices = RNG.integers(0, 6, (4, 5, 2)).astype(np.uint8)[::2, ::-1]
    values = RNG.normal(size=(8, 5, 2))[::4]
    values.flags.writeable = weight.flags.writeable = False
    y = F.sparse_linear(indices, values, weight, bias)
    assert y.shape == (2, 5, 3)
    each = [F.sparse_linear(i, v, weight, bias) for i, v in zip(indices[1], values[1], strict=True)]
    np.testing.assert_allclose(y[1], each)
    assert (
        F.sparse_linear(np.zeros((3, 0), int), np.zeros((3, 0)), weight).tolist() == [[0.0] * 3] * 3
    )
    assert F.sparse_linear([[0]], [[2]], limpid.tensor([[1.5]])).tolist() == [[3.0]]


def test_absent_elements_meet_nothing() -> None:
    """A −1 does not read the weight, so that an infinite weight does no harm."""
    weight = limpid.tensor([[np.inf, 1.0]], requires_grad=True)
    values = limpid.tensor([[3.0, np.nan]], requires_grad=True)
    y = F.sparse_linear(np.array([[1, -1]]), values, weight)
    y.sum().backward()
    assert y.tolist() == [[3.0]]
    assert values.grad.tolist() == [[1.0, 0.0]]
    assert weight.grad.tolist() == [[0.0, 3.0]]


def test_half_precision_adds_up_in_single() -> None:
    """In float16 itself 2048 + 1 is 2048."""
    ones, zeros = np.ones(5000, np.float16), np.zeros(5000, int)
    weight = np.ones((1, 1), np.float16)
    ordered, unordered = np.stack([zeros, zeros]), np.stack([zeros, zeros])
    ordered[0, -1] = unordered[0, 0] = 1  # two rows, the elements in order or not
    assert F.sparse_linear(zeros[None], ones[None], weight).item() == 5000
    for places in (ordered, unordered):
        assert F.sparse_linear(places, ones, weight).tolist() == [[5000], [1]]
    wide = np.ones((5000, 1), np.float16)
    g = limpid.grad(lambda v: limpid.sum(F.sparse_linear(zeros[None, :1], v, wide)))
    assert g(ones[None, :1]).item() == 5000


def test_nothing_dense_is_made() -> None:
    features = 2_000_000
    weight = limpid.Parameter(np.zeros((1, features), np.float32))
    indices, values = RNG.integers(0, features, (64, 10)), np.ones((64, 10), np.float32)
    tracemalloc.start()
    F.sparse_linear(indices, values, weight).sum().backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (
        peak < 1.1 * 4 * features
    )  # the gradient of the weight; a dense input has 64 times as much


def test_index_linear_against_a_loop() -> None:
    sizes = np.array([3, 0, 1, 5])
    keys, values = RNG.integers(0, 6, 9), RNG.normal(size=9)
    layer = nn.IndexLinear(6, 4, dtype="float64")
    w, b = (p.detach().numpy() for p in (layer.weight, layer.bias))
    expected = np.tile(b, (4, 1))
    for m, n in enumerate(np.repeat(np.arange(4), sizes)):
        expected[n] += values[m] * w[keys[m]]
    np.testing.assert_allclose(layer(keys, values, sizes).detach(), expected, atol=1e-12)
    single = layer(keys[:3], values[:3])
    np.testing.assert_allclose(single.detach(), expected[0], atol=1e-12)
    assert layer(keys[:0], values[:0], np.zeros(0, int)).shape == (0, 4)
    assert layer([], values[:0], np.zeros(2, int)).shape == (2, 4)
    plain = nn.IndexLinear(6, 4, bias=False)
    assert list(plain.state_dict()) == ["weight"]
    assert repr(plain) == "IndexLinear(in_features=6, out_features=4, bias=False, normalize=False)"


def test_index_linear_normalises_by_what_it_met() -> None:
    layer = nn.IndexLinear(4, 2, normalize=True, dtype="float64")
    assert list(layer.state_dict()) == ["weight", "bias", "shift", "largest"]
    keys, values = np.array([0, 2, 0]), np.array([-4.0, 0.5, 2.0])
    w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    y = layer(keys, values, np.array([2, 1]))
    assert layer.largest.tolist() == [4.0, 0.0, 0.5, 0.0]
    np.testing.assert_allclose(y.detach(), [b - w[0] + w[2], b + 0.5 * w[0]])
    limpid.sum(y).backward()
    np.testing.assert_allclose(layer.shift.grad, [2 * w[0].sum(), 0, w[2].sum(), 0])
    layer.eval()
    limpid.assign(layer.shift, limpid.tensor([0.0, 0.25, 0.0, 0.0], dtype="float64"))
    y = layer(np.array([0, 1, 3]), np.array([8.0, -0.1, 0.0]))
    assert layer.largest.tolist() == [4.0, 0.0, 0.5, 0.0]
    np.testing.assert_allclose(y.detach(), b + w[0] + (-1 + 0.25) * w[1])
    layer.reset_parameters()
    assert not layer.largest.numpy().any()


def test_the_gradient_of_a_normalised_value() -> None:
    largest, shift = np.array([2.0, 4.0]), np.array([0.5, 0.0])
    weight = np.array([[1.0], [10.0]])

    def f(values: Any) -> Any:
        return limpid.sum(
            F.index_linear(np.array([0, 1, 1]), values, None, weight, None, largest, shift)
        )

    gradient = limpid.grad(f)(np.array([1.0, -2.0, 5.0]))
    np.testing.assert_allclose(gradient, [0.5, 2.5, 0.0])


def test_recordings_follow_the_values() -> None:
    sparse = nn.SparseLinear(9, 3, dtype="float64")
    indices, values = padded(4, 5, 9)
    recorded = limpid.record(
        lambda i, v: limpid.sum(limpid.grad(lambda v: limpid.sum(sparse(i, v) ** 2))(v)),
        indices,
        values,
    )
    again, others = padded(4, 5, 9)
    eager = limpid.grad(lambda v: limpid.sum(sparse(again, v) ** 2))(others)
    np.testing.assert_allclose(recorded(again, others).item(), eager.sum(), rtol=1e-12)
    with pytest.raises(IndexingError, match="index 9 is out of range for 9"):
        recorded(np.where(again == again.max(), 9, again), others)

    layer = nn.IndexLinear(5, 2, normalize=True)
    twin = nn.IndexLinear(5, 2, normalize=True)
    twin.load_state_dict(layer.state_dict())
    keys, sizes = np.array([0, 3, 3, 1]), np.array([1, 3])
    step = limpid.record(layer, keys, np.ones(4, np.float32), sizes)
    for n in (1.0, 3.0, 2.0):
        value = np.full(4, n, np.float32)
        np.testing.assert_array_equal(
            step(keys, value, sizes).numpy(), twin(keys, value, sizes).detach().numpy()
        )
    assert layer.largest.tolist() == twin.largest.tolist() == [3.0, 3.0, 0.0, 3.0, 0.0]
    with pytest.raises(ArgumentError, match="sizes add up to 3, but there are 4"):
        step(keys, value, np.array([1, 2]))
    with pytest.raises(AbstractError, match="was read"):
        limpid.record(lambda i, v: F.sparse_linear(i, v, limpid.ones((2, 3))),
                      np.zeros((2, 4), int), np.zeros(4, np.float32))  # fmt: skip


def test_training_a_sparse_layer() -> None:
    limpid.random.seed(0)
    truth = RNG.normal(size=(1, 50))
    indices, values = padded(256, 6, 50)
    wanted = dense(indices, values, 50) @ truth.T
    layer = nn.SparseLinear(50, 1, dtype="float64")
    optimiser = limpid.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        loss = F.mse_loss(layer(indices, values), wanted)
        loss.backward()
        optimiser.step()
    assert loss.item() < 1e-4


def test_what_does_not_fit_is_refused() -> None:
    layer, one = nn.SparseLinear(4, 2), np.ones((1, 1), np.float32)
    for wrong, kind in ((4, IndexingError), (-2, ArgumentError), (2**40, IndexingError)):
        with pytest.raises(kind, match=rf"sparse_linear: column {wrong} was asked for, but there"):
            layer(np.array([[wrong]]), one)
    with pytest.raises(IndexingError, match="integer, not float32"):
        layer(one, one)
    with pytest.raises(DTypeError, match="the input is float64 but the parameters are float32"):
        layer(np.array([[0]]), np.ones((1, 1)))
    with pytest.raises(ShapeError, match=r"the same shape .*, not \(1, 1\) and \(2, 1\)"):
        layer(np.array([[0]]), np.ones((2, 1), np.float32))
    with pytest.raises(ShapeError, match="same shape"):
        layer(np.array(0), np.float32(1))
    with pytest.raises(ArgumentError, match="rows goes with"):
        layer(np.array([[0]]), one, rows=1)
    places = np.array([[0, 3], [1, 1]])
    with pytest.raises(IndexingError, match="row 3 was asked for, but there are 2"):
        layer(places, one[0].repeat(2), rows=2)
    with pytest.raises(ArgumentError, match="must not be negative"):
        layer(places, one[0].repeat(2), rows=-1)
    with pytest.raises(ShapeError, match=r"\(out, in\) and \(out\), not \(2,\)"):
        F.sparse_linear(np.array([[0]]), one, np.ones(2, np.float32))
    with pytest.raises(ShapeError, match=r"not \(2, 4\) and \(3,\)"):
        F.sparse_linear(np.array([[0]]), one, np.ones((2, 4), np.float32), np.ones(3))
    with pytest.raises(ArgumentError, match="in_features"):
        nn.SparseLinear(-1, 2)


def test_index_linear_refuses_what_does_not_fit() -> None:
    layer = nn.Sequential(nn.IndexLinear(4, 2))[0]
    two = np.ones(2, np.float32)
    for wrong, kind in ((4, IndexingError), (-1, ArgumentError)):
        for normalize in (False, True):
            with pytest.raises(kind, match=rf"index_linear: column {wrong} was asked for"):
                nn.IndexLinear(4, 2, normalize=normalize)(np.array([0, wrong]), two)
    for sizes in ([1], [3], [-1, 3]):
        with pytest.raises(ArgumentError, match="but there are 2 keys"):
            layer(np.array([0, 1]), two, np.array(sizes))
    for sizes in (two, np.array(2), np.array([[2]])):
        with pytest.raises(ArgumentError, match="integers of shape"):
            layer(np.array([0, 1]), two, sizes)
    for normalize in (False, True):
        with pytest.raises(ShapeError, match=r"index_linear|largest_at"):
            nn.IndexLinear(4, 2, normalize=normalize)(np.array([0, 1, 2]), two)
    with pytest.raises(ArgumentError, match="go together"):
        F.index_linear(np.array([0]), np.ones(1), None, np.ones((2, 2)), largest=np.ones(2))
