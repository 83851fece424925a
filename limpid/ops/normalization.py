"""Normalising: elements brought to mean 0 and variance 1, or damped by their neighbours.

One primitive standardises for batch, layer, group and instance normalisation alike; they differ in
the axes. The statistics are further outputs, computed once: a layer keeps running means of them.
"""

from __future__ import annotations

from math import prod
from string import ascii_letters
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, linear
from limpid.differentiation.elementwise import broadcast
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation, along_relation, elementwise_relation
from limpid.errors import ShapeError
from limpid.graph.dtype import as_dtype, float16, float32, result_type
from limpid.graph.node import Array, Spec
from limpid.ops.axes import normal_axes, normal_axis
from limpid.ops.cast import astype
from limpid.ops.contract import contract
from limpid.ops.elementary import sqrt
from limpid.ops.layout import reshape
from limpid.ops.plain import normalization as plain
from limpid.ops.power import power
from limpid.ops.precision import floating, floats
from limpid.ops.reduce import Axes, reduced_shape, sum
from limpid.ops.statistics import mean
from limpid.ops.windows.addresses import Part, by_parts
from limpid.tensor import operand

LONGEST = 10_000  # elements; BLAS shares longer dot products out to threads, whose number shows
FAR = 16.0  # squared distance of the mean from 0, in variances, from which its rounding matters


def _extent(x: Any, axis: Axes) -> int:
    """How many elements share their statistics; 1 where there are none, to divide by."""
    return prod([x.shape[i] for i in axis]) or 1


def sum_products(a: Any, b: Any, axis: Axes) -> Any:
    """Σ a·b over some axes, which stay with extent 1.

    Where the last axes are among them these are dot products, with no buffer for a·b.
    """
    rank = split = len(a.shape)
    while split and split - 1 in axis:
        split -= 1
    length = prod(a.shape[split:])
    if split == rank or length > LONGEST or rank > len(ascii_letters):
        return sum(a * b, axis=axis, keepdims=True)
    labels = ascii_letters[:rank]
    dots = contract(a, b, subscripts=f"{labels},{labels}->{labels[:split]}")
    dots = reshape(dots, (*a.shape[:split], *(1,) * (rank - split)))
    return sum(dots, axis=axis[: split - rank], keepdims=True) if len(axis) > rank - split else dots


def _deviations(x: Array, axis: Axes) -> tuple[Array, Array, Array]:
    """x − mean, the mean and the variance, in two passes.

    The rounding error of a mean that is large beside the spread is found again as the mean of the
    deviations, and taken off.
    """
    count = _extent(x, axis)
    average = mean(x, axis=axis, keepdims=True)
    deviation = np.asarray(x - average)
    var = sum_products(deviation, deviation, axis) / count
    if np.any(average * average > FAR * var):
        rest = mean(deviation, axis=axis, keepdims=True)
        deviation -= rest
        average = np.where(np.isnan(rest), average, average + rest)  # it may be infinite
        var = sum_products(deviation, deviation, axis) / count
    return deviation, np.asarray(average), np.asarray(var)


def _standardized(
    x: Array, weight: Any, bias: Any, *, axis: Axes, eps: float
) -> tuple[Array, Array, Array, Array]:
    _check(x, weight, bias)
    with np.errstate(all="ignore"):  # there may be no elements, or no variance and no eps
        z, average, var = _deviations(floats(x), axis)
        z *= 1 / np.sqrt(var + eps)
    y = z
    if isinstance(weight, np.ndarray) or weight != 1:
        y = np.asarray(z * weight)
    if isinstance(bias, np.ndarray) or bias != 0:
        y = np.add(y, bias, out=None if y is z else y)
    return y, z, average, var


def _check(x: Any, *parameters: Any) -> None:
    for p in parameters:
        shape = getattr(p, "shape", ())
        if broadcast(x.shape, shape) != x.shape:
            raise ShapeError(f"a parameter of shape {shape} does not fit an input of {x.shape}")


def _standardize_shape(
    x: Spec, weight: Any, bias: Any, *, axis: Axes, eps: float
) -> tuple[Spec, ...]:
    _check(x, weight, bias)
    given = [p.dtype if isinstance(p, Spec) else p for p in (x, weight, bias)]
    kind = result_type(given, float_only=True)
    large, small = Spec(x.shape, kind), Spec(reduced_shape(x.shape, axis, True), kind)
    return large, large, small, small


