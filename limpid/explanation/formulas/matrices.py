"""From sums of products with indices to matrices: which product, transpose or sum it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import prod
from string import ascii_lowercase
from typing import NamedTuple

from limpid.explanation.formulas.products import (
    Applied,
    Factor,
    Grouped,
    Index,
    Number,
    Product,
    Sum,
    Symbol,
)
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


def term(x: Sum, bare: bool = False) -> Term:
    """A sum as a term of the shape of its indices.

    bare  whether what does not depend on the first indices may come without them, since it is
          stretched where it is used, as NumPy does it
    """
    shape = tuple(index.extent for index in x.indices)
    if not x.products:
        return (
            Literal(Fraction(0))
            if bare or not shape
            else Scaled(Fraction(0), (), Ones(shape), shape)
        )
    rest = [_kept(product, x.indices) for product in x.products]
    bare = bare or x.indices in rest
    parts = []
    for product, kept in zip(x.products, rest):
        sign = -1 if product.coefficient < 0 else 1
        positive = Product(product.coefficient * sign, product.factors)
        parts.append((sign, _product(positive, kept if bare else x.indices)))
    if len(parts) == 1:
        sign, found = parts[0]
        return found if sign > 0 else Added(((-1, found),), shape)
    parts.sort(key=lambda part: -part[0])  # what is added first comes first
    return Added(tuple(parts), shape)


def _kept(product: Product, own: tuple[Index, ...]) -> tuple[Index, ...]:
    """The indices without the first ones, as far as the product does not depend on them."""
    used = {index for factor in product.factors for index in factor.indices}
    while own and own[0] not in used:
        own = own[1:]
    return own


class _Part(NamedTuple):
    """A term and the indices of its axes."""

    term: Term
    indices: tuple[Index, ...]


def _product(product: Product, own: Sequence[Index]) -> Term:
    shape = tuple(index.extent for index in own)
    parts = [_factor(factor) for factor in product.factors]
    many = any(len(p.indices) > 2 or len(set(p.indices)) < len(p.indices) for p in parts)
    made = _contracted(parts, own) if many or len(own) > 2 else _matrix(parts, tuple(own))
    scalars = tuple(p.term for p in made if not p.indices)
    rest = [p.term for p in made if p.indices]
    inside = rest[0] if rest else Ones(shape) if own else None
    return _scaled(product.coefficient, scalars, inside, shape)


def _scaled(
    number: Number, scalars: tuple[Term, ...], inside: Term | None, shape: tuple[int, ...]
) -> Term:
    if inside is None and not scalars:
        return Literal(number)
    if number == 1 and not scalars and inside is not None:
        return inside
    if number == 1 and inside is None and len(scalars) == 1:
        return scalars[0]
    return Scaled(number, scalars, inside, shape)


def _factor(factor: Factor) -> _Part:
    atom, indices, power = factor
    shape = tuple(index.extent for index in indices)
    if isinstance(atom, Symbol):
        made: Term = Named(atom.name, shape, atom.latex)
    elif isinstance(atom, Grouped):
        made = term(atom.inside)
    else:
        made = _function(atom, shape)
    return _Part(made if power == 1 else Power(made, power, shape), indices)


def _function(atom: Applied, shape: tuple[int, ...]) -> Function:
    operands = tuple(
        term(x, atom.elementwise) if isinstance(x, Sum) else Literal(x) for x in atom.operands
    )
    if atom.elementwise:
        return Function(atom.op, operands, atom.params, atom.output, shape, truth=atom.truth)
    return Function(
        atom.op, operands, atom.params, atom.output, shape, atom.shape, atom.given, atom.truth
    )


# Matrices and vectors


def _matrix(parts: list[_Part], own: tuple[Index, ...]) -> list[_Part]:
    """One part with the given indices, and parts without any."""
    parts = _together(_inner(parts, own))
    while index := _next(parts, own):
        parts = _together(_without(index, parts))
    scalars = [p for p in parts if not p.indices]
    rest = [p for p in parts if p.indices]
    if not rest:
        return scalars
    while len(rest) > 1:
        rest = _together([_joined(rest[0], rest[1]), *rest[2:]])
    (made,) = rest
    for axis, index in enumerate(own):
        if index not in made.indices:
            made = _along(made, index, axis)
    if made.indices != own:
        made = _transposed(made)
    return [*scalars, made]


def _inner(parts: list[_Part], own: Sequence[Index]) -> list[_Part]:
    """The same with inner products of two vectors as such."""
    vectors = Counter(p.indices for p in parts if len(p.indices) == 1 and p.indices[0] not in own)
    for indices, count in vectors.items():
        using = [p for p in parts if indices[0] in p.indices]
        if count == len(using) == 2:
            rest = [p for p in parts if indices[0] not in p.indices]
            parts = [*rest, _Part(Dot(using[0].term, using[1].term, ()), ())]
    return parts


def _next(parts: Sequence[_Part], own: Sequence[Index]) -> Index | None:
    """The index to be summed over next: that which leaves least; of equals the last."""
    counts = Counter(index for p in parts for index in p.indices)
    summed = [index for index in reversed(counts) if index not in own]

    def left(index: Index) -> tuple[bool, int]:
        rest = {i for p in parts if index in p.indices for i in p.indices} - {index}
        return counts[index] > 2, prod(i.extent for i in rest)

    return min(summed, key=left, default=None)


def _without(index: Index, parts: Sequence[_Part]) -> list[_Part]:
    """Parts in which an index was summed over."""
    using = [p for p in parts if index in p.indices]
    others = [p for p in parts if index not in p.indices]
    while len(using) > 2:  # a vector scales a matrix
        vector = next(p for p in using if p.indices == (index,))
        matrix = next(p for p in using if len(p.indices) == 2)
        using = [p for p in using if p is not vector and p is not matrix]
        using.append(_joined(vector, matrix))
    if len(using) == 1:
        return [*others, _summed(using[0], index)]
    left, right = using
    return [*others, _dot(left, right, index)]


def _summed(part: _Part, index: Index) -> _Part:
    if part.indices == (index,):
        return _Part(Summed(part.term, None, ()), ())
    axis = part.indices.index(index)
    kept = part.indices[1 - axis]
    return _Part(Summed(part.term, axis, (kept.extent,)), (kept,))


def _dot(left: _Part, right: _Part, index: Index) -> _Part:
    """Two parts multiplied and summed over an index of both."""
    if len(left.indices) == 1 and len(right.indices) == 2:
        left, right = right, left  # a matrix times a vector
    if len(left.indices) == 2 and left.indices[1] != index:
        left = _transposed(left)
    if len(right.indices) == 2 and right.indices[0] != index:
        right = _transposed(right)
    indices = (*left.indices[:-1], *right.indices[1:])
    shape = tuple(i.extent for i in indices)
    return _Part(Dot(left.term, right.term, shape), indices)


def _transposed(part: _Part) -> _Part:
    indices = part.indices[::-1]
    if isinstance(part.term, Transposed):
        return _Part(part.term.inside, indices)
    shape = tuple(index.extent for index in indices)
    if isinstance(part.term, Outer):
        return _Part(Outer(part.term.right, part.term.left, shape), indices)
    if isinstance(part.term, Dot):
        left = _transposed(_Part(part.term.left, part.indices)).term
        right = _transposed(_Part(part.term.right, part.indices)).term
        return _Part(Dot(right, left, shape), indices)
    return _Part(Transposed(part.term, shape), indices)


def _together(parts: Sequence[_Part]) -> list[_Part]:
    """Parts with the same indices multiplied element by element."""
    found: dict[frozenset[Index], list[_Part]] = {}
    for part in parts:
        found.setdefault(frozenset(part.indices), []).append(part)
    made = []
    for same in found.values():
        first = same[0]
        if len(same) == 1 or not first.indices:
            made += same
            continue
        turned = [p if p.indices == first.indices else _transposed(p) for p in same]
        terms = tuple(t for p in turned for t in _parts_of(p.term))
        made.append(_Part(Elementwise(terms, first.term.shape), first.indices))
    return made


def _parts_of(x: Term) -> tuple[Term, ...]:
    return x.parts if isinstance(x, Elementwise) else (x,)


def _joined(left: _Part, right: _Part) -> _Part:
    """Two parts of different indices multiplied: an outer product, or rows or columns scaled."""
    if len(left.indices) == 1 and len(right.indices) == 1:
        indices = (*left.indices, *right.indices)
        shape = tuple(i.extent for i in indices)
        return _Part(Outer(left.term, right.term, shape), indices)
    vector, matrix = (left, right) if len(left.indices) == 1 else (right, left)
    axis = matrix.indices.index(vector.indices[0])
    return _Part(Diagonal(vector.term, matrix.term, axis, matrix.term.shape), matrix.indices)


def _along(part: _Part, index: Index, axis: int) -> _Part:
    """A vector repeated along another index."""
    ones = _Part(Ones((index.extent,)), (index,))
    return _joined(ones, part) if axis == 0 else _joined(part, ones)


# More axes


def _contracted(parts: Sequence[_Part], own: Sequence[Index]) -> list[_Part]:
    """Factors with letters for their indices."""
    letters: dict[Index, str] = {}
    for index in (*own, *(i for p in parts for i in p.indices)):
        letters.setdefault(index, ascii_lowercase[(8 + len(letters)) % 26])
    scalars = [p for p in parts if not p.indices]
    rest = [p for p in parts if p.indices]
    shape = tuple(index.extent for index in own)
    used = {i for p in rest for i in p.indices}
    if len(rest) == 1 and rest[0].indices == tuple(own):
        return [*scalars, rest[0]]
    rest += [_Part(Ones((i.extent,)), (i,)) for i in own if i not in used]
    spelled = tuple("".join(letters[i] for i in p.indices) for p in rest)
    result = "".join(letters[i] for i in own)
    made = Contracted(tuple(p.term for p in rest), spelled, result, shape)
    return [*scalars, _Part(made, tuple(own))]
