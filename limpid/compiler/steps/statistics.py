"""Statistics of values: what a graph computes of them, in double precision, and what is made of it.

Each is a function of a tensor that gives a tensor or a number: nodes at the end of a probed graph.
The same name has an `of_array` for values that are there already.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from limpid.differentiation.kinds import CONSTANT, Local
from limpid.differentiation.primitive import Primitive
from limpid.graph.dtype import as_dtype
from limpid.graph.node import Array, Node, Spec
from limpid.graph.registry import inner, operations
from limpid.ops.plain.magnitudes import BINS, counts_of, magnitudes
from limpid.tensor import Tensor

STATISTICS = {
    "norm": "the square root of the sum of squares",
    "mean": "the mean",
    "std": "the standard deviation",
    "max": "the largest element",
    "min": "the smallest element",
    "nan": "how many elements are NaN",
    "zeros": "the share of elements that are 0",
    "saturated": "the share of elements near an end of the range of the function that gave them",
    "histogram": "how many elements there are of each order of magnitude",
}
EMPTY = float("nan")  # what has no elements has no mean, no extremes and no shares


def statistic(name: str, x: Tensor) -> Any:
    """The nodes that a statistic needs: one value, from which `finished` makes the number."""
    return _GRAPHS[name](x)


def finished(name: str, value: Any, size: int) -> Any:
    """A statistic of so many elements, from what its nodes gave: a number, or an array."""
    if name == "histogram":
        return np.asarray(value).astype(np.int64)
    if name in ("zeros", "mean"):
        return np.asarray(value).item() / size if size else EMPTY
    if name == "std":
        return sqrt(max(np.asarray(value).item(), 0.0))
    number = np.asarray(value).item()
    return sqrt(number) if name == "norm" else number


def size_of(name: str) -> int:
    """The most bytes that a statistic takes."""
    return 8 * BINS if name == "histogram" else 8


def of_array(name: str, x: Array) -> Any:
    """The same statistic of an array; "saturated" is a matter of tensors.

    >>> import numpy as np
    >>> of_array("std", np.array([1.0, 3.0])), of_array("zeros", np.array([0.0, 2.0]))
    (1.0, 0.5)
    """
    with np.errstate(all="ignore"):  # NaN and infinities are what one wants to see
        return _ARRAYS[name](x)


def saturation_of(node: Node, x: Array) -> float:
    """The statistic "saturated" of an array that a node gave."""
    ends = ends_of(node)
    if ends is None or not x.size:
        return EMPTY
    low, high = near(ends)
    return 1 - np.count_nonzero((x > low) & (x < high)) / x.size


def near(ends: tuple[float, float]) -> tuple[float, float]:
    """Numbers beyond which a value counts as saturated: within a fortieth of the range."""
    low, high = ends
    margin = (high - low) / 40
    return low + margin, high - margin


def ends_of(node: Node) -> tuple[float, float] | None:
    """The least and the largest value of a function of one operand that is flat on both sides.

    None for all others. It is seen from values far out, so it holds for whatever is declared.
    """
    op: Any = node.op
    if (
        len(node.inputs) != 1
        or not isinstance(op, Primitive)
        or not isinstance(op.derivative(0), Local)
    ):
        return None
    key = op, repr(node.params)
    if key not in _ENDS:
        _ENDS[key] = _found_ends(op, node.params)
    return _ENDS[key]


_ENDS: dict[Any, tuple[float, float] | None] = {}
FAR = np.array([-2e4, -1e4, 0.0, 1e4, 2e4])


def _found_ends(op: Primitive, params: Any) -> tuple[float, float] | None:
    try:
        with np.errstate(all="ignore"):
            y = np.asarray(op.evaluate([FAR], params), np.float64)
    except Exception:  # a function of the user's, which may not take such numbers
        return None
    if y.shape != FAR.shape or not np.isfinite(y).all():
        return None
    low, high = sorted((float(y[0]), float(y[-1])))
    flat = max(abs(y[1] - y[0]), abs(y[-1] - y[-2])) <= 1e-3 * (high - low)
    return (low, high) if flat and low < y[2] < high else None


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


def _counts(name: str, test: Callable[[Any], Any]) -> Primitive:
    """How many elements pass a test: in short integers, of which a vector holds more."""

    def count(x: Any) -> Any:
        return np.sum(test(x), dtype=_short(x.size))

    return Primitive(
        name,
        count,
        [CONSTANT],
        shape=lambda x: Spec((), as_dtype(_short(x.size))),
        relation=None,
        math=None,
        numeric="any",
        native=lambda x: np.sum(test(x).astype(_short(x.size)), dtype=_short(x.size)),
        registered=False,
    )


def _short(size: int) -> str:
    return "int32" if size < 1 << 31 else "int64"


_zeros = _counts("zeros", lambda x: x == 0)
_not_numbers = _counts("not_numbers", lambda x: x != x)
_magnitudes = Primitive(
    "magnitudes",
    magnitudes,
    [CONSTANT],
    shape=lambda x: Spec((BINS,), as_dtype(counts_of(x.size).name)),
    relation=None,
    math=None,
    numeric="any",
    registered=False,
)


_sum = Primitive(
    "sums",
    lambda x: np.sum(x, dtype=np.float64),
    [CONSTANT],
    shape=lambda x: Spec((), as_dtype("float64")),
    relation=None,
    math=None,
    numeric="any",
    native=lambda x: np.sum(x.astype(np.float64)),
    registered=False,
)


inner.update((op.name, op) for op in (_squares, _sum, _zeros, _not_numbers, _magnitudes))


def _variance(x: Tensor) -> Any:
    """Of numbers of 32 bits the mean square less the squared mean: one pass, and exact enough."""
    if not x.size:
        return EMPTY
    mean = _sum(x) * (1 / x.size)
    if x.dtype.storage.itemsize < 8:
        return _squares(x) * (1 / x.size) - mean * mean
    return _squares(operations["astype"](x, "float64") - mean) * (1 / x.size)


def _nan(x: Tensor) -> Any:
    return _not_numbers(x) if x.dtype.kind == "float" else 0


def _saturated(x: Tensor) -> Any:
    ends = None if x.node is None else ends_of(x.node)
    if ends is None or not x.size:
        return EMPTY
    low, high = near(ends)
    inside = operations["multiply"](
        operations["astype"](operations["greater"](x, low), "float64"),
        operations["astype"](operations["less"](x, high), "float64"),
    )
    return 1.0 - operations["mean"](inside)


def _extreme(name: str) -> Callable[[Tensor], Any]:
    def extreme(x: Tensor) -> Any:
        if not x.size:
            return EMPTY
        plain = operations["astype"](x, "int8") if x.dtype.kind == "bool" else x
        return operations[name](plain)

    return extreme


_GRAPHS: dict[str, Callable[[Tensor], Any]] = {
    "norm": _squares,
    "mean": _sum,
    "std": _variance,
    "max": _extreme("max"),
    "min": _extreme("min"),
    "nan": _nan,
    "zeros": _zeros,
    "saturated": _saturated,
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
