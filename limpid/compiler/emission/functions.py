"""Functions of elements in LLVM's language, on vectors, with NumPy's meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np

SCALARS = {
    "float32": "float", "float64": "double", "bool": "i1", "int8": "i8", "uint8": "i8",
    "int16": "i16", "uint16": "i16", "int32": "i32", "uint32": "i32", "int64": "i64",
    "uint64": "i64",
}  # fmt: skip
SHORT = {"float32": "f32", "float64": "f64"}


def memory_type(dtype: np.dtype[Any]) -> str:
    """An element as it lies in memory: a truth takes a byte."""
    return "i8" if dtype.kind == "b" else SCALARS[dtype.name]


class Code:
    """Lines of a function, with names for what they make. Values are vectors of `width` lanes."""

    def __init__(self, width: int):
        self.width = width
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self._numbers: Iterator[int] = count()

    def add(self, line: str) -> None:
        """A line that makes nothing."""
        self.lines.append(f"  {line}")

    def make(self, text: str) -> str:
        """A line that makes a value; its name."""
        name = f"%v{next(self._numbers)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def label(self, name: str) -> None:
        """The beginning of a block."""
        self.lines.append(f"{name}:")

    def fresh(self, stem: str) -> str:
        """A name for a block."""
        return f"{stem}{next(self._numbers)}"

    def vector(self, scalar: str) -> str:
        """The type of a vector."""
        return f"<{self.width} x {scalar}>"

    def type_of(self, dtype: np.dtype[Any]) -> str:
        """The type of a vector of such elements."""
        return self.vector(SCALARS[dtype.name])

    def spread(self, scalar: str, value: str) -> str:
        """One number in all lanes."""
        kind = self.vector(scalar)
        one = self.make(f"insertelement {kind} poison, {scalar} {value}, i32 0")
        zeros = f"{self.vector('i32')} zeroinitializer"
        return self.make(f"shufflevector {kind} {one}, {kind} poison, {zeros}")

    def constant(self, dtype: np.dtype[Any], value: Any) -> str:
        """A known number in all lanes."""
        scalar = SCALARS[dtype.name]
        return f"<{', '.join([f'{scalar} {literal(dtype, value)}'] * self.width)}>"

    def call(self, name: str, result: str, *operands: tuple[str, str]) -> str:
        """A call of an LLVM function, which is declared, too."""
        types = ", ".join(kind for kind, _ in operands)
        self.declared.add(f"declare {result} @{name}({types})")
        given = ", ".join(f"{kind} {value}" for kind, value in operands)
        return self.make(f"call {result} @{name}({given})")

    def intrinsic(self, name: str, dtype: np.dtype[Any], *values: str) -> str:
        """LLVM's function of vectors of floats."""
        kind = self.type_of(dtype)
        suffix = f"v{self.width}{SHORT[dtype.name]}"
        return self.call(f"llvm.{name}.{suffix}", kind, *((kind, v) for v in values))


