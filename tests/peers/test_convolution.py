"""Convolutions against PyTorch over random geometry, and the layers with their state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

LAYOUTS = (
    np.ascontiguousarray,
    np.asfortranarray,
    lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
    lambda x: x[..., ::-1].copy()[..., ::-1],
)


def geometry(seed: int) -> tuple[int, tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Rank, shapes of input and weight, and options of a random convolution that has an output."""
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 4))

    def draw(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(n) for n in rng.integers(low, high, rank))

    groups = int(rng.choice([1, 1, 2, 3]))
    channels, kernels = (int(rng.choice([1, 2, 3, 9])) for _ in range(2))
    kernel, stride, dilation, padding = draw(1, 4), draw(1, 4), draw(1, 4), draw(0, 4)
    spans = [d * (k - 1) + 1 - 2 * p for d, k, p in zip(dilation, kernel, padding)]
    extents = tuple(max(s, 1) + int(n) for s, n in zip(spans, draw(0, 8)))
    x = (int(rng.integers(1, 4)), groups * channels, *extents)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return rank, x, (groups * kernels, channels, *kernel), options


def compare(mine: Any, theirs: Any, *shapes: tuple[int, ...], seed: int) -> None:
    """Value, gradients and second derivatives to 1e-8, on operands of several memory layouts."""
    rng = np.random.default_rng(seed)
    operands = [rng.normal(size=shape) for shape in shapes]
    tensors = [torch.from_numpy(x).requires_grad_() for x in operands]
    given = [LAYOUTS[(seed + i) % len(LAYOUTS)](x) for i, x in enumerate(operands)]
    expected = theirs(*tensors)
    np.testing.assert_allclose(mine(*given), expected.detach(), rtol=1e-8, atol=1e-8)
    weight = rng.normal(size=expected.shape)
    directions = [rng.normal(size=shape) for shape in shapes]

    def loss(*xs: Any) -> Any:
        y = mine(*xs)
        return limpid.sum(y * y * weight)

    def slope(*xs: Any) -> Any:
        found = limpid.grad(loss, range(len(xs)))(*xs)
        return sum(limpid.sum(g * v) for g, v in zip(found, directions, strict=True))

    their_loss = (expected * expected * torch.from_numpy(weight)).sum()
    first = torch.autograd.grad(their_loss, tensors, create_graph=True)
    their_slope = sum(
        (g * torch.from_numpy(v)).sum() for g, v in zip(first, directions, strict=True)
    )
    second = torch.autograd.grad(their_slope, tensors)
    tangent = limpid.jvp(loss, tuple(given), tuple(directions))[1]
    np.testing.assert_allclose(tangent, their_slope.item(), rtol=1e-8)
    for order, wanted in ((loss, first), (slope, second)):
        for g, w in zip(limpid.grad(order, range(len(given)))(*given), wanted, strict=True):
            scale = max(1.0, float(w.detach().abs().max()))
            np.testing.assert_allclose(g, w.detach(), rtol=1e-8, atol=1e-8 * scale)


@pytest.mark.parametrize("seed", range(60))
def test_random_geometry(seed: int) -> None:
    rank, x, w, options = geometry(seed)
    name = f"conv{rank}d"
    compare(
        lambda x, w: getattr(F, name)(x, w, **options),
        lambda x, w: getattr(torch.nn.functional, name)(x, w, **options),
        x, w, seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_random_transposed_geometry(seed: int) -> None:
    rank, x, w, options = geometry(seed)
    name = f"conv_transpose{rank}d"
    rng = np.random.default_rng(seed)
    most = [max(s, d) for s, d in zip(options["stride"], options["dilation"])]
    options["output_padding"] = tuple(int(rng.integers(0, m)) for m in most)
    places = list(x[2:])
    sizes = [
        (o - 1) * s - 2 * p + d * (k - 1) + 1
        for o, s, p, d, k in zip(
            places, options["stride"], options["padding"], options["dilation"], w[2:]
        )
    ]
    if min(sizes) < 1:
        options["padding"] = (0,) * rank
    compare(
        lambda x, w: getattr(F, name)(x, w, **options),
        lambda x, w: getattr(torch.nn.functional, name)(x, w, **options),
        (x[0], w[0], *x[2:]), w, seed=seed,
    )  # fmt: skip


def same(mine: Any, theirs: Any, *shape: int) -> None:
    """Equal repr, state keys, values and gradients, with the weights moved over."""
    assert repr(mine) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({n: torch.from_numpy(v) for n, v in mine.state_dict().items()})
    x = np.random.default_rng(0).normal(size=shape)
    y, t = mine(limpid.asarray(x)), theirs(torch.from_numpy(x))
    np.testing.assert_allclose(y.detach().numpy(), t.detach(), atol=1e-12)
    limpid.sum(y * y).backward()
    (t * t).sum().backward()
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad, atol=1e-10)


LAYERS = [
    ("Conv1d", (3, 4, 3), {"padding": "same", "dilation": 2}, (2, 3, 8)),
    ("Conv1d", (3, 4, 3), {"padding": 2, "padding_mode": "circular"}, (3, 8)),
    ("Conv2d", (4, 6, (3, 2)), {"stride": 2, "padding": (1, 0), "groups": 2}, (2, 4, 7, 6)),
    ("Conv2d", (2, 3, 3), {"padding": 2, "padding_mode": "reflect", "bias": False}, (1, 2, 5, 6)),
    ("Conv2d", (2, 3, 2), {"padding": "same", "padding_mode": "replicate"}, (1, 2, 5, 6)),
    ("Conv3d", (2, 2, 3), {"dilation": (1, 2, 1), "padding": 1}, (1, 2, 4, 5, 4)),
    ("ConvTranspose1d", (3, 2, 3), {"stride": 2, "output_padding": 1}, (2, 3, 5)),
    ("ConvTranspose2d", (4, 2, 3), {"stride": (2, 1), "padding": 1, "groups": 2}, (4, 5, 5)),
    ("ConvTranspose3d", (2, 1, 2), {"bias": False, "dilation": 2}, (1, 2, 2, 3, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sizes", "options", "shape"), LAYERS)
def test_layers(name: str, sizes: Any, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    mine = getattr(nn, name)(*sizes, **options, dtype="float64")
    theirs = getattr(torch.nn, name)(*sizes, **options, dtype=torch.float64)
    same(mine, theirs, *shape)


def test_initial_values_have_the_same_bounds() -> None:
    for name, sizes in (("Conv2d", (8, 64, 3)), ("ConvTranspose2d", (8, 64, 3))):
        mine, theirs = getattr(nn, name)(*sizes), getattr(torch.nn, name)(*sizes)
        for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
            ours, torchs = np.abs(p.detach().numpy()).max(), float(q.detach().abs().max())
            assert abs(ours / torchs - 1) < 0.1
