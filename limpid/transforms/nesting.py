"""Any nesting of lists, tuples, dicts and dataclasses, taken apart into leaves and put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import fields, is_dataclass
from typing import Any

from limpid.errors import ArgumentError

Rebuild = Callable[[Iterator[Any]], Any]
Items = list[tuple[Any, Any]]  # (key, part)


def flatten(
    value: Any, path: str = "", whole: Callable[[Any], bool] | None = None
) -> tuple[list[tuple[str, Any]], Rebuild]:
    """The leaves with their paths, in order, and a function that rebuilds from new leaves.

    None is part of the structure, not a leaf. Dataclass instances, named tuples and kinds of dict
    are rebuilt as what they were. `whole` says what is a leaf though it may be one of these.
    """
    if value is None:
        return [], lambda leaves: None
    taken = None if whole is not None and whole(value) else _apart(value)
    if taken is None:
        return [(path, value)], next
    items, build = taken
    leaves: list[tuple[str, Any]] = []
    rebuilds: list[Rebuild] = []
    for key, part in items:
        found, rebuild = flatten(part, _below(path, key), whole)
        leaves.extend(found)
        rebuilds.append(rebuild)
    return leaves, lambda rest: build([rebuild(rest) for rebuild in rebuilds])


def leaves_like(like: Any, given: Any, what: str, path: str = "") -> list[Any]:
    """The leaves of something nested like another, in that one's order.

    Raises ArgumentError, with the place, where the nesting differs.
    """
    if like is None:
        if given is not None:
            raise ArgumentError(f"{what}{_at(path)} must be None, as it is in the original")
        return []
    taken = _apart(like)
    if taken is None:
        if _apart(given) is not None or given is None:
            raise ArgumentError(f"{what}{_at(path)} must be one array, not {given!r:.60}")
        return [given]
    items, _ = taken
    parts = _parts(given, like, f"{what}{_at(path)}", [key for key, _ in items])
    return [
        leaf
        for (key, part), other in zip(items, parts, strict=True)
        for leaf in leaves_like(part, other, what, _below(path, key))
    ]


def _apart(value: Any) -> tuple[Items, Callable[[list[Any]], Any]] | None:
    """The parts of a container with their keys, and how to build its like; None for a leaf."""
    if isinstance(value, dict):
        return list(value.items()), lambda parts: _same_dict(value, parts)
    if isinstance(value, tuple | list):
        return list(enumerate(value)), lambda parts: _same_list(value, parts)
    if is_dataclass(value) and not isinstance(value, type):
        items = [(f.name, getattr(value, f.name)) for f in fields(value)]
        return items, lambda parts: _same_dataclass(value, parts)
    return None


def _parts(given: Any, like: Any, what: str, keys: list[Any]) -> list[Any]:
    """The parts of a container in the order of another one's keys."""
    taken = _apart(given)
    if taken is None or isinstance(given, dict) != isinstance(like, dict):
        raise ArgumentError(
            f"{what} must be nested like the original, a {type(like).__name__}, "
            f"not {type(given).__name__}"
        )
    found = dict(taken[0])
    if found.keys() != set(keys):
        raise ArgumentError(f"{what} must have the keys {keys}, not {list(found)}")
    return [found[key] for key in keys]


def _same_dict(like: dict[Any, Any], parts: list[Any]) -> Any:
    made = {} if type(like) is dict else copy(like)
    made.update(zip(like, parts, strict=True))
    return made


def _same_list(like: Any, parts: list[Any]) -> Any:
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


def _same_dataclass(like: Any, parts: list[Any]) -> Any:
    made = copy(like)  # not a call: what __init__ and __post_init__ check holds for the original
    for field, part in zip(fields(like), parts, strict=True):
        object.__setattr__(made, field.name, part)
    return made


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _at(path: str) -> str:
    return f" at {path}" if path else ""


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """The same nesting with the function applied to every leaf."""
    leaves, rebuild = flatten(value)
    return rebuild(iter([function(leaf) for _, leaf in leaves]))
