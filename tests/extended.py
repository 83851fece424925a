"""Extended precision, and the rule by which it judges compiled numbers beside eager's.

The error of what is compiled is at most 4 times eager's own, plus 4 units in the last place of the
largest number of the array. Eager may be exact at a point by luck, so errors are the largest within
an array and over several points, the same for both.

Extended precision is the same function run eager on wider numbers: float64 for float32, and for
float64 what NumPy calls longdouble. In a block of `wider_than` limpid takes that for an element
type; tricks with bits of 64 give way to plain steps, and mpmath does what limpid has coefficients
for. What NumPy has for float64 at most (linear algebra) raises there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import mpmath
import numpy as np

import limpid
from limpid.differentiation import reverse, rules
from limpid.graph import dtype as dtypes

HAS_LONGDOUBLE = bool(np.finfo(np.longdouble).eps < np.finfo(float).eps / 100)
WIDER: dict[str, Any] = {"float32": np.float64, "float64": np.longdouble}
MULTIPLE, UNITS = 4, 4
_LONGDOUBLE = dtypes.DType("longdouble", np.longdouble)


def _by_mpmath(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def one(x: Any) -> Any:
        with mpmath.workprec(100):
            return np.longdouble(mpmath.nstr(function(mpmath.mpf(str(x))), 25))

    return lambda x: np.frompyfunc(one, 1, 1)(np.asarray(x)).astype(np.longdouble)


EXACT = {
    "erf": _by_mpmath(mpmath.erf),
    "erfc": _by_mpmath(mpmath.erfc),
    "gelu": _by_mpmath(lambda x: x * mpmath.ncdf(x)),
    "lgamma": _by_mpmath(lambda x: mpmath.log(abs(mpmath.gamma(x)))),
    "digamma": _by_mpmath(mpmath.digamma),
}


PLAIN = ("window_put",)  # whose forwards have tricks


def _forward(op: Any) -> Callable[..., Any]:
    return EXACT.get(op.name) or (op.native if op.name in PLAIN else op.forward)


@contextmanager
def wider_than(dtype: Any) -> Iterator[Any]:
    """The wider element type; in the block limpid computes with it."""
    wide = np.dtype(WIDER[np.dtype(dtype).name])
    with _longdouble() if wide == np.longdouble else nullcontext():
        yield wide


@contextmanager
def _longdouble() -> Iterator[None]:
    forwards = {op: op.forward for op in limpid.primitives.values()}
    select = rules.select
    try:
        dtypes._BY_STORAGE[_LONGDOUBLE.storage] = dtypes._BY_NAME["longdouble"] = _LONGDOUBLE
        for op in forwards:
            op.forward = _forward(op)
        rules.select = reverse.select = _selected
        yield
    finally:
        rules.select = reverse.select = select
        for op, forward in forwards.items():
            op.forward = forward
        del dtypes._BY_STORAGE[_LONGDOUBLE.storage], dtypes._BY_NAME["longdouble"]


def _selected(upstream: Any, mask: Any) -> Any:
    return np.where(mask, upstream, upstream.dtype.type(0))


def assert_as_accurate(
    name: str, found: Sequence[Any], eager: Sequence[Any], exact: Sequence[Any]
) -> None:
    """The rule, for an array at several points: compiled, eager and in extended precision."""
    for a, b in zip(found, eager, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        if b.dtype.kind != "f":
            np.testing.assert_array_equal(a, b, name)
            continue
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b), f"{name}: NaN")
        np.testing.assert_array_equal(a[np.isinf(b)], b[np.isinf(b)], f"{name}: infinity")
        assert not np.isinf(a[~np.isinf(b)]).any(), f"{name}: infinity"
    if eager[0].dtype.kind != "f":
        return
    scale = max(_largest(e) for e in exact)
    unit = np.spacing(scale.astype(eager[0].dtype)).astype(scale.dtype)
    own = max(_error(b, e) for b, e in zip(eager, exact, strict=True))
    error = max(_error(a, e) for a, e in zip(found, exact, strict=True))
    assert error <= MULTIPLE * own + UNITS * unit, (
        f"{name}: the error is {error / unit:.3g} ulp of {scale:.3g}, eager's own {own / unit:.3g}"
    )


def is_same_function(eager: Sequence[Any], exact: Sequence[Any]) -> bool:
    """Whether eager is near extended precision, and did not take another branch by rounding."""
    if eager[0].dtype.kind != "f":
        return all(np.array_equal(b, e) for b, e in zip(eager, exact, strict=True))
    limit = 1e-3 * max(max(_largest(e) for e in exact), 1)
    return all(_error(b, e) <= limit for b, e in zip(eager, exact, strict=True))


def is_steady(values: Sequence[Any], dtype: Any) -> bool:
    """Whether values at points that are close to one another are: there is no jump between them."""
    first = values[0]
    if not all(np.array_equal(_odd(x), _odd(first), equal_nan=True) for x in values):
        return False
    if first.dtype.kind != "f":
        return all(np.array_equal(x, first) for x in values)
    limit = 1e-3 * _largest(first) + 0.01 * np.finfo(dtype).eps
    return all(_error(x, first) <= limit for x in values)


def _odd(x: Any) -> Any:
    return np.where(np.isfinite(x), 0, x)


def _largest(x: Any) -> Any:
    return np.abs(x[np.isfinite(x)]).max(initial=0)


def _error(x: Any, exact: Any) -> Any:
    both = np.isfinite(x) & np.isfinite(exact)
    return np.abs(x[both].astype(exact.dtype) - exact[both]).max(initial=0)
