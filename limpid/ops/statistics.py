"""Mean, variance, quantiles and norms."""

from __future__ import annotations

from math import floor, prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.primitive import Primitive
from limpid.errors import ArgumentError
from limpid.graph.dtype import as_dtype
from limpid.graph.node import Array
from limpid.graph.registry import operation
from limpid.ops.arithmetic import where
from limpid.ops.axes import normal_axes
from limpid.ops.cast import astype
from limpid.ops.elementary import sign
from limpid.ops.join import stack
from limpid.ops.power import power
from limpid.ops.precision import floating, floats, widened
from limpid.ops.reduce import (
    Axes,
    count_nonzero,
    expand_reduced,
    reduce_over,
    reduce_some,
    reduced_relation,
    reduced_spec,
    reduction,
    share,
    total,
)
from limpid.tensor import operand


def _extent(x: Any, axis: Axes) -> int:
    """How many elements are reduced to one."""
    return prod([x.shape[i] for i in axis])


def _average(x: Array, *, axis: Axes, keepdims: Any) -> Array:
    return np.true_divide(total(floats(x), axis=axis, keepdims=keepdims), _extent(x, axis))


_mean = linear(
    "mean",
    widened(_average),
    transpose=lambda g, x, *, axis, keepdims: expand_reduced(
        g / (_extent(x, axis) or 1), x, axis, keepdims
    ),
    shape=reduced_spec(floating),
    relation=reduced_relation,
    numeric="float",
    math=r"\overline{{x}}",
)


def _freedom(x: Any, axis: Axes, correction: float) -> float:
    """The divisor of the sum of squares; 0 gives NaN or ∞, as in NumPy."""
    freedom = _extent(x, axis) - correction
    return freedom if freedom > 0 else 0.0


def _variance(x: Array, *, axis: Axes, correction: float, keepdims: Any) -> Array:
    """Two passes: what a large offset has in common is gone before anything is squared."""
    deviation = x - _average(x, axis=axis, keepdims=True)
    deviation *= deviation
    return np.true_divide(
        total(deviation, axis=axis, keepdims=keepdims), _freedom(x, axis, correction)
    )


def _deviation(x: Any, axis: Axes) -> Any:
    return x - mean(x, axis=axis, keepdims=True)


def _not_zero(y: Any) -> Any:
    """A denominator: where it is 0 so is the numerator, and 1 makes their ratio 0, not NaN."""
    return where(y == 0, 1, y)


def _variance_slope(y: Any, x: Any, *, axis: Axes, correction: float) -> Any:
    freedom = _freedom(x, axis, correction)
    return _deviation(x, axis) * (2 / freedom if freedom else np.inf)


_var = reduction(
    "var",
    widened(_variance),
    _variance_slope,
    numeric="float",
    math=r"\mathrm{var}({x})",
)


def _deviation_norm(x: Array, *, axis: Axes, correction: float, keepdims: Any) -> Array:
    return np.sqrt(_variance(x, axis=axis, correction=correction, keepdims=keepdims))


_std: Primitive = reduction(
    "std",
    widened(_deviation_norm),
    lambda y, x, *, axis, correction: (
        _deviation(x, axis) / (_not_zero(y) * _freedom(x, axis, correction))
    ),
    numeric="float",
    math=r"\sigma({x})",
    smooth=lambda x, **params: _std(x, **params) != 0,
    kink="where all elements are equal the gradient is 0",
)


def _slope_between(x: Any, axis: Axes, q: float, method: str) -> Any:
    """The slope of (1 − t)·low + t·high, the neighbours of a quantile.

    It does not read the quantile itself, also where that is an element: what a rule reads must
    not depend on extents.
    """
    position = q * (_extent(x, axis) - 1)
    t = position - floor(position)
    at = share(x, _quantile(x, q=q, axis=axis, keepdims=True, method="lower"), axis)
    if t == 0:
        return at
    t = 0.5 if method == "midpoint" else t
    high = _quantile(x, q=q, axis=axis, keepdims=True, method="higher")
    return at * (1 - t) + share(x, high, axis) * t


def _quantile_forward(x: Array, *, q: float, axis: Axes, keepdims: Any, method: Any) -> Array:
    # As an array q stays in double precision, whatever the type of x.
    y = np.quantile(x, np.array(q), axis=axis, keepdims=keepdims, method=method)
    return y.astype(x.dtype) if x.dtype.kind == "f" else y


def _quantile_slope(y: Any, x: Any, *, q: float, axis: Axes, method: str) -> Any:
    if method in ("linear", "midpoint"):
        return _slope_between(x, axis, q, method)
    return share(x, y, axis)


METHODS = ("linear", "lower", "higher", "midpoint", "nearest")
TIES = "elements that tie share the gradient equally"
_quantile: Primitive = reduction(
    "quantile",
    _quantile_forward,
    _quantile_slope,
    numeric="float",
    math=r"Q_q({x})",
    kink=TIES,
    gate="routes",
)
_median = reduction(
    "median",
    lambda x, *, axis, keepdims: np.median(x, axis=axis, keepdims=keepdims),
    lambda y, x, *, axis: _slope_between(x, axis, 0.5, "midpoint"),
    numeric="float",
    math=r"\mathrm{median}({x})",
    kink=TIES,
    gate="routes",
)


