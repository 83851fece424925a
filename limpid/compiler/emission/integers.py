"""Functions of integers as NumPy has them: they wrap around, and they never trap.

Division rounds down, or to 0 in `fmod`; by zero it gives 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.compiler.emission.code import Code

DTypeOf = np.dtype[Any]


def floor_divide(code: Code, dtype: DTypeOf, operands: list[str]) -> str:
    """The quotient, rounded down."""
    quotient, rest, safe, zero, minus = _divided(code, dtype, *operands)
    kind, truth = code.type_of(dtype), code.vector("i1")
    if minus:
        less = code.make(f"sext {truth} {_is_below(code, dtype, rest, safe)} to {kind}")
        quotient = code.make(f"add {kind} {quotient}, {less}")
        negated = code.make(f"sub {kind} zeroinitializer, {operands[0]}")  # it may wrap around
        quotient = code.make(f"select {truth} {minus}, {kind} {negated}, {kind} {quotient}")
    return code.make(f"select {truth} {zero}, {kind} zeroinitializer, {kind} {quotient}")


def remainder(code: Code, dtype: DTypeOf, operands: list[str]) -> str:
    """What is left, with the sign of the divisor."""
    _, rest, safe, _, minus = _divided(code, dtype, *operands)
    if not minus:
        return rest
    kind, truth = code.type_of(dtype), code.vector("i1")
    below = _is_below(code, dtype, rest, safe)
    lifted = code.make(f"add {kind} {rest}, {safe}")
    return code.make(f"select {truth} {below}, {kind} {lifted}, {kind} {rest}")


def fmod(code: Code, dtype: DTypeOf, operands: list[str]) -> str:
    """What is left, with the sign of the dividend."""
    return _divided(code, dtype, *operands)[1]


def _divided(code: Code, dtype: DTypeOf, a: str, b: str) -> tuple[str, str, str, str, str | None]:
    """The quotient rounded to 0, the rest, the divisor; where that was 0 and −1, now 1."""
    kind, truth = code.type_of(dtype), code.vector("i1")
    zero = code.make(f"icmp eq {kind} {b}, zeroinitializer")
    special, minus = zero, None
    if dtype.kind == "i":
        minus = code.make(f"icmp eq {kind} {b}, {code.constant(dtype, -1)}")
        special = code.make(f"or {truth} {zero}, {minus}")
    safe = code.make(f"select {truth} {special}, {kind} {code.constant(dtype, 1)}, {kind} {b}")
    sign = "s" if dtype.kind == "i" else "u"
    quotient = code.make(f"{sign}div {kind} {a}, {safe}")
    return quotient, code.make(f"{sign}rem {kind} {a}, {safe}"), safe, zero, minus


def _is_below(code: Code, dtype: DTypeOf, rest: str, divisor: str) -> str:
    """Whether the quotient was rounded up to 0."""
    kind, truth = code.type_of(dtype), code.vector("i1")
    differ = code.make(f"xor {kind} {rest}, {divisor}")
    opposite = code.make(f"icmp slt {kind} {differ}, zeroinitializer")
    some = code.make(f"icmp ne {kind} {rest}, zeroinitializer")
    return code.make(f"and {truth} {opposite}, {some}")


def absolute(code: Code, dtype: DTypeOf, operands: list[str]) -> str:
    """|x|; the smallest integer stays."""
    (x,) = operands
    kind, truth = code.type_of(dtype), code.vector("i1")
    if dtype.kind != "i":
        return x
    below = code.make(f"icmp slt {kind} {x}, zeroinitializer")
    negated = code.make(f"sub {kind} zeroinitializer, {x}")
    return code.make(f"select {truth} {below}, {kind} {negated}, {kind} {x}")


def sign(code: Code, dtype: DTypeOf, operands: list[str]) -> str:
    """1 above 0, −1 below."""
    (x,) = operands
    kind, truth = code.type_of(dtype), code.vector("i1")
    some = code.make(f"icmp ne {kind} {x}, zeroinitializer")
    made = code.make(f"zext {truth} {some} to {kind}")
    if dtype.kind == "u":
        return made
    below = code.make(f"icmp slt {kind} {x}, zeroinitializer")
    return code.make(f"or {kind} {made}, {code.make(f'sext {truth} {below} to {kind}')}")


def left_shift(code: Code, dtype: DTypeOf, operands: list[str]) -> str:
    """x · 2ⁿ; 0 if there are fewer bits than n."""
    return _shifted(code, dtype, "shl", operands)


def right_shift(code: Code, dtype: DTypeOf, operands: list[str]) -> str:
    """⌊x / 2ⁿ⌋, also if there are fewer bits than n."""
    if dtype.kind == "u":
        return _shifted(code, dtype, "lshr", operands)
    x, n = operands
    kind, truth, last = code.type_of(dtype), code.vector("i1"), code.constant(dtype, _last(dtype))
    few = code.make(f"icmp ult {kind} {n}, {last}")
    return code.make(
        f"ashr {kind} {x}, " + code.make(f"select {truth} {few}, {kind} {n}, {kind} {last}")
    )


def _shifted(code: Code, dtype: DTypeOf, instruction: str, operands: list[str]) -> str:
    x, n = operands
    kind, truth, last = code.type_of(dtype), code.vector("i1"), code.constant(dtype, _last(dtype))
    few = code.make(f"icmp ule {kind} {n}, {last}")
    safe = code.make(f"select {truth} {few}, {kind} {n}, {kind} zeroinitializer")
    made = code.make(f"{instruction} {kind} {x}, {safe}")
    return code.make(f"select {truth} {few}, {kind} {made}, {kind} zeroinitializer")


def _last(dtype: DTypeOf) -> int:
    return 8 * dtype.itemsize - 1


def power(code: Code, dtype: DTypeOf, operands: list[str]) -> str:
    """xⁿ by squaring, for n ≥ 0."""
    kind, truth = code.type_of(dtype), code.vector("i1")
    before, loop, done = code.fresh("before"), code.fresh("power"), code.fresh("done")
    one = code.constant(dtype, 1)
    pairs = [(code.fresh("%now"), code.fresh("%then")) for _ in range(3)]
    code.add(f"br label %{before}")
    code.label(before)
    code.add(f"br label %{loop}")
    code.label(loop)
    for (now, then), start in zip(pairs, (*operands, one), strict=True):
        code.add(f"{now} = phi {kind} [ {start}, %{before} ], [ {then}, %{loop} ]")
    (x, square), (n, half), (y, product) = pairs
    odd = code.make(f"trunc {kind} {n} to {truth}")
    more = code.make(f"mul {kind} {y}, {x}")
    code.add(f"{product} = select {truth} {odd}, {kind} {more}, {kind} {y}")
    code.add(f"{square} = mul {kind} {x}, {x}")
    code.add(f"{half} = lshr {kind} {n}, {one}")
    left = code.make(f"icmp ne {kind} {half}, zeroinitializer")
    some = code.call(f"llvm.vector.reduce.or.v{code.width}i1", "i1", (truth, left))
    code.add(f"br i1 {some}, label %{loop}, label %{done}")
    code.label(done)
    return product
