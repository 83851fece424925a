"""Rows of limpid/ops/windows/grid.py."""

import math
from itertools import product

import numpy as np

import limpid
from limpid.nn import functional as F
from tests.table import Row, named, normal, uniform


def slow_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False):
    """`grid_sample` one place after the other."""
    y = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    extents = x.shape[2:]
    for place in np.ndindex(*grid.shape[:-1]):
        axes = [
            list(_taps(c, n, mode, padding_mode, align_corners))
            for c, n in zip(grid[place][::-1], extents, strict=True)
        ]
        for taps in product(*axes):
            index, weights = zip(*taps, strict=True)
            y[(place[0], slice(None), *place[1:])] += (
                math.prod(weights) * x[(place[0], ..., *index)]
            )
    return y


def _taps(c, n, mode, padding, align):
    """(element, weight) along one axis; none outside."""
    u = (c + 1) / 2 * (n - 1) if align else ((c + 1) * n - 1) / 2
    if mode == "bicubic":
        left = math.floor(u)
        for i, weight in zip(range(left - 1, left + 3), _cubic(u - left), strict=True):
            i = i if padding == "zeros" else round(_held(i, n, padding, align))
            if 0 <= i < n:
                yield i, weight
        return
    if padding != "zeros":
        u = _held(u, n, padding, align)
    if mode == "nearest":
        taps = [(round(u), 1.0)]
    else:
        taps = [(math.floor(u), 1 - u % 1), (math.floor(u) + 1, u % 1)]
    yield from ((i, weight) for i, weight in taps if 0 <= i < n)


def _held(u, n, padding, align):
    """A place brought into the axis, by reflections one after the other."""
    if padding == "reflection":
        low, high = (0, n - 1) if align else (-0.5, n - 0.5)
        while low < high and not low <= u <= high:
            u = 2 * low - u if u < low else 2 * high - u
    return min(max(u, 0), n - 1)


def _cubic(t):
    a = -0.75
    far = [a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a for d in (1 + t, 2 - t)]
    near = [(a + 2) * d**3 - (a + 3) * d**2 + 1 for d in (t, 1 - t)]
    return [far[0], *near, far[1]]


def places(extents, align, count, span=1.6):
    """A grid of places in and around an image, at least 0.1 pixels from all kinks."""

    def sample(rng):
        axes = []
        for n in extents[::-1]:
            reach = int(span * n)
            u = rng.integers(-reach + n // 2, reach + n // 2, count) + rng.uniform(0.1, 0.4, count)
            c = 2 * u / max(n - 1, 1) - 1 if align else (2 * u + 1) / n - 1
            axes.append(c)
        return np.stack(axes, -1)

    return named(sample, f"places {count} {align}")


def sampled(image, mode="bilinear", padding="zeros", align=False, count=None):
    """One sampling of images, with derivatives by both operands; nearest has none by the grid."""
    rank = len(image) - 2
    count = count or (image[0], 3, 2, 2)[: rank + 1]
    return Row(
        "grid_sample", lambda x, grid: F.grid_sample(x, grid, mode, padding, align),
        (normal(*image), places(image[2:], align, count)),
        lambda x, grid: slow_sample(x, grid, mode, padding, align),
        lambda t, x, grid: t.nn.functional.grid_sample(x, grid, mode, padding, align),
        label=f"{image} {mode} {padding} {align}", tolerance=1e-5,
    )  # fmt: skip


def primitive(name, mode, orders, align=False):
    """The adjoints on their own, and derivatives of the weights."""
    call = limpid.primitives[name]
    params = {"mode": mode, "padding": "zeros", "align": align, "orders": orders}
    images, samples = normal(2, 2, 4, 5), normal(2, 2, 3, 2)
    grid = places((4, 5), align, (2, 3, 2), span=1)
    operands = {
        "grid_sample": (images, grid),
        "grid_spread": (samples, grid),
        "grid_slopes": (samples, images, grid),
    }[name]
    if name == "grid_spread":
        params["extents"] = (4, 5)
    return Row(name, lambda *x: call(*x, **params), operands, label=f"{name} {mode} {orders}",
               tolerance=1e-5)  # fmt: skip


def affine(size, align):
    rank = len(size) - 2
    return Row("matmul", lambda theta: F.affine_grid(theta, size, align),
               (normal(size[0], rank, rank + 1),), None,
               lambda t, theta: t.nn.functional.affine_grid(theta, size, align),
               label=f"affine_grid {size} {align}")  # fmt: skip


IMAGE, VOLUME = (2, 3, 4, 5), (2, 2, 3, 4, 3)
PADDINGS = ("zeros", "border", "reflection")

ROWS = [
    *(sampled(image, mode, padding, align)
      for image, mode in [(IMAGE, "bilinear"), (IMAGE, "bicubic"), (IMAGE, "nearest"),
                          (VOLUME, "bilinear"), (VOLUME, "nearest")]
      for padding in PADDINGS for align in (False, True)),
    *(sampled((1, 1, 1, 2), mode, padding) for mode in ("bilinear", "bicubic")
      for padding in PADDINGS),
    sampled((3, 1, 5, 5), count=(3, 1, 7)),
    sampled((0, 2, 3, 3)),
    sampled((2, 0, 3, 3), "bicubic"),
    sampled((1, 2, 3, 3), count=(1, 0, 4)),
    Row("grid_sample", lambda theta, x: F.grid_sample(x, F.affine_grid(theta, (2, 3, 4, 5), False),
                                                      align_corners=False),
        (uniform(-0.9, 0.9, 2, 2, 3), normal(2, 3, 6, 5)), None,
        lambda t, theta, x: t.nn.functional.grid_sample(
            x, t.nn.functional.affine_grid(theta, (2, 3, 4, 5), False), align_corners=False),
        label="affine", tolerance=1e-5, order=1),
    *(primitive(name, mode, orders) for name in ("grid_sample", "grid_spread", "grid_slopes")
      for mode, orders in [("bilinear", (0, 0)), ("bilinear", (1, 0)), ("bicubic", (0, 1)),
                           ("bicubic", (2, 1))]),
    *(affine(size, align) for size in ((2, 1, 3, 4), (2, 3, 2, 3, 4)) for align in (False, True)),
    affine((1, 1, 1, 3), False),
]  # fmt: skip