def _length(x: Array, *, ord: float, axis: Axes, keepdims: Any) -> Array:
    x = floats(x)
    if ord == 2:
        return np.sqrt(total(x * x, axis=axis, keepdims=keepdims))
    size = np.abs(x)
    if ord == 1:
        return total(size, axis=axis, keepdims=keepdims)
    if ord == np.inf:
        return np.maximum.reduce(size, axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return np.minimum.reduce(size, axis=axis, keepdims=keepdims)
    with np.errstate(divide="ignore"):  # 0 to a negative power is ∞, and the norm 0
        return total(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def _length_slope(y: Any, x: Any, *, ord: float, axis: Axes) -> Any:
    if ord == 2:
        return x / _not_zero(y)
    if ord == 1:
        return sign(x)
    if ord in (np.inf, -np.inf):
        return sign(x) * share(abs(x), y, axis)
    flat = (x == 0) | (y == 0)
    ratio = where(flat, 1, abs(x) / _not_zero(y))
    return where(flat, 0, sign(x) * power(ratio, ord - 1))


_norm: Primitive = reduction(
    "norm",
    widened(_length),
    _length_slope,
    numeric="float",
    math=r"\left\lVert {x} \right\rVert",
    smooth=lambda x, **params: _norm(x, **params) != 0,
    kink="an element that is 0 receives 0; for ±∞ elements that tie share the gradient equally",
)


@operation
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Σ x / n over some axes, or over all. Integers become floats; the mean of nothing is NaN.

    >>> import limpid
    >>> limpid.mean(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([2., 3.])
    """
    return reduce_over(_mean, x, axis, keepdims)


@operation
def var(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Any:
    """Σ (x − mean)² / (n − correction) over some axes, or over all.

    correction  0 for the variance of what is given, 1 for an unbiased estimate from a sample

    Where n ≤ correction the result is NaN or ∞, as in NumPy.

    >>> import limpid
    >>> limpid.var(limpid.tensor([1.0, 2.0, 3.0, 4.0])).item()
    1.25
    """
    return reduce_over(_var, x, axis, keepdims, correction=_correction(correction))


@operation
def std(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The square root of `var`.

    Where all elements are equal it has no derivative, like |x| at 0; the gradient there is 0.

    >>> import limpid
    >>> limpid.std(limpid.tensor([1.0, 3.0])).item()
    1.0
    """
    return reduce_over(_std, x, axis, keepdims, correction=_correction(correction))


def _correction(correction: Any) -> float:
    if not isinstance(correction, int | float | np.number) or correction != correction:
        raise ArgumentError(f"correction must be a number, not {correction!r}")
    return correction if isinstance(correction, int) else float(correction)


@operation
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle element over some axes, or over all; of an even number, the mean of the two.

    NaN if there is one. Elements that tie share the gradient equally. Raises ShapeError for an
    axis without elements.

    >>> import limpid
    >>> limpid.median(limpid.tensor([5.0, 1.0, 2.0, 9.0]))
    tensor(3.5)
    """
    return reduce_some(_median, x, axis, keepdims)


@operation
def quantile(
    x: Any, q: Any, axis: Any = None, keepdims: bool = False, *, method: str = "linear"
) -> Any:
    """The q-quantile, 0 ≤ q ≤ 1, over some axes, or over all.

    q       a number, or several: then the result has a new first axis for them
    method  between two elements "linear" interpolates, "lower" and "higher" take one, "midpoint"
            their mean, "nearest" the nearer

    NaN if there is one. Elements that tie share the gradient equally. Raises ArgumentError for
    q or a method that is none, ShapeError for an axis without elements.

    >>> import limpid
    >>> limpid.quantile(limpid.tensor([1.0, 2.0, 3.0, 4.0]), (0.25, 0.5))
    tensor([1.75, 2.5 ])
    """
    if method not in METHODS:
        raise ArgumentError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    several = isinstance(q, tuple | list) or getattr(q, "shape", ()) != ()
    found = [
        reduce_some(_quantile, x, axis, keepdims, q=_probability(p), method=method)
        for p in (q if several else (q,))
    ]
    return stack(found) if several else found[0]


def _probability(q: Any) -> float:
    try:
        probability = float(q)
    except (TypeError, ValueError):
        probability = -1.0
    if not 0 <= probability <= 1:
        raise ArgumentError(f"quantile: q must be from 0 to 1, not {q!r}")
    return probability


@operation
def vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """(Σ |x|^p)^{1/p} over some axes, or over all, as one vector; p = `ord`.

    ord  any number. 0 counts what is not zero (no gradient), ∞ and −∞ give the largest and the
         smallest |x|. Below 1 it is no norm, but has its uses.

    An element that is 0 receives the gradient 0, also where the norm has no derivative. For ±∞
    elements that tie share the gradient equally. Raises ArgumentError for another `ord`.

    >>> import limpid
    >>> limpid.vector_norm(limpid.tensor([3.0, -4.0])).item()
    5.0
    """
    if isinstance(ord, bool) or not isinstance(ord, int | float | np.number) or ord != ord:
        raise ArgumentError(f"the order of a vector norm is a number, not {ord!r}")
    if ord == 0:
        x = operand(x)
        return astype(count_nonzero(x, axis, keepdims), floating(as_dtype(x.dtype)))
    reduce = reduce_some if ord == np.inf or ord < 0 else reduce_over
    return reduce(_norm, x, axis, keepdims, ord=float(ord))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The part of `limpid.norm` that needs no matrix: vectors, and the root of the sum of squares.

    >>> import limpid
    >>> limpid.norm(limpid.tensor([[3.0, 1.0], [0.0, 4.0]]), ord=1, axis=1)
    tensor([4., 4.])
    """
    x = operand(x)
    axes = normal_axes(axis, len(x.shape))
    if ord is None or (ord == "fro" and len(axes) == 2):
        return vector_norm(x, axes, keepdims)
    if len(axes) != 1:
        raise ArgumentError(
            f"norm: order {ord!r} over {len(axes)} axes; vectors have one axis, matrices two\n"
            "remedy: name the axes, or use limpid.vector_norm for all elements"
        )
    return vector_norm(x, axes, keepdims, ord)
