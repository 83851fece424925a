"""The SVG of a drawing: boxes, forward lines, and beside them gradients by width and colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from limpid.explanation.drawing.faces import LETTER, LINE, PAD, clean
from limpid.explanation.drawing.layout import MARGIN
from limpid.explanation.drawing.strengths import classify, find_largest, legend

if TYPE_CHECKING:
    from limpid.explanation.drawing.drawing import Box, Drawing

ASIDE = 3.0  # of the forward line and the gradient, from the middle between them
HEADS = {"": 3.5, "1": 3.5, "2": 4.0, "3": 4.6, "4": 5.3, "5": 6.0, "n": 5.0}  # half their widths
TOLD = 400  # boxes, up to which each tells its record when the mouse is over it
LEGEND = 20.0  # the height of a line of the legend
NARROWEST = 300.0  # room for the legend

Points = Sequence[tuple[float, float]]


@cache
def style() -> str:
    """The style of boxes and lines, light, dark and in print."""
    return files("limpid.explanation.drawing").joinpath("style.css").read_text("utf-8").strip()


def render_svg(drawing: Drawing) -> str:
    """The drawing as SVG, with a legend below it."""
    layout = drawing.layout
    largest = find_largest(edge.gradient for edge in drawing.edges)
    width = max(layout.width, NARROWEST)
    notes = _legend(drawing, largest, width)
    height = layout.height + (notes[-1][-1] + LEGEND if notes else 0)
    size = f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="limpid" {size} role="img">',
        f"<title>{escape(_summary(drawing))}</title>",
        f"<style>{style()}</style>",
        f'<rect class="paper" width="{_n(width)}" height="{_n(height)}"/>',
        *(_frame(box) for box in drawing.boxes if box.is_open),
        *_lines(drawing, largest),
        *_cards(drawing),
        *(_label(drawing, box) for box in drawing.boxes if box.is_open),
        *(_entry(kind, words, x, layout.height + y) for kind, words, x, y in notes),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _summary(drawing: Drawing) -> str:
    return f"A computational graph of {len(drawing.content.items)} nodes"


# Boxes


def _frame(box: Box) -> str:
    return f'<rect class="frame" rx="6" {_place(box)}/>'


def _label(drawing: Drawing, box: Box) -> str:
    return _text("label", box.x + drawing.layout.frames[box.id].label, box.y + 16, box.title)


def _cards(drawing: Drawing) -> Iterable[str]:
    shown = [box for box in drawing.boxes if not box.is_open]
    return _titles(drawing, shown) if drawing.compact else (_card(drawing, x) for x in shown)


def _titles(drawing: Drawing, boxes: Sequence[Box]) -> Iterable[str]:
    """Boxes that have titles only: one path for all of a kind, since there are so many."""
    outlines: dict[str, list[str]] = {}
    for box in boxes:
        width, height = _n(box.width), _n(box.height)
        outline = f"M{_n(box.x)} {_n(box.y)}h{width}v{height}h-{width}z"
        outlines.setdefault(_kind(drawing, box), []).append(outline)
    for kind, found in outlines.items():
        yield f'<g{kind}><path class="box" d="{"".join(found)}"/></g>'
    yield '<g class="title">'
    yield from (_text("", box.x + PAD, box.y + 14, box.title) for box in boxes)
    yield "</g>"


def _card(drawing: Drawing, box: Box) -> str:
    """The box of a node or of what is folded."""
    if box.kind == "mark":
        words = _text("muted", box.x + PAD, box.y + 13, box.title)
        return f'<g class="mark"><rect class="box" rx="8" {_place(box)}/>{words}</g>'
    face = drawing.faces[box.id]
    parts = [f'<rect class="box" rx="4" {_place(box)}/>']
    y = box.y + LINE
    parts.append(_text("title", box.x + PAD, y, box.title))
    for i, line in enumerate(face.lines):
        y += LINE
        parts.append(_text("" if i else "muted", box.x + PAD, y, line))
    if face.gradient:
        parts.append(_strip(box, face.gradient))
    told = _record(drawing, box) if len(drawing.boxes) <= TOLD else ""
    return f"<g{_kind(drawing, box)}>{told}{''.join(parts)}</g>"


def _strip(box: Box, gradient: str) -> str:
    """The backward half: the gradient, below what was computed."""
    top = box.y + box.height - LINE - 5
    place = f'x="{_n(box.x + 1)}" y="{_n(top)}" width="{_n(box.width - 2)}" height="{_n(LINE + 4)}"'
    return f'<rect class="strip" {place}/>{_text("", box.x + PAD, top + 14, f"∂ {gradient}")}'


def _kind(drawing: Drawing, box: Box) -> str:
    if box.kind == "mark":
        return ' class="mark"'
    if box.kind != "node":
        return ' class="fold"'
    if box.pair:
        return ' class="back"'
    return "" if drawing.content.cards[box.id].op else ' class="leaf"'


def _record(drawing: Drawing, box: Box) -> str:
    if box.kind != "node":
        return f"<title>{escape(clean(drawing.folds[box.id].title))}</title>"
    details = drawing.content.cards[box.id].details
    lines = (escape(clean(f"{word}: {text}")) for word, text in details)
    return "<title>" + "\n".join(lines) + "</title>"


# Lines


def _lines(drawing: Drawing, largest: float) -> Iterable[str]:
    """One path for all forward lines, and one for all gradients of a strength: that is short."""
    forward, heads = [], []
    back: dict[str, list[str]] = {}
    back_heads: dict[str, list[str]] = {}
    for edge in drawing.edges:
        kind = classify(edge.gradient, largest)
        forward.append(path(edge.points, -ASIDE if kind else 0.0))
        if edge.target[0] != ">" and edge.target not in drawing.opened and not drawing.compact:
            heads.append(_head(edge.points[-1], -ASIDE if kind else 0.0, 1, ""))
        if kind:
            back.setdefault(kind, []).append(path(edge.points, ASIDE))
            if edge.source[0] != "<" and not drawing.compact and kind != "0":
                back_heads.setdefault(kind, []).append(_head(edge.points[0], ASIDE, -1, kind))
    for kind in sorted(back):
        yield f'<path class="g w{kind}" d="{"".join(back[kind])}"/>'
    yield f'<path class="f" d="{"".join(forward)}"/>'
    for kind in sorted(back_heads):
        yield f'<path class="h{kind}" d="{"".join(back_heads[kind])}"/>'
    yield f'<path class="head" d="{"".join(heads)}"/>'


def path(points: Points, aside: float) -> str:
    """Straight within a row, curved between two rows; as steps, which take fewer letters.

    >>> path([(0, 0), (0, 10), (20, 30)], 0)
    'M0 0v10c0 10 20 10 20 20'
    """
    rounded = [(round(10 * (x + aside)), round(10 * y)) for x, y in points]  # tenths
    (x, y), *rest = rounded
    text = f"M{_n(x / 10)} {_n(y / 10)}"
    for a, b in rest:
        across, down = _n((a - x) / 10), _n((b - y) / 10)
        if a != x:
            middle = _n((b - y) / 20)
            text += f"c0 {middle} {across} {middle} {across} {down}"
        elif b != y:
            text += f"v{down}"
        x, y = a, b
    return text


def _head(point: tuple[float, float], aside: float, way: int, kind: str) -> str:
    """An arrow head whose tip is at a point, downwards or upwards."""
    x, y, half = point[0] + aside, point[1], HEADS[kind]
    return f"M{_n(x)} {_n(y)}l{_n(-half)} {_n(-2 * half * way)}h{_n(2 * half)}z"


# Legend


def _legend(drawing: Drawing, largest: float, width: float) -> list[tuple[str, str, float, float]]:
    """What lines mean: (class, words, x, y), in as many rows as it takes."""
    used = {classify(edge.gradient, largest) for edge in drawing.edges}
    entries = [("f", "forward")] if drawing.edges else []
    entries += [(f"g w{kind}", words) for kind, words in legend(largest) if kind in used]
    entries += [("g w0", "∂ zero")] if "0" in used else []
    entries += [("g wn", "∂ not finite")] if "n" in used else []
    x, y, placed = MARGIN, LEGEND / 2, []
    for kind, words in entries:
        taken = 28 + LETTER * len(words)
        if x > MARGIN and x + taken > width:
            x, y = MARGIN, y + LEGEND
        placed.append((kind, words, x, y))
        x += taken + 18
    return placed


def _entry(kind: str, words: str, x: float, y: float) -> str:
    line = f'<path class="{kind}" d="M{_n(x)} {_n(y)}h22"/>'
    return line + _text("muted", x + 28, y + 4, words)


def _text(kind: str, x: float, y: float, text: str) -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{_n(x)}" y="{_n(y)}">{escape(text)}</text>'


def _place(box: Box) -> str:
    return f'x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" height="{_n(box.height)}"'


def _n(x: float) -> str:
    """A number with at most one decimal."""
    return f"{x:.1f}".removesuffix(".0")


__all__ = ["path", "render_svg", "style"]
