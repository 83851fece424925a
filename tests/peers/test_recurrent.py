"""Recurrent cells and layers against PyTorch: values, gradients, second order, state dicts."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    (name, options)
    for name in ("RNN", "LSTM", "GRU")
    for options in (
        {},
        {"num_layers": 3, "bias": False},
        {"num_layers": 2, "bidirectional": True, "batch_first": True},
    )
] + [
    ("RNN", {"nonlinearity": "relu", "bidirectional": True}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
    ("LSTM", {"proj_size": 1, "bias": False}),
]
layers = pytest.mark.parametrize(
    ("name", "options"), OPTIONS, ids=[f"{n}-{'-'.join(o) or 'plain'}" for n, o in OPTIONS]
)


def pair(name: str, *sizes: int, **options: Any) -> tuple[Any, Any]:
    """The same in both, in float64."""
    mine = getattr(nn, name)(*sizes, **options, dtype="float64")
    theirs = getattr(torch.nn, name)(*sizes, **options, dtype=torch.float64)
    assert repr(mine) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    mine.load_state_dict(theirs.state_dict())
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in mine.state_dict().items()})
    return mine, theirs


def close(mine: Any, theirs: Any) -> None:
    theirs = np.asarray(theirs.detach())
    mine = np.asarray(mine.detach() if isinstance(mine, limpid.Tensor) else mine)
    assert mine.shape == theirs.shape
    np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-8)


def leaves(result: Any) -> list[Any]:
    """Outputs and states in a row."""
    if not isinstance(result, tuple):
        return [result]
    return [leaf for part in result for leaf in leaves(part)]


def compare(mine: Any, theirs: Any, x: np.ndarray, *hx: np.ndarray) -> None:
    """Values, gradients of everything, and the gradient of their squares."""
    mine.zero_grad()
    arrays = [x, *hx]
    given = [limpid.tensor(a, requires_grad=True) for a in arrays]
    other = [torch.from_numpy(a).requires_grad_() for a in arrays]
    results = []
    for model, (first, *states) in ((mine, given), (theirs, other)):
        state = tuple(states) if len(states) == 2 else states[0] if states else None
        results.append(leaves(model(first, state)))
    for y, z in zip(*results, strict=True):
        close(y, z)
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=y.shape) for y in results[0]]
    loss = sum(limpid.sum(y * y * w) for y, w in zip(results[0], weights, strict=True))
    wanted = sum(
        (z * z * torch.from_numpy(w)).sum() for z, w in zip(results[1], weights, strict=True)
    )
    loss.backward(create_graph=True)
    ours, all_theirs = [*given, *mine.parameters()], [*other, *theirs.parameters()]
    gradients = torch.autograd.grad(wanted, all_theirs, create_graph=True)
    for p, g in zip(ours, gradients, strict=True):
        close(p.grad, g)
    first = [p.grad for p in ours]
    for p in ours:
        p.grad = None
    sum(limpid.sum(g * g) for g in first).backward()
    second = torch.autograd.grad(sum((g * g).sum() for g in gradients), all_theirs)
    for p, g in zip(ours, second, strict=True):
        close(p.grad, g)


@layers
def test_layers(name: str, options: dict[str, Any]) -> None:
    mine, theirs = pair(name, 3, 4, **options)
    rng = np.random.default_rng(0)
    layers_and_directions = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    sizes = [options.get("proj_size", 0) or 4, 4][: 2 if name == "LSTM" else 1]
    x = rng.normal(size=(5, 2, 3))
    batch = x.shape[0] if options.get("batch_first") else x.shape[1]
    compare(mine, theirs, x)
    compare(mine, theirs, x, *(rng.normal(size=(layers_and_directions, batch, n)) for n in sizes))
    compare(mine, theirs, x[:, 0])
    compare(mine, theirs, x[:, 0], *(rng.normal(size=(layers_and_directions, n)) for n in sizes))
    compare(mine, theirs, x[:1])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(name: str, bias: bool) -> None:
    rng = np.random.default_rng(0)
    for options in ({}, {"nonlinearity": "relu"}) if name == "RNNCell" else ({},):
        mine, theirs = pair(name, 3, 4, bias=bias, **options)
        for shape in ((5, 3), (3,), (0, 3)):
            states = [rng.normal(size=(*shape[:-1], 4)) for _ in range(1 + (name == "LSTMCell"))]
            compare(mine, theirs, rng.normal(size=shape))
            compare(mine, theirs, rng.normal(size=shape), *states)


def test_signatures_follow_pytorch() -> None:
    for name in ("RNNCell", "LSTMCell", "GRUCell"):
        mine = inspect.signature(getattr(nn, name)).parameters
        theirs = inspect.signature(getattr(torch.nn, name)).parameters
        assert list(mine) == [n for n in theirs if n != "device"]
        assert [p.default for p in mine.values()] == [theirs[n].default for n in mine]
