"""The rule of every primitive, written as NumPy text and evaluated: it is the VJP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.differentiation.rules import RuleRecorder, downstream, fit, recorded_rule
from limpid.explanation.formulas.latex import latex
from limpid.explanation.formulas.matrices import term
from limpid.explanation.formulas.products import Sum, Symbol, of_symbol
from limpid.explanation.formulas.reading import Reader
from limpid.explanation.formulas.text import text
from limpid.explanation.values import forward_values
from limpid.graph.context import recording_into
from limpid.graph.graph import pick
from limpid.graph.node import Node, reachable
from limpid.graph.registry import primitives
from limpid.tensor import Tensor
from tests.table import ROWS, Row
from tests.test_table import Case

SPELLED = ("sum", "outer", "ones", "squeeze", "reshape", "where")
DIFFERENTIABLE = [row for row in ROWS if row.order >= 1]
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def edges(output: Any) -> Iterator[tuple[Node, int, Any, list[Any]]]:
    """Nodes and their operands that have a gradient, with values: (node, operand, y, operands)."""
    nodes = reachable([output.node])
    values = forward_values(nodes)
    for node in nodes:
        operands = [pick(values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]
        for i, x in enumerate(node.inputs):
            op: Any = node.op
            if isinstance(x, Node) and x.requires_grad and op.differentiable >> i & 1:
                yield node, i, values[node], operands


class Written:
    """A rule as text, and what its names stand for."""

    def __init__(self, node: Node, i: int, y: Any, operands: list[Any]):
        rule = recorded_rule(node.op, i, node)
        self.names: dict[str, Any] = {name: op.forward for name, op in primitives.items()}
        self.names |= {name: getattr(np, name) for name in SPELLED} | {"np": np}
        self.known: dict[tuple[Any, int], Sum] = {}
        rng = np.random.default_rng(i)
        self.upstream = [rng.normal(size=g.shape) for g in rule.upstream]
        outputs = y if isinstance(y, tuple) else (y,)
        for k, (g, out) in enumerate(zip(rule.upstream, rule.outputs, strict=True)):
            self._name(f"g{k}", g, self.upstream[k])
            self._name(f"y{k}", out, outputs[k])
        for n, (x, stand_in) in enumerate(zip(operands, rule.operands, strict=True)):
            if isinstance(stand_in, Tensor):
                self._name(f"x{n}", stand_in, x)
        self.spec = node.inputs[i].outputs[node.indices[i]]
        self.passed = None
        if rule.downstream is not None:
            with recording_into(RuleRecorder()):
                self.passed = fit(rule.downstream, self.spec, node.op)

    def _name(self, name: str, x: Any, value: Any) -> None:
        self.known[x.node, 0] = of_symbol(Symbol(name, x.shape))
        self.names[name] = np.squeeze(value)

    def sum(self) -> Sum:
        """The rule, read; constants that it owns get names, too."""
        assert self.passed is not None
        constants: dict[int, Symbol] = {}
        for node in reachable([self.passed.node]):
            for x in node.inputs:
                if isinstance(x, np.ndarray) and x.size != 1 and id(x) not in constants:
                    constants[id(x)] = Symbol(f"c{len(constants)}", x.shape, x)
                    self.names[f"c{len(constants) - 1}"] = np.squeeze(x)
        reader = Reader(self.known, constants)
        made = reader.read(self.passed)
        self.names |= reader.graphs
        return made


@pytest.mark.parametrize("row", DIFFERENTIABLE, ids=[row.id for row in DIFFERENTIABLE])
def test_the_printed_rule_is_the_vjp(row: Row) -> None:
    case = Case(row)
    inputs = [limpid.tensor(x, requires_grad=True, dtype="float64") for x in case.point]
    output = case.scalar(*inputs)
    if not output.requires_grad:
        return
    for node, i, y, operands in edges(output):
        written = Written(node, i, y, operands)
        if written.passed is None:
            continue
        formula = term(written.sum())
        actual = np.asarray(eval(text(formula), written.names))
        g = tuple(written.upstream) if len(written.upstream) > 1 else written.upstream[0]
        vjp = np.asarray(downstream(node.op, i, g, y, operands, node.params))
        expected = fit(vjp, written.spec, node.op)
        shape = tuple(n for n in expected.shape if n != 1)
        np.testing.assert_allclose(
            np.broadcast_to(actual, shape), expected.reshape(shape), rtol=1e-8, atol=1e-9
        )
        assert latex(formula).count("{") == latex(formula).count("}")


def test_every_primitive_with_a_derivative_has_been_written() -> None:
    """The rows above meet all of them."""
    met: set[str] = set()
    for row in DIFFERENTIABLE:
        case = Case(row)
        inputs = [limpid.tensor(x, requires_grad=True, dtype="float64") for x in case.point]
        output = case.scalar(*inputs)
        if output.requires_grad:
            met.update(node.op.name for node, *_ in edges(output))
    tested = {row.primitive for row in DIFFERENTIABLE}
    assert {name for name in tested - met if primitives[name].differentiable} == set()
