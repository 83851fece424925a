"""The page of a drawing: one file with everything in it, that folds and tells records."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from math import isfinite
from typing import TYPE_CHECKING, Any

from limpid.explanation.drawing import layout, placement
from limpid.explanation.drawing.faces import LINE, MARK, PAD, SHORT, clean, shorten
from limpid.explanation.drawing.lines import Group
from limpid.explanation.drawing.picture import ASIDE, HEADS, style
from limpid.explanation.drawing.strengths import STEPS, find_largest, legend

if TYPE_CHECKING:
    from limpid.explanation.drawing.drawing import Drawing

TITLE = "A computational graph"


def render_page(drawing: Drawing) -> str:
    """The drawing as HTML that needs no network, nor lets itself be given one."""
    script, css = _file("places.js") + _file("page.js"), _file("page.css") + style()
    digest = b64encode(sha256(script.encode()).digest()).decode()
    rules = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    largest = find_largest(_strengths(drawing))
    data = json.dumps(_Data(drawing, largest).everything(), separators=(",", ":"))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{rules}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{TITLE}</title><style>{css}</style></head><body>",
            f"<header><h1>{TITLE}, {len(drawing.content.items)} nodes</h1>",
            '<button id="fold">Fold all</button><button id="unfold">Unfold one level</button>',
            '<button id="reset">As at first</button>',
            f'<div id="legend" class="limpid">{_legend(largest)}',
            '</div></header><main><div id="sheet"><svg id="picture" class="limpid"',
            ' xmlns="http://www.w3.org/2000/svg" role="img"></svg></div>',
            '<aside id="panel">Point at a box or a line to read its record. Click on a module to',
            "fold or unfold it, on a node to keep its record here.</aside></main>",
            "<noscript>Folding needs JavaScript; the SVG of the drawing does not.</noscript>",
            f'<script type="application/json" id="data">{_harmless(data)}</script>',
            f"<script>{script}</script></body></html>\n",
        ]
    )


def _harmless(data: str) -> str:
    """JSON in which nothing can be taken for markup."""
    return data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@cache
def _file(name: str) -> str:
    return files("limpid.explanation.drawing").joinpath(name).read_text("utf-8")


def _strengths(drawing: Drawing) -> Iterable[float | None]:
    return (line.strength for group in drawing.groups.values() for line in group.lines)


def _legend(largest: float) -> str:
    entries = [("f", "forward"), *((f"g w{kind}", words) for kind, words in legend(largest))]
    entries += [("g w0", "∂ zero"), ("g wn", "∂ not finite")] if largest else []
    line = '<span><svg width="22" height="8"><path class="{}" d="M0 4h22"/></svg>{}</span>'
    return "".join(line.format(kind, escape(words)) for kind, words in entries)


class _Data:
    """What the script reads: texts once each, parts and groups by number."""

    def __init__(self, drawing: Drawing, largest: float):
        self.drawing, self.largest = drawing, largest
        self.texts: dict[str, int] = {}
        self.numbers = {id_: i for i, id_ in enumerate(drawing.folds)}
        self.sizes = drawing.sizes()

    def everything(self) -> dict[str, Any]:
        parts = [self._part(id_) for id_ in self.numbers]
        groups = {self.numbers[id_]: self._group(g) for id_, g in self.drawing.groups.items()}
        return {
            "texts": list(self.texts),
            "parts": parts,
            "groups": groups,
            "top": self.numbers[self.drawing.top.id],
            "open": sorted(self.numbers[id_] for id_ in self.drawing.opened),
            "compact": self.drawing.compact,
            "largest": self.largest,
            "constants": constants(),
        }

    def _text(self, text: str) -> int:
        return self.texts.setdefault(clean(text), len(self.texts))

    def _part(self, id_: str) -> list[Any]:
        """Id, kind, title, lines, gradient, width, height, details and pair, for the script."""
        face, size = self.drawing.faces[id_], self.sizes[id_]
        card = self.drawing.content.cards.get(id_)
        part = [
            id_,
            "fold" if card is None else "back" if card.pair else "" if card.op else "leaf",
            self._text(face.title),
            [self._text(text) for text in face.lines],
            self._text(face.gradient) if face.gradient else -1,
            round(size.width, 2),
            int(size.height),
            [self._text(text) for row in self._details(id_) for text in row],
        ]
        return [*part, card.pair] if card and card.pair else part

    def _details(self, id_: str) -> tuple[tuple[str, str], ...]:
        card = self.drawing.content.cards.get(id_)
        if card is not None:
            return card.details
        part = self.drawing.folds[id_]
        return (("repeated" if part.kind == "repeat" else "module", part.title),)

    def _group(self, group: Group) -> dict[str, Any]:
        return {
            "parts": [self.numbers[child.id] for child in group.fold.children],
            "rows": [[self._key(key) for key in row] for row in group.rows.rows],
            "lines": [self._line(group, k) for k in range(len(group.lines))],
        }

    def _key(self, key: str) -> int | str:
        """A part by its number, a port by i or o and number, a passing line by -1 - number."""
        if key[0] == ".":
            return -1 - int(key.split(".")[1])
        if key[0] in "<>":
            return f"{'i' if key[0] == '<' else 'o'}{self.numbers[key[1:]]}"
        return key if key[0] == "~" else self.numbers[key]

    def _line(self, group: Group, k: int) -> list[Any]:
        """From, to, the node of the value, the norm of the gradient, rules, the title of a mark."""
        line = group.lines[k]
        rules = [self._text(rule) for rule in line.rules if rule]
        found = [
            self._key(line.source),
            self._key(line.target),
            self.numbers[line.node],
            _number(line.strength),
            rules[0] if len(rules) == 1 else rules,
        ]
        if k not in group.rows.cut:
            return found
        return [*found, self._text(shorten(self.drawing.content.cards[line.node].title, SHORT))]


def _number(x: float | None) -> float | str | None:
    """Four digits; JSON has no NaN."""
    if x is None or not isfinite(x):
        return None if x is None else str(x)
    short = float(f"{x:.4g}")
    return int(short) if short.is_integer() and short < 1e6 else short


def constants() -> dict[str, Any]:
    """The measures that the script shares with the layout."""
    return {
        "margin": layout.MARGIN,
        "header": layout.HEADER,
        "rowGap": layout.ROW_GAP,
        "portGap": layout.PORT_GAP,
        "spread": layout.SPREAD,
        "label": layout.LABEL,
        "beside": layout.BESIDE,
        "thin": placement.THIN,
        "gap": placement.GAP,
        "sweeps": placement.SWEEPS,
        "mark": {"width": MARK.width, "height": MARK.height},
        "line": LINE,
        "pad": PAD,
        "aside": ASIDE,
        "heads": HEADS,
        "steps": STEPS,
    }


__all__ = ["constants", "render_page"]
