"""Shared parameters: sums of gradients, ties that hold, and networks that scan their input."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from limpid.errors import StateError
from limpid.nn import functional as F
from limpid.training import load_checkpoint, save_checkpoint

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


# The sum of gradients


def program(*w: Any) -> Any:
    """A scalar in which a square matrix is used in five ways."""
    x = limpid.asarray(normals)
    y = x @ w[0] + F.linear(x, w[1])
    y = limpid.tanh(y) * w[2][0] + limpid.sum(w[3] * w[3])
    image = limpid.reshape(x, (1, 1, 4, 3))
    return limpid.sum(y * y) + limpid.sum(F.conv2d(image, w[4][None, None]))


normals = normal(4, 3)


def test_a_tensor_used_in_many_places_gets_the_sum() -> None:
    value = normal(3, 3)
    shared = limpid.tensor(value, requires_grad=True)
    apart = [limpid.tensor(value, requires_grad=True) for _ in range(5)]
    program(*[shared] * 5).backward()
    program(*apart).backward()
    expected = sum(w.grad.numpy() for w in apart)
    np.testing.assert_allclose(shared.grad.numpy(), expected, rtol=1e-13)
    limpid.check_grad(lambda w: program(*[w] * 5), value)


def test_a_layer_called_often_gets_the_sum() -> None:
    """As many layers with the same weights, each called once."""
    limpid.random.seed(0)
    shared = nn.Conv1d(2, 2, 3, padding=1, dtype="float64")
    apart = [copy.deepcopy(shared) for _ in range(4)]
    x = y = limpid.asarray(normal(2, 2, 6))
    for layer in apart:
        x, y = limpid.tanh(layer(x)), limpid.tanh(shared(y))
    limpid.sum(x * x).backward()
    limpid.sum(y * y).backward()
    for name, parameter in shared.named_parameters():
        expected = sum(dict(layer.named_parameters())[name].grad.numpy() for layer in apart)
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=1e-12)


# Ties


class Tied(nn.Module):
    """A table of words, and a layer over it with the same weight; a kernel in two layers."""

    def __init__(self) -> None:
        self.table = nn.Embedding(7, 4, dtype="float64")
        self.up = nn.Conv1d(4, 4, 3, padding=1, dtype="float64")
        self.down = nn.Conv1d(4, 4, 3, padding=1, dtype="float64")
        self.head = nn.Linear(4, 7, dtype="float64")
        self.down.weight = self.up.weight
        self.head.weight = self.table.weight

    def forward(self, words: Any) -> Any:
        x = limpid.swapaxes(self.table(words), 1, 2)  # (N, 4, T)
        x = self.down(limpid.tanh(self.up(x)))
        return self.head(limpid.swapaxes(x, 1, 2))  # (N, T, 7)


WORDS = RNG.integers(0, 7, (5, 6))
TIES = (("table.weight", "head.weight"), ("up.weight", "down.weight"))


def tied(seed: int = 0) -> Tied:
    limpid.random.seed(seed)
    return Tied()


def assert_tied(model: Tied) -> None:
    assert model.head.weight is model.table.weight
    assert model.down.weight is model.up.weight
    state = model.state_dict()
    for one, other in TIES:
        np.testing.assert_array_equal(state[one], state[other])
    assert len(list(model.parameters())) == 5


def loss_of(model: Any) -> Any:
    return F.cross_entropy(limpid.reshape(model(WORDS), (-1, 7)), WORDS.reshape(-1))


def steps(model: nn.Module, count: int, optimizer: Any = None) -> None:
    optimizer = optimizer or optim.AdamW(model.parameters(), 0.05)
    for _ in range(count):
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()


@pytest.mark.parametrize(
    "kind",
    [
        lambda ps: optim.SGD(ps, 0.1, momentum=0.9),
        lambda ps: optim.Adam(ps, 0.01),
        lambda ps: optim.AdamW(ps, 0.01),
    ],
)
def test_ties_hold_through_training(kind: Any) -> None:
    model = tied()
    before = float(loss_of(model).value)
    steps(model, 5, kind(model.parameters()))
    assert_tied(model)
    assert float(loss_of(model).value) < before


def test_training_tied_is_training_with_the_sum() -> None:
    """Two copies that are both moved by the sum of both gradients stay equal, and equal the tie."""
    model, apart = tied(), tied()
    apart.head.weight = limpid.Parameter(apart.table.weight)
    apart.down.weight = limpid.Parameter(apart.up.weight)
    optimizer = optim.SGD(apart.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(apart).backward()
        for one, other in ((apart.table, apart.head), (apart.up, apart.down)):
            both = one.weight.grad + other.weight.grad
            one.weight.grad = other.weight.grad = both
        optimizer.step()
    steps(model, 3, optim.SGD(model.parameters(), 0.1))
    for name, value in apart.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], value, rtol=1e-12, atol=1e-14)


def test_ties_hold_through_a_recorded_step() -> None:
    model, eager = tied(), tied()
    optimizer = optim.SGD(model.parameters(), 0.1)

    def step(words: Any) -> Any:
        optimizer.zero_grad()
        y = limpid.reshape(model(words), (-1, 7))
        F.cross_entropy(y, limpid.reshape(words, (-1,))).backward()
        optimizer.step()

    recorded = limpid.record(step, WORDS)
    for _ in range(3):
        recorded(WORDS)
    steps(eager, 3, optim.SGD(eager.parameters(), 0.1))
    assert_tied(model)
    for name, value in eager.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], value, rtol=1e-12, atol=1e-14)


def test_ties_hold_through_a_checkpoint(tmp_path: Any) -> None:
    model, other = tied(), tied(1)
    optimizer = optim.AdamW(model.parameters(), 0.05)
    steps(model, 2, optimizer)
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    state = load_checkpoint(path)
    assert {*TIES[0], *TIES[1]} <= set(state["model"])
    again = optim.AdamW(other.parameters(), 0.05)
    other.load_state_dict(state["model"])
    again.load_state_dict(state["optimizer"])
    assert_tied(other)
    steps(model, 2, optimizer)
    steps(other, 2, again)
    for name, value in model.state_dict().items():
        assert value.tobytes() == other.state_dict()[name].tobytes()


def test_a_state_dict_that_breaks_a_tie_is_refused() -> None:
    model = tied()
    state = model.state_dict()
    state["head.weight"] = state["head.weight"] + 1
    with pytest.raises(StateError, match=r"tied: table\.weight and head\.weight are one slot"):
        model.load_state_dict(state)
    del state["head.weight"]
    with pytest.raises(StateError, match=r"missing: head\.weight"):
        model.load_state_dict(state)
    state["table.weight"] = state["table.weight"] + 1
    model.load_state_dict(state, strict=False)  # one name is enough for both
    np.testing.assert_array_equal(model.head.weight.value, state["table.weight"])
    assert_tied(model)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_ties_hold_through_copies(again: Any) -> None:
    model = tied()
    other = again(model)
    assert_tied(other)
    assert other.table.weight is not model.table.weight
    steps(other, 1)
    assert_tied(other)
    assert not np.array_equal(other.table.weight.value, model.table.weight.value)


def test_freezing_one_name_freezes_both() -> None:
    model = tied()
    model.head.requires_grad_(False)
    assert not model.table.weight.requires_grad
    before = model.state_dict()
    steps(model, 3, optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1))
    assert_tied(model)
    np.testing.assert_array_equal(model.table.weight.value, before["head.weight"])
    assert not np.array_equal(model.up.weight.value, before["up.weight"])
    model.table.requires_grad_()
    steps(model, 1)
    assert_tied(model)
    assert not np.array_equal(model.head.weight.value, before["head.weight"])


def test_assigning_to_one_name_assigns_to_both() -> None:
    model = tied()
    limpid.assign(model.head.weight, np.ones((7, 4)))
    assert_tied(model)
    assert (model.table.weight.value == 1).all()


# A small network that scans its input is a convolution


class ScanningMLP(nn.Module):
    """The same perceptron applied to every window: (N, C, *W) → (N, out, *O)."""

    def __init__(self, channels: int, kernel: tuple[int, ...], stride: int) -> None:
        self.kernel, self.stride = kernel, stride
        self.mlp = nn.Sequential(
            nn.Linear(channels * int(np.prod(kernel)), 6, dtype="float64"),
            nn.Tanh(),
            nn.Linear(6, 5, dtype="float64"),
            nn.Tanh(),
            nn.Linear(5, 3, dtype="float64"),
        )

    def forward(self, x: Any) -> Any:
        windows = F.unfold(x, self.kernel, stride=self.stride)  # (N, C·K, L)
        y = limpid.swapaxes(self.mlp(limpid.swapaxes(windows, 1, 2)), 1, 2)  # (N, 3, L)
        spatial = zip(x.shape[2:], self.kernel)
        return limpid.reshape(y, (*y.shape[:2], *((w - k) // self.stride + 1 for w, k in spatial)))


def convolutions(scanning: ScanningMLP, channels: int) -> nn.Sequential:
    """The network of convolutions with the weights of the scanning perceptron."""
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(scanning.kernel) - 1]
    first, middle, last = (m for m in scanning.mlp if isinstance(m, nn.Linear))
    model = nn.Sequential(
        kind(channels, 6, scanning.kernel, scanning.stride, dtype="float64"),
        nn.Tanh(),
        kind(6, 5, 1, dtype="float64"),
        nn.Tanh(),
        kind(5, 3, 1, dtype="float64"),
    )
    for i, linear in zip((0, 2, 4), (first, middle, last), strict=True):
        shape = model[i].weight.shape
        limpid.assign(model[i].weight, limpid.reshape(linear.weight.detach(), shape))
        limpid.assign(model[i].bias, linear.bias.detach())
    return model


@pytest.mark.parametrize(
    ("kernel", "extents"), [((4,), (11,)), ((3, 2), (7, 8)), ((2, 3, 2), (4, 5, 4))]
)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_scanning_perceptron_is_a_convolution(
    kernel: tuple[int, ...], extents: tuple[int, ...], stride: int
) -> None:
    """With the same weights: in value, and in the gradients of the input and of every weight."""
    limpid.random.seed(1)
    scanning = ScanningMLP(2, kernel, stride)
    convolved = convolutions(scanning, 2)
    x = normal(3, 2, *extents)
    ends, inputs = [], []
    for model in (scanning, convolved):
        input = limpid.tensor(x, requires_grad=True)
        y = model(input)
        limpid.sum(limpid.sin(y)).backward()
        ends.append(y.detach().numpy())
        inputs.append(input.grad.numpy())
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(inputs[0], inputs[1], rtol=1e-11, atol=1e-13)
    for mine, theirs in zip(scanning.parameters(), convolved.parameters(), strict=True):
        expected = theirs.grad.numpy().reshape(mine.shape)
        np.testing.assert_allclose(mine.grad.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_a_perceptron_called_window_by_window_is_a_convolution() -> None:
    """By slices, one call for each window: the weights get the sum of all calls' gradients."""
    limpid.random.seed(2)
    scanning = ScanningMLP(2, (3,), 1)
    convolved = convolutions(scanning, 2)
    x = normal(2, 2, 8)
    calls = [scanning.mlp(x[:, :, o : o + 3].reshape(2, -1)) for o in range(6)]
    y = limpid.stack(calls, axis=2)  # (N, 3, O)
    z = convolved(x)
    np.testing.assert_allclose(y.value, z.value, rtol=1e-11, atol=1e-13)
    limpid.sum(y**3).backward()
    limpid.sum(z**3).backward()
    for mine, theirs in zip(scanning.parameters(), convolved.parameters(), strict=True):
        expected = theirs.grad.numpy().reshape(mine.shape)
        np.testing.assert_allclose(mine.grad.numpy(), expected, rtol=1e-10, atol=1e-12)
