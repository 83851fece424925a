"""The explanation record: plain data, versioned, with ids that are stable for one graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from json import dumps
from os import PathLike
from pathlib import Path
from typing import Any

from limpid.errors import ArgumentError
from limpid.explanation.quantity import Quantity

VERSION = 2


@dataclass(frozen=True)
class Step:
    """One node of the forward graph.

    id        `x1`, `x2`, … for what was given, `v1`, … for what was computed, oldest first; `c1`, …
              for what was computed without a gradient
    name      your spelling where it can be told, else the id
    formula   what is computed, in the names of operands; latex: the same
    inputs    ids, or constants as text
    values    of all outputs; gradients: the sums of what arrives, None where nothing does
    saved     bytes that are kept for the backward pass
    source    `file:line`, and expression: what stands there
    """

    id: str
    op: str
    name: str
    formula: str
    latex: str
    inputs: tuple[str, ...]
    values: tuple[Quantity, ...]
    gradients: tuple[Quantity | None, ...]
    saved: int
    source: str
    expression: str
    scope: str

    @property
    def value(self) -> Quantity:
        """The value of the first output."""
        return self.values[0]

    @property
    def gradient(self) -> Quantity | None:
        """The gradient of the first output."""
        return self.gradients[0]


@dataclass(frozen=True)
class Edge:
    """What one node passes to one of its inputs: upstream × local = downstream.

    node         id of the node whose rule this is; operand: the number of its operand
    to           id of the node that receives, and output: which of its outputs
    kind         "elementwise", "linear" or "general"
    words        the rule in words
    rule, latex  the downstream as a formula in g, y and the operands' names
    local_rule   the local derivative as a formula, and local_latex
    pattern      how the gate behaves: "distributes", "routes", "swaps and multiplies", …
    structure    of the Jacobian: "diagonal", "selection", "block", "low rank" or "dense"
    upstreams    gradients of the node's outputs, None where nothing came
    local        the local derivative where it is an array (elementwise)
    """

    id: str
    node: str
    operand: int
    to: str
    output: int
    kind: str
    words: str
    rule: str
    latex: str
    local_rule: str
    local_latex: str
    pattern: str
    structure: str
    upstreams: tuple[Quantity | None, ...]
    local: Quantity | None
    downstream: Quantity
    source: str
    expression: str
    scope: str

    @property
    def upstream(self) -> Quantity:
        """The gradient of the first output that has one."""
        return next(g for g in self.upstreams if g is not None)


@dataclass(frozen=True)
class Contribution:
    """What one edge adds at a fan-out, and its share of the sum's magnitude."""

    edge: str
    value: Quantity
    share: float


@dataclass(frozen=True)
class FanOut:
    """A value that is used more than once: its gradient is a sum."""

    id: str
    contributions: tuple[Contribution, ...]
    total: Quantity


@dataclass(frozen=True)
class Explanation:
    """Every node forward and every edge backward, newest first, of one output.

    Print it, index it by the name or id of a node, or read the parts: `steps`, `edges`, `sums`.
    `only` leaves parts out. `to_json()` is versioned data; large arrays stay references and are
    given by statistics. `latex()` is for a board, `html()` a page that needs no network.
    """

    output: str
    steps: tuple[Step, ...]
    edges: tuple[Edge, ...]
    sums: tuple[FanOut, ...]
    version: int = field(default=VERSION)

    def __getitem__(self, name: str) -> Step:
        for step in self.steps:
            if name in (step.id, step.name):
                return step
        raise KeyError(
            f"no node called {name!r}; there are {', '.join(s.name for s in self.steps)}"
        )

    def edges_into(self, name: str) -> tuple[Edge, ...]:
        """The edges that deliver to a node."""
        wanted = self[name].id
        return tuple(edge for edge in self.edges if edge.to == wanted)

    def only(
        self, module: str | None = None, depth: int | None = None, share: float | None = None
    ) -> Explanation:
        """The same with fewer edges, and the nodes and sums that they need.

        module  those of a module and of what is within it, by its path
        depth   those at most so many edges behind the output
        share   those that bring at least this share of the gradient where they arrive; what only
                comes by others is left out, too
        """
        edges: Iterable[Edge] = self.edges
        if module is not None:
            edges = [e for e in edges if e.scope == module or e.scope.startswith(f"{module}.")]
        if share is not None or depth is not None:
            edges = self._reached(list(edges), share or 0.0, depth)
        return self._with(list(edges))

    def at(self, names: Collection[str]) -> Explanation:
        """The edges of some nodes, by name or id."""
        wanted = {self[name].id for name in names}
        return self._with([edge for edge in self.edges if edge.node in wanted])

    def _reached(self, edges: list[Edge], share: float, depth: int | None) -> list[Edge]:
        """Edges on ways from the first nodes, each with its share, no longer than the depth."""
        shares = {c.edge: c.share for total in self.sums for c in total.contributions}
        steps = {edges[0].node: 0} if edges else {}
        found = []
        for edge in edges:  # newest first: what arrives at a node is known before it passes it on
            distance = steps.get(edge.node)
            if distance is None or shares.get(edge.id, 1.0) < share:
                continue
            if depth is None or distance < depth:
                found.append(edge)
                steps[edge.to] = min(steps.get(edge.to, distance + 1), distance + 1)
        return found

    def _with(self, edges: Collection[Edge]) -> Explanation:
        ids = {edge.node for edge in edges} | {edge.to for edge in edges} | {self.output}
        kept = {edge.id for edge in edges}
        sums = tuple(s for s in self.sums if any(c.edge in kept for c in s.contributions))
        steps = tuple(step for step in self.steps if step.id in ids)
        return replace(self, steps=steps, edges=tuple(edges), sums=sums)

    def to_json(self) -> dict[str, Any]:
        """The record as plain data for `json.dumps`."""
        return {
            "version": self.version,
            "output": self.output,
            "steps": [_plain(step) for step in self.steps],
            "edges": [_plain(edge) for edge in self.edges],
            "sums": [
                {
                    "id": s.id,
                    "total": s.total.to_json(),
                    "contributions": [_plain(c) for c in s.contributions],
                }
                for s in self.sums
            ],
        }

    def __str__(self) -> str:
        return self.text()

    def text(self, folded: bool = True) -> str:
        """All steps and edges for a terminal; of repeated blocks the first, or each."""
        from limpid.explanation.text import render_text

        return render_text(self, folded)

    def latex(self) -> str:
        """All steps and edges as LaTeX."""
        from limpid.explanation.board import render_latex

        return render_latex(self)

    def html(self) -> str:
        """A page that opens from disk, without network."""
        from limpid.explanation.page import render_page

        return render_page(self)

    def _repr_html_(self) -> str:
        from limpid.explanation.page import render_part

        return render_part(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to a file: .html, .json, .tex or .txt.

        Raises ArgumentError for another ending.
        """
        writers: dict[str, Callable[[], str]] = {
            ".html": self.html,
            ".json": lambda: dumps(self.to_json(), indent=1),
            ".tex": self.latex,
            ".txt": self.text,
        }
        write = writers.get(Path(path).suffix)
        if write is None:
            raise ArgumentError(f"{path}: the name must end in {', '.join(writers)}")
        Path(path).write_text(write(), encoding="utf-8")


def _plain(part: Any) -> dict[str, Any]:
    return {key: _data(value) for key, value in vars(part).items()}


def _data(value: Any) -> Any:
    if isinstance(value, Quantity):
        return value.to_json()
    return [_data(x) for x in value] if isinstance(value, tuple) else value


__all__ = ["Contribution", "Edge", "Explanation", "FanOut", "Quantity", "Step"]
