"""Local derivatives between quantities that have names, and the chains that they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from limpid.explanation.formulas.latex import gradient_latex, latex
from limpid.explanation.formulas.matrices import term
from limpid.explanation.formulas.products import (
    Applied,
    Atom,
    Factor,
    Grouped,
    Product,
    Sum,
    Symbol,
)
from limpid.explanation.formulas.terms import (
    Dot,
    Elementwise,
    Literal,
    Named,
    Ones,
    Scaled,
    Term,
    Transposed,
)
from limpid.explanation.formulas.text import identifier, text

UPSTREAM = "g"
MOST = 6  # chains of one gradient that are shown


@dataclass(frozen=True)
class LocalRule:
    """The derivative of one quantity by another that it is computed from.

    form   "number" or "matrix": the Jacobian is `term`; "diagonal": it has `term` on its diagonal;
           "map": what comes from upstream, g, goes on as `term`
    """

    of: str
    by: str
    form: str
    term: Term

    def __str__(self) -> str:
        left = f"d{identifier(self.of)}/d{identifier(self.by)}"
        made = text(self.term)
        if self.form == "map":
            return f"{left}: g -> {made}"
        return f"{left} = {f'diag({made})' if self.form == 'diagonal' else made}"

    def latex(self, shapes: bool = False) -> str:
        """The same as LaTeX, with `&` before its sign."""
        made = latex(self.term, shapes)
        left = gradient_latex(self.of, self.by)
        if self.form == "map":
            return rf"{left} &: g \mapsto {made}"
        return f"{left} &= " + (
            rf"\operatorname{{diag}}\left({made}\right)" if self.form == "diagonal" else made
        )


def local_rules(
    name: str, local: Sum, gradients: Mapping[str, str], output: str
) -> Iterator[LocalRule]:
    """How a quantity acts on those that its gradient comes from.

    local      its gradient, by theirs
    gradients  the names of quantities, by those of their gradients
    """
    groups: dict[str, list[Product]] = {}
    for product in local.products:
        found = {n for f in product.factors for n in _symbols(f.atom) if n in gradients}
        if len(found) < 2:
            groups.setdefault(next(iter(found), ""), []).append(product)
    for gradient, products in groups.items():
        if not gradient:
            yield LocalRule(output, name, "number", term(Sum(local.indices, tuple(products))))
            continue
        renamed = tuple(_renamed(p, gradient) for p in products)
        yield _rule(gradients[gradient], name, term(Sum(local.indices, renamed)))


def chains(rules: Sequence[LocalRule], name: str, output: str) -> list[tuple[str, ...]]:
    """The ways from the output to a quantity, each as the quantities on it; not more than six."""
    above: dict[str, list[str]] = {}
    for rule in rules:
        above.setdefault(rule.by, []).append(rule.of)
    found: list[tuple[str, ...]] = []
    stack: list[tuple[str, ...]] = [(name,)]
    while stack and len(found) < MOST:
        way = stack.pop()
        if way[0] == output:
            found.append(way)
        else:
            stack += [(of, *way) for of in reversed(above.get(way[0], []))]
    return found


def chain_text(way: Sequence[str]) -> str:
    """`dL/dz · dz/dW`."""
    pairs = pairwise(way)
    return " · ".join(f"d{identifier(of)}/d{identifier(by)}" for of, by in pairs)


def chain_latex(way: Sequence[str]) -> str:
    """The same as LaTeX."""
    return r" \cdot ".join(gradient_latex(of, by) for of, by in pairwise(way))


def _rule(of: str, by: str, pulled: Term) -> LocalRule:
    """What a map of g is, where it has a simple Jacobian."""
    if _is_upstream(pulled):
        if not pulled.shape:
            return LocalRule(of, by, "number", Literal(1))
        return LocalRule(of, by, "diagonal", Ones(pulled.shape))
    if isinstance(pulled, Scaled) and any(map(_is_upstream, pulled.scalars)):
        scalars = tuple(x for x in pulled.scalars if not _is_upstream(x))
        if not _reads_upstream((*scalars, pulled.inside)):
            return LocalRule(of, by, "number", replace(pulled, scalars=scalars))
    if isinstance(pulled, Elementwise):
        rest = [part for part in pulled.parts if not _is_upstream(part)]
        if len(rest) == len(pulled.parts) - 1 and not any(map(_reads_upstream, rest)):
            made = rest[0] if len(rest) == 1 else Elementwise(tuple(rest), pulled.shape)
            return LocalRule(of, by, "diagonal" if pulled.shape else "number", made)
    if isinstance(pulled, Dot) and _is_upstream(pulled.right) and len(pulled.right.shape) == 1:
        matrix = pulled.left
        if isinstance(matrix, Transposed):
            return LocalRule(of, by, "matrix", matrix.inside)
        if len(matrix.shape) == 2 and not _reads_upstream(matrix):
            return LocalRule(of, by, "matrix", Transposed(matrix, matrix.shape[::-1]))
    return LocalRule(of, by, "map", pulled)


def _is_upstream(x: Term) -> bool:
    return isinstance(x, Named) and x.name == UPSTREAM


def _reads_upstream(x: Any) -> bool:
    if isinstance(x, tuple):
        return any(map(_reads_upstream, x))
    if not hasattr(x, "__dataclass_fields__"):
        return False
    return _is_upstream(x) or any(_reads_upstream(v) for v in vars(x).values())


def _symbols(atom: Atom) -> Iterator[str]:
    """The names of the symbols in an atom."""
    if isinstance(atom, Symbol):
        yield atom.name
        return
    sums = [atom.inside] if isinstance(atom, Grouped) else list(atom.operands)
    for x in sums:
        if isinstance(x, Sum):
            for product in x.products:
                for factor in product.factors:
                    yield from _symbols(factor.atom)


def _renamed(product: Product, name: str) -> Product:
    """A product in which a gradient is called g."""
    return product._replace(factors=tuple(_in_factor(f, name) for f in product.factors))


def _in_factor(factor: Factor, name: str) -> Factor:
    return factor._replace(atom=_in_atom(factor.atom, name))


def _in_atom(atom: Atom, name: str) -> Atom:
    if isinstance(atom, Symbol):
        return Symbol(UPSTREAM, atom.shape) if atom.name == name else atom
    if isinstance(atom, Grouped):
        return Grouped(_in_sum(atom.inside, name))
    operands = tuple(_in_sum(x, name) if isinstance(x, Sum) else x for x in atom.operands)
    made: Applied = replace(atom, operands=operands)
    return made


def _in_sum(x: Sum, name: str) -> Sum:
    return Sum(x.indices, tuple(_renamed(product, name) for product in x.products))
