"""The explanation as text for a terminal."""

from __future__ import annotations

from limpid.explanation.outline import folded_title, repeated, runs
from limpid.explanation.record import Edge, Explanation, FanOut, Quantity, Step


def render_text(explanation: Explanation, folded: bool) -> str:
    """Forward, then every edge backward, then the sums at fan-outs; repeated blocks once."""
    hidden = repeated(explanation) if folded else {}
    names = {step.id: step.name for step in explanation.steps}
    lines = ["forward"]
    width = max((len(_title(s)) for s in explanation.steps if s.id not in hidden), default=0)
    steps = {step.id: step for step in explanation.steps}
    for repeat, ids in runs(steps, hidden):
        if repeat is not None:
            lines.append(f"  … {folded_title(repeat, len(ids))}")
        else:
            lines += [f"  {_title(steps[k]):<{width}}  {_number(steps[k].value)}" for k in ids]
    lines += ["", "backward: upstream × local = downstream"]
    by_node: dict[str, list[Edge]] = {}
    for edge in explanation.edges:
        by_node.setdefault(edge.node, []).append(edge)
    sums = {s.id: s for s in explanation.sums}
    for repeat, ids in runs(by_node, hidden):
        if repeat is not None:
            lines += ["", f"  … {folded_title(repeat, len(ids))}"]
            continue
        for node in ids:
            lines += _node_lines(steps[node], by_node[node], names, sums.get(node))
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
