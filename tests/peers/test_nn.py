"""Layers, losses, optimisers and state dicts against PyTorch."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from limpid.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def close(mine: Any, theirs: Any, tolerance: float) -> None:
    mine = mine.detach().numpy() if isinstance(mine, limpid.Tensor) else mine
    theirs = theirs.detach().numpy()
    assert mine.shape == theirs.shape
    assert str(mine.dtype) == str(theirs.dtype)
    np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)


def pair(dtype: str) -> tuple[Any, Any]:
    """The same network in both, with the weights moved from limpid to PyTorch."""
    limpid.random.seed(0)
    mine = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 8, dtype=dtype), nn.ReLU(), nn.Linear(8, 5, dtype=dtype),
        nn.Sequential(nn.Tanh(), nn.Linear(5, 4, bias=False, dtype=dtype)),
    )  # fmt: skip
    kind = getattr(torch, dtype)
    theirs = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(6, 8, dtype=kind), torch.nn.ReLU(),
        torch.nn.Linear(8, 5, dtype=kind),
        torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Linear(5, 4, bias=False, dtype=kind)),
    )  # fmt: skip
    state = {name: torch.from_numpy(value) for name, value in mine.state_dict().items()}
    theirs.load_state_dict(state)
    return mine, theirs


def data(dtype: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(10, 2, 3)).astype(dtype), rng.integers(0, 4, 10)


@dtypes
def test_weights_move_both_ways(dtype: str) -> None:
    mine, theirs = pair(dtype)
    x, _ = data(dtype)
    close(mine(x), theirs(torch.from_numpy(x)), TOLERANCE[dtype])
    fresh = pair(dtype)[0]
    for p in theirs.parameters():
        p.data += 0.5
    fresh.load_state_dict(theirs.state_dict())
    close(fresh(x), theirs(torch.from_numpy(x)), TOLERANCE[dtype])
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert repr(mine) == repr(theirs)


SGD_OPTIONS: list[dict[str, Any]] = [
    {"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.05}, {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    {"lr": 0.1, "momentum": 0.5, "dampening": 0.1, "weight_decay": 0.1, "maximize": True},
]  # fmt: skip
ADAM_OPTIONS: list[dict[str, Any]] = [
    {}, {"lr": 0.01}, {"lr": 0.01, "betas": (0.7, 0.9), "eps": 1e-4},
    {"lr": 0.01, "weight_decay": 0.2}, {"lr": 0.01, "amsgrad": True},
    {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True, "maximize": True},
]  # fmt: skip
CASES = [("SGD", o) for o in SGD_OPTIONS] + [
    (kind, o) for kind in ("Adam", "AdamW") for o in ADAM_OPTIONS
]
cases = pytest.mark.parametrize(
    ("kind", "options"), CASES, ids=[f"{k}-{'-'.join(o) or 'defaults'}" for k, o in CASES]
)


def steps(mine: Any, theirs: Any, ours: Any, torchs: Any, dtype: str, count: int) -> None:
    for seed in range(count):
        x, y = data(dtype, seed)
        ours.zero_grad()
        F.cross_entropy(mine(x), y).backward()
        ours.step()
        torchs.zero_grad()
        torch.nn.functional.cross_entropy(
            theirs(torch.from_numpy(x)), torch.from_numpy(y)
        ).backward()
        torchs.step()


@cases
@dtypes
def test_optimisers_over_several_steps(kind: str, options: dict[str, Any], dtype: str) -> None:
    mine, theirs = pair(dtype)
    ours = getattr(optim, kind)(mine.parameters(), **options)
    torchs = getattr(torch.optim, kind)(theirs.parameters(), **options)
    steps(mine, theirs, ours, torchs, dtype, 6)
    # Adam divides by √v: where a gradient is near 0, its rounding shows up in the update.
    tolerance = TOLERANCE[dtype] * (1 if kind == "SGD" else 10)
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        close(p, q, tolerance)


@cases
def test_optimiser_states_move_both_ways(kind: str, options: dict[str, Any]) -> None:
    mine, theirs = pair("float64")
    ours = getattr(optim, kind)(mine.parameters(), **options)
    torchs = getattr(torch.optim, kind)(theirs.parameters(), **options)
    steps(mine, theirs, ours, torchs, "float64", 2)
    fresh = getattr(optim, kind)(mine.parameters())
    fresh.load_state_dict(torchs.state_dict())
    steps(mine, theirs, fresh, torchs, "float64", 2)
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        close(p, q, 1e-11)


def test_signatures_follow_pytorch() -> None:
    """The names, order and defaults of the arguments that can be given by position."""
    for kind in ("SGD", "Adam", "AdamW"):
        mine = inspect.signature(getattr(optim, kind)).parameters
        theirs = inspect.signature(getattr(torch.optim, kind)).parameters
        for name, parameter in mine.items():
            assert parameter.default == theirs[name].default, (kind, name)
        positional = [n for n, p in mine.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert positional == list(theirs)[: len(positional)]
    functions = (
        "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
        "mse_loss", "l1_loss", "smooth_l1_loss", "kl_div", "multi_margin_loss", "huber_loss",
        "soft_margin_loss", "margin_ranking_loss", "hinge_embedding_loss", "linear", "bilinear",
    )  # fmt: skip
    old = {"size_average", "reduce"}  # deprecated there
    for name in functions:
        mine = list(inspect.signature(getattr(F, name)).parameters)
        try:
            theirs = list(inspect.signature(getattr(torch.nn.functional, name)).parameters)
        except ValueError:  # written in C++
            continue
        assert mine == [n for n in theirs if n not in old][: len(mine)], name


@dtypes
def test_layers_and_their_gradients(dtype: str) -> None:
    rng = np.random.default_rng(0)
    kind = getattr(torch, dtype)
    pairs = [
        (nn.Linear(3, 2, dtype=dtype), torch.nn.Linear(3, 2, dtype=kind), [(4, 5, 3)]),
        (nn.Linear(3, 2, bias=False, dtype=dtype), torch.nn.Linear(3, 2, bias=False, dtype=kind),
         [(3,)]),
        (nn.Bilinear(3, 4, 2, dtype=dtype), torch.nn.Bilinear(3, 4, 2, dtype=kind),
         [(5, 2, 3), (5, 2, 4)]),
    ]  # fmt: skip
    for mine, theirs, shapes in pairs:
        mine.load_state_dict(theirs.state_dict())
        arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
        inputs = [limpid.tensor(x, requires_grad=True) for x in arrays]
        others = [torch.from_numpy(x).requires_grad_() for x in arrays]
        y, z = mine(*inputs), theirs(*others)
        close(y, z, 10 * TOLERANCE[dtype])
        limpid.sum(y * y).backward()
        (z * z).sum().backward()
        for a, b in zip(
            [*inputs, *mine.parameters()], [*others, *theirs.parameters()], strict=True
        ):
            close(a.grad, b.grad, 10 * TOLERANCE[dtype])


def test_embedding_and_its_gradient() -> None:
    for padding in (None, 2, -1):
        mine, theirs = nn.Embedding(6, 3, padding), torch.nn.Embedding(6, 3, padding)
        mine.load_state_dict(theirs.state_dict())
        index = np.array([[2, 5, 5], [0, 2, 1]])
        y, z = mine(index), theirs(torch.from_numpy(index))
        close(y, z, 0)
        limpid.sum(y * y).backward()
        (z * z).sum().backward()
        close(mine.weight.grad, theirs.weight.grad, 1e-6)
        assert repr(mine) == repr(theirs)


ACTIVATIONS = [
    ("celu", (0.75,)), ("elu", (0.7,)), ("gelu", ()), ("glu", (1,)), ("hardshrink", (0.3,)),
    ("hardsigmoid", ()), ("hardswish", ()), ("hardtanh", (-0.5, 2.0)), ("leaky_relu", (0.2,)),
    ("log_softmax", (1,)), ("logsigmoid", ()), ("mish", ()), ("relu", ()), ("relu6", ()),
    ("selu", ()), ("sigmoid", ()), ("silu", ()), ("softmax", (0,)), ("softmin", (1,)),
    ("softplus", (2.0, 5.0)), ("softshrink", (0.3,)), ("softsign", ()), ("tanh", ()),
    ("tanhshrink", ()), ("threshold", (0.1, 7.0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), ACTIVATIONS, ids=[n for n, _ in ACTIVATIONS])
def test_activations(name: str, arguments: tuple[Any, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(5, 6)) * 3
    mine, theirs = limpid.tensor(x, requires_grad=True), torch.from_numpy(x).requires_grad_()
    y, z = (
        getattr(F, name)(mine, *arguments),
        getattr(torch.nn.functional, name)(theirs, *arguments),
    )
    close(y, z, 1e-9)
    limpid.sum(y * y).backward()
    (z * z).sum().backward()
    # PyTorch keeps the slope 1/6 of hardsigmoid in float32.
    close(mine.grad, theirs.grad, 1e-7 if name == "hardsigmoid" else 1e-9)


def test_multi_margin_loss() -> None:
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(5, 4)), rng.integers(0, 4, 5), rng.uniform(size=4)
    for p in (1, 2):
        for reduction in ("mean", "sum", "none"):
            mine, theirs = (
                limpid.tensor(x, requires_grad=True),
                torch.from_numpy(x).requires_grad_(),
            )
            loss = F.multi_margin_loss(mine, y, p, 0.8, w, reduction)
            other = torch.nn.functional.multi_margin_loss(
                theirs, torch.from_numpy(y), p, 0.8, torch.from_numpy(w), reduction=reduction
            )
            close(loss, other, 1e-12)
            loss.sum().backward()
            other.sum().backward()
            close(mine.grad, theirs.grad, 1e-12)


def test_gains_and_fans() -> None:
    for name in ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "conv1d"):
        assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain(
        "leaky_relu", 0.3
    )
    shape = (8, 3, 5, 2)
    assert nn.init.fans(limpid.zeros(shape)) == torch.nn.init._calculate_fan_in_and_fan_out(
        torch.zeros(shape)
    )


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, float("inf")])
def test_clipping(norm: float) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((3, 2), (4,))]
    mine = [limpid.Parameter(a) for a in arrays]
    theirs = [torch.from_numpy(a).requires_grad_() for a in arrays]
    for limit in (0.5, 100.0):
        for p, q, a in zip(mine, theirs, arrays, strict=True):
            p.grad, q.grad = a * 2, torch.from_numpy(a * 2)
        total = optim.clip_grad_norm_(mine, limit, norm)
        close(total, torch.nn.utils.clip_grad_norm_(theirs, limit, norm), 1e-12)
        for p, q in zip(mine, theirs, strict=True):
            close(p.grad, q.grad, 1e-12)
    optim.clip_grad_value_(mine, 0.3)
    torch.nn.utils.clip_grad_value_(theirs, 0.3)
    for p, q in zip(mine, theirs, strict=True):
        close(p.grad, q.grad, 0)
