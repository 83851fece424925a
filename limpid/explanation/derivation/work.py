"""Finding the equations of a derivation: forward, then from the output back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from limpid.differentiation.rules import RuleRecorder, fit, recorded_rule
from limpid.explanation.derivation.chains import LocalRule, chains, local_rules
from limpid.explanation.derivation.derivation import Derivation, Equation
from limpid.explanation.derivation.orders import orders
from limpid.explanation.formulas.latex import gradient_latex
from limpid.explanation.formulas.matrices import term
from limpid.explanation.formulas.products import Sum, Symbol, added, nothing, of_number, of_symbol
from limpid.explanation.formulas.reading import Reader
from limpid.explanation.formulas.terms import Named
from limpid.explanation.formulas.text import identifier
from limpid.explanation.names import name_nodes
from limpid.graph.context import recording_into
from limpid.graph.node import Node
from limpid.graph.source import operand_names, target_name
from limpid.tensor import Tensor

LONG = 6  # factors up to which what has no name is written where it is used
SHORT = 8  # factors up to which a gradient is also written without other gradients

Pair = tuple[Sum, Sum]  # by the gradients before it, and without any


def derive_pass(
    nodes: Sequence[Node], output: Node, wrt: Sequence[Node], leaves: Mapping[Node, Any]
) -> Derivation:
    """The derivation for nodes of which the values of leaves are known."""
    return _Work(nodes, output, wrt, leaves).derivation()


class _Work:
    def __init__(
        self,
        nodes: Sequence[Node],
        output: Node,
        wrt: Sequence[Node],
        leaves: Mapping[Node, Any],
    ):
        self.output, self.nodes, self.leaves = output, nodes, leaves
        self.wrt = list(wrt) or [n for n in nodes if not n.inputs and n.requires_grad]
        self.names = _names(self.nodes, self.output)
        self.constants = _constants(self.nodes, set(self.names.values()))
        self.symbols: dict[Node, Symbol] = {}
        self.known: dict[tuple[Node, int], Sum] = {}
        self.reader = Reader({}, self.constants)
        self.forward: list[Equation] = []
        self.gradients: list[Equation] = []
        self.locals: list[LocalRule] = []
        self.quantities: dict[str, str] = {}  # names, by those of their gradients

    def derivation(self) -> Derivation:
        for node in self.nodes:
            self._define(node)
        found = dict(self._results())
        return Derivation(
            self._name(self.output),
            tuple(self.forward),
            tuple(self.gradients),
            tuple(self.locals),
            {self._name(node): found[node] for node in self.wrt},
            {
                self._name(node): chains(self.locals, self._name(node), self._name(self.output))
                for node in self.wrt
            },
            orders(self.nodes, self.output, self.wrt),
            dict(self._values()),
        )

    def _values(self) -> Iterator[tuple[str, Any]]:
        """What the equations begin with."""
        for node in self.nodes:
            if not node.inputs:
                yield identifier(self._name(node)), np.squeeze(self.leaves[node])
        for symbol in self.constants.values():
            yield identifier(symbol.name), np.squeeze(symbol.constant)
        yield from self.reader.graphs.items()

    # Forward

    def _define(self, node: Node) -> None:
        """A symbol for a node that has a name or would be long, else what it is."""
        if not node.inputs:
            self._call(node, self.names[node])
            return
        made = [self.reader.define(node, k) for k in range(len(node.outputs))]
        is_named = node in self.names or node in self.wrt or len(made) > 1
        if not is_named and made[0].size <= LONG:
            self.known[node, 0] = made[0]
            self.reader.learn(node, 0, made[0])
            return
        name = self.names.setdefault(node, f"v{len(self.names) + 1}")
        for k, x in enumerate(made):
            own = name if len(made) == 1 else f"{name}_{k}"
            self.forward.append(Equation(Named(own, node.outputs[k].shape), term(x)))
        self._call(node, name)

    def _call(self, node: Node, name: str) -> None:
        for k, spec in enumerate(node.outputs):
            own = name if len(node.outputs) == 1 else f"{name}_{k}"
            symbol = Symbol(own, spec.shape)
            self.symbols.setdefault(node, symbol)
            self.known[node, k] = of_symbol(symbol)
            self.reader.learn(node, k, self.known[node, k])

    def _name(self, node: Node) -> str:
        return self.symbols[node].name

    # Backward

    def _results(self) -> Iterator[tuple[Node, Equation]]:
        """The gradients of what is wanted; on the way all equations are noted."""
        active = self._active()
        arrived: dict[tuple[Node, int], list[Pair]] = {}
        one = of_number(Fraction(1))
        arrived[self.output, 0] = [(one, one)]
        for node in reversed(self.nodes):
            totals = [_total(arrived.get((node, k))) for k in range(len(node.outputs))]
            if all(t is None for t in totals) or node not in active:
                continue
            if node in self.symbols and node is not self.output:
                totals = [self._noted(node, k, t) for k, t in enumerate(totals)]
                if node in self.wrt:
                    yield node, self.gradients[-1]
            if node.inputs:
                self._pull(node, totals, active, arrived)

    def _active(self) -> set[Node]:
        """The nodes on the ways from what is wanted to the output."""
        found = set(self.wrt)
        for node in self.nodes:
            if any(isinstance(x, Node) and x in found for x in node.inputs):
                found.add(node)
        return found

    def _noted(self, node: Node, k: int, total: Pair | None) -> Pair | None:
        """The gradient of a symbol as an equation; from now on it is a symbol, too."""
        if total is None:
            return None
        local, expanded = total
        shape = node.outputs[k].shape
        output, name = self._name(self.output), self._name(node)
        symbol = Symbol(
            f"d{identifier(output)}_d{identifier(name)}",
            shape,
            latex=gradient_latex(output, name),
        )
        short = expanded.size <= (SHORT if node in self.wrt else local.size)
        further = term(expanded) if short and term(expanded) != term(local) else None
        self.locals += local_rules(name, local, self.quantities, output)
        self.quantities[symbol.name] = name
        left = Named(symbol.name, shape, symbol.latex)
        self.gradients.append(Equation(left, term(local), further))
        return of_symbol(symbol), expanded

    def _pull(
        self,
        node: Node,
        totals: Sequence[Pair | None],
        active: set[Node],
        arrived: dict[tuple[Node, int], list[Pair]],
    ) -> None:
        """What the operands of a node receive."""
        op: Any = node.op
        for i, (x, index) in enumerate(zip(node.inputs, node.indices, strict=True)):
            if not isinstance(x, Node) or x not in active or not op.differentiable >> i & 1:
                continue
            rule = recorded_rule(op, i, node)
            if rule.downstream is None:
                continue
            with recording_into(RuleRecorder()):
                passed = fit(rule.downstream, x.outputs[index], op)
            pair = tuple(self._read(node, rule, passed, totals, n) for n in (0, 1))
            arrived.setdefault((x, index), []).append(pair)  # type: ignore[arg-type]  # two of them

    def _read(self, node: Node, rule: Any, passed: Any, totals: Any, which: int) -> Sum:
        known: dict[tuple[Node, int], Sum] = {}
        for k, (g, y) in enumerate(zip(rule.upstream, rule.outputs, strict=True)):
            total = totals[k]
            known[g.node, 0] = nothing(g.shape) if total is None else total[which]
            known[y.node, 0] = self.known[node, k]
        for x, index, stand_in in zip(node.inputs, node.indices, rule.operands, strict=True):
            if isinstance(stand_in, Tensor) and stand_in.node is not None:
                known[stand_in.node, 0] = (
                    self.known[x, index] if isinstance(x, Node) else self.reader.read(x)
                )
        reader = Reader(known, self.constants)
        reader.graphs = self.reader.graphs
        return reader.read(passed)


def _total(parts: Sequence[Pair] | None) -> Pair | None:
    """The sum at a fan-out."""
    if not parts:
        return None
    first = parts[0]
    return tuple(  # type: ignore[return-value]  # two of them
        added(first[n].indices, [p for part in parts for p in part[n].at(first[n].indices)])
        for n in (0, 1)
    )


def _names(nodes: Sequence[Node], output: Node) -> dict[Node, str]:
    """Names of leaves, and of what the program assigns to variables."""
    ids = {node: f"x{n}" for n, node in enumerate(nodes)}
    spelled = name_nodes(ids)
    named = {n: spelled[n] for n in nodes if not n.inputs}
    named |= {n: spelled[n] for n in nodes if n.inputs and target_name(n.source) == spelled[n]}
    scopes = Counter(n.scope for n in nodes if n.inputs)
    for n in nodes:
        if n.inputs and n not in named and n.scope and scopes[n.scope] == 1:
            named[n] = n.scope
    named.setdefault(output, "L")
    taken: set[str] = set()
    for node, name in named.items():
        while identifier(name) in taken:
            name += "_"
        taken.add(identifier(name))
        named[node] = name
    return named


def _constants(nodes: Sequence[Node], taken: set[str]) -> Mapping[int, Symbol]:
    """Symbols of arrays, named as the program spells them."""
    found: dict[int, Symbol] = {}
    for node in nodes:
        spelled = operand_names(node.source, len(node.inputs), node.op.name)
        for x, name in zip(node.inputs, spelled, strict=False):
            if isinstance(x, np.ndarray) and x.size != 1 and id(x) not in found:
                plain = name if name and name.isidentifier() and name not in taken else None
                known = next((s for s in found.values() if s.name == plain), None)
                if known is not None and np.array_equal(known.constant, x):
                    found[id(x)] = known
                    continue
                own = plain if plain and known is None else f"c{len(found) + 1}"
                found[id(x)] = Symbol(own, x.shape, x)
    return found
