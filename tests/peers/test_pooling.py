"""Pooling, unpooling and folding against PyTorch over random geometry, and the layers."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, LimpidError, ShapeError
from limpid.nn import functional as F
from tests.peers.test_convolution import LAYOUTS, compare

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

seeds = pytest.mark.parametrize("seed", range(40))


def their(name: str) -> Any:
    return getattr(torch.nn.functional, name)


class Geometry:
    """A random shape and random windows over it, which may or may not fit."""

    def __init__(self, seed: int, ranks: tuple[int, ...] = (1, 2, 3)):
        self.rng = np.random.default_rng(seed)
        self.rank = int(self.rng.choice(ranks))
        self.kernel = self.draw(1, 5)
        self.stride = self.kernel if seed % 2 else self.draw(1, 4)
        self.padding = tuple(int(self.rng.integers(0, k // 2 + 1)) for k in self.kernel)
        self.dilation = self.draw(1, 3) if seed % 3 else (1,) * self.rank
        self.ceil_mode = bool(self.rng.integers(2))
        self.shape = (2, 3, *self.draw(2, 12 if self.rank < 3 else 7))
        if seed % 5 == 0:
            self.shape = self.shape[1:]

    def draw(self, low: int, high: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self.rng.integers(low, high, self.rank))

    def distinct(self) -> np.ndarray:
        """Numbers without ties, so that derivatives are unique."""
        size = int(np.prod(self.shape))
        return (self.rng.permutation(size) / size).reshape(self.shape)


def both(mine: Any, theirs: Any) -> tuple[Any, Any] | None:
    """The results; None where both refuse with an error.

    In three dimensions alone PyTorch refuses kernels that fit with the padding.
    """
    try:
        expected = theirs()
    except RuntimeError as error:
        if "smaller than kernel size" not in str(error):
            with pytest.raises((ArgumentError, ShapeError)):
                mine()
        return None
    return mine(), expected


@seeds
@pytest.mark.parametrize("fill", [None, np.nan, -np.inf])
def test_max_pool(seed: int, fill: float | None) -> None:
    g = Geometry(seed)
    arguments = g.kernel, g.stride, g.padding, g.dilation, g.ceil_mode
    x = g.distinct()
    if fill is not None:
        x[g.rng.random(x.shape) < 0.4] = fill
    name = f"max_pool{g.rank}d"
    for layout in LAYOUTS:
        try:
            y, positions = getattr(F, name)(layout(x), *arguments, return_indices=True)
        except LimpidError as error:
            if "no element" not in str(error):  # PyTorch returns positions outside of the input
                with pytest.raises(RuntimeError):
                    their(name)(torch.from_numpy(x), *arguments)
            return
        expected = their(name)(torch.from_numpy(x), *arguments, return_indices=True)
        np.testing.assert_array_equal(y, expected[0].numpy())
        np.testing.assert_array_equal(positions, expected[1].numpy())
    if fill is None:
        mine, theirs = (
            (lambda x: getattr(F, name)(x, *arguments)),
            (lambda x: their(name)(x, *arguments)),
        )
        compare_at(mine, theirs, x)


def compare_at(mine: Any, theirs: Any, x: np.ndarray) -> None:
    """Gradient and second derivative of the sum of cubes, in several memory layouts."""
    t = torch.from_numpy(x).requires_grad_()
    (first,) = torch.autograd.grad((theirs(t) ** 3).sum(), t, create_graph=True)
    direction = np.cos(np.arange(x.size)).reshape(x.shape)
    (second,) = torch.autograd.grad((first * torch.from_numpy(direction)).sum(), t)

    def loss(x: Any) -> Any:
        return limpid.sum(mine(x) ** 3)

    for layout in LAYOUTS:
        given = layout(x)
        np.testing.assert_allclose(limpid.grad(loss)(given), first.detach(), atol=1e-10)
        slope, hessian = limpid.jvp(limpid.grad(loss), (given,), (direction,))
        np.testing.assert_allclose(slope, first.detach(), atol=1e-10)
        np.testing.assert_allclose(hessian, second, atol=1e-10)


@seeds
def test_avg_pool(seed: int) -> None:
    g = Geometry(seed)
    arguments = [g.kernel, g.stride, g.padding, g.ceil_mode, bool(seed % 2)]
    if g.rank > 1 and seed % 4 == 0:
        arguments.append(3)
    name = f"avg_pool{g.rank}d"
    x = g.distinct()
    found = both(lambda: getattr(F, name)(x, *arguments),
                 lambda: their(name)(torch.from_numpy(x), *arguments))  # fmt: skip
    if found is not None:
        compare(lambda x: getattr(F, name)(x, *arguments), lambda x: their(name)(x, *arguments),
                g.shape, seed=seed)  # fmt: skip


@seeds
@pytest.mark.parametrize("p", [2, 3.5, float("inf")])
def test_lp_pool(seed: int, p: float) -> None:
    g = Geometry(seed)
    name = f"lp_pool{g.rank}d"
    kernel = g.kernel[0] if g.rank == 1 else g.kernel  # PyTorch multiplies by it
    stride = g.stride[0] if g.rank == 1 else g.stride
    x = g.distinct() + 0.1
    arguments = p, kernel, stride, g.ceil_mode
    found = both(lambda: getattr(F, name)(x, *arguments),
                 lambda: their(name)(torch.from_numpy(x), *arguments))  # fmt: skip
    if found is not None:
        np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
        compare_at(lambda x: getattr(F, name)(x, *arguments),
                   lambda x: their(name)(x, *arguments), x)  # fmt: skip


@seeds
def test_adaptive_pools(seed: int) -> None:
    g = Geometry(seed)
    out = g.draw(1, 8)
    x = g.distinct()
    largest, average = f"adaptive_max_pool{g.rank}d", f"adaptive_avg_pool{g.rank}d"
    for layout in LAYOUTS:
        y, positions = getattr(F, largest)(layout(x), out, return_indices=True)
        expected = their(largest)(torch.from_numpy(x), out, return_indices=True)
        np.testing.assert_array_equal(y, expected[0].numpy())
        np.testing.assert_array_equal(positions, expected[1].numpy())
    compare_at(lambda x: getattr(F, largest)(x, out), lambda x: their(largest)(x, out), x)
    compare(lambda x: getattr(F, average)(x, out), lambda x: their(average)(x, out), g.shape,
            seed=seed)  # fmt: skip
    x[g.rng.random(x.shape) < 0.2] = np.nan
    found = getattr(F, largest)(x, out, return_indices=True)
    expected = their(largest)(torch.from_numpy(x), out, return_indices=True)
    for mine, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, wanted.numpy())


@seeds
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fractional_max_pool(seed: int, dtype: str) -> None:
    """The same windows for the same random numbers, whatever the rounding."""
    g = Geometry(seed, ranks=(2, 3))
    name = f"fractional_max_pool{g.rank}d"
    extents = tuple(n + 12 for n in g.draw(0, 9)) if g.rank == 2 else g.draw(5, 9)
    kernel = g.draw(1, 4)
    most = [w - k + (g.rank == 2) for w, k in zip(extents, kernel, strict=True)]
    out = tuple(int(g.rng.integers(1, n + 1)) for n in most)
    x = g.rng.normal(size=(2, 3, *extents)).astype(dtype)
    u = g.rng.uniform(size=(2, 3, g.rank)).astype(dtype)
    if seed % 5 == 0:
        x, u = x[0], u[:1]
    y, positions = getattr(F, name)(x, kernel, out, return_indices=True, _random_samples=u)
    t = torch.from_numpy(x).requires_grad_()
    expected = their(name)(t, kernel, out, return_indices=True, _random_samples=torch.from_numpy(u))
    np.testing.assert_array_equal(y, expected[0].detach().numpy())
    np.testing.assert_array_equal(positions, expected[1].numpy())
    (g_theirs,) = torch.autograd.grad((expected[0] ** 2).sum(), t)

    def loss(x: Any) -> Any:
        return limpid.sum(getattr(F, name)(x, kernel, out, _random_samples=u) ** 2)

    np.testing.assert_allclose(limpid.grad(loss)(x), g_theirs.numpy(), rtol=1e-5)


@seeds
def test_unpooling_what_was_pooled(seed: int) -> None:
    g = Geometry(seed)
    x = g.distinct()
    pool, unpool = f"max_pool{g.rank}d", f"max_unpool{g.rank}d"
    if any(w < k for w, k in zip(x.shape[-g.rank :], g.kernel, strict=True)):
        return
    y, positions = getattr(F, pool)(x, g.kernel, return_indices=True)
    sizes = x.shape[-g.rank :]
    back = getattr(F, unpool)(y, positions, g.kernel, output_size=sizes)
    t, where = torch.from_numpy(y), torch.from_numpy(positions)
    expected = their(unpool)(t, where, g.kernel, output_size=sizes)
    np.testing.assert_array_equal(back, expected.numpy())
    compare(lambda x: getattr(F, unpool)(x, positions, g.kernel, output_size=sizes),
            lambda x: their(unpool)(x, where, g.kernel, output_size=sizes), y.shape,
            seed=seed)  # fmt: skip


@seeds
def test_unfold_and_fold(seed: int) -> None:
    g = Geometry(seed, ranks=(2,))
    arguments = g.kernel, g.dilation, g.padding, g.stride
    x = g.distinct()
    found = both(lambda: F.unfold(x, *arguments),
                 lambda: their("unfold")(torch.from_numpy(x), *arguments))  # fmt: skip
    if found is None:
        return
    np.testing.assert_array_equal(found[0], found[1].numpy())
    compare(lambda x: F.unfold(x, *arguments), lambda x: their("unfold")(x, *arguments), g.shape,
            seed=seed)  # fmt: skip
    back = (x.shape[-2:], *arguments)
    compare(lambda x: F.fold(x, *back), lambda x: their("fold")(x, *back), found[0].shape,
            seed=seed)  # fmt: skip


LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1}, (2, 3, 9)),
    ("MaxPool2d", ((3, 2),), {"ceil_mode": True, "dilation": 2}, (2, 3, 9, 8)),
    ("MaxPool2d", (2,), {"return_indices": True}, (3, 9, 8)),
    ("MaxPool3d", (2,), {"stride": (1, 2, 1)}, (2, 3, 4, 5, 6)),
    ("AvgPool1d", (3,), {"stride": 2, "padding": 1}, (2, 3, 9)),
    ("AvgPool2d", (3,), {"padding": 1, "count_include_pad": False}, (2, 3, 9, 8)),
    ("AvgPool2d", ((3, 2), 2), {"divisor_override": 5, "ceil_mode": True}, (3, 9, 8)),
    ("AvgPool3d", (2,), {}, (2, 3, 4, 5, 6)),
    ("LPPool1d", (2, 3), {}, (2, 3, 9)),
    ("LPPool2d", (1.5, 2), {"stride": 1, "ceil_mode": True}, (2, 3, 9, 8)),
    ("LPPool3d", (2, (1, 2, 3)), {}, (2, 3, 4, 5, 6)),
    ("AdaptiveAvgPool1d", (4,), {}, (2, 3, 9)),
    ("AdaptiveAvgPool2d", ((None, 3),), {}, (2, 3, 9, 8)),
    ("AdaptiveAvgPool3d", (2,), {}, (2, 3, 4, 5, 6)),
    ("AdaptiveMaxPool1d", (4,), {}, (2, 3, 9)),
    ("AdaptiveMaxPool2d", ((5, None),), {"return_indices": True}, (3, 9, 8)),
    ("AdaptiveMaxPool3d", ((2, 1, 5),), {}, (2, 3, 4, 5, 6)),
    ("Unfold", (3,), {"padding": 1, "stride": 2}, (2, 3, 9, 8)),
    ("Fold", ((4, 5), 2), {"padding": 1}, (2, 12, 30)),
]


@pytest.mark.parametrize(("name", "arguments", "options", "shape"), LAYERS)
def test_layers(name: str, arguments: Any, options: Any, shape: tuple[int, ...]) -> None:
    mine, theirs = (
        getattr(nn, name)(*arguments, **options),
        getattr(torch.nn, name)(*arguments, **options),
    )
    assert repr(mine) == repr(theirs)
    x = np.random.default_rng(0).uniform(size=shape)
    found, expected = mine(x), theirs(torch.from_numpy(x))
    if not isinstance(expected, tuple):
        found, expected = (found,), (expected,)
    for y, t in zip(found, expected, strict=True):
        np.testing.assert_allclose(y, t.numpy(), rtol=1e-10)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unpooling_layers(rank: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 5, 5)[: rank + 2])
    pools = [getattr(kind, f"MaxPool{rank}d")(2, return_indices=True) for kind in (nn, torch.nn)]
    layers = [getattr(kind, f"MaxUnpool{rank}d")(2) for kind in (nn, torch.nn)]
    assert repr(layers[0]) == repr(layers[1])
    y, where = pools[1](torch.from_numpy(x))
    mine = layers[0](*pools[0](x), output_size=x.shape)
    np.testing.assert_array_equal(mine, layers[1](y, where, output_size=x.shape).numpy())


NAMES = sorted({name for name, *_ in LAYERS} | {
    "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "FractionalMaxPool2d", "FractionalMaxPool3d",
})  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_layers_take_the_same_arguments(name: str) -> None:
    mine, theirs = (inspect.signature(getattr(kind, name)) for kind in (nn, torch.nn))
    defaults = {n: p.default for n, p in theirs.parameters.items()}
    assert {n: p.default for n, p in mine.parameters.items()} == defaults
    assert list(mine.parameters) == list(theirs.parameters)


def test_functions_take_the_same_arguments() -> None:
    pools = [f"{kind}_pool{rank}d" for rank in (1, 2, 3) for kind in ("lp", "adaptive_avg")]
    for name in [*pools, *(f"max_unpool{rank}d" for rank in (1, 2, 3)), "unfold", "fold",
                 "max_pool2d_with_indices", "adaptive_max_pool2d_with_indices",
                 "fractional_max_pool2d_with_indices"]:  # fmt: skip
        if name == "adaptive_avg_pool1d":
            continue  # built into PyTorch, without a signature
        assert list(inspect.signature(getattr(F, name)).parameters) == list(
            inspect.signature(their(name)).parameters
        )
    x = np.random.default_rng(0).normal(size=(1, 2, 6, 6))
    for name in ("max_pool2d_with_indices", "adaptive_max_pool2d_with_indices"):
        for y, t in zip(getattr(F, name)(x, 2), their(name)(torch.from_numpy(x), 2), strict=True):
            np.testing.assert_array_equal(y, t.numpy())
