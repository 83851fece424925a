"""Walking what a module holds: attributes, lists, tuples, dicts and dataclasses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from limpid.tensor import Slot

HIDDEN = "_names"  # a module's cache of what this file finds; itself not walked


class Branch:
    """Base of modules, by which the walk knows them: their attributes are walked."""


class _Frame:
    """One object on the path from the root, while its parts are visited."""

    __slots__ = ("found", "level", "lowest", "name", "parts", "value")

    def __init__(self, name: str, value: Any, level: int):
        self.name = name
        self.value = value
        self.level = level
        self.lowest = level  # the outermost object on the path that a part refers back to
        self.parts = parts(value)
        self.found: list[tuple[str, Any]] = [("", value)] if isinstance(value, Branch) else []


def parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of the parts that may hold state, in insertion order."""
    for name, part in _items(value):
        if may_hold_state(part):
            yield str(name), part


def _items(value: Any) -> Any:
    if isinstance(value, Branch):
        return [(name, part) for name, part in vars(value).items() if name != HIDDEN]
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    return [(f.name, getattr(value, f.name, None)) for f in fields(value)]


def may_hold_state(value: Any) -> bool:
    """Whether this is a slot or something that is walked."""
    if isinstance(value, Slot | Branch | list | tuple | dict):
        return True
    return is_dataclass(value) and not isinstance(value, type)


def find_all(root: Any) -> list[tuple[str, Any]]:
    """Every module and slot below the root, and the root, under every name it has.

    A module held in two places is listed under both. References that lead back to an object on
    the way from the root are not followed, and an object that is part of such a cycle is walked
    once, so the walk ends. No recursion: a list linked by attributes may be long.
    """
    # By id, with the object itself, so that no other one can get its id.
    path = [_Frame("", root, 0)]
    levels = {id(root): 0}
    done: dict[int, tuple[Any, list[tuple[str, Any]]]] = {}
    while True:
        frame = path[-1]
        name, part = next(frame.parts, (None, None))
        if name is None:
            path.pop()
            del levels[id(frame.value)]
            if not path:
                return frame.found
            done[id(frame.value)] = (frame.value, [] if frame.lowest < frame.level else frame.found)
            path[-1].lowest = min(path[-1].lowest, frame.lowest)
            path[-1].found.extend(_below(frame.name, frame.found))
        elif isinstance(part, Slot):
            frame.found.append((name, part))
        elif id(part) in levels:
            frame.lowest = min(frame.lowest, levels[id(part)])
        elif id(part) in done:
            frame.found.extend(_below(name, done[id(part)][1]))
        else:
            levels[id(part)] = len(path)
            path.append(_Frame(name, part, len(path)))


def _below(name: str, found: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    return ((f"{name}.{rest}" if rest else name, value) for rest, value in found)


def find_once(root: Any) -> list[tuple[str, Any]]:
    """Every module and slot below the root, and the root, under its first name only."""
    first: dict[int, tuple[str, Any]] = {}
    for name, value in find_all(root):
        first.setdefault(id(value), (name, value))
    return list(first.values())
