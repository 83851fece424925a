"""Sums of products with indices: what a formula is before it is written with matrices.

W x + b is Σ over k of W[i, k] · x[k], plus b[i]. In this form transposes, outer products and sums
over a batch are all the same thing, so what is equal looks equal, and terms cancel. Axes of extent
1 have no index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from typing import Any, NamedTuple

import numpy as np

Number = Fraction | float


class Index(NamedTuple):
    """An index and how far it runs."""

    number: int
    extent: int


@dataclass(frozen=True)
class Symbol:
    """A value that has a name. Constants are known, so that sums of them are numbers."""

    name: str
    shape: tuple[int, ...]  # as it is, with axes of extent 1
    constant: Any = field(default=None, compare=False, repr=False)
    latex: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class NamedGraph:
    """A graph among params, by name."""

    name: str

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Applied:
    """A primitive applied to what is no product or sum.

    shape         of the result, and given: of its operands, with axes of extent 1
    elementwise   then the indices of operands are those of the result: 0, 1, …
    truth         whether the result is boolean
    """

    op: Any
    operands: tuple[Sum | Number, ...]
    params: tuple[tuple[str, Any], ...]
    shape: tuple[int, ...]
    given: tuple[tuple[int, ...], ...]
    elementwise: bool
    truth: bool
    output: int = 0


@dataclass(frozen=True)
class Grouped:
    """A sum in brackets."""

    inside: Sum

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of its axes."""
        return tuple(index.extent for index in self.inside.indices)


Atom = Symbol | Applied | Grouped


def _size(atom: Atom) -> int:
    if isinstance(atom, Grouped):
        return atom.inside.size
    if isinstance(atom, Applied):
        return 1 + sum(x.size for x in atom.operands if isinstance(x, Sum))
    return 1


class Factor(NamedTuple):
    """An atom, one index for each of its axes that is longer than 1, to a power."""

    atom: Atom
    indices: tuple[Index, ...]
    power: int = 1


class Product(NamedTuple):
    """A number times factors; indices that are none of the sum's own are summed over."""

    coefficient: Number
    factors: tuple[Factor, ...]


@dataclass(frozen=True)
class Sum:
    """Products added up, for each value of some indices."""

    indices: tuple[Index, ...]
    products: tuple[Product, ...]

    @property
    def size(self) -> int:
        """How many factors there are, those of operands too: how long it is to read."""
        return sum(max(sum(_size(f.atom) for f in p.factors), 1) for p in self.products)

    def at(self, indices: Sequence[Index]) -> tuple[Product, ...]:
        """The products for other indices; what is summed over gets indices of its own."""
        known = dict(zip(self.indices, indices, strict=True))
        return tuple(_renamed(product, dict(known)) for product in self.products)

    def canonical(self) -> Sum:
        """The same with indices 0, 1, …, so that equal sums are equal."""
        own = tuple(Index(n, index.extent) for n, index in enumerate(self.indices))
        known = dict(zip(self.indices, own, strict=True))
        return Sum(own, tuple(_counted(product, known) for product in self.products))


_numbers = count(1 << 16)


def fresh(extent: int) -> Index:
    """An index that nothing else has."""
    return Index(next(_numbers), extent)


def of_symbol(symbol: Symbol) -> Sum:
    """A symbol as a sum."""
    return of_atom(symbol)


def of_atom(atom: Atom) -> Sum:
    """An atom as a sum of one product."""
    indices = tuple(fresh(extent) for extent in atom.shape if extent != 1)
    return Sum(indices, (Product(Fraction(1), (Factor(atom, indices),)),))


def of_number(number: Number) -> Sum:
    """A number as a sum."""
    return Sum((), (Product(exact(number), ()),) if number else ())


def nothing(shape: tuple[int, ...]) -> Sum:
    """Zeros of a shape."""
    return Sum(tuple(fresh(extent) for extent in shape if extent != 1), ())


