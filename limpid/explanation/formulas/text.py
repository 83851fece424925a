"""Formulas as NumPy text, that can be evaluated.

Names that are no identifiers, as `fc1.weight`, are written with an underscore: fc1_weight.
"""

from __future__ import annotations

import ast
import inspect
import keyword
import re
from collections.abc import Sequence
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

ATOM, POWER, SIGN, TIMES, PLUS, LOOSE = 5, 4, 3, 2, 1, 0  # how strongly a text holds together
PLACE = "_"  # in labels, where an operand stands
Written = tuple[str, int]


def text(term: Term, shown: bool = False) -> str:
    """A term as an expression of NumPy; `shown` leaves names as they are spelled."""
    return _Writer(shown).write(term)[0]


def identifier(name: str) -> str:
    """A name that Python takes."""
    made = re.sub(r"\W", "_", name)
    made = f"_{made}" if not made or made[0].isdigit() else made
    return f"{made}_" if keyword.iskeyword(made) else made


class _Writer:
    def __init__(self, shown: bool):
        self._shown = shown

    def write(self, term: Term) -> Written:
        """A term, and how strongly it holds together."""
        writer: Any = getattr(self, f"_{type(term).__name__.lower()}")
        made: Written = writer(term)
        return made

    def _text(self, term: Term) -> str:
        return self.write(term)[0]

    def _held(self, term: Term, strength: int) -> str:
        """A term within another one, in brackets where it would fall apart."""
        made, own = self.write(term)
        return made if own >= strength else f"({made})"

    def _named(self, x: Named) -> Written:
        if not self._shown:
            return identifier(x.name), ATOM
        return x.name, ATOM if re.fullmatch(r"[\w.′]+|[\w.]+\[[^\[\]]*\]", x.name) else LOOSE

    def _literal(self, x: Literal) -> Written:
        return number(x.value)

    def _added(self, x: Added) -> Written:
        made = ""
        for sign, part in x.parts:
            written = self._held(part, PLUS if sign > 0 else TIMES)
            if made:
                made += f" {'+' if sign > 0 else '-'} {written}"
            else:
                made = written if sign > 0 else f"-{written}"
        return made, PLUS if len(x.parts) > 1 else SIGN

    def _scaled(self, x: Scaled) -> Written:
        parts: list[Term] = [*x.scalars, *([] if x.inside is None else [x.inside])]
        if isinstance(x.number, Fraction) and x.number.numerator == 1 and x.number != 1:
            return f"{self._product(parts)} / {x.number.denominator}", TIMES
        if x.number == 1:
            return self._product(parts), TIMES
        return " * ".join([number(x.number)[0], *(self._held(p, SIGN) for p in parts)]), TIMES

    def _product(self, parts: Sequence[Term]) -> str:
        held = [self._held(part, TIMES if n == 0 else SIGN) for n, part in enumerate(parts)]
        return " * ".join(held) or "1"

    def _elementwise(self, x: Elementwise) -> Written:
        made = self._product([p for p in x.parts if not _is_divisor(p)])
        for part in filter(_is_divisor, x.parts):
            made += f" / {self._held(_reciprocal(part), SIGN)}"
        return made, TIMES

    def _power(self, x: Power) -> Written:
        if x.exponent < 0:
            return f"1 / {self._held(_reciprocal(x), SIGN)}", TIMES
        return f"{self._held(x.base, ATOM)} ** {x.exponent}", POWER

    def _transposed(self, x: Transposed) -> Written:
        return f"{self._held(x.inside, ATOM)}.T", ATOM

    def _dot(self, x: Dot) -> Written:
        return f"{self._held(x.left, TIMES)} @ {self._held(x.right, SIGN)}", TIMES

    def _outer(self, x: Outer) -> Written:
        return f"outer({self._text(x.left)}, {self._text(x.right)})", ATOM

    def _diagonal(self, x: Diagonal) -> Written:
        vector = self._held(x.vector, ATOM) + ("[:, None]" if x.axis == 0 else "")
        return f"{vector} * {self._held(x.matrix, SIGN)}", TIMES

    def _summed(self, x: Summed) -> Written:
        axis = "" if x.axis is None else f", axis={x.axis}"
        return f"sum({self._text(x.inside)}{axis})", ATOM

    def _ones(self, x: Ones) -> Written:
        return f"ones({x.shape if len(x.shape) != 1 else x.shape[0]})", ATOM

    def _contracted(self, x: Contracted) -> Written:
        spelling = f'"{",".join(x.letters)}->{x.result}"'
        return f"np.einsum({', '.join([spelling, *map(self._text, x.factors)])})", ATOM

    def _function(self, x: Function) -> Written:
        operands = [self._text(operand) for operand in x.operands]
        if x.full is not None and not self._shown:
            pairs = zip(operands, x.operands, x.given, strict=True)
            operands = [_in_full(made, operand, shape) for made, operand, shape in pairs]
        usual = _defaults(x.op)
        settings = [
            f"{name}={_setting(value)}" for name, value in x.params if usual.get(name, x) != value
        ]
        made, strength = f"{x.op.name}({', '.join([*operands, *settings])})", ATOM
        made = f"{made}[{x.output}]" if x.op.outputs > 1 else made
        if x.op.label != x.op.name and not x.params:
            made, strength = self._spelled(x, operands)
        if self._shown:
            return made, strength
        if x.full is not None and 1 in x.full:
            made, strength = f"squeeze({made})", ATOM
        return (f"where({made}, 1, 0)", ATOM) if x.truth else (made, strength)

    def _spelled(self, x: Function, operands: Sequence[str]) -> Written:
        """By the label that a primitive declares: `a > b`."""
        label: str = x.op.label
        own = _strength(label)
        inner = (ATOM, ATOM) if own == POWER else (max(own, PLUS), own + 1)
        made = ""
        for n, (before, operand) in enumerate(zip(label.split(PLACE), x.operands, strict=False)):
            plain = self._text(operand)
            held = self._held(operand, inner[min(n, 1)])
            given = operands[n]
            made += before + (held if given == plain else given)  # the other is a call
        return made + label.rsplit(PLACE, 1)[1], own


