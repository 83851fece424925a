"""How much of a gradient comes through, along which path, and which edge took it away."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from limpid.explanation.build import number_nodes
from limpid.explanation.names import name_nodes
from limpid.explanation.reasons.causes import (
    CANCELS,
    FACTOR,
    MASK,
    ROUTED,
    SATURATED,
    UNDERFLOW,
    cause_of,
    depending,
    is_selection,
    norm,
    zero_operand,
)
from limpid.explanation.reasons.reason import Link, Reason
from limpid.explanation.walk import Output, Passage, Walk
from limpid.graph.node import Array, Node
from limpid.graph.source import describe, locate

TINY = 1e-6  # of the upstream: a gradient below this part of it counts as tiny
SPREAD = "small factors"
REMEDIES = {
    MASK: "smaller steps, another initialisation, or an activation that passes a little everywhere",
    SATURATED: "smaller inputs (normalise, smaller weights), or an activation that does not "
    "saturate",
    FACTOR: "values other than zero there, such as a random initialisation",
    ROUTED: "nothing, if that is meant; else read this part, too",
    UNDERFLOW: "a wider type (float32, float64), or scale the loss and unscale the gradients",
    CANCELS: "nothing, if that is meant; else look at the signs of the terms",
    SPREAD: "residual connections, normalisation, or weights of a larger scale",
}


class Flow:
    """The backward pass from a loss, looked at from one tensor."""

    def __init__(self, walk: Walk, target: Output) -> None:
        self.walk, self.target = walk, target
        self.passages = list(walk.passages())
        self.names = name_nodes(number_nodes(walk.nodes))
        self.into: dict[Output, list[Passage]] = {}
        behind = depending(walk.nodes, target[0])
        self.relevant = [p for p in self.passages if p.to == target or p.to[0] in behind]
        for passage in self.passages:
            self.into.setdefault(passage.to, []).append(passage)

    def reason(self) -> Reason:
        """Why the gradient of the target is what it is."""
        gradient = self.walk.gradient(self.target)
        seed = self.walk.arrived[self.walk.end][0]
        if not np.any(seed):
            text = "the upstream gradient that backward began with is zero everywhere"
            return Reason("zero", "zero upstream", text, remedy="pass another gradient=…")
        if gradient is None:
            return self._flat()
        if not np.all(np.isfinite(gradient)):
            return self._not_finite(gradient)
        if not gradient.any():
            return self._zero()
        whole = norm(gradient) / norm(seed)
        path = self.strongest_path(self.target)
        if whole < TINY:
            return self._tiny(whole, path)
        text = f"a gradient arrives: norm {norm(gradient):.3g}, {_zeros(gradient)}"
        return Reason("arrives", "arrives", text, edges=self.links(path), whole=whole)

    # The path

    def strongest_path(self, output: Output) -> list[Passage]:
        """From the loss to an output, each edge the largest of those that deliver to the next."""
        path: list[Passage] = []
        while output in self.into:
            best = max(self.into[output], key=lambda p: _strength(p.downstream))
            path.append(best)
            output = best.node, self._strongest_output(best)
        return path[::-1]

    def _strongest_output(self, edge: Passage) -> int:
        sizes = [-1.0 if g is None else _strength(g) for g in edge.upstream]
        return sizes.index(max(sizes))

    def links(self, path: list[Passage]) -> tuple[Link, ...]:
        """The factors of a path: those of its edges, and of the sums at fan-outs where it meets."""
        links = []
        for edge in path:
            arrived = edge.upstream[self._strongest_output(edge)]
            assert arrived is not None
            passed, total = norm(edge.downstream), self.walk.gradient(edge.to)
            assert total is not None
            links.append(self._link(edge, edge.node.op.name, _ratio(passed, norm(arrived))))
            if len(self.into[edge.to]) > 1:
                links.append(self._link(edge, "sum", _ratio(norm(total), passed)))
        return tuple(links)

    def _link(self, edge: Passage, op: str, factor: float) -> Link:
        to = self.names[edge.to[0]]
        node = to if op == "sum" else self.names[edge.node]
        return Link(node, to, op, factor, place(edge.node), edge.node.scope)

    # The verdicts

    def _flat(self) -> Reason:
        """Nothing was passed on at all: a rule gave none, or an operand has no derivative."""
        behind = depending(self.walk.nodes, self.target[0])
        blocked = [node for node, i in self.walk.blocked if node.inputs[i] in behind]
        if blocked:
            text = f"no path: the backward rule of {blocked[0].op.name} gives None for it"
            where = f"{text}, at {_where(blocked[0])}"
            return Reason("none", "flat", where, place(blocked[0]), "a backward that returns it")
        text = (
            f"the loss reads {self.names[self.target[0]]} only where the derivative is zero "
            "everywhere"
        )
        return Reason("none", "flat", text, remedy="a function with a derivative")

    def _not_finite(self, gradient: Array) -> Reason:
        first = next(
            (p for p in self.passages if _finite(p.arrived) and not _finite(p.downstream)), None
        )
        count = int(np.sum(~np.isfinite(gradient)))
        text = f"{count} of {gradient.size} elements are NaN or infinite"
        if first is None:
            return Reason("not finite", "not finite", f"{text}, as is what backward began with")
        text += f"; the first came up in the gradient of {self._named(first)}"
        path = [*self.strongest_path((first.node, 0)), first]
        return Reason(
            "not finite", "not finite", text, place(first.node),
            "values inside the domain: limpid.where on the inputs, a small constant, clipping",
            self.links(path),
        )  # fmt: skip

    def _zero(self) -> Reason:
        killers = [p for p in self.relevant if _any(p.upstream) and not p.downstream.any()]
        if not killers:
            return self._cancelled()
        killer = max(killers, key=lambda p: _strength(p.arrived))
        kind = cause_of(killer, self.walk)
        text = f"a path exists, but {self._sentence(killer, kind)}"
        others = len({id(p.node) for p in killers}) - 1
        if others:
            text += f"; {others} other path{'s' * (others > 1)} end{'s' * (others == 1)} likewise"
        blamed = self._router(killer) if kind == ROUTED else killer.node
        path = [*self.strongest_path((killer.node, self._strongest_output(killer))), killer]
        return Reason(
            "zero", kind, text, place(blamed), REMEDIES[kind], self.links(path), whole=0.0
        )

    def _cancelled(self) -> Reason:
        """No edge passes zero, but a sum is."""
        for output, edges in reversed(list(self.into.items())):
            total = self.walk.gradient(output)
            if len(edges) > 1 and total is not None and not total.any() and _any_passed(edges):
                parts = " + ".join(f"{norm(p.downstream):.3g}" for p in edges)
                text = (
                    f"a path exists, but what {len(edges)} edges deliver to "
                    f"{self.names[output[0]]} adds up to zero (norms {parts})"
                )
                links = self.links(self.strongest_path(output))
                where = place(edges[0].node)
                return Reason("zero", CANCELS, text, where, REMEDIES[CANCELS], links, whole=0.0)
        text = "a path exists, but where one edge passes something, the next takes another part"
        return Reason("zero", ROUTED, text, remedy=REMEDIES[ROUTED], whole=0.0)

    def _tiny(self, whole: float, path: list[Passage]) -> Reason:
        links = self.links(path)
        smallest = min(links, key=lambda link: link.factor)
        share = math.log(smallest.factor) / math.log(whole)
        edge = next(p for p in path if self._is_of(p, smallest))
        text = f"a gradient arrives, but only {whole:.3g} of what backward began with"
        if share < 0.5:
            count = sum(link.factor < 1 for link in links)
            text += f": {count} edges take it away, none of them alone"
            return Reason("tiny", SPREAD, text, "", REMEDIES[SPREAD], links, whole)
        kind = CANCELS if smallest.op == "sum" else cause_of(edge, self.walk)
        text += f": {self._sentence(edge, kind)} (× {smallest.factor:.3g})"
        return Reason("tiny", kind, text, place(edge.node), REMEDIES[kind], links, whole)

    def _is_of(self, edge: Passage, link: Link) -> bool:
        if link.op == "sum":
            return self.names[edge.to[0]] == link.to
        return self.names[edge.node] == link.node and self.names[edge.to[0]] == link.to

    # The words

    def _named(self, edge: Passage) -> str:
        where = describe(edge.node.source).rsplit("/", 1)[-1] if edge.node.source else ""
        scope = f" in {edge.node.scope}" if edge.node.scope else ""
        return f"{edge.node.op.name}{scope} at {where}" if where else f"{edge.node.op.name}{scope}"

    def _sentence(self, edge: Passage, kind: str) -> str:
        op, to = edge.node.op.name, self.names[edge.to[0]]
        if kind == MASK:
            passing = float(np.mean(edge.local)) if np.size(edge.local) else 0.0
            text = f"it is killed by the {op} mask, {1 - passing:.0%} zeros"
            if passing and not edge.downstream.any():
                text += ", open only where nothing arrives"
            return self._at(edge, text)
        if kind == SATURATED:
            largest = "" if edge.local is None else f", at most {_largest(edge.local):.3g}"
            return self._at(edge, f"{op} is flat (saturated): its local derivative is ~0{largest}")
        if kind == UNDERFLOW:
            dtype = edge.downstream.dtype.name
            return self._at(edge, f"what {op} passes on is too small for {dtype}")
        if kind == FACTOR:
            return self._at(edge, f"{op} multiplies by {self._factor(edge)}, which is zero there")
        if kind == ROUTED:
            router = self._router(edge)
            return f"{router.op.name} at {_where(router)} routes it elsewhere: none is for {to}"
        return self._at(edge, f"the terms that {op} adds up for {to} cancel")

    def _at(self, edge: Passage, text: str) -> str:
        scope = f" ({edge.node.scope})" if edge.node.scope else ""
        return f"{text}, at {_where(edge.node)}{scope}"

    def _factor(self, edge: Passage) -> str:
        k = zero_operand(edge, self.walk)
        others = [i for i in range(len(edge.node.inputs)) if i != edge.operand]
        k = others[0] if k is None and others else k
        if k is None:
            return "the local derivative"
        x = edge.node.inputs[k]
        if isinstance(x, Node):
            return self.names[x]
        return f"{x:g}" if isinstance(x, int | float) else "a constant"

    def _router(self, edge: Passage) -> Node:
        """The node that chose other elements: this one, or the next after it that only moves."""
        op: Any = edge.node.op
        if op.gate == "routes":
            return edge.node
        after = self.into.get((edge.node, self._strongest_output(edge)), [])
        routing = [p for p in after if p.node.op.gate == "routes" or is_selection(p)]  # type: ignore[attr-defined]  # primitives
        return routing[0].node if routing else edge.node


def place(node: Node) -> str:
    """`file:line` of a node; "" where it is unknown."""
    location = locate(node.source)
    return str(location) if location else ""


def _where(node: Node) -> str:
    return describe(node.source).rsplit("/", 1)[-1]


def _strength(x: Array) -> float:
    size = norm(x)
    return math.inf if math.isnan(size) else size


def _ratio(above: float, below: float) -> float:
    return above / below if below else 0.0


def _zeros(x: Array) -> str:
    return f"{float(np.mean(x == 0)) if x.size else 0.0:.0%} zeros"


def _largest(local: Any) -> float:
    return float(np.max(np.abs(local), initial=0.0))


def _finite(x: Array) -> bool:
    return bool(np.all(np.isfinite(x)))


def _any(parts: tuple[Array | None, ...]) -> bool:
    return any(g is not None and g.any() for g in parts)


def _any_passed(edges: list[Passage]) -> bool:
    return any(p.downstream.any() for p in edges)
