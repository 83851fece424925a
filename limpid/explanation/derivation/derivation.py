"""What `derive` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # else imported where it is needed: most programs derive nothing
    from limpid.explanation.derivation.chains import LocalRule
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

    locals   the derivatives of quantities by those that they are computed from
    results  the equations of the gradients that were asked for, by name
    chains   for each of these the ways to it, as the quantities on them; not more than six
    values   arrays that the equations begin with, by name; without axes of extent 1
    orders   what it costs in forward and in reverse mode
    """

    output: str
    forward: tuple[Equation, ...]
    gradients: tuple[Equation, ...]
    locals: tuple[LocalRule, ...]
    results: dict[str, Equation]
    chains: dict[str, list[tuple[str, ...]]]
    orders: Orders
    values: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        from limpid.explanation.derivation.chains import chain_text

        lines = ["forward", *_indented(self.forward)]
        if self._has_steps:
            lines += ["local derivatives", *(f"  {rule}" for rule in self.locals), "chain"]
            for name, ways in self.chains.items():
                total = " + ".join(map(chain_text, ways))
                lines.append(f"  d{_plain_name(self.output)}/d{_plain_name(name)} = {total}")
        return "\n".join([*lines, "backward", *_indented(self.gradients)])

    def text(self, shapes: bool = False) -> str:
        """What `print` shows; `shapes` puts its shape under every name."""
        from limpid.explanation.derivation.shapes import shapes_in, with_shapes

        if not shapes:
            return str(self)
        equations = (*self.forward, *self.gradients)
        return with_shapes(str(self), shapes_in(*((e.left, e.right, e.further) for e in equations)))

    @property
    def _has_steps(self) -> bool:
        """Whether there are quantities between the output and what gradients are taken by."""
        return any(len(way) > 2 for ways in self.chains.values() for way in ways)

    def latex(self, shapes: bool = False) -> str:
        """All equations; `shapes` puts its shape under every name."""
        from limpid.explanation.derivation.chains import chain_latex
        from limpid.explanation.formulas.latex import gradient_latex

        made = [e.latex(shapes) for e in self.forward]
        if self._has_steps:
            made += [rule.latex(shapes) for rule in self.locals]
            for name, ways in self.chains.items():
                total = " + ".join(map(chain_latex, ways))
                made.append(f"{gradient_latex(self.output, name)} &= {total}")
        made += [e.latex(shapes) for e in self.gradients]
        return "\\begin{align}\n" + " \\\\\n".join(made) + "\n\\end{align}"

    def _repr_latex_(self) -> str:
        return self.latex()

    def to_json(self) -> dict[str, Any]:
        """Plain data: each equation as NumPy text and as LaTeX."""
        return {
            "output": self.output,
            "forward": [_plain(e) for e in self.forward],
            "gradients": [_plain(e) for e in self.gradients],
            "locals": [
                {"of": r.of, "by": r.by, "form": r.form, "text": str(r)} for r in self.locals
            ],
            "chains": self.chains,
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


def _plain_name(name: str) -> str:
    from limpid.explanation.formulas.text import identifier

    return identifier(name)