def literal(dtype: np.dtype[Any], value: Any) -> str:
    """A number as LLVM writes it."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind in "iu":
        return str(int(value))
    bits = np.float64(value).view(np.uint64)  # floats, too, are written as doubles
    return f"0x{int(bits):016X}"


Emit = Callable[[Code, np.dtype[Any], list[str]], str]


def apply(code: Code, function: str, dtype: np.dtype[Any], operands: list[str]) -> str | None:
    """The function of operands of one type; None if it is not known for that type."""
    kind = {"f": "f", "i": "i", "u": "u", "b": "b"}.get(dtype.kind, "")
    emit = FUNCTIONS.get((function, kind))
    return None if emit is None else emit(code, dtype, operands)


def known(function: str, dtype: np.dtype[Any]) -> bool:
    """Whether there is code for a function of elements of this type."""
    if dtype.name not in SCALARS:
        return False
    return function in ("cast", "where") or (function, dtype.kind) in FUNCTIONS


def cast(code: Code, given: np.dtype[Any], wanted: np.dtype[Any], x: str) -> str:
    """Elements of another type, as NumPy converts them."""
    if given == wanted:
        return x
    a, b = code.type_of(given), code.type_of(wanted)
    if wanted.kind == "b":
        if given.kind == "f":
            return code.make(f"fcmp une {a} {x}, zeroinitializer")
        return code.make(f"icmp ne {a} {x}, zeroinitializer")
    if given.kind == "f" and wanted.kind == "f":
        convert = "fpext" if wanted.itemsize > given.itemsize else "fptrunc"
        return code.make(f"{convert} {a} {x} to {b}")
    if wanted.kind == "f":
        return code.make(f"{'sitofp' if given.kind == 'i' else 'uitofp'} {a} {x} to {b}")
    if given.kind == "f":
        return code.make(f"{'fptosi' if wanted.kind == 'i' else 'fptoui'} {a} {x} to {b}")
    size = 0 if given.kind == "b" else given.itemsize
    if wanted.itemsize == size:
        return x
    if wanted.itemsize < size:
        return code.make(f"trunc {a} {x} to {b}")
    return code.make(f"{'sext' if given.kind == 'i' else 'zext'} {a} {x} to {b}")


def select(code: Code, dtype: np.dtype[Any], condition: str, x: str, y: str) -> str:
    """x where the condition is true, else y."""
    kind = code.type_of(dtype)
    return code.make(f"select {code.vector('i1')} {condition}, {kind} {x}, {kind} {y}")


def _binary(instruction: str) -> Emit:
    def emit(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
        return code.make(f"{instruction} {code.type_of(dtype)} {xs[0]}, {xs[1]}")

    return emit


def _intrinsic(name: str) -> Emit:
    return lambda code, dtype, xs: code.intrinsic(name, dtype, *xs)


def _libm(name: str) -> Emit:
    """A function of the C library, lane by lane."""

    def emit(code: Code, dtype: np.dtype[Any], xs: list[str]) -> str:
        scalar, kind = SCALARS[dtype.name], code.type_of(dtype)
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
    **{(n, "f"): _intrinsic(i) for n, i in {"absolute": "fabs", "sqrt": "sqrt", "exp": "exp",
       "log": "log", "sin": "sin", "cos": "cos", "floor": "floor", "ceil": "ceil",
       "trunc": "trunc", "rint": "roundeven", "maximum": "maximum", "minimum": "minimum",
       "copysign": "copysign"}.items()},
    **{(n, "f"): _libm(i) for n, i in {"expm1": "expm1", "log1p": "log1p", "tanh": "tanh",
       "sinh": "sinh", "cosh": "cosh", "tan": "tan", "arcsin": "asin", "arccos": "acos",
       "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
       "exp2": "exp2", "log2": "log2", "log10": "log10", "cbrt": "cbrt", "power": "pow",
       "arctan2": "atan2", "hypot": "hypot", "fmod": "fmod"}.items()},
    **{(n, "f"): _binary(f"fcmp {i}") for n, i in {"greater": "ogt", "greater_equal": "oge",
       "less": "olt", "less_equal": "ole", "equal": "oeq", "not_equal": "une"}.items()},
    **{(n, "i"): _binary(f"icmp {i}") for n, i in {"greater": "sgt", "greater_equal": "sge",
       "less": "slt", "less_equal": "sle", "equal": "eq", "not_equal": "ne"}.items()},
    **{(n, "u"): _binary(f"icmp {i}") for n, i in {"greater": "ugt", "greater_equal": "uge",
       "less": "ult", "less_equal": "ule", "equal": "eq", "not_equal": "ne"}.items()},
    ("equal", "b"): lambda c, d, xs: c.make(f"icmp eq {c.vector('i1')} {xs[0]}, {xs[1]}"),
    ("not_equal", "b"): lambda c, d, xs: c.make(f"icmp ne {c.vector('i1')} {xs[0]}, {xs[1]}"),
    ("maximum", "i"): _extreme("sgt"), ("minimum", "i"): _extreme("slt"),
    ("maximum", "u"): _extreme("ugt"), ("minimum", "u"): _extreme("ult"),
    ("negative", "f"): lambda c, d, xs: c.make(f"fneg {c.type_of(d)} {xs[0]}"),
    ("negative", "i"): lambda c, d, xs: c.make(f"sub {c.type_of(d)} zeroinitializer, {xs[0]}"),
    ("square", "f"): lambda c, d, xs: c.make(f"fmul {c.type_of(d)} {xs[0]}, {xs[0]}"),
    ("square", "i"): lambda c, d, xs: c.make(f"mul {c.type_of(d)} {xs[0]}, {xs[0]}"),
    ("reciprocal", "f"): lambda c, d, xs: c.make(f"fdiv {c.type_of(d)} {_one(c, d)}, {xs[0]}"),
    ("isnan", "f"): lambda c, d, xs: c.make(f"fcmp uno {c.type_of(d)} {xs[0]}, {xs[0]}"),
    ("sign", "f"): _sign,
    **{(n, k): _truth(i) for k in "bfiu" for n, i in {"logical_and": "and",
       "logical_or": "or"}.items()},
    **{(n, "b"): _truth(i) for n, i in {"bitwise_and": "and", "bitwise_or": "or",
       "bitwise_xor": "xor", "logical_xor": "xor", "multiply": "and", "add": "or",
       "maximum": "or", "minimum": "and"}.items()},
    **{("logical_not", k): _not for k in "bfiu"},
    ("invert", "b"): _not,
}  # fmt: skip
