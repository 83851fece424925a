"""Drawings: a graph with places for everything, as data, as SVG and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

from limpid.errors import ArgumentError
from limpid.explanation.drawing.content import Content
from limpid.explanation.drawing.faces import (
    MARK,
    SHORT,
    Face,
    fold_face,
    node_face,
    short_face,
    shorten,
)
from limpid.explanation.drawing.layout import Layout, Placed, Point, Size
from limpid.explanation.drawing.lines import Group, find_groups
from limpid.explanation.drawing.rows import library
from limpid.explanation.folding import Fold, fold

BOXES = 40  # unless it is said how deep to unfold, no more are shown
MANY = 500  # nodes, above which boxes have titles only


@dataclass(frozen=True)
class Box:
    """A box of a drawing.

    id, kind, title, count  as of its fold; "mark" is the end of a line that is too long to be drawn
    parent                  the id of the open box that it is in, "" at the top
    nodes                   how many nodes it stands for
    value, gradient         what it says of them; "" where it says nothing
    saved                   bytes kept for the backward pass
    pair                    of a backward node: the id of the forward node
    """

    id: str
    kind: str
    title: str
    count: int
    parent: str
    is_open: bool
    x: float
    y: float
    width: float
    height: float
    nodes: int = 1
    value: str = ""
    gradient: str = ""
    saved: int = 0
    pair: str = ""


@dataclass(frozen=True)
class Edge:
    """A line of a drawing, with the norm of the gradient that comes back (None: nothing does).

    node      id of the node whose value goes along it
    source    id of the box that it begins at, and target; within an open box that is the box itself
    """

    node: str
    source: str
    target: str
    gradient: float | None
    points: tuple[Point, ...]
    rules: tuple[str, ...] = ()


class Drawing:
    """A picture of a graph: `svg`, `html`, `save(path)`; `boxes` and `edges` are it as data.

    Notebooks show it.
    """

    def __init__(self, content: Content, depth: int | None = None):
        library()
        self.content = content
        self.top = fold(content.items)
        self.groups: Mapping[str, Group] = find_groups(self.top, content)
        self.folds: dict[str, Fold] = {part.id: part for part in self.top.walk()}
        self.opened = choose_open(self.top, depth)

    @cached_property
    def faces(self) -> dict[str, Face]:
        """The words on every box, as it is when folded."""
        cards = self.content.cards.items()
        found = {i: short_face(c, i) if self.compact else node_face(c) for i, c in cards}
        for id_, group in self.groups.items():
            found[id_] = fold_face(group.fold, group, self.content)
        return found

    @cached_property
    def compact(self) -> bool:
        """Whether boxes have titles only, as there are so many."""
        shown = (
            part for id_ in self.opened for part in self.folds[id_].children if not part.children
        )
        return sum(1 for _ in shown) > MANY

    def sizes(self) -> dict[str, Size]:
        """The size of every box when it is folded."""
        found = {id_: f.size(self.compact, id_ in self.groups) for id_, f in self.faces.items()}
        return {**found, "~": MARK}

    @cached_property
    def layout(self) -> Layout:
        """Where everything is."""
        return Layout(self.groups, self.sizes(), self.opened)

    @cached_property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes that are shown, outer ones before those in them."""
        return tuple(map(self._box, self.layout.boxes))

    def _box(self, place: Placed) -> Box:
        where = (place.is_open, place.x, place.y, place.width, place.height)
        parent = "" if place.parent == self.top.id else place.parent
        if place.id[0] == "~":
            node = self.groups[place.parent].lines[int(place.id[1:].partition("@")[0])].node
            title = shorten(self.content.cards[node].title, SHORT)
            return Box(place.id, "mark", title, 1, parent, *where, nodes=0)
        part = self.folds[place.id]
        face = self.faces[place.id]
        cards = [self.content.cards[id_] for id_ in part.nodes()]
        only = cards[0] if part.kind == "node" else None
        return Box(
            place.id,
            part.kind,
            face.title,
            part.count,
            parent,
            *where,
            nodes=len(cards),
            value=only.value if only else "",
            gradient=only.gradient if only else face.gradient,
            saved=sum(card.saved for card in cards),
            pair=only.pair if only else "",
        )

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """The lines that are shown."""
        return tuple(
            Edge(line.node, line.source, line.target, line.strength, points, line.rules)
            for line, points in ((route.line, route.points) for route in self.layout.routes)
        )

    @cached_property
    def svg(self) -> str:
        """The picture; it says by itself how it looks in print and on a dark page."""
        from limpid.explanation.drawing.picture import render_svg

        return render_svg(self)

    @cached_property
    def html(self) -> str:
        """A page that needs no network: boxes fold and unfold, and tell their records."""
        from limpid.explanation.drawing.page import render_page

        return render_page(self)

    def save(self, path: str | Path) -> Path:
        """Write the file, SVG or HTML by its ending. Raises ArgumentError for other endings."""
        path = Path(path)
        kinds = {".svg": lambda: self.svg, ".html": lambda: self.html, ".htm": lambda: self.html}
        if path.suffix.lower() not in kinds:
            raise ArgumentError(f"a drawing is saved as .svg or .html, not as {path.name!r}")
        path.write_text(kinds[path.suffix.lower()](), encoding="utf-8")
        return path

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        """For notebooks: the page in a frame of its own, so that its styles stay there."""
        height = min(900, int(self.layout.height) + 120)
        frame = f'sandbox="allow-scripts" style="width:100%;height:{height}px;border:0"'
        return f'<iframe {frame} srcdoc="{escape(self.html)}"></iframe>'

    def __repr__(self) -> str:
        nodes = len(self.content.items)
        return f"<drawing of {nodes} nodes in {len(self.boxes)} boxes, {len(self.edges)} lines>"


def choose_open(top: Fold, depth: int | None) -> frozenset[str]:
    """The ids of the folds that are open: those less deep than `depth`.

    Without a depth all of a small graph; else modules, level by level, as long as there are few
    boxes, and no repeated blocks.
    """
    if depth is not None:
        if isinstance(depth, bool) or not isinstance(depth, int) or depth < 0:
            raise ArgumentError(f"depth is a whole number from 0, not {depth!r}")
        return frozenset(_less_deep(top, depth))
    everything = [part for part in top.walk() if part.children]
    if sum(1 for _ in top.walk()) - 1 <= BOXES:
        return frozenset(part.id for part in everything)
    opened, level, shown = [top.id], [top], len(top.children)
    while level:
        inside = [part for outer in level for part in outer.children]
        level = [part for part in inside if part.kind == "module"]
        shown += sum(len(part.children) for part in level)
        if shown > BOXES:
            break
        opened += [part.id for part in level]
    return frozenset(opened)


def _less_deep(top: Fold, depth: int) -> list[str]:
    found, level = [], [top]
    for _ in range(depth + 1):
        found += [part.id for part in level]
        level = [inner for part in level for inner in part.children if inner.children]
    return found


__all__ = ["Box", "Drawing", "Edge", "choose_open"]
