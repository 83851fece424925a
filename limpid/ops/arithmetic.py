"""Arithmetic, comparisons, choice and logic."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from limpid.differentiation.elementwise import broadcast, elementwise
from limpid.differentiation.primitive import Primitive
from limpid.errors import DTypeError
from limpid.graph.dtype import result_type
from limpid.graph.node import Spec
from limpid.graph.registry import operation
from limpid.tensor import Tensor

LARGE = 20_000  # elements from which choosing by bit patterns is faster than by branches
_BITS: dict[int, Any] = {2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}

add = elementwise("add", np.add, local=[1, 1], math="{a} + {b}", label="_ + _")
subtract = elementwise("subtract", np.subtract, local=[1, -1], math="{a} - {b}", label="_ - _")
multiply = elementwise(
    "multiply",
    np.multiply,
    local=[lambda y, a, b: b, lambda y, a, b: a],
    math=r"{a} \odot {b}",
    label="_ * _",
)


def _inverse(b: Any) -> Any:
    """1/b; infinite, as in NumPy, for the number 0 by which Python refuses to divide."""
    return math.copysign(math.inf, b) if isinstance(b, int | float) and b == 0 else 1 / b


divide = elementwise(
    "divide",
    np.divide,
    local=[lambda y, a, b: _inverse(b), lambda y, a, b: -y / b],
    math=r"\frac{{a}}{{b}}",
    label="_ / _",
    numeric="float",
    domain=lambda a, b: b != 0,
)
negative = elementwise("negative", np.negative, local=[-1], math="-{x}", label="-_")
positive = elementwise("positive", np.positive, local=[1], math="{x}", label="+_")
square = elementwise("square", np.square, local=[lambda y, x: 2 * x], math="{x}^2")
reciprocal = elementwise(
    "reciprocal",
    lambda x: np.divide(1.0, x),
    local=[lambda y, x: -y * y],
    math=r"\frac{1}{{x}}",
    numeric="float",
    domain=lambda x: x != 0,
)

_compared = partial(elementwise, local=[0, 0], numeric="bool")
equal = _compared("equal", np.equal, math="{a} = {b}", label="_ == _")
not_equal = _compared("not_equal", np.not_equal, math=r"{a} \ne {b}", label="_ != _")
less = _compared("less", np.less, math="{a} < {b}", label="_ < _")
less_equal = _compared("less_equal", np.less_equal, math=r"{a} \le {b}", label="_ <= _")
greater = _compared("greater", np.greater, math="{a} > {b}", label="_ > _")
greater_equal = _compared("greater_equal", np.greater_equal, math=r"{a} \ge {b}", label="_ >= _")


def choose(condition: Any, a: Any, b: Any) -> Any:
    """`np.where`, which loses much time on mispredicted branches where the condition has no order.

    (a − b)·c + b on the bit patterns, in integers that wrap around, gives exactly a or b.
    """
    if type(condition) is not np.ndarray or condition.size < LARGE or condition.dtype != bool:
        return np.where(condition, a, b)
    dtype = np.result_type(a, b)
    bits = _BITS.get(dtype.itemsize)
    if bits is None:
        return np.where(condition, a, b)
    # one-dimensional at least: scalars would warn of the overflow
    other = np.atleast_1d(np.asarray(b, dtype)).view(bits)
    chosen = np.asarray(a, dtype).view(bits) - other
    chosen = np.multiply(chosen, condition, dtype=bits)
    return np.add(chosen, other, out=chosen).view(dtype)


_where = elementwise(
    "where",
    choose,
    local=[
        None,
        lambda y, condition, a, b: condition,
        lambda y, condition, a, b: logical_not(condition),
    ],
    math=r"\begin{cases} {a} & {condition} \\ {b} & \text{else} \end{cases}",
    operands=("condition", "a", "b"),
)
# The same choice, with masks that hold further up, too.
_safe_where = elementwise(
    "safe_where",
    choose,
    local=[
        None,
        lambda y, condition, a, b: condition,
        lambda y, condition, a, b: logical_not(condition),
    ],
    math=r"\begin{cases} {a} & {condition} \\ {b} & \text{else} \end{cases}",
    operands=("condition", "a", "b"),
    strong=True,
)


def _silent(absent: Any, g: Any) -> Any:
    """The sign of a zero stays, so that what a plain choice makes is the same to the bit."""
    return np.where(absent, np.where(np.isnan(g), 0, np.copysign(0, g)), g)


# What becomes of a gradient that comes from what a safe choice left out.
silenced = elementwise(
    "silenced",
    _silent,
    local=[None, lambda y, absent, g: logical_not(absent)],
    math=r"\begin{cases} 0 & {absent} \\ {g} & \text{else} \end{cases}",
    operands=("absent", "g"),
    strong=True,
)


@operation
def where(condition: Any, a: Any, b: Any, safe: bool = False) -> Any:
    """Takes a where the condition holds, b elsewhere. What was not chosen receives exactly zero.

    The condition is boolean; other numbers count as true where they are not zero.

    safe   what was not chosen counts for nothing in all that it was computed from, either: where
           a zero gradient would meet an infinite derivative there (0·∞ is NaN), nothing passes.
           Values are the same, and so are gradients that are finite without it

    >>> import numpy as np, limpid
    >>> limpid.where(np.array([True, False]), limpid.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    >>> root = lambda x: limpid.sum(limpid.where(x > 0, limpid.sqrt(x), 0.0, safe=True))
    >>> limpid.grad(root)(np.array([4.0, 0.0]))
    array([0.25, 0.  ])
    """
    if not isinstance(condition, Tensor):
        condition = np.asarray(condition)
    if condition.dtype != bool:
        condition = condition != 0
    return (_safe_where if safe else _where)(condition, a, b)


def _logic(name: str, forward: np.ufunc, math: str, numeric: str = "any") -> Primitive:
    count = forward.nin
    shape = None if numeric == "bool" else _same_type
    declared = {} if shape is None else {"shape": shape}
    return elementwise(name, forward, local=[0] * count, math=math, numeric=numeric, **declared)


def _same_type(*operands: Any) -> Spec:
    out = broadcast(*(x.shape for x in operands if isinstance(x, Spec)))
    dtype = result_type(x.dtype if isinstance(x, Spec) else x for x in operands)
    if dtype.kind == "float":
        raise DTypeError("bits are of booleans and integers; limpid.logical_and … take floats")
    return Spec(out, dtype)


logical_and = _logic("logical_and", np.logical_and, r"{a} \wedge {b}", "bool")
logical_or = _logic("logical_or", np.logical_or, r"{a} \vee {b}", "bool")
logical_xor = _logic("logical_xor", np.logical_xor, r"{a} \oplus {b}", "bool")
logical_not: Primitive = _logic("logical_not", np.logical_not, r"\neg {x}", "bool")
bitwise_and = _logic("bitwise_and", np.bitwise_and, r"{a} \wedge {b}")
bitwise_or = _logic("bitwise_or", np.bitwise_or, r"{a} \vee {b}")
bitwise_xor = _logic("bitwise_xor", np.bitwise_xor, r"{a} \oplus {b}")
bitwise_invert = _logic("bitwise_invert", np.invert, r"\neg {x}")
