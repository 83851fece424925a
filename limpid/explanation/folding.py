"""Folding: the nodes of a graph as a tree of modules and repeated blocks, for any renderer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from typing import Any

from limpid.explanation.repeats import find_repeats

FEWEST = 12  # nodes in a run of bare operations, below which it is not folded
PARTS = 3  # names of operations that stand for a block


@dataclass(frozen=True)
class Item:
    """A node, as far as folding looks at it.

    inputs  ids of other items; constants are left out
    kind    two items can be at one place of repeated blocks only if these are equal
    leaf    whether nothing computed it; then it belongs to what uses it, if it is `owned`
    """

    id: str
    op: str
    name: str
    scope: str
    inputs: tuple[str, ...] = ()
    kind: Any = None
    leaf: bool = False
    owned: bool = False


@dataclass(frozen=True)
class Fold:
    """A node, or something that folds: a module, a repeated block, or the graph as a whole.

    id        of the node, or `m1`, `m2`, … in the order of the program
    kind      "node", "module", "repeat" (its children are equal to one another) or "graph"
    title     the name of a node, the path of a module
    children  what is within, in the order of the program
    """

    id: str
    kind: str
    title: str
    children: tuple[Fold, ...] = field(default=(), repr=False)

    @property
    def count(self) -> int:
        """How often a block is repeated; 1 for all that is no repeat."""
        return len(self.children) if self.kind == "repeat" else 1

    def walk(self) -> Iterator[Fold]:
        """The fold itself and all within, outermost first."""
        stack = [self]
        while stack:
            fold = stack.pop()
            yield fold
            stack.extend(reversed(fold.children))

    def nodes(self) -> Iterator[str]:
        """The ids of the nodes within."""
        return (fold.id for fold in self.walk() if fold.kind == "node")


def fold(items: Sequence[Item]) -> Fold:
    """Items, oldest first, as a tree.

    Consecutive nodes of one module are within it, consecutive blocks of the same structure are a
    repeat. A module that is called again later is there again, so that no way through the graph
    leaves a module and comes back into it. A leaf that is owned is within what alone uses it.
    Modules with a single part are left out.

    >>> items = [Item("x", "input", "x", "", leaf=True), Item("v1", "relu", "a", "fc", ("x",)),
    ...          Item("v2", "tanh", "b", "fc", ("v1",)), Item("v3", "sum", "c", "", ("v2",))]
    >>> [(part.id, part.kind) for part in fold(items).walk()]
    [('g', 'graph'), ('x', 'node'), ('m1', 'module'), ('v1', 'node'), ('v2', 'node'),
     ('v3', 'node')]
    """
    computed = [item for item in items if not item.leaf]
    parts = _Tree(_kinds(items), {i.id: i.op for i in items}).parts(computed, 0)
    top = _place_leaves(Fold("g", "graph", "", tuple(parts)), items)
    return _numbered(_without_shells(top))


def _kinds(items: Sequence[Item]) -> dict[str, int]:
    """A number for each node, the same for those that can be in equal places."""
    known: dict[Any, int] = {}
    return {item.id: known.setdefault((item.op, item.kind), len(known)) for item in items}


class _Tree:
    """Computed items as modules within modules; equal ones get equal numbers."""

    def __init__(self, kinds: dict[str, int], ops: dict[str, str]):
        self.kinds = kinds
        self.ops = ops
        self.shapes: dict[tuple[Any, ...], int] = {}
        self.number: dict[int, int] = {}
        self.kept: list[Fold] = []  # folds whose `id()` is in `number`

    def parts(self, items: Sequence[Item], depth: int) -> list[Fold]:
        found: list[Fold] = []
        for name, run in groupby(items, lambda item: _step(item.scope, depth)):
            members = list(run)
            if name:
                path = ".".join(members[0].scope.split(".")[: depth + 1])
                below = tuple(self.parts(members, depth + 1))
                found.append(self._known(Fold("", "module", path, below), "module"))
            else:
                found += [self._node(item) for item in members]
        return self._folded(found)

    def _node(self, item: Item) -> Fold:
        return self._known(Fold(item.id, "node", item.name), self.kinds[item.id])

    def _known(self, fold: Fold, what: Any) -> Fold:
        shape = (what, *(self.number[id(child)] for child in fold.children))
        self.number[id(fold)] = self.shapes.setdefault(shape, len(self.shapes))
        self.kept.append(fold)
        return fold

    def _folded(self, parts: list[Fold]) -> list[Fold]:
        """The parts with repeated blocks put together."""
        found = []
        end = 0
        numbers = [self.number[id(part)] for part in parts]
        for start, period, times in find_repeats(numbers, lambda *run: self._counts(parts, *run)):
            found += parts[end:start]
            end = start + period * times
            found.append(self._repeat(parts[start:end], period))
        return found + parts[end:]

    def _repeat(self, parts: list[Fold], period: int) -> Fold:
        blocks = [self._block(parts[k : k + period]) for k in range(0, len(parts), period)]
        first, last = self._title(blocks[0]), self._title(blocks[-1])
        title = first if blocks[0].kind == "node" or first == last else f"{first} … {last}"
        return self._known(Fold("", "repeat", title, tuple(blocks)), "repeat")

    def _block(self, parts: list[Fold]) -> Fold:
        """Parts as one; a block of one part is that part."""
        if len(parts) == 1:
            return parts[0]
        modules = [self._title(part) for part in parts if not _is_nameless(part)]
        names = modules or list(dict.fromkeys(self._title(part) for part in parts))
        title = ", ".join(names[:PARTS]) + (", …" if len(names) > PARTS else "")
        return self._known(Fold("", "module", title, tuple(self._folded(parts))), "module")

    def _title(self, part: Fold) -> str:
        """The operation of a node; of modules that hold nothing but a module the innermost path."""
        while part.kind == "module" and len(part.children) == 1:
            if part.children[0].kind == "node" and not _is_nameless(part):
                break
            part = part.children[0]
        return self.ops.get(part.id, part.title)

    def _counts(self, parts: list[Fold], start: int, period: int, times: int) -> bool:
        """Whether a run is worth folding: it has a module in it, or is long."""
        block = parts[start : start + period]
        if any(part.kind != "node" for part in block):
            return True
        return times > 2 and period * times >= FEWEST


def _is_nameless(part: Fold) -> bool:
    """Whether it is a node, or a module that has only a number: an element of a list."""
    return part.kind == "node" or part.title.replace(".", "").isdigit()


def _step(scope: str, depth: int) -> str:
    names = scope.split(".") if scope else []
    return names[depth] if depth < len(names) else ""


def _place_leaves(top: Fold, items: Sequence[Item]) -> Fold:
    """The tree with leaves: an owned one in the innermost part that holds all its uses."""
    ways = _ways(top)
    users: dict[str, list[tuple[int, ...]]] = {item.id: [] for item in items if item.leaf}
    for item in items:
        for x in item.inputs:
            if x in users and item.id in ways:
                users[x].append(ways[item.id][:-1])
    placed: dict[tuple[int, ...], list[Fold]] = {}
    for item in items:
        if item.leaf:
            way = _in_front(users[item.id]) if item.owned and users[item.id] else ()
            way = _outside_repeats(top, way)
            placed.setdefault(way, []).append(Fold(item.id, "node", item.name))
    return _with_leaves(top, placed)


def _ways(top: Fold) -> dict[str, tuple[int, ...]]:
    """For each node the numbers of the parts that lead to it."""
    found = {}
    stack: list[tuple[Fold, tuple[int, ...]]] = [(top, ())]
    while stack:
        fold, way = stack.pop()
        if fold.kind == "node":
            found[fold.id] = way
        stack.extend((child, (*way, i)) for i, child in enumerate(fold.children))
    return found


def _in_front(ways: list[tuple[int, ...]]) -> tuple[int, ...]:
    """What all ways begin with."""
    first, last = min(ways), max(ways)
    shared = next((i for i, (a, b) in enumerate(zip(first, last)) if a != b), None)
    return first[: min(len(first), len(last)) if shared is None else shared]


def _outside_repeats(top: Fold, way: tuple[int, ...]) -> tuple[int, ...]:
    """The way without its end if that is a repeat, which holds nothing but equal blocks."""
    parts = [top]
    for i in way:
        parts.append(parts[-1].children[i])
    while parts[-1].kind == "repeat":
        parts.pop()
    return way[: len(parts) - 1]


def _with_leaves(
    fold: Fold, placed: Mapping[tuple[int, ...], list[Fold]], way: tuple[int, ...] = ()
) -> Fold:
    if fold.kind == "node":
        return fold
    children = [_with_leaves(c, placed, (*way, i)) for i, c in enumerate(fold.children)]
    return replace(fold, children=(*placed.get(way, ()), *children))


def _without_shells(fold: Fold) -> Fold:
    """The tree without modules that hold a single part."""
    children = tuple(map(_without_shells, fold.children))
    if fold.kind == "module" and len(children) == 1:
        only = children[0]
        deeper = only.title.startswith(f"{fold.title}.")
        return only if deeper or only.kind != "repeat" else replace(only, title=fold.title)
    return replace(fold, children=children)


def _numbered(top: Fold) -> Fold:
    numbers = count(1)

    def numbered(fold: Fold) -> Fold:
        if fold.kind == "node":
            return fold
        name = fold.id or f"m{next(numbers)}"
        return replace(fold, id=name, children=tuple(map(numbered, fold.children)))

    return numbered(top)


__all__ = ["Fold", "Item", "fold"]
