"""Formulas as LaTeX. Primitives are written as their declarations say."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

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

ATOM, POWER, DOT, TIMES, PLUS = 5, 4, 3, 2, 1  # how strongly a text holds together
Written = tuple[str, int]
GREEK = frozenset(
    """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau
    upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega""".split()
)
HAT = re.compile(r"^(\w+?)_?(hat|bar|tilde)$")


def latex(term: Term, shapes: bool = False) -> str:
    """A term as LaTeX; `shapes` puts its shape under every name."""
    return _Writer(shapes).write(term)[0]


def name_latex(name: str) -> str:
    """`W4` as W⁴, `y_hat` as ŷ, `alpha` as α, others upright."""
    found = HAT.match(name)
    if found:
        return rf"\{found[2]}{{{name_latex(found[1])}}}"
    parts = re.fullmatch(r"([A-Za-z]+?)_?(\d+)", name)
    letter, number = parts.groups() if parts else (name, "")
    if letter in GREEK:
        letter = rf"\{letter}"
    elif len(letter) > 1:
        letter = rf"\mathrm{{{_escaped(letter)}}}"
    return f"{letter}^{{{number}}}" if number else letter


def gradient_latex(output: str, name: str) -> str:
    """∂L/∂W of two names."""
    return rf"\frac{{\partial {name_latex(output)}}}{{\partial {name_latex(name)}}}"


def _escaped(name: str) -> str:
    return re.sub(r"([_#&%$])", r"\\\1", name)


class _Writer:
    def __init__(self, shapes: bool):
        self._shapes = shapes

    def write(self, term: Term) -> Written:
        """A term, and how strongly it holds together."""
        writer: Any = getattr(self, f"_{type(term).__name__.lower()}")
        made: Written = writer(term)
        return made

    def _held(self, term: Term, strength: int) -> str:
        made, own = self.write(term)
        return made if own >= strength else rf"\left({made}\right)"

    def _named(self, x: Named) -> Written:
        made = x.latex or name_latex(x.name)
        if self._shapes and x.shape:
            made = rf"\underset{{{_shape(x.shape)}}}{{{made}}}"
        return made, POWER if "^" in made else ATOM

    def _literal(self, x: Literal) -> Written:
        return number_latex(x.value)

    def _added(self, x: Added) -> Written:
        made = ""
        for sign, part in x.parts:
            if made:
                made += (
                    f" {'+' if sign > 0 else '-'} {self._held(part, PLUS if sign > 0 else TIMES)}"
                )
            else:
                made = self._held(part, PLUS) if sign > 0 else f"-{self._held(part, TIMES)}"
        return made, PLUS

    def _scaled(self, x: Scaled) -> Written:
        parts = [*x.scalars, *([] if x.inside is None else [x.inside])]
        if x.number == 1 and len(parts) == 1:
            return self.write(parts[0])
        written = [self._held(part, TIMES) for part in parts]
        made = r" \, ".join(written)
        return (made if x.number == 1 else rf"{number_latex(x.number)[0]} \, {made}"), TIMES

    def _power(self, x: Power) -> Written:
        if x.exponent == -1:
            return rf"\frac{{1}}{{{self.write(x.base)[0]}}}", ATOM
        return f"{self._held(x.base, ATOM)}^{{{x.exponent}}}", POWER

    def _elementwise(self, x: Elementwise) -> Written:
        above = [p for p in x.parts if not (isinstance(p, Power) and p.exponent < 0)]
        below = [
            p.base if p.exponent == -1 else Power(p.base, -p.exponent, p.shape)
            for p in x.parts
            if isinstance(p, Power) and p.exponent < 0
        ]
        if below:
            return rf"\frac{{{self._times(above)}}}{{{self._times(below)}}}", ATOM
        return self._times(above), TIMES

    def _times(self, parts: list[Term]) -> str:
        if len(parts) == 1:
            return self.write(parts[0])[0]
        sign = r" \odot " if any(p.shape for p in parts) else r" \, "
        return sign.join(self._held(p, DOT) for p in parts) or "1"

    def _transposed(self, x: Transposed) -> Written:
        made, strength = self.write(x.inside)
        if strength == POWER:
            made = f"{{{made}}}"
        elif strength < ATOM:
            made = rf"\left({made}\right)"
        return rf"{made}^\top", ATOM

    def _dot(self, x: Dot) -> Written:
        left = self._held(x.left, DOT)
        if len(x.left.shape) == 1:
            left = self._transposed(Transposed(x.left, x.left.shape))[0]
        return rf"{left} \, {self._held(x.right, DOT)}", DOT

    def _outer(self, x: Outer) -> Written:
        right = self._transposed(Transposed(x.right, x.right.shape))[0]
        return rf"{self._held(x.left, DOT)} \, {right}", DOT

    def _diagonal(self, x: Diagonal) -> Written:
        scale = rf"\operatorname{{diag}}\left({self.write(x.vector)[0]}\right)"
        matrix = self._held(x.matrix, DOT)
        return (rf"{scale} \, {matrix}" if x.axis == 0 else rf"{matrix} \, {scale}"), DOT

    def _summed(self, x: Summed) -> Written:
        inside = self._held(x.inside, DOT)
        if x.axis == 1:
            return rf"{inside} \, \mathbf{{1}}", DOT
        if x.axis == 0:
            turned = self._transposed(Transposed(x.inside, x.inside.shape))[0]
            return rf"{turned} \, \mathbf{{1}}", DOT
        return rf"\sum {inside}", TIMES

    def _ones(self, x: Ones) -> Written:
        made = r"\mathbf{1}" if len(x.shape) < 2 else rf"\mathbf{{1}}_{{{_shape(x.shape)}}}"
        return made, ATOM

    def _contracted(self, x: Contracted) -> Written:
        summed = sorted({c for letters in x.letters for c in letters} - set(x.result))
        factors = [
            f"{self._held(factor, ATOM)}_{{{letters}}}"
            for factor, letters in zip(x.factors, x.letters, strict=True)
        ]
        sign = rf"\sum_{{{', '.join(summed)}}} " if summed else ""
        return sign + r" \, ".join(factors), TIMES

    def _function(self, x: Function) -> Written:
        template = x.op.math or rf"\mathrm{{{_escaped(x.op.name)}}}({{operands}})"
        names = list(x.op.operand_names)
        given: dict[str, list[Term]] = {name: [] for name in names}
        for n, operand in enumerate(x.operands):
            given[names[min(n, len(names) - 1)]].append(operand)
        given.setdefault("operands", list(x.operands))

        def written(found: re.Match[str]) -> str:
            terms = given.get(found[1])
            if terms is None:
                return found[0]
            if len(terms) != 1:
                return ", ".join(self.write(t)[0] for t in terms)
            before = template[: found.start()].rstrip()[-1:]
            after = template[found.end() :].lstrip()[:1]
            free = before in "([{," and after in ")]},"
            return self.write(terms[0])[0] if free else self._held(terms[0], ATOM)

        made = re.sub(r"\{(\w+)\}", written, template)
        made = f"{made}_{{{x.output}}}" if x.op.outputs > 1 else made
        if x.truth:
            return rf"\left[ {made} \right]", ATOM
        return made, _strength(template)


def _strength(template: str) -> int:
    """How strongly a primitive's formula holds together, by what stands outside of brackets."""
    before, bare = "", template
    while bare != before:
        before, bare = bare, re.sub(r"\{[^{}]*\}|\([^()]*\)", "x", bare)
    if re.search(r"\S\s*[+-]|^-", bare):
        return PLUS
    return DOT if re.search(r"[ ^]", bare) else ATOM


def number_latex(value: Fraction | float) -> Written:
    """A number; fractions as such."""
    if isinstance(value, Fraction) and value.denominator not in (1, 2, 5, 10, 100, 1000):
        return rf"\tfrac{{{value.numerator}}}{{{value.denominator}}}", ATOM
    if isinstance(value, Fraction) and value.denominator == 2:
        return rf"\tfrac{{{value.numerator}}}{{2}}", ATOM
    made = f"{float(value):g}".replace("inf", r"\infty").replace("nan", r"\mathrm{NaN}")
    if "e" in made:
        base, exponent = made.split("e")
        return rf"{base} \cdot 10^{{{int(exponent)}}}", TIMES
    return made, ATOM if value >= 0 else PLUS


def _shape(shape: tuple[int, ...]) -> str:
    return r" \times ".join(map(str, shape))
