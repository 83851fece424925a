"""The explanation as a page that opens from disk: no network, no library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from html import escape

from latex2mathml.converter import convert

from limpid.explanation.outline import folded_title, repeated, runs
from limpid.explanation.quantity import Quantity
from limpid.explanation.record import Edge, Explanation, FanOut, Step

MOST_OPEN = 40  # nodes of which all edges are shown at once
STYLE = """
.limpid { --ink: #1b1f24; --paper: #ffffff; --soft: #5b6570; --line: #d5dae0; --up: #0b6bcb;
  --down: #b3470c; color: var(--ink); background: var(--paper);
  font: 15px/1.45 system-ui, sans-serif; padding: 1rem; }
@media (prefers-color-scheme: dark) { .limpid { --ink: #e6e8eb; --paper: #16191d;
  --soft: #9aa4af; --line: #3a4149; --up: #6cb4ff; --down: #ffab70; } }
.limpid h1 { font-size: 1.3rem; } .limpid h2 { font-size: 1.1rem; margin-top: 1.5rem; }
.limpid table { border-collapse: collapse; } .limpid th { text-align: left; color: var(--soft); }
.limpid td, .limpid th { padding: .2rem .8rem .2rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); }
.limpid code, .limpid .numbers { font-family: ui-monospace, monospace; font-size: .9em; }
.limpid .numbers { white-space: pre-wrap; overflow-wrap: anywhere; }
.limpid .soft { color: var(--soft); } .limpid .up { color: var(--up); }
.limpid .down { color: var(--down); }
.limpid details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0;
  padding: .4rem .8rem; } .limpid summary { cursor: pointer; }
.limpid .edge { border-left: 3px solid var(--line); margin: .6rem 0; padding-left: .8rem; }
.limpid svg.histogram { height: 1.6em; width: 8em; vertical-align: middle; }
.limpid svg.histogram rect { fill: currentColor; }
.limpid input { font: inherit; padding: .2rem .5rem; width: 20rem; max-width: 100%;
  color: inherit; background: transparent; border: 1px solid var(--line); border-radius: 4px; }
@media print { .limpid { color: black; background: white; } .limpid input { display: none; }
  .limpid details { break-inside: avoid; } }
