"""The explanation as LaTeX."""

from __future__ import annotations

from limpid.explanation.record import Explanation


def render_latex(explanation: Explanation) -> str:
    """Forward equations, then for every edge its rule, newest first."""
    names = {step.id: step.latex if not step.inputs else step.id for step in explanation.steps}
    lines = [f"{step.id} &= {step.latex}" for step in explanation.steps if step.inputs]
    for edge in explanation.edges:
        left = rf"\nabla_{{{edge.node} \to {names[edge.to]}}}"
        lines.append(f"{left} &= {edge.latex}")
    return "\\begin{align}\n" + " \\\\\n".join(lines) + "\n\\end{align}"