def _standardize_relation(x: Spec, weight: Spec, bias: Spec, *, axis: Axes, eps: float) -> Relation:
    same = elementwise_relation([x.shape, weight.shape, bias.shape], x.shape)
    (labels,) = same.outputs
    small = tuple([-1 - i if i in axis else i for i in labels])
    return Relation(same.operands, (labels, labels, small, small), mixed=frozenset(axis))


def _varies(parameter: Any, rank: int, axis: Axes) -> bool:
    """Whether a parameter differs between elements that share their statistics."""
    shape = getattr(parameter, "shape", ())
    shape = (1,) * (rank - len(shape)) + shape
    return any(shape[i] != 1 for i in axis)


def _projected(v: Any, z: Any, factor: Any, axis: Axes) -> tuple[Any, Any, Any]:
    """(v − mean(v) − z · mean(v·z)) · factor, with mean(v) and mean(v·z)."""
    average = mean(v, axis=axis, keepdims=True)
    along = sum_products(v, z, axis) / _extent(v, axis)
    return (v - average - z * along) * factor, average, along


def _sum_of(*parts: Any) -> Any:
    """The sum of the parts that are there; None if none is."""
    total = None
    for part in parts:
        if part is not None:
            total = part if total is None else total + part
    return total


def _for_input(g: Any, y: Any, x: Any, weight: Any, bias: Any, *, axis: Axes, eps: float) -> Any:
    """From whatever outputs something came to: y, z, the mean and the variance."""
    (gy, gz, gmean, gvar), (_, z, _, var) = g, y
    spread = sqrt(var + eps)
    count = _extent(x, axis)
    parts = []
    if gz is None and not _varies(weight, x.ndim, axis):
        v, factor = gy, weight  # which is the same wherever statistics are shared
    else:
        v, factor = _sum_of(None if gy is None else gy * weight, gz), 1
    if v is not None:
        parts.append(_projected(v, z, factor / spread, axis)[0])
    if gvar is not None:
        parts.append(z * (gvar * spread * (2 / count)))  # 2 (x − mean) / n
    if gmean is not None:
        parts.append(gmean / count)
    return _sum_of(*parts)


def _along_input(
    dx: Any, y: Any, x: Any, weight: Any, bias: Any, *, axis: Axes, eps: float
) -> tuple[Any, Any, Any, Any]:
    _, z, _, var = y
    spread = sqrt(var + eps)
    dz, average, along = _projected(dx, z, 1 / spread, axis)
    return dz * weight, dz, average, 2 * along * spread


def _for_weight(g: Any, y: Any, x: Any, weight: Any, bias: Any, *, axis: Axes, eps: float) -> Any:
    if g[0] is None:
        return None
    shape = (1,) * (x.ndim - len(weight.shape)) + weight.shape
    return sum_products(g[0], y[1], tuple([i for i, n in enumerate(shape) if n == 1]))


_standardize: Primitive = general(
    "standardize",
    _standardized,
    vjp=[_for_input, _for_weight, lambda g, y, x, weight, bias, *, axis, eps: g[0]],
    jvp=[
        _along_input,
        lambda dw, y, x, weight, bias, *, axis, eps: (y[1] * dw, None, None, None),
        lambda db, y, x, weight, bias, *, axis, eps: (db, None, None, None),
    ],
    shape=_standardize_shape,
    relation=_standardize_relation,
    outputs=4,
    numeric="float",
    math=r"{weight} ({x} - \mu) / \sqrt{\sigma^2 + \varepsilon} + {bias}",
    smooth=lambda x, weight, bias, *, axis, eps: _deviations(x, axis)[2] + eps > 0,
    native=plain.standardized,
)
_standardize.partial_upstream = True


def _window_sums(x: Array, *, axis: int, **window: int) -> Array:
    """Sums of neighbours, for a part of the array at a time."""
    y = np.empty(x.shape, x.dtype)

    def work(part: Part) -> None:
        y[part] = _neighbours_sum(x[part], axis=axis, **window)

    by_parts(x, x.ndim - axis, work)
    return y


def _neighbours_sum(x: Array, *, axis: int, before: int, after: int) -> Array:
    """Sums of w neighbours, with log₂ w additions: of pairs, of pairs of pairs, and so on."""
    extent, lead = x.shape[axis], (slice(None),) * axis
    shape = (*x.shape[:axis], before + extent + after, *x.shape[axis + 1 :])
    block: Any = np.zeros(shape, x.dtype)
    block[(*lead, slice(before, before + extent))] = x
    y: Any = None
    start, width, left = 0, 1, before + 1 + after
    while left:
        if left & 1:
            part = block[(*lead, slice(start, start + extent))]
            y = part.copy() if y is None else np.add(y, part, out=y)
            start += width
        left >>= 1
        if left:  # sums of `width` neighbours become sums of twice as many
            block = block[(*lead, slice(None, -width))] + block[(*lead, slice(width, None))]
            width *= 2
    return np.asarray(y)


