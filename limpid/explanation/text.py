"""The explanation as text for a terminal."""

from __future__ import annotations

from limpid.explanation.record import Edge, Explanation, FanOut, Quantity, Step


def render_text(explanation: Explanation) -> str:
    """Forward, then every edge backward, then the sums at fan-outs."""
    names = {step.id: step.name for step in explanation.steps}
    lines = ["forward"]
    width = max((len(_title(step)) for step in explanation.steps), default=0)
    lines += [f"  {_title(s):<{width}}  {_number(s.value)}" for s in explanation.steps]
    lines += ["", "backward: upstream × local = downstream"]
    by_node: dict[str, list[Edge]] = {}
    for edge in explanation.edges:
        by_node.setdefault(edge.node, []).append(edge)
    sums = {s.id: s for s in explanation.sums}
    steps = {s.id: s for s in explanation.steps}
    for node, edges in by_node.items():
        lines += _node_lines(steps[node], edges, names, sums.get(node))
    for id_, total in sums.items():
        if id_ not in by_node:
            lines += _sum_lines(total, names)
    lines += ["", "gradients"]
    leaves = [s for s in explanation.steps if s.op == "input" and s.gradient is not None]
    lines += [f"  ∂/∂{s.name} = {_number(s.gradient)}" for s in leaves]
    return "\n".join(lines)


def _title(step: Step) -> str:
    if step.op == "input":
        return step.name
    if step.name == step.formula or step.name == step.id:
        return f"{step.id} = {step.formula}"
    return f"{step.id} = {step.name}  ({step.op})"


def _node_lines(
    step: Step, edges: list[Edge], names: dict[str, str], total: FanOut | None
) -> list[str]:
    place = "  ".join(part for part in (step.source.rsplit("/", 1)[-1], step.scope) if part)
    patterns = list(dict.fromkeys(edge.pattern for edge in edges))
    lines = ["", f"  {step.id} = {step.name}  [{step.op}: {', '.join(patterns)}]  {place}".rstrip()]
    if total is not None:
        lines += _sum_lines(total, names)
    for edge in edges:
        local = _number(edge.local) if edge.local is not None else edge.local_rule
        lines.append(
            f"    → {names[edge.to]}: {_number(edge.upstream)} × {local} = "
            f"{_number(edge.downstream)}    {edge.rule}  ({edge.structure})"
        )
    return lines


def _sum_lines(total: FanOut, names: dict[str, str]) -> list[str]:
    parts = " + ".join(f"{_number(c.value)} ({c.share:.0%})" for c in total.contributions)
    return [f"    fan-out of {names[total.id]} adds: {parts} = {_number(total.total)}"]


def _number(quantity: Quantity | None) -> str:
    return "–" if quantity is None else str(quantity)
