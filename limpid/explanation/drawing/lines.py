"""Lines: the links between nodes, cut at the borders of the groups that they cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from limpid.explanation.drawing.content import Content, Link, norm
from limpid.explanation.drawing.rows import Rows, arrange
from limpid.explanation.folding import Fold


@dataclass(frozen=True)
class Line:
    """What goes from one part of a group to another; `<v` and `>v` are ports for the value of v.

    strength  the norm of the gradient that comes back; None where nothing does
    """

    source: str
    target: str
    node: str
    strength: float | None
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """A fold with parts: its lines, and the ports through which they come and go."""

    fold: Fold
    lines: tuple[Line, ...]
    first: tuple[str, ...]
    last: tuple[str, ...]

    @cached_property
    def rows(self) -> Rows:
        """The rows that its parts are in."""
        parts = [child.id for child in self.fold.children]
        return arrange(parts, [(x.source, x.target) for x in self.lines], self.first, self.last)


def find_groups(top: Fold, content: Content) -> dict[str, Group]:
    """All groups by the ids of their folds."""
    folds, above = _tree(top)
    crossing: dict[str, dict[tuple[str, str, str], list[Link]]] = {}
    for link in content.links:
        for group, source, target in _sections(link, above):
            of_group = crossing.setdefault(group, {})
            of_group.setdefault((source, target, link.source), []).append(link)
    return {
        id_: _group(fold, crossing.get(id_, {})) for id_, fold in folds.items() if fold.children
    }


def _tree(top: Fold) -> tuple[dict[str, Fold], dict[str, str]]:
    folds = {fold.id: fold for fold in top.walk()}
    return folds, {child.id: fold.id for fold in folds.values() for child in fold.children}


def _sections(link: Link, above: dict[str, str]) -> list[tuple[str, str, str]]:
    """(group, from, to) for each group that a link goes through, inner ones of the source first."""
    out, into = _chain(link.source, above), _chain(link.target, above)
    while out[-1] == into[-1] and len(out) > 1 and len(into) > 1 and out[-2] == into[-2]:
        out.pop()
        into.pop()
    sections = []
    for below, group in pairwise(out[:-1]):
        sections.append((group, below, f">{link.source}"))
    sections.append((out[-1], out[-2], into[-2]))
    for group, below in zip(into[-2:0:-1], into[-3::-1]):
        sections.append((group, f"<{link.source}", below))
    return sections


def _chain(id_: str, above: dict[str, str]) -> list[str]:
    """A node and all that it is in, innermost first."""
    chain = [id_]
    while chain[-1] in above:
        chain.append(above[chain[-1]])
    return chain


def _group(fold: Fold, found: dict[tuple[str, str, str], list[Link]]) -> Group:
    lines = tuple(
        Line(source, target, node, strength(links), tuple(dict.fromkeys(x.rule for x in links)))
        for (source, target, node), links in found.items()
    )
    first = tuple(dict.fromkeys(line.source for line in lines if line.source[0] == "<"))
    last = tuple(dict.fromkeys(line.target for line in lines if line.target[0] == ">"))
    return Group(fold, lines, first, last)


def strength(links: Sequence[Link]) -> float | None:
    """The norm of the gradient that some uses of one node bring back together."""
    found: dict[int, list[np.ndarray[Any, Any]]] = {}
    for link in links:
        if link.gradient is not None:
            found.setdefault(link.output, []).append(link.gradient.array)
    if not found:
        return None
    norms = [norm(parts[0] if len(parts) == 1 else sum(parts)) for parts in found.values()]
    return norms[0] if len(norms) == 1 else norm(np.array(norms))


__all__ = ["Group", "Line", "find_groups", "strength"]
