"""The explanation record: plain data, versioned, with ids that are stable for one graph."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

VERSION = 1
SMALL = 16  # arrays of up to this many elements are shown as numbers


@dataclass(frozen=True)
class Quantity:
    """An array in an explanation: by reference, with statistics; numbers only when it is small."""

    array: np.ndarray[Any, Any] = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def is_small(self) -> bool:
        return self.array.size <= SMALL

    def statistics(self) -> dict[str, float]:
        """norm, min, max, mean, and how many are zero or not finite."""
        x = self.array
        if not x.size:
            return {"size": 0}
        finite = x[np.isfinite(x)].astype(np.float64)
        some = finite if finite.size else np.array([np.nan])
        return {
            "size": x.size,
            "norm": float(np.sqrt(np.sum(finite * finite))),
            "min": float(some.min()),
            "max": float(some.max()),
            "mean": float(some.mean()),
            "zeros": int((x == 0).sum()),
            "not_finite": int(x.size - finite.size),
        }

    def __str__(self) -> str:
        """The numbers of a small array, the statistics of a large one."""
        return _numbers(self.array) if self.is_small else self._summary()

    def _summary(self) -> str:
        found = self.statistics()
        shape = "×".join(map(str, self.shape))
        text = f"[{shape}: norm {found['norm']:.3g}, {found['min']:.3g} … {found['max']:.3g}"
        if found["zeros"]:
            text += f", {found['zeros'] / found['size']:.0%} zero"
        if found["not_finite"]:
            text += f", {found['not_finite']} not finite"
        return text + "]"

    def to_json(self) -> dict[str, Any]:
        """Shape, dtype, statistics, and the numbers if there are few."""
        shown: dict[str, Any] = {"shape": list(self.shape), "dtype": self.array.dtype.name}
        if self.is_small:
            shown["values"] = self.array.tolist()
        else:
            shown["statistics"] = self.statistics()
        return shown


@dataclass(frozen=True)
class Step:
    """One node of the forward graph."""

    id: str
    op: str
    name: str  # the user's spelling where it can be told, else the id
    formula: str  # the op on the names of its operands
    inputs: tuple[str, ...]  # ids, or constants as text
    value: Quantity | None
    gradient: Quantity | None  # the sum of all that arrives; None where nothing does
    source: str  # file:line
    scope: str


@dataclass(frozen=True)
class Edge:
    """What one node passes to one of its inputs: upstream × local = downstream."""

    id: str
    node: str  # id of the node whose rule this is
    operand: int
    to: str  # id of the input that receives
    kind: str  # "elementwise", "linear" or "general"
    rule: str  # the downstream as a formula in g, y and the operands' names
    pattern: str  # how the gate behaves: "distributes", "routes", "swaps and multiplies", …
    structure: str  # of the Jacobian: "diagonal", "selection", "block" or "dense"
    upstream: Quantity
    local: Quantity | None  # the local derivative where it is an array (elementwise)
    local_rule: str  # the local derivative as a formula
    downstream: Quantity
    source: str
    scope: str


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
    `to_json()` is versioned data; large arrays stay references and are given by statistics.
    """

    output: str
    steps: tuple[Step, ...]
    edges: tuple[Edge, ...]
    sums: tuple[FanOut, ...]
    version: int = VERSION

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
        from limpid.explanation.text import render_text

        return render_text(self)


def _numbers(array: np.ndarray[Any, Any]) -> str:
    """Up to six digits, without NumPy's trailing points."""
    if array.dtype.kind == "f":
        if not array.shape:
            return f"{float(array):.6g}"
        array = np.array(array, np.float64)
    text = np.array2string(array, precision=6, separator=", ", suppress_small=True)
    text = re.sub(r"(\d)\.(?=[,\]\s]|$)", r"\1", " ".join(text.split()))
    return re.sub(r"\s+(?=[,\]])", "", text)


def _plain(part: Any) -> dict[str, Any]:
    plain = {
        key: value.to_json() if isinstance(value, Quantity) else value
        for key, value in vars(part).items()
    }
    return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}


__all__ = ["Contribution", "Edge", "Explanation", "FanOut", "Quantity", "Step"]
