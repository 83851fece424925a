"""Recurrent cells and layers: loops, states, recording, dropout, errors."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.nn import functional as F

RNG = np.random.default_rng(0)
LAYERS = (nn.RNN, nn.LSTM, nn.GRU)
CELLS = {nn.RNN: nn.RNNCell, nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell}
layers = pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


@layers
def test_a_layer_is_its_cell_along_the_sequence(kind: Any) -> None:
    layer, cell = kind(3, 4, dtype="float64"), CELLS[kind](3, 4, dtype="float64")
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x = normal(6, 2, 3)
    hx: Any = None
    expected = []
    for now in x:
        hx = cell(now, hx)
        expected.append(hx[0] if kind is nn.LSTM else hx)
    y, last = layer(x)
    np.testing.assert_allclose(y.detach(), np.stack([h.detach() for h in expected]), rtol=1e-12)
    pairs = zip(last, hx, strict=True) if kind is nn.LSTM else [(last, hx)]
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine.detach()[0], theirs.detach(), rtol=1e-12)


@layers
def test_both_directions_and_layers(kind: Any) -> None:
    """Two layers of two directions are four layers of one, put together by hand."""
    whole = kind(3, 4, num_layers=2, bidirectional=True, dtype="float64")
    x = normal(5, 2, 3)
    given, finals = x, []
    for number in (0, 1):
        made = []
        for ending in ("", "_reverse"):
            one = kind(given.shape[-1], 4, dtype="float64")
            suffix = f"_l{number}{ending}"
            one.load_state_dict(
                {
                    k.replace(suffix, "_l0"): v
                    for k, v in whole.state_dict().items()
                    if k.endswith(suffix)
                }
            )
            y, last = one(given[::-1] if ending else given)
            made.append(y.detach().numpy()[:: -1 if ending else 1])
            finals.append(last)
        given = np.concatenate(made, axis=-1)
    y, last = whole(x)
    np.testing.assert_allclose(y.detach(), given, rtol=1e-12)
    for k, one_last in enumerate(finals):
        mine, theirs = (last, one_last) if kind is nn.LSTM else ([last], [one_last])
        for m, t in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(m.detach()[k], t.detach()[0], rtol=1e-12)


@layers
def test_ways_to_give_a_sequence(kind: Any) -> None:
    plain = kind(3, 4, 2, batch_first=False, dtype="float64")
    first = kind(3, 4, 2, batch_first=True, dtype="float64")
    first.load_state_dict(plain.state_dict())
    x = normal(5, 2, 3)
    y, last = plain(x)
    z, same = first(np.asfortranarray(x.swapaxes(0, 1)))
    np.testing.assert_allclose(y.detach(), z.detach().numpy().swapaxes(0, 1), rtol=1e-12)
    single, alone = plain(np.ascontiguousarray(x[:, 1]))
    np.testing.assert_allclose(y.detach()[:, 1], single.detach(), rtol=1e-12)
    for a, b, c in zip(*(s if kind is nn.LSTM else [s] for s in (last, same, alone)), strict=True):
        np.testing.assert_allclose(a.detach(), b.detach(), rtol=1e-12)
        np.testing.assert_allclose(a.detach()[:, 1], c.detach(), rtol=1e-12)
    middle, hx = plain(x[:2])
    rest, _ = plain(x[2:], hx)
    joined = np.concatenate([middle.detach(), rest.detach()])
    np.testing.assert_allclose(joined, y.detach(), rtol=1e-12)


@layers
def test_gradients_of_all_orders(kind: Any) -> None:
    layer = kind(2, 3, bidirectional=True, dtype="float64")
    states = 2 if kind is nn.LSTM else 1

    def outputs(x: Any, *hx: Any) -> Any:
        y, last = layer(x, hx if states == 2 else hx[0])
        return (y, *last) if states == 2 else (y, last)

    limpid.check_grad(outputs, normal(3, 2, 2), *(normal(2, 2, 3) for _ in range(states)))


@layers
def test_recorded_it_is_one_loop_of_any_length(kind: Any) -> None:
    layer = kind(3, 4, num_layers=2, dtype="float64")

    def loss(x: Any) -> Any:
        y, last = layer(x)
        return limpid.sum(y**2) + limpid.sum(last[0] if kind is nn.LSTM else last)

    counts = []
    for length in (3, 20):
        x = normal(length, 2, 3)
        recorded = limpid.record(limpid.value_and_grad(loss), x)
        counts.append(len(recorded.graph.nodes))
        for mine, eager in zip(recorded(x), limpid.value_and_grad(loss)(x), strict=True):
            np.testing.assert_allclose(mine.numpy(), eager, rtol=1e-10)
    assert counts[0] == counts[1]
    assert [n.op.name for n in limpid.record(loss, x).graph.nodes].count("scan") == 2


@layers
def test_a_recorded_step_gives_the_gradients_of_the_weights(kind: Any) -> None:
    eager = kind(3, 4)
    twin = copy.deepcopy(eager)
    x = normal(5, 2, 3).astype("f4")

    def step(model: Any, x: Any) -> Any:
        loss = limpid.sum(model(x)[0] ** 2)
        loss.backward()
        return loss

    limpid.record(lambda x: step(twin, x), x)(x)
    step(eager, x)
    for (name, p), q in zip(eager.named_parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=1e-4, atol=1e-5, err_msg=name)
        assert np.any(p.grad.numpy() != 0)


def test_projection() -> None:
    layer = nn.LSTM(3, 5, num_layers=2, proj_size=2, bidirectional=True, dtype="float64")
    assert {k: v.shape for k, v in layer.state_dict().items() if k.endswith("_l1_reverse")} == {
        "weight_ih_l1_reverse": (20, 4), "weight_hh_l1_reverse": (20, 2),
        "bias_ih_l1_reverse": (20,), "bias_hh_l1_reverse": (20,), "weight_hr_l1_reverse": (2, 5),
    }  # fmt: skip
    y, (h, c) = layer(normal(4, 3, 3))
    assert (y.shape, h.shape, c.shape) == ((4, 3, 4), (4, 3, 2), (4, 3, 5))


def test_dropout_is_between_layers_and_in_training_only() -> None:
    layer = nn.LSTM(3, 4, num_layers=2, dropout=0.5)
    plain = nn.LSTM(3, 4, num_layers=2)
    plain.load_state_dict(layer.state_dict())
    x = normal(6, 2, 3).astype("f4")
    np.testing.assert_array_equal(layer.eval()(x)[0].detach(), plain(x)[0].detach())
    layer.train()
    limpid.random.seed(3)
    first = layer(x)[0].detach().numpy()
    assert not np.array_equal(first, layer(x)[0].detach())
    limpid.random.seed(3)
    np.testing.assert_array_equal(first, layer(x)[0].detach())
    gone = nn.GRU(3, 4, num_layers=2, dropout=1.0)
    y, h = gone(x)
    np.testing.assert_array_equal(y.detach(), gone(x * 2)[0].detach())
    assert not np.array_equal(h.detach()[0], gone(x * 2)[1].detach()[0])
    single = nn.GRU(3, 4, dropout=1.0)
    assert np.any(single(x)[0].detach().numpy() != 0)


@layers
def test_empty_sequences_and_batches(kind: Any) -> None:
    layer = kind(3, 4, num_layers=2, bidirectional=True)
    for shape in ((0, 2, 3), (5, 0, 3), (0, 3)):
        x = limpid.tensor(np.zeros(shape, "f4"), requires_grad=True)
        y, last = layer(x)
        assert y.shape == (*shape[:-1], 8)
        for state in last if kind is nn.LSTM else (last,):
            assert isinstance(state, limpid.Tensor)
            assert state.shape == (4, *shape[1:-1], 4)
        if shape[0]:
            limpid.sum(y).backward()
            assert x.grad.shape == shape


def test_types_and_starting_values() -> None:
    limpid.random.seed(0)
    for kind in LAYERS:
        layer = kind(3, 16, dtype="float16")
        y, _ = layer(normal(4, 2, 3).astype("f2"))
        assert y.dtype is limpid.float16
        for p in layer.parameters():
            value = p.detach().numpy()
            assert np.all(np.abs(value) <= 0.25)
            assert np.any(value != 0)
    cell = nn.GRUCell(3, 2)
    before = cell.weight_hh.detach().numpy()
    cell.reset_parameters()
    assert not np.array_equal(before, cell.weight_hh.detach())


def test_large_inputs_saturate() -> None:
    a = np.array([[1e4, -1e4, 1e4, 1e4], [-1e4, 1e4, -1e4, 1e4]], "f4")
    h, c, gates = limpid.primitives["lstm_gates"](a, np.array([[3.0], [3.0]], "f4"))
    np.testing.assert_array_equal(gates, [[1, 0, 1, 1], [0, 1, -1, 1]])
    np.testing.assert_allclose(c, [[1], [3]])
    np.testing.assert_allclose(h, np.tanh([[1], [3]]), rtol=1e-6)


SEQUENCE = np.zeros((5, 2, 3), "f4")
ROW = np.zeros((2, 3), "f4")
H = np.zeros((1, 2, 4), "f4")
MISTAKES: list[tuple[Any, type[Exception], str]] = [
    (lambda: nn.LSTM(4, 4)(SEQUENCE), ShapeError, r"\(T, N, 4\) or \(T, 4\), not \(5, 2, 3\)"),
    (lambda: nn.GRU(4, 4, batch_first=True)(SEQUENCE), ShapeError, r"GRU: .*\(N, T, 4\)"),
    (lambda: nn.RNN(3, 4)(SEQUENCE[None]), ShapeError, r"not \(1, 5, 2, 3\)"),
    (lambda: nn.RNN(3, 4)(SEQUENCE, H[:, :1]), ShapeError, r"state h .*\(1, 2, 4\), not \(1, 1"),
    (lambda: nn.RNN(3, 4, 2)(SEQUENCE, H), ShapeError, r"\(2, 2, 4\), not \(1, 2, 4\)"),
    (lambda: nn.LSTM(3, 4)(SEQUENCE, H), ShapeError, r"the state is a pair \(h, c\)"),
    (lambda: nn.LSTM(3, 4)(SEQUENCE, (H, H[..., :2])), ShapeError, "state c"),
    (lambda: nn.LSTM(3, 4)(SEQUENCE.astype("f8")), DTypeError, "LSTM: .*float64 .* float32"),
    (lambda: nn.GRU(3, 4)(SEQUENCE, H.astype("f8")), DTypeError, "GRU: .*float64 .* float32"),
    (lambda: nn.LSTM(3, 4, proj_size=4), ArgumentError, "proj_size 4 must be smaller"),
    (lambda: nn.GRU(3, 4, proj_size=2), ArgumentError, "proj_size is for LSTM only"),
    (lambda: nn.LSTM(3, 4, dropout=1.5), ArgumentError, "probability"),
    (lambda: nn.LSTM(3, 4, 0), ArgumentError, "num_layers"),
    (lambda: nn.LSTM(3, 0), ArgumentError, "hidden_size"),
    (lambda: nn.LSTM(-3, 2), ArgumentError, "input_size"),
    (lambda: nn.RNN(3, 2, nonlinearity="sin"), ArgumentError, "tanh, relu, not 'sin'"),
    (lambda: nn.RNNCell(3, 2, nonlinearity="sin"), ArgumentError, "tanh, relu, not 'sin'"),
    (lambda: nn.GRUCell(4, 2)(ROW), ShapeError, r"GRUCell: .*\(N, 4\) or \(4,\), not \(2, 3\)"),
    (lambda: nn.GRUCell(3, 2)(SEQUENCE), ShapeError, "not"),
    (lambda: nn.GRUCell(3, 2)(ROW, ROW), ShapeError, r"state h .*\(2, 2\), not \(2, 3\)"),
    (lambda: nn.LSTMCell(3, 2)(ROW, ROW), ShapeError, "pair"),
    (lambda: F.gru_cell(ROW, ROW, np.zeros((9, 3)), np.zeros((8, 3))), ShapeError,
     r"gru_cell: .*\(9, 3\) and \(8, 3\)"),
    (lambda: F.rnn_tanh_cell(ROW, ROW, ROW, ROW), ShapeError, "rnn_tanh_cell"),
    (lambda: F.lstm_cell(ROW, (ROW, ROW[:1]), ROW, ROW), ShapeError, r"\(1, 3\)"),
    (lambda: limpid.primitives["lstm_gates"](ROW, ROW), ShapeError, r"4 · hidden"),
    (lambda: limpid.primitives["gru_gates"](ROW, ROW, np.zeros(())), ShapeError, "3 · hidden"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
