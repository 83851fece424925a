"""From nodes to sums of products, by what primitives declare and do; no name of one is known.

What a declaration says is checked on numbers before it is believed: a relation tells that an
output is a sum over axes, not with which factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from limpid.differentiation.kinds import Constant, Local
from limpid.differentiation.relation import Relation, atoms
from limpid.explanation.formulas.products import (
    Applied,
    Factor,
    Grouped,
    Index,
    NamedGraph,
    Number,
    Product,
    Sum,
    Symbol,
    added,
    exact,
    fresh,
    grouped,
    multiplied,
    of_atom,
    of_number,
    of_symbol,
)
from limpid.explanation.formulas.trials import elementwise, factors, is_same
from limpid.graph.graph import Graph, input_specs
from limpid.graph.node import Node, Spec
from limpid.tensor import Tensor

Reference = tuple[Node, int]
POWERS = (1, 2, 3, 4, -1, -2)


class Reader:
    """Reads nodes as sums, down to those that are known.

    known      sums of outputs of nodes
    constants  symbols of arrays, by their ids
    """

    def __init__(self, known: Mapping[Reference, Sum], constants: Mapping[int, Symbol]):
        self._found: dict[Reference, Sum] = dict(known)
        self._constants = constants
        self.graphs: dict[str, Graph] = {}  # those in params, by the names that they are given

    def read(self, value: Any) -> Sum:
        """A tensor, an array or a number as a sum."""
        if isinstance(value, Tensor):
            return self.output(value.node, value.index) if value.node else self._array(value.value)
        return self._array(value)

    def learn(self, node: Node, index: int, value: Sum) -> None:
        """From now on an output is known."""
        self._found[node, index] = value

    def define(self, node: Node, index: int) -> Sum:
        """An output by its operands, even if it is known."""
        for x, i in zip(node.inputs, node.indices, strict=True):
            if isinstance(x, Node):
                self.output(x, i)
        return self._node(node, index)

    def output(self, node: Any, index: int = 0) -> Sum:
        """An output of a node."""
        stack = [(node, index)]
        while stack:
            place = stack[-1]
            missing = [
                (x, i)
                for x, i in zip(place[0].inputs, place[0].indices, strict=True)
                if isinstance(x, Node) and (x, i) not in self._found
            ]
            if place in self._found:
                stack.pop()
            elif missing:
                stack += missing
            else:
                self._found[place] = self._node(*stack.pop())
        return self._found[node, index]

    def _array(self, x: Any) -> Sum:
        if np.size(x) == 1:
            return of_number(exact(np.asarray(x).reshape(())))
        return of_symbol(self._constants[id(x)])

    def _node(self, node: Node, index: int) -> Sum:
        pairs = zip(node.inputs, node.indices, strict=True)
        operands = [self._found[x, i] if isinstance(x, Node) else self._array(x) for x, i in pairs]
        specs = input_specs(node)
        op: Any = node.op
        if len(node.outputs) == 1:
            relation = op.relation(specs, node.params)
            made = (
                _elementwise(op, specs, node, operands)
                if _is_elementwise(op, specs)
                else _contraction(specs, node, operands, relation)
            )
            if made is not None:
                return made
        return of_atom(self._applied(op, specs, node, operands, index))

    def _applied(
        self, op: Any, specs: list[Any], node: Node, operands: list[Sum], index: int
    ) -> Applied:
        """A primitive on operands as they are."""
        shape = node.outputs[index].shape
        each = len(node.outputs) == 1 and _is_elementwise(op, specs)
        axes = [Index(n, extent) for n, extent in enumerate(shape)]
        given: list[Sum | Number] = []
        for x, spec in zip(operands, specs, strict=True):
            if not x.indices and not any(p.factors for p in x.products):
                given.append(sum((p.coefficient for p in x.products), Fraction(0)))
            elif each:
                given.append(_spread(x, spec, axes).canonical())
            else:
                given.append(x.canonical())
        params = tuple((name, self._setting(value)) for name, value in sorted(node.params.items()))
        shapes = tuple(s.shape if isinstance(s, Spec) else () for s in specs)
        truth = node.outputs[index].dtype.kind == "bool"
        return Applied(op, tuple(given), params, shape, shapes, each, truth, index)

    def _setting(self, value: Any) -> Any:
        """A param; graphs get names."""
        if not isinstance(value, Graph):
            return value
        name = next((n for n, graph in self.graphs.items() if graph is value), None)
        if name is None:
            name = f"graph{len(self.graphs) + 1}"
            self.graphs[name] = value
        return NamedGraph(name)


# Elementwise


def _is_elementwise(op: Any, specs: Sequence[Any]) -> bool:
    kinds = {type(op.derivative(i)) for i in range(len(specs))}
    return Local in kinds and kinds <= {Local, Constant}


def _elementwise(op: Any, specs: list[Any], node: Node, operands: list[Sum]) -> Sum | None:
    """A sum, a product or a power of operands; None if it is another function."""
    output = node.outputs[0]
    if not output.size:
        return None  # nothing to try it on
    axes = [fresh(extent) for extent in output.shape]
    indices = tuple(index for index in axes if index.extent != 1)
    spread = [_spread(x, spec, axes) for x, spec in zip(operands, specs, strict=True)]
    samples, y = elementwise(node, specs)
    rules = [getattr(op.derivative(i), "rule", None) for i in range(len(specs))]
    if all(isinstance(rule, int) for rule in rules) and any(rules):
        total = sum(rule * x for rule, x in zip(rules, samples, strict=True))
        if is_same(y, total):
            parts = [p for rule, x in zip(rules, spread) for p in _times(x.products, rule or 0)]
            return added(indices, parts)
    varying = [n for n, s in enumerate(specs) if isinstance(s, Spec)]
    if len(varying) == 1:
        (n,) = varying
        power = next((k for k in POWERS if is_same(y, samples[n] ** float(k))), None)
        if power == 1 and samples[n].dtype != bool:
            power = None  # a clipped number is itself where it was tried
        if power is not None and (made := _to_power(spread[n], power)) is not None:
            return added(indices, made.products)
    pair = varying if len(varying) == 2 else [0, 1] if len(specs) == 2 else []
    if not pair:
        return None
    left, right = pair
    return _of_two(y, samples[left], samples[right], spread[left], spread[right], axes)


def _of_two(y: Any, a: Any, b: Any, left: Sum, right: Sum, axes: Sequence[Index]) -> Sum | None:
    """A product or a quotient of two operands."""
    indices = tuple(index for index in axes if index.extent != 1)
    found: Sum | None = right if is_same(y, a * b) else None
    if bool in (a.dtype, b.dtype) and not (_is_finite(left) and _is_finite(right)):
        return None  # where a condition does not hold, infinity stays out, too
    if found is None and a.dtype.kind == b.dtype.kind == "f" and is_same(y, a / b):
        found = _to_power(right, -1)
    if found is None:
        return None
    return added(indices, [multiplied([p, q]) for p, q in _pairs([left, found], axes)])


def _is_finite(x: Sum) -> bool:
    """Whether nothing is divided, and no function applied but conditions."""
    factors = [f for p in x.products for f in p.factors]
    return all(
        f.power > 0 and (not isinstance(f.atom, Applied) or f.atom.truth) and _is_inside(f.atom)
        for f in factors
    )


def _is_inside(atom: Any) -> bool:
    return not isinstance(atom, Grouped) or _is_finite(atom.inside)


def _pairs(spread: Sequence[Sum], axes: Sequence[Index]) -> list[tuple[Product, Product]]:
    """Each product of one with each of the other, sums being in brackets."""
    left, right = (_in_brackets(x) for x in spread)
    return [(a, b) for a in left.products for b in right.products]


def _in_brackets(x: Sum) -> Sum:
    """At most one product, for the same indices."""
    if len(x.products) < 2:
        return x
    used = {i for p in x.products for f in p.factors for i in f.indices}
    own = tuple(i for i in x.indices if i in used)
    made = grouped(Sum(own, x.products))
    return Sum(x.indices, made.at(own))


def _to_power(x: Sum, power: int) -> Sum | None:
    """A single product, whose factors have all its indices, to a power."""
    x = _in_brackets(x)
    if len(x.products) != 1:
        return None
    (product,) = x.products
    if not product.coefficient:
        return None
    own = set(x.indices)
    if any(index not in own for f in product.factors for index in f.indices):
        used = tuple(i for i in x.indices if any(i in f.indices for f in product.factors))
        atom = Grouped(Sum(used, x.products).canonical())
        return Sum(x.indices, (Product(Fraction(1), (Factor(atom, used, power),)),))
    factors = tuple(f._replace(power=f.power * power) for f in product.factors)
    return Sum(x.indices, (Product(exact(float(product.coefficient) ** power), factors),))


def _times(products: Sequence[Product], number: int) -> list[Product]:
    return [p._replace(coefficient=p.coefficient * number) for p in products]


def _spread(x: Sum, spec: Any, axes: Sequence[Index]) -> Sum:
    """An operand for the axes of the result; where it is stretched it has no index."""
    shape = spec.shape if isinstance(spec, Spec) else ()
    offset = len(axes) - len(shape)
    own = [axes[offset + n] for n, extent in enumerate(shape) if extent != 1]
    return Sum(tuple(i for i in axes if i.extent != 1), x.at(own))


# Sums over axes


def _contraction(
    specs: list[Any], node: Node, operands: list[Sum], relation: Relation
) -> Sum | None:
    """What a relation says, if the primitive is linear in each operand and does just that."""
    if relation.moved or relation.mixed or not all(isinstance(s, Spec) for s in specs):
        return None
    labels = [_labels(axes, s.shape) for axes, s in zip(relation.operands, specs, strict=True)]
    made = _labels(relation.outputs[0], node.outputs[0].shape)
    groups = _GROUPS.get(len(specs))
    if made is None or groups is None or any(found is None for found in labels):
        return None
    if len(set(made)) < len(made) or not all(s.size for s in (*specs, node.outputs[0])):
        return None
    extents = [
        pair
        for found, spec in zip([*labels, made], [*specs, node.outputs[0]], strict=True)
        for pair in zip(found or (), (n for n in spec.shape if n != 1), strict=True)
    ]
    if len(dict(extents)) < len(set(extents)):
        return None  # a diagonal of what is no square
    numbers = factors(node, specs, [found or () for found in labels], made, groups)
    if not numbers:
        return None
    indices = {label: fresh(extent) for label, extent in extents}
    own = tuple(indices[label] for label in made)
    products: list[Product] = []
    for group, factor in zip(groups, numbers, strict=True):
        given = [(operands[n], [indices[label] for label in labels[n] or ()]) for n in group]
        products += _summed(given, own, factor)
    return added(own, products)


_GROUPS: dict[int, tuple[tuple[int, ...], ...]] = {1: ((0,),), 2: ((0, 1),), 3: ((0, 1), (2,))}


def _summed(
    given: Sequence[tuple[Sum, list[Index]]], own: Sequence[Index], factor: Number
) -> list[Product]:
    """Operands at their indices, multiplied and summed over what is none of the result's own."""
    summed = {index for _, indices in given for index in indices} - set(own)
    apart = bool(summed) or len(given) > 1
    parts = [(grouped(x) if apart else x).at(indices) for x, indices in given]
    used = {i for part in parts for p in part for f in p.factors for i in f.indices}
    for index in summed - used:
        factor = factor * index.extent
    made = [multiplied(choice) for choice in _choices(parts)]
    return [p._replace(coefficient=p.coefficient * factor) for p in made]


def _choices(parts: Sequence[Sequence[Product]]) -> list[tuple[Product, ...]]:
    found: list[tuple[Product, ...]] = [()]
    for part in parts:
        found = [(*before, p) for before in found for p in part]
    return found


def _labels(axes: Sequence[Any], shape: Sequence[int]) -> tuple[Any, ...] | None:
    """One label for each axis that is longer than 1; None if an axis is made of several."""
    found = []
    for label, extent in zip(axes, shape, strict=True):
        if extent == 1:
            continue
        parts = atoms([label])
        if len(parts) != 1:
            return None
        found.append(parts[0])
    return tuple(found)
