"""Tables of vectors: renorm, frequency, padding, pretrained tables, bags."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, IndexingError, OperandError, ShapeError
from limpid.nn import functional as F

RNG = np.random.default_rng(0)
INDEX = np.array([[1, 4, 1], [1, 0, 3]])


def table(**options: Any) -> nn.Embedding:
    """A layer with rows of lengths 1, 2, 3, 4, 5."""
    layer = nn.Embedding(5, 3, dtype="float64", **options)
    rows = RNG.normal(size=(5, 3))
    rows *= np.arange(1.0, 6.0)[:, None] / np.linalg.norm(rows, axis=1, keepdims=True)
    limpid.assign(layer.weight, limpid.asarray(rows))
    return layer


def lengths(layer: nn.Embedding, order: float = 2.0) -> np.ndarray:
    return np.linalg.norm(layer.weight.detach().numpy(), order, axis=1)


def test_rows_that_are_looked_up_are_shortened_in_the_table() -> None:
    layer = table(max_norm=2.5)
    before = layer.weight.detach().numpy().copy()
    y = layer(INDEX)
    np.testing.assert_allclose(lengths(layer), [1.0, 2.0, 3.0, 2.5, 2.5], rtol=1e-6)
    after = layer.weight.detach().numpy()
    np.testing.assert_array_equal(after[:3], before[:3])
    np.testing.assert_allclose(after[4], before[4] / 2, rtol=1e-6)
    np.testing.assert_array_equal(y.detach(), after[INDEX])
    limpid.sum(y).backward()
    np.testing.assert_array_equal(layer.weight.grad[:, 0], [1, 3, 0, 1, 1])


def test_the_norm_may_be_another() -> None:
    for order in (1.0, 3.0, np.inf):
        layer = table(max_norm=0.5, norm_type=order)
        layer(np.arange(5))
        np.testing.assert_allclose(lengths(layer, order), 0.5, rtol=1e-5)


def test_renorm_writes_only_when_it_has_to() -> None:
    layer = table(max_norm=2.5)
    squares = limpid.sum(layer.weight * layer.weight)
    (squares + limpid.sum(layer(np.array([0, 1])))).backward()  # nothing was overwritten
    squares = limpid.sum(layer.weight * layer.weight)
    loss = squares + limpid.sum(layer(np.array([4])))
    with pytest.raises(limpid.errors.OverwrittenError):
        loss.backward()


def test_renorm_in_a_recording_and_in_a_transform() -> None:
    layer, twin = table(max_norm=2.5), table(max_norm=2.5)
    twin.load_state_dict(layer.state_dict())

    def step(index: Any) -> Any:
        limpid.sum(layer(index) ** 2).backward()
        gradient, layer.weight.grad = layer.weight.grad, None
        return gradient

    recorded = limpid.record(step, INDEX)
    for index in (INDEX, (INDEX + 1) % 5):
        gradient = limpid.grad(lambda m, i=index: limpid.sum(m(i) ** 2))(twin)["weight"]
        np.testing.assert_array_equal(recorded(index).numpy(), np.asarray(gradient))
        np.testing.assert_array_equal(layer.weight.detach(), twin.weight.detach())


def test_only_a_slot_can_be_shortened() -> None:
    with pytest.raises(OperandError, match="only a slot can be assigned to"):
        F.embedding(INDEX, np.full((5, 3), 9.0), max_norm=1.0)
    for bad in (0, -1.0, float("nan")):
        with pytest.raises(ArgumentError, match="max_norm must be positive"):
            F.embedding(INDEX, limpid.ones((5, 3)), max_norm=bad)


def test_gradients_by_frequency() -> None:
    layer = table(scale_grad_by_freq=True)
    g = RNG.normal(size=(2, 3, 3))
    layer(INDEX).backward(g)
    expected = np.zeros((5, 3))
    np.add.at(expected, INDEX, g)
    expected[1] /= 3
    np.testing.assert_allclose(layer.weight.grad, expected, rtol=1e-12)
    v = RNG.normal(size=(5, 3))
    slope = limpid.jvp(lambda w: F.embedding(INDEX, w, None, None, 2.0, True), (v,), (v,))[1]
    np.testing.assert_array_equal(slope, v[INDEX])  # a tangent is what it is


def test_padding_gets_no_gradient() -> None:
    for padding in (1, -4):
        layer = nn.Embedding(5, 3, padding)
        assert not layer.weight.detach().numpy()[1].any()
        limpid.sum(layer(INDEX) ** 2).backward()
        assert not layer.weight.grad.numpy()[[1, 2]].any()
        assert layer.weight.grad.numpy()[[0, 3, 4]].all()
    for bad in (5, -6):
        with pytest.raises(ArgumentError, match="out of range for 5 rows"):
            nn.Embedding(5, 3, bad)
        with pytest.raises(ArgumentError, match="out of range for 5 rows"):
            F.embedding(INDEX, limpid.ones((5, 3)), bad)


def test_pretrained_tables() -> None:
    rows = RNG.normal(size=(4, 2))
    for made in (nn.Embedding, nn.EmbeddingBag):
        layer = made.from_pretrained(rows)
        assert not layer.weight.requires_grad
        np.testing.assert_array_equal(layer.weight.detach(), rows)
        rows_before = rows.copy()
        limpid.assign(layer.weight, limpid.zeros((4, 2)))
        np.testing.assert_array_equal(rows, rows_before)
        assert made.from_pretrained(limpid.tensor(rows), freeze=False).weight.requires_grad
        with pytest.raises(ShapeError, match=r"\(rows, width\), not \(4,\)"):
            made.from_pretrained(rows[:, 0])
    frozen = nn.Embedding(4, 2, _weight=rows, _freeze=True)
    assert not frozen.weight.requires_grad
    with pytest.raises(ShapeError, match=r"3 rows of 2 numbers .* \(4, 2\)"):
        nn.Embedding(3, 2, _weight=rows)
    shared = limpid.Parameter(rows)
    assert nn.Embedding(4, 2, _weight=shared).weight is shared


def test_what_can_not_be_honoured_is_refused() -> None:
    for call in (
        lambda: nn.Embedding(5, 3, sparse=True), lambda: nn.EmbeddingBag(5, 3, sparse=True),
        lambda: F.embedding(INDEX, limpid.ones((5, 3)), sparse=True),
        lambda: F.embedding_bag(INDEX, limpid.ones((5, 3)), sparse=True),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match="limpid's gradients are dense"):
            call()


def test_indices_of_any_kind_and_those_that_are_none() -> None:
    layer = nn.Sequential(nn.Embedding(300, 2))
    for index in (3, np.uint8(3), [3], np.array([[3]], np.int16), limpid.tensor([3]), []):
        shape = np.shape(index) if not isinstance(index, limpid.Tensor) else index.shape
        assert layer(index).shape == (*shape, 2)
    strange = np.asfortranarray(np.arange(12).reshape(3, 4))[::-1, ::2]
    strange.flags.writeable = False
    np.testing.assert_array_equal(layer(strange).detach(), layer(strange.copy()).detach())
    for wrong, kind in ((300, IndexingError), (-1, ArgumentError)):
        with pytest.raises(kind, match=rf"embedding in 0: row {wrong} was asked for, but there"):
            layer(np.array([2, wrong]))
    for wrong in (np.array([1.0]), np.array([True]), 1.5):
        with pytest.raises(IndexingError, match="is an integer, not"):
            layer(wrong)
    with pytest.raises(ShapeError, match=r"\(rows, width\), not \(3,\)"):
        F.embedding(INDEX, limpid.ones(3))
    assert nn.Embedding(0, 3)(np.zeros((2, 0), int)).shape == (2, 0, 3)
    assert nn.Embedding(4, 0)(np.array([1, 2])).shape == (2, 0)


# Bags


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_in_both_forms_and_empty_ones(mode: str) -> None:
    layer = nn.EmbeddingBag(6, 3, mode=mode)
    index = RNG.integers(0, 6, (4, 5))
    flat = layer(index.reshape(-1), np.arange(0, 20, 5))
    np.testing.assert_array_equal(layer(index).detach(), flat.detach())
    ended = nn.EmbeddingBag(6, 3, mode=mode, include_last_offset=True, _weight=layer.weight)
    np.testing.assert_array_equal(
        ended(index.reshape(-1), np.arange(0, 21, 5)).detach(), flat.detach()
    )
    some = layer(np.array([2, 3]), np.array([0, 0, 1, 2]))
    weight = layer.weight.detach().numpy()
    np.testing.assert_array_equal(some.detach(), [[0] * 3, weight[2], weight[3], [0] * 3])
    for shape in ((0, 3), (3, 0)):
        assert layer(np.zeros(shape, int)).shape == (shape[0], 3)
    assert layer([], np.zeros(2, int)).detach().tolist() == [[0.0] * 3] * 2
    none = nn.EmbeddingBag(0, 3, mode=mode)([], np.zeros(2, int))
    assert none.detach().tolist() == [[0.0] * 3] * 2


def test_the_maximum_goes_to_the_first_and_sees_nan() -> None:
    weight = limpid.tensor([[1.0, 5.0], [1.0, 2.0], [0.0, np.nan]], requires_grad=True)
    F.embedding_bag(np.array([[1, 0]]), weight, mode="max").sum().backward()
    assert weight.grad.tolist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    assert np.isnan(F.embedding_bag(np.array([[0, 2]]), weight, mode="max").detach()[0, 1])


def test_padding_is_not_in_the_bag_even_if_it_is_infinite() -> None:
    weight = limpid.tensor([[1.0], [np.inf], [3.0]], requires_grad=True)
    index = np.array([[0, 1, 2], [1, 1, 1]])
    for mode, expected in (("sum", 4.0), ("mean", 2.0), ("max", 3.0)):
        y = F.embedding_bag(index, weight, mode=mode, padding_idx=1)
        assert y.detach().tolist() == [[expected], [0.0]]
        y.sum().backward()
        assert weight.grad.tolist()[1] == [0.0]


def test_bags_are_shortened_and_scaled_by_frequency() -> None:
    weight = limpid.Parameter(np.array([[3.0, 4.0], [0.0, 0.5]]))
    F.embedding_bag(np.array([[0, 0, 1]]), weight, None, 1.0, 2.0, True, "sum").sum().backward()
    np.testing.assert_allclose(weight.detach(), [[0.6, 0.8], [0.0, 0.5]], rtol=1e-6)
    assert weight.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_large_bags_come_in_parts() -> None:
    index, weight = RNG.integers(0, 500, 40_000), RNG.normal(size=(500, 30))
    sizes = RNG.integers(0, 60, 3000)
    ends = np.minimum(np.cumsum(sizes), 40_000)
    offsets = np.concatenate([[0], ends[:-1]])
    for mode, reduce in (("sum", np.sum), ("mean", np.mean), ("max", np.max)):
        y = F.embedding_bag(index, weight, offsets, mode=mode)
        bags = np.split(index, offsets[1:])
        expected = [reduce(weight[b], 0) if len(b) else np.zeros(30) for b in bags]
        np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_in_a_recording(mode: str) -> None:
    weight = RNG.normal(size=(6, 3))
    index, offsets = RNG.integers(0, 6, 8), np.array([0, 2, 2, 7])

    def f(w: Any, index: Any, offsets: Any) -> Any:
        y = F.embedding_bag(index, w, offsets, mode=mode, padding_idx=0)
        return limpid.sum(y * y)

    recorded = limpid.record(limpid.grad(f), weight, index, offsets)
    for other, places in ((index, offsets), (index[::-1].copy(), np.array([0, 0, 3, 8]))):
        np.testing.assert_allclose(
            recorded(weight, other, places).numpy(), limpid.grad(f)(weight, other, places)
        )
    with pytest.raises(ArgumentError, match=r"sizes .*"):
        recorded(weight, index, np.array([0, 5, 3, 7]))


def test_bags_that_do_not_fit_are_refused() -> None:
    layer, flat = nn.EmbeddingBag(5, 3, mode="sum"), np.array([1, 2, 3])
    cases: list[tuple[Any, str]] = [
        (lambda: layer(flat), "needs offsets"),
        (lambda: layer(INDEX, np.array([0])), "has no offsets"),
        (lambda: layer(flat, np.array([1, 2])), r"grow up to the 3 rows .* \[1, 2, 3\]"),
        (lambda: layer(flat, np.array([0, 2, 1])), "offsets begin with 0"),
        (lambda: layer(flat, np.array([0, 4])), "offsets begin with 0"),
        (lambda: layer(flat, np.zeros(0, int)), "sizes add up to 0, but there are 3"),
        (lambda: layer(flat, np.array([0.0])), "offsets must be integers"),
        (lambda: layer(flat, np.array([[0]])), "offsets must be integers"),
        (lambda: F.embedding_bag(flat, np.ones((5, 3)), np.array([0, 2]), include_last_offset=True),
         "offsets begin with 0"),
        (lambda: F.embedding_bag(flat, np.ones((5, 3)), [], include_last_offset=True), "offset"),
        (lambda: F.embedding_bag(INDEX, np.ones((5, 3)), mode="min"), "mode must be"),
        (lambda: F.embedding_bag(INDEX, np.ones((5, 3)), per_sample_weights=np.ones((2, 3))),
         "only a sum has per_sample_weights"),
        (lambda: F.embedding_bag(INDEX, np.ones((5, 3)), None, None, 2.0, True, "max"),
         "maximum can't be scaled"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises(ArgumentError, match=message):
            call()
    for call, message in (
        (lambda: layer(np.ones((1, 1, 1), int)), r"\(B, n\) or \(M\), not \(1, 1, 1\)"),
        (lambda: layer(INDEX, None, np.ones((3, 2))), r"\(3, 2\), .* \(2, 3\)"),
    ):
        with pytest.raises(ShapeError, match=message):
            call()
    with pytest.raises(IndexingError, match="embedding_bag: row 5 was asked for"):
        layer(INDEX + 1)