def exact(number: Any) -> Number:
    """A number as a fraction, if it is one of small parts."""
    value = float(number)
    if not np.isfinite(value):
        return value
    found = Fraction(value).limit_denominator(10**6)
    return found if float(found) == value else value


def grouped(x: Sum) -> Sum:
    """A sum that can be a factor: in brackets if it is more than one product."""
    if len(x.products) == 1:
        return x
    return of_atom(Grouped(x.canonical())) if x.products else x


def added(indices: tuple[Index, ...], products: Iterable[Product]) -> Sum:
    """Products added up: those that are the same but for their number are one."""
    found: dict[Any, Number] = {}
    kept: dict[Any, Product] = {}
    own = {index: n for n, index in enumerate(indices)}
    for product in products:
        product = simplified(product, own)
        key = _key(product, own)
        kept.setdefault(key, product)
        found[key] = found.get(key, Fraction(0)) + product.coefficient
    made = [kept[key]._replace(coefficient=c) for key, c in found.items() if c]
    return Sum(indices, tuple(made))


def multiplied(parts: Sequence[Product]) -> Product:
    """The product of products."""
    coefficient: Number = Fraction(1)
    factors: list[Factor] = []
    for part in parts:
        coefficient = coefficient * part.coefficient
        factors += part.factors
    return Product(coefficient, tuple(factors))


def simplified(product: Product, own: Mapping[Index, int]) -> Product:
    """Powers of the same factor joined, sums of constants and over nothing made numbers."""
    powers: dict[tuple[Atom, tuple[Index, ...]], int] = {}
    for atom, indices, power in product.factors:
        powers[atom, indices] = powers.get((atom, indices), 0) + power
    factors = [Factor(atom, indices, n) for (atom, indices), n in powers.items() if n]
    coefficient = product.coefficient
    summed = {i for f in product.factors for i in f.indices if i not in own}
    for index in summed - {i for f in factors for i in f.indices}:
        coefficient = coefficient * index.extent  # its factors cancelled
    kept: list[Factor] = []
    for factor in factors:
        total = _total(factor, factors, own)
        if total is None:
            kept.append(factor)
        else:
            coefficient = coefficient * total
    return Product(coefficient, tuple(kept))


def _total(factor: Factor, factors: Sequence[Factor], own: Mapping[Index, int]) -> Number | None:
    """The number that a constant, summed over all its axes, comes to."""
    atom, indices, power = factor
    if not isinstance(atom, Symbol) or atom.constant is None:
        return None
    others = {i for f in factors if f is not factor for i in f.indices}
    if any(i in own or i in others for i in indices) or len(set(indices)) < len(indices):
        return None
    return exact(np.sum(np.asarray(atom.constant, np.float64) ** power))


def _renamed(product: Product, known: dict[Index, Index]) -> Product:
    for factor in product.factors:
        for index in factor.indices:
            if index not in known:
                known[index] = fresh(index.extent)
    return Product(product.coefficient, tuple(_with(f, known) for f in product.factors))


def _counted(product: Product, own: Mapping[Index, Index]) -> Product:
    """A product with its summed indices numbered in the order in which they come."""
    known = dict(own)
    for factor in product.factors:
        for index in factor.indices:
            if index not in known:
                known[index] = Index(len(known), index.extent)
    return Product(product.coefficient, tuple(_with(f, known) for f in product.factors))


def _with(factor: Factor, known: Mapping[Index, Index]) -> Factor:
    return factor._replace(indices=tuple(known[index] for index in factor.indices))


def _key(product: Product, own: Mapping[Index, int]) -> Any:
    """What two products have in common that differ in their number only."""
    numbered = {index: Index(n, index.extent) for index, n in own.items()}
    factors = tuple(sorted(product.factors, key=lambda f: (repr(f.atom), f.power)))
    return _counted(product._replace(factors=factors), numbered).factors
