"""Where the debugger stands, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from limpid.explanation.quantity import Quantity


@dataclass(frozen=True, repr=False)
class Moment:
    """One position of the debugger.

    position    0 at the start; then one for each node forward and each edge backward
    phase       "start", "forward", "backward" or "end"
    node        the id of the node that was computed, or whose rule was applied
    name, op    what it is called, and its primitive
    value       what the node computed (its first output)
    to          backward: the id of the node that receives, and its name in `to_name`
    upstream, local, downstream   backward: upstream × local = downstream; the local is None where
                it is not elementwise, and `rule` says what was done
    sums        backward: what has arrived so far at each node, by name
    inputs      the names of what nothing made: parameters, arguments
    source      file:line
    """

    position: int
    phase: str
    node: str = ""
    name: str = ""
    op: str = ""
    scope: str = ""
    source: str = ""
    formula: str = ""
    value: Quantity | None = None
    to: str = ""
    to_name: str = ""
    upstream: Quantity | None = None
    local: Quantity | None = None
    local_rule: str = ""
    downstream: Quantity | None = None
    rule: str = ""
    pattern: str = ""
    sums: dict[str, Quantity] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The moment for `json.dumps`; large arrays by their statistics."""
        plain = dict(vars(self))
        plain["inputs"] = list(self.inputs)
        plain["sums"] = {name: total.to_json() for name, total in self.sums.items()}
        for name in ("value", "upstream", "local", "downstream"):
            quantity = plain[name]
            plain[name] = None if quantity is None else quantity.to_json()
        return plain

    def __repr__(self) -> str:
        return str(self)  # what a person sees who moves in an interactive session

    @property
    def title(self) -> str:
        """The step in one line."""
        if self.phase in ("start", "end"):
            return f"at the {self.phase}"
        label = f"{self.node} = {self.name}" if self.name != self.node else self.node
        arrow = f" → {self.to_name}" if self.to else ""
        return f"{self.phase} {self.position}: {label}{arrow}  [{self.op}]"

    def __str__(self) -> str:
        place = "  ".join(x for x in (self.source.rsplit("/", 1)[-1], self.scope) if x)
        lines = [f"{self.title}  {place}".rstrip()]
        if self.phase == "forward":
            lines.append(f"    {self.formula} = {self.value}")
        elif self.phase == "backward":
            local = self.local if self.local is not None else self.local_rule
            lines.append(f"    upstream × local = downstream    {self.rule}  ({self.pattern})")
            lines.append(f"    {self.upstream} × {local} = {self.downstream}")
            lines.append(f"    {derivative(self.to_name)} so far: {self.sums[self.to_name]}")
        elif self.phase == "end":
            arrived = [name for name in self.inputs if name in self.sums]
            lines += [f"    {derivative(name)} = {self.sums[name]}" for name in arrived]
        return "\n".join(lines)


def derivative(name: str) -> str:
    """`∂/∂x`, with brackets around what is more than a name."""
    is_name = name.partition("[")[0].replace(".", "_").replace("′", "").isidentifier()
    return f"∂/∂{name}" if is_name else f"∂/∂({name})"
