"""Any nesting of lists, tuples, dicts and dataclasses, taken apart into leaves and put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

Rebuild = Callable[[Iterator[Any]], Any]


def flatten(value: Any, path: str = "") -> tuple[list[tuple[str, Any]], Rebuild]:
    """The leaves with their paths, in order, and a function that rebuilds from new leaves.

    None is part of the structure, not a leaf. Dataclass instances and named tuples are rebuilt
    as what they were.
    """
    if value is None:
        return [], lambda leaves: None
    if isinstance(value, dict):
        return _flatten_items(list(value.items()), lambda parts: _same_dict(value, parts), path)
    if isinstance(value, tuple | list):
        return _flatten_items(list(enumerate(value)), lambda parts: _same_list(value, parts), path)
    if is_dataclass(value) and not isinstance(value, type):
        items = [(f.name, getattr(value, f.name)) for f in fields(value)]
        return _flatten_items(items, lambda parts: _same_dataclass(value, parts), path)
    return [(path, value)], next


def _flatten_items(
    items: list[tuple[Any, Any]], build: Callable[[list[Any]], Any], path: str
) -> tuple[list[tuple[str, Any]], Rebuild]:
    leaves: list[tuple[str, Any]] = []
    rebuilds: list[Rebuild] = []
    for key, part in items:
        found, rebuild = flatten(part, f"{path}.{key}" if path else str(key))
        leaves.extend(found)
        rebuilds.append(rebuild)
    return leaves, lambda rest: build([rebuild(rest) for rebuild in rebuilds])


def _same_dict(like: dict[Any, Any], parts: list[Any]) -> Any:
    return dict(zip(like, parts, strict=True))


def _same_list(like: Any, parts: list[Any]) -> Any:
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


def _same_dataclass(like: Any, parts: list[Any]) -> Any:
    from dataclasses import replace

    initial = {f.name: p for f, p in zip(fields(like), parts, strict=True) if f.init}
    return replace(like, **initial)


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """The same nesting with the function applied to every leaf."""
    leaves, rebuild = flatten(value)
    return rebuild(iter([function(leaf) for _, leaf in leaves]))
