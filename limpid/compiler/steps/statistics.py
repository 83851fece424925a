"""Statistics of values: what a graph computes of them, in double precision, and what is made of it.

Each is a function of a tensor that gives a tensor or a number: nodes at the end of a probed graph.
The same name has an `of_array` for values that are there already.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from limpid.differentiation.kinds import CONSTANT
from limpid.differentiation.primitive import Primitive
from limpid.graph.dtype import as_dtype
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operations
from limpid.ops.plain.magnitudes import BINS, magnitudes
from limpid.tensor import Tensor

STATISTICS = {
    "norm": "the square root of the sum of squares",
    "mean": "the mean",
    "std": "the standard deviation",
    "max": "the largest element",
    "min": "the smallest element",
    "nan": "how many elements are NaN",
    "zeros": "the share of elements that are 0",
    "histogram": "how many elements there are of each order of magnitude",
}
EMPTY = float("nan")  # what has no elements has no mean, no extremes and no shares


def statistic(name: str, x: Tensor) -> Any:
    """The nodes that a statistic needs: one value, from which `finished` makes the number."""
    return _GRAPHS[name](x)


def finished(name: str, value: Any) -> Any:
    """A statistic, from what its nodes gave: a number, or an array that nobody can write to."""
    if name == "histogram":
        return value
    if name == "std":
        return sqrt(max(np.asarray(value).item(), 0.0))
    number = np.asarray(value).item()
    return sqrt(number) if name == "norm" else number


def of_array(name: str, x: Array) -> Any:
    """The same statistic of an array.

    >>> import numpy as np
    >>> of_array("std", np.array([1.0, 3.0])), of_array("zeros", np.array([0.0, 2.0]))
    (1.0, 0.5)
    """
    return _ARRAYS[name](x)


# As nodes


def _square_sum(x: Array) -> Any:
    return np.sum(np.square(x, dtype=np.float64))


def _native_square_sum(x: Any) -> Any:
    wide = x.astype(np.float64)
    return np.vdot(wide, wide)


_squares = Primitive(
    "squares",
    _square_sum,
    [CONSTANT],
    shape=lambda x: Spec((), as_dtype("float64")),
    relation=None,
    math=None,
    numeric="any",
    native=_native_square_sum,
    registered=False,
)

_magnitudes = Primitive(
    "magnitudes",
    magnitudes,
    [CONSTANT],
    shape=lambda x: Spec((BINS,), as_dtype("int64")),
    relation=None,
    math=None,
    numeric="any",
    registered=False,
)


def _mean(x: Tensor) -> Any:
    return operations["mean"](operations["astype"](x, "float64")) if x.size else EMPTY


def _variance(x: Tensor) -> Any:
    """Of numbers of 32 bits the mean square less the squared mean: one pass, and exact enough."""
    if not x.size:
        return EMPTY
    mean = _mean(x)
    if x.dtype.storage.itemsize < 8:
        return _squares(x) * (1 / x.size) - mean * mean
    return _squares(operations["astype"](x, "float64") - mean) * (1 / x.size)


def _zeros(x: Tensor) -> Any:
    if not x.size:
        return EMPTY
    return operations["mean"](operations["astype"](operations["equal"](x, 0), "float64"))


def _nan(x: Tensor) -> Any:
    if x.dtype.kind != "float":
        return 0
    return operations["sum"](operations["astype"](operations["isnan"](x), "int64"))


def _extreme(name: str) -> Callable[[Tensor], Any]:
    def extreme(x: Tensor) -> Any:
        if not x.size:
            return EMPTY
        plain = operations["astype"](x, "int8") if x.dtype.kind == "bool" else x
        return operations[name](plain)

    return extreme


_GRAPHS: dict[str, Callable[[Tensor], Any]] = {
    "norm": _squares,
    "mean": _mean,
    "std": _variance,
    "max": _extreme("max"),
    "min": _extreme("min"),
    "nan": _nan,
    "zeros": _zeros,
    "histogram": _magnitudes,
}


# Of arrays


def _norm_of(x: Array) -> float:
    flat = np.asarray(x, np.float64).reshape(-1)  # BLAS would add up in single precision
    return sqrt(float(flat @ flat))


def _number_of(function: Callable[[Array], Any]) -> Callable[[Array], Any]:
    def number(x: Array) -> Any:
        return np.asarray(function(x)).item() if x.size else EMPTY

    return number


_ARRAYS: dict[str, Callable[[Array], Any]] = {
    "norm": _norm_of,
    "mean": _number_of(lambda x: np.mean(x, dtype=np.float64)),
    "std": _number_of(lambda x: np.std(x, dtype=np.float64)),
    "max": _number_of(np.max),
    "min": _number_of(np.min),
    "nan": lambda x: int(np.count_nonzero(x != x)),
    "zeros": _number_of(lambda x: 1 - np.count_nonzero(x) / x.size),
    "histogram": magnitudes,
}
