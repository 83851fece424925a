"""Arithmetic, comparisons and logic."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.elementwise import broadcast, elementwise
from limpid.differentiation.primitive import Primitive
from limpid.graph.dtype import result_type
from limpid.graph.node import Spec

add = elementwise("add", np.add, local=[1, 1], math="{a} + {b}", label="_ + _")
subtract = elementwise("subtract", np.subtract, local=[1, -1], math="{a} - {b}", label="_ - _")
multiply = elementwise(
    "multiply",
    np.multiply,
    local=[lambda y, a, b: b, lambda y, a, b: a],
    math=r"{a} \odot {b}",
    label="_ * _",
)
divide = elementwise(
    "divide",
    np.divide,
    local=[lambda y, a, b: 1 / b, lambda y, a, b: -y / b],
    math=r"\frac{{a}}{{b}}",
    label="_ / _",
    numeric="float",
    domain=lambda a, b: b != 0,
)
negative = elementwise("negative", np.negative, local=[-1], math="-{x}", label="-_")
positive = elementwise("positive", np.positive, local=[1], math="{x}", label="+_")

equal = elementwise("equal", np.equal, local=[0, 0], math="{a} = {b}", numeric="bool")
not_equal = elementwise(
    "not_equal", np.not_equal, local=[0, 0], math=r"{a} \ne {b}", numeric="bool"
)
less = elementwise("less", np.less, local=[0, 0], math="{a} < {b}", numeric="bool")
less_equal = elementwise(
    "less_equal", np.less_equal, local=[0, 0], math=r"{a} \le {b}", numeric="bool"
)
greater = elementwise("greater", np.greater, local=[0, 0], math="{a} > {b}", numeric="bool")
greater_equal = elementwise(
    "greater_equal", np.greater_equal, local=[0, 0], math=r"{a} \ge {b}", numeric="bool"
)

where = elementwise(
    "where",
    np.where,
    local=[None, lambda y, condition, a, b: condition, lambda y, condition, a, b: ~condition],
    math=r"\begin{cases} {a} & {condition} \\ {b} & \text{else} \end{cases}",
    operands=("condition", "a", "b"),
)


def _logic(name: str, forward: np.ufunc, math: str, numeric: str = "any") -> Primitive:
    count = forward.nin
    shape = None if numeric == "bool" else _same_type
    declared = {} if shape is None else {"shape": shape}
    return elementwise(name, forward, local=[0] * count, math=math, numeric=numeric, **declared)


def _same_type(*operands: Any) -> Spec:
    out = broadcast(*(x.shape for x in operands if isinstance(x, Spec)))
    return Spec(out, result_type(x.dtype if isinstance(x, Spec) else x for x in operands))


logical_and = _logic("logical_and", np.logical_and, r"{a} \wedge {b}", "bool")
logical_or = _logic("logical_or", np.logical_or, r"{a} \vee {b}", "bool")
logical_xor = _logic("logical_xor", np.logical_xor, r"{a} \oplus {b}", "bool")
logical_not = _logic("logical_not", np.logical_not, r"\neg {x}", "bool")
bitwise_and = _logic("bitwise_and", np.bitwise_and, r"{a} \wedge {b}")
bitwise_or = _logic("bitwise_or", np.bitwise_or, r"{a} \vee {b}")
bitwise_xor = _logic("bitwise_xor", np.bitwise_xor, r"{a} \oplus {b}")
bitwise_invert = _logic("bitwise_invert", np.invert, r"\neg {x}")
