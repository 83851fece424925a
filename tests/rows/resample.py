"""Rows of limpid/ops/windows/resample.py, and of what is made of moved pixels."""

import math

import numpy as np

import limpid
from limpid.nn import functional as F
from limpid.ops.windows.band import KINDS
from tests.table import Row, normal


def slow_resize(x, size=None, scale_factor=None, mode="nearest", align_corners=None, **options):
    """`interpolate` from its definition: every axis by a matrix, every row of it by a loop."""
    rank = x.ndim - 2
    scales = scale_factor if isinstance(scale_factor, tuple) else (scale_factor,) * rank
    sizes = size if isinstance(size, tuple) else (size,) * rank
    for axis, (wanted, scale) in enumerate(zip(sizes, scales, strict=True), 2):
        n = x.shape[axis]
        m = wanted or int(n * scale)
        if mode == "area" or options.get("recompute_scale_factor"):
            scale = None
        step = (n - 1) / max(m - 1, 1) if align_corners else 1 / scale if scale else n / m
        matrix = np.zeros((m, n))
        for o in range(m):
            for i, weight in _read(o, step, n, m, mode, bool(align_corners), **options):
                matrix[o, min(max(i, 0), n - 1)] += weight
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
    return x


def _read(o, step, n, m, mode, align, antialias=False, **options):
    """(element, weight) of everything that result o is made of."""
    place = step * o if align else step * (o + 0.5) - 0.5
    if mode == "nearest":
        return [(math.floor(o * step), 1)]
    if mode == "nearest-exact":
        return [(math.floor(place + 0.5), 1)]
    if mode == "area":
        start, stop = math.floor(o * n / m), math.ceil((o + 1) * n / m)
        return [(i, 1 / (stop - start)) for i in range(start, stop)]
    if antialias:
        return _filtered(step * (o + 0.5) - 0.5, max(step, 1.0), n, mode)
    if mode != "bicubic":
        place = max(place, 0)
        return [(math.floor(place), 1 - place % 1), (math.floor(place) + 1, place % 1)]
    return [(i, _cubic(place - i, -0.75)) for i in range(math.floor(place) - 1, int(place) + 3)]


def _filtered(place, width, n, mode):
    """The elements within reach of a filter, with weights that add up to 1."""
    weight = {
        "bilinear": lambda d: max(1 - abs(d), 0),
        "bicubic": lambda d: _cubic(d, -0.5),
        "lanczos": lambda d: np.sinc(d) * np.sinc(d / 3) if abs(d) < 3 else 0.0,
    }[mode]
    weights = [weight((i - place) / width) for i in range(n)]
    return [(i, w / sum(weights)) for i, w in enumerate(weights)]


def _cubic(d, a):
    d = abs(d)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def resized(shape, size=None, **options):
    return Row("resample", lambda x: F.interpolate(x, size, **options), (normal(*shape),),
               lambda x: slow_resize(x, size, **options),
               lambda t, x: t.nn.functional.interpolate(x, size, **options),
               label=f"{shape} {size or ''} {options}")  # fmt: skip


def adjoint(shape, source, kind, **params):
    """A row of the transposed primitive on its own."""
    rank = len(source)
    axes, target = tuple(range(len(shape) - rank, len(shape))), shape[-rank:]
    return Row("resample", lambda g: limpid.primitives["resample"](
        g, kind=kind, axes=axes, source=source, target=target, scales=(0.0,) * rank, align=False,
        adjoint=True, **params), (normal(*shape),), label=f"adjoint {kind} {shape}")  # fmt: skip


LINE, IMAGE, VOLUME = (2, 3, 7), (2, 3, 5, 7), (2, 2, 3, 5, 4)
SMOOTH = [("linear", LINE), ("bilinear", IMAGE), ("bicubic", IMAGE), ("trilinear", VOLUME)]

ROWS = [
    *(resized(shape, mode=mode, scale_factor=scale)
      for shape in (LINE, IMAGE, VOLUME) for mode in ("nearest", "nearest-exact", "area")
      for scale in (2, 0.6)),
    *(resized(shape, mode=mode, align_corners=align, scale_factor=scale)
      for mode, shape in SMOOTH for align in (False, True) for scale in (2, 1.7, 0.6)),
    *(resized(shape, size, mode=mode, align_corners=align)
      for mode, shape, size in [("linear", LINE, 1), ("bilinear", IMAGE, (9, 3)),
                                ("bicubic", IMAGE, (1, 20)), ("trilinear", VOLUME, (3, 1, 9))]
      for align in (False, True)),
    *(resized(shape, size, mode=mode) for mode in ("nearest", "nearest-exact", "area")
      for shape, size in [(LINE, 13), (LINE, 1), (IMAGE, (3, 11)), (VOLUME, (5, 5, 5))]),
    *(resized(IMAGE, size, mode=mode, antialias=True, align_corners=align)
      for mode in ("bilinear", "bicubic") for size in ((2, 3), (8, 5)) for align in (False, True)),
    resized(IMAGE, mode="bilinear", antialias=True, scale_factor=0.45),
    resized(IMAGE, (2, 3), mode="lanczos", antialias=True),
    resized(IMAGE, mode="bilinear", scale_factor=(1.5, 0.7), recompute_scale_factor=True),
    resized(IMAGE, mode="nearest", scale_factor=(1.5, 0.7)),
    resized((1, 1, 1, 1), (3, 2), mode="bicubic"),
    resized((2, 40, 5, 7), (9, 6), mode="bilinear"),  # enough rows for one product of matrices
    resized((1, 9, 130, 150), (140, 160), mode="bilinear"),  # and for products in blocks
    resized((40, 1, 6), 3, mode="area"),
    resized((1, 2, 5), 90, mode="area"),
    resized((0, 3, 4, 4), (8, 2), mode="bilinear"),
    resized(IMAGE, (5, 7), mode="bilinear"),
    *(adjoint(shape, source, kind) for kind in KINDS
      for shape, source in [((2, 3, 5, 7), (7, 4)), ((3, 40, 6), (4,))]),
    Row("permute_dims", lambda x: F.pixel_shuffle(x, 2), (normal(2, 8, 3, 5),), None,
        lambda t, x: t.nn.functional.pixel_shuffle(x, 2), label="pixel_shuffle"),
    Row("permute_dims", lambda x: F.pixel_shuffle(x, 3), (normal(9, 2, 1),), None,
        lambda t, x: t.nn.functional.pixel_shuffle(x, 3), label="pixel_shuffle of one image"),
    Row("permute_dims", lambda x: F.pixel_unshuffle(x, 2), (normal(2, 3, 4, 6),), None,
        lambda t, x: t.nn.functional.pixel_unshuffle(x, 2), label="pixel_unshuffle"),
    Row("permute_dims", lambda x: F.channel_shuffle(x, 3), (normal(2, 6, 2, 3),), None,
        lambda t, x: t.nn.functional.channel_shuffle(x, 3), label="channel_shuffle"),
    Row("permute_dims", lambda x: F.channel_shuffle(x, 2), (normal(1, 4, 3),), None,
        lambda t, x: t.nn.functional.channel_shuffle(x, 2), label="channel_shuffle in 1-D"),
]  # fmt: skip