_window_sum: Primitive = linear(
    "window_sum",
    _window_sums,
    transpose=lambda g, x, *, axis, before, after: _window_sum(
        g, axis=axis, before=after, after=before
    ),
    shape=lambda x, *, axis, before, after: x,
    relation=lambda x, *, axis, before, after: along_relation(x.ndim, (axis,), "mixed"),
    native=plain.sums_along,
    math=r"\sum_{|j - i| \le w} {x}_j",
)


def _responses(
    x: Array, *, alpha: float, beta: float, k: float, **window: int
) -> tuple[Array, Array]:
    x = floats(x)
    scale = _window_sums(x * x, **window)
    scale *= alpha
    scale += k
    with np.errstate(all="ignore"):  # k may be 0
        y = scale**-beta
        y *= x
    return y, scale


def _response_vjp(
    g: Any, y: Any, x: Any, *, alpha: float, beta: float, k: float, **window: int
) -> Any:
    (gy, gscale), (z, scale) = g, y
    axis, before, after = window["axis"], window["before"], window["after"]
    spread = _window_sum(  # few arrays at once, since these are large
        _sum_of(None if gy is None else gy * z / scale * -beta, gscale),
        axis=axis, before=after, after=before,
    )  # fmt: skip
    spread = x * spread * (2 * alpha)
    return _sum_of(spread, None if gy is None else gy * power(scale, -beta))


def _response_jvp(
    dx: Any, y: Any, x: Any, *, alpha: float, beta: float, k: float, **window: int
) -> tuple[Any, Any]:
    z, scale = y
    dscale = _window_sum(x * dx, **window) * (2 * alpha)
    return dx * power(scale, -beta) - z / scale * dscale * beta, dscale


_local_response: Primitive = general(
    "local_response",
    _responses,
    vjp=[_response_vjp],
    jvp=[_response_jvp],
    shape=lambda x, **params: (Spec(x.shape, floating(x.dtype)),) * 2,
    relation=lambda x, *, axis, **params: along_relation(x.ndim, (axis,), "mixed", outputs=2),
    outputs=2,
    numeric="float",
    native=plain.local_response,
    math=r"{x} / (k + \alpha \sum {x}^2)^\beta",
    smooth=lambda x, **params: _local_response(x, **params)[1] > 0,
)
_local_response.partial_upstream = True


def upcast(x: Any) -> tuple[Any, bool]:
    """The operand, and whether it was float16; that is now float32, in which squares have room."""
    x = operand(x)
    half = as_dtype(x.dtype) is float16
    return astype(x, float32) if half else x, half


def standardize(
    x: Any, axis: Any, eps: float, weight: Any = 1, bias: Any = 0
) -> tuple[Any, Any, Any]:
    """Weight · (x − mean) / √(variance + eps) + bias; the mean; the variance.

    axis          the axes over which statistics are taken; in those they have extent 1
    weight, bias  whatever broadcasts against x

    The variance is divided by n. Statistics of float16 are float32. In float32 the result is right
    to a few units in the last place also where the mean is large beside the spread.

    >>> import limpid
    >>> standardize(limpid.tensor([1.0, 3.0]), 0, eps=0.0)
    (tensor([-1.,  1.]), tensor([2.]), tensor([1.]))
    """
    x, half = upcast(x)
    axes = normal_axes(axis, len(x.shape))
    y, _, average, var = _standardize(x, weight, bias, axis=axes, eps=float(eps))
    return astype(y, float16) if half else y, average, var


def local_response(
    x: Any, axis: int, before: int, after: int, alpha: float, beta: float, k: float
) -> Any:
    """X / (k + alpha · Σ x²)^beta, the sum over neighbours along an axis, zeros beyond its ends.

    >>> import limpid
    >>> local_response(limpid.tensor([1.0, 2.0, 0.0]), 0, 1, 1, alpha=1.0, beta=1.0, k=0.0)
    tensor([0.2, 0.4, 0. ])
    """
    x, half = upcast(x)
    axis = normal_axis(axis, len(x.shape))
    extent = x.shape[axis]
    y, _ = _local_response(
        x,
        axis=axis,
        before=min(before, extent),
        after=min(after, extent),
        alpha=float(alpha),
        beta=float(beta),
        k=float(k),
    )
    return astype(y, float16) if half else y
