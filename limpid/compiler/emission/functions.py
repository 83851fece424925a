"""Functions of elements in LLVM's language, on vectors, with NumPy's meaning.

Exponentials, logarithms, sines and error functions are formulas of whole vectors; their errors
stand in their files. Powers of float64, arcs and a few others are the C library's, lane by lane.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.compiler.emission.casts import cast, select
from limpid.compiler.emission.code import SCALARS, Code
from limpid.compiler.emission.errorfunctions import erf, erfc
from limpid.compiler.emission.exponentials import cosh, exp, exp2, expm1, sinh, tanh
from limpid.compiler.emission.formulas import Formula, Number, shared
from limpid.compiler.emission.integers import (
    absolute,
    floor_divide,
    fmod,
    left_shift,
    remainder,
    right_shift,
    sign,
)
from limpid.compiler.emission.integers import power as integer_power
from limpid.compiler.emission.logarithms import log, log1p, log2, log10, logaddexp
from limpid.compiler.emission.powers import power
from limpid.compiler.emission.remainders import floor_divide as float_floor_divide
from limpid.compiler.emission.remainders import remainder as float_remainder
from limpid.compiler.emission.trigonometry import cos, sin, tan

Emit = Callable[[Code, np.dtype[Any], list[str]], str]


def apply(code: Code, function: str, dtype: np.dtype[Any], operands: list[str]) -> str | None:
    """The function of operands of one type; None if it is not known for that type."""
    kind = {"f": "f", "i": "i", "u": "u", "b": "b"}.get(dtype.kind, "")
    emit = FUNCTIONS.get((function, kind))
    return None if emit is None else emit(code, dtype, operands)


def known(function: str, dtype: np.dtype[Any]) -> bool:
    """Whether there is code for a function of elements of this type."""
    if dtype not in SCALARS:
        return False
    return function in ("cast", "view", "where") or (function, dtype.kind) in FUNCTIONS


def _binary(instruction: str) -> Emit:
    def emit(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
        return code.make(f"{instruction} {code.type_of(dtype)} {xs[0]}, {xs[1]}")

    return emit


def _intrinsic(name: str) -> Emit:
    return lambda code, dtype, xs: code.intrinsic(name, dtype, *xs)


def _libm(name: str) -> Emit:
    """A function of the C library, lane by lane."""

    def emit(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
        scalar, kind = SCALARS[dtype], code.type_of(dtype)
        symbol = f"{name}f" if scalar == "float" else name
        code.declared.add(f"declare {scalar} @{symbol}({', '.join([scalar] * len(xs))})")
        made = "poison"
        for lane in range(code.width):
            given = [code.make(f"extractelement {kind} {x}, i32 {lane}") for x in xs]
            operands = ", ".join(f"{scalar} {x}" for x in given)
            y = code.make(f"call {scalar} @{symbol}({operands})")
            made = code.make(f"insertelement {kind} {made}, {scalar} {y}, i32 {lane}")
        return made

    return emit


def _one(code: Code, dtype: np.dtype[Any]) -> str:
    return code.constant(dtype, 1)


SINGLE_POWER = shared("power", power)


def _power(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
    return (SINGLE_POWER if dtype.itemsize == 4 else _libm("pow"))(code, dtype, xs)


def _divided(formula: Formula) -> Emit:
    """A formula of what is left of a division, with the sign of the dividend, and its operands."""

    def emit(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
        names = [_libm("fmod")(code, dtype, xs), *xs]
        return formula(*(Number(code, dtype, x) for x in names)).name

    return emit


def _signbit(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
    return Number(code, dtype, xs[0]).bits().below(0).name


def _always(truth: bool) -> Emit:
    return lambda code, dtype, xs: code.constant(np.dtype(bool), truth)


def _complement(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
    return code.make(f"xor {code.type_of(dtype)} {xs[0]}, {code.constant(dtype, -1)}")


def _sized(relation: str) -> Emit:
    """How |x| stands to infinity."""

    def emit(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
        size = code.intrinsic("fabs", dtype, xs[0])
        infinity = code.constant(dtype, np.inf)
        return code.make(f"fcmp {relation} {code.type_of(dtype)} {size}, {infinity}")

    return emit


def _sign(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
    (x,) = xs
    kind = code.type_of(dtype)
    above = code.make(f"fcmp ogt {kind} {x}, zeroinitializer")
    below = code.make(f"fcmp olt {kind} {x}, zeroinitializer")
    positive = select(code, dtype, above, _one(code, dtype), x)  # 0 and NaN stay
    return select(code, dtype, below, code.constant(dtype, -1), positive)


def _logical(code: Code, dtype: np.dtype[Any], xs: list[str]) -> list[str]:
    return [cast(code, dtype, np.dtype(bool), x) for x in xs]


def _truth(instruction: str) -> Emit:
    def emit(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
        a, b = _logical(code, dtype, xs)
        return code.make(f"{instruction} {code.vector('i1')} {a}, {b}")

    return emit


def _not(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
    (x,) = _logical(code, dtype, xs)
    return code.make(f"xor {code.vector('i1')} {x}, {code.constant(np.dtype(bool), True)}")


def _extreme(relation: str) -> Emit:
    def emit(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
        kind = code.type_of(dtype)
        better = code.make(f"icmp {relation} {kind} {xs[0]}, {xs[1]}")
        return select(code, dtype, better, *xs)

    return emit


FUNCTIONS: dict[tuple[str, str], Emit] = {
    **{(n, "f"): _binary(f"f{i}") for n, i in {"add": "add", "subtract": "sub",
       "multiply": "mul", "divide": "div"}.items()},
    **{(n, k): _binary(i) for k in "iu" for n, i in {"add": "add", "subtract": "sub",
       "multiply": "mul"}.items()},
    **{(n, "f"): _intrinsic(i) for n, i in {"absolute": "fabs", "sqrt": "sqrt",
       "floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "roundeven",
       "maximum": "maximum", "minimum": "minimum", "copysign": "copysign"}.items()},
    **{(f.__name__, "f"): shared(f.__name__, f) for f in (exp, exp2, expm1, sinh, cosh, tanh, log,
       log2, log10, log1p, logaddexp, sin, cos, tan, erf, erfc)},
    **{(n, "f"): _libm(i) for n, i in {"arcsin": "asin", "arccos": "acos", "arctan": "atan",
       "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "cbrt": "cbrt",
       "arctan2": "atan2", "hypot": "hypot", "fmod": "fmod"}.items()},
    ("power", "f"): _power,
    **{(n, "f"): _binary(f"fcmp {i}") for n, i in {"greater": "ogt", "greater_equal": "oge",
       "less": "olt", "less_equal": "ole", "equal": "oeq", "not_equal": "une"}.items()},
    **{(n, "i"): _binary(f"icmp {i}") for n, i in {"greater": "sgt", "greater_equal": "sge",
       "less": "slt", "less_equal": "sle", "equal": "eq", "not_equal": "ne"}.items()},
    **{(n, "u"): _binary(f"icmp {i}") for n, i in {"greater": "ugt", "greater_equal": "uge",
       "less": "ult", "less_equal": "ule", "equal": "eq", "not_equal": "ne"}.items()},
    **{(n, "b"): _binary(f"icmp {i}") for n, i in {"greater": "ugt", "greater_equal": "uge",
       "less": "ult", "less_equal": "ule", "equal": "eq", "not_equal": "ne"}.items()},
    ("maximum", "i"): _extreme("sgt"), ("minimum", "i"): _extreme("slt"),
    ("maximum", "u"): _extreme("ugt"), ("minimum", "u"): _extreme("ult"),
    ("negative", "f"): lambda c, d, xs: c.make(f"fneg {c.type_of(d)} {xs[0]}"),
    **{("negative", k): lambda c, d, xs: c.make(f"sub {c.type_of(d)} zeroinitializer, {xs[0]}")
       for k in "iu"},
    ("square", "f"): lambda c, d, xs: c.make(f"fmul {c.type_of(d)} {xs[0]}, {xs[0]}"),
    **{("square", k): lambda c, d, xs: c.make(f"mul {c.type_of(d)} {xs[0]}, {xs[0]}")
       for k in "iu"},
    ("reciprocal", "f"): lambda c, d, xs: c.make(f"fdiv {c.type_of(d)} {_one(c, d)}, {xs[0]}"),
    ("isnan", "f"): lambda c, d, xs: c.make(f"fcmp uno {c.type_of(d)} {xs[0]}, {xs[0]}"),
    ("isinf", "f"): _sized("oeq"), ("isfinite", "f"): _sized("olt"),
    **{(n, k): _always(n == "isfinite") for k in "biu" for n in ("isnan", "isinf", "isfinite")},
    ("sign", "f"): _sign, ("signbit", "f"): _signbit,
    **{("positive", k): lambda c, d, xs: xs[0] for k in "fiu"},
    ("floor_divide", "f"): _divided(float_floor_divide),
    ("remainder", "f"): _divided(float_remainder),
    **{(f.__name__, k): f for k in "iu" for f in (floor_divide, remainder, fmod, absolute, sign,
       left_shift, right_shift)},
    **{("power", k): integer_power for k in "iu"}, ("absolute", "b"): absolute,
    **{(f"bitwise_{n}", k): _binary(n) for k in "iu" for n in ("and", "or", "xor")},
    **{("invert", k): _complement for k in "iu"},
    **{(n, k): _truth(i) for k in "bfiu" for n, i in {"logical_and": "and",
       "logical_or": "or", "logical_xor": "xor"}.items()},
    **{(n, "b"): _truth(i) for n, i in {"bitwise_and": "and", "bitwise_or": "or",
       "bitwise_xor": "xor", "multiply": "and", "add": "or",
       "maximum": "or", "minimum": "and"}.items()},
    **{("logical_not", k): _not for k in "bfiu"},
    ("invert", "b"): _not,
}  # fmt: skip