"""
SCRIPT = """
document.querySelectorAll('.limpid input').forEach(box => box.addEventListener('input', () => {
  const wanted = box.value.toLowerCase();
  box.closest('.limpid').querySelectorAll('[data-name]').forEach(part => {
    part.hidden = !part.dataset.name.includes(wanted);
  });
  box.closest('.limpid').querySelectorAll('details.more').forEach(part => {
    part.open = wanted !== '';
    part.hidden = wanted !== '' && !part.querySelector('[data-name]:not([hidden])');
  });
}));
"""


def render_page(explanation: Explanation) -> str:
    """A whole page."""
    title = escape(f"The gradient of {explanation[explanation.output].name}")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f"<title>{title}</title></head><body style='margin:0'>{render_part(explanation)}"
        f"<script>{SCRIPT}</script></body></html>"
    )


def render_part(explanation: Explanation) -> str:
    """A part of a page, as notebooks show it."""
    return "".join(_Part(explanation).lines())


class _Part:
    def __init__(self, explanation: Explanation):
        self.explanation = explanation
        self.steps = {step.id: step for step in explanation.steps}
        self.sums = {total.id: total for total in explanation.sums}
        self.hidden = repeated(explanation)

    def lines(self) -> Iterator[str]:
        output = self.steps[self.explanation.output]
        yield f'<style>{STYLE}</style><div class="limpid">'
        yield f"<h1>The gradient of {_code(output.name)}</h1>"
        yield (
            f'<p class="soft">{len(self.steps)} values, {len(self.explanation.edges)} edges, '
            "each with <span class=up>upstream</span> × local = "
            "<span class=down>downstream</span>.</p>"
        )
        yield '<p><input type="search" placeholder="show only what has this in its name"></p>'
        yield "<h2>Forward</h2>"
        yield from self._folding(self.steps, self._table)
        yield "<h2>Backward</h2>"
        yield from self._backward()
        yield "<h2>Gradients</h2><table><tr><th>of<th>is</tr>"
        for step in self.explanation.steps:
            if not step.inputs and step.gradient is not None:
                yield _row(step.name, [_code(step.name), _quantity(step.gradient, "down")])
        yield "</table></div>"

    def _folding(
        self, ids: Iterable[str], show: Callable[[list[str]], Iterable[str]]
    ) -> Iterator[str]:
        """Nodes as they are shown; those of repeated blocks behind the first are folded away."""
        for repeat, members in runs(ids, self.hidden):
            if repeat is None:
                yield from show(members)
            else:
                title = escape(folded_title(repeat, len(members)))
                yield f'<details class="more"><summary>{title}</summary>'
                yield from show(members)
                yield "</details>"

    def _table(self, ids: list[str]) -> Iterator[str]:
        yield "<table><tr><th>name<th>is<th>value<th>line</tr>"
        yield from (self._forward(self.steps[id_]) for id_ in ids)
        yield "</table>"

    def _forward(self, step: Step) -> str:
        formula = _math(step.latex, step.formula) if step.inputs else ""
        cells = [
            f"{_code(step.name)} {_soft(step.id if step.name != step.id else '')}",
            f"{formula} {_soft(step.op if step.inputs else '')}",
            "<br>".join(_quantity(value) for value in step.values),
            _soft(_place(step.source, step.scope)),
        ]
        return _row(f"{step.name} {step.scope} {step.op}", cells)

    def _backward(self) -> Iterator[str]:
        by_node: dict[str, list[Edge]] = {}
        for edge in self.explanation.edges:
            by_node.setdefault(edge.node, []).append(edge)
        opened = " open" if len(by_node) <= MOST_OPEN else ""
        yield from self._folding(
            by_node,
            lambda ids: (part for id_ in ids for part in self._node(id_, by_node[id_], opened)),
        )
        for id_ in self.sums:
            if id_ not in by_node:
                yield from self._sum(id_)

    def _node(self, id_: str, edges: list[Edge], opened: str) -> Iterator[str]:
        step = self.steps[id_]
        name = escape(f"{step.name} {step.scope} {step.op}".lower(), quote=True)
        yield f'<details{opened} data-name="{name}"><summary>{_code(step.name)} '
        yield f"{_soft(f'{step.op}: {edges[0].pattern}')} "
        yield f"{_soft(_place(step.source, step.scope))}</summary>"
        yield from self._sum(id_)
        yield from map(self._edge, edges)
        yield "</details>"

    def _edge(self, edge: Edge) -> str:
        local = (
            _quantity(edge.local)
            if edge.local is not None
            else _math(edge.local_latex, edge.local_rule)
        )
        upstream = " and ".join(
            "nothing" if g is None else _quantity(g, "up") for g in edge.upstreams
        )
        return (
            f'<div class="edge">→ {_code(self.steps[edge.to].name)}: {_math(edge.latex, edge.rule)}'
            f"<div>{upstream} × {local} = {_quantity(edge.downstream, 'down')}</div>"
            f'<div class="soft">{escape(edge.words)}; the Jacobian is {escape(edge.structure)}'
            "</div></div>"
        )

    def _sum(self, id_: str) -> Iterator[str]:
        total: FanOut | None = self.sums.get(id_)
        if total is None:
            return
        parts = " + ".join(
            f"{_quantity(c.value)} ({c.share:.0%}, {escape(c.edge)})" for c in total.contributions
        )
        yield f'<div class="edge">fan-out of {_code(self.steps[id_].name)} adds: {parts} = '
        yield f"{_quantity(total.total, 'down')}</div>"


def _row(name: str, cells: Iterable[str]) -> str:
    inside = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr data-name="{escape(name.lower(), quote=True)}">{inside}</tr>'


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _soft(text: str) -> str:
    return f'<span class="soft">{escape(text)}</span>' if text else ""


def _place(source: str, scope: str) -> str:
    file = source.replace("\\", "/").rsplit("/", 1)[-1]
    return " ".join(part for part in (file, scope) if part)


def _quantity(quantity: Quantity, kind: str = "") -> str:
    numbers = f'<span class="numbers {kind}">{escape(str(quantity))}</span>'
    return numbers if quantity.is_small else numbers + " " + _histogram(quantity)


def _histogram(quantity: Quantity) -> str:
    """Bars of an array's elements, drawn with rectangles."""
    counts, edges = quantity.histogram()
    most = max(counts) or 1
    bars = "".join(
        f'<rect x="{10 * n}" y="{40 - 40 * count / most:.1f}" width="9" '
        f'height="{40 * count / most:.1f}"/>'
        for n, count in enumerate(counts)
    )
    label = f"histogram from {edges[0]:.3g} to {edges[-1]:.3g}"
    return (
        f'<svg class="histogram" viewBox="0 0 {10 * len(counts)} 40" role="img" '
        f'aria-label="{label}" preserveAspectRatio="none"><title>{label}</title>{bars}</svg>'
    )


@lru_cache(maxsize=4096)
def _math(latex: str, text: str) -> str:
    """A formula in MathML, which browsers know; where it can't be had, its text."""
    try:
        return str(convert(latex))
    except Exception:
        return _code(text)
