"""Formulas as NumPy text, that can be evaluated.

Names that are no identifiers, as `fc1.weight`, are written with an underscore: fc1_weight.
"""

from __future__ import annotations

import keyword
import re
from fractions import Fraction
from typing import Any

import numpy as np

from limpid.explanation.formulas.terms import (
    Added,
    Contracted,
    Diagonal,
    Dot,
    Elementwise,
    Function,
    Literal,
    Named,
    Ones,
    Outer,
    Power,
    Scaled,
    Summed,
    Term,
    Transposed,
)

ATOM, POWER, SIGN, TIMES, PLUS = 5, 4, 3, 2, 1  # how strongly a text holds together
Written = tuple[str, int]


def text(term: Term) -> str:
    """A term as an expression of NumPy."""
    return _write(term)[0]


def identifier(name: str) -> str:
    """A name that Python takes."""
    made = re.sub(r"\W", "_", name)
    made = f"_{made}" if not made or made[0].isdigit() else made
    return f"{made}_" if keyword.iskeyword(made) else made


def _write(term: Term) -> Written:
    return _WRITERS[type(term)](term)


def _held(term: Term, strength: int) -> str:
    """A term within another one, in brackets where it would fall apart."""
    made, own = _write(term)
    return made if own >= strength else f"({made})"


def _number(x: Literal) -> Written:
    return number(x.value)


def number(value: Fraction | float) -> Written:
    """A number; fractions that are no short decimals as such."""
    if isinstance(value, Fraction) and value.denominator not in (1, 2, 4, 5, 8, 10, 20, 100, 1000):
        made = f"{value.numerator} / {value.denominator}"
        return made, TIMES if value >= 0 else SIGN
    made = f"{float(value):.17g}"
    short = f"{float(value):g}"
    made = short if float(short) == float(value) else made
    return made.replace("inf", "np.inf").replace("nan", "np.nan"), ATOM if value >= 0 else SIGN


def _added(x: Added) -> Written:
    made = ""
    for sign, part in x.parts:
        written = _held(part, PLUS if sign > 0 else TIMES)
        if made:
            made += f" {'+' if sign > 0 else '-'} {written}"
        else:
            made = written if sign > 0 else f"-{_held(part, TIMES)}"
    return made, PLUS if len(x.parts) > 1 else SIGN


def _scaled(x: Scaled) -> Written:
    parts: list[Term] = [*x.scalars, *([] if x.inside is None else [x.inside])]
    written = [_held(part, TIMES if n == 0 else SIGN) for n, part in enumerate(parts)]
    if isinstance(x.number, Fraction) and x.number.numerator == 1 and x.number != 1:
        return f"{_joined(written)} / {x.number.denominator}", TIMES
    if x.number != 1:
        written = [number(x.number)[0], *[_held(part, SIGN) for part in parts]]
    return _joined(written), TIMES


def _joined(parts: list[str]) -> str:
    return " * ".join(parts)


def _elementwise(x: Elementwise) -> Written:
    above = [p for p in x.parts if not _is_divisor(p)]
    below = [p for p in x.parts if _is_divisor(p)]
    made = _joined([_held(p, TIMES if n == 0 else SIGN) for n, p in enumerate(above)]) or "1"
    for part in below:
        made += f" / {_held(_reciprocal(part), SIGN)}"
    return made, TIMES


def _is_divisor(x: Term) -> bool:
    return isinstance(x, Power) and x.exponent < 0


def _reciprocal(x: Any) -> Term:
    return x.base if x.exponent == -1 else Power(x.base, -x.exponent, x.shape)


def _power(x: Power) -> Written:
    if x.exponent < 0:
        return f"1 / {_held(_reciprocal(x), SIGN)}", TIMES
    return f"{_held(x.base, ATOM)} ** {x.exponent}", POWER


def _dot(x: Dot) -> Written:
    return f"{_held(x.left, TIMES)} @ {_held(x.right, SIGN)}", TIMES


def _diagonal(x: Diagonal) -> Written:
    vector = _held(x.vector, ATOM) + ("[:, None]" if x.axis == 0 else "")
    return f"{vector} * {_held(x.matrix, SIGN)}", TIMES


def _summed(x: Summed) -> Written:
    axis = "" if x.axis is None else f", axis={x.axis}"
    return f"sum({text(x.inside)}{axis})", ATOM


def _function(x: Function) -> Written:
    operands = [text(operand) for operand in x.operands]
    if x.full is not None:
        pairs = zip(operands, x.operands, x.given, strict=True)
        operands = [_in_full(made, operand, shape) for made, operand, shape in pairs]
    settings = [f"{name}={_setting(value)}" for name, value in x.params]
    made = f"{x.op.name}({', '.join([*operands, *settings])})"
    made = f"{made}[{x.output}]" if x.op.outputs > 1 else made
    made = f"squeeze({made})" if x.full is not None and 1 in x.full else made
    return f"where({made}, 1, 0)" if x.truth else made, ATOM


def _in_full(made: str, operand: Term, shape: tuple[int, ...]) -> str:
    """An operand with its axes of extent 1, for a function that knows axes by number."""
    return f"reshape({made}, {shape})" if operand.shape != shape else made


def _setting(value: Any) -> str:
    if isinstance(value, np.generic):
        return repr(value.item())
    return repr(value)


def _contracted(x: Contracted) -> Written:
    spelling = f'"{",".join(x.letters)}->{x.result}"'
    return f"np.einsum({', '.join([spelling, *map(text, x.factors)])})", ATOM


_WRITERS: dict[type, Any] = {
    Named: lambda x: (identifier(x.name), ATOM),
    Literal: _number,
    Function: _function,
    Added: _added,
    Scaled: _scaled,
    Power: _power,
    Elementwise: _elementwise,
    Transposed: lambda x: (f"{_held(x.inside, ATOM)}.T", ATOM),
    Dot: _dot,
    Outer: lambda x: (f"outer({text(x.left)}, {text(x.right)})", ATOM),
    Diagonal: _diagonal,
    Summed: _summed,
    Ones: lambda x: (f"ones({x.shape if len(x.shape) != 1 else x.shape[0]})", ATOM),
    Contracted: _contracted,
}
