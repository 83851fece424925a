"""Receptive fields of nn.summary against the elements that a gradient really reaches."""

from __future__ import annotations

import random
from math import ceil
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.nn import functional as F

RNG = np.random.default_rng(0)


class Differences(nn.Module):
    """Neighbours subtracted, by slices."""

    def forward(self, x: Any) -> Any:
        return x[:, :, 1:] - x[:, :, :-1]


class Every(nn.Module):
    """Every n-th element."""

    def __init__(self, step: int) -> None:
        self.step = step

    def forward(self, x: Any) -> Any:
        return x[:, :, self.step - 1 :: self.step]


class Block(nn.Module):
    """A residual block; its shortcut has channels of zeros and every second element."""

    def __init__(self, channels: int, stride: int) -> None:
        self.stride = stride
        self.a = nn.Conv1d(channels, channels, 3, stride, padding=1, dtype="float64")
        self.b = nn.Conv1d(channels, channels, 3, padding=1, dtype="float64")

    def forward(self, x: Any) -> Any:
        shortcut = x[:, :1, :: self.stride]
        return self.b(self.a(x)) + limpid.pad(shortcut, ((0, 0), (0, 1), (0, 0)))


class Upsampled(nn.Module):
    """Longer by a whole factor."""

    def __init__(self, factor: int, mode: str) -> None:
        self.factor = factor
        self.mode = mode

    def forward(self, x: Any) -> Any:
        return F.interpolate(x, scale_factor=self.factor, mode=self.mode)


class Padded(nn.Module):
    """A border that repeats what is inside."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def forward(self, x: Any) -> Any:
        return limpid.pad(x, ((0, 0), (0, 0), (2, 1)), self.mode)


def layer(rng: random.Random) -> nn.Module:
    """A layer of two channels that may slide, stride, shift, lengthen."""
    kernel, stride = rng.randint(1, 4), rng.randint(1, 3)
    kind = rng.randrange(11)
    if kind < 3:
        return nn.Conv1d(
            2, 2, kernel, stride, padding=rng.randint(0, 2), dilation=rng.randint(1, 2),
            groups=rng.randint(1, 2), dtype="float64",
        )  # fmt: skip
    if kind == 3:
        return nn.ConvTranspose1d(
            2, 2, kernel, stride, padding=rng.randint(0, kernel - 1),
            output_padding=rng.randint(0, stride - 1), dtype="float64",
        )  # fmt: skip
    return [
        lambda: nn.AvgPool1d(kernel, stride, padding=rng.randint(0, kernel // 2)),
        Differences,
        lambda: Every(stride),
        lambda: Block(2, stride),
        lambda: Upsampled(rng.randint(2, 3), rng.choice(["nearest", "linear"])),
        lambda: Padded(rng.choice(["reflect", "edge", "wrap", "constant"])),
        lambda: nn.Tanh(),
    ][kind - 4]()


def reached(model: nn.Module, x: np.ndarray, o: int) -> np.ndarray:
    """The elements of x that output o depends on."""
    g = limpid.grad(lambda x: limpid.sum(model(x)[:, :, o]))(x)
    return np.flatnonzero(np.abs(g).sum((0, 1)))


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(seed: int) -> None:
    """In the middle, where no border is near: the largest count, and nothing before the offset."""
    rng = random.Random(seed)
    model = nn.Sequential(nn.Conv1d(2, 2, 1, dtype="float64"), *[layer(rng) for _ in range(3)])
    x = RNG.normal(size=(1, 2, 160))
    row = nn.summary(model, (2, 160)).rows[-1]
    (field,) = row.fields
    extent = row.shapes[0][1]
    counts = []
    for o in range(extent // 2 - 9, extent // 2 + 9):
        found = reached(model, x, o)
        if found.size:
            counts.append(found[-1] - found[0] + 1)
            assert found[0] >= ceil(field.stride * o + field.offset)
    assert max(counts) == field.size


@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_stacked_convolutions(count: int, width: int) -> None:
    """L layers of width K see 1 + L(K − 1)."""
    layers = [nn.Conv2d(1, 1, width) for _ in range(count)]
    found = nn.summary(nn.Sequential(*layers), (1, 40, 41)).rows[-1].fields
    assert [(f.axis, f.size, f.stride, f.offset) for f in found] == [
        (1, 1 + count * (width - 1), 1, 0),
        (2, 1 + count * (width - 1), 1, 0),
    ]


def test_axes_of_their_own() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, (3, 5), (1, 2), (0, 2)), nn.MaxPool2d((2, 1)))
    fields = nn.summary(model, (3, 20, 30)).rows[-1].fields
    assert [(f.size, f.stride, f.offset) for f in fields] == [(4, 2, 0), (5, 2, -2)]


def test_what_mixes_an_axis_sees_all_of_it() -> None:
    model = nn.Sequential(
        nn.Conv1d(2, 4, 3, padding=1), nn.Flatten(), nn.ReLU(), nn.Linear(32, 32),
        nn.Unflatten(1, (4, 8)), nn.Conv1d(4, 1, 3),
    )  # fmt: skip
    found = [(r.fields[0].size, r.fields[0].stride) for r in nn.summary(model, (2, 8)).rows]
    assert found == [(3, 1), (3, 1), (3, 1), (8, 0), (8, 0), (8, 0)]


def test_a_global_mean_sees_what_its_windows_see() -> None:
    class Mean(nn.Module):
        def forward(self, x: Any) -> Any:
            return limpid.mean(x, axis=2)

    (field,) = nn.summary(nn.Sequential(nn.Conv1d(1, 2, 2, 4), Mean()), (1, 15)).rows[-1].fields
    assert (field.size, field.stride, field.offset) == (14, 0, 0)


def test_paths_that_move_differently_see_all() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            self.a = nn.Conv1d(1, 1, 3, padding=1)

        def forward(self, x: Any) -> Any:
            return self.a(x) + limpid.flip(x, axis=2)

    fields = nn.summary(Both(), (1, 9)).rows[-1].fields
    assert [(f.size, f.stride) for f in fields] == [(9, 0)]


def test_running_sums_see_all() -> None:
    for extent in (2, 5, 9, 30):
        model = nn.Sequential(nn.Conv1d(1, 1, 1), Summed())
        assert nn.summary(model, (1, extent)).rows[-1].fields[0].size == extent


class Summed(nn.Module):
    """A linear operation that mixes an axis."""

    def forward(self, x: Any) -> Any:
        return limpid.cumsum(x, axis=2)


def test_channels_are_no_spatial_axis() -> None:
    for model in (
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.LocalResponseNorm(3), nn.MaxPool2d(2)),
        nn.LocallyConnected2d(4, 2, (8, 8), 3),
    ):
        assert [f.axis for f in nn.summary(model, (4, 8, 8)).rows[-1].fields] == [1, 2]
