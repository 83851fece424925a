"""Faces: the words on a box, and how large it is for them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

from limpid.explanation.drawing.content import Card, Content, bytes_text
from limpid.explanation.drawing.layout import Size
from limpid.explanation.drawing.lines import Group
from limpid.explanation.folding import Fold

LETTER = 6.63  # the width of one, in a font where all are as wide, 11 px high
TITLE_LETTER = 7.23  # 12 px
LINE = 15.0
PAD = 8.0
LONGEST = 30
SHORT = 9  # of the mark at the end of a line that is not drawn
MARK = Size(SHORT * LETTER + 2 * PAD, 18.0)


@dataclass(frozen=True)
class Face:
    """Title, lines below it, and the gradient in the strip at the bottom, if there is one."""

    title: str
    lines: tuple[str, ...]
    gradient: str = ""

    def size(self, compact: bool = False, sign: bool = False) -> Size:
        """What the words need; if it is compact there is only the title, with a sign before it."""
        widths = [(text_width(self.title) + 2 * sign) * TITLE_LETTER]
        if compact:
            return Size(widths[0] + 2 * PAD, LINE + 6)
        last = f"∂ {self.gradient}"
        widths += [text_width(text) * LETTER for text in (*self.lines, last)]
        height = LINE * (1 + len(self.lines)) + PAD + (LINE + 4 if self.gradient else 0)
        return Size(max(widths) + 2 * PAD, height)


def short_face(card: Card, id_: str) -> Face:
    """What it says if it has a title only: the operation, too, if the name is only a number."""
    face = node_face(card)
    return replace(face, title=f"{id_} {card.op}") if card.title == id_ and card.op else face


def node_face(card: Card) -> Face:
    """What the box of a node says."""
    kind = " · ".join(
        part for part in (card.op if card.op != card.title else "", card.shape) if part
    )
    lines = [kind, card.value, card.note]
    if card.saved:
        lines.append(f"keeps {bytes_text(card.saved)}")
    below = tuple(shorten(text) for text in lines if text)
    return Face(shorten(card.title), below, shorten(card.gradient))


def fold_face(fold: Fold, group: Group, content: Content) -> Face:
    """What the box of a folded module says: how much is in it, and what comes out."""
    nodes = [content.cards[id_] for id_ in fold.nodes()]
    saved = sum(card.saved for card in nodes)
    made = [content.cards[key[1:]] for key in group.last]
    lines = [f"{len(nodes)} nodes"]
    gradient = ""
    if len(made) == 1:
        lines[0] += f" → {made[0].shape}" if made[0].shape else ""
        lines.append(made[0].value)
        gradient = made[0].gradient
    if saved:
        lines.append(f"keeps {bytes_text(saved)}")
    return Face(
        fold_title(fold, content.loops),
        tuple(shorten(text) for text in lines if text),
        shorten(gradient),
    )


def fold_title(fold: Fold, loops: Mapping[str, str]) -> str:
    """The path of a module, without what it shares with all: its last name that is no number."""
    title = loops.get(fold.title, fold.title)
    names = [_last_name(part) for part in title.split(" … ")]
    times = f" ×{fold.count}" if fold.count > 1 else ""
    return shorten(" … ".join(names), LONGEST - len(times)) + times


def _last_name(path: str) -> str:
    """`conv1` of `layer1.0.conv1`, but `layer1.0` of `layer1.0`.

    >>> _last_name("net.layer1.0"), _last_name("net.fc"), _last_name("0.1")
    ('layer1.0', 'fc', '0.1')
    """
    names = path.split(".")
    start = len(names) - 1
    while start and names[start].isdigit():
        start -= 1
    return ".".join(names[start:])


def shorten(text: str, longest: int = LONGEST) -> str:
    """The text without control characters, cut where it is too long.

    >>> shorten("a" * 20, 10)
    'aaaaaaaaa…'
    """
    text = clean(text)
    if text_width(text) <= longest:
        return text
    kept, width = "", 0
    for letter in text:
        width += text_width(letter)
        if width > longest - 1:
            break
        kept += letter
    return kept.rstrip() + "…"


def clean(text: str) -> str:
    """The text without characters that nobody sees, or that turn what follows around."""
    return "".join(c if c.isprintable() else " " for c in text)


def text_width(text: str) -> int:
    """How many letters wide a text is: those of East Asia count twice."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


__all__ = ["MARK", "Face", "clean", "fold_face", "fold_title", "node_face", "short_face", "shorten"]
