"""Steps and edges as formulas, in the names that the program gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.kinds import Local, Transpose
from limpid.differentiation.rules import RuleRecorder, fit, recorded_rule
from limpid.explanation.formulas.latex import latex, name_latex
from limpid.explanation.formulas.matrices import term
from limpid.explanation.formulas.products import Sum, Symbol, of_symbol
from limpid.explanation.formulas.reading import Reader
from limpid.explanation.formulas.text import text
from limpid.explanation.names import constant_name
from limpid.graph.context import recording_into
from limpid.graph.node import Node, reachable
from limpid.graph.source import operand_names
from limpid.tensor import Tensor

Known = dict[tuple[Any, int], Sum]


class WrittenEdge(NamedTuple):
    """The downstream and the local derivative of an operand."""

    text: str
    latex: str
    local_text: str
    local_latex: str


class Unwritten:
    """Stands for `Rules` where nobody reads formulas."""

    def step(self, node: Node) -> tuple[str, str]:
        """No text, no LaTeX."""
        return "", ""

    def edge(self, node: Node, i: int) -> WrittenEdge:
        """The same for an operand."""
        return WrittenEdge("", "", "", "")


class Rules:
    """Writes what nodes compute and what they pass on."""

    def __init__(self, names: Mapping[Node, str], ids: Mapping[Node, str]):
        self._names, self._ids = names, ids

    def step(self, node: Node) -> tuple[str, str]:
        """What a node computes, as text and as LaTeX."""
        if not node.inputs:
            return self._names[node], self._latex(node)
        known: Known = {}
        for x, index in zip(node.inputs, node.indices, strict=True):
            if isinstance(x, Node):
                known[x, index] = of_symbol(self._symbol(x, index))
        made = term(Reader(known, _constants([node])).define(node, 0))
        return text(made, shown=True), latex(made)

    def edge(self, node: Node, i: int) -> WrittenEdge:
        """The rule of operand i."""
        op: Any = node.op
        rule = recorded_rule(op, i, node)
        known = self._known(node, rule)
        derivative = op.derivative(i)
        with recording_into(RuleRecorder()):
            spec = node.inputs[i].outputs[node.indices[i]]
            passed = None if rule.downstream is None else fit(rule.downstream, spec, op)
        formula = self._write(passed, known)
        if isinstance(derivative, Local):
            local = derivative.rule if isinstance(derivative.rule, int) else rule.local
            return WrittenEdge(*formula, *self._write(local, known))
        operand = node.inputs[i]
        if isinstance(derivative, Transpose):
            return WrittenEdge(*formula, f"{op.name}ᵀ", rf"\mathrm{{{op.name}}}^\top")
        plain = f"∂{op.name}/∂{self._names[operand]}"
        fraction = rf"\frac{{\partial {self._latex(node)}}}{{\partial {self._latex(operand)}}}"
        return WrittenEdge(*formula, plain, fraction)

    def _known(self, node: Node, rule: Any) -> Known:
        known: Known = {}
        many, spelled = len(rule.outputs) > 1, _spelled([node])
        for k, (g, y) in enumerate(zip(rule.upstream, rule.outputs, strict=True), 1):
            known[g.node, 0] = of_symbol(Symbol(f"g{k}" if many else "g", g.shape))
            own = f"y{k}" if many else self._own(node)
            known[y.node, 0] = of_symbol(Symbol(own, y.shape))
        for x, index, stand_in in zip(node.inputs, node.indices, rule.operands, strict=True):
            if isinstance(stand_in, Tensor):
                symbol = self._symbol(x, index, spelled.get(id(x)))
                known[stand_in.node, 0] = of_symbol(symbol)
        return known

    def _own(self, node: Node) -> str:
        """What a node's own output is called in its rules: its name if that is short, else y."""
        name = self._names[node]
        return name if name.isidentifier() and name != self._ids[node] else "y"

    def _symbol(self, x: Any, index: int, spelled: str | None = None) -> Symbol:
        if not isinstance(x, Node):
            return _constant(x, spelled)
        many = len(x.outputs) > 1
        name = f"{self._names[x]}[{index}]" if many else self._names[x]
        return Symbol(name, x.outputs[index].shape, latex=self._latex(x))

    def _latex(self, x: Any) -> str:
        if not isinstance(x, Node):
            return constant_name(x)
        name = self._names[x]
        return name_latex(name if re.fullmatch(r"[\w.]+", name) else self._ids[x])

    def _write(self, value: Any, known: Known) -> tuple[str, str]:
        if value is None:
            return "0", "0"
        nodes = [value.node] if isinstance(value, Tensor) else []
        made = term(Reader(known, _constants(reachable(nodes))).read(value))
        return text(made, shown=True), latex(made)


def _constants(nodes: list[Node]) -> dict[int, Symbol]:
    """Symbols of arrays that nodes own."""
    spelled = _spelled(nodes)
    return {
        id(x): _constant(x, spelled.get(id(x)))
        for node in nodes
        for x in node.inputs
        if isinstance(x, np.ndarray) and x.size != 1
    }


def _spelled(nodes: list[Node]) -> dict[int, str]:
    """How the program spells the arrays that nodes own, by their ids."""
    return {
        id(x): name
        for node in nodes
        for x, name in zip(
            node.inputs, operand_names(node.source, len(node.inputs), node.op.name), strict=False
        )
        if isinstance(x, np.ndarray) and name and name.isidentifier()
    }


def _constant(x: Any, spelled: str | None) -> Symbol:
    if spelled is not None:
        return Symbol(spelled, x.shape, x)
    return Symbol(constant_name(x), x.shape, x, rf"\mathrm{{{constant_name(x)}}}")
