"""What `derive` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # else imported where it is needed: most programs derive nothing
    from limpid.explanation.derivation.orders import Orders
    from limpid.explanation.formulas.terms import Named, Term


@dataclass(frozen=True)
class Equation:
    """left = right, and = further where that is another way to say it."""

    left: Named
    right: Term
    further: Term | None = None

    def __str__(self) -> str:
        from limpid.explanation.formulas.text import text

        left = text(self.left)
        made = f"{left} = {text(self.right)}"
        return made if self.further is None else f"{made}\n{' ' * len(left)} = {text(self.further)}"

    def latex(self, shapes: bool = False) -> str:
        """The equation, with `&` before its signs, as `align` wants it."""
        from limpid.explanation.formulas.latex import latex

        sides = [self.right, *([] if self.further is None else [self.further])]
        written = [f"&= {latex(side, shapes)}" for side in sides]
        return latex(self.left, shapes) + " " + " \\\\\n".join(written)

    @property
    def shortest(self) -> Term:
        """What the left side is, without other gradients where that is known."""
        return self.right if self.further is None else self.further


@dataclass(frozen=True)
class Derivation:
    """Equations of values, then of gradients from the output back.

    results  the equations of the gradients that were asked for, by name
    values   arrays that the equations begin with, by name; without axes of extent 1
    orders   what it costs in forward and in reverse mode
    """

    output: str
    forward: tuple[Equation, ...]
    gradients: tuple[Equation, ...]
    results: dict[str, Equation]
    orders: Orders
    values: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        lines = ["forward", *_indented(self.forward), "backward", *_indented(self.gradients)]
        return "\n".join(lines)

    def latex(self, shapes: bool = False) -> str:
        """All equations; `shapes` puts its shape under every name."""
        made = [e.latex(shapes) for e in (*self.forward, *self.gradients)]
        return "\\begin{align}\n" + " \\\\\n".join(made) + "\n\\end{align}"

    def _repr_latex_(self) -> str:
        return self.latex()

    def to_json(self) -> dict[str, Any]:
        """Plain data: each equation as NumPy text and as LaTeX."""
        return {
            "output": self.output,
            "forward": [_plain(e) for e in self.forward],
            "gradients": [_plain(e) for e in self.gradients],
            "results": {name: _plain(e) for name, e in self.results.items()},
            "orders": self.orders.to_json(),
        }


def _indented(equations: tuple[Equation, ...]) -> list[str]:
    return [f"  {line}" for e in equations for line in str(e).splitlines()]


def _plain(equation: Equation) -> dict[str, Any]:
    from limpid.explanation.formulas.text import text

    return {
        "name": equation.left.name,
        "shape": list(equation.left.shape),
        "text": text(equation.right),
        "further": None if equation.further is None else text(equation.further),
        "latex": equation.latex(),
    }
