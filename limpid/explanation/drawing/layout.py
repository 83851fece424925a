"""The layout: where every box and every line is, for what is open. places.js does the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import hypot

from limpid.explanation.drawing.lines import Group, Line
from limpid.explanation.drawing.placement import THIN, place

MARGIN = 14.0  # within the frame of an open group
HEADER = 24.0  # for its title
ROW_GAP = 34.0
PORT_GAP = 18.0  # beside a row of ports, which has no height
SPREAD = 16.0  # between lines that end side by side
LABEL = 8.0  # from the left of a frame to its title
BESIDE = 10.0  # from a line to a title that makes room for it

Point = tuple[float, float]


@dataclass(frozen=True)
class Size:
    width: float
    height: float


@dataclass(frozen=True)
class Placed:
    """A box: its corner at the top left, its size, and the group that it is in."""

    id: str
    x: float
    y: float
    width: float
    height: float
    parent: str
    is_open: bool


@dataclass(frozen=True)
class Route:
    """A line and the points it passes: two for each row, where it enters and where it leaves.

    Lines of several values between the same two boxes are one, if one of the boxes is folded.
    """

    line: Line
    points: tuple[Point, ...]
    count: int = 1


@dataclass
class Frame:
    """An open group, laid out by itself: places are relative to its corner."""

    width: float
    height: float
    middles: dict[str, float] = field(default_factory=dict)
    tops: dict[str, float] = field(default_factory=dict)
    rows: list[tuple[float, float]] = field(default_factory=list)  # top and bottom of each
    label: float = LABEL  # where its title begins


class Layout:
    """Boxes and lines of the groups that are open; `sizes` are those of what is not."""

    def __init__(
        self,
        groups: Mapping[str, Group],
        sizes: Mapping[str, Size],
        is_open: Collection[str],
        top: str = "g",
    ):
        self.groups, self.sizes, self.open = groups, sizes, is_open
        self.frames: dict[str, Frame] = {}
        self.boxes: list[Placed] = []
        self.routes: list[Route] = []
        frame = self._frame(top)
        self.width, self.height = frame.width, frame.height
        self._put(top, 0.0, 0.0, "")

    # Sizes, from the inside

    def _frame(self, id_: str) -> Frame:
        group = self.groups[id_]
        for child in group.fold.children:
            if child.id in self.open and child.id in self.groups:
                self._frame(child.id)
        frame = self.frames[id_] = Frame(0.0, 0.0)
        rows = group.rows
        frame.middles = place(rows.rows, rows.ways, self._width)
        self._fit(frame, group, id_ == "g")
        return frame

    def _size(self, key: str) -> Size:
        if key[0] in ".<>":
            return Size(THIN, 0.0)
        frame = self.frames.get(key)
        if frame is not None:
            return Size(frame.width, frame.height)
        return self.sizes["~" if key[0] == "~" else key]

    def _width(self, key: str) -> float:
        return self._size(key).width

    def _shift(self, key: str, line: Line) -> float:
        """How far from the middle of a part a line is bound to be: where the port within is."""
        frame = self.frames.get(key)
        if frame is None:
            return 0.0
        port = f"<{line.node}" if key == line.target else f">{line.node}"
        return frame.middles[port] - frame.width / 2 if port in frame.middles else 0.0

    def _fit(self, frame: Frame, group: Group, bare: bool) -> None:
        """Heights of rows; the left-most part at the margin."""
        rows = group.rows.rows
        keys = [key for row in rows for key in row]
        left = min((frame.middles[k] - self._width(k) / 2 for k in keys), default=0.0)
        right = max((frame.middles[k] + self._width(k) / 2 for k in keys), default=0.0)
        title = 0.0 if bare else self.sizes[group.fold.id].width
        spare = max(0.0, title - (right - left) - 2 * MARGIN) / 2
        for key in keys:
            frame.middles[key] += MARGIN + spare - left
        frame.width = right - left + 2 * (MARGIN + spare)
        y = MARGIN if bare else HEADER
        heights = [max((self._size(key).height for key in row), default=0.0) for row in rows]
        for row, height, below in zip(rows, heights, [*heights[1:], 0.0], strict=True):
            frame.rows.append((y, y + height))
            for key in row:
                frame.tops[key] = y
            y += height + (ROW_GAP if height and below else PORT_GAP)
        last = frame.rows[-1] if frame.rows else (y, y)
        frame.height = last[1] + MARGIN
        frame.label = self._label(frame, group, title - 2 * LABEL)

    def _label(self, frame: Frame, group: Group, width: float) -> float:
        """Where a title is that no line goes through, if there is such a place."""
        label = LABEL
        for x in sorted(frame.middles[port] for port in group.first):
            if label - BESIDE < x < label + width + BESIDE:
                label = x + BESIDE
        return label if label + width <= frame.width else LABEL

    # Places, from the outside

    def _put(self, id_: str, x: float, y: float, parent: str) -> None:
        frame, group = self.frames[id_], self.groups[id_]
        if parent:
            self.boxes.append(Placed(id_, x, y, frame.width, frame.height, parent, True))
        for row in group.rows.rows:
            for key in row:
                if key[0] in ".<>":
                    continue
                size = self._size(key)
                left, top = x + frame.middles[key] - size.width / 2, y + frame.tops[key]
                if key in self.frames:
                    self._put(key, left, top, id_)
                else:
                    name = f"{key}@{id_}" if key[0] == "~" else key
                    self.boxes.append(Placed(name, left, top, size.width, size.height, id_, False))
        self._route(frame, group, x, y)

    def _route(self, frame: Frame, group: Group, x: float, y: float) -> None:
        bundles = self._bundles(group)
        ends = self._ends(frame, group, bundles)
        level = {key: k for k, row in enumerate(group.rows.rows) for key in row}
        for k, bundle in bundles.items():
            way = group.rows.ways[k]
            points: list[Point] = []
            for i, key in enumerate(way):
                top, bottom = frame.rows[level[key]]
                across = frame.middles[key] + ends.get((k, i == 0), 0.0) * (key[0] != ".")
                if key[0] == "<":
                    top = 0.0
                elif key[0] == ">":
                    bottom = frame.height
                elif key[0] != "." and i == 0:
                    top = frame.tops[key] + self._size(key).height
                points += [(across, top), (across, bottom)]
            if way[-1][0] != ">":
                points.pop()  # it ends where the row begins
            found = tuple((x + a, y + b) for a, b in points)
            self.routes.append(Route(_together(bundle), found, len(bundle)))

    def _bundles(self, group: Group) -> dict[int, list[Line]]:
        """By the number of the first: lines that are one in the picture."""
        first: dict[object, int] = {}
        bundles: dict[int, list[Line]] = {}
        for k, (line, way) in enumerate(zip(group.lines, group.rows.ways, strict=True)):
            ends = (way[0], way[-1])
            folded = any(key in self.groups and key not in self.frames for key in ends)
            k = first.setdefault(ends if folded else k, k)
            bundles.setdefault(k, []).append(line)
        return bundles

    def _ends(
        self, frame: Frame, group: Group, shown: Collection[int]
    ) -> dict[tuple[int, bool], float]:
        """Where lines end, from the middle of their part: side by side, in the order of the others.

        The key is the number of the line, and whether it is its beginning.
        """
        sides: dict[tuple[str, bool], list[tuple[float, int]]] = {}
        for k in shown:
            way = group.rows.ways[k]
            sides.setdefault((way[0], True), []).append((frame.middles[way[1]], k))
            sides.setdefault((way[-1], False), []).append((frame.middles[way[-2]], k))
        found = {}
        for (key, begins), lines in sides.items():
            lines.sort()
            step = min(SPREAD, self._width(key) / (len(lines) + 1))
            for i, (_, k) in enumerate(lines):
                if key[0] in "<>":
                    shift = 0.0
                elif key in self.frames:
                    shift = self._shift(key, group.lines[k])
                else:
                    shift = (i - (len(lines) - 1) / 2) * step
                found[k, begins] = shift
        return found


def _together(lines: list[Line]) -> Line:
    """Several lines as one; its gradient is that of all values together."""
    if len(lines) == 1:
        return lines[0]
    strengths = [line.strength for line in lines if line.strength is not None]
    rules = tuple(dict.fromkeys(rule for line in lines for rule in line.rules))
    return replace(lines[0], strength=hypot(*strengths) if strengths else None, rules=rules)


__all__ = ["Frame", "Layout", "Placed", "Point", "Route", "Size"]
