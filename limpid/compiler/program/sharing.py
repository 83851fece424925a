"""Sharing: what is computed twice in the same way is one value."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from limpid.compiler.program.values import Value, ordered

SMALL = 64  # elements of constants that are compared by value


def shared(ends: Sequence[Value]) -> list[Value]:
    """The same values, none of which is there twice. Calls stay: they may be more than a value."""
    made: dict[Value, Value] = {}
    known: dict[Hashable, Value] = {}
    for value in ordered(ends):
        operands = tuple(made[x] for x in value.operands)
        moved = any(a is not b for a, b in zip(operands, value.operands, strict=True))
        now = replace(value, operands=operands) if moved else value
        key = _key(now)
        made[value] = now if key is None else known.setdefault(key, now)
    return [made[end] for end in ends]


def _key(value: Value) -> Hashable:
    """What two values have in common that are the same; None if nothing is the same."""
    if value.kind == "call":
        return None
    if value.kind == "constant":
        array = value.params["array"]
        content = array.tobytes() if array.size <= SMALL else id(array)
        return "constant", value.dtype.str, value.shape, content
    params = tuple(sorted(value.params.items(), key=_name))
    key = value.kind, value.dtype.str, value.shape, value.order, params, value.operands
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _name(item: tuple[str, Any]) -> str:
    return item[0]
