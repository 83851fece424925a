"""Resampling along axes: nearest, linear, cubic, area; one linear primitive and its adjoint.

Along one axis the result is y[o] = Σ_t weights[o, t] · x[first[o] + t]: a matrix with a band of
nonzero numbers. The adjoint has the transposed matrix, so the primitive is its own family.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation, along_relation
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.node import Array, Spec
from limpid.ops.axes import normal_axis
from limpid.ops.cast import as_floats
from limpid.ops.layout import renamed
from limpid.ops.plain import bins as plain
from limpid.ops.windows.band import KINDS, Band, Matrix, band, blocks, joint
from limpid.tensor import operand

Numbers = tuple[int, ...]
FEW = 32  # rows up to which a matrix would be larger than what it is applied to
SMALL = 1 << 14  # elements of one matrix that resamples all axes at once
SHORT = 8  # elements that are added up one by one


def _resampled(
    x: Array,
    *,
    kind: str,
    axes: Numbers,
    source: Numbers,
    target: Numbers,
    scales: tuple[float, ...],
    align: bool,
    adjoint: bool,
) -> Array:
    dtype = x.dtype
    if dtype == np.float16:
        x = x.astype(np.float32)
    single = x.dtype == np.float32
    matrices = [
        Matrix(kind, n, m, align, scale, adjoint, single)
        for n, m, scale in zip(source, target, scales, strict=True)
    ]
    read, made = (target, source) if adjoint else (source, target)
    y = _at_once(x, axes, read, made, matrices)
    if y is None:
        ratios = [m / n for n, m in zip(read, made, strict=True)]
        for i in sorted(range(len(axes)), key=lambda i: (ratios[i], -axes[i])):
            x = _along(x, axes[i], matrices[i])  # what leaves least to the others comes first
        y = x
    return y.astype(dtype, copy=False)


def _at_once(
    x: Array, axes: Numbers, read: Numbers, made: Numbers, matrices: list[Matrix]
) -> Array | None:
    """All axes by one product of matrices, where they are the last ones and have few elements."""
    count = prod(read)
    rows = x.size // count
    if rows < FEW or count * prod(made) > SMALL or axes != tuple(range(axes[0], x.ndim)):
        return None
    if all(band(matrix).picks for matrix in matrices) or not np.isfinite(x).all():
        return None
    y = x.reshape(rows, count) @ joint(tuple(matrices), x.dtype.name)  # (rows, n) · (n, m)
    return y.reshape(*x.shape[: axes[0]], *made)


def _along(x: Array, axis: int, matrix: Matrix) -> Array:
    """One axis resampled."""
    table = band(matrix)
    made, before, after = len(table.first), x.shape[:axis], x.shape[axis + 1 :]
    if table.picks:
        y = x.take(table.first, axis)
        return y if table.common == 1 else np.multiply(y, table.common, out=y)
    y = np.empty((*before, made, *after), x.dtype)
    if not y.size:
        return y
    u, v = x.reshape(-1, x.shape[axis], prod(after)), y.reshape(-1, made, prod(after))
    # In a product of matrices the zeros beside the band would spread infinite numbers and NaN.
    if table.parts and table.taps <= SHORT:
        _by_parts(u, table, v)
    elif y.size // made < FEW or not np.isfinite(x).all():
        _by_taps(u, table, v)
    else:
        _by_blocks(u, matrix, v)
    return y


def _by_parts(x: Array, table: Band, y: Array) -> None:
    """x (outer, n, inner) cut into m parts, added up, into y (outer, m, inner)."""
    np.add(x[:, 0 :: table.taps], x[:, 1 :: table.taps], out=y)
    for t in range(2, table.taps):
        y += x[:, t :: table.taps]
    if table.common != 1:
        y *= table.common


def _by_blocks(x: Array, matrix: Matrix, y: Array) -> None:
    """Many results at once by products of matrices."""
    for made, read, weights in blocks(matrix, x.dtype.name):
        if x.shape[2] == 1:
            np.matmul(x[:, read, 0], weights.T, out=y[:, made, 0])  # (outer, r) · (r, b)
        else:
            np.matmul(weights, x[:, read], out=y[:, made])  # (b, r) · (outer, r, inner)


def _by_taps(x: Array, table: Band, y: Array) -> None:
    """By the products of the band alone."""
    first, weights = table.first, table.weights.astype(x.dtype)
    count, taps = weights.shape
    if count < taps:
        for o in range(count):
            used = np.flatnonzero(weights[o])
            y[:, o] = weights[o, used] @ x[:, first[o] + used]  # (k) · (outer, k, inner)
        return
    y[...] = 0
    for t in range(taps):
        part = x.take(np.minimum(first + t, x.shape[1] - 1), 1)  # (outer, m, inner)
        part *= weights[:, t, None]
        part[:, weights[:, t] == 0] = 0  # even where x is infinite
        y += part


def _spec(
    x: Spec, *, axes: Numbers, source: Numbers, target: Numbers, adjoint: bool, **params: Any
) -> Spec:
    read, made = (target, source) if adjoint else (source, target)
    if tuple(x.shape[axis] for axis in axes) != read:
        raise ShapeError(f"axes {axes} of shape {x.shape} must have the extents {read}")
    extents = dict(zip(axes, made, strict=True))
    return Spec(tuple(extents.get(axis, n) for axis, n in enumerate(x.shape)), x.dtype)


def _relation(x: Spec, *, kind: str, axes: Numbers, adjoint: bool, **params: Any) -> Relation:
    picks = kind.startswith("nearest") and not adjoint
    return along_relation(x.ndim, axes, "moved" if picks else "mixed")


_resample: Primitive = linear(
    "resample",
    _resampled,
    transpose=lambda g, x, *, adjoint, **params: _resample(g, adjoint=not adjoint, **params),
    shape=_spec,
    relation=_relation,
    native=plain.resampled,
    math=r"\mathrm{resample}({x})",
)


def resample(
    x: Any,
    axes: Sequence[int],
    extents: Sequence[int],
    kind: str,
    align_corners: bool = False,
    scales: Sequence[float] | None = None,
) -> Any:
    """x with other extents along some axes, interpolated along one after the other.

    kind   "nearest" and "nearest-exact" (pixel centres); "linear"; "cubic" (Keys 1981, a = −0.75);
           "area", the means of bins from ⌊o·n/m⌋ to ⌈(o+1)·n/m⌉, which is adaptive average pooling;
           "linear-antialias", "cubic-antialias", "lanczos-antialias", whose filters grow where the
           result is smaller
    align_corners  whether the centres of the first and of the last pixels stay where they are, or
           the outer edges of these pixels
    scales  the ratios of extents where they are not those of the extents

    Everything as in PyTorch. Raises ShapeError for extents below 1, ArgumentError for other kinds.

    >>> import limpid
    >>> from limpid.ops.windows.resample import resample
    >>> resample(limpid.tensor([0.0, 4.0]), [0], [4], "linear")
    tensor([0., 1., 3., 4.])
    """
    x = operand(x)
    if kind not in KINDS:
        raise ArgumentError(f"resample: kind is one of {', '.join(KINDS)}, not {kind!r}")
    chosen = [normal_axis(axis, len(x.shape)) for axis in axes]
    ratios = [0.0] * len(chosen) if scales is None else scales
    steps = []
    for axis, m, scale in zip(chosen, extents, ratios, strict=True):
        n = x.shape[axis]
        if n < 1 or m < 1:
            raise ShapeError(f"resample: axis {axis} can't go from {n} to {m} elements")
        if n != m or scale:
            steps.append((axis, n, m, float(scale)))
    if not steps:
        return renamed(x)
    if not kind.startswith("nearest"):
        x = as_floats(x)
    axes, source, target, given = zip(*steps, strict=True)
    return _resample(
        x, kind=kind, axes=axes, source=source, target=target, scales=given,
        align=bool(align_corners), adjoint=False,
    )  # fmt: skip
