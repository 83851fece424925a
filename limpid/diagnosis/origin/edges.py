"""Edges of a backward pass as computations: upstream × local = downstream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limpid.diagnosis.origin.computation import Computation, Maker, as_tuple
from limpid.differentiation.kinds import Local
from limpid.differentiation.rules import downstream, fit
from limpid.graph.node import Array, Node


class Sum(Computation):
    """Gradients that meet at a fan-out, added in the order in which they came."""

    def __init__(self, node: Node, parts: Sequence[tuple[Any, Maker]], number: float) -> None:
        self.op, self.params, self.number = node.op, {}, number
        self.scope, self.source, self.forward = node.scope, node.source, node
        self.operands = [x for x, _ in parts]
        self._makers = [maker for _, maker in parts]

    def makers(self) -> Sequence[Maker | None]:
        """The edges."""
        return self._makers

    def outputs(self) -> Sequence[Any]:
        """Their sum."""
        return self.evaluate(self.operands)

    def evaluate(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The sum of others."""
        total = operands[0]
        with np.errstate(all="ignore"):
            for x in operands[1:]:
                total = total + x
        return (np.asarray(total),)

    def operand_name(self, i: int) -> str:
        """Parts have no names."""
        return f"part {i + 1}"

    def is_elementwise(self, k: int) -> bool:
        """Sums are."""
        return True


class Edge(Computation):
    """What a node passes to one operand. Its operands are upstreams, outputs, operands.

    Values that the rule does not read may be specs, as the engine keeps them. `known` gives the
    operands of the forward pass, as far as somebody knows them.
    """

    def __init__(
        self,
        node: Node,
        i: int,
        values: tuple[Sequence[Any], Any, Sequence[Any]],
        makers: Sequence[Maker | None],
        number: float,
        known: Callable[[], Sequence[Any]],
    ) -> None:
        upstream, y, operands = values
        self.node, self.i, self.number = node, i, number
        self.op, self.params = node.op, node.params
        self.scope, self.source, self.forward = node.scope, node.source, node
        self._first, self._second = len(upstream), len(upstream) + len(as_tuple(y))
        self._spec = node.inputs[i].outputs[node.indices[i]]
        self.operands = [*upstream, *as_tuple(y), *operands]
        self._makers, self._known = makers, known
        self._made: Any = None
        self._hushed: Array | None = None  # elements that a safe choice left out

    def makers(self) -> Sequence[Maker | None]:
        """What brought the upstreams, and what made the values of the forward pass."""
        return self._makers

    def outputs(self) -> Sequence[Any]:
        """The downstream gradient."""
        if self._made is None:
            self._made = self.evaluate(self.operands)[0]
        return (self._made,)

    def evaluate(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The downstream gradient for other upstreams and values."""
        g, y, x = self._parts(operands)
        op: Any = self.op
        with np.errstate(all="ignore"):
            if op.vjp_all is not None:
                passed = op.vjp_all([self.i], g, y, *x, **self.params)[self.i]
            else:
                passed = downstream(op, self.i, g, y, x, self.params)
            made = np.asarray(fit(passed, self._spec, op))
            if self._hushed is not None:
                made = np.where(self._hushed, made.dtype.type(0), made)
            return (made,)

    def hush(self, downstream: Array) -> None:
        """What a safe choice left out is 0 whatever the rule gives: as it was in the pass."""
        mask = np.isfinite(downstream) & ~np.isfinite(self.evaluate(self.operands)[0])
        self._hushed = mask if mask.any() else None

    def _parts(self, operands: Sequence[Any]) -> tuple[Any, Any, list[Any]]:
        g, y = tuple(operands[: self._first]), tuple(operands[self._first : self._second])
        one = self.op.outputs == 1
        return (g[0] if one else g), (y[0] if one else y), list(operands[self._second :])

    def operand_name(self, i: int) -> str:
        """Upstream, output, or as the declaration has it."""
        if i < self._second:
            return "upstream" if i < self._first else "y"
        return super().operand_name(i - self._second)

    def is_elementwise(self, k: int) -> bool:
        """Where the derivative is a local one, and nothing was broadcast."""
        if not isinstance(self.op.derivative(self.i), Local):
            return False
        return bool(np.shape(self.outputs()[0]) == np.shape(self.operands[0]))

    def local_at(self, index: tuple[int, ...]) -> float | None:
        """The local derivative for one element; None where it is no number."""
        derivative = self.op.derivative(self.i)
        if not isinstance(derivative, Local) or not self.is_elementwise(0):
            return None
        if isinstance(derivative.rule, int):
            return float(derivative.rule)
        _, y, x = self._parts(self.operands)
        with np.errstate(all="ignore"):
            local = np.asarray(derivative.rule(y, *x, **self.params))
        return float(np.broadcast_to(local, np.shape(self.operands[0]))[index])

    def upstream_at(self, index: tuple[int, ...]) -> float | None:
        """The upstream of one element."""
        if not self.is_elementwise(0):
            return None
        return float(np.asarray(self.operands[0])[index])

    def forward_call(self) -> Computation:
        """The forward computation, with the operands that are known."""
        return ForwardSide(self, self._known())


class ForwardSide(Computation):
    """The forward side of an edge, of which operands and shapes are asked for."""

    def __init__(self, edge: Edge, operands: Sequence[Any]) -> None:
        self.op, self.params = edge.op, edge.params
        values = (np.ndarray, np.generic, float, int)
        self.operands = [x if isinstance(x, values) else None for x in operands]
        self._shape = edge.node.outputs[0].shape

    def makers(self) -> Sequence[Maker | None]:
        """Nobody asks."""
        return [None] * len(self.operands)

    def outputs(self) -> Sequence[Any]:
        """Of the right shape."""
        return (np.broadcast_to(np.float64(0), self._shape),)
