"""Formulas of vectors, written as arithmetic, that become functions of a module.

A formula is a Python function of `Number`s. Every lane is computed by itself with the same
roundings, so that a result depends neither on its lane nor on the width of the vectors. Products
and sums are fused only where `fma` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.emission.code import SCALARS, SHORT, Code

DTypeOf = np.dtype[Any]
BOOL, FLOAT32, FLOAT64 = np.dtype(bool), np.dtype(np.float32), np.dtype(np.float64)


class Format(NamedTuple):
    """A float type, bit by bit.

    shift    1.5·2^fraction: the sum of it and x holds x, rounded, in its last bits
    ones     the bits of 1.0
    """

    dtype: DTypeOf
    integer: DTypeOf
    bits: int
    fraction: int
    shift: float
    ones: int
    tiny: float  # the smallest normal number


SINGLE = Format(FLOAT32, np.dtype(np.int32), 32, 23, 1.5 * 2.0**23, 127 << 23, 2.0**-126)
DOUBLE = Format(FLOAT64, np.dtype(np.int64), 64, 52, 1.5 * 2.0**52, 1023 << 52, 2.0**-1022)


class Number:
    """A vector of floats, integers or truths in a formula; plain numbers take its type."""

    def __init__(self, code: Code, dtype: DTypeOf, name: str):
        self.code, self.dtype, self.name = code, dtype, name
        self.type, self.size = code.type_of(dtype), dtype.itemsize

    @property
    def format(self) -> Format:
        """The float type."""
        return SINGLE if self.size == 4 else DOUBLE

    def _made(self, text: str, dtype: DTypeOf | None = None) -> Number:
        return Number(self.code, dtype or self.dtype, self.code.make(text))

    def constant(self, value: float) -> Number:
        """A plain number, rounded to this type."""
        return Number(self.code, self.dtype, self.code.constant(self.dtype, self.dtype.type(value)))

    def _name(self, other: Any) -> str:
        return other.name if isinstance(other, Number) else self.constant(other).name

    def _binary(self, floats: str, integers: str, a: Any, b: Any) -> Number:
        instruction = floats if self.dtype.kind == "f" else integers
        return self._made(f"{instruction} {self.type} {self._name(a)}, {self._name(b)}")

    def __add__(self, other: Any) -> Number:
        return self._binary("fadd", "add", self, other)

    def __radd__(self, other: Any) -> Number:
        return self._binary("fadd", "add", other, self)

    def __sub__(self, other: Any) -> Number:
        return self._binary("fsub", "sub", self, other)

    def __rsub__(self, other: Any) -> Number:
        return self._binary("fsub", "sub", other, self)

    def __mul__(self, other: Any) -> Number:
        return self._binary("fmul", "mul", self, other)

    def __rmul__(self, other: Any) -> Number:
        return self._binary("fmul", "mul", other, self)

    def __truediv__(self, other: Any) -> Number:
        return self._binary("fdiv", "", self, other)

    def __rtruediv__(self, other: Any) -> Number:
        return self._binary("fdiv", "", other, self)

    def __neg__(self) -> Number:
        return self._made(f"fneg {self.type} {self.name}")

    def __and__(self, other: Any) -> Number:
        return self._binary("", "and", self, other)

    def __or__(self, other: Any) -> Number:
        return self._binary("", "or", self, other)

    def __xor__(self, other: Any) -> Number:
        return self._binary("", "xor", self, other)

    def __lshift__(self, other: int) -> Number:
        return self._binary("", "shl", self, other)

    def __rshift__(self, other: int) -> Number:
        """With zeros from above, also for what is negative."""
        return self._binary("", "lshr", self, other)

    def fma(self, a: Any, b: Any) -> Number:
        """self·a + b, rounded once."""
        return self._call("fma", self.name, self._name(a), self._name(b))

    def _call(self, name: str, *operands: str) -> Number:
        return Number(self.code, self.dtype, self.code.intrinsic(name, self.dtype, *operands))

    def __abs__(self) -> Number:
        return self._call("fabs", self.name)

    def floor(self) -> Number:
        """The largest whole number that is not above."""
        return self._call("floor", self.name)

    def with_sign_of(self, other: Number) -> Number:
        """|self| with the sign of another number."""
        return self._call("copysign", self.name, other.name)

    def _compared(self, floats: str, integers: str, other: Any) -> Number:
        relation = f"fcmp {floats}" if self.dtype.kind == "f" else f"icmp {integers}"
        return self._made(f"{relation} {self.type} {self.name}, {self._name(other)}", BOOL)

    def below(self, other: Any) -> Number:
        """Whether self < other; false for NaN."""
        return self._compared("olt", "slt", other)

    def above(self, other: Any) -> Number:
        """Whether self > other; false for NaN."""
        return self._compared("ogt", "sgt", other)

    def equals(self, other: Any) -> Number:
        """Whether both are the same number; false for NaN."""
        return self._compared("oeq", "eq", other)

    def differs(self, other: Any) -> Number:
        """Whether they are not the same number; true for NaN."""
        return self._compared("une", "ne", other)

    def choose(self, x: Any, y: Any) -> Number:
        """X where this truth holds, else y; one of them is a `Number`."""
        like = x if isinstance(x, Number) else y
        operands = ", ".join(f"{like.type} {like._name(v)}" for v in (x, y))
        return like._made(f"select {self.type} {self.name}, {operands}")

    def at_most(self, bound: float) -> Number:
        """The lesser of self and a bound; NaN stays."""
        return self.above(bound).choose(bound, self)

    def at_least(self, bound: float) -> Number:
        """The greater of self and a bound; NaN stays."""
        return self.below(bound).choose(bound, self)

    def bits(self) -> Number:
        """The bits of floats as an integer."""
        kind = self.format.integer
        return self._made(f"bitcast {self.type} {self.name} to {self.code.type_of(kind)}", kind)

    def floats(self) -> Number:
        """The floats of which these are the bits."""
        kind = self.format.dtype
        return self._made(f"bitcast {self.type} {self.name} to {self.code.type_of(kind)}", kind)

    def to(self, dtype: DTypeOf) -> Number:
        """Floats of another type."""
        convert = "fpext" if dtype.itemsize > self.dtype.itemsize else "fptrunc"
        return self._made(f"{convert} {self.type} {self.name} to {self.code.type_of(dtype)}", dtype)

    def widened(self, like: Number) -> Number:
        """Truths as integers of another type: −1 where they hold."""
        return self._made(f"sext {self.type} {self.name} to {like.type}", like.dtype)


def polynomial(x: Number, coefficients: Sequence[float]) -> Number:
    """Σ cₖ·xᵏ by Horner's rule; of a long one two sums in x² are computed side by side.

    The constant, which is most of it, is added last, so that it is rounded once.
    """
    if len(coefficients) < 6:
        return _horner(x, coefficients)
    constant, *others = coefficients
    square = x * x
    even, odd = _horner(square, others[::2]), _horner(square, others[1::2])
    return odd.fma(x, even).fma(x, constant)


def _horner(x: Number, coefficients: Sequence[float]) -> Number:
    *others, last = coefficients
    y = x.constant(last)
    for c in reversed(others):
        y = y.fma(x, c)
    return y


Formula = Callable[..., Number]


def shared(name: str, formula: Formula) -> Callable[[Code, DTypeOf, list[str]], str]:
    """Emits calls of a function that the module defines once for each type and width."""

    def emit(code: Code, dtype: DTypeOf, operands: list[str]) -> str:
        symbol, texts = _defined(name, formula, code.width, dtype, len(operands))
        code.declared |= texts
        kind = code.type_of(dtype)
        given = ", ".join(f"{kind} {x}" for x in operands)
        return code.make(f"call {kind} @{symbol}({given})")

    return emit


@cache
def _defined(
    name: str, formula: Formula, width: int, dtype: DTypeOf, count: int
) -> tuple[str, frozenset[str]]:
    """The symbol of a function, and its definition with what that declares."""
    code = Code(width)
    names = [f"%x{n}" for n in range(count)]
    result = formula(*(Number(code, dtype, x) for x in names))
    symbol, kind = f"limpid.{name}.v{width}{SHORT[dtype]}", code.type_of(dtype)
    head = f"define internal {kind} @{symbol}({', '.join(f'{kind} {x}' for x in names)}) {{"
    lines = [head, "entry:", *code.lines, f"  ret {kind} {result.name}", "}"]
    return symbol, frozenset({*code.declared, "\n".join(lines)})


def by_lane(x: Number, symbol: str, beyond: Number, y: Number) -> Number:
    """y, but a function of the C library of x in lanes that are `beyond`, where there are any."""
    code, scalar = x.code, SCALARS[x.dtype]
    name = f"{symbol}f" if scalar == "float" else symbol
    code.declared.add(f"declare {scalar} @{name}({scalar})")
    start, loop, done = code.fresh("near"), code.fresh("far"), code.fresh("done")
    code.add(f"br label %{start}")
    code.label(start)
    any_of = code.call(f"llvm.vector.reduce.or.v{code.width}i1", "i1", (beyond.type, beyond.name))
    code.add(f"br i1 {any_of}, label %{loop}, label %{done}")
    code.label(loop)
    lane, far = code.fresh("%lane"), code.fresh("%found")
    following, made = code.fresh("%lane"), code.fresh("%found")
    code.add(f"{lane} = phi i32 [ 0, %{start} ], [ {following}, %{loop} ]")
    code.add(f"{far} = phi {x.type} [ poison, %{start} ], [ {made}, %{loop} ]")
    given = code.make(f"extractelement {x.type} {x.name}, i32 {lane}")
    one = code.make(f"call {scalar} @{name}({scalar} {given})")
    code.add(f"{made} = insertelement {x.type} {far}, {scalar} {one}, i32 {lane}")
    code.add(f"{following} = add i32 {lane}, 1")
    more = code.make(f"icmp ult i32 {following}, {code.width}")
    code.add(f"br i1 {more}, label %{loop}, label %{done}")
    code.label(done)
    end = code.make(f"phi {x.type} [ poison, %{start} ], [ {made}, %{loop} ]")
    return beyond.choose(Number(code, x.dtype, end), y)