def number(value: Fraction | float) -> Written:
    """A number; fractions that are no short decimals as such."""
    if isinstance(value, Fraction) and value.denominator not in (1, 2, 4, 5, 8, 10, 20, 100, 1000):
        made = f"{value.numerator} / {value.denominator}"
        return made, TIMES if value >= 0 else SIGN
    made = f"{float(value):.17g}"
    short = f"{float(value):g}"
    made = short if float(short) == float(value) else made
    return made.replace("inf", "np.inf").replace("nan", "np.nan"), ATOM if value >= 0 else SIGN


def _strength(label: str) -> int:
    """How strongly a label such as `_ ** _` holds together, as Python has it."""
    match ast.parse(label.replace(PLACE, "x"), mode="eval").body:
        case ast.BinOp(op=ast.Pow()):
            return POWER
        case ast.BinOp(op=ast.Mult() | ast.Div() | ast.MatMult()):
            return TIMES
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return PLUS
        case ast.UnaryOp():
            return SIGN
    return LOOSE


def _defaults(op: Any) -> dict[str, Any]:
    """The settings that a primitive has if none are given."""
    try:
        parameters = inspect.signature(op.forward).parameters.values()
    except (AttributeError, TypeError, ValueError):  # it runs Python, or is written in C
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _is_divisor(x: Term) -> bool:
    return isinstance(x, Power) and x.exponent < 0


def _reciprocal(x: Any) -> Term:
    return x.base if x.exponent == -1 else Power(x.base, -x.exponent, x.shape)


def _in_full(made: str, operand: Term, shape: tuple[int, ...]) -> str:
    """An operand with its axes of extent 1, for a function that knows axes by number."""
    return f"reshape({made}, {shape})" if operand.shape != shape else made


def _setting(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)
