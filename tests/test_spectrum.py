"""Spectral norms of layers against dense singular values, and the bound on gradients."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.diagnosis import spectral_norms
from limpid.diagnosis.spectrum import lanczos
from limpid.diagnosis.spectrum.chain import chain_of
from limpid.diagnosis.spectrum.lanczos import Operator, spectral_norms_of
from limpid.diagnosis.spectrum.loops import advise
from limpid.diagnosis.spectrum.piece import Piece, spec_at
from limpid.diagnosis.spectrum.tracing import trace
from limpid.errors import ArgumentError, NoGradientError, OperandError
from limpid.nn import functional as F
from tests.models import MODELS

D = "float64"


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


class Residual(nn.Module):
    def __init__(self):
        self.fc1 = nn.Linear(4, 6, dtype=D)
        self.fc2 = nn.Linear(6, 4, dtype=D)

    def forward(self, x):
        return limpid.tanh(x + self.fc2(limpid.relu(self.fc1(x))))


class ConvBlock(nn.Module):
    def __init__(self, channels):
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False, dtype=D)
        self.bn1 = nn.BatchNorm2d(channels, dtype=D)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False, dtype=D)

    def forward(self, x):
        return limpid.relu(x + self.conv2(limpid.relu(self.bn1(self.conv1(x)))))


class Attention(nn.Module):
    def __init__(self):
        self.q, self.k, self.v = (nn.Linear(4, 4, bias=False, dtype=D) for _ in range(3))

    def forward(self, x):
        scores = self.q(x) @ limpid.matrix_transpose(self.k(x)) / 2.0
        scores = limpid.where(np.tril(np.ones((5, 5), bool)), scores, -1e9)
        return x + limpid.softmax(scores, axis=-1) @ self.v(x)


class Recurrent(nn.Module):
    def __init__(self):
        self.rnn = nn.RNN(3, 4, dtype=D)
        self.head = nn.Linear(4, 2, dtype=D)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


def linear_stack(*sizes, activation=nn.ReLU):
    layers = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b, dtype=D), activation()]
    return nn.Sequential(*layers[:-1])


NETWORKS = {
    "mlp": (lambda: linear_stack(6, 8, 5, 3), (4, 6)),
    "one row": (lambda: linear_stack(6, 1, 5, activation=nn.Tanh), (4, 6)),
    "conv": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, stride=2, padding=1, dtype=D), nn.ELU(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(12, 3, dtype=D),
        ),
        (3, 2, 8, 8),
    ),
    "max pool": (
        lambda: nn.Sequential(nn.Conv1d(1, 2, 3, dtype=D), nn.ReLU(), nn.MaxPool1d(2)),
        (3, 1, 10),
    ),
    "residual": (lambda: nn.Sequential(Residual(), Residual(), nn.Linear(4, 2, dtype=D)), (3, 4)),
    "batch norm": (
        lambda: nn.Sequential(
            nn.Linear(5, 6, dtype=D), nn.BatchNorm1d(6, dtype=D), nn.Sigmoid(),
            nn.Linear(6, 2, dtype=D),
        ),
        (7, 5),
    ),
    "conv blocks": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1, dtype=D), ConvBlock(2), nn.MaxPool2d(2), ConvBlock(2)
        ),
        (2, 1, 6, 6),
    ),
    "layer norm": (
        lambda: nn.Sequential(nn.Linear(4, 6, dtype=D), nn.LayerNorm(6, dtype=D), nn.GELU()),
        (3, 4),
    ),
    "attention": (lambda: nn.Sequential(Attention(), nn.Tanh(), Attention()), (2, 5, 4)),
    "recurrent": (Recurrent, (4, 2, 3)),
    "lstm": (lambda: nn.LSTM(3, 2, num_layers=2, dtype=D), (3, 2, 3)),
    "dropout": (
        lambda: nn.Sequential(nn.Linear(5, 8, dtype=D), nn.Dropout(0.5), nn.Linear(8, 2, dtype=D)),
        (4, 5),
    ),
    "softmax": (lambda: nn.Sequential(nn.Linear(4, 3, dtype=D), nn.Softmax(dim=-1)), (5, 4)),
}  # fmt: skip


def build(name):
    limpid.manual_seed(0)
    make, shape = NETWORKS[name]
    return make(), numbers(*shape)


def total(result):
    """A loss of whatever a model returns."""
    parts = result if isinstance(result, tuple) else (result,)
    flat = [p for part in parts for p in (part if isinstance(part, tuple) else (part,))]
    return sum((limpid.sum(limpid.sin(p) * (k + 1)) for k, p in enumerate(flat)), 0.0)


def dense(piece):
    """The Jacobian of a piece, formed: one column for every number of the start."""
    sizes = [spec_at(place).size for place in piece.start]
    columns = []
    for unit in np.eye(sum(sizes)):
        parts = np.split(unit, np.cumsum(sizes)[:-1])
        shaped = [u.reshape(spec_at(p).shape) for u, p in zip(parts, piece.start)]
        columns.append(np.concatenate([y.ravel() for y in piece.push(shaped)]))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", NETWORKS)
def test_norms_are_those_of_dense_matrices(name):
    net, x = build(name)
    limpid.manual_seed(1)
    spectrum = spectral_norms(net, x, total)
    limpid.manual_seed(1)
    traced = trace(net, x, total, 0)
    stages = chain_of(traced.nodes, traced.starts, traced.ends)
    assert len(stages) == len(spectrum)
    for stage, layer in zip(stages, spectrum.layers):
        matrix = dense(stage.whole)
        values = np.linalg.svd(matrix, compute_uv=False)
        assert layer.sigma == pytest.approx(values[0], rel=1e-6, abs=1e-14)
        assert layer.converged
        if layer.examples is not None:
            count = len(layer.examples)
            blocks = matrix.reshape(count, len(matrix) // count, count, -1)
            for i in range(count):
                block = np.linalg.norm(blocks[i, :, i], 2)
                assert layer.examples[i] == pytest.approx(block, rel=1e-6, abs=1e-14)
                others = np.delete(blocks[i], i, axis=1)
                assert not others.any()  # examples are independent of one another
        if layer.slope is not None and stage.mixing is not None:
            after = dense(stage.activation)
            assert layer.slope == pytest.approx(np.linalg.norm(after, 2), rel=1e-12)
            assert layer.closed == pytest.approx(np.mean(~after.any(axis=1)))
            mixing = np.linalg.norm(dense(stage.mixing), 2)
            assert layer.weight == pytest.approx(mixing, rel=1e-6)
            assert layer.sigma <= layer.weight * layer.slope * (1 + 1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_a_chain_whose_product_is_the_jacobian(name):
    net, x = build(name)
    limpid.manual_seed(1)
    traced = trace(net, x, total, 0)
    product = 1.0
    for stage in chain_of(traced.nodes, traced.starts, traced.ends):
        product = dense(stage.whole) @ product if np.ndim(product) else dense(stage.whole)
    limpid.manual_seed(1)
    jacobians = limpid.jacobian(net)(x)
    found = jacobians if not isinstance(jacobians, tuple) else flat(jacobians)
    rows = found if isinstance(found, list) else [found]
    whole = np.concatenate([np.asarray(j).reshape(-1, x.size) for j in rows])
    np.testing.assert_allclose(product, whole, rtol=1e-9, atol=1e-12)


def flat(nested):
    return [j for part in nested for j in (flat(part) if isinstance(part, tuple) else [part])]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("loss", [total, None])
def test_the_bound_holds_and_gradients_are_the_real_ones(name, loss):
    net, x = build(name)
    limpid.manual_seed(1)
    spectrum = spectral_norms(net, x, loss)
    product = 1.0
    for layer in reversed(spectrum.layers):
        product *= layer.sigma
        assert layer.product == pytest.approx(product)
        assert layer.bound == pytest.approx(product * spectrum.last)
        assert layer.gradient <= layer.bound * (1 + 1e-12)
    if loss is not None:
        limpid.manual_seed(1)
        gradient = limpid.grad(lambda x: total(net(x)))(x)
        assert spectrum[0].gradient == pytest.approx(np.linalg.norm(gradient), rel=1e-10)
        assert spectrum.upstream == "loss"
    else:
        assert spectrum.last == pytest.approx(1)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_bound_holds_without_accuracy(steps):
    for name in NETWORKS:
        net, x = build(name)
        spectrum = spectral_norms(net, x, total, steps=steps)
        assert all(y.gradient <= y.bound * (1 + 1e-12) for y in spectrum.layers)


def test_blocks_are_units():
    net, x = build("residual")
    spectrum = spectral_norms(net, x)
    assert [layer.name for layer in spectrum.layers] == ["0", "1", "2"]
    net, x = build("conv blocks")
    assert [layer.name for layer in spectral_norms(net, x).layers] == ["0", "1", "2", "3"]


def test_a_skip_that_adds_nothing_has_norm_one():
    class Skip(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(4, 4, dtype=D)
            nn.init.zeros_(self.fc.weight)

        def forward(self, x):
            return x + self.fc(x)

    spectrum = spectral_norms(nn.Sequential(*[Skip() for _ in range(10)]), numbers(3, 4))
    assert [layer.sigma for layer in spectrum.layers] == pytest.approx([1.0] * 10)


def matrix_operator(matrices):
    matrices = np.asarray(matrices)
    groups, m, n = matrices.shape
    return Operator(
        lambda v: (matrices @ v[:, :, None])[:, :, 0],
        lambda u: (matrices.transpose(0, 2, 1) @ u[:, :, None])[:, :, 0],
        groups, n, m, 2.2e-16,
    )  # fmt: skip


def with_values(values, m, n, seed=0):
    random = np.random.default_rng(seed)
    left = np.linalg.qr(random.standard_normal((m, len(values))))[0]
    right = np.linalg.qr(random.standard_normal((n, len(values))))[0]
    return left * values @ right.T


CLOSE = np.concatenate([1 - np.logspace(-9, -2, 40), np.linspace(0.98, 0, 60)])


@pytest.mark.parametrize(
    "matrix",
    [
        with_values(CLOSE, 120, 150),
        with_values(CLOSE, 500, 100),
        with_values(np.ones(60), 90, 60),  # all singular values are equal
        with_values(np.array([3.0, 3.0, 1e-12]), 40, 50),
        with_values(np.logspace(0, -300, 50), 50, 50),
        np.random.default_rng(1).standard_normal((300, 300)),
        np.ones((1, 7)),
        np.ones((7, 1)),
        np.zeros((6, 4)),
        np.full((3, 3), 1e-200),
        1e150 * np.random.default_rng(2).standard_normal((40, 40)),
    ],
    ids=[
        "close", "close, tall", "equal", "pair", "wide range", "random", "row", "column", "zero",
        "tiny", "huge",
    ],
)  # fmt: skip
@pytest.mark.parametrize("room", [2**25, 0], ids=["all kept", "none kept"])
def test_hard_matrices(matrix, room, monkeypatch):
    monkeypatch.setattr(lanczos, "ROOM", room)
    found = spectral_norms_of(matrix_operator([matrix]), 1e-6, 3000, np.random.default_rng(0))
    true = np.linalg.norm(matrix, 2)
    assert found.converged
    assert found.values[0] == pytest.approx(true, rel=1e-6, abs=0)
    assert found.values[0] <= true * (1 + 1e-12)  # a lower bound, but for rounding


@pytest.mark.parametrize("room", [2**25, 0], ids=["all kept", "none kept"])
def test_many_maps_in_step(room, monkeypatch):
    monkeypatch.setattr(lanczos, "ROOM", room)
    random = np.random.default_rng(3)
    matrices = random.standard_normal((20, 60, 50)) * np.logspace(-3, 3, 20)[:, None, None]
    matrices[4] = 0
    matrices[5, :, 1:] = 0
    found = spectral_norms_of(matrix_operator(matrices), 1e-6, 500, np.random.default_rng(0))
    np.testing.assert_allclose(found.values, np.linalg.norm(matrices, 2, axis=(1, 2)), rtol=1e-6)
    assert found.values[4] == 0
    assert found.converged


@pytest.mark.parametrize("room", [2**25, 0], ids=["all kept", "none kept"])
def test_maps_that_are_done_go_on_with_the_others(room, monkeypatch):
    monkeypatch.setattr(lanczos, "ROOM", room)
    random = np.random.default_rng(4)
    slow = with_values(CLOSE, 200, 200)
    quick = np.outer(random.standard_normal(200), random.standard_normal(200)) + 0.01 * slow
    found = spectral_norms_of(matrix_operator([slow, quick]), 1e-6, 3000, random)
    assert found.converged
    np.testing.assert_allclose(found.values, [1 - 1e-9, np.linalg.norm(quick, 2)], rtol=1e-6)


def test_too_few_steps_are_told():
    matrix = with_values(CLOSE, 120, 150)
    found = spectral_norms_of(matrix_operator([matrix]), 1e-6, 5, np.random.default_rng(0))
    assert not found.converged
    assert found.residuals[0] > 1e-6
    assert found.values[0] < 1


def test_nan_and_zero():
    net = nn.Sequential(nn.Linear(3, 3, dtype=D), nn.ReLU(), nn.Linear(3, 2, dtype=D))
    nn.init.constant_(net[0].bias, -100.0)
    spectrum = spectral_norms(net, numbers(4, 3), total)
    assert spectrum["0"].sigma == 0
    assert spectrum["0"].closed == 1
    assert spectrum["0"].gradient == spectrum["0"].bound == 0
    assert "100%" in str(spectrum)
    limpid.assign(net[2].weight, np.full((2, 3), np.nan))
    spectrum = spectral_norms(net, numbers(4, 3), total)
    assert np.isnan(spectrum["2"].sigma)
    assert not spectrum["2"].converged
    assert json.dumps(spectrum.to_json(), allow_nan=False)


def test_integer_inputs_begin_with_what_they_look_up():
    class Tagger(nn.Module):
        def __init__(self):
            self.words = nn.Embedding(7, 4, dtype=D)
            self.places = nn.Embedding(3, 4, dtype=D)
            self.fc = nn.Linear(4, 5, dtype=D)

        def forward(self, words):
            return self.fc(limpid.tanh(self.words(words) + self.places(np.arange(3))))

    net, words = Tagger(), np.array([[0, 3, 3], [6, 1, 0]])
    spectrum = spectral_norms(net, words, total)
    assert spectrum.start == "looked up by integers"
    assert spectrum.layers[-1].name == "fc"
    assert spectrum.layers[-1].sigma == pytest.approx(
        np.linalg.norm(net.fc.weight.detach().numpy(), 2)
    )
    net.requires_grad_(False)
    again = spectral_norms(net, words, total)
    assert again.product == pytest.approx(spectrum.product)
    assert not any(p.requires_grad for p in net.parameters())


def test_nothing_outside_changes():
    net = nn.Sequential(nn.Linear(3, 4, dtype=D), nn.BatchNorm1d(4, dtype=D), nn.Dropout(0.5))
    before = net.state_dict()
    limpid.manual_seed(5)
    expected = limpid.random.normal(0.0, 1.0, (3,)).tolist()
    limpid.manual_seed(5)
    spectral_norms(net, numbers(6, 3), total)
    assert limpid.random.normal(0.0, 1.0, (3,)).tolist() == expected
    for name, value in net.state_dict().items():
        assert np.array_equal(value, before[name])
    assert all(p.grad is None for p in net.parameters())


def test_loops_have_a_jacobian_for_every_time_step():
    net, x = build("recurrent")
    spectrum = spectral_norms(net, x, total)
    (loop,) = spectrum.loops
    weight = net.rnn.weight_hh_l0.detach().numpy()
    h = np.zeros((2, 4))
    states = []
    for t in range(4):
        now = x[t] @ net.rnn.weight_ih_l0.detach().numpy().T + net.rnn.bias_ih_l0.detach().numpy()
        h = np.tanh(now + h @ weight.T + net.rnn.bias_hh_l0.detach().numpy())
        states.append(h)
    expected = [
        max(np.linalg.norm((1 - h[n] ** 2)[:, None] * weight, 2) for n in range(2))
        for h in states[1:]
    ]
    assert loop.sigma == pytest.approx(expected, rel=1e-6)
    products = np.cumprod([1.0, *expected[::-1]])[::-1]
    assert loop.product == pytest.approx(products, rel=1e-6)
    last = loop.carried[-1]
    assert all(c <= p * last * (1 + 1e-12) for c, p in zip(loop.carried, loop.product))
    g = (
        np.cos(net.head(limpid.asarray(states[3])).detach().numpy())
        @ net.head.weight.detach().numpy()
    )
    for t, h in enumerate(reversed(states)):
        assert loop.carried[3 - t] == pytest.approx(np.linalg.norm(g), rel=1e-9)
        g = (g * (1 - h**2)) @ weight


def test_loops_of_several_layers_and_directions():
    net = nn.LSTM(3, 2, num_layers=2, bidirectional=True, dtype=D)
    spectrum = spectral_norms(net, numbers(5, 2, 3), total)
    assert len(spectrum.loops) == 4
    assert all(len(loop.sigma) == 4 for loop in spectrum.loops)


def test_advice_says_what_the_factors_are():
    net = nn.RNN(2, 3, nonlinearity="relu", dtype=D)
    limpid.assign(net.weight_hh_l0, 2.0 * np.eye(3))
    limpid.assign(net.bias_hh_l0, np.ones(3))
    (loop,) = spectral_norms(net, np.abs(numbers(12, 1, 2)), lambda y: limpid.sum(y[1])).loops
    assert loop.rate == pytest.approx(2.0)
    assert "clip the norm" in loop.advice
    assert "after 7 steps" in advise(0.5, 0.9, None)
    assert "without growing" in advise(1.0, 1.0, None)
    assert "nothing follows" in advise(float("nan"), 1.0, None)


def test_recorded_steps_are_looked_at_in_place():
    limpid.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6, dtype=D), nn.Tanh(), nn.Linear(6, 3, dtype=D))
    optimizer = limpid.optim.SGD(net.parameters(), lr=0.1)

    @limpid.compile
    def step(x, labels):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    x, labels = numbers(5, 4), np.array([0, 1, 2, 0, 1])
    step(x, labels)
    before = net.state_dict()
    found = spectral_norms(step, (x, labels))
    eager = spectral_norms(net, x, lambda y: F.cross_entropy(y, labels))
    assert all(np.array_equal(v, before[k]) for k, v in net.state_dict().items())
    assert [layer.name for layer in found.layers[:2]] == ["0", "2"]
    for a, b in zip(found.layers, eager.layers):
        assert a.sigma == pytest.approx(b.sigma, rel=1e-9)
        assert a.gradient == pytest.approx(b.gradient, rel=1e-9)
    assert found.last == 1
    with pytest.raises(ArgumentError, match="its own loss"):
        spectral_norms(step, (x, labels), total)


def test_targets_of_steps_are_constant():
    blocks = nn.Sequential(Residual(), Residual())

    @limpid.compile
    def step(x, target):
        blocks.zero_grad()
        loss = F.mse_loss(blocks(x), target)
        loss.backward()
        return loss

    found = spectral_norms(step, (numbers(3, 4), numbers(3, 4, seed=1)))
    assert [layer.name for layer in found.layers][:2] == ["0", "1"]


@pytest.mark.parametrize(("name", "make"), MODELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bound_holds_on_whole_losses(name, make, dtype):
    model = make(dtype)
    spectrum = spectral_norms(model.loss, model.arguments)
    assert spectrum.last == 1
    assert all(layer.converged for layer in spectrum.layers)
    assert all(y.gradient <= y.bound * (1 + 1e-6) for y in spectrum.layers)
    if spectrum.start == "input":
        gradient = limpid.grad(model.loss)(*model.arguments)
        rough = 1e-4 if dtype == "float32" else 1e-10
        assert spectrum[0].gradient == pytest.approx(np.linalg.norm(gradient), rel=rough)


def test_several_inputs_and_outputs():
    a, b = numbers(3, 4), numbers(3, 4, seed=1)
    spectrum = spectral_norms(
        lambda a, b: (limpid.tanh(a * b), a + b), (a, b), total, argnums=(0, 1)
    )
    (layer,) = spectrum.layers
    slope = 1 - np.tanh(a * b) ** 2
    blocks = [
        np.linalg.norm(np.block([
            [np.diag(slope[i] * b[i]), np.diag(slope[i] * a[i])], [np.eye(4), np.eye(4)],
        ]), 2)
        for i in range(3)
    ]  # fmt: skip
    assert layer.examples == pytest.approx(blocks, rel=1e-6)
    (alone,) = spectral_norms(lambda a, b: limpid.tanh(a * b), (a, b)).layers
    assert alone.sigma == pytest.approx(np.max(np.abs(slope * b)), rel=1e-6)
    for numbers_ in (0, (0, 1)):
        found = spectral_norms(lambda a, b: a * 2.0, (a, b), argnums=numbers_)
        assert found[0].sigma == pytest.approx(2.0)
    with pytest.raises(ArgumentError, match="there are 2 inputs"):
        spectral_norms(lambda a, b: a * b, (a, b), argnums=2)
    assert len(spectral_norms(lambda x: x, a)) == 0


def test_float32_models_are_as_accurate_as_their_type():
    limpid.manual_seed(0)
    net = nn.Sequential(*[m for _ in range(4) for m in (nn.Linear(40, 40), nn.ReLU())])
    x = numbers(6, 40).astype(np.float32)
    spectrum = spectral_norms(net, x)
    h = x.astype(np.float64)
    for k, layer in enumerate(spectrum.layers):
        w, b = (
            net[2 * k].weight.detach().numpy().astype(D),
            net[2 * k].bias.detach().numpy().astype(D),
        )
        h = h @ w.T + b
        true = [np.linalg.norm((z > 0)[:, None] * w, 2) for z in h]
        h = np.maximum(h, 0)
        assert layer.converged
        assert layer.examples == pytest.approx(true, rel=1e-5)


def test_shared_weights_have_names_of_their_own():
    p = limpid.Parameter(numbers(4, 4))
    p.node.op.label = "W"

    def model(x):
        for _ in range(3):
            x = limpid.tanh(x @ p)
        return x

    assert [y.name for y in spectral_norms(model, numbers(2, 4)).layers] == ["W", "W#2", "W#3"]


@pytest.mark.parametrize(
    ("model", "x", "loss", "error", "message"),
    [
        (3, numbers(2, 2), None, OperandError, "a module or a function"),
        (lambda x: 3.0, numbers(2, 2), None, OperandError, "must return tensors"),
        (lambda x: x * 2, numbers(0, 2), None, ArgumentError, "nothing in it"),
        (lambda x: x * 2, "text", None, OperandError, "not an array"),
        (lambda x: x * 2, np.array([1, 2]), None, NoGradientError, "by a way that has"),
        (lambda x: limpid.stop_gradient(x), numbers(2), None, NoGradientError, "by a way that"),
        (lambda x: x * 2, numbers(2), lambda y: y, ArgumentError, "a single number"),
        (lambda x: x * 2, numbers(2), 5, OperandError, "loss must be a function"),
    ],
)
def test_errors_name_the_thing(model, x, loss, error, message):
    with pytest.raises(error, match=message):
        spectral_norms(model, x, loss)


def test_arguments_are_checked():
    with pytest.raises(ArgumentError, match="tolerance"):
        spectral_norms(lambda x: x * 2, numbers(2), tolerance=0)
    with pytest.raises(ArgumentError, match="steps"):
        spectral_norms(lambda x: x * 2, numbers(2), steps=0)
    with pytest.raises(ArgumentError, match="recording or a transform"):
        limpid.grad(lambda x: spectral_norms(lambda y: y * 2, x).product)(np.ones(2))


def test_scalar_inputs_and_one_number():
    (layer,) = spectral_norms(lambda x: limpid.sin(x), np.array(0.5)).layers
    assert layer.sigma == pytest.approx(np.cos(0.5))


def test_text_html_and_json():
    class Odd(nn.Module):
        def __init__(self):
            self.parts = {"<script>": nn.Linear(3, 3, dtype=D), "[red]": nn.Tanh()}

        def forward(self, x):
            return self.parts["[red]"](self.parts["<script>"](x))

    spectrum = spectral_norms(Odd(), numbers(2, 3), total)
    assert "parts.<script>" in str(spectrum)
    page = spectrum._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    data = spectrum.to_json()
    assert data["format"] == "limpid spectrum 1"
    assert data["layers"][0]["sigma"] == spectrum[0].sigma
    json.dumps(data, allow_nan=False)
    with pytest.raises(KeyError, match="parts"):
        spectrum["nothing"]


def test_a_piece_of_no_ways_is_zero():
    net = nn.Sequential(nn.Linear(3, 3, dtype=D), nn.ReLU())
    nn.init.zeros_(net[0].weight)
    piece = chain_of(*_chain(net, numbers(2, 3)))[0].whole
    assert isinstance(piece, Piece)
    assert not piece.push([numbers(2, 3)])[0].any()


def _chain(net, x):
    traced = trace(net, x, None, 0)
    return traced.nodes, traced.starts, traced.ends
